/*
 * test_cache_around.c - small reads have the disk begin with what is around them
 *
 * The rule itself: test_around.c.
 */
#include "common.h"

#include <time.h>

#define MIB   (1u << 20)
#define BLOCK 4096u
#define GROUP MIB         /* what lies around a read */
#define MARKS (64u << 10) /* that come together */

static uint8_t a[MIB], b[MIB];

/* A file of 16 MiB, in slots that lie one after the other. */
static int setup(void **state)
{
	struct drive *d = calloc(1, sizeof(*d));
	uint64_t ino;

	assert_non_null(d);
	drive_new(d);
	d->p.segment_slots = 0; /* 64 MiB */
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	for (uint64_t at = 0; at < 16 * MIB; at += MIB) {
		pattern(a, MIB, at, 1);
		put(d, ino, at, a, MIB);
	}
	drive_again(d);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	drive_free(*state);
	free(*state);
	return 0;
}

static void read_block(struct drive *d, uint64_t block)
{
	expect_pattern(d, look(d, 1, "f"), block * BLOCK, BLOCK, 1);
}

/* A thread of the drive does it: it may take a while, but will come. */
static void wait_for(struct drive *d, uint64_t bytes)
{
	struct timespec t = { .tv_nsec = 100000 };

	while (recorder_wanted(d->rec) < bytes)
		(void)nanosleep(&t, NULL); /* a look too early is no harm */
	assert_int_equal(recorder_wanted(d->rec), bytes);
}

static void a_small_read_brings_its_marks_and_what_is_around(void **state)
{
	struct drive *d = *state;

	read_block(d, 300);
	wait_for(d, MARKS + GROUP);
	for (uint64_t k = 300; k < 310; k++)
		read_block(d, k);
	/* another group, whose marks are there */
	read_block(d, 1200);
	wait_for(d, MARKS + 2 * GROUP); /* nothing came in between */
}

static void reading_in_order_asks_for_nothing(void **state)
{
	struct drive *d = *state;

	for (uint64_t at = 0; at < 16 * MIB; at += MIB / 4)
		expect_pattern(d, look(d, 1, "f"), at, MIB / 4, 1);
	read_block(d, 300);
	wait_for(d, MARKS + GROUP);
}

static void a_drive_is_closed_while_much_is_being_brought(void **state)
{
	struct drive *d = *state;

	for (int k = 0; k < 20; k++) {
		for (uint64_t block = 0; block < 2048; block += 256)
			read_block(d, block);
		drive_again(d);
	}
	assert_in_range(recorder_wanted(d->rec), 20 * MARKS,
			20 * (2 * MARKS + 8 * GROUP));
}

/* Not by the kernel's read-ahead, behind whose requests others would wait. */
static void a_snapshot_is_read_256_kib_ahead(void **state)
{
	struct drive *d = *state;
	uint64_t ino = look(d, 1, "f");
	struct cache_miss miss;
	struct cache_snap *s;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	assert_int_equal(cache_snap_read(s, ino, 3 * MIB, a, MIB, &miss), 0);
	pattern(b, MIB, 3 * MIB, 1);
	assert_memory_equal(a, b, MIB);
	assert_int_equal(recorder_wanted(d->rec), MIB); /* once, from 3.25 on */
	/* little is read as everywhere else */
	assert_int_equal(cache_snap_read(s, ino, 15 * MIB, a, MIB / 8, &miss), 0);
	assert_int_equal(recorder_wanted(d->rec), MIB);
	cache_snap_close(s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_small_read_brings_its_marks_and_what_is_around),
		T(reading_in_order_asks_for_nothing),
		T(a_snapshot_is_read_256_kib_ahead),
		T(a_drive_is_closed_while_much_is_being_brought),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
