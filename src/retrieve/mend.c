#include "retrieve/mend.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cache/cache.h"
#include "crypto/seal.h"
#include "dag/attr.h"
#include "dag/file.h"
#include "dag/hamt.h"

#define GAPS_AT_ONCE 8192 /* 2 KiB each */
#define NOTE_MAX     160
#define LINE_ROOM    128 /* bytes for the last line of the report */

/* A directory that is to be read. */
struct mend_todo {
	struct mend_todo *next;
	uint64_t ino;
	struct link link;
	char path[];
};

void mend_init(struct mend *m, const struct survey *s)
{
	*m = (struct mend){ .r = s->r, .survey = s };
	buf_init(&m->report, MEND_REPORT_MAX);
}

static void dir_fini(struct mend_dir *d)
{
	free(d->path);
	free(d->parts);
	free(d->drop[0].v);
	free(d->drop[1].v);
}

void mend_fini(struct mend *m)
{
	struct mend_todo *t;

	while ((t = m->todo)) {
		m->todo = t->next;
		free(t);
	}
	for (size_t i = 0; i < m->n_dirs; i++)
		dir_fini(&m->dirs[i]);
	free(m->dirs);
	free(m->by_ino);
	free(m->orphans);
	digest_set_fini(&m->here);
	ino_set_fini(&m->inos);
	ino_set_fini(&m->table);
	buf_fini(&m->report);
}

/* ---- the report ---- */

static int say(struct buf *b, const char *what, const char *path, const char *note)
{
	int r = buf_printf(b, "%-9s /", what);

	for (; r == 0 && *path; path++) {
		uint8_t c = (uint8_t)*path;

		if (c < ' ' || c == 0x7f || c == '\\')
			r = buf_printf(b, "\\%03o", c);
		else
			r = buf_u8(b, c);
	}
	return r < 0 ? r : buf_printf(b, "%s%s\n", *note ? ": " : "", note);
}

void mend_say(struct mend *m, bool fault, const char *what, const char *path,
	      const char *note)
{
	size_t n = m->report.n;
	int r = 0;

	m->n_faults += fault;
	if (m->n_unsaid || n > MEND_REPORT_MAX - LINE_ROOM)
		m->n_unsaid++;
	else
		r = say(&m->report, what, path, note);
	if (r == -EMSGSIZE) {
		m->report.n = n;
		m->n_unsaid++;
	} else if (r < 0) {
		m->failed = r;
	}
}

/* ---- which inodes the tree has ---- */

static int on_row(void *ctx, const struct dir_item *item)
{
	struct mend *m = ctx;
	struct attr a;
	int r = attr_decode(item->attr, &a);

	if (r < 0 || !a.ino || a.ino > INO_SET_MAX)
		return r < 0 ? r : -EPROTO;
	m->max_ino = MAX(m->max_ino, a.ino);
	r = ino_set_add(&m->table, a.ino, true);
	return r < 0 ? r : 0;
}

int mend_table(struct mend *m, const struct link *table)
{
	struct err e = { "" };
	int r;

	ino_set_fini(&m->table);
	if (table->kind == LINK_NONE)
		return 0;
	r = remote_dir(m->r, table, on_row, m, &e);
	if (r < 0)
		ino_set_fini(&m->table);
	return r;
}

static int inos_add(struct mend_inos *v, uint64_t ino)
{
	size_t cap = v->cap ? 2 * v->cap : 16;
	uint64_t *p = v->v;

	if (v->n == v->cap) {
		p = realloc(p, cap * sizeof(*p));
		if (!p)
			return -ENOMEM;
		v->v = p;
		v->cap = cap;
	}
	v->v[v->n++] = ino;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

bool mend_drops(const struct mend_inos *v, uint64_t ino)
{
	return v->n && bsearch(&ino, v->v, v->n, sizeof(*v->v), by_number);
}

/* ---- a directory, as far as it goes ---- */

struct shard_read {
	struct remote *r;
	const struct mend_read *to;
	struct mend_part at;    /* what is being read */
	unsigned from;          /* the level at which it began */
	struct digest_set seen; /* nodes so far: none of them stands twice */
};

static struct dir_way way_to(const struct shard_read *s)
{
	struct dir_way w = { .from = s->from, .depth = s->at.depth };

	for (unsigned i = s->from; i < w.depth; i++)
		w.at[i] = s->at.at[i];
	return w;
}

/* A shard that is not the one of this place tells nothing of it. */
static int read_shard(struct shard_read *s, const struct link *l)
{
	_cleanup_buf_ struct buf body = { 0 };
	const struct dir_way way = way_to(s);
	struct dir_node node;
	struct dir_item item;
	struct dir_iter it;
	int rc;

	rc = l->kind == LINK_SEALED ? digest_set_add(&s->seen, l->digest) : 1;
	if (rc == 0)
		return s->to->lost(s->to->ctx, &s->at);
	buf_init(&body, SEAL_BODY_MAX);
	if (rc > 0)
		rc = remote_body(s->r, l, &body, NULL);
	if (rc == 0)
		rc = dir_node_parse(buf_slice(&body), true, s->at.depth, &node);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		return s->to->lost(s->to->ctx, &s->at);
	dir_iter_init(&it, &node);
	while ((rc = dir_next(&it, &item)) == 1) {
		if (!item.is_subshard) {
			if (!dir_way_leads_to(&way, &node, item.name))
				return s->to->lost(s->to->ctx, &s->at);
			rc = s->to->entry(s->to->ctx, &item);
		} else if (s->at.depth + 1 < MEND_LEVELS) {
			s->at.at[s->at.depth++] = (uint8_t)item.index;
			rc = read_shard(s, &item.link);
			s->at.depth--;
		}
		if (rc)
			return rc;
	}
	return rc;
}

int mend_dir_read(struct remote *r, const struct link *dir, unsigned level,
		  const struct mend_read *to)
{
	struct shard_read s = {
		.r = r, .to = to, .at = { .depth = (uint8_t)level }, .from = level
	};
	int rc = read_shard(&s, dir);

	digest_set_fini(&s.seen);
	return rc;
}

static bool in_part(const struct mend_part *p, const uint64_t hash[2])
{
	unsigned bits = hamt_bits(256), levels = hamt_levels(bits);

	for (unsigned i = 0; i < p->depth; i++)
		if (hamt_index(hash[i / levels], bits, i) != p->at[i])
			return false;
	return true;
}

bool mend_is_lost(const struct mend_dir *d, struct slice name)
{
	const uint64_t hash[2] = { hamt_hash(name, 0), hamt_hash(name, 1) };

	for (size_t i = 0; i < d->n_parts; i++)
		if (in_part(&d->parts[i], hash))
			return true;
	return false;
}

static int is_lost(void *ctx, const struct mend_part *part)
{
	(void)ctx;
	(void)part;
	return -ENODATA;
}

/* ---- content: is it at a store? ---- */

/* 1, 0, or -ENOMEM. */
static int content_here(struct mend *m, const struct link *l, unsigned depth)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct file_node node;
	struct file_child c;
	struct file_iter it;
	int r;

	if (l->kind != LINK_SEALED)
		return 1;
	if (depth > FILE_DEPTH_MAX || !remote_has(m->r, l->place.piece))
		return 0;
	if (l->codec == LINK_RAW || digest_set_has(&m->here, l->digest))
		return 1;
	buf_init(&body, SEAL_BODY_MAX);
	r = remote_body(m->r, l, &body, NULL);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (file_node_parse(buf_slice(&body), l->codec, true, &node) < 0)
		return 1; /* a symlink's target */
	file_iter_init(&it, &node);
	while ((r = file_iter_next(&it, &c)) == 1) {
		r = c.hole ? 1 : content_here(m, &c.link, depth + 1);
		if (r <= 0)
			return r;
	}
	if (r < 0)
		return 0;
	if (m->here.n < MEND_HERE_MAX)
		r = digest_set_add(&m->here, l->digest);
	return r < 0 ? r : 1;
}

/* ---- the walk ---- */

struct visit {
	struct mend *m;
	uint64_t ino;
	const struct link *link;
	const char *path;
	size_t dir;      /* of m->dirs; SIZE_MAX: nothing to mend so far */
	unsigned from;   /* 0: the tree's own, 1: an older version */
	uint64_t n_kept; /* entries that stand here */
};

/* The record of the directory that is being read. */
static int visit_dir(struct visit *v, struct mend_dir **ret)
{
	struct mend *m = v->m;
	size_t cap = m->cap_dirs ? 2 * m->cap_dirs : 16;
	struct mend_dir *p = m->dirs;

	if (v->dir == SIZE_MAX) {
		if (m->n_dirs == MEND_DIRS_MAX)
			return -EMSGSIZE;
		if (m->n_dirs == m->cap_dirs) {
			p = realloc(p, cap * sizeof(*p));
			if (!p)
				return -ENOMEM;
			m->dirs = p;
			m->cap_dirs = cap;
		}
		p += m->n_dirs;
		*p = (struct mend_dir){ .ino = v->ino,
					.link = *v->link,
					.path = strdup(v->path) };
		if (!p->path)
			return -ENOMEM;
		v->dir = m->n_dirs++;
	}
	*ret = &m->dirs[v->dir];
	return 0;
}

static int on_lost_part(void *ctx, const struct mend_part *part)
{
	struct visit *v = ctx;
	struct mend_part *p;
	struct mend_dir *d;
	int r = visit_dir(v, &d);

	if (r < 0)
		return r;
	if (d->n_parts == MEND_PARTS_MAX)
		return -EMSGSIZE;
	p = realloc(d->parts, (d->n_parts + 1) * sizeof(*p));
	if (!p)
		return -ENOMEM;
	d->parts = p;
	d->parts[d->n_parts++] = *part;
	v->m->n_lost += !d->pending;
	d->pending = true;
	return 0;
}

static char *path_of(const struct visit *v, struct slice name)
{
	size_t n = strlen(v->path);
	char *p = malloc(n + name.n + 2);

	if (!p)
		return NULL;
	memcpy(p, v->path, n);
	if (n)
		p[n++] = '/';
	memcpy(p + n, name.p, name.n);
	p[n + name.n] = '\0';
	return p;
}

static int push(struct mend *m, uint64_t ino, const struct link *l, const char *path)
{
	size_t n = strlen(path) + 1;
	struct mend_todo *t;

	if (m->n_todo == MEND_DIRS_MAX)
		return -EMSGSIZE;
	t = malloc(sizeof(*t) + n);
	if (!t)
		return -ENOMEM;
	t->ino = ino;
	t->link = *l;
	memcpy(t->path, path, n);
	t->next = m->todo;
	m->todo = t;
	m->n_todo++;
	return 0;
}

/* A set over 256 bytes stands in a block of its own. */
static int check_xattrs(struct visit *v, const struct attr *a, const char *path)
{
	_cleanup_buf_ struct buf set = { 0 };
	struct mend_dir *d;
	int r;

	if (a->xattr_link.kind == LINK_NONE)
		return 0;
	buf_init(&set, SEAL_BODY_MAX);
	r = remote_body(v->m->r, &a->xattr_link, &set, NULL);
	if (r == 0 || r == -ENOMEM)
		return r;
	mend_say(v->m, true, "xattrs", path, "its extended attributes are lost");
	return visit_dir(v, &d); /* so that it is written without them */
}

/* An inode stands where the tree has it; an older version may disagree. */
static int stands(struct visit *v, const struct attr *a, const char *path)
{
	bool lost = a->shared && !ino_set_has(&v->m->table, a->ino);
	struct mend_dir *d;
	int r = lost ? 0 : ino_set_add(&v->m->inos, a->ino, a->shared);

	if (r)
		return r;
	if (lost)
		mend_say(v->m, true, "left out", path,
			 "its row in the table of hard links is lost");
	else if (!v->m->found_ino) /* of orphans much is only an older state */
		mend_say(v->m, false, "left out", path, "it stands elsewhere now");
	r = visit_dir(v, &d);
	return r < 0 ? r : inos_add(&d->drop[v->from], a->ino);
}

static int on_attr(struct visit *v, const struct dir_item *item,
		   const struct attr *a, const char *path)
{
	int r = stands(v, a, path);

	if (r <= 0)
		return r;
	v->n_kept++;
	v->m->max_ino = MAX(v->m->max_ino, a->ino);
	if (a->shared)
		return 0;
	r = check_xattrs(v, a, path);
	if (r < 0)
		return r;
	if (S_ISDIR(a->mode))
		return push(v->m, a->ino, &item->link, path);
	r = content_here(v->m, &item->link, 0);
	if (r == 0)
		mend_say(v->m, true, "content", path,
			 "some or all of its bytes are at no store");
	return r < 0 ? r : 0;
}

/* What the directory of orphans may not be called. */
static void note_root_name(struct mend *m, const char *name)
{
	static const char stem[] = "lost+found";
	const char *rest = name + sizeof(stem) - 1;
	unsigned long n = 0;

	if (strncmp(name, stem, sizeof(stem) - 1) != 0)
		return;
	if (*rest == '-')
		n = strtoul(rest + 1, NULL, 10);
	if (n < UINT_MAX - 1)
		m->found_tries = MAX(m->found_tries, (unsigned)n + 1);
}

static int on_entry(void *ctx, const struct dir_item *item)
{
	struct visit *v = ctx;
	_cleanup_free_ char *path = NULL;
	struct mend_dir *d;
	struct attr a;
	int r;

	if (v->from == 1 && !mend_is_lost(&v->m->dirs[v->dir], item->name))
		return 0;
	path = path_of(v, item->name);
	if (!path)
		return -ENOMEM;
	if (!*v->path)
		note_root_name(v->m, path);
	r = attr_decode(item->attr, &a);
	if (r == 0 && a.ino && a.ino <= INO_SET_MAX)
		return on_attr(v, item, &a, path);
	/* Sealed with our keys, and yet not what we write. */
	mend_say(v->m, true, "left out", path, "its attributes make no sense");
	return visit_dir(v, &d);
}

static int visit_next(struct mend *m)
{
	struct mend_todo *t = m->todo;
	struct visit v = { m, t->ino, &t->link, t->path, SIZE_MAX, 0, 0 };
	const struct mend_read to = { on_entry, on_lost_part, &v };
	int r;

	m->todo = t->next;
	m->n_todo--;
	m->n_seen++;
	r = mend_dir_read(m->r, &t->link, 0, &to);
	free(t);
	return r;
}

/* ---- gaps ---- */

static void say_gap(struct mend *m, const struct mend_gap *g)
{
	const struct mend_dir *d = &m->dirs[g->dir];
	bool whole = d->parts[0].depth == 0;
	char note[NOTE_MAX];

	if (g->older.kind == LINK_NONE) {
		mend_say(m, true, whole ? "emptied" : "thinned", d->path,
			 whole ? "the folder is lost, and there is no older version of it" :
				 "a part of the folder is lost, and there is no older version of it");
		return;
	}
	(void)snprintf(note, sizeof(note),
		       "%s is lost; what commit %" PRIu64
		       " or one before had there takes its place",
		       whole ? "the folder" : "a part of the folder",
		       g->sequence); /* fits */
	mend_say(m, true, "replaced", d->path, note);
}

/* What the older version has in the gap is looked through as all else. */
static int fill_gap(struct mend *m, const struct mend_gap *g)
{
	_cleanup_free_ char *path = strdup(m->dirs[g->dir].path);
	struct visit v = { m, g->ino, &g->older, path, g->dir, 1, 0 };
	/* Nothing of it was lost a moment ago; if it is now, it stays away. */
	const struct mend_read to = { on_entry, is_lost, &v };
	int r;

	if (!path)
		return -ENOMEM;
	say_gap(m, g);
	m->dirs[g->dir].pending = false;
	m->dirs[g->dir].older = g->older;
	if (g->older.kind == LINK_NONE)
		return 0;
	r = mend_dir_read(m->r, &g->older, 0, &to);
	return r == -ENODATA ? 0 : r;
}

/* Some of them: the rest comes with the next call. */
static int fill_gaps(struct mend *m, size_t n_pending)
{
	size_t n = 0, max = MIN(n_pending, (size_t)GAPS_AT_ONCE);
	_cleanup_free_ struct mend_gap *v = calloc(max, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_dirs && n < max; i++)
		if (m->dirs[i].pending)
			v[n++] = (struct mend_gap){ .ino = m->dirs[i].ino,
						    .dir = i };
	r = mend_older(m, v, n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = fill_gap(m, &v[i]);
	return r;
}

/* ---- the plan ---- */

static int by_path(const void *a, const void *b)
{
	const struct mend_dir *x = a, *y = b;

	return slice_cmp(slice_str(x->path), slice_str(y->path));
}

struct mend_dir *mend_find(const struct mend *m, uint64_t ino)
{
	size_t lo = 0, hi = m->n_dirs, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (m->dirs[m->by_ino[mid]].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < m->n_dirs && m->dirs[m->by_ino[lo]].ino == ino ?
		       &m->dirs[m->by_ino[lo]] :
		       NULL;
}

static int by_ino(const void *a, const void *b, void *ctx)
{
	const struct mend_dir *dirs = ctx;
	uint64_t x = dirs[*(const size_t *)a].ino, y = dirs[*(const size_t *)b].ino;

	return x < y ? -1 : x > y;
}

int mend_finish(struct mend *m)
{
	if (m->n_unsaid && !m->failed)
		m->failed = buf_printf(&m->report, "and %" PRIu64 " more\n",
				       m->n_unsaid);
	if (m->failed)
		return m->failed;
	m->by_ino = calloc(m->n_dirs + 1, sizeof(*m->by_ino));
	if (!m->by_ino)
		return -ENOMEM;
	if (!m->n_dirs)
		return 0;
	qsort(m->dirs, m->n_dirs, sizeof(*m->dirs), by_path);
	for (size_t i = 0; i < m->n_dirs; i++) {
		m->by_ino[i] = i;
		for (size_t k = 0; k < ARRAY_LEN(m->dirs[i].drop); k++) {
			struct mend_inos *v = &m->dirs[i].drop[k];

			if (v->n)
				qsort(v->v, v->n, sizeof(*v->v), by_number);
		}
	}
	qsort_r(m->by_ino, m->n_dirs, sizeof(*m->by_ino), by_ino, m->dirs);
	return 0;
}

/* Until every gap is filled, and every filling looked through. */
int mend_plan_on(struct mend *m, struct err *reterr)
{
	size_t n_pending = 0;
	int r = 0;

	do {
		while (m->todo && r == 0)
			r = visit_next(m);
		n_pending = 0;
		for (size_t i = 0; i < m->n_dirs; i++)
			n_pending += m->dirs[i].pending;
		if (n_pending && r == 0)
			r = fill_gaps(m, n_pending);
	} while (n_pending && r == 0);
	if (r == -EMSGSIZE)
		return err_set(reterr, r,
			       "there is more to mend than this program holds in memory");
	return r;
}

int mend_plan(struct mend *m, const struct link *root, struct err *reterr)
{
	int r;

	m->max_ino = MAX(m->max_ino, CACHE_ROOT_INO);
	r = ino_set_add(&m->inos, CACHE_ROOT_INO, false);
	if (r >= 0)
		r = push(m, CACHE_ROOT_INO, root, "");
	return r < 0 ? r : mend_plan_on(m, reterr);
}

int mend_adopt(struct mend *m, uint64_t ino, const struct link *l,
	       unsigned level, const char *path, bool *ret_any)
{
	struct visit v = { m, ino, l, path, SIZE_MAX, 0, 0 };
	const struct mend_read to = { on_entry, on_lost_part, &v };
	struct mend_dir *d;
	int r = 0;

	if (level) { /* to be written anew: it is no directory as it is */
		r = visit_dir(&v, &d);
		if (r == 0)
			d->level = level;
	}
	if (r == 0)
		r = mend_dir_read(m->r, l, level, &to);
	*ret_any = v.n_kept > 0;
	if (r == 0 && !v.n_kept && v.dir != SIZE_MAX)
		dir_fini(&m->dirs[--m->n_dirs]); /* nothing came after it */
	return r;
}
