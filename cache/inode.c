/*
 * inode.c - inodes in memory, and how they come from and go to drive.db
 *
 * Every inode in use is a struct inode in a hash table.  Changes are made there
 * and written to the rows by the group commit (or before, when many gather), so
 * that a write costs no SQL for its size and times.  Unchanged ones are forgotten
 * in the order of their last use.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define INODES_KEPT 16384 /* unchanged ones in memory */
#define FLUSH_AT    512   /* changed ones in memory */

struct timespec now_real(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return t;
}

static size_t bucket(const struct cache *c, uint64_t ino)
{
	return (size_t)((ino * 0x9e3779b97f4a7c15ull) >> 32) &
	       (c->inodes.n_buckets - 1);
}

static int table_grow(struct cache *c)
{
	size_t n = c->inodes.n_buckets ? c->inodes.n_buckets * 2 : 4096;
	size_t old = c->inodes.n_buckets;
	struct inode **from = c->inodes.v;
	struct inode **v;

	if (c->inodes.n < old)
		return 0;
	v = calloc(n, sizeof(*v));
	if (!v)
		return old ? 0 : -ENOMEM;
	c->inodes.v = v;
	c->inodes.n_buckets = n;
	for (size_t b = 0; b < old; b++) {
		while (from[b]) {
			struct inode *i = from[b];
			size_t to = bucket(c, i->ino);

			from[b] = i->chain;
			i->chain = v[to];
			v[to] = i;
		}
	}
	free(from);
	return 0;
}

static struct inode *find(struct cache *c, uint64_t ino)
{
	struct inode *i;

	if (!c->inodes.n_buckets)
		return NULL;
	i = c->inodes.v[bucket(c, ino)];
	while (i && i->ino != ino)
		i = i->chain;
	return i;
}

struct inode *inode_peek(struct cache *c, uint64_t ino)
{
	return find(c, ino);
}

static void inode_free(struct inode *i)
{
	free(i->link);
	free(i->target);
	free(i);
}

static void remove_from_table(struct cache *c, struct inode *i)
{
	struct inode **p = &c->inodes.v[bucket(c, i->ino)];

	while (*p != i)
		p = &(*p)->chain;
	*p = i->chain;
	c->inodes.n--;
	if (i->changed)
		c->inodes.n_dirty--;
	list_del(&i->node);
}

static int copy_bytes(uint8_t **p, uint32_t *n, struct slice s)
{
	uint8_t *q = NULL;

	if (s.n) {
		q = malloc(s.n);
		if (!q)
			return -ENOMEM;
		memcpy(q, s.p, s.n);
	}
	free(*p);
	*p = q;
	*n = (uint32_t)s.n;
	return 0;
}

int inode_set_link(struct inode *i, struct slice link)
{
	return copy_bytes(&i->link, &i->n_link, link);
}

int inode_set_target(struct inode *i, struct slice target)
{
	return copy_bytes(&i->target, &i->n_target, target);
}

static struct timespec col_time(struct db_stmt *s, int col)
{
	return (struct timespec){ .tv_sec = db_col_i64(s, col),
				  .tv_nsec = (long)db_col_i64(s, col + 1) };
}

/* All but link and target, from column `col` on. */
void inode_read_row(struct db_stmt *s, int col, struct inode *i)
{
	i->ino = db_col_u64(s, col);
	i->mode = (uint32_t)db_col_u64(s, col + 1);
	i->uid = (uint32_t)db_col_u64(s, col + 2);
	i->gid = (uint32_t)db_col_u64(s, col + 3);
	i->nlink = (uint32_t)db_col_u64(s, col + 4);
	i->rdev = db_col_u64(s, col + 5);
	i->size = db_col_u64(s, col + 6);
	i->blocks = db_col_u64(s, col + 7);
	i->atime = col_time(s, col + 8);
	i->mtime = col_time(s, col + 10);
	i->ctime = col_time(s, col + 12);
	i->btime = col_time(s, col + 14);
	i->parent = db_col_u64(s, col + 16);
	i->flags = (uint32_t)db_col_u64(s, col + 17);
	i->mgen = db_col_u64(s, col + 18);
	i->dgen = db_col_u64(s, col + 19);
	i->clean_gen = db_col_u64(s, col + 20);
	i->min_gen = db_col_u64(s, col + 21);
	i->min_size = db_col_u64(s, col + 22);
	i->link_size = db_col_u64(s, col + 23);
}

static struct inode *alloc_inode(uint64_t ino)
{
	struct inode *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->ino = ino;
	list_init(&i->node);
	list_init(&i->bufs);
	return i;
}

static void insert(struct cache *c, struct inode *i)
{
	size_t b = bucket(c, i->ino);

	i->chain = c->inodes.v[b];
	c->inodes.v[b] = i;
	c->inodes.n++;
	list_push(&c->inodes.lru, &i->node);
}

int inode_get(struct cache *c, uint64_t ino, struct inode **ret)
{
	struct db_stmt *s = st(c, STMT_inode_get);
	struct inode *i = find(c, ino);
	int r;

	if (i) {
		i->used_ms = monotonic_ms();
		if (!i->changed) {
			list_del(&i->node);
			list_push(&c->inodes.lru, &i->node);
		}
		*ret = i;
		return 0;
	}
	r = table_grow(c);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, ino);
	r = c_sql(c, db_step(s));
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	i = alloc_inode(ino);
	if (!i) {
		db_reset(s);
		return -ENOMEM;
	}
	inode_read_row(s, 0, i);
	r = inode_set_link(i, db_col_blob(s, 24));
	if (r == 0)
		r = inode_set_target(i, db_col_blob(s, 25));
	db_reset(s);
	if (r < 0) {
		inode_free(i);
		return r;
	}
	i->in_db = true;
	i->queued = inode_is_dirty(i) && i->nlink > 0;
	i->orphan = i->nlink == 0;
	counts_have(i);
	i->used_ms = monotonic_ms();
	insert(c, i);
	*ret = i;
	return 0;
}

int inode_new(struct cache *c, uint64_t ino, struct inode **ret)
{
	struct inode *i;
	int r = table_grow(c);

	if (r < 0)
		return r;
	assert(!find(c, ino));
	i = alloc_inode(ino);
	if (!i)
		return -ENOMEM;
	i->used_ms = monotonic_ms();
	insert(c, i);
	inode_change(c, i);
	*ret = i;
	return 0;
}

void inode_change(struct cache *c, struct inode *i)
{
	if (!i->changed) {
		i->changed = true;
		list_del(&i->node);
		list_push(&c->inodes.dirty, &i->node);
		c->inodes.n_dirty++;
	}
	op_changed(c);
}

bool inode_is_dirty(const struct inode *i)
{
	return MAX(i->mgen, i->dgen) > i->clean_gen;
}

void inode_attr_changed(struct cache *c, struct inode *i, struct timespec now)
{
	i->ctime = now;
	i->mgen = c->gen;
	c->changed_ms = monotonic_ms();
	if (!c->dirty_since_ms) {
		c->dirty_since_ms = c->changed_ms;
		c->tell_dirtied = true;
	}
	inode_change(c, i);
}

void inode_data_changed(struct cache *c, struct inode *i, struct timespec now)
{
	i->mtime = now;
	i->dgen = c->gen;
	inode_attr_changed(c, i, now);
}

static void bind_time(struct db_stmt *s, int col, struct timespec t)
{
	db_bind_i64(s, col, t.tv_sec);
	db_bind_i64(s, col + 1, t.tv_nsec);
}

static int put_row(struct cache *c, const struct inode *i)
{
	struct db_stmt *s = st(c, STMT_inode_put);
	int r;

	db_bind_u64(s, 1, i->ino);
	db_bind_u64(s, 2, i->mode);
	db_bind_u64(s, 3, i->uid);
	db_bind_u64(s, 4, i->gid);
	db_bind_u64(s, 5, i->nlink);
	db_bind_u64(s, 6, i->rdev);
	db_bind_u64(s, 7, i->size);
	db_bind_u64(s, 8, i->blocks);
	bind_time(s, 9, i->atime);
	bind_time(s, 11, i->mtime);
	bind_time(s, 13, i->ctime);
	bind_time(s, 15, i->btime);
	db_bind_u64(s, 17, i->parent);
	db_bind_u64(s, 18, i->flags);
	db_bind_u64(s, 19, i->mgen);
	db_bind_u64(s, 20, i->dgen);
	db_bind_u64(s, 21, i->clean_gen);
	db_bind_u64(s, 22, i->min_gen);
	db_bind_u64(s, 23, i->min_size);
	db_bind_u64(s, 24, i->link_size);
	db_bind_blob(s, 25, slice(i->link, i->n_link));
	db_bind_blob(s, 26, slice(i->target, i->n_target));
	r = db_run(s);
	db_bind_blob(s, 25, SLICE_NONE); /* no stale pointers */
	db_bind_blob(s, 26, SLICE_NONE);
	return c_sql(c, r);
}

static int run_ino(struct cache *c, int which, uint64_t ino)
{
	db_bind_u64(st(c, which), 1, ino);
	return c_sql(c, db_run(st(c, which)));
}

/* Every step may be repeated after a failure of a later one. */
static int flush_one(struct cache *c, struct inode *i)
{
	bool queue = inode_is_dirty(i) && i->nlink > 0;
	int r;

	if (queue && !i->queued) {
		r = run_ino(c, STMT_dirty_add, i->ino);
		if (r < 0)
			return r;
		i->queued = true;
		c->dirty_inodes++;
	} else if (!queue && i->queued) {
		r = run_ino(c, STMT_dirty_del, i->ino);
		if (r < 0)
			return r;
		i->queued = false;
		c->dirty_inodes--;
	}
	if (i->nlink == 0 && !i->orphan) {
		r = run_ino(c, STMT_orphan_add, i->ino);
		if (r < 0)
			return r;
		i->orphan = true;
	}
	if (i->nlink > 0 && i->orphan) { /* linked again (O_TMPFILE) */
		r = run_ino(c, STMT_orphan_del, i->ino);
		if (r < 0)
			return r;
		i->orphan = false;
	}
	r = put_row(c, i);
	if (r < 0)
		return r;
	counts_note(c, i);
	if (!i->in_db)
		c->inodes.in_db++;
	i->in_db = true;
	i->changed = false;
	c->inodes.n_dirty--;
	list_del(&i->node);
	list_push(&c->inodes.lru, &i->node);
	return 0;
}

int inode_flush(struct cache *c, size_t max)
{
	int r;

	while (max-- > 0 && !list_empty(&c->inodes.dirty)) {
		r = flush_one(c, list_first(&c->inodes.dirty, struct inode, node));
		if (r < 0)
			return r;
	}
	return 0;
}

void inode_trim(struct cache *c)
{
	size_t most = 8, n_clean;

	/* a failure shows again, and is returned, at the commit */
	if (c->inodes.n_dirty > FLUSH_AT)
		best_effort(inode_flush(
			c, c->inodes.n_dirty > 2 * FLUSH_AT ? FLUSH_AT : 64));
	n_clean = c->inodes.n - c->inodes.n_dirty;
	if (n_clean > INODES_KEPT + FLUSH_AT) /* many came in one operation */
		most = n_clean - INODES_KEPT;
	for (size_t n = 0; n < most; n++) {
		struct inode *i;

		if (c->inodes.n - c->inodes.n_dirty <= INODES_KEPT)
			return;
		i = list_first(&c->inodes.lru, struct inode, node);
		if (!list_empty(&i->bufs)) {
			list_del(&i->node);
			list_push(&c->inodes.lru, &i->node);
			continue;
		}
		remove_from_table(c, i);
		inode_free(i);
	}
}

void inode_free_all(struct cache *c)
{
	for (size_t b = 0; b < c->inodes.n_buckets; b++) {
		while (c->inodes.v[b]) {
			struct inode *i = c->inodes.v[b];

			c->inodes.v[b] = i->chain;
			inode_free(i);
		}
	}
	free(c->inodes.v);
	c->inodes.v = NULL;
	c->inodes.n_buckets = 0;
}

void inode_fill_attr(const struct inode *i, struct cache_attr *ret)
{
	uint64_t most = (i->size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	uint64_t blocks = i->blocks + i->n_bufs; /* may count some twice */

	*ret = (struct cache_attr){ .ino = i->ino,
				    .mode = i->mode,
				    .uid = i->uid,
				    .gid = i->gid,
				    .nlink = i->nlink,
				    .rdev = i->rdev,
				    .size = i->size,
				    .atime = i->atime,
				    .mtime = i->mtime,
				    .ctime = i->ctime,
				    .btime = i->btime };
	if (S_ISREG(i->mode))
		ret->blocks = MIN(blocks, most) * (CACHE_BLOCK / 512);
}

void inode_from_attr(struct inode *i, const struct cache_attr *a)
{
	i->mode = a->mode;
	i->uid = a->uid;
	i->gid = a->gid;
	i->nlink = a->nlink;
	i->rdev = a->rdev;
	i->size = a->size;
	i->atime = a->atime;
	i->mtime = a->mtime;
	i->ctime = a->ctime;
	i->btime = a->btime;
	i->link_size = 0;
	i->blocks = 0;
	if (S_ISREG(a->mode)) {
		i->link_size = a->size;
		i->blocks = (a->size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	}
}

int inode_delete(struct cache *c, struct inode *i)
{
	int r;

	assert(i->nlink == 0);
	buffer_drop(c, i, 0, UINT64_MAX);
	if (S_ISREG(i->mode)) {
		r = extent_set(c, i, 0, UINT64_MAX / 2 / CACHE_BLOCK, NULL, 0);
		if (r < 0)
			return r;
	}
	if (i->flags & INODE_XATTR) {
		r = run_ino(c, STMT_xattr_clear, i->ino);
		if (r < 0)
			return r;
		i->flags &= ~(uint32_t)INODE_XATTR;
	}
	if (i->flags & INODE_SHARED) {
		db_bind_u64(st(c, STMT_removed_add), 2, c->gen);
		r = run_ino(c, STMT_removed_add, i->ino);
		if (r < 0)
			return r;
	}
	if (i->queued) {
		r = run_ino(c, STMT_dirty_del, i->ino);
		if (r < 0)
			return r;
		i->queued = false;
		c->dirty_inodes--;
	}
	if (i->orphan) {
		r = run_ino(c, STMT_orphan_del, i->ino);
		if (r < 0)
			return r;
		i->orphan = false;
	}
	if (i->in_db) {
		r = run_ino(c, STMT_inode_del, i->ino);
		if (r < 0)
			return r;
		c->inodes.in_db--;
	}
	counts_note(c, i);
	op_changed(c);
	remove_from_table(c, i);
	inode_free(i);
	return 0;
}
