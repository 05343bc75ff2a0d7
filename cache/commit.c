/*
 * commit.c - the group commit, and the thread that makes it
 *
 * In this order (docs/architecture.md):
 *   1 without the lock: seal what is in the write buffer, fdatasync segments
 *   2 take the operation lock
 *   3 seal the rest of the buffer, fdatasync what was written since; or, if
 *     somebody waits and it is little, put it into rows (logged.c)
 *   4 changed inodes and counters into their rows
 *   5 COMMIT (WAL, synchronous=FULL); what it freed waits for pins, then is free
 *   6 wake every waiter
 * So extents become durable after their slots, and all of one instant together.
 *
 * An error before COMMIT leaves everything as it was, for the next try.  A failed
 * fdatasync or COMMIT cannot be mended (what was acknowledged is not there any
 * more): the cache is read only for good, and says so.
 */
#include "cache/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

#define CHECKPOINT_AT    (8u << 20) /* bytes of WAL */
#define TRIM_PATIENCE_MS 500

/* Nothing more is written until the drive is opened again. */
static void c_fail(struct cache *c, int r, const char *what)
{
	if (c->failed)
		return;
	c->failed = true;
	(void)snprintf(c->why, sizeof(c->why),
		       "%s: %s; changes since the last sync are lost, the drive is "
		       "read only until it is mounted again",
		       what, err_str(r));
	log_line(LOG_LEVEL_ERROR, "%s", c->why);
	cond_wake_all(&c->cond);
}

int c_sql(struct cache *c, int r)
{
	if (r < 0 && !c->p.read_only && !c->failed && !db_in_transaction(c->db))
		c_fail(c, r, "drive.db gave up its transaction");
	return r;
}

void commit_demand(struct cache *c)
{
	c->demand = true;
	cond_wake_one(&c->work);
}

static int put_state(struct cache *c, enum state_key k, uint64_t v)
{
	db_bind_u64(st(c, STMT_state_put), 1, k);
	db_bind_u64(st(c, STMT_state_put), 2, v);
	return c_sql(c, db_run(st(c, STMT_state_put)));
}

static int put_counts(struct cache *c)
{
	int r = put_state(c, STATE_INODES, c->counted ? c->counts.inodes : 0);

	return r < 0 ? r :
		       put_state(c, STATE_BYTES, c->counted ? c->counts.bytes : 0);
}

static int write_state(struct cache *c, bool new_gen)
{
	int r = 0;

	if (c->state_changed || new_gen) {
		r = put_state(c, STATE_NEXT_INO, c->next_ino);
		if (r == 0)
			r = put_state(c, STATE_NEXT_POS, c->next_pos);
		if (r == 0)
			r = put_state(c, STATE_GEN, c->gen + new_gen);
		if (r == 0)
			r = put_counts(c);
	}
	if (r == 0 && c->inodes.noted != c->inodes.in_db) {
		r = put_state(c, STATE_ROWS, c->inodes.in_db);
		if (r == 0)
			c->inodes.noted = c->inodes.in_db;
	}
	return r;
}

/* Steps 3 and 4: everything in memory into the transaction. */
static int settle(struct cache *c, bool new_gen, bool log) NO_LOCK_CHECK
{
	int r;

	while (c->buf.flushing)
		cond_wait(&c->cond, &c->lock);
	log = log && logged_wanted(c); /* others wrote meanwhile */
	r = log ? 0 : buffer_flush(c);
	if (r == 0)
		r = orphan_reap(c);
	if (r == 0 && log)
		r = logged_put(c);
	if (r == 0)
		r = logged_drop(c);
	if (r == 0)
		r = inode_flush(c, SIZE_MAX);
	if (r == 0)
		r = write_state(c, new_gen);
	if (r == 0) {
		r = seg_sync(c);
		if (r < 0)
			c_fail(c, r, "data cannot be synced to the disk");
	}
	return r;
}

/*
 * The WAL starts again in front only if all of it was moved before the next
 * transaction begins.  So most is moved without the lock after one commit, and
 * the little rest with it after the next.
 */
static bool checkpoint_locked(struct cache *c)
{
	uint64_t n = db_wal_size(c->db);

	if (c->checkpoint_half) {
		/* the WAL keeps what could not be moved */
		best_effort(db_checkpoint(c->db, DB_CHECKPOINT_PASSIVE));
		c->checkpoint_half = false;
		return false;
	}
	return n > CHECKPOINT_AT;
}

static int commit(struct cache *c, bool new_gen, bool log, bool *ret_checkpoint)
{
	int r = settle(c, new_gen, log);

	if (r < 0)
		return r;
	r = db_commit(c->db);
	if (r < 0) {
		c_fail(c, r, "COMMIT to drive.db failed");
		return r;
	}
	c->gen += new_gen;
	c->durable_epoch = c->epoch;
	c->commits++;
	c->changed = false;
	c->state_changed = false;
	c->first_change_ms = 0;
	seg_committed(c);
	c->epoch++;
	seg_release(c);
	*ret_checkpoint = checkpoint_locked(c);
	r = db_begin(c->db);
	if (r < 0)
		c_fail(c, r, "drive.db does not begin a transaction");
	return r;
}

/* All but what the newest transactions wrote meanwhile: no commit, no lock. */
static void checkpoint_now(struct cache *c) NO_LOCK_CHECK
{
	bool done;

	c->checkpoint_due = false;
	c->committing = true;
	lock_drop(&c->lock);
	done = db_checkpoint(c->db2, DB_CHECKPOINT_PASSIVE) == 0;
	lock_take(&c->lock);
	c->checkpoint_half = done;
	c->committing = false;
	cond_wake_all(&c->cond);
}

void commit_unpinned(struct cache *c)
{
	if (c->db2 && db_wal_size(c->db) > CHECKPOINT_AT)
		c->checkpoint_due = true;
	cond_wake_one(&c->work);
}

int commit_now(struct cache *c, bool new_gen) NO_LOCK_CHECK
{
	bool log, checkpoint = false;
	int r = 0;

	while (c->committing)
		cond_wait(&c->cond, &c->lock);
	if (c->failed || c->p.read_only)
		return -EROFS;
	if (!c->changed && !new_gen)
		return 0;
	c->committing = true;
	c->demand = false;
	log = c->awaited && !new_gen && logged_wanted(c);
	c->awaited = false;
	if (!log && c->buf.n > 256)
		r = buffer_flush_unlocked(c);
	if (r == 0 && !log) {
		lock_drop(&c->lock);
		r = seg_sync(c);
		lock_take(&c->lock);
		if (r < 0)
			c_fail(c, r, "data cannot be synced to the disk");
	}
	if (r == 0)
		r = c->failed ? -EROFS : commit(c, new_gen, log, &checkpoint);
	/* a snapshot wants the instant of the commit, who syncs wants its end */
	if (r == 0 && checkpoint && !new_gen && c->db2)
		c->checkpoint_due = true;
	c->committing = false;
	c->commit_result = r;
	c->attempts++;
	if (c->checkpoint_due && !c->committer_runs)
		checkpoint_now(c);
	cond_wake_all(&c->cond);
	c->trimmed = false;
	if (c->changed || c->demand || c->checkpoint_due ||
	    (!c->will_trim && seg_wants_trim(c)))
		cond_wake_one(&c->work);
	return r;
}

/*
 * When freed room may go back to the disk; UINT64_MAX: there is none to go.  That is
 * much work for the disk that who reads and who syncs waits for: 200 small files took
 * twice as long meanwhile.  So it waits until nobody asks for anything, or has a little
 * done now and then where they go on, and waits for nobody when the drive gets full.
 */
static uint64_t trim_ms(struct cache *c) REQUIRES(&c->lock)
{
	if (c->trimmed || !seg_wants_trim(c)) {
		c->put_off_ms = 0;
		return UINT64_MAX;
	}
	if (c->short_of_room)
		return 0;
	if (!c->put_off_ms)
		c->put_off_ms = monotonic_ms();
	return MIN(thread_foreground_end(), c->put_off_ms + TRIM_PATIENCE_MS);
}

/* Was there something to trim, and was it time for it? */
static bool trim(struct cache *c) NO_LOCK_CHECK
{
	if (trim_ms(c) > monotonic_ms())
		return false;
	c->put_off_ms = 0;
	c->trimmed = !seg_trim(c, false);
	return !c->trimmed;
}

static struct timespec at_ms(uint64_t ms)
{
	return (struct timespec){ .tv_sec = (time_t)(ms / 1000),
				  .tv_nsec = (long)(ms % 1000) * 1000000 };
}

/*
 * Until somebody has work for the committer, or until *look_ms, when it was
 * going to look in any case.  So where one sync follows the other, the first
 * change after each wakes nobody.
 */
static void wait_for_work(struct cache *c, uint64_t *look_ms) REQUIRES(&c->lock)
{
	bool idle = c->failed || c->committing;
	uint64_t now = monotonic_ms(), when = UINT64_MAX;
	uint64_t trim_at = idle ? UINT64_MAX : trim_ms(c);
	struct timespec t;

	if (c->changed && !idle)
		*look_ms = c->first_change_ms + c->p.commit_interval_ms;
	if (!idle && (c->changed || *look_ms > now))
		when = *look_ms;
	c->will_look = when != UINT64_MAX;
	c->will_trim = trim_at != UINT64_MAX;
	when = MIN(when, trim_at);
	if (when == UINT64_MAX) {
		cond_wait(&c->work, &c->lock);
		return;
	}
	t = at_ms(when);
	best_effort(cond_wait_until(&c->work, &c->lock, &t));
	c->will_look = c->will_trim = false;
}

static void *committer(void *arg)
{
	struct cache *c = arg;
	uint64_t look_ms = 0;

	lock_take(&c->lock);
	while (!c->stop) {
		bool due = c->changed && monotonic_ms() - c->first_change_ms >=
						 c->p.commit_interval_ms;

		if (c->checkpoint_due && !c->committing) {
			checkpoint_now(c);
			continue;
		}
		if ((c->demand || due) && !c->failed && !c->committing) {
			/* every waiter gets the error; the timer tries again */
			c->demand = false;
			if (commit_now(c, false) < 0 && !c->failed)
				c->first_change_ms = monotonic_ms();
			/* behind the waiters' backs, a little each time */
			(void)trim(c); /* more is for later */
			continue;
		}
		if (!c->failed && !c->committing && trim(c))
			continue;
		wait_for_work(c, &look_ms);
	}
	lock_drop(&c->lock);
	return NULL;
}

int commit_start(struct cache *c)
{
	int r = pthread_create(&c->committer, NULL, committer, c);

	c->committer_runs = r == 0;
	return -r;
}

void commit_stop(struct cache *c)
{
	if (!c->committer_runs)
		return;
	lock_take(&c->lock);
	c->stop = true;
	cond_wake_one(&c->work);
	lock_drop(&c->lock);
	(void)pthread_join(c->committer, NULL); /* it is ours and joinable */
	c->committer_runs = false;
}

/* By the caller itself: to wake the committer costs as much as a small commit. */
int cache_sync(struct cache *c)
{
	uint64_t epoch;
	int r = 0;

	lock_take(&c->lock);
	epoch = c->epoch;
	while (c->changed && c->durable_epoch < epoch && r == 0) {
		if (c->failed) {
			r = -EROFS;
		} else if (c->committing) {
			cond_wait(&c->cond, &c->lock);
		} else {
			c->awaited = true;
			r = commit_now(c, false);
		}
	}
	if (c->failed)
		r = -EROFS;
	lock_drop(&c->lock);
	return r == -EROFS ? -EIO : r;
}
