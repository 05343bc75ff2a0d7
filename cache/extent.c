/*
 * extent.c - which slots hold which blocks of which inode
 *
 * One function changes extents: extent_set() replaces all rows in a range of
 * blocks.  It keeps the counts of slots, of dirty blocks and of the inode's
 * blocks, and changes them only when its SQL has succeeded.
 *
 * What the absence of a row means: inside the inode's link_size the bytes are as
 * the link has them (fetch them); outside they are zeros.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void runs_fini(struct runs *r)
{
	if (r->v != r->few)
		free(r->v);
	r->v = NULL;
	r->n = r->cap = 0;
}

int runs_add(struct runs *r, const struct run *one)
{
	if (!r->v) {
		r->v = r->few;
		r->cap = ARRAY_LEN(r->few);
	}
	if (r->n == r->cap) {
		size_t cap = r->cap * 2;
		struct run *old = r->v == r->few ? NULL : r->v;
		struct run *v = realloc(old, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (r->v == r->few)
			memcpy(v, r->few, sizeof(r->few));
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n++] = *one;
	return 0;
}

static void read_run(struct db_stmt *s, struct run *ret)
{
	ret->block = db_col_u64(s, 0);
	ret->n = db_col_u64(s, 1);
	ret->seg = (uint32_t)db_col_u64(s, 2);
	ret->slot = (uint32_t)db_col_u64(s, 3);
	ret->sgen = db_col_u64(s, 4);
	ret->dgen = db_col_u64(s, 5);
}

/* The part of r in [block, end); its n is 0 if there is none. */
static struct run clip(struct run r, uint64_t block, uint64_t end)
{
	uint64_t from = MAX(r.block, block), to = MIN(r.block + r.n, end);

	if (from >= to) {
		r.n = 0;
		return r;
	}
	if (r.seg && r.seg != RUN_BAD_SEG)
		r.slot += (uint32_t)(from - r.block);
	r.block = from;
	r.n = to - from;
	return r;
}

/* Unclipped, and with the row in front of the range.  `end`: the statement's ?3. */
static int find_raw(struct db_stmt *s, uint64_t ino, uint64_t block,
		    uint64_t end, struct runs *ret)
{
	struct run one;
	int r;

	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, block);
	db_bind_u64(s, 3, end);
	while ((r = db_step(s)) > 0) {
		read_run(s, &one);
		r = runs_add(ret, &one);
		if (r < 0)
			break;
	}
	db_reset(s);
	return r;
}

int extent_find_on(struct db_stmt *s, uint64_t ino, uint64_t block, uint64_t n,
		   struct runs *ret)
{
	size_t to = 0;
	int r = find_raw(s, ino, block, block + n, ret);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ret->n; i++) {
		struct run one = clip(ret->v[i], block, block + n);

		if (one.n)
			ret->v[to++] = one;
	}
	ret->n = to;
	return 0;
}

int extent_find(struct cache *c, uint64_t ino, uint64_t block, uint64_t n,
		struct runs *ret)
{
	return c_sql(c, extent_find_on(st(c, STMT_extent_overlap), ino, block,
				       n, ret));
}

int extent_from(struct cache *c, uint64_t ino, uint64_t block, struct runs *ret,
		bool *ret_all)
{
	size_t to = 0;
	int r = find_raw(st(c, STMT_extent_from), ino, block, EXTENT_FROM_MAX, ret);

	if (r < 0)
		return c_sql(c, r);
	*ret_all = ret->n < EXTENT_FROM_MAX;
	for (size_t i = 0; i < ret->n; i++) {
		struct run one = clip(ret->v[i], block, UINT64_MAX);

		if (one.n)
			ret->v[to++] = one;
	}
	ret->n = to;
	return 0;
}

static uint64_t link_blocks(const struct inode *i)
{
	return (i->link_size + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

bool run_is_clean(const struct inode *i, const struct run *r)
{
	return r->dgen <= i->clean_gen && r->block + r->n <= link_blocks(i);
}

uint64_t extent_dirty_part(const struct inode *i, const struct run *r)
{
	uint64_t inside;

	if (r->seg == 0)
		return 0;
	if (r->dgen > i->clean_gen)
		return r->n;
	inside = clip(*r, 0, link_blocks(i)).n;
	return r->n - inside;
}

static int put(struct cache *c, uint64_t ino, const struct run *r)
{
	struct db_stmt *s = st(c, STMT_extent_put);

	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, r->block);
	db_bind_u64(s, 3, r->n);
	db_bind_u64(s, 4, r->seg);
	db_bind_u64(s, 5, r->slot);
	db_bind_u64(s, 6, r->sgen);
	db_bind_u64(s, 7, r->dgen);
	return c_sql(c, db_run(s));
}

static int del(struct cache *c, uint64_t ino, uint64_t block, uint64_t end)
{
	struct db_stmt *s = st(c, STMT_extent_del);

	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, block);
	db_bind_u64(s, 3, end);
	return c_sql(c, db_run(s));
}

/* b goes on where a ends, in the same slots' row. */
static bool joins(const struct run *a, const struct run *b)
{
	return a->block + a->n == b->block && a->seg == b->seg &&
	       a->sgen == b->sgen && a->dgen == b->dgen &&
	       a->slot + (a->seg ? a->n : 0) == b->slot;
}

/*
 * The rows that replace `old` (unclipped) around and in [block, end): what is
 * left at both edges and the new ones, joined where possible.
 */
static int plan(const struct runs *old, uint64_t block, uint64_t end,
		const struct run *v, size_t n_v, struct runs *ret)
{
	struct run one;
	int r = 0;

	for (size_t i = 0; i < old->n && r == 0; i++) {
		one = clip(old->v[i], 0, block);
		if (one.n)
			r = runs_add(ret, &one);
	}
	for (size_t i = 0; i < n_v && r == 0; i++) {
		if (ret->n && joins(&ret->v[ret->n - 1], &v[i]))
			ret->v[ret->n - 1].n += v[i].n;
		else
			r = runs_add(ret, &v[i]);
	}
	for (size_t i = 0; i < old->n && r == 0; i++) {
		one = clip(old->v[i], end, UINT64_MAX);
		if (one.n)
			r = runs_add(ret, &one);
	}
	return r;
}

static bool same_row(const struct run *a, const struct run *b)
{
	return a->block == b->block && a->n == b->n && a->seg == b->seg &&
	       a->slot == b->slot && a->sgen == b->sgen && a->dgen == b->dgen;
}

/* Stands in front of the range and stays as it is. */
static bool kept(const struct runs *old, const struct runs *new, size_t i,
		 uint64_t block)
{
	return i < old->n &&
	       new->v[i].block < block &&same_row(&new->v[i], &old->v[i]);
}

static int write_rows(struct cache *c, uint64_t ino, uint64_t block, uint64_t end,
		      const struct runs *old, const struct runs *new)
{
	bool inside = false, savepoint;
	size_t n_put = 0;
	int r = 0;

	for (size_t i = 0; i < old->n; i++)
		inside |= old->v[i].block >= block;
	for (size_t i = 0; i < new->n; i++)
		n_put += !kept(old, new, i, block);
	/* one old row replaced in place needs no delete */
	if (inside && old->n == 1 && new->n >= 1 && new->v[0].block == old->v[0].block)
		inside = false;
	savepoint = inside + n_put > 1;
	if (savepoint)
		r = c_sql(c, db_savepoint(c->db));
	if (r < 0)
		return r;
	if (inside)
		r = del(c, ino, block, end);
	for (size_t i = 0; i < new->n &&r == 0; i++) {
		if (!kept(old, new, i, block))
			r = put(c, ino, &new->v[i]);
	}
	if (savepoint && r == 0)
		r = c_sql(c, db_release(c->db));
	else if (savepoint)
		db_rollback_to(c->db);
	return r;
}

/* Data blocks of a range that these rows cover, and blocks that any covers. */
struct tally {
	uint64_t data, room, covered_link, dirty;
};

static struct tally count(const struct inode *i, const struct run *v, size_t n,
			  uint64_t block, uint64_t end)
{
	struct tally t = { 0 };

	for (size_t k = 0; k < n; k++) {
		struct run one = clip(v[k], block, end);

		if (!one.n)
			continue;
		t.dirty += extent_dirty_part(i, &one);
		t.covered_link += clip(one, 0, link_blocks(i)).n;
		if (one.seg)
			t.data += one.n;
		else if (run_is_promise(&one))
			t.room += one.n;
	}
	return t;
}

int extent_set(struct cache *c, struct inode *i, uint64_t block, uint64_t n,
	       const struct run *v, size_t n_v)
{
	_cleanup_runs_ struct runs old = { 0 }, new = { 0 };
	uint64_t end = block + n;
	struct tally was, is;
	int r;

	r = c_sql(c, find_raw(st(c, STMT_extent_overlap), i->ino, block, end, &old));
	if (r == 0)
		r = plan(&old, block, end, v, n_v, &new);
	if (r == 0)
		r = seg_reserve_unref(c, old.n + 1);
	if (r == 0)
		r = write_rows(c, i->ino, block, end, &old, &new);
	if (r < 0)
		return r;

	was = count(i, old.v, old.n, block, end);
	is = count(i, v, n_v, block, end);
	/* absent blocks inside the link count as data */
	i->blocks += is.data + is.room + was.covered_link;
	i->blocks -= MIN(i->blocks, was.data + was.room + is.covered_link);
	if (is.room)
		i->flags |= INODE_ROOM;
	c->reserved += is.room - was.room;
	c->row_blocks += is.data - was.data;
	c->dirty_blocks += is.dirty - was.dirty;
	for (size_t k = 0; k < n_v; k++) {
		if (v[k].seg)
			seg_ref(c, &v[k]);
	}
	for (size_t k = 0; k < old.n; k++) {
		struct run one = clip(old.v[k], block, end);

		if (one.n && one.seg)
			seg_unref(c, &one);
	}
	op_changed(c);
	return 0;
}
