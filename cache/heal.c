/*
 * heal.c - what is damaged on the disk and whole in the DAG is fetched again
 *
 * A clean block that does not open any more (its slot was hit, or the disk cannot
 * read it) is forgotten: without a row it is as the link has it.  What the DAG
 * does not have stays as it is, for nothing else has anything of it: reading it
 * is an I/O error until it is written anew, and it is told (cache_stats()).
 */
#include "cache/internal.h"

#include "base/log.h"

/* The blocks of one row.  So many were forgotten, or -errno. */
static int heal_run(struct cache *c, struct inode *i, const struct run *run)
{
	uint8_t text[CACHE_BLOCK];
	bool can = run->seg != RUN_BAD_SEG && run_is_clean(i, run) &&
		   i->n_link && c->p.source;
	int n = 0, r;

	for (uint64_t k = 0; k < run->n && run->seg; k++) {
		r = run->seg == RUN_BAD_SEG ? -EIO : seg_read(c, run, k, 1, text);
		if (r != -EBADMSG && r != -EIO)
			continue;
		if (!can) {
			c->n_damaged++;
			continue;
		}
		r = extent_set(c, i, run->block + k, 1, NULL, 0);
		if (r < 0)
			return r;
		c->n_healed++;
		n++;
	}
	return n;
}

int heal_blocks(struct cache *c, struct inode *i, uint64_t block, uint64_t n_blocks)
{
	_cleanup_runs_ struct runs runs = { 0 };
	int n = 0, r;

	r = extent_find(c, i->ino, block, n_blocks, &runs);
	for (size_t k = 0; k < runs.n && r >= 0; k++) {
		r = heal_run(c, i, &runs.v[k]);
		n += r > 0 ? r : 0;
	}
	if (n)
		log_warn("inode %llu: %d blocks are damaged on the disk, and fetched again",
			 (unsigned long long)i->ino, n);
	return r < 0 ? r : n;
}

int heal_range(struct cache *c, uint64_t ino, uint64_t block, uint64_t n_blocks)
{
	struct inode *i;
	int r;

	r = op_begin(c, OP_FREES);
	if (r < 0)
		return r;
	r = inode_get(c, ino, &i);
	if (r == 0)
		r = heal_blocks(c, i, block, n_blocks);
	return op_end(c, r);
}
