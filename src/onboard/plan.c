/* plan.c - from the dirty inodes up to the root */
#include "onboard/run.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "onboard/keep.h"

#define MAP_MIN   256   /* slots, a power of two */
#define DEPTH_MAX 65536 /* directories on the way up: more is a loop */

/* ---- small containers ---- */

static size_t map_slot(const struct ino_map *m, uint64_t ino)
{
	size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 20) & (m->cap - 1);

	while (m->v[i].ino && m->v[i].ino != ino)
		i = (i + 1) & (m->cap - 1);
	return i;
}

bool ino_map_get(const struct ino_map *m, uint64_t ino, size_t *ret)
{
	size_t i;

	if (!m->cap)
		return false;
	i = map_slot(m, ino);
	if (!m->v[i].ino)
		return false;
	*ret = m->v[i].at;
	return true;
}

int ino_map_put(struct ino_map *m, uint64_t ino, size_t at)
{
	struct ino_map grown = { .n = m->n };
	size_t i;

	if (4 * (m->n + 1) > 3 * m->cap) {
		grown.cap = m->cap ? 2 * m->cap : MAP_MIN;
		grown.v = calloc(grown.cap, sizeof(*grown.v));
		if (!grown.v)
			return -ENOMEM;
		for (i = 0; i < m->cap; i++)
			if (m->v[i].ino)
				grown.v[map_slot(&grown, m->v[i].ino)] = m->v[i];
		free(m->v);
		*m = grown;
	}
	i = map_slot(m, ino);
	if (!m->v[i].ino)
		m->n++;
	m->v[i].ino = ino;
	m->v[i].at = at;
	return 0;
}

void ino_map_fini(struct ino_map *m)
{
	free(m->v);
	*m = (struct ino_map){ 0 };
}

int inos_add(struct inos *v, uint64_t ino)
{
	size_t cap = v->cap ? 2 * v->cap : 64;
	uint64_t *grown;

	if (v->n == v->cap) {
		grown = realloc(v->v, cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		v->v = grown;
		v->cap = cap;
	}
	v->v[v->n++] = ino;
	return 0;
}

/* ---- the plan ---- */

static int dir_add(struct run *r, uint64_t ino, uint32_t depth)
{
	size_t cap = r->cap_dirs ? 2 * r->cap_dirs : 64;
	struct plan_dir *v = r->dirs;
	int rc;

	if (r->n_dirs == r->cap_dirs) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->dirs = v;
		r->cap_dirs = cap;
	}
	rc = ino_map_put(&r->dir_of, ino, r->n_dirs);
	if (rc == 0)
		v[r->n_dirs++] = (struct plan_dir){ ino, depth };
	return rc;
}

/* `ino` and every directory above it, unless they are in the plan already. */
static int climb(struct run *r, uint64_t ino)
{
	struct cache_snap_inode i;
	struct inos way = { 0 };
	uint32_t depth = 0;
	size_t at;
	int rc = 0;

	while (!ino_map_get(&r->dir_of, ino, &at)) {
		rc = inos_add(&way, ino);
		if (rc < 0 || ino == CACHE_ROOT_INO)
			break;
		rc = cache_snap_inode(r->snap, ino, &i);
		if (rc == 0 && (i.parent == 0 || way.n > DEPTH_MAX))
			rc = -EUCLEAN;
		if (rc < 0)
			break;
		ino = i.parent;
	}
	if (rc == 0 && ino_map_get(&r->dir_of, ino, &at))
		depth = r->dirs[at].depth + 1;
	while (rc == 0 && way.n)
		rc = dir_add(r, way.v[--way.n], depth++);
	free(way.v);
	return rc;
}

/* A special file, or a file without a byte: nothing to seal. */
static int nothing(struct run *r, uint64_t ino)
{
	const struct link empty = { .kind = LINK_IDENTITY, .codec = LINK_RAW };

	return result_add(r, ino, 0, &empty);
}

static int plan_content(struct run *r, uint64_t ino,
			const struct cache_snap_inode *i)
{
	switch (i->attr.mode & S_IFMT) {
	case S_IFREG: return inos_add(&r->files, ino);
	case S_IFLNK: return inos_add(&r->symlinks, ino);
	case S_IFDIR: return climb(r, ino);
	default: return nothing(r, ino);
	}
}

/* Attributes alone have changed: its content is adopted as it is. */
static int plan_clean(struct run *r, uint64_t ino, const struct cache_snap_inode *i)
{
	struct cursor c = cursor(i->link);
	struct link l;
	int rc;

	if (!i->link.n)
		return 0;
	rc = link_decode(&c, &l);
	return rc < 0 ? rc : result_add(r, ino, i->attr.size, &l);
}

static int plan_one(struct run *r, uint64_t ino)
{
	struct cache_snap_inode i;
	int rc;

	rc = cache_snap_inode(r->snap, ino, &i);
	if (rc == -ENOENT)
		return 0; /* gone: its directory knows */
	if (rc < 0)
		return rc;
	if (i.data_dirty || (!i.link.n && !S_ISDIR(i.attr.mode)))
		rc = plan_content(r, ino, &i);
	else
		rc = plan_clean(r, ino, &i);
	if (rc < 0)
		return rc;
	r->table_dirty |= i.shared;
	if (ino == CACHE_ROOT_INO)
		return climb(r, ino);
	return i.parent ? climb(r, i.parent) : 0;
}

static int on_dirty(void *ctx, uint64_t ino)
{
	return inos_add(ctx, ino);
}

static int on_removed(void *ctx, uint64_t ino)
{
	(void)ino;
	*(bool *)ctx = true;
	return 0;
}

static int on_unlinked(void *ctx, uint64_t dir)
{
	return climb(ctx, dir);
}

int plan_make(struct run *r)
{
	int rc;

	rc = cache_snap_dirty(r->snap, on_dirty, &r->dirty);
	if (rc == 0)
		rc = cache_snap_removed(r->snap, on_removed, &r->table_dirty);
	for (size_t i = 0; i < r->dirty.n && rc == 0; i++)
		rc = plan_one(r, r->dirty.v[i]);
	/* A name that was left out has its directory built when it comes back.
	 * An inode of several names does not tell where they are. */
	if (rc == 0 && keep_has_left_out(r))
		rc = cache_snap_unlinked(r->snap, on_unlinked, r);
	r->table_dirty |= r->mending;
	if (rc == 0 && r->mending)
		rc = climb(r, CACHE_ROOT_INO);
	return rc;
}

void plan_forget(struct run *r)
{
	if (r->losses) /* reseal_end() asks once more what was built */
		return;
	free(r->dirty.v);
	free(r->files.v);
	r->dirty = r->files = (struct inos){ 0 };
}

bool run_is_dirty(const struct run *r, uint64_t ino)
{
	size_t from = 0, to = r->dirty.n, mid;

	while (from < to) {
		mid = from + (to - from) / 2;
		if (r->dirty.v[mid] == ino)
			return true;
		if (r->dirty.v[mid] < ino)
			from = mid + 1;
		else
			to = mid;
	}
	return ino_map_get(&r->dir_of, ino, &mid);
}

void plan_fini(struct run *r)
{
	free(r->dirty.v);
	free(r->dirs);
	free(r->files.v);
	free(r->symlinks.v);
	ino_map_fini(&r->dir_of);
}
