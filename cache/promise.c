/*
 * promise.c - room that fallocate has promised to a file
 *
 * A promise is a row without slots (seg 0, HOLE_ROOM): it reads as zeros like any
 * hole, may lie behind the end of the file, and counts in c->reserved.  So many
 * free slots are kept with room on the disk (slots_promised()), across remounts;
 * the first write to a block takes its slot from there and asks nobody.  What
 * ends a promise: a write, a hole, a truncate, the end of the file.
 *
 *   row        write            c->reserved   who may take the slot
 *   promised   not begun        counts        nobody
 *   promised   being sealed     counts        nobody: it is taken (c->claimed)
 *   hole, data                  no more
 *
 * A block that has data already is promised nothing: writing it again takes a new
 * slot before the old one is free, and may find no room.  But where writes meet
 * inside of a block its first half may have been sealed when the second half comes,
 * which the kernel sends by itself; so a block beside a promise, and the last one of
 * the file, may take of the slots that are kept for who may not fail.
 */
#include "cache/internal.h"

bool run_is_promise(const struct run *r)
{
	return r->seg == 0 && r->slot == HOLE_ROOM;
}

int promise_in(struct cache *c, const struct inode *i, uint64_t off, uint64_t n,
	       uint64_t *ret)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t first = off / CACHE_BLOCK,
		 end = (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	int r;

	*ret = 0;
	if (!(i->flags & INODE_ROOM))
		return 0;
	r = extent_find(c, i->ino, first, end - first, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++)
		*ret += run_is_promise(&runs.v[k]) ? runs.v[k].n : 0;
	return r;
}

int promise_beside(struct cache *c, const struct inode *i, uint64_t block, bool *ret)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t first = block - MIN(block, 1);
	bool has = block * CACHE_BLOCK < i->link_size, beside;
	int r;

	*ret = false;
	if (!(i->flags & INODE_ROOM) || i->size == 0)
		return 0;
	beside = block == (i->size - 1) / CACHE_BLOCK;
	r = extent_find(c, i->ino, first, block + 2 - first, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		const struct run *run = &runs.v[k];

		if (run->block <= block && block - run->block < run->n)
			has = run->seg;
		beside = beside || run_is_promise(run);
	}
	*ret = has && beside;
	return r;
}

/* What is promised in the range is a hole. */
static int end_promises(struct cache *c, struct inode *i, uint64_t off, uint64_t n)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t first = off / CACHE_BLOCK,
		 end = (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	int r;

	r = extent_find(c, i->ino, first, end - first, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		struct run hole = runs.v[k];

		hole.slot = 0;
		if (run_is_promise(&runs.v[k]))
			r = extent_set(c, i, hole.block, hole.n, &hole, 1);
	}
	return r;
}

/* The rows of blocks that follow each other, if there are any. */
static int put_rows(struct cache *c, struct inode *i, const struct runs *rows)
{
	const struct run *last = rows && rows->n ? &rows->v[rows->n - 1] : NULL;
	uint64_t first = last ? rows->v[0].block : 0;

	return last ? extent_set(c, i, first, last->block + last->n - first,
				 rows->v, rows->n) :
		      0;
}

int promise_use(struct cache *c, struct inode *i, uint64_t off, uint64_t n,
		const struct runs *rows)
{
	uint64_t reserved = c->reserved, blocks = i->blocks;
	int r;

	if (!(i->flags & INODE_ROOM))
		return put_rows(c, i, rows);
	r = c_sql(c, db_savepoint(c->db));
	if (r < 0)
		return r;
	r = end_promises(c, i, off, n);
	if (r == 0)
		r = put_rows(c, i, rows);
	if (r == 0) {
		best_effort(db_release(c->db)); /* COMMIT does it, too */
		return 0;
	}
	db_rollback_to(c->db);
	c->reserved = reserved; /* a promise has no slots: no more was counted */
	i->blocks = blocks;
	return c_sql(c, r);
}

int promise_drop_behind(struct cache *c, struct inode *i, uint64_t block,
			uint64_t end)
{
	int r;

	if (!(i->flags & INODE_ROOM) || block >= end)
		return 0;
	r = extent_set(c, i, block, end - block, NULL, 0);
	if (r == 0 && block == 0 && i->size == 0)
		i->flags &= ~(uint32_t)INODE_ROOM;
	return r;
}

/* Add [at, end) where nothing is: what the link has there is not ours. */
static int add_gap(const struct inode *i, uint64_t at, uint64_t end,
		   uint64_t gen, bool over_link, struct runs *ret, uint64_t *n)
{
	uint64_t link = (i->link_size + CACHE_BLOCK - 1) / CACHE_BLOCK;
	struct run one = { .slot = HOLE_ROOM, .dgen = gen };

	one.block = MAX(at, MIN(end, link));
	one.n = end - one.block;
	*n += over_link ? end - at : one.n;
	return one.n ? runs_add(ret, &one) : 0;
}

int promise_make(struct cache *c, struct cache_op *op, struct inode *i,
		 uint64_t off, uint64_t n, bool over_link)
{
	_cleanup_runs_ struct runs runs = { 0 }, add = { 0 };
	uint64_t at = off / CACHE_BLOCK,
		 end = (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK, want = 0;
	int r;

	r = extent_find(c, i->ino, at, end - at, &runs);
	for (size_t k = 0; k <= runs.n && r == 0; k++) {
		uint64_t row = k < runs.n ? runs.v[k].block : end;

		if (row > at)
			r = add_gap(i, at, row, c->gen, over_link, &add, &want);
		if (k == runs.n || r < 0)
			break;
		at = row + runs.v[k].n;
		if (runs.v[k].seg == 0 && !run_is_promise(&runs.v[k])) {
			runs.v[k].slot = HOLE_ROOM;
			want += runs.v[k].n;
			r = runs_add(&add, &runs.v[k]);
		}
	}
	if (r == 0 && want)
		r = space_reserve(c, op, i->ino, want * CACHE_BLOCK);
	if (r == 0 && want) /* on the disk, not only on paper */
		r = seg_make_room(c, slots_kept(c) + want);
	for (size_t k = 0; k < add.n && r == 0; k++)
		r = extent_set(c, i, add.v[k].block, add.v[k].n, &add.v[k], 1);
	return r;
}
