/*
 * space.c - the accountant: who may take room, and what goes to make some
 *
 * Room is counted in slots and bytes of the outbox against max_bytes, and against
 * the disk's free space less reserve_free_bytes and a floor for drive.db and its
 * WAL.  What only frees (unlink, truncate, commit) never asks.
 *
 * Over 90 % dirty, writers are paused, the longer the fuller (CACHE_MISS_ROOM,
 * parked by fetch.c); with no room at all they wait for full_timeout_ms and then
 * get ENOSPC.  Clean blocks that the DAG has (I2) are evicted first, by a clock
 * over the extents that spares inodes in use.
 */
#include "cache/internal.h"

#include <string.h>

#include "base/io.h"

#define META_FLOOR   (64ull << 20) /* bytes of the disk for drive.db and WAL */
#define LOOK_MS      500           /* how old the disk's free space may be */
#define PAUSE_MAX_MS 200
#define SPARE_MS     10000 /* inodes used since are evicted last */

static uint64_t slots_used(struct cache *c, uint64_t *ret_solid_free)
{
	uint64_t used;

	lock_take(&c->segs.lock);
	used = c->segs.used;
	*ret_solid_free = c->segs.solid_free;
	lock_drop(&c->segs.lock);
	return used;
}

static void look_at_disk(struct cache *c)
{
	uint64_t now = monotonic_ms();

	if (c->disk_looked_ms && now - c->disk_looked_ms < LOOK_MS)
		return;
	c->disk_looked_ms = now;
	/* a disk that does not tell is found out by its ENOSPC */
	if (io_space(c->p.io, &c->disk_free, &c->disk_total) < 0)
		c->disk_free = c->disk_total = UINT64_MAX / 2;
}

/* Bytes that may still be taken: of the limit, and of the disk. */
static uint64_t room(struct cache *c, uint64_t *ret_limit)
{
	uint64_t solid, limit, taken, kept, free_bytes;
	uint64_t used = slots_used(c, &solid);

	look_at_disk(c);
	limit = c->p.max_bytes ? c->p.max_bytes : UINT64_MAX / 2;
	kept = c->p.reserve_free_bytes + META_FLOOR;
	free_bytes = c->disk_free > kept ? c->disk_free - kept : 0;
	if (solid > c->buf.n) /* room on the disk that we hold already */
		free_bytes += (solid - c->buf.n) * CACHE_BLOCK;
	taken = (used + c->buf.n) * CACHE_BLOCK + c->outbox_bytes;
	*ret_limit = MIN(limit, taken + free_bytes);
	return *ret_limit > taken ? *ret_limit - taken : 0;
}

static uint64_t clean_blocks(const struct cache *c)
{
	return c->row_blocks - c->dirty_blocks;
}

/* ---- eviction ---- */

struct eviction {
	uint64_t want, done; /* blocks */
	bool all;            /* inodes in use, too */
};

static int evict_run(struct cache *c, struct eviction *e, uint64_t ino,
		     struct run run)
{
	struct inode *i = inode_peek(c, ino);
	uint64_t used_ms = i ? i->used_ms : 0;
	int r;

	if (!e->all && used_ms && monotonic_ms() - used_ms < SPARE_MS)
		return 0;
	r = inode_get(c, ino, &i);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	i->used_ms = used_ms;
	if (!i->n_link || !run_is_clean(i, &run))
		return 0;
	run.n = MIN(run.n, e->want - e->done);
	r = extent_set(c, i, run.block, run.n, NULL, 0);
	if (r == 0)
		e->done += run.n;
	return r;
}

/* One page of rows from the clock's hand on.  1: it came round. */
static int evict_page(struct cache *c, struct eviction *e)
{
	struct db_stmt *s = st(c, STMT_extent_scan);
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t inos[64] = { 0 };
	size_t n = 0;
	int r;

	db_bind_u64(s, 1, c->evict_ino);
	db_bind_u64(s, 2, c->evict_block);
	while (n < ARRAY_LEN(inos) && (r = c_sql(c, db_step(s))) > 0) {
		struct run run = { .block = db_col_u64(s, 1),
				   .n = db_col_u64(s, 2),
				   .seg = (uint32_t)db_col_u64(s, 3),
				   .dgen = db_col_u64(s, 6) };

		c->evict_ino = db_col_u64(s, 0);
		c->evict_block = run.block;
		inos[n] = c->evict_ino;
		r = runs_add(&runs, &run);
		if (r < 0)
			break;
		n++;
	}
	db_reset(s);
	if (r < 0)
		return r;
	for (size_t k = 0; k < runs.n && e->done < e->want; k++) {
		if (runs.v[k].seg == 0)
			continue;
		r = evict_run(c, e, inos[k], runs.v[k]);
		if (r < 0)
			return r;
	}
	if (n < ARRAY_LEN(inos)) {
		c->evict_ino = c->evict_block = 0;
		return 1;
	}
	return 0;
}

int evict_blocks(struct cache *c, uint64_t n_blocks)
{
	struct eviction e = { .want = n_blocks };
	int r = 0;

	for (int pass = 0; pass < 3 && e.done < e.want && clean_blocks(c); pass++) {
		e.all = pass > 0;
		while (e.done < e.want && (r = evict_page(c, &e)) == 0)
			;
		if (r < 0)
			return r;
	}
	return e.done > 0;
}

int cache_evict(struct cache *c, uint64_t target)
{
	uint64_t solid, used;
	int r = op_begin(c, OP_FREES);

	if (r < 0)
		return r;
	used = slots_used(c, &solid);
	if (used * CACHE_BLOCK > target)
		r = evict_blocks(c, used - target / CACHE_BLOCK);
	if (r > 0)
		r = commit_now(c, false);
	return op_end(c, r);
}

/* ---- asking ---- */

/* Evict ahead, so that the freed slots are there when they are needed. */
static void evict_ahead(struct cache *c, uint64_t n, uint64_t left, uint64_t limit)
{
	uint64_t want = n + limit / 20, waiting;

	lock_take(&c->segs.lock);
	waiting = c->segs.waiting * CACHE_BLOCK;
	lock_drop(&c->segs.lock);
	if (left < want && waiting && c->changed)
		commit_demand(c);
	left += waiting; /* evicted already */
	if (left >= want || !clean_blocks(c))
		return;
	/* what cannot be evicted shows as a full cache */
	if (evict_blocks(c, (want - left) / CACHE_BLOCK + 1) > 0)
		commit_demand(c);
}

bool space_has_room(struct cache *c, uint64_t n_bytes)
{
	uint64_t limit, left = room(c, &limit);

	evict_ahead(c, n_bytes, left, limit);
	return left >= n_bytes;
}

/* How long a writer pauses: from 0 at 90 % dirty to the maximum at 100 %. */
static uint64_t pause_ms(struct cache *c, uint64_t limit)
{
	uint64_t dirty = (c->dirty_blocks + c->buf.n) * CACHE_BLOCK;
	uint64_t all = limit > c->outbox_bytes ? limit - c->outbox_bytes : 1;
	uint64_t high = all - all / 10;

	if (dirty <= high)
		return 0;
	return MIN(PAUSE_MAX_MS,
		   1 + (dirty - high) * PAUSE_MAX_MS / MAX(all - high, 1));
}

int space_ask(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t n)
{
	uint64_t limit, pause, left = room(c, &limit);
	uint64_t now;

	evict_ahead(c, n, left, limit);
	if (left < n) {
		now = monotonic_ms();
		if (!c->full_since_ms)
			c->full_since_ms = now;
		if (now - c->full_since_ms >= c->p.full_timeout_ms)
			return -ENOSPC;
		/* what open transactions have freed is free after a commit */
		if (c->changed)
			commit_demand(c);
		return miss(op, CACHE_MISS_ROOM, ino, 0, n);
	}
	c->full_since_ms = 0;
	pause = c->p.source ? pause_ms(c, limit) : 0;
	if (pause == 0)
		return 0;
	if (c->credit_bytes >= n) {
		c->credit_bytes -= n;
		return 0;
	}
	return miss(op, CACHE_MISS_ROOM, ino, pause, n);
}

/* ---- telling ---- */

void cache_account_outbox(struct cache *c, uint64_t bytes)
{
	lock_take(&c->lock);
	c->outbox_bytes = bytes;
	lock_drop(&c->lock);
}

int cache_statfs(struct cache *c, struct cache_statfs *ret)
{
	uint64_t limit, left;

	lock_take(&c->lock);
	left = room(c, &limit) + clean_blocks(c) * CACHE_BLOCK;
	ret->blocks = limit / CACHE_BLOCK;
	ret->free = MIN(left, limit) / CACHE_BLOCK;
	/* There is no limit of ours; 2^32 more are what a person can picture. */
	ret->files_free = UINT32_MAX;
	ret->files = c->inodes.in_db + c->inodes.n_dirty + ret->files_free;
	lock_drop(&c->lock);
	return 0;
}

void cache_stats(struct cache *c, struct cache_stats *ret)
{
	uint64_t solid;

	memset(ret, 0, sizeof(*ret));
	lock_take(&c->lock);
	ret->dirty_bytes = (c->dirty_blocks + c->buf.n) * CACHE_BLOCK;
	ret->dirty_inodes = c->dirty_inodes;
	list_foreach(p, &c->inodes.dirty) {
		struct inode *i = container_of(p, struct inode, node);

		ret->dirty_inodes += !i->queued && i->nlink && inode_is_dirty(i);
	}
	if (!ret->dirty_inodes && !ret->dirty_bytes)
		c->dirty_since_ms = 0;
	ret->dirty_since_ms = c->dirty_since_ms;
	ret->used_bytes = slots_used(c, &solid) * CACHE_BLOCK;
	ret->clean_bytes = clean_blocks(c) * CACHE_BLOCK;
	ret->max_bytes = c->p.max_bytes;
	ret->inodes = c->inodes.in_db;
	ret->commits = c->commits;
	ret->failed = c->failed;
	memcpy(ret->why, c->why, sizeof(ret->why));
	lock_drop(&c->lock);
}
