/*
 * entries.c - where fetched entries of directories go
 *
 * What is here stays: an inode that exists keeps its attributes.  A directory
 * counts as loaded when its last entry is in; until then a part of them may be
 * here, and whoever begins anew forgets their names.
 *
 * Of a large directory FETCH_RUN bytes are in memory at a time.
 */
#include "cache/fetch.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

#define ENTRIES_AT_ONCE 256 /* under one hold of the lock */
#define XATTRS_MAX      1024

/* ---- entries in memory ---- */

static int encode_bytes(struct buf *b, struct slice s)
{
	int r = buf_le32(b, (uint32_t)s.n);

	return r < 0 ? r : buf_append(b, s);
}

int entry_encode(struct buf *b, const struct source_entry *e)
{
	int r;

	if (e->n_xattrs > XATTRS_MAX || e->link.n > FETCH_LINK_MAX)
		return -EPROTO;
	r = buf_append(b, slice(e->attr, sizeof(*e->attr)));
	if (r == 0)
		r = buf_u8(b, e->shared);
	if (r == 0)
		r = encode_bytes(b, e->name);
	if (r == 0)
		r = encode_bytes(b, e->link);
	if (r == 0)
		r = buf_le32(b, (uint32_t)e->n_xattrs);
	for (size_t k = 0; k < e->n_xattrs && r == 0; k++) {
		r = encode_bytes(b, e->xattrs[k].name);
		if (r == 0)
			r = encode_bytes(b, e->xattrs[k].value);
	}
	return r;
}

struct entry {
	struct cache_attr attr;
	bool shared;
	struct slice name, link;
	uint32_t n_xattrs; /* that follow in the cursor */
};

static struct slice take(struct cursor *cur)
{
	return cursor_take(cur, cursor_le32(cur));
}

static void decode(struct cursor *cur, struct entry *e)
{
	cursor_copy(cur, &e->attr, sizeof(e->attr));
	e->shared = cursor_u8(cur);
	e->name = take(cur);
	e->link = take(cur);
	e->n_xattrs = cursor_le32(cur);
}

/* ---- entries in the database ---- */

static int put_xattrs(struct cache *c, uint64_t ino, uint32_t n, struct cursor *cur)
{
	struct db_stmt *s = st(c, STMT_xattr_put);
	int r = 0;

	for (uint32_t k = 0; k < n; k++) {
		struct slice name = take(cur), value = take(cur);

		if (!ino || r < 0)
			continue;
		if (name.n == 0 || name.n > CACHE_NAME_MAX ||
		    value.n > CACHE_XATTR_MAX)
			return -EPROTO;
		db_bind_u64(s, 1, ino);
		db_bind_blob(s, 2, name);
		db_bind_blob(s, 3, value);
		r = c_sql(c, db_run(s));
	}
	return r;
}

/* An inode that the DAG describes, unless it is here. */
static int put_inode(struct cache *c, uint64_t parent, const struct entry *e,
		     bool shared, struct cursor *cur)
{
	bool dir = S_ISDIR(e->attr.mode);
	struct inode *i;
	int r = inode_get(c, e->attr.ino, &i);

	if (r == 0) {
		/* one directory has one name; a second would make a circle */
		if (dir && i->parent != parent)
			return -EPROTO;
		return put_xattrs(c, 0, e->n_xattrs, cur);
	}
	if (r != -ENOENT)
		return r;
	if ((e->attr.size > CACHE_FILE_MAX && S_ISREG(e->attr.mode)) ||
	    (e->attr.size > CACHE_LINK_MAX && S_ISLNK(e->attr.mode)))
		return -EPROTO;
	r = put_xattrs(c, e->attr.ino, e->n_xattrs, cur);
	if (r == 0)
		r = inode_new(c, e->attr.ino, &i);
	if (r < 0)
		return r;
	inode_from_attr(i, &e->attr);
	i->parent = shared ? 0 : parent;
	if (shared)
		i->flags |= INODE_SHARED;
	if (e->n_xattrs)
		i->flags |= INODE_XATTR;
	if (S_ISREG(e->attr.mode) && e->attr.size)
		i->flags |= INODE_HOLES;
	if (!i->nlink)
		i->nlink = dir ? 2 : 1;
	/* a link costs 131 bytes; without it the inode would be empty */
	r = inode_set_link(i, e->link);
	if (r < 0) {
		i->nlink = 0;
		i->flags = 0;
		best_effort(inode_delete(c, i)); /* has no rows */
		return r;
	}
	counts_have(i);
	return 0;
}

static bool sane(const struct entry *e)
{
	uint32_t t = e->attr.mode & S_IFMT;

	return e->attr.ino > CACHE_ROOT_INO && e->attr.ino < UINT64_MAX / 2 &&
	       (t == S_IFREG || t == S_IFDIR || t == S_IFLNK || t == S_IFIFO ||
		t == S_IFCHR || t == S_IFBLK || t == S_IFSOCK);
}

static int put_dentry(struct cache *c, uint64_t parent, const struct entry *e)
{
	struct db_stmt *s = st(c, STMT_dentry_fetched);
	int r;

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, e->name);
	db_bind_u64(s, 3, e->attr.ino);
	db_bind_u64(s, 4, e->attr.mode & S_IFMT);
	db_bind_u64(s, 5, c->next_pos);
	r = c_sql(c, db_run(s));
	if (r < 0)
		return r;
	c->next_pos++;
	c->state_changed = true;
	op_changed(c);
	return 0;
}

/* One that fits the request; its xattrs follow in the cursor. */
static int next_entry(const struct job *j, struct cursor *cur, struct entry *e)
{
	bool dir = j->req.kind == SOURCE_DIR;
	int r;

	decode(cur, e);
	r = cursor_ok(cur);
	if (r < 0 || !sane(e) || (dir && name_check(e->name) < 0) ||
	    (!dir && e->attr.ino != j->req.ino))
		return -EPROTO;
	return 0;
}

static void number_used(struct cache *c, uint64_t ino)
{
	if (ino >= c->next_ino) {
		c->next_ino = ino + 1;
		c->state_changed = true;
	}
}

/* The directory, if it still waits for these entries.  1: it does not. */
static int waiting_dir(struct cache *c, const struct job *j, struct inode **ret)
{
	int r = inode_get(c, j->req.ino, ret);

	if (r < 0)
		return r == -ENOENT ? 1 : r;
	return ((*ret)->flags & INODE_LOADED) ||
	       !slice_eq(slice((*ret)->link, (*ret)->n_link), j->req.link);
}

/* Names of a try that did not end; 1: there may be more. */
static int clear_names(struct cache *c, uint64_t dir)
{
	struct db_stmt *s = st(c, STMT_dentry_clear);
	int r;

	db_bind_u64(s, 1, dir);
	db_bind_u64(s, 2, ENTRIES_AT_ONCE);
	r = c_sql(c, db_run(s));
	return r < 0 ? r : db_changes(c->db) > 0;
}

/* An entry as it stands in the job's memory. */
struct found {
	uint64_t ino;
	const uint8_t *p;
};

static struct slice name_of(const struct found *f)
{
	const uint8_t *p = f->p + sizeof(struct cache_attr) + 1;

	return slice(p + 4, get_le32(p));
}

static int by_ino(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int by_name(const void *a, const void *b)
{
	return slice_cmp(name_of(a), name_of(b));
}

static int find_entries(const struct job *j, struct found *v)
{
	struct cursor cur = cursor(buf_slice(&j->entries));
	struct entry e;
	int r;

	for (size_t n = 0; n < j->n_entries; n++) {
		v[n].p = cur.p;
		r = next_entry(j, &cur, &e);
		if (r < 0)
			return r;
		v[n].ino = e.attr.ino;
		for (uint32_t k = 0; k < 2 * e.n_xattrs; k++)
			(void)take(&cur); /* judged when they are put */
	}
	return cursor_done(&cur) < 0 ? -EPROTO : 0;
}

enum step {
	CLEAR,
	INODES,
	NAMES
};

static int place_one(struct cache *c, const struct job *j,
		     const struct found *f, enum step step)
{
	struct slice all = buf_slice(&j->entries);
	struct cursor cur = cursor(slice(f->p, all.n - (size_t)(f->p - all.p)));
	struct entry e;
	int r = next_entry(j, &cur, &e);

	if (r < 0)
		return r;
	if (step == NAMES)
		return put_dentry(c, j->req.ino, &e);
	number_used(c, e.attr.ino);
	if (e.shared) /* comes when asked for */
		return put_xattrs(c, 0, e.n_xattrs, &cur);
	return put_inode(c, j->req.ino, &e, false, &cur);
}

/* Some of them, under one hold of the lock.  1: there is nothing left to do. */
static int place_some(struct cache *c, struct job *j, const struct found *v,
		      size_t *at, enum step step)
{
	struct inode *i;
	int r = waiting_dir(c, j, &i);

	if (r == 0 && step == CLEAR) {
		r = clear_names(c, j->req.ino);
		return r < 0 ? r : r == 0;
	}
	for (int n = 0; r == 0 && n < ENTRIES_AT_ONCE && *at < j->n_entries; n++)
		r = place_one(c, j, &v[(*at)++], step);
	return r ? r : *at == j->n_entries;
}

static int place_step(struct cache *c, struct job *j, const struct found *v,
		      enum step step)
{
	size_t at = 0;
	int r = 0;

	while (r == 0) {
		r = op_begin(c, 0);
		if (r < 0)
			return r == -EROFS ? -EIO : r;
		r = place_some(c, j, v, &at, step);
		r = op_end(c, r);
		atomic_store(&j->heard_ms, monotonic_ms());
	}
	return r < 0 ? r : 0;
}

static int dir_loaded(struct cache *c, struct job *j)
{
	struct inode *i;
	int r = op_begin(c, 0);

	if (r < 0)
		return r == -EROFS ? -EIO : r;
	r = waiting_dir(c, j, &i);
	if (r == 0) {
		i->flags |= INODE_LOADED;
		inode_change(c, i);
	}
	r = op_end(c, r);
	return r < 0 ? r : 0;
}

/*
 * They come in the order of their hashes.  Rows of inodes are put in the order of
 * their numbers and names in theirs, so that each page of a table is read and
 * written once, not once for each of its rows.
 */
int fetch_place_dir(struct cache *c, struct job *j, bool last)
{
	_cleanup_free_ struct found *v = calloc(MAX(j->n_entries, 1), sizeof(*v));
	int r = v ? find_entries(j, v) : -ENOMEM;

	if (r == 0 && !j->begun)
		r = place_step(c, j, v, CLEAR);
	j->begun = true;
	if (r == 0 && j->n_entries) {
		qsort(v, j->n_entries, sizeof(*v), by_ino);
		r = place_step(c, j, v, INODES);
	}
	if (r == 0 && j->n_entries) {
		qsort(v, j->n_entries, sizeof(*v), by_name);
		r = place_step(c, j, v, NAMES);
	}
	buf_reset(&j->entries);
	j->n_entries = 0;
	return r == 0 && last ? dir_loaded(c, j) : r;
}

int fetch_place_inode(struct cache *c, struct job *j)
{
	struct cursor cur = cursor(buf_slice(&j->entries));
	struct entry e;
	int r;

	if (cur.n == 0)
		return -EREMOTEIO;
	r = op_begin(c, 0);
	if (r < 0)
		return r == -EROFS ? -EIO : r;
	while (r == 0 && cur.n > 0) {
		r = next_entry(j, &cur, &e);
		if (r == 0)
			r = put_inode(c, j->req.ino, &e, true, &cur);
		if (r == 0)
			number_used(c, e.attr.ino);
	}
	return op_end(c, r);
}
