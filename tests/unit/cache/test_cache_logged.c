/*
 * test_cache_logged.c - small writes are durable with one sync of the disk, and
 * nothing is left of their rows when they have slots
 */
#include "common.h"

#include <stdio.h>

#define FILES 4
#define STEPS 120

static int setup(void **state)
{
	int r = drive_setup(state);
	struct drive *d = *state;

	assert_int_equal(cache_sync(d->c), 0);
	return r;
}

/* The drive as it is after a cut of the power right now. */
static void cut_now(struct drive *d, struct drive *ret)
{
	struct recorder_cut cut = { recorder_length(d->rec), RECORDER_ALL, 0 };

	drive_cut(d, &cut, ret);
}

static void a_small_sync_syncs_the_disk_once(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), before;
	uint8_t p[1000] = { 1 };

	/* the first block makes a segment */
	put(d, ino, 1u << 20, p, sizeof(p));
	assert_int_equal(cache_sync(d->c), 0);
	for (unsigned k = 0; k < 20; k++) {
		pattern(p, sizeof(p), k * 5000ull, k);
		put(d, ino, k * 5000ull, p, sizeof(p));
		before = recorder_calls(d->rec, RECORDER_SYNC);
		assert_int_equal(cache_sync(d->c), 0);
		assert_int_equal(recorder_calls(d->rec, RECORDER_SYNC), before + 1);
	}
}

static void what_is_too_much_to_log_is_sealed_at_once(void **state)
{
	struct drive *d = *state, cut;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), before;
	static uint8_t p[300 * 4096];

	pattern(p, sizeof(p), 0, 7);
	for (size_t k = 0; k < 300; k++)
		put(d, ino, k * 4096, p + k * 4096, 4096);
	before = recorder_calls(d->rec, RECORDER_SYNC);
	assert_int_equal(cache_sync(d->c), 0);
	assert_true(recorder_calls(d->rec, RECORDER_SYNC) >= before + 2);
	cut_now(d, &cut);
	expect_pattern(&cut, ino, 0, sizeof(p), 7);
	drive_close(&cut);
	assert_int_equal(drive_number(&cut, "SELECT count(*) FROM logged"), 0);
	drive_free(&cut);
}

static void nothing_is_logged_in_a_drive_that_was_closed(void **state)
{
	struct drive *d = *state, cut;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	uint8_t p[5000];

	pattern(p, sizeof(p), 0, 1);
	put(d, ino, 0, p, sizeof(p));
	assert_int_equal(cache_sync(d->c), 0);
	cut_now(d, &cut);
	drive_close(&cut); /* what it found logged has slots now */
	assert_int_equal(drive_number(&cut, "SELECT count(*) FROM logged"), 0);
	assert_int_equal(drive_number(&cut, "SELECT sum(n) FROM extent"), 2);
	drive_open(&cut);
	expect_pattern(&cut, ino, 0, sizeof(p), 1);
	drive_free(&cut);

	forget(d, ino);
	rm(d, 1, "f");
	assert_int_equal(cache_sync(d->c), 0);
	cut_now(d, &cut);
	assert_int_equal(look(&cut, 1, "f"), 0);
	assert_int_equal(cache_close(cut.c), 0);
	cut.c = NULL;
	assert_int_equal(drive_number(&cut, "SELECT count(*) FROM logged"), 0);
	assert_int_equal(drive_number(&cut, "SELECT count(*) FROM extent"), 0);
	drive_free(&cut);
}

/* Files in memory: what the drive is to have. */
struct text {
	uint8_t p[FILES][64 * 1024];
	size_t n[FILES];
	uint64_t ino[FILES];
	uint64_t seed;
};

static uint64_t any(struct text *t, uint64_t below)
{
	t->seed = t->seed * 6364136223846793005u + 1442695040888963407u;
	return (t->seed >> 33) % below;
}

static void step(struct drive *d, struct text *t, unsigned version)
{
	size_t f = any(t, FILES), off = any(t, 8 * 4096), n = 1 + any(t, 9000);

	if (any(t, 8) == 0)
		n = 24 * 1024; /* still gathered */
	if (any(t, 10) == 0) {
		off = 0;
		n = sizeof(t->p[0]); /* sealed at once, over what is logged */
	}
	if (any(t, 6) == 0) {
		n = any(t, t->n[f] + 1);
		cut_to(d, t->ino[f], n);
		memset(t->p[f] + n, 0, sizeof(t->p[f]) - n);
		t->n[f] = n;
		return;
	}
	pattern(t->p[f] + off, n, off, version);
	put(d, t->ino[f], off, t->p[f] + off, n);
	t->n[f] = MAX(t->n[f], off + n);
}

static void expect(struct drive *d, const struct text *t)
{
	static uint8_t back[sizeof(t->p[0])];

	for (size_t f = 0; f < FILES; f++) {
		assert_int_equal(attr(d, t->ino[f]).size, t->n[f]);
		assert_int_equal(get(d, t->ino[f], 0, back, sizeof(back)), t->n[f]);
		assert_memory_equal(back, t->p[f], t->n[f]);
	}
}

/* After each sync the power goes; now and then the drive goes on from there. */
static void what_was_synced_is_found_and_all_of_it(void **state)
{
	struct drive *d = *state, cut;
	struct text *t = calloc(1, sizeof(*t));
	char name[8];

	assert_non_null(t);
	t->seed = 5;
	for (size_t f = 0; f < FILES; f++) {
		(void)snprintf(name, sizeof(name), "%zu", f);
		t->ino[f] = mk(d, 1, name, S_IFREG | 0644);
	}
	for (unsigned k = 0; k < STEPS; k++) {
		for (uint64_t n = any(t, 4); n > 0; n--)
			step(d, t, k);
		assert_int_equal(cache_sync(d->c), 0);
		cut_now(d, &cut);
		expect(&cut, t);
		if (any(t, 3) == 0) {
			drive_free(d);
			*d = cut;
			d->p.io = recorder_io(d->rec);
		} else {
			drive_free(&cut);
		}
		if (any(t, 10) == 0)
			drive_again(d);
		expect(d, t);
	}
	free(t);
}

static void a_drive_of_format_1_is_upgraded_when_it_may_be_written(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	struct err e = { 0 }, e3 = { 0 };
	uint8_t p[5000];

	pattern(p, sizeof(p), 0, 3);
	put(d, ino, 0, p, sizeof(p));
	drive_close(d);
	drive_change(d, "DROP TABLE logged; UPDATE state SET v = 1 WHERE k = 1");

	d->p.read_only = true;
	assert_int_equal(cache_open(&d->p, &d->c, &e), -EROFS);
	assert_non_null(strstr(e.text, "mount it for writing"));
	d->c = NULL;
	d->p.read_only = false;
	drive_open(d);
	expect_pattern(d, ino, 0, sizeof(p), 3);
	put(d, ino, 0, p, 100);
	assert_int_equal(cache_sync(d->c), 0);
	drive_again(d);
	expect_pattern(d, ino, 0, sizeof(p), 3);
	drive_close(d);
	assert_int_equal(drive_number(d, "SELECT v FROM state WHERE k = 1"), 2);

	drive_change(d, "UPDATE state SET v = 3 WHERE k = 1");
	assert_int_equal(cache_open(&d->p, &d->c, &e3), -EUCLEAN);
	assert_non_null(strstr(e3.text, "format 3"));
	d->c = NULL;
}

static void inodes_are_counted_anew_behind_a_program_that_did_not(void **state)
{
	struct drive *d = *state;
	struct cache_stats s;

	(void)mk(d, 1, "f", S_IFREG | 0644);
	drive_close(d);
	assert_int_equal(drive_number(d, "SELECT v FROM state WHERE k = 8"), 2);
	/* it has opened the drive, and has removed the file */
	drive_change(d, "UPDATE state SET v = v + 1 WHERE k = 5;"
			"DELETE FROM dentry; DELETE FROM inode WHERE ino > 1");
	drive_open(d);
	cache_stats(d->c, &s);
	assert_int_equal(s.inodes, 1);
	drive_close(d);
	drive_change(d, "DELETE FROM state WHERE k = 8 OR k = 9");
	drive_open(d);
	cache_stats(d->c, &s);
	assert_int_equal(s.inodes, 1);
}

static void a_row_that_belongs_to_nothing_is_damage(void **state)
{
	static const char *const rows[] = {
		"INSERT INTO logged VALUES (1, 77, 0, x'00')",
		"INSERT INTO logged VALUES (0, 2, 0, x'00')",
		"INSERT INTO logged VALUES (1, 2, 0, x'00'), (2, 2, 0, x'00')",
		"INSERT INTO logged VALUES (1, 2, 1 << 60, x'00')",
		"INSERT INTO logged VALUES (1, 2, 0, zeroblob(4097))",
	};
	struct drive *d = *state;
	struct err e = { 0 };

	assert_int_equal(mk(d, 1, "f", S_IFREG | 0644), 2);
	drive_close(d);
	for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
		drive_change(d, rows[k]);
		assert_int_equal(cache_open(&d->p, &d->c, &e), -EUCLEAN);
		drive_change(d, "DELETE FROM logged");
	}
	drive_open(d);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, drive_teardown)

/* Inodes that are not changed leave the memory in the order of their last use. */
static void what_is_logged_stays_when_many_other_files_were_used_since(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	char name[16], back[8];

	put(d, ino, 0, "the first", 9);
	assert_int_equal(cache_sync(d->c), 0); /* makes the segment */
	put(d, ino, 0, "the only", 8);
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	for (unsigned k = 0; k < 20000; k++) {
		(void)snprintf(name, sizeof(name), "%u", k);
		forget(d, mk(d, 1, name, S_IFREG | 0644));
		if (k % 500 == 499)
			assert_int_equal(cache_sync(d->c), 0);
	}
	assert_true(look(d, 1, "f") == ino);
	assert_int_equal(get(d, ino, 0, back, sizeof(back)), sizeof(back));
	assert_memory_equal(back, "the only", sizeof(back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_small_sync_syncs_the_disk_once),
		T(what_is_too_much_to_log_is_sealed_at_once),
		T(nothing_is_logged_in_a_drive_that_was_closed),
		T(what_was_synced_is_found_and_all_of_it),
		T(inodes_are_counted_anew_behind_a_program_that_did_not),
		T(a_drive_of_format_1_is_upgraded_when_it_may_be_written),
		T(a_row_that_belongs_to_nothing_is_damage),
		T(what_is_logged_stays_when_many_other_files_were_used_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
