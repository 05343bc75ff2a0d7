/* test_park.c - stores that park and share a head register, as on a chain */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "parks.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up_parks, rig_tear_down)

static unsigned paid(struct rig *r, size_t i)
{
	const struct parks_store *s = &r->parks->store[i];
	unsigned n;

	lock_take(&r->parks->lock);
	n = s->n_commits + s->n_claims;
	lock_drop(&r->parks->lock);
	return n;
}

static void until_outbox_empty(struct device *d)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct ledger_sums sums;

	do {
		ok(ledger_sums(d->ledger, &sums));
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
	} while (sums.outbox_pieces);
}

/* Store i has refused what it was to keep so many times. */
static void until_refused(struct rig *r, size_t i, unsigned want)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	unsigned n = 0;

	while (n < want) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		lock_take(&r->parks->lock);
		n = r->parks->store[i].n_refused;
		lock_drop(&r->parks->lock);
	}
}

static void a_small_commit_costs_one_fee_a_store(void **state)
{
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	for (unsigned i = 1; i <= 4; i++) {
		f_fill(&a, "file", 0, 300000, i);
		ok(device_sync(&a));
		until_outbox_empty(&a);
		assert_int_equal(paid(r, 0), i);
		assert_int_equal(paid(r, 1), i);
	}
	assert_int_equal(r->parks->n_heads, 4);
	assert_int_equal(r->parks->store[0].n_claims, 4);
	comes_back(&a, r, 2);
}

static void one_store_alone_claims_what_it_parked(void **state)
{
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "file", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	f_fill(&a, "other", 0, 1000, 2);
	ok(device_sync(&a));
	until_outbox_empty(&a);
	assert_int_equal(r->parks->store[0].n_claims, 2);
	comes_back(&a, r, 1);
}

/* The piece is ready a moment before the ledger knows that it is a head. */
static void what_is_parked_before_it_is_known_as_a_head_is_claimed(void **state)
{
	struct rig *r = *state;
	struct device a;
	char name[32];

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "d");
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < 1500; i++) { /* many rows to write with it */
			(void)snprintf(name, sizeof(name), "d/%d.%d", round, i);
			f_write(&a, name, 0, name, 1);
		}
		ok(device_sync(&a));
	}
	until_outbox_empty(&a);
	comes_back(&a, r, 1);
}

static void pieces_of_a_large_commit_share_fees(void **state)
{
	struct rig *r = *state;
	struct device a;
	uint64_t n_kept;

	device_init(&a, r, "a", 2, 2);
	a.piece_target = MIB;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "large", 0, 30 * MIB, 1);
	ok(device_sync(&a));
	until_outbox_empty(&a);
	n_kept = r->parks->store[1].n_kept;
	assert_true(n_kept >= 20);
	/* A full batch, what was left at the end, and the claim. */
	assert_in_range(paid(r, 0), 1, 2 + n_kept / PROVIDER_COMMIT_MAX);
	assert_in_range(paid(r, 1), 1, 2 + n_kept / PROVIDER_COMMIT_MAX);
	comes_back(&a, r, 2);
}

struct seen {
	size_t n_kept;
	unsigned n_puts, n_fetched;
};

static struct seen seen(struct rig *r, size_t i)
{
	const struct parks_store *s = &r->parks->store[i];
	struct seen n;

	lock_take(&r->parks->lock);
	n = (struct seen){ s->n_kept, s->n_puts, s->n_fetched };
	lock_drop(&r->parks->lock);
	return n;
}

static void change(struct device *a, unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		f_fill(a, "file", 0, 5 * MIB + i, i);
		ok(device_sync(a));
	}
	until_outbox_empty(a);
}

static void a_piece_leaves_this_machine_once_for_two_copies(void **state)
{
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 2, 2);
	a.piece_target = MIB;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	change(&a, 3);
	assert_true(seen(r, 0).n_puts == seen(r, 0).n_kept);
	assert_true(seen(r, 1).n_puts == 0);
	assert_true(seen(r, 1).n_fetched == seen(r, 1).n_kept);
	assert_true(seen(r, 1).n_kept == seen(r, 0).n_kept);
	/* The fees are as few as if it had been put. */
	assert_in_range(paid(r, 1), 3, 6);
	comes_back(&a, r, 2);
}

static void what_cannot_be_fetched_is_put(void **state)
{
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 2, 2);
	r->parks->store[1].no_fetch = true;
	device_start(&a);
	change(&a, 2);
	assert_true(seen(r, 1).n_fetched == 0);
	assert_true(seen(r, 1).n_puts == seen(r, 1).n_kept);
	comes_back(&a, r, 2);
}

static void what_the_first_store_cannot_take_the_second_does_not_wait_for(void **state)
{
	struct rig *r = *state;
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct device a;

	device_init(&a, r, "a", 2, 1);
	r->parks->store[0].gone = true;
	device_start(&a);
	f_fill(&a, "file", 0, 2 * MIB, 1);
	ok(device_sync(&a));
	while (seen(r, 1).n_kept == 0) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
	}
	assert_true(seen(r, 1).n_puts > 0);
	comes_back(&a, r, 2);
}

static void what_a_store_forgot_is_put_again(void **state)
{
	struct rig *r = *state;
	struct device a;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_fill(&a, "first", 0, 3 * MIB, 1);
	lock_take(&r->parks->lock);
	r->parks->store[1].forget = true;
	lock_drop(&r->parks->lock);
	ok(device_sync(&a));
	until_outbox_empty(&a);
	assert_false(r->parks->store[1].forget);
	comes_back(&a, r, 2);
}

static void nothing_is_published_or_dropped_before_both_keep_it(void **state)
{
	struct rig *r = *state;
	struct ledger_sums sums;
	struct err e = { "" };
	struct device a;
	uint64_t ticket;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	lock_take(&r->parks->lock);
	r->parks->store[1].refuse = true;
	lock_drop(&r->parks->lock);
	f_fill(&a, "file", 0, 2 * MIB, 1);
	ticket = onboard_request(a.onboard);
	until_refused(r, 1, 3); /* and so it goes on */
	assert_int_equal(onboard_poll(a.onboard, ticket, NULL), -EINPROGRESS);
	ok(ledger_sums(a.ledger, &sums));
	assert_true(sums.outbox_pieces > 0);
	lock_take(&r->parks->lock);
	assert_int_equal(r->parks->n_heads, 0);
	r->parks->store[1].refuse = false;
	lock_drop(&r->parks->lock);
	ok(onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e));
	until_outbox_empty(&a);
	comes_back(&a, r, 2);
}

static void refuse(struct rig *r, size_t i, bool refuse)
{
	lock_take(&r->parks->lock);
	r->parks->store[i].n_refused = 0;
	r->parks->store[i].refuse = refuse;
	lock_drop(&r->parks->lock);
}

/* Its claim would be the second copy.  The other one has its own, paid for. */
static void what_the_first_store_refuses_to_claim_the_second_does_not(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a;
	uint64_t ticket;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_fill(&a, "file", 0, 300000, 100);
	ok(device_sync(&a));
	for (unsigned i = 2; i <= 3; i++) {
		refuse(r, 0, true);
		f_fill(&a, "file", 0, 300000, i);
		ticket = onboard_request(a.onboard);
		until_refused(r, 0, 5); /* it counts as away */
		assert_int_equal(onboard_poll(a.onboard, ticket, NULL),
				 -EINPROGRESS);
		assert_int_equal(paid(r, 1), i);
		refuse(r, 0, false);
		ok(onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e));
		until_outbox_empty(&a);
		assert_int_equal(paid(r, 0), i);
		assert_int_equal(paid(r, 1), i);
	}
	comes_back(&a, r, 2);
}

static void a_restart_with_parked_pieces_pays_nothing_twice(void **state)
{
	struct rig *r = *state;
	struct device a;
	uint64_t ticket;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	lock_take(&r->parks->lock);
	r->parks->store[0].refuse = r->parks->store[1].refuse = true;
	lock_drop(&r->parks->lock);
	f_fill(&a, "file", 0, 2 * MIB, 1);
	ticket = onboard_request(a.onboard);
	until_refused(r, 1, 1);
	assert_int_equal(onboard_poll(a.onboard, ticket, NULL), -EINPROGRESS);
	device_close(&a);
	lock_take(&r->parks->lock);
	r->parks->store[0].refuse = r->parks->store[1].refuse = false;
	lock_drop(&r->parks->lock);
	device_open(&a);
	device_start(&a);
	ok(device_sync(&a));
	until_outbox_empty(&a);
	assert_true(paid(r, 0) <= 3 && paid(r, 1) <= 3);
	comes_back(&a, r, 2);
}

static void of_two_devices_one_publishes(void **state)
{
	struct rig *r = *state;
	struct device a, b;

	device_init(&a, r, "a", 2, 2);
	device_start(&a);
	f_fill(&a, "file", 0, MIB, 1);
	ok(device_sync(&a));
	until_outbox_empty(&a);
	device_close(&a);
	device_recover(&b, r, "b", 2, 2, 0);
	device_start(&b);
	f_fill(&b, "theirs", 0, MIB, 2);
	ok(device_sync(&b));
	until_outbox_empty(&b);
	device_close(&b);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "ours", 0, MIB, 3);
	assert_int_equal(device_sync(&a), -ESTALE);
	device_close(&a);
	assert_int_equal(r->parks->n_heads, 2);
}

static unsigned claims(struct rig *r, size_t i)
{
	unsigned n;

	lock_take(&r->parks->lock);
	n = r->parks->store[i].n_claims;
	lock_drop(&r->parks->lock);
	return n;
}

/* Its claim is what adds it there: a copy too many, where one elsewhere would do. */
static void a_head_comes_to_its_network_though_one_copy_is_wanted(void **state)
{
	struct rig *r = *state;
	struct device a;

	r->parks->store[1].plain = true;
	device_init(&a, r, "a", 2, 1);
	device_start(&a);
	/* Which store is the first for a piece depends on its number. */
	for (unsigned i = 1; i <= 8; i++) {
		f_fill(&a, "file", 0, 300000, i);
		ok(device_sync(&a));
		assert_int_equal(claims(r, 0), i);
	}
	until_outbox_empty(&a);
	comes_back(&a, r, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_small_commit_costs_one_fee_a_store),
		T(one_store_alone_claims_what_it_parked),
		T(what_is_parked_before_it_is_known_as_a_head_is_claimed),
		T(pieces_of_a_large_commit_share_fees),
		T(a_piece_leaves_this_machine_once_for_two_copies),
		T(what_cannot_be_fetched_is_put),
		T(what_the_first_store_cannot_take_the_second_does_not_wait_for),
		T(what_a_store_forgot_is_put_again),
		T(nothing_is_published_or_dropped_before_both_keep_it),
		T(what_the_first_store_refuses_to_claim_the_second_does_not),
		T(a_restart_with_parked_pieces_pays_nothing_twice),
		T(of_two_devices_one_publishes),
		T(a_head_comes_to_its_network_though_one_copy_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
