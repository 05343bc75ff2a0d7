/*
 * test_around.c - properties of the rule by which small reads bring what is around
 *
 * Reads are played over files that lie in segments of 64 MiB, one slot after the
 * other: what would be brought is counted, and nothing is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the ones above */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cache/around.h"

#define SLOTS  16224u /* of a segment */
#define WINDOW 32u
#define MIB    256u /* slots */
#define GIB    (1024u * MIB)

struct play {
	struct around a;
	struct around_seg *v;
	uint8_t *have; /* of each slot */
	uint32_t n_slots, n_segs;
	uint64_t singles; /* reads that waited for a request of their own */
	uint64_t brought; /* slots, whether they were there or not */
	uint64_t came;    /* slots that were not there before */
};

static void play_init(struct play *p, uint32_t n_slots)
{
	*p = (struct play){ .n_slots = n_slots,
			    .n_segs = (n_slots + SLOTS - 1) / SLOTS };
	p->v = calloc(p->n_segs, sizeof(*p->v));
	p->have = calloc(p->n_segs, SLOTS);
	assert_non_null(p->v);
	assert_non_null(p->have);
	for (uint32_t i = 0; i < p->n_segs; i++)
		assert_int_equal(around_init(&p->v[i], SLOTS), 0);
}

static void play_fini(struct play *p)
{
	for (uint32_t i = 0; i < p->n_segs; i++)
		around_fini(&p->v[i]);
	free(p->v);
	free(p->have);
}

/* Slots that come with this read. */
static uint32_t play_read(struct play *p, uint32_t slot, uint32_t n)
{
	uint8_t *have = p->have + slot / SLOTS * SLOTS;
	uint32_t at = 0, k;

	p->singles += !have[slot % SLOTS];
	have[slot % SLOTS] = 1;
	k = around_read(&p->a, &p->v[slot / SLOTS], slot % SLOTS, n, &at);
	assert_true(k <= SLOTS && at <= SLOTS - k);
	for (uint32_t i = at; i < at + k; i++) {
		p->came += !have[i];
		have[i] = 1;
	}
	p->brought += k;
	return k;
}

/* A generator of our own: the same reads on every machine. */
static uint32_t draw(uint64_t *x, uint32_t n)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*x >> 32) * n >> 32);
}

static void play_random(struct play *p, uint32_t n_reads)
{
	uint64_t x = 4;

	for (uint32_t k = 0; k < n_reads; k++)
		(void)play_read(p, draw(&x, p->n_slots), 1);
}

/* Reads far from each other, until first reads bring nothing any more. */
static void use_up(struct play *p)
{
	for (uint32_t k = 0; k < 8; k++)
		assert_int_equal(play_read(p, k * 1024, 1), 8 * WINDOW);
	assert_int_equal(play_read(p, 8 * 1024, 1), 0);
}

/* ---- the rule ---- */

static void first_reads_bring_a_mib_until_8_were_for_nothing(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	use_up(&p);
	for (uint32_t k = 9; k < 200; k++)
		assert_int_equal(play_read(&p, k * 1024, 1), 0);
	play_fini(&p);
}

static void a_window_that_was_of_use_pays_for_a_mib_once(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	use_up(&p);
	for (uint32_t k = 0; k < 100; k++)
		assert_int_equal(play_read(&p, 3 * WINDOW + k % WINDOW, 1), 0);
	assert_int_equal(play_read(&p, 20 * 1024, 1), 8 * WINDOW);
	assert_int_equal(play_read(&p, 21 * 1024, 1), 0);
	play_fini(&p);
}

static void the_second_read_of_a_window_brings_it(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	use_up(&p);
	assert_int_equal(play_read(&p, 8 * 1024 + 5, 1), WINDOW);
	assert_int_equal(play_read(&p, 8 * 1024 + 6, 1), 0);
	play_fini(&p);
}

static void where_most_was_read_neighbours_come_together(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	use_up(&p);
	assert_int_equal(play_read(&p, 8 * 1024 + WINDOW, 1), 0);
	assert_int_equal(play_read(&p, 8 * 1024 + WINDOW + 1, 1), 2 * WINDOW);
	play_fini(&p);
}

static void after_8192_small_reads_all_is_new(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	use_up(&p);
	for (uint32_t k = 9; k < 8192; k++)
		assert_int_equal(play_read(&p, 8 * 1024, 1), k == 9 ? WINDOW : 0);
	use_up(&p);
	play_fini(&p);
}

static void the_end_of_a_segment_bounds_what_comes(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, SLOTS); /* 507 windows: the last group has 3 */
	assert_int_equal(play_read(&p, SLOTS - 1, 1), 3 * WINDOW);
	play_fini(&p);
}

static void larger_reads_bring_nothing_and_are_not_counted(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	for (uint32_t slot = 0; slot < 64 * MIB; slot += 64)
		assert_int_equal(play_read(&p, slot % (SLOTS - 64), 64), 0);
	assert_int_equal(p.a.small_reads, 0);
	play_fini(&p);
}

static void marks_come_once_for_each_part(void **state)
{
	struct around a = { 0 };
	struct around_seg s = { 0 };

	(void)state;
	assert_int_equal(around_init(&s, SLOTS), 0);
	assert_false(around_marks(&a, &s, 64, 3)); /* a read in order */
	assert_true(around_marks(&a, &s, 1, 3));
	assert_false(around_marks(&a, &s, 1, 3));
	assert_true(around_marks(&a, &s, 1, 4));
	assert_false(around_marks(&a, &s, 1, 1u << 20)); /* there are not so many */
	around_fini(&s);
}

/* ---- what it comes to ---- */

static void random_reads_of_256_mib_wait_for_few_requests(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 256 * MIB);
	play_random(&p, 16384);
	assert_in_range(p.singles, 1, 1000); /* with second reads alone 2,300 */
	play_fini(&p);
}

static void random_reads_of_1_gib_wait_for_a_quarter(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, GIB);
	play_random(&p, 16384);
	assert_in_range(p.singles, 1, 4096); /* with second reads alone 10,000 */
	play_fini(&p);
}

static void sparse_reads_of_10_gib_bring_no_more_than_384_mib(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 10 * GIB);
	play_random(&p, 32768);
	assert_in_range(p.brought, 1, 384 * MIB);
	play_fini(&p);
}

static void sparse_reads_of_50_gib_bring_no_more_than_96_mib(void **state)
{
	struct play p;

	(void)state;
	play_init(&p, 50 * GIB);
	play_random(&p, 32768);
	assert_in_range(p.brought, 1, 96 * MIB);
	play_fini(&p);
}

/* Each other read is of the same 10 MiB, as an index of a database is. */
static void what_is_read_all_the_time_does_not_pay_for_the_rest(void **state)
{
	struct play p;
	uint64_t x = 4;

	(void)state;
	play_init(&p, 50 * GIB);
	for (uint32_t k = 0; k < 32768; k++)
		(void)play_read(&p, draw(&x, k % 2 ? p.n_slots : 10 * MIB), 1);
	/* 4 rounds of 8 MiB, 1 MiB for each of the 80 windows, and few more */
	assert_in_range(p.brought, 1, 4 * (8 + 80 + 24) * MIB);
	play_fini(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_reads_bring_a_mib_until_8_were_for_nothing),
		cmocka_unit_test(a_window_that_was_of_use_pays_for_a_mib_once),
		cmocka_unit_test(the_second_read_of_a_window_brings_it),
		cmocka_unit_test(where_most_was_read_neighbours_come_together),
		cmocka_unit_test(after_8192_small_reads_all_is_new),
		cmocka_unit_test(the_end_of_a_segment_bounds_what_comes),
		cmocka_unit_test(larger_reads_bring_nothing_and_are_not_counted),
		cmocka_unit_test(marks_come_once_for_each_part),
		cmocka_unit_test(random_reads_of_256_mib_wait_for_few_requests),
		cmocka_unit_test(random_reads_of_1_gib_wait_for_a_quarter),
		cmocka_unit_test(sparse_reads_of_10_gib_bring_no_more_than_384_mib),
		cmocka_unit_test(sparse_reads_of_50_gib_bring_no_more_than_96_mib),
		cmocka_unit_test(what_is_read_all_the_time_does_not_pay_for_the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
