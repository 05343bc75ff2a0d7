/*
 * redirty.c - what the DAG was to have is lost: what is here is dirty again
 *
 * Nothing of the file changes, neither its bytes nor its times.  Its clean blocks
 * get the generation of now, so that they are never evicted and go into the next
 * snapshot as if they had been written.
 */
#include "cache/internal.h"

/*
 * Rows from *at on that are clean, as they would be had they been written now;
 * so many as are found at once, so that nobody waits for long.  1: there may be
 * more, from *at on.
 */
static int touch_rows(struct cache *c, struct inode *i, uint64_t *at, uint64_t end)
{
	_cleanup_runs_ struct runs runs = { 0 };
	bool all;
	int r;

	r = extent_from(c, i->ino, *at, &runs, &all);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		struct run run = runs.v[k];

		if (run.block >= end)
			return 0;
		run.n = MIN(run.n, end - run.block);
		*at = run.block + run.n;
		/* no name more: the new row is for the old one */
		if (run.seg == 0 || run.seg == RUN_BAD_SEG ||
		    !seg_can_share(c, &run, 0) || run.dgen > i->clean_gen)
			continue;
		run.dgen = c->gen;
		r = extent_set(c, i, run.block, run.n, &run, 1);
	}
	return r < 0 ? r : !all && *at < end;
}

/* Bytes [off, off + n), from block *at on; 1: not all of them yet. */
static int redirty(struct cache *c, uint64_t ino, uint64_t *at, uint64_t off,
		   uint64_t n)
{
	struct inode *i;
	uint64_t end;
	int r, more = 0;

	r = inode_get(c, ino, &i);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (S_ISREG(i->mode) && off < i->size && n) {
		end = off + MIN(n, i->size - off);
		more = touch_rows(c, i, at, (end + CACHE_BLOCK - 1) / CACHE_BLOCK);
		if (more < 0)
			return more;
	}
	i->dgen = c->gen;
	if (!c->dirty_since_ms) {
		c->dirty_since_ms = monotonic_ms();
		c->tell_dirtied = true;
	}
	inode_change(c, i);
	return more;
}

int cache_redirty(struct cache *c, uint64_t ino, uint64_t off, uint64_t n)
{
	uint64_t at = off / CACHE_BLOCK;
	int r;

	do {
		r = op_begin(c, OP_FREES);
		if (r < 0)
			return r;
		r = op_end(c, redirty(c, ino, &at, off, n));
	} while (r == 1);
	return r;
}
