/* test_cache_space.c - properties of the accountant, one sentence at a time */
#include "room.h"

#include <linux/falloc.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/thread.h"
#include "cache/internal.h"

static uint8_t b[MIB];

static uint64_t bytes_free(struct drive *d)
{
	struct cache_statfs st;

	assert_int_equal(cache_statfs(d->c, &st), 0);
	assert_true(st.free <= st.blocks);
	return st.free * CACHE_BLOCK;
}

/* Parts of `ino` until there is no room: the bytes that went in. */
static uint64_t fill_up(struct drive *d, uint64_t ino, unsigned *waits)
{
	uint64_t off = 0;
	int r;

	while ((r = put_slowly(d, ino, off, PART, waits)) == 0)
		off += PART;
	assert_int_equal(r, -ENOSPC);
	return off;
}

static void a_cache_under_the_floors_is_refused_with_a_sentence(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct err e = { 0 }, real = { 0 };

	d->p.max_bytes = 4 * MIB - 1;
	assert_int_equal(cache_open(&d->p, &d->c, &e), -EINVAL);
	assert_string_equal(e.text, "cache_size: at least 4M (or 0: no limit)");
	d->p.max_bytes = 4 * MIB;
	drive_open(d);
	/* the floor of a real drive */
	assert_int_equal(cache_size_check((256u << 20) - 1, 0, &real), -EINVAL);
	assert_string_equal(real.text, "cache_size: at least 256M (or 0: no limit)");
	assert_int_equal(cache_size_check(256u << 20, 0, &real), 0);
	assert_int_equal(cache_size_check(0, 0, &real), 0);
}

static void writers_leave_the_floors_of_metadata_and_outbox(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, n, free_before;

	d->p.max_bytes = 16 * MIB;
	d->p.outbox_floor_bytes = 3 * MIB;
	drive_open(d);
	free_before = bytes_free(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	n = fill_up(d, ino, NULL);
	assert_true(du(d) <= (16 - 1 - 3) * MIB);
	assert_true(n >= 10 * MIB && n <= free_before);
	/* the outbox fills what was kept for it, and takes nothing */
	cache_account_outbox(d->c, 3 * MIB);
	assert_int_equal(put_slowly(d, ino, 0, 1, NULL), 0);
	assert_int_equal(cache_sync(d->c), 0);
	assert_true(du(d) + 3 * MIB + MIB <= 16 * MIB);
}

static void an_outbox_over_its_floor_takes_from_writers_not_from_metadata(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t before, after;

	d->p.max_bytes = 16 * MIB;
	d->p.outbox_floor_bytes = 2 * MIB;
	drive_open(d);
	before = bytes_free(d);
	cache_account_outbox(d->c, 2 * MIB);
	assert_int_equal(bytes_free(d), before);
	cache_account_outbox(d->c, 7 * MIB);
	after = bytes_free(d);
	assert_true(after <= before - 4 * MIB && after >= before - 6 * MIB);
	cache_account_outbox(d->c, 0);
	assert_int_equal(bytes_free(d), before);
}

static void a_small_cache_keeps_a_quarter_for_the_outbox(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;

	d->p.max_bytes = 9 * MIB;
	d->p.outbox_floor_bytes = 512 * (uint64_t)MIB;
	drive_open(d);
	assert_int_equal(cache_outbox_share(d->c), 2 * MIB);
	assert_true(bytes_free(d) >= 5 * MIB && bytes_free(d) <= 6 * MIB);
}

static void metadata_counts_up_to_a_quarter_of_the_cache(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	char name[200];
	uint64_t before;

	d->p.max_bytes = 16 * MIB;
	drive_open(d);
	before = bytes_free(d);
	for (int k = 0; k < 20000; k++) {
		(void)snprintf(name, sizeof(name), "%0150d", k);
		forget(d, mk(d, 1, name, S_IFREG | 0644));
	}
	drive_again(d);
	assert_true(recorder_size(d->rec, "drive.db") > 6 * MIB);
	assert_true(bytes_free(d) <= before - 2 * MIB);
	assert_true(bytes_free(d) >= before - 4 * MIB);
	(void)fill_up(d, mk(d, 1, "f", S_IFREG | 0644), NULL);
}

static void what_a_snapshot_pins_is_taken_from_writers_until_it_ends(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_snap *s = NULL;
	uint64_t ino;
	int r = 0, n;

	d->p.max_bytes = 8 * MIB;
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	for (int k = 0; k < 4; k++)
		assert_int_equal(put_slowly(d, ino, (uint64_t)k * MIB, MIB, NULL),
				 0);
	assert_int_equal(cache_snap_open(d->c, &s), 0);
	/* over and over the same: only what the snapshot has cannot go */
	for (n = 0; n < 40 && r == 0; n++) {
		r = put_slowly(d, ino, (uint64_t)(n % 4) * MIB, MIB, NULL);
		if (r == 0)
			assert_int_equal(cache_sync(d->c), 0);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(n < 5);
	assert_true(stats(d).used_bytes <= 7 * MIB);
	cache_snap_close(s);
	for (n = 0; n < 8; n++) {
		assert_int_equal(
			put_slowly(d, ino, (uint64_t)(n % 4) * MIB, MIB, NULL), 0);
		assert_int_equal(cache_sync(d->c), 0);
	}
}

static void a_fetch_evicts_nothing_dirty_and_leaves_writers_some_room(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t clean[8], ino;
	char name[16];

	d->p.max_bytes = 16 * MIB;
	d->p.full_timeout_ms = PATIENCE_MS;
	drive_open(d);
	for (int k = 0; k < 8; k++) {
		(void)snprintf(name, sizeof(name), "c%d", k);
		clean[k] = mk(d, 1, name, S_IFREG | 0644);
		assert_int_equal(put_slowly(d, clean[k], 0, MIB, NULL), 0);
	}
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	ino = mk(d, 1, "dirty", S_IFREG | 0644);
	for (unsigned k = 0; k < 11; k++)
		assert_int_equal(put_slowly(d, ino, (uint64_t)k * MIB, MIB, NULL),
				 0);
	/* more than there is room for: some is streamed */
	for (int k = 0; k < 8; k++)
		read_back(d, clean[k], MIB, room_bytes);
	assert_true(stats(d).dirty_bytes >= 11 * MIB);
	assert_true(stats(d).clean_bytes < 4 * MIB);
	/* at once, without a commit to evict by */
	assert_int_equal(cache_write(d->c, &op, ino, 11 * MIB,
				     slice(room_bytes, PART), 0),
			 0);
	assert_in_range(du(d), 0, 15 * MIB);
}

struct joiner {
	struct cache_fetch w;
	atomic_bool over;
};

static void joined(struct cache_fetch *w, int status)
{
	assert_int_equal(status, 0);
	atomic_store(&container_of(w, struct joiner, w)->over, true);
}

/* Else it is fetched again and again, until the reader's time is over. */
static void read_ahead_without_room_is_kept_for_who_waits_for_it(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct joiner j = { .w = { .done = joined, .timeout_ms = PATIENCE_MS } };
	struct cache_op op = { 0 };
	uint64_t ino, dirty;
	unsigned before;
	size_t got;

	d->p.max_bytes = 16 * MIB;
	d->p.full_timeout_ms = PATIENCE_MS;
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	assert_int_equal(put_slowly(d, ino, 0, MIB, NULL), 0);
	assert_int_equal(put_slowly(d, ino, MIB, MIB, NULL), 0);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	dirty = mk(d, 1, "dirty", S_IFREG | 0644);
	for (unsigned k = 0; stats(d).dirty_bytes < 13 * MIB; k++)
		assert_int_equal(
			put_slowly(d, dirty, (uint64_t)k * PART, PART, NULL), 0);
	before = fakedag_starts(w->f);
	fakedag_hold(w->f, true);
	/* the beginning of a file: the chunk behind it is read ahead */
	assert_int_equal(cache_read(d->c, &op, ino, 0, b, PART, &got), -EINPROGRESS);
	while (fakedag_starts(w->f) == before)
		nap();
	assert_int_equal(cache_read(d->c, &op, ino, MIB, b, PART, &got),
			 -EINPROGRESS);
	j.w.miss = op.miss;
	assert_int_equal(cache_fetch(d->c, &j.w), 0);
	fakedag_hold(w->f, false);
	while (!atomic_load(&j.over))
		nap();
	assert_int_equal(cache_read(d->c, &op, ino, MIB, b, PART, &got), 0);
	assert_int_equal(got, PART);
	assert_memory_equal(b, room_bytes, PART);
	assert_int_equal(fakedag_starts(w->f) - before, 1);
	assert_true(stats(d).clean_bytes < MIB); /* there was no room */
}

/* SIGSTOP, a frozen group, a machine that others have: the clock goes on. */
static void who_is_stopped_has_the_time_that_was_left(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct joiner j = { .w = { .done = joined, .timeout_ms = 5000 } };
	struct cache_op op = { 0 };
	unsigned before;
	uint64_t ino;
	size_t got;

	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	assert_int_equal(put_slowly(d, ino, 0, PART, NULL), 0);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	before = fakedag_starts(w->f);
	fakedag_hold(w->f, true);
	assert_int_equal(cache_read(d->c, &op, ino, 0, b, PART, &got), -EINPROGRESS);
	j.w.miss = op.miss;
	assert_int_equal(cache_fetch(d->c, &j.w), 0);
	while (fakedag_starts(w->f) == before)
		nap();
	be_stopped(5500);
	assert_false(atomic_load(&j.over));
	fakedag_hold(w->f, false);
	while (!atomic_load(&j.over))
		nap();
	assert_int_equal(cache_read(d->c, &op, ino, 0, b, PART, &got), 0);
	assert_int_equal(got, PART);
}

struct waiter {
	struct cache_fetch w;
	atomic_bool over;
	int status;
};

static void waited(struct cache_fetch *w, int status)
{
	struct waiter *h = container_of(w, struct waiter, w);

	h->status = status;
	atomic_store(&h->over, true);
}

static void who_waits_is_not_refused_while_room_comes(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct waiter h = { .w.done = waited };
	struct cache_op op = { 0 };
	uint64_t ino, big, off = 0, end;
	int r;

	d->p.max_bytes = 16 * MIB;
	d->p.full_timeout_ms = 5000;
	drive_open(d);
	big = mk(d, 1, "big", S_IFREG | 0644);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	assert_int_equal(put_slowly(d, big, 0, MIB, NULL), 0);
	/* until there is no room; before that it is slowed */
	while ((r = cache_write(d->c, &op, ino, off, slice(room_bytes, PART), 0)) == 0 ||
	       op.miss.off != 0) {
		if (r == 0)
			off += PART;
		else
			assert_int_equal(fetch_wait(d, &op, 0), 0);
	}
	assert_int_equal(r, -EINPROGRESS);
	h.w.miss = op.miss;
	assert_int_equal(cache_fetch(d->c, &h.w), 0);
	for (end = monotonic_ms() + 6000; monotonic_ms() < end; nap()) {
		cache_room_comes(d->c);
		assert_false(atomic_load(&h.over));
	}
	rm(d, 1, "big");
	forget(d, big);
	while (!atomic_load(&h.over))
		nap();
	assert_int_equal(h.status, 0);
}

/* Without a word from onboarding: its store is away. */
static void who_has_removed_something_may_write_at_once(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t big, ino, n;

	d->p.max_bytes = 16 * MIB;
	drive_open(d);
	big = mk(d, 1, "big", S_IFREG | 0644);
	for (int k = 0; k < 4; k++)
		assert_int_equal(put_slowly(d, big, (uint64_t)k * MIB, MIB, NULL),
				 0);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	n = fill_up(d, ino, NULL);
	assert_int_equal(put_slowly(d, ino, n, PART, NULL), -ENOSPC);
	rm(d, 1, "big");
	forget(d, big);
	assert_int_equal(put_slowly(d, ino, n, MIB, NULL), 0);
	(void)fill_up(d, mk(d, 1, "g", S_IFREG | 0644), NULL);
}

/* Who reads just then may be at what was removed, and nothing else changes for hours. */
static void what_a_reader_held_at_the_commit_is_free_afterwards(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, before;
	struct pin pin;

	d->p.max_bytes = 16 * MIB;
	drive_open(d);
	ino = mk(d, 1, "big", S_IFREG | 0644);
	before = bytes_free(d);
	assert_int_equal(put_slowly(d, ino, 0, MIB, NULL), 0);
	assert_int_equal(cache_sync(d->c), 0);
	lock_take(&d->c->lock);
	seg_pin(d->c, &pin);
	lock_drop(&d->c->lock);
	rm(d, 1, "big");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	assert_true(bytes_free(d) <= before - MIB);
	seg_unpin(d->c, &pin);
	assert_true(bytes_free(d) > before - MIB / 2);
}

/* Packing goes on for ever, of what else happens. */
static void what_fallocate_was_promised_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct waiter h = { .w.done = waited };
	struct cache_op op = { 0 };
	uint64_t ino, off = 0;
	int r;

	d->p.max_bytes = 16 * MIB;
	d->p.full_timeout_ms = 200;
	drive_open(d);
	ino = mk(d, 1, "promised", S_IFREG | 0644);
	while ((r = cache_fallocate(d->c, &op, ino, 0, off, 4096)) != -ENOSPC) {
		if (r == 0)
			off += 4096;
		else
			assert_int_equal(fetch_wait(d, &op, 0), 0);
	}
	ino = mk(d, 1, "f", S_IFREG | 0644);
	assert_int_equal(cache_write(d->c, &op, ino, 0, slice(room_bytes, PART), 0),
			 -EINPROGRESS);
	h.w.miss = op.miss;
	assert_int_equal(cache_fetch(d->c, &h.w), 0);
	for (; !atomic_load(&h.over); nap())
		cache_room_comes(d->c);
	assert_int_equal(h.status, -ENOSPC);
}

/* They remove it again, perhaps, and nothing here is promised to anybody. */
static void room_that_others_take_from_the_disk_is_waited_for(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct waiter h = { .w.done = waited };
	struct cache_op op = { 0 };
	uint64_t ino, waited_ms = 0;

	d->p.full_timeout_ms = 100 * PATIENCE_MS;
	drive_open(d);
	ino = mk(d, 1, "old", S_IFREG | 0644);
	assert_int_equal(put_slowly(d, ino, 0, PART, NULL), 0);
	rm(d, 1, "old");
	forget(d, ino);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	assert_int_equal(cache_sync(d->c), 0);
	recorder_limit(d->rec, recorder_used(d->rec) + d->p.meta_floor_bytes);
	while (bytes_free(d) >= MIB)
		nap();
	assert_int_equal(cache_write(d->c, &op, ino, 0, slice(room_bytes, MIB), 0),
			 -EINPROGRESS);
	h.w.miss = op.miss;
	assert_int_equal(cache_fetch(d->c, &h.w), 0);
	for (; waited_ms < 3000; nap()) {
		assert_false(atomic_load(&h.over));
		lock_take(&d->c->lock);
		waited_ms = d->c->full_ms;
		lock_drop(&d->c->lock);
	}
	recorder_limit(d->rec, 0);
	while (!atomic_load(&h.over))
		nap();
	assert_int_equal(h.status, 0);
	assert_int_equal(put_slowly(d, ino, 0, MIB, NULL), 0);
}

static void writers_are_slowed_long_before_they_are_refused(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	unsigned waits = 0, early;
	uint64_t ino, off = 0;

	d->p.max_bytes = 16 * MIB;
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	while (waits == 0) {
		assert_int_equal(put_slowly(d, ino, off, PART, &waits), 0);
		off += PART;
	}
	early = waits;
	assert_true(off >= 12 * MIB); /* not below the mark */
	/* the pause ends by itself, and writes go in */
	assert_int_equal(put_slowly(d, ino, off, PART, &waits), 0);
	assert_true(waits > early);
	assert_true(bytes_free(d) > 0);
	(void)fill_up(d, mk(d, 1, "g", S_IFREG | 0644), NULL);
}

static void what_frees_works_when_the_disk_is_full(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, f, n = 0;
	int r;

	d->p.source = NULL;
	drive_open(d);
	f = mk(d, 1, "f", S_IFREG | 0644);
	put(d, f, 0, room_bytes, MIB);
	ino = mk(d, 1, "g", S_IFREG | 0644);
	/* others fill the disk to the last block, whatever the accountant saw */
	recorder_limit(d->rec, recorder_used(d->rec) + 4096);
	while ((r = try_put(d, ino, n, room_bytes, PART)) == 0)
		n += PART;
	assert_true(r == -ENOSPC || r == -EINPROGRESS);
	cut_to(d, f, 5000);
	assert_int_equal(cache_sync(d->c), 0);
	rm(d, 1, "g");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	assert_false(stats(d).failed);
	assert_int_equal(get(d, f, 0, b, MIB), 5000);
	assert_memory_equal(room_bytes, b, 5000);
}

static void the_disk_never_holds_more_than_the_cache_size(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino[24] = { 0 }, seed = 7, off, n, most = 0;
	char name[16];

	d->p.max_bytes = 16 * MIB;
	d->p.full_timeout_ms = PATIENCE_MS;
	drive_open(d);
	for (int k = 0; k < 600; k++) {
		unsigned i;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		i = (unsigned)(seed >> 33) % 24;
		(void)snprintf(name, sizeof(name), "f%u", i);
		if (ino[i] && (seed >> 20) % 16 == 0) {
			rm(d, 1, name);
			forget(d, ino[i]);
			ino[i] = 0;
			continue;
		}
		if (!ino[i])
			ino[i] = mk(d, 1, name, S_IFREG | 0644);
		off = (seed >> 40) % 200 * 4096;
		n = (seed >> 50) % 2 ? 4096 * (1 + (seed >> 55) % 7) : 400000;
		assert_int_equal(put_slowly(d, ino[i], off, n, NULL), 0);
		if (k % 7 == 0)
			assert_int_equal(cache_sync(d->c), 0);
		if (stats(d).dirty_bytes > 9 * MIB)
			onboard(d, w->f, NULL, NULL);
		most = MAX(most, du(d));
		assert_in_range(du(d), 0, 15 * MIB);
	}
	assert_true(most > 12 * MIB); /* it was put to the test */
	until_counted(d);
}

/* n segments that are full, but for 16 slots with room in all but the last: it is not
 * worth filling up what has so few. */
static void scatter(struct cache *c, struct run *runs, unsigned n)
{
	for (unsigned k = 0; k < 2 * n; k++) {
		assert_int_equal(seg_alloc(c, 64, 0, &runs[k]), 0);
		assert_int_equal(runs[k].n, 64);
	}
	for (unsigned k = 0; k + 1 < n; k++) {
		struct run some = runs[2 * k];

		some.n = 16;
		seg_discard(c, &some);
		runs[2 * k].slot += 16;
		runs[2 * k].n -= 16;
	}
}

/* Rather than have one more, what is scattered about is taken. */
static void a_new_segment_counts_with_its_head(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct run runs[8];
	uint64_t held, limit;

	d->p.max_bytes = 16 * MIB;
	drive_open(d);
	lock_take(&d->c->lock); /* nothing goes back to the disk meanwhile */
	space_look(d->c);
	assert_int_equal(d->c->segs.step, 64);
	scatter(d->c, runs, 4);
	lock_take(&d->c->segs.lock);
	limit = d->c->segs.limit = seg_held(d->c) + d->c->segs.step;
	lock_drop(&d->c->segs.lock);
	assert_int_equal(seg_make_room(d->c, 1), 0);
	lock_take(&d->c->segs.lock);
	held = seg_held(d->c);
	lock_drop(&d->c->segs.lock);
	for (size_t k = 0; k < ARRAY_LEN(runs); k++)
		seg_discard(d->c, &runs[k]);
	lock_drop(&d->c->lock);
	assert_in_range(held, 0, limit);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, room_new, world_free)
	const struct CMUnitTest tests[] = {
		T(a_cache_under_the_floors_is_refused_with_a_sentence),
		T(writers_leave_the_floors_of_metadata_and_outbox),
		T(an_outbox_over_its_floor_takes_from_writers_not_from_metadata),
		T(a_small_cache_keeps_a_quarter_for_the_outbox),
		T(metadata_counts_up_to_a_quarter_of_the_cache),
		T(what_a_snapshot_pins_is_taken_from_writers_until_it_ends),
		T(a_fetch_evicts_nothing_dirty_and_leaves_writers_some_room),
		T(read_ahead_without_room_is_kept_for_who_waits_for_it),
		T(who_is_stopped_has_the_time_that_was_left),
		T(who_waits_is_not_refused_while_room_comes),
		T(who_has_removed_something_may_write_at_once),
		T(what_a_reader_held_at_the_commit_is_free_afterwards),
		T(what_fallocate_was_promised_is_not_waited_for),
		T(room_that_others_take_from_the_disk_is_waited_for),
		T(writers_are_slowed_long_before_they_are_refused),
		T(what_frees_works_when_the_disk_is_full),
		T(the_disk_never_holds_more_than_the_cache_size),
		T(a_new_segment_counts_with_its_head),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
