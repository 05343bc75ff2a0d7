/* test_cache_trim.c - freed room goes back to the disk */
#include "room.h"

#include <linux/falloc.h>
#include <stdio.h>

#include "base/thread.h"

static uint8_t b[PART];

/* The committer gives the disk back behind our back. */
static void until_du(struct drive *d, uint64_t most)
{
	for (int k = 0; k < NAPS_MAX && du(d) > most; k++)
		nap();
	assert_true(du(d) <= most);
}

/* Until nothing has gone back for some time. */
static void rest(struct drive *d)
{
	unsigned long n = 0;

	for (int k = 0; k < 20; k++) {
		unsigned long now = recorder_calls(d->rec, RECORDER_ALLOCATE);

		k = now == n ? k : 0;
		n = now;
		nap();
	}
}

/* 16 MiB of which every second block goes: no run is longer than one. */
static uint64_t riddle(struct drive *d)
{
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);

	for (unsigned k = 0; k < 16; k++)
		assert_int_equal(put_slowly(d, ino, (uint64_t)k * MIB, MIB, NULL),
				 0);
	assert_int_equal(cache_sync(d->c), 0);
	assert_true(du(d) >= 16 * MIB);
	for (uint64_t k = 0; k < 16 * MIB / 4096; k += 2) {
		struct cache_op op = { 0 };

		assert_int_equal(cache_fallocate(d->c, &op, ino,
						 FALLOC_FL_PUNCH_HOLE |
							 FALLOC_FL_KEEP_SIZE,
						 k * 4096, 4096),
				 0);
	}
	return ino;
}

static void freed_room_goes_back_to_the_disk_without_being_asked(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, step = 31 * MIB / 64;

	d->p.max_bytes = 32 * MIB;
	drive_open(d);
	ino = riddle(d);
	assert_int_equal(cache_sync(d->c), 0);
	until_du(d, 8 * MIB + 2 * step + 3 * MIB / 4);
	rm(d, 1, "f");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	until_du(d, 3 * step);
}

/* A name is made and synced, as by a request; returns when that began. */
static uint64_t sync_a_name(struct drive *d, int k)
{
	uint64_t began = monotonic_ms();
	char name[16];

	thread_foreground();
	(void)snprintf(name, sizeof(name), "n%d", k);
	mk(d, 1, name, S_IFREG | 0644);
	assert_int_equal(cache_sync(d->c), 0);
	return began;
}

/*
 * 64 runs at once, after a pause of 200 ms or after 500 ms.  Where this thread, or all
 * of them, could not run for so long, nothing can be said of what went back then, but
 * that one batch may end after it.
 */
static void requests_have_the_disk_before_freed_room_goes_back(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t began, last = 0, was, sum = 0, may = 1;

	d->p.max_bytes = 32 * MIB;
	drive_open(d);
	(void)sync_a_name(d, 0);
	began = monotonic_ms();
	(void)riddle(d);
	was = recorder_calls(d->rec, RECORDER_ALLOCATE);
	for (int k = 2; k < 1000; k++) {
		uint64_t start = sync_a_name(d, k);
		uint64_t calls = recorder_calls(d->rec, RECORDER_ALLOCATE);

		if (k == 2) /* before it nothing was free */
			last = start;
		if (monotonic_ms() - last >= 200 - 10)
			may++; /* under load */
		else
			sum += calls - was;
		was = calls;
		last = start;
	}
	may += (monotonic_ms() - began) / 500;
	assert_in_range(sum, 0, 64 * may + 16); /* some make room */
}

static void freed_room_goes_back_although_requests_do_not_pause(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t step = 31 * MIB / 64;

	d->p.max_bytes = 32 * MIB;
	drive_open(d);
	(void)riddle(d);
	for (int k = 0; du(d) > 15 * MIB; k++)
		(void)sync_a_name(d, k);
	until_du(d, 8 * MIB + 2 * step + 3 * MIB / 4);
}

/* Nobody waits for the disk to take back a whole segment. */
static void freed_room_goes_back_8_mib_at_a_time(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, full, before, calls, step = 255 * MIB / 64;

	d->p.max_bytes = 256 * MIB;
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	for (unsigned k = 0; k < 80; k++)
		assert_int_equal(put_slowly(d, ino, (uint64_t)k * MIB, MIB, NULL),
				 0);
	assert_int_equal(cache_sync(d->c), 0);
	full = du(d);
	before = recorder_calls(d->rec, RECORDER_ALLOCATE);
	rm(d, 1, "f");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	until_du(d, 3 * step);
	calls = recorder_calls(d->rec, RECORDER_ALLOCATE) - before;
	assert_true(calls * 8 * MIB >= full - 3 * step - 2 * MIB); /* heads */
}

/* Of what was freed since then nothing is to go back before. */
static void what_a_snapshot_pinned_goes_back_to_the_disk_when_it_ends(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t f, g, full, step = 63 * MIB / 64;
	struct cache_op op = { 0 };
	struct cache_snap *s;

	d->p.max_bytes = 64 * MIB;
	drive_open(d);
	f = mk(d, 1, "f", S_IFREG | 0644);
	for (unsigned k = 0; k < 16; k++)
		assert_int_equal(put_slowly(d, f, (uint64_t)k * MIB, MIB, NULL), 0);
	assert_int_equal(cache_snap_open(d->c, &s), 0);
	rm(d, 1, "f");
	forget(d, f);
	assert_int_equal(cache_sync(d->c), 0);
	full = du(d);
	assert_true(full >= 16 * MIB);
	/* promised room is pinned by nobody: it goes back, and the committer rests */
	g = mk(d, 1, "g", S_IFREG | 0644);
	assert_int_equal(cache_fallocate(d->c, &op, g, 0, 0, 8 * MIB), 0);
	assert_true(du(d) >= 24 * MIB);
	rm(d, 1, "g");
	forget(d, g);
	assert_int_equal(cache_sync(d->c), 0);
	until_du(d, full + 3 * step);
	rest(d);
	cache_snap_close(s);
	until_du(d, 3 * step);
}

static void room_that_a_kill_leaves_behind_is_found_and_given_back(void **state)
{
	struct world *w = *state;
	struct recorder_cut cut = { .lose = RECORDER_NOTHING };
	struct drive *d = &w->d, again;
	uint64_t ino, keep;

	d->p.max_bytes = 64 * MIB;
	d->p.segment_slots = 4096;
	drive_open(d);
	keep = mk(d, 1, "keep", S_IFREG | 0644);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	for (unsigned k = 0; k < 16; k++) {
		assert_int_equal(put_slowly(d, ino, (uint64_t)k * MIB, MIB, NULL),
				 0);
		put(d, keep, (uint64_t)k * PART, room_bytes, PART);
	}
	assert_int_equal(cache_sync(d->c), 0);
	cut_to(d, ino, 0);
	cut.at = recorder_length(d->rec);
	assert_int_equal(cache_sync(d->c), 0);
	cut.at = recorder_length(d->rec);
	drive_cut(d, &cut, &again);
	assert_true(stats(&again).disk_bytes >= du(&again));
	until_du(&again, 4 * MIB);
	until_counted(&again);
	assert_int_equal(get(&again, keep, 0, b, PART), PART);
	assert_memory_equal(room_bytes, b, PART);
	drive_free(&again);
}

static void a_disk_that_cannot_punch_is_used_all_the_same(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino;

	d->p.max_bytes = 8 * MIB;
	d->p.full_timeout_ms = PATIENCE_MS;
	drive_open(d);
	recorder_fail(d->rec, RECORDER_ALLOCATE, 0, EOPNOTSUPP, true);
	for (int k = 0; k < 6; k++) {
		ino = mk(d, 1, "f", S_IFREG | 0644);
		for (unsigned m = 0; m < 4; m++)
			assert_int_equal(put_slowly(d, ino, (uint64_t)m * MIB,
						    MIB, NULL),
					 0);
		assert_int_equal(cache_sync(d->c), 0);
		rm(d, 1, "f");
		forget(d, ino);
		assert_int_equal(cache_sync(d->c), 0);
	}
	assert_true(du(d) <= 7 * MIB);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, room_new, world_free)
	const struct CMUnitTest tests[] = {
		T(freed_room_goes_back_to_the_disk_without_being_asked),
		T(requests_have_the_disk_before_freed_room_goes_back),
		T(freed_room_goes_back_although_requests_do_not_pause),
		T(freed_room_goes_back_8_mib_at_a_time),
		T(what_a_snapshot_pinned_goes_back_to_the_disk_when_it_ends),
		T(room_that_a_kill_leaves_behind_is_found_and_given_back),
		T(a_disk_that_cannot_punch_is_used_all_the_same),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
