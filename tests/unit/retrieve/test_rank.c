/* test_rank.c - what is learned of stores, with a clock of the test's own */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/util.h"
#include "retrieve/rank.h"

#define MS  1000ull
#define S   1000000ull
#define KIB 1024u
#define MIB (1024u * KIB)

/* One answer after another, from `now` on; the time afterwards. */
static uint64_t answers(struct rank *k, uint64_t now, unsigned times,
			uint64_t n, uint64_t took)
{
	struct rank_mark m;

	for (unsigned i = 0; i < times; i++) {
		rank_queue(k, n);
		rank_begin(k, now, n, &m);
		now += took;
		rank_end(k, &m, now, 0, n);
	}
	return now;
}

/* Latency 50 ms, 10 MiB/s. */
static uint64_t learn(struct rank *k, uint64_t now)
{
	now = answers(k, now, 16, 4 * KIB, 50 * MS);
	return answers(k, now, 16, 1 * MIB, 150 * MS);
}

static void latency_and_rate_are_told_apart(void **state)
{
	struct rank k = { 0 };

	(void)state;
	(void)learn(&k, S);
	assert_in_range(k.latency_us, 45 * MS, 55 * MS);
	assert_in_range(k.rate, 9 * MIB, 11 * MIB);
}

static void requests_side_by_side_share_the_line(void **state)
{
	struct rank k = { 0 };
	struct rank_mark m[4];
	uint64_t now = answers(&k, S, 8, 4 * KIB, 50 * MS);

	(void)state;
	/* four at once over a line of 10 MiB/s: each seems to have a quarter */
	for (unsigned round = 0; round < 8; round++) {
		for (size_t i = 0; i < ARRAY_LEN(m); i++) {
			rank_queue(&k, MIB);
			rank_begin(&k, now, MIB, &m[i]);
		}
		now += 450 * MS;
		for (size_t i = 0; i < ARRAY_LEN(m); i++)
			rank_end(&k, &m[i], now, 0, MIB);
	}
	assert_in_range(k.rate, 7 * MIB, 12 * MIB);
	assert_int_equal(k.flight_bytes, 0);
	assert_int_equal(k.queued_bytes, 0);
}

static void the_fast_one_is_first_until_it_is_busy(void **state)
{
	struct rank fast = { 0 }, slow = { 0 };
	uint64_t now;

	(void)state;
	(void)learn(&fast, S);
	now = answers(&slow, S, 16, 4 * KIB, 100 * MS);
	now = answers(&slow, now, 16, 1 * MIB, 200 * MS);
	fast.heard_us = now;
	assert_true(rank_cmp(&fast, &slow, now, 64 * KIB) < 0);
	rank_queue(&fast, 8 * MIB);
	assert_true(rank_cmp(&fast, &slow, now, 64 * KIB) > 0);
	rank_unqueue(&fast, 8 * MIB);
	assert_true(rank_cmp(&fast, &slow, now, 64 * KIB) < 0);
}

static void one_that_is_not_known_is_tried(void **state)
{
	struct rank known = { 0 }, unknown = { 0 };
	uint64_t now = learn(&known, S);

	(void)state;
	assert_true(rank_cmp(&unknown, &known, now, 1) < 0);
}

static void a_slow_one_is_not_slow_for_ever(void **state)
{
	struct rank fast = { 0 }, slow = { 0 };
	uint64_t now = answers(&slow, S, 16, 4 * KIB, 900 * MS), began;

	(void)state;
	now = answers(&fast, now, 1, 4 * KIB, 50 * MS);
	began = now;
	while (rank_cmp(&fast, &slow, now, 4 * KIB) < 0 && now < began + 3600 * S)
		now = answers(&fast, now, 20, 4 * KIB, 50 * MS);
	assert_in_range(now - began, 120 * S, 600 * S);
	/* and what it says then is believed at once */
	now = answers(&slow, now, 1, 4 * KIB, 900 * MS);
	assert_true(rank_cmp(&fast, &slow, now, 4 * KIB) < 0);
}

static void one_that_failed_is_last_for_a_while(void **state)
{
	struct rank good = { 0 }, bad = { 0 };
	uint64_t now = answers(&good, S, 8, 4 * KIB, 100 * MS);
	struct rank_mark m;

	(void)state;
	(void)answers(&bad, S, 8, 4 * KIB, 10 * MS);
	bad.heard_us = good.heard_us = now;
	assert_true(rank_cmp(&bad, &good, now, 1) < 0);
	rank_queue(&bad, 1);
	rank_begin(&bad, now, 1, &m);
	rank_end(&bad, &m, now + 1, -EREMOTEIO, 0);
	assert_true(rank_is_bad(&bad, now + S));
	assert_true(rank_cmp(&bad, &good, now + S, 1) > 0);
	assert_true(rank_cmp(&bad, &good, now + 11 * S, 1) < 0);
	/* the second time it is longer */
	rank_queue(&bad, 1);
	rank_begin(&bad, now + 11 * S, 1, &m);
	rank_end(&bad, &m, now + 11 * S, -EREMOTEIO, 0);
	assert_true(rank_cmp(&bad, &good, now + 23 * S, 1) > 0);
	assert_true(rank_cmp(&bad, &good, now + 32 * S, 1) < 0);
}

static void one_that_lied_is_behind_one_that_failed(void **state)
{
	struct rank lied = { 0 }, failed = { 0 };
	struct rank_mark m;
	uint64_t now = S;

	(void)state;
	rank_wrong(&lied, now);
	for (unsigned i = 0; i < 9; i++) {
		rank_queue(&failed, 1);
		rank_begin(&failed, now, 1, &m);
		rank_end(&failed, &m, now, -EREMOTEIO, 0);
	}
	assert_true(rank_cmp(&failed, &lied, now, 1) < 0);
	/* what it gives right does not make it good again at once */
	(void)answers(&lied, now, 1, 4 * KIB, MS);
	assert_true(rank_is_bad(&lied, now + 300 * S));
	assert_false(rank_is_bad(&lied, now + 601 * S));
}

static void what_is_late_follows_what_is_usual(void **state)
{
	struct rank even = { 0 }, uneven = { 0 };
	uint64_t now = answers(&even, S, 64, 4 * KIB, 100 * MS);
	uint64_t late;

	(void)state;
	late = rank_late_us(&even, now, 4 * KIB);
	assert_in_range(late, 140 * MS, 200 * MS);
	now = S;
	for (unsigned i = 0; i < 64; i++)
		now = answers(&uneven, now, 1, 4 * KIB, i % 8 ? 80 * MS : 240 * MS);
	late = rank_late_us(&uneven, now, 4 * KIB);
	assert_in_range(late, 220 * MS, 420 * MS);
}

static void what_is_late_has_bounds(void **state)
{
	struct rank none = { 0 }, quick = { 0 }, slow = { 0 };

	(void)state;
	assert_int_equal(rank_late_us(&none, S, 1), S);
	(void)answers(&quick, S, 64, 4 * KIB, 100);
	assert_int_equal(rank_late_us(&quick, quick.heard_us, 1), RANK_LATE_MIN_US);
	(void)answers(&slow, S, 64, 4 * KIB, 30 * S);
	assert_int_equal(rank_late_us(&slow, slow.heard_us, 1), RANK_LATE_MAX_US);
}

static void losing_a_race_makes_it_slower(void **state)
{
	struct rank k = { 0 };
	uint64_t now = answers(&k, S, 16, 4 * KIB, 20 * MS), before;
	struct rank_mark m;

	(void)state;
	before = rank_expect_us(&k, now, 4 * KIB);
	rank_queue(&k, 4 * KIB);
	rank_begin(&k, now, 4 * KIB, &m);
	rank_end(&k, &m, now + 5 * MS, -ECANCELED, 0);
	assert_int_equal(rank_expect_us(&k, now, 4 * KIB), before);
	rank_queue(&k, 4 * KIB);
	rank_begin(&k, now, 4 * KIB, &m);
	rank_end(&k, &m, now + 400 * MS, -ECANCELED, 0);
	assert_true(rank_expect_us(&k, now, 4 * KIB) > 3 * before);
}

static void gaps_and_ranges_follow_what_one_latency_holds(void **state)
{
	struct rank k = { 0 };

	(void)state;
	assert_int_equal(rank_range(&k), RANK_RANGE_MAX);
	k.latency_us = 50 * MS;
	k.rate = 10 * MIB; /* 512 KiB in 50 ms */
	assert_in_range(rank_gap(&k), 120 * KIB, 130 * KIB);
	assert_in_range(rank_range(&k), 2000 * KIB, 2050 * KIB);
	k.latency_us = 100;
	assert_int_equal(rank_gap(&k), RANK_GAP_MIN);
	assert_int_equal(rank_range(&k), RANK_RANGE_MIN);
	k.latency_us = UINT64_MAX;
	k.rate = UINT64_MAX;
	assert_int_equal(rank_gap(&k), RANK_GAP_MAX);
	assert_int_equal(rank_range(&k), RANK_RANGE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latency_and_rate_are_told_apart),
		cmocka_unit_test(requests_side_by_side_share_the_line),
		cmocka_unit_test(the_fast_one_is_first_until_it_is_busy),
		cmocka_unit_test(one_that_is_not_known_is_tried),
		cmocka_unit_test(a_slow_one_is_not_slow_for_ever),
		cmocka_unit_test(one_that_failed_is_last_for_a_while),
		cmocka_unit_test(one_that_lied_is_behind_one_that_failed),
		cmocka_unit_test(what_is_late_follows_what_is_usual),
		cmocka_unit_test(what_is_late_has_bounds),
		cmocka_unit_test(losing_a_race_makes_it_slower),
		cmocka_unit_test(gaps_and_ranges_follow_what_one_latency_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
