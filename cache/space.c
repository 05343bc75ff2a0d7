/*
 * space.c - the accountant: who may take room, and what goes to make some
 *
 * The limit is max_bytes, or what the disk has if that is less (its free space
 * less reserve_free_bytes).  From it each class takes its part before the next:
 *
 *   metadata   drive.db and WAL; meta_floor_bytes at least, and a quarter of
 *              max_bytes at most: what is more cannot be helped
 *   outbox     outbox_floor_bytes at least (or a quarter, if that is less), more
 *              if there is more in it
 *   pins       slots that are dropped and wait for a commit or a snapshot
 *   writers    dirty data, the write buffer, what fallocate has promised
 *   fetched    clean data; a twentieth stays free for writers
 *
 * What only frees (unlink, truncate, commit) never asks.  data/ is counted as the
 * disk has it: slots in use, free ones that have room, heads of segments.
 *
 * Over 90 % dirty, writers are paused, the longer the fuller (CACHE_MISS_ROOM,
 * parked by fetch.c); with no room at all they wait for as long as sealing and
 * sending come on, or for full_timeout_ms without that, and then get ENOSPC; who comes
 * after that gets it at once, until there is as much as was lacking, or will be with
 * the next commit.  Clean blocks that the DAG has (I2) are evicted first, by a clock
 * over the extents that spares inodes in use.
 */
#include "cache/internal.h"

#include <string.h>

#include "base/io.h"

#define LOOK_MS      500 /* how old the disk's free space may be */
#define PAUSE_MAX_MS 200
#define SPARE_MS     10000 /* inodes used since are evicted last */
#define ALL_USED_MS  1000  /* so long it is believed that all of them are */
#define FULL_LOOK_MS \
 1000 /* between two looks at a full cache; more is no wait */
#define PROMISED_MS 1000 /* full_timeout_ms, where all is promised to files */
#define STEP_MIN    (256ull << 10)
#define STEP_MAX    (64ull << 20)

static uint64_t meta_floor(const struct cache_params *p)
{
	return p->meta_floor_bytes ? p->meta_floor_bytes : CACHE_META_FLOOR;
}

int cache_size_check(uint64_t bytes, uint64_t meta_floor_bytes, struct err *reterr)
{
	uint64_t least =
		4 * (meta_floor_bytes ? meta_floor_bytes : CACHE_META_FLOOR);

	if (bytes == 0 || bytes >= least)
		return 0;
	return err_set(reterr, -EINVAL,
		       "cache_size: at least %lluM (or 0: no limit)",
		       (unsigned long long)(least >> 20));
}

/* ---- how much there is ---- */

struct room {
	uint64_t data; /* bytes that data/ may hold */
	uint64_t used; /* bytes that it does, free slots that it keeps aside */
	uint64_t pinned; /* of these, dropped and not free yet */
	uint64_t going;  /* on their way back to the disk, for some ms */
	uint64_t left;
};

/* Under c->lock. */
static uint64_t held_bytes(struct cache *c)
{
	uint64_t n;

	lock_take(&c->segs.lock);
	n = seg_held(c);
	lock_drop(&c->segs.lock);
	return n * CACHE_BLOCK;
}

static uint64_t db_pages(struct cache *c)
{
	struct db_stmt *s = st(c, STMT_page_count);
	uint64_t n = db_step(s) > 0 ? db_col_u64(s, 0) : 0;

	db_reset(s);
	return n;
}

static void look_at_disk(struct cache *c)
{
	uint64_t now = monotonic_ms(), disk_free, total, kept;

	if (c->looked_ms && now - c->looked_ms < LOOK_MS)
		return;
	c->looked_ms = now;
	c->meta_bytes = db_pages(c) * CACHE_BLOCK + db_wal_size(c->db);
	kept = c->p.reserve_free_bytes + meta_floor(&c->p);
	/* a disk that does not tell is found out by its ENOSPC */
	if (io_space(c->p.io, &disk_free, &total) < 0)
		disk_free = UINT64_MAX / 2;
	c->disk_bytes = held_bytes(c) + c->outbox_bytes +
			(disk_free > kept ? disk_free - kept : 0);
}

/* Bytes for data/ and outbox/. */
static uint64_t without_meta(struct cache *c)
{
	uint64_t max = c->p.max_bytes, meta;

	look_at_disk(c);
	if (!max)
		return c->disk_bytes;
	meta = MAX(meta_floor(&c->p), MIN(c->meta_bytes, max / 4));
	return MIN(max - meta, c->disk_bytes);
}

static struct room look(struct cache *c)
{
	uint64_t all = without_meta(c), step, outbox;
	struct segs *g = &c->segs;
	struct room m = { 0 };

	outbox = MAX(MIN(c->p.outbox_floor_bytes, all / 4), c->outbox_bytes);
	m.data = all > outbox ? all - outbox : 0;
	seg_release(c); /* what readers held when its commit was made */
	/* what the disk is given in one step is more than what is asked for */
	step = MIN(MAX(m.data / 64, STEP_MIN), STEP_MAX);
	step = MIN(step, m.data / 8);
	lock_take(&g->lock);
	g->step = (uint32_t)MAX(step / CACHE_BLOCK, 1);
	g->limit = m.data / CACHE_BLOCK;
	m.pinned = g->waiting * CACHE_BLOCK;
	m.going = g->punching * CACHE_BLOCK;
	m.used = (g->head + g->used + g->old + g->punching + slots_promised(c)) *
			 CACHE_BLOCK +
		 2 * step;
	lock_drop(&g->lock);
	m.left = m.data > m.used ? m.data - m.used : 0;
	return m;
}

void space_look(struct cache *c)
{
	(void)look(c); /* for what it tells the slots */
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

/* One page of rows from the clock's hand on.  1: there are no more behind it. */
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

		inos[n] = db_col_u64(s, 0);
		r = runs_add(&runs, &run);
		if (r < 0)
			break;
		n++;
	}
	db_reset(s);
	for (size_t k = 0; k < runs.n && e->done < e->want && r >= 0; k++) {
		c->evict_ino = inos[k];
		c->evict_block = runs.v[k].block;
		if (runs.v[k].seg)
			r = evict_run(c, e, inos[k], runs.v[k]);
	}
	return r < 0 ? r : n < ARRAY_LEN(inos) && e->done < e->want;
}

/* Once round, from where the hand stands.  It goes on from there, so that what was
 * fetched last is not what goes next. */
static int evict_round(struct cache *c, struct eviction *e)
{
	uint64_t ino = c->evict_ino, block = c->evict_block;
	bool round = false;
	int r;

	while ((r = evict_page(c, e)) >= 0 && e->done < e->want) {
		if (r == 1 && round)
			break;
		if (r == 1) {
			c->evict_ino = c->evict_block = 0;
			round = true;
		}
		if (round && (c->evict_ino > ino ||
			      (c->evict_ino == ino && c->evict_block >= block)))
			break;
	}
	return MIN(r, 0);
}

static int evict_blocks(struct cache *c, uint64_t n_blocks)
{
	uint64_t now = monotonic_ms();
	struct eviction e = { .want = n_blocks };
	int r = 0;

	/* Was all of it in use just now?  Then it is not gone over for nothing. */
	e.all = c->all_used_ms && now - c->all_used_ms < ALL_USED_MS;
	if (!e.all && clean_blocks(c)) {
		r = evict_round(c, &e);
		c->all_used_ms = e.done < e.want ? now : 0;
	}
	e.all = true;
	if (r == 0 && e.done < e.want && clean_blocks(c))
		r = evict_round(c, &e);
	return r < 0 ? r : e.done > 0;
}

static uint64_t slots_used(struct cache *c)
{
	uint64_t n;

	lock_take(&c->segs.lock);
	n = c->segs.used;
	lock_drop(&c->segs.lock);
	return n;
}

int cache_evict(struct cache *c, uint64_t target)
{
	uint64_t used;
	int r = op_begin(c, OP_FREES);

	if (r < 0)
		return r;
	/* again where rows shared their slots with others that stayed */
	do {
		lock_take(&c->segs.lock);
		used = c->segs.used - c->segs.waiting;
		lock_drop(&c->segs.lock);
		r = 0;
		if (used * CACHE_BLOCK > target)
			r = evict_blocks(c, used - target / CACHE_BLOCK);
		if (r > 0) {
			r = commit_now(c, false);
			r = r < 0 ? r : 1;
		}
	} while (r > 0);
	return op_end(c, r);
}

/* ---- asking ---- */

/* What is left for writers alone. */
static uint64_t margin(const struct room *m)
{
	return m->data / 20;
}

/* Evict ahead, so that the freed slots are there when they are needed. */
static void evict_ahead(struct cache *c, uint64_t n, const struct room *m)
{
	uint64_t want = n + 2 * margin(m), left = m->left;

	if (left < want && m->pinned && c->changed)
		commit_demand(c);
	c->short_of_room = left < want;
	left += m->pinned + m->going; /* evicted already */
	if (left >= want || !clean_blocks(c))
		return;
	/* what cannot be evicted shows as a full cache */
	if (evict_blocks(c, (want - left) / CACHE_BLOCK + 1) > 0)
		commit_demand(c);
}

bool space_has_room(struct cache *c, enum space_class who, uint64_t n_bytes)
{
	struct room m = look(c);

	evict_ahead(c, n_bytes, &m);
	return m.left >= n_bytes + (who == SPACE_FETCH ? margin(&m) : 0);
}

/* How long a writer pauses: from 0 at 90 % dirty to the maximum at 100 %. */
static uint64_t pause_ms(struct cache *c, const struct room *m)
{
	uint64_t dirty = (c->dirty_blocks + slots_promised(c)) * CACHE_BLOCK;
	uint64_t all = m->data > m->pinned ? m->data - m->pinned : 1;
	uint64_t high = all - all / 10;

	if (dirty <= high)
		return 0;
	return MIN(PAUSE_MAX_MS,
		   1 + (dirty - high) * PAUSE_MAX_MS / MAX(all - high, 1));
}

/*
 * Room that comes without anybody's help: some goes back to the disk just now, and what
 * the open transaction has dropped is free with its commit.  A snapshot keeps that.
 */
static uint64_t coming(const struct cache *c, const struct room *m)
{
	return m->going + (c->changed && !c->snap ? m->pinned : 0);
}

/* Would there be room, if all that there is had left and was evicted? */
static bool may_come(struct cache *c, uint64_t n)
{
	struct room m = look(c);
	uint64_t goes = m.pinned + m.going + c->row_blocks * CACHE_BLOCK;

	return (m.used > goes ? m.used - goes : 0) + n <= m.data;
}

/*
 * Is most of it promised to files, and so little here that could leave that nobody will
 * make a commit for it (onboard/due.h)?  No wait changes that.  What others have taken
 * from the disk they may give back.
 */
static bool is_all_promised(struct cache *c)
{
	struct room m = look(c);
	uint64_t goes = m.pinned + c->outbox_bytes +
			(c->row_blocks + c->buf.n) * CACHE_BLOCK;

	return goes < m.data / 64 && c->reserved * CACHE_BLOCK >= m.data / 2;
}

bool space_waited_in_vain(struct cache *c, uint64_t n)
{
	uint64_t now = monotonic_ms(), timeout = c->p.full_timeout_ms;
	struct room m = look(c);

	if (m.left + coming(c, &m) >= n)
		return false; /* the committer has it in hand */
	if (is_all_promised(c))
		timeout = MIN(timeout, PROMISED_MS);

	if (atomic_exchange(&c->room_comes, false) && may_come(c, n))
		c->full_ms = 0;
	else if (c->full_looked_ms)
		c->full_ms += MIN(now - c->full_looked_ms, FULL_LOOK_MS);
	c->full_looked_ms = now;
	return c->full_ms >= timeout;
}

int space_ask(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t n)
{
	struct room m = look(c);
	uint64_t pause;

	evict_ahead(c, n, &m);
	if (m.left < n) {
		c->full_n = MAX(c->full_n, n);
		if (space_waited_in_vain(c, n))
			return -ENOSPC;
		c->wanted_ms = monotonic_ms();
		/* what open transactions have freed is free after a commit */
		if (c->changed)
			commit_demand(c);
		return miss(op, CACHE_MISS_ROOM, ino, 0, n);
	}
	/* room for less is not what was waited for */
	if (m.left >= MIN(c->full_n, margin(&m)))
		c->full_ms = c->full_looked_ms = c->full_n = 0;
	pause = c->p.source ? pause_ms(c, &m) : 0;
	if (pause == 0)
		return 0;
	if (c->credit_bytes >= n) {
		c->credit_bytes -= n;
		return 0;
	}
	return miss(op, CACHE_MISS_ROOM, ino, pause, n);
}

int space_reserve(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t n)
{
	struct room m = look(c);

	if (n > m.left + m.pinned + m.going + clean_blocks(c) * CACHE_BLOCK)
		return -ENOSPC;
	return space_ask(c, op, ino, n);
}

/* ---- telling ---- */

void cache_account_outbox(struct cache *c, uint64_t bytes)
{
	lock_take(&c->lock);
	c->outbox_bytes = bytes;
	lock_drop(&c->lock);
}

void cache_room_comes(struct cache *c)
{
	atomic_store(&c->room_comes, true);
}

uint64_t cache_outbox_share(struct cache *c)
{
	uint64_t n;

	lock_take(&c->lock);
	n = without_meta(c) / 4;
	lock_drop(&c->lock);
	return n;
}

int cache_statfs(struct cache *c, struct cache_statfs *ret)
{
	struct cache_counts drive;
	struct room m;

	lock_take(&c->lock);
	m = look(c);
	drive = counts_now(c);
	ret->blocks = m.data / CACHE_BLOCK;
	ret->free = MIN(m.left / CACHE_BLOCK + clean_blocks(c), ret->blocks);
	/* There is no limit of ours; 2^32 more are what a person can picture. */
	ret->files_free = UINT32_MAX;
	ret->files = (drive.inodes ? drive.inodes : c->inodes.in_db) +
		     ret->files_free;
	lock_drop(&c->lock);
	return 0;
}

void cache_committed(struct cache *c, uint64_t taken_ms)
{
	lock_take(&c->lock);
	if (c->dirty_since_ms)
		c->dirty_since_ms = MAX(c->dirty_since_ms, taken_ms);
	lock_drop(&c->lock);
}

void cache_stats(struct cache *c, struct cache_stats *ret)
{
	struct room m;

	memset(ret, 0, sizeof(*ret));
	lock_take(&c->lock);
	m = look(c);
	ret->dirty_bytes = (c->dirty_blocks + c->buf.n) * CACHE_BLOCK;
	ret->reserved_bytes = c->reserved * CACHE_BLOCK;
	ret->dirty_inodes = c->dirty_inodes;
	list_foreach(p, &c->inodes.dirty) {
		struct inode *i = container_of(p, struct inode, node);

		ret->dirty_inodes += !i->queued && i->nlink && inode_is_dirty(i);
	}
	if (!ret->dirty_inodes && !ret->dirty_bytes)
		c->dirty_since_ms = 0;
	ret->dirty_since_ms = c->dirty_since_ms;
	ret->changed_ms = c->changed_ms;
	ret->used_bytes = slots_used(c) * CACHE_BLOCK;
	ret->room_bytes = m.data;
	ret->free_bytes = m.left;
	ret->pinned_bytes = m.pinned;
	ret->wanted_ms = c->wanted_ms;
	ret->disk_bytes = held_bytes(c);
	ret->clean_bytes = clean_blocks(c) * CACHE_BLOCK;
	ret->max_bytes = c->p.max_bytes;
	ret->inodes = c->inodes.in_db;
	ret->inodes_in_memory = c->inodes.n;
	ret->drive = counts_now(c);
	ret->commits = c->commits;
	ret->healed_blocks = c->n_healed;
	ret->damaged_blocks = c->n_damaged;
	ret->failed = c->failed;
	memcpy(ret->why, c->why, sizeof(ret->why));
	lock_drop(&c->lock);
}
