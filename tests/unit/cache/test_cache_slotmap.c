/*
 * test_cache_slotmap.c - behind a clean end a mount reads the map of slots, and
 * whenever that might be wrong the rows
 */
#include "common.h"

#include <fcntl.h>
#include <stdio.h>

#define FILES 8000

#define FORGET_MAP "UPDATE state SET v = 0 WHERE k = 10"

static void fill(struct drive *d, unsigned n_files, unsigned version)
{
	uint8_t p[CACHE_BLOCK + 100];
	char name[16];

	for (unsigned k = 0; k < n_files; k++) {
		(void)snprintf(name, sizeof(name), "v%u-%u", version, k);
		pattern(p, sizeof(p), 0, version + k);
		put(d, mk(d, 1, name, S_IFREG | 0644), 0, p,
		    k % 3 ? 100 : sizeof(p));
	}
}

/* Every second one, so that free slots lie between named ones. */
static void thin_out(struct drive *d, unsigned n_files, unsigned version)
{
	char name[16];

	for (unsigned k = 0; k < n_files; k += 2) {
		(void)snprintf(name, sizeof(name), "v%u-%u", version, k);
		forget(d, look(d, 1, name));
		rm(d, 1, name);
	}
}

static void expect_right(struct drive *d)
{
	struct err e = { 0 };

	assert_int_equal(cache_check(d->c, false, NULL, NULL, &e), 0);
}

static uint64_t reads_of_an_open(struct drive *d)
{
	uint64_t before = recorder_calls(d->rec, RECORDER_READ), n;

	drive_open(d);
	n = recorder_calls(d->rec, RECORDER_READ) - before;
	drive_close(d);
	return n;
}

static void an_open_behind_a_clean_end_does_not_read_the_rows(void **state)
{
	struct drive *d = *state;
	uint64_t with, without;

	d->p.segment_slots = 4096; /* of each the header is read */
	drive_again(d);
	fill(d, FILES, 1);
	drive_close(d);
	/* stored: extents of dirty inodes are looked at in any case */
	drive_change(d, "DELETE FROM dirty; UPDATE inode SET clean_gen = 1 << 40");
	with = reads_of_an_open(d);
	drive_change(d, FORGET_MAP);
	without = reads_of_an_open(d);
	assert_true(with <= 40);
	assert_true(without >= with + 16);
	drive_open(d);
	expect_right(d);
}

static void what_is_shared_promised_or_free_is_as_the_rows_have_it(void **state)
{
	struct drive *d = *state;
	struct cache_stats was, is;
	struct cache_op op = { 0 };
	uint64_t from, to, done;
	static uint8_t p[64 * 1024];

	fill(d, 300, 1);
	thin_out(d, 300, 1);
	from = mk(d, 1, "from", S_IFREG | 0644);
	to = mk(d, 1, "to", S_IFREG | 0644);
	pattern(p, sizeof(p), 0, 9);
	put(d, from, 0, p, sizeof(p));
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(
		cache_copy_range(d->c, &op, from, 0, to, 0, sizeof(p), &done), 0);
	cut_to(d, from, 8 * CACHE_BLOCK);
	assert_int_equal(cache_fallocate(d->c, &op, to, 0, 1u << 20, 1u << 20), 0);
	assert_int_equal(cache_sync(d->c), 0);
	cache_stats(d->c, &was);
	assert_int_equal(was.reserved_bytes, 1u << 20);
	for (unsigned k = 0; k < 3; k++) {
		drive_again(d);
		expect_right(d);
		cache_stats(d->c, &is);
		assert_int_equal(is.reserved_bytes, was.reserved_bytes);
		assert_int_equal(is.dirty_bytes, was.dirty_bytes);
		expect_pattern(d, to, 0, sizeof(p), 9);
		fill(d, 50, 10 + k); /* into what is free */
		expect_pattern(d, to, 0, sizeof(p), 9);
		cache_stats(d->c, &was);
	}
}

/* At every write of an end, the mount behind it, and a change in that. */
static void a_cut_anywhere_leaves_a_map_that_is_right_or_none(void **state)
{
	struct drive *d = *state, found;

	fill(d, 40, 1);
	drive_again(d);
	assert_int_equal(recorder_forget(d->rec), 0);
	thin_out(d, 40, 1);
	drive_close(d);
	drive_open(d);
	fill(d, 10, 2);
	assert_int_equal(cache_sync(d->c), 0);
	thin_out(d, 10, 2);
	drive_close(d);
	for (size_t at = 0; at <= recorder_length(d->rec); at++) {
		for (unsigned lose = RECORDER_NOTHING; lose <= RECORDER_SOME;
		     lose++) {
			struct recorder_cut cut = { at, (enum recorder_lose)lose,
						    at };

			drive_cut(d, &cut, &found);
			expect_right(&found);
			drive_free(&found);
		}
	}
	drive_open(d);
}

/* It has opened the drive, and changed the rows. */
static void the_map_is_not_used_behind_a_program_that_did_not_know_it(void **state)
{
	struct drive *d = *state;

	fill(d, 20, 1);
	drive_close(d);
	drive_change(d, "UPDATE state SET v = v + 1 WHERE k = 5;"
			"DELETE FROM extent WHERE ino > 5");
	d->p.read_only = true;
	drive_open(d);
	expect_right(d);
	drive_close(d);
	d->p.read_only = false;
	drive_open(d);
	expect_right(d);
}

static void a_drive_without_the_table_gets_it_at_its_next_end(void **state)
{
	struct drive *d = *state;

	fill(d, 20, 1);
	drive_close(d);
	drive_change(d, "DROP TABLE slotmap; DELETE FROM state WHERE k >= 10");
	d->p.read_only = true;
	drive_open(d);
	expect_right(d);
	drive_close(d);
	d->p.read_only = false;
	drive_again(d);
	expect_right(d);
	drive_close(d);
	assert_true(drive_number(d, "SELECT count(*) FROM slotmap") > 0);
	assert_int_equal(drive_number(d, "SELECT v FROM state WHERE k = 10"),
			 drive_number(d, "SELECT v FROM state WHERE k = 5"));
	/* and if it is lost, whatever state says */
	drive_change(d, "DROP TABLE slotmap");
	drive_open(d);
	expect_right(d);
}

static void a_map_that_does_not_fit_is_none(void **state)
{
	static const char *const odd[] = {
		"UPDATE slotmap SET seg = 777 WHERE seg = 1",
		"UPDATE slotmap SET n_slots = 127",
		"UPDATE slotmap SET named = x'000000'",
		"UPDATE slotmap SET named = x'000100'",
		"UPDATE slotmap SET named = x'00ff0101'",
		"UPDATE slotmap SET named = x'ffffffffffffffff7f0101'",
		"UPDATE slotmap SET named = x'01ffffffffffffffff7f01'",
		"UPDATE slotmap SET named = x'0001ffff7f'",
		"UPDATE slotmap SET named = x'0001'",
	};
	struct drive *d = *state;

	fill(d, 20, 1);
	for (size_t k = 0; k < ARRAY_LEN(odd); k++) {
		drive_close(d);
		drive_change(d, odd[k]);
		drive_open(d);
		expect_right(d);
	}
}

static int lost_segment(struct drive *d)
{
	return io_unlink(recorder_io(d->rec), "data/00000001");
}

static void a_segment_that_is_lost_stays_lost(void **state)
{
	struct drive *d = *state;
	uint64_t first = mk(d, 1, "first", S_IFREG | 0644);
	uint8_t p[100] = { 0 };
	size_t n;

	put(d, first, 0, p, sizeof(p));
	drive_close(d);
	assert_int_equal(lost_segment(d), 0);
	for (unsigned k = 0; k < 3; k++) {
		drive_open(d);
		assert_int_equal(try_get(d, first, 0, p, sizeof(p), &n), -EIO);
		fill(d, 20, k); /* not into one of its number */
		assert_int_equal(try_get(d, first, 0, p, sizeof(p), &n), -EIO);
		drive_close(d);
		assert_int_equal(recorder_size(d->rec, "data/00000001"), -ENOENT);
	}
	drive_open(d);
}

static void a_wrong_map_is_found_and_counted_anew(void **state)
{
	struct drive *d = *state;
	struct err e = { 0 };

	fill(d, 20, 1);
	drive_close(d);
	drive_change(d, "UPDATE slotmap SET named = x'000201'");
	d->p.distrust = d->p.read_only = true;
	drive_open(d);
	assert_int_equal(cache_check(d->c, false, NULL, NULL, &e), 1);
	drive_close(d);
	d->p.read_only = false;
	drive_open(d);
	assert_int_equal(cache_check(d->c, true, NULL, NULL, &e), 0);
	drive_close(d);
	d->p.distrust = false;
	drive_open(d);
	expect_right(d);
}

/* User data is safe before the map is tried. */
static void an_end_without_room_for_the_map_loses_nothing(void **state)
{
	struct drive *d = *state;
	uint8_t p[4000];
	uint64_t ino, syncs;

	ino = mk(d, 1, "f", S_IFREG | 0644);
	pattern(p, sizeof(p), 0, 4);
	put(d, ino, 0, p, sizeof(p));
	assert_int_equal(cache_sync(d->c), 0);
	drive_again(d);
	for (syncs = 0; syncs < 12; syncs++) {
		pattern(p, sizeof(p), 0, 5 + (unsigned)syncs);
		put(d, ino, 0, p, sizeof(p));
		assert_int_equal(cache_sync(d->c), 0);
		recorder_fail(d->rec, RECORDER_WRITE | RECORDER_ALLOCATE, syncs,
			      ENOSPC, true);
		(void)cache_close(d->c); /* may say so */
		d->c = NULL;
		recorder_fail(d->rec, 0, 0, 0, false);
		drive_open(d);
		expect_right(d);
		expect_pattern(d, ino, 0, sizeof(p), 5 + (unsigned)syncs);
	}
}

#define T(name) \
 cmocka_unit_test_setup_teardown(name, drive_setup, drive_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_open_behind_a_clean_end_does_not_read_the_rows),
		T(what_is_shared_promised_or_free_is_as_the_rows_have_it),
		T(a_cut_anywhere_leaves_a_map_that_is_right_or_none),
		T(the_map_is_not_used_behind_a_program_that_did_not_know_it),
		T(a_drive_without_the_table_gets_it_at_its_next_end),
		T(a_map_that_does_not_fit_is_none),
		T(a_segment_that_is_lost_stays_lost),
		T(a_wrong_map_is_found_and_counted_anew),
		T(an_end_without_room_for_the_map_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
