/* test_hung.c - stores that do not answer */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "cache/internal.h"

#define MIB       (1u << 20)
#define CLOSED_MS RIG_WAIT_MS /* who needs as long waits for the store */
#define ROUNDS    5
#define T(f)      cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* Until the commit waits for nothing but a store that is silent for so long. */
static void until_stuck(struct device *d, uint64_t ticket, uint64_t ms)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct err e = { "" };

	while (!onboard_stuck(d->onboard, ticket, ms, &e)) {
		struct err wait = { "" };

		assert_true(monotonic_ms() < end);
		assert_int_equal(onboard_wait(d->onboard, ticket, 100, &wait),
				 -ETIMEDOUT);
	}
	assert_non_null(strstr(e.text, "has not answered"));
}

static void a_store_that_hangs_holds_up_no_other(void **state)
{
	struct rig *r = *state;
	struct onboard_stats os;
	struct device a;
	char *want;

	device_begun(&a, r, 3, 2);
	device_hang(&a, 1);
	device_start(&a);
	for (int i = 0; i < 3; i++) {
		f_fill(&a, i ? "more" : "new", 0, 2 * MIB, 10u + (unsigned)i);
		ok(device_sync(&a));
	}
	onboard_stats(a.onboard, &os);
	assert_int_equal(os.sequence, 4);
	assert_true(provider_silence_ms(a.stores[1]) >= RIG_SILENT_MS);
	assert_int_equal(device_newest_at(&a, 0), 4);
	assert_int_equal(device_newest_at(&a, 2), 4);
	want = tree_text(&a);
	device_close(&a);
	assert_in_range(a.closed_ms, 0, CLOSED_MS);

	/* Later it is back, and gets what it has missed. */
	device_open(&a);
	assert_int_equal(device_newest_at(&a, 1), 1);
	device_start(&a);
	device_until_newest(&a, 1, 4);
	device_close(&a);
	recovers_as(r, "b", 3, want);
	free(want);
}

/* From waking up until it has the commit; ms. */
static uint64_t catch_up(struct device *d, unsigned seed)
{
	uint64_t ticket, woken, took;
	struct err e = { "" };

	device_hang(d, 1);
	f_fill(d, "new", 0, MIB, seed);
	ticket = onboard_request(d->onboard);
	/* It says who is to blame.  The tries 2 s and 6 s behind the first have
	 * failed at once, and the pause behind them is 8 s. */
	until_stuck(d, ticket, RIG_SILENT_MS + 6500);
	device_wake(d, 1);
	woken = monotonic_ms();
	ok(onboard_wait(d->onboard, ticket, RIG_WAIT_MS, &e));
	took = monotonic_ms() - woken;
	assert_false(onboard_stuck(d->onboard, ticket, 0, &e));
	return took;
}

/* Who waits for the pause needs as long each time, who gets no processor does not. */
static void a_store_that_wakes_up_is_caught_up_with_at_once(void **state)
{
	uint64_t took = UINT64_MAX;
	struct rig *r = *state;
	struct device a;

	device_begun(&a, r, 2, 2);
	device_start(&a);
	for (unsigned i = 0; i < ROUNDS && took > 7000; i++)
		took = catch_up(&a, 2 + i);
	assert_in_range(took, 0, 7000);
	device_close(&a);
}

static void reads_go_to_a_store_that_answers(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	char *want;

	device_begun(&a, r, 2, 2);
	want = tree_text(&a);
	device_close(&a);
	for (size_t hung = 0; hung < 2; hung++) {
		device_recover(&b, r, hung ? "c" : "b", 2, 2, 0);
		device_hang(&b, hung);
		tree_is(&b, want);
		device_close(&b);
		assert_in_range(b.closed_ms, 0, CLOSED_MS);
	}
	free(want);
}

static void a_read_that_only_a_hung_store_can_serve_is_an_error(void **state)
{
	struct rig *r = *state;
	struct device a, b;
	uint64_t began;
	uint8_t byte;
	size_t n;

	device_begun(&a, r, 1, 1);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	(void)f_lookup(&b, "first", NULL);
	device_hang(&b, 0);
	began = monotonic_ms();
	assert_true(f_read(&b, "first", MIB, &byte, 1, &n) < 0);
	assert_in_range(monotonic_ms() - began, 0, RIG_WAIT_MS);
	device_close(&b);
	assert_in_range(b.closed_ms, 0, CLOSED_MS);
}

/* The chunk that is changed in part is at the hung store alone: the commit waits
 * for it as for any store, and is made then. */
static void a_commit_waits_for_a_chunk_of_a_hung_store(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a, b;
	uint64_t ticket;

	device_begun(&a, r, 1, 1);
	device_close(&a);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	(void)f_lookup(&b, "first", NULL);
	f_write(&b, "first", MIB + 4096, "in the middle", 13);
	device_hang(&b, 0);
	ticket = onboard_request(b.onboard);
	until_stuck(&b, ticket, RIG_SILENT_MS);
	device_wake(&b, 0);
	e.text[0] = '\0';
	ok(onboard_wait(b.onboard, ticket, RIG_WAIT_MS, &e));
	device_close(&b);
}

static void a_failed_run_is_told_to_its_own_ticket_only(void **state)
{
	struct rig *r = *state;
	char outbox[256], gone[256];
	struct err e = { "" };
	struct onboard_stats os;
	struct device a;
	uint64_t first, second;

	device_begun(&a, r, 1, 1);
	device_hang(&a, 0);
	device_start(&a);
	f_write(&a, "f", 0, "1", 1);
	first = onboard_request(a.onboard);
	do {
		assert_int_equal(usleep(10000), 0);
		onboard_stats(a.onboard, &os);
	} while (os.built < 2);

	/* The next run cannot write. */
	rig_path(r, "a/outbox", outbox, sizeof(outbox));
	rig_path(r, "a/gone", gone, sizeof(gone));
	assert_int_equal(rename(outbox, gone), 0);
	f_write(&a, "f", 0, "2", 1);
	second = onboard_request(a.onboard);
	assert_int_equal(onboard_wait(a.onboard, second, RIG_WAIT_MS, &e), -ENOENT);
	assert_int_equal(onboard_poll(a.onboard, first, NULL), -EINPROGRESS);
	assert_int_equal(rename(gone, outbox), 0);
	device_wake(&a, 0);
	ok(onboard_wait(a.onboard, first, RIG_WAIT_MS, &e));
	assert_int_equal(onboard_poll(a.onboard, second, NULL), -ENOENT);
	ok(device_sync(&a));
	ok(onboard_poll(a.onboard, second, NULL)); /* made up for */
	device_close(&a);
}

static void recover_takes_the_stores_that_answer(void **state)
{
	_cleanup_recover_found_ struct recover_found *f = NULL;
	struct rig *r = *state;
	struct device a, b;
	struct err e = { "" };

	device_begun(&a, r, 3, 2);
	device_close(&a);
	r->hung = 1u << 1;
	ok(device_find(&b, r, "b", 3, 0, &f, &e));
	assert_int_equal(f->sequence, 1);
	assert_int_equal(f->stores[0].status, 0);
	assert_int_equal(f->stores[1].status, -EREMOTEIO);
	assert_non_null(strstr(f->stores[1].why, "answer"));
	assert_int_equal(f->stores[2].status, 0);
	device_find_end(&b);
}

/* Else they get ENOSPC after full_timeout, though room would have come. */
static void who_waits_for_room_hears_that_a_slow_store_takes_pieces(void **state)
{
	uint64_t ticket, end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct onboard_stats os;
	struct err e = { "" };
	struct device a;

	device_init(&a, r, "a", 1, 1);
	a.piece_target = MIB;
	a.outbox_max = 2 * MIB;
	device_start(&a);
	device_hold(&a, 0, PROVIDER_PUT);
	f_fill(&a, "f", 0, 6 * MIB, 1);
	atomic_store(&a.cache->room_comes, false);
	ticket = onboard_request(a.onboard);
	do {
		assert_true(monotonic_ms() < end);
		onboard_stats(a.onboard, &os);
	} while (os.phase != ONBOARD_PAUSED);
	/* what was packed until the outbox was full */
	assert_true(atomic_exchange(&a.cache->room_comes, false));
	while (!atomic_load(&a.cache->room_comes)) {
		assert_true(monotonic_ms() < end);
		device_crawl(&a, 0);
		(void)usleep(1000);
	}
	device_wake(&a, 0);
	ok(onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e));
	device_close(&a);
}

/* Half of it is packed; the other half waits for what only the store can make. */
static void a_commit_without_room_in_the_outbox_names_who_is_silent(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a;
	uint64_t ticket;

	device_init(&a, r, "a", 1, 1);
	a.piece_target = MIB;
	a.outbox_max = 2 * MIB;
	device_start(&a);
	f_write(&a, "first", 0, "first", 5);
	ok(device_sync(&a));
	device_hang(&a, 0);
	f_fill(&a, "large", 0, 6 * MIB, 1);
	ticket = onboard_request(a.onboard);
	until_stuck(&a, ticket, RIG_SILENT_MS);
	device_wake(&a, 0);
	ok(onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e));
	assert_false(onboard_stuck(a.onboard, ticket, 0, &e));
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_store_that_hangs_holds_up_no_other),
		T(a_store_that_wakes_up_is_caught_up_with_at_once),
		T(reads_go_to_a_store_that_answers),
		T(a_read_that_only_a_hung_store_can_serve_is_an_error),
		T(a_commit_waits_for_a_chunk_of_a_hung_store),
		T(a_commit_without_room_in_the_outbox_names_who_is_silent),
		T(a_failed_run_is_told_to_its_own_ticket_only),
		T(recover_takes_the_stores_that_answer),
		T(who_waits_for_room_hears_that_a_slow_store_takes_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
