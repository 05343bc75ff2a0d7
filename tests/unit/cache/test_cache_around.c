/* test_cache_around.c - properties of reading around what is read (cache/around.c) */
#include "common.h"

#define MIB    (1u << 20)
#define BLOCK  4096u
#define WINDOW (32 * BLOCK)

static uint8_t a[MIB];

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

static void the_second_small_read_of_a_place_brings_what_is_around(void **state)
{
	struct drive *d = *state;

	read_block(d, 1000);
	assert_int_equal(recorder_wanted(d->rec), 0);
	read_block(d, 1002);
	assert_int_equal(recorder_wanted(d->rec), WINDOW);
	for (uint64_t k = 0; k < 5; k++)
		read_block(d, 1000 + k);
	assert_int_equal(recorder_wanted(d->rec), WINDOW); /* once */
}

static void reads_that_do_not_come_back_bring_nothing(void **state)
{
	struct drive *d = *state;

	for (uint64_t k = 0; k < 4096; k += 64)
		read_block(d, k);
	assert_int_equal(recorder_wanted(d->rec), 0);
}

static void many_reads_later_a_place_is_new_again(void **state)
{
	struct drive *d = *state;

	read_block(d, 1000);
	for (uint64_t k = 0; k < 8192; k++)
		read_block(d, 3000);
	assert_int_equal(recorder_wanted(d->rec), WINDOW); /* of block 3000 */
	read_block(d, 1002);
	assert_int_equal(recorder_wanted(d->rec), WINDOW);
}

static void where_most_was_read_neighbours_come_together(void **state)
{
	struct drive *d = *state;

	/* two windows: one read of one, two of the other */
	read_block(d, 1024);
	read_block(d, 1024 + 32);
	read_block(d, 1024 + 33);
	assert_int_equal(recorder_wanted(d->rec), 2 * WINDOW);
}

static void reading_in_order_asks_for_nothing(void **state)
{
	struct drive *d = *state;

	for (uint64_t at = 0; at < 16 * MIB; at += MIB / 4)
		expect_pattern(d, look(d, 1, "f"), at, MIB / 4, 1);
	assert_int_equal(recorder_wanted(d->rec), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(the_second_small_read_of_a_place_brings_what_is_around),
		T(reads_that_do_not_come_back_bring_nothing),
		T(many_reads_later_a_place_is_new_again),
		T(where_most_was_read_neighbours_come_together),
		T(reading_in_order_asks_for_nothing),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
