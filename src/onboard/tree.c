/*
 * tree.c - directories of the snapshot, children before parents
 *
 * A directory's node carries the attributes of its children, so a changed child
 * changes its directory and all above it, and nothing else: shards and nodes
 * that come out the same are linked, not stored again.
 */
#include "onboard/run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "dag/attr.h"
#include "dag/dir.h"
#include "dag/profile.h"
#include "onboard/keep.h"
#include "onboard/memos.h"
#include "onboard/reseal.h"

#define INODE_NAME_SIZE 17 /* 16 hex digits and NUL */
#define XATTRS_MAX      1024
#define LARGE_BYTES \
 (16u << 20) /* entries of a directory, in memory at a time */

int link_of(const struct run *r, const struct cache_snap_inode *i, struct link *ret)
{
	_cleanup_buf_ struct buf built = { 0 };
	struct slice s = i->link;
	struct cursor c;
	int rc;

	buf_init(&built, LINK_ENCODED_MAX);
	rc = result_find(r, i->attr.ino, &built);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0)
		s = buf_slice(&built);
	if (!s.n)
		return -EUCLEAN; /* neither built before nor planned */
	c = cursor(s);
	rc = link_decode(&c, ret);
	return rc < 0 ? rc : cursor_done(&c);
}

/* ---- attributes ---- */

struct xattrs {
	struct buf bytes; /* names and values, one behind the other */
	struct xattr_at {
		size_t off, n_name, n_value;
	} * v;
	size_t n, cap;
};

static int on_xattr(void *ctx, struct slice name, struct slice value)
{
	struct xattrs *x = ctx;
	size_t off = x->bytes.n, cap = x->cap ? 2 * x->cap : 8;
	struct xattr_at *v = x->v;
	int r;

	if (x->n == XATTRS_MAX)
		return -E2BIG;
	if (x->n == x->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		x->v = v;
		x->cap = cap;
	}
	r = buf_append(&x->bytes, name);
	if (r == 0)
		r = buf_append(&x->bytes, value);
	if (r < 0)
		return r;
	x->v[x->n++] = (struct xattr_at){ off, name.n, value.n };
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct attr_xattr *x = a, *y = b;

	return slice_cmp(x->name, y->name);
}

static int xattrs_encode(struct xattrs *x, struct buf *set)
{
	_cleanup_free_ struct attr_xattr *v = calloc(x->n, sizeof(*v));

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < x->n; i++) {
		const uint8_t *p = x->bytes.p + x->v[i].off;

		v[i].name = slice(p, x->v[i].n_name);
		v[i].value = slice(p + x->v[i].n_name, x->v[i].n_value);
	}
	qsort(v, x->n, sizeof(*v), by_name);
	return attr_xattrs_encode(v, x->n, set);
}

/* The set of `ino`, into the Attr or into a block that the Attr names. */
static int attr_set_xattrs(struct run *r, uint64_t ino, struct attr *a,
			   struct buf *set)
{
	struct xattrs x = { .n = 0 };
	size_t n;
	int rc;

	buf_init(&x.bytes, 4 * ATTR_XATTRS_MAX);
	rc = cache_snap_xattrs(r->snap, ino, on_xattr, &x);
	if (rc == 0 && x.n) {
		rc = xattrs_encode(&x, set);
		if (rc == 0)
			rc = attr_xattrs_size(buf_slice(set), &n);
		if (rc == 0 && n <= ATTR_XATTRS_INLINE)
			a->xattrs = buf_slice(set);
		else if (rc == 0)
			rc = pack_block(r->pack, LINK_RAW, XINDEX_XATTRS,
					buf_slice(set), &a->xattr_link);
	}
	buf_fini(&x.bytes);
	free(x.v);
	return rc;
}

static struct attr_time from_timespec(struct timespec t)
{
	return (struct attr_time){ t.tv_sec, (uint32_t)t.tv_nsec };
}

/* What the directory (or the inode table, or the commit) says of an inode. */
static int attr_full(struct run *r, const struct cache_snap_inode *i,
		     const struct cache_attr *ca, struct buf *ret)
{
	_cleanup_buf_ struct buf set = { 0 };
	struct attr a = {
		.ino = ca->ino,
		.mode = ca->mode,
		.uid = ca->uid,
		.gid = ca->gid,
		.size = ca->size,
		.mtime = from_timespec(ca->mtime),
		.ctime = from_timespec(ca->ctime),
		.btime = from_timespec(ca->btime),
		.atime = from_timespec(ca->atime),
		.nlink = ca->nlink,
		.rdev = (uint64_t)major(ca->rdev) << 32 | minor(ca->rdev),
	};
	int rc = 0;

	buf_init(&set, ATTR_XATTRS_MAX);
	if (i->xattrs)
		rc = attr_set_xattrs(r, ca->ino, &a, &set);
	return rc < 0 ? rc : attr_encode(&a, ret);
}

static int attr_name_only(const struct cache_attr *ca, struct buf *ret)
{
	const struct attr a = { .ino = ca->ino,
				.mode = ca->mode & S_IFMT,
				.shared = true };

	return attr_encode(&a, ret);
}

/* The hint in a link: content bytes of a file (docs/format.md). */
static uint64_t tsize_of(const struct cache_attr *ca)
{
	return S_ISREG(ca->mode) ? ca->size : 0;
}

/* ---- directories ---- */

struct dir_run {
	struct run *run;
	struct dir_builder *b;
};

static int on_child(void *ctx, struct slice name, const struct cache_snap_inode *child)
{
	static const struct link nothing = { .kind = LINK_IDENTITY,
					     .codec = LINK_RAW };
	struct dir_run *d = ctx;
	struct cache_attr ca = child->attr;
	_cleanup_buf_ struct buf attr = { 0 };
	struct link l;
	int rc;

	buf_init(&attr, ATTR_ENCODED_MAX);
	if (child->shared) {
		rc = attr_name_only(&ca, &attr);
		return rc < 0 ? rc :
				dir_builder_add(d->b, name, &nothing, 0,
						buf_slice(&attr));
	}
	keep_size(d->run, ca.ino, &ca.size);
	rc = link_of(d->run, child, &l);
	if (rc == 0)
		rc = attr_full(d->run, child, &ca, &attr);
	return rc < 0 ? rc :
			dir_builder_add(d->b, name, &l, tsize_of(&ca),
					buf_slice(&attr));
}

/* An entry that its directory has to say anew what it is: what is dirty, and
 * what was built in this run. */
static bool wants(void *ctx, struct slice name, uint64_t ino, uint64_t pos)
{
	struct dir_run *d = ctx;
	bool changed = run_is_dirty(d->run, ino);

	if (keep_is_out(d->run, ino))
		return false;
	return dir_builder_wants(d->b, name, ino, pos, changed);
}

/* All names of a directory, or those that its builder asks for again. */
static int dir_round(struct dir_run *d, uint64_t ino)
{
	struct cache_snap *snap = d->run->snap;
	const uint64_t *pos;
	size_t n = dir_builder_places(d->b, &pos);
	int rc = 0;

	if (n == 0)
		return cache_snap_children(snap, ino, wants, on_child, d);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = cache_snap_children_at(snap, ino, pos[i], wants, on_child, d);
	return rc;
}

static int dir_build(struct run *r, uint64_t ino, struct slice link)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct dir_run d = { .run = r };
	struct dag_root root;
	int rc;

	rc = dir_builder_new(&dag_profile_sealed,
			     pack_sealer(r->pack, ino == CACHE_ROOT_INO ?
							  XINDEX_ROOT :
							  XINDEX_DIR),
			     &b);
	if (rc == 0)
		rc = dir_builder_set_large(b, LARGE_BYTES, &r->o->memos->key,
					   memos_find(r, ino, link));
	if (rc < 0)
		return rc;
	d.b = b;
	do {
		if (atomic_load(&r->o->stop))
			return -ECANCELED;
		rc = dir_round(&d, ino);
		if (rc == 0)
			rc = dir_builder_finish(b, &root, r->err);
	} while (rc == 1);
	if (rc == 0)
		rc = memos_keep(r, ino, b, &root.link);
	return rc < 0 ? rc : result_add(r, ino, 0, &root.link);
}

static int deepest_first(const void *a, const void *b)
{
	const struct plan_dir *x = a, *y = b;

	return x->depth > y->depth ? -1 : x->depth < y->depth;
}

/* A directory that is here only by name keeps the DAG that it has. */
static int dir_build_here(struct run *r, uint64_t ino)
{
	uint8_t link[LINK_ENCODED_MAX];
	struct cache_snap_inode i;
	size_t n;
	int rc = cache_snap_inode(r->snap, ino, &i);

	if (rc < 0 || !i.loaded)
		return rc;
	n = i.link.n <= sizeof(link) ? i.link.n : 0;
	if (n)
		memcpy(link, i.link.p, n);
	return dir_build(r, ino, slice(link, n));
}

int tree_dirs(struct run *r)
{
	int rc = 0;

	if (r->n_dirs)
		qsort(r->dirs, r->n_dirs, sizeof(*r->dirs), deepest_first);
	for (size_t i = 0; i < r->n_dirs && rc == 0; i++) {
		if (atomic_load(&r->o->stop))
			return -ECANCELED;
		rc = dir_build_here(r, r->dirs[i].ino);
	}
	return rc;
}

/* ---- symlinks ---- */

/*
 * The target of one that was never read here, when a lost piece had its block: from
 * wherever that can still be read.  1: nowhere; the old link stays, for the piece may
 * be found again.
 */
static int symlink_fetch(struct run *r, uint64_t ino,
			 uint8_t target[static CACHE_LINK_MAX + 1], size_t *ret_n)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct onboard *o = r->o;
	struct cache_snap_inode i;
	struct err why = { "" };
	struct slice found;
	struct link old;
	struct cursor c;
	int rc;

	buf_init(&body, DAG_NODE_MAX);
	rc = cache_snap_inode(r->snap, ino, &i);
	if (rc < 0)
		return rc;
	c = cursor(i.link);
	rc = link_decode(&c, &old);
	if (rc < 0)
		return rc;
	rc = o->p.nodes.body(o->p.nodes.ctx, &old, &body, &why);
	if (rc == 0)
		rc = symlink_parse(buf_slice(&body), true, &found);
	if (rc == 0 && (!found.n || found.n > CACHE_LINK_MAX))
		rc = -EPROTO;
	if (rc == 0) {
		memcpy(target, found.p, found.n);
		*ret_n = found.n;
		return 0;
	}
	if (!reseal_is_gone(rc))
		return err_set(r->err, rc, "%s", why.text);
	rc = reseal_note(r, ino, i.attr.size, &old);
	if (rc == 0)
		rc = result_add(r, ino, i.attr.size, &old);
	return rc < 0 ? rc : 1;
}

static int symlink_build(struct run *r, uint64_t ino)
{
	uint8_t target[CACHE_LINK_MAX + 1];
	_cleanup_buf_ struct buf node = { 0 };
	struct link l;
	size_t n = 0;
	int rc;

	buf_init(&node, 2 * sizeof(target));
	rc = cache_snap_target(r->snap, ino, target, sizeof(target), &n);
	if (rc == 0 && n == 0)
		rc = symlink_fetch(r, ino, target, &n);
	if (rc)
		return MIN(rc, 0);
	rc = unixfs_symlink_encode(slice(target, n), &node);
	if (rc == 0)
		rc = pack_block(r->pack, LINK_DAGPB, XINDEX_SYMLINK,
				buf_slice(&node), &l);
	return rc < 0 ? rc : result_add(r, ino, n, &l);
}

int tree_symlinks(struct run *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->symlinks.n && rc == 0; i++)
		rc = symlink_build(r, r->symlinks.v[i]);
	return rc;
}

/* ---- the inode table ---- */

struct table {
	struct run *run;
	struct dir_builder *b;
	struct ino_map here; /* shared inodes that the cache knows, or lost, or
				were met */
	struct inos shared;
};

static int on_shared(void *ctx, uint64_t ino)
{
	struct table *t = ctx;
	int rc = ino_map_put(&t->here, ino, 0);

	return rc < 0 ? rc : inos_add(&t->shared, ino);
}

static int on_lost(void *ctx, uint64_t ino)
{
	struct table *t = ctx;

	return ino_map_put(&t->here, ino, 0);
}

static int table_row(struct table *t, uint64_t ino)
{
	_cleanup_buf_ struct buf attr = { 0 };
	struct cache_snap_inode i;
	char name[INODE_NAME_SIZE];
	struct cache_attr ca;
	struct link l;
	int rc;

	rc = cache_snap_inode(t->run->snap, ino, &i);
	if (rc < 0)
		return rc;
	ca = i.attr;
	keep_size(t->run, ino, &ca.size);
	buf_init(&attr, ATTR_ENCODED_MAX);
	rc = link_of(t->run, &i, &l);
	if (rc == 0)
		rc = attr_full(t->run, &i, &ca, &attr);
	if (rc < 0)
		return rc;
	(void)snprintf(name, sizeof(name), "%016llx", (unsigned long long)ino); /* fits */
	return dir_builder_add(t->b, slice_str(name), &l, tsize_of(&ca),
			       buf_slice(&attr));
}

/* A row of the table before that nobody here has asked for yet. */
static int on_base_row(void *ctx, const struct dir_item *item)
{
	struct table *t = ctx;
	struct attr a;
	size_t at;
	int rc;

	rc = attr_decode(item->attr, &a);
	if (rc < 0 || ino_map_get(&t->here, a.ino, &at))
		return rc;
	if (t->run->mending) /* it may be met again */
		rc = ino_map_put(&t->here, a.ino, 0);
	return rc < 0 ? rc :
			dir_builder_add(t->b, item->name, &item->link,
					item->tsize, item->attr);
}

/*
 * The rows of a table of which lost pieces had a part: of every shard that can still
 * be read.  Those that nobody here has asked for and that are in none went with them.
 */
static int table_walk(struct table *t, const struct link *l, unsigned level)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct onboard *o = t->run->o;
	struct err why = { "" };
	struct dir_node node;
	struct dir_item item;
	struct dir_iter it;
	int rc;

	if (atomic_load(&o->stop))
		return -ECANCELED;
	buf_init(&body, DAG_NODE_MAX);
	rc = o->p.nodes.body(o->p.nodes.ctx, l, &body, &why);
	if (rc == 0)
		rc = dir_node_parse(buf_slice(&body), true, level, &node);
	if (reseal_is_gone(rc))
		return 0;
	if (rc < 0)
		return err_set(t->run->err, rc, "%s", why.text);
	dir_iter_init(&it, &node);
	while ((rc = dir_next(&it, &item)) == 1) {
		rc = item.is_subshard ? table_walk(t, &item.link, level + 1) :
					on_base_row(t, &item);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int table_rows(struct table *t, const struct link *base)
{
	struct onboard *o = t->run->o;
	int rc;

	rc = cache_snap_shared(t->run->snap, on_shared, t);
	if (rc == 0)
		rc = cache_snap_removed(t->run->snap, on_lost, t);
	if (rc == 0 && base->kind != LINK_NONE)
		rc = o->p.nodes.list(o->p.nodes.ctx, base, on_base_row, t,
				     t->run->err);
	if (t->run->mending && reseal_is_gone(rc)) {
		t->run->err->text[0] = '\0';
		rc = table_walk(t, base, 0);
	}
	for (size_t i = 0; i < t->shared.n && rc == 0; i++)
		if (!keep_is_out(t->run, t->shared.v[i]))
			rc = table_row(t, t->shared.v[i]);
	return rc;
}

int tree_inode_table(struct run *r, const struct link *base, struct link *ret)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct table t = { .run = r };
	struct dag_root root;
	int rc;

	if (!r->table_dirty) {
		*ret = *base;
		return 0;
	}
	rc = dir_builder_new(&dag_profile_sealed,
			     pack_sealer(r->pack, XINDEX_INODES), &b);
	if (rc < 0)
		return rc;
	t.b = b;
	rc = table_rows(&t, base);
	if (rc == 0)
		rc = dir_builder_finish(b, &root, r->err);
	if (rc == 0)
		*ret = root.link;
	ino_map_fini(&t.here);
	free(t.shared.v);
	return rc;
}

int tree_root_attr(struct run *r, struct buf *ret)
{
	struct cache_snap_inode i;
	struct cache_attr ca;
	int rc;

	rc = cache_snap_inode(r->snap, CACHE_ROOT_INO, &i);
	if (rc < 0)
		return rc;
	ca = i.attr;
	return attr_full(r, &i, &ca, ret);
}
