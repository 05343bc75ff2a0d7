/*
 * redirty.c - what the DAG was to have is lost: what is here is dirty again
 *
 * Nothing of the file changes, neither its bytes nor its times.  Its clean blocks
 * get the generation of now, so that they are never evicted and go into the next
 * snapshot as if they had been written.
 */
#include "cache/internal.h"

#define STEP (64ull << 20) /* bytes under one hold of the lock */

/* Rows that are clean, as they would be had they been written now. */
static int touch_blocks(struct cache *c, struct inode *i, uint64_t block, uint64_t n)
{
	_cleanup_runs_ struct runs runs = { 0 };
	int r;

	r = extent_find(c, i->ino, block, n, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		struct run run = runs.v[k];

		if (run.seg == 0 || run.seg == RUN_BAD_SEG ||
		    !seg_can_share(c, &run) || run.dgen > i->clean_gen)
			continue;
		run.dgen = c->gen;
		r = extent_set(c, i, run.block, run.n, &run, 1);
	}
	return r;
}

/* 1: the file goes on behind the range. */
static int redirty(struct cache *c, uint64_t ino, uint64_t off, uint64_t n)
{
	uint64_t first = off / CACHE_BLOCK, end;
	struct inode *i;
	int r;

	r = inode_get(c, ino, &i);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISREG(i->mode) && off < i->size && n) {
		end = (off + MIN(n, i->size - off) + CACHE_BLOCK - 1) / CACHE_BLOCK;
		r = touch_blocks(c, i, first, end - first);
		if (r < 0)
			return r;
	}
	i->dgen = c->gen;
	if (!c->dirty_since_ms) {
		c->dirty_since_ms = monotonic_ms();
		c->tell_dirtied = true;
	}
	inode_change(c, i);
	return S_ISREG(i->mode) && off < i->size && n < i->size - off;
}

int cache_redirty(struct cache *c, uint64_t ino, uint64_t off, uint64_t n)
{
	uint64_t step;
	int r;

	/* in steps, so that nobody waits for long */
	do {
		step = MIN(n, STEP - off % STEP);
		r = op_begin(c, OP_FREES);
		if (r < 0)
			return r;
		r = op_end(c, redirty(c, ino, off, step));
		off += step;
		n -= step;
	} while (r == 1 && n);
	return r < 0 ? r : 0;
}
