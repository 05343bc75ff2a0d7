/* test_room.c - a full drive whose stores are away */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"
#include "cache/internal.h"
#include "parks.h"

#define MIB    (1u << 20)
#define FIRST  12 /* files of 1 MiB when the commit is asked for */
#define FILES  40 /* more than there is room for */
#define KEPT   3  /* of them, the last ones: not in that commit */
#define OUTBOX (8 * MIB)
#define T(f)   cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

static void away(struct rig *r, size_t store, bool gone)
{
	char name[16], there[256], aside[300];

	(void)snprintf(name, sizeof(name), "s%zu", store);
	rig_path(r, name, there, sizeof(there));
	(void)snprintf(aside, sizeof(aside), "%s.away", there);
	assert_int_equal(gone ? rename(there, aside) : rename(aside, there), 0);
}

static const char *file(char name[static 8], unsigned i)
{
	(void)snprintf(name, 8, "%02u", i % 100);
	return name;
}

static void until_paused(struct device *d)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	struct onboard_stats os;

	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		onboard_stats(d->onboard, &os);
	} while (os.phase != ONBOARD_PAUSED);
}

static uint64_t free_bytes(struct device *d)
{
	struct cache_statfs s;

	ok(cache_statfs(d->cache, &s));
	return s.free * CACHE_BLOCK;
}

static void until_free(struct device *d, uint64_t n)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (free_bytes(d) < n) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
	}
}

static uint64_t generation(struct device *d)
{
	uint64_t n;

	lock_take(&d->cache->lock);
	n = d->cache->gen;
	lock_drop(&d->cache->lock);
	return n;
}

/*
 * The drive "a" with the first commit at all stores.  The last store is gone, the
 * outbox full, a commit under way, which waits for room there.  Returns its ticket.
 */
static uint64_t begun(struct device *d, struct rig *r, size_t n_stores)
{
	uint64_t ticket;
	char name[8];

	r->cache_bytes = 40 * MIB;
	device_init(d, r, "a", n_stores, (unsigned)n_stores);
	d->piece_target = 2 * MIB;
	d->outbox_max = OUTBOX;
	device_start(d);
	f_fill(d, "first", 0, MIB, 1);
	ok(device_sync(d));
	away(r, n_stores - 1, true);
	for (unsigned i = 0; i < FIRST; i++)
		f_fill(d, file(name, i), 0, MIB, 100 + i);
	ticket = onboard_request(d->onboard);
	until_paused(d);
	return ticket;
}

/* Files of 1 MiB from `from` on, until there is no room; returns their end. */
static unsigned fill_up(struct device *d, unsigned from)
{
	char name[8];
	int r = 0;

	for (unsigned i = from; i < FILES; i++) {
		r = f_try_fill(d, file(name, i), 0, MIB, 100 + i);
		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			return i;
		}
	}
	fail_msg("there is room for everything");
	return 0;
}

/* Of a full drive all files but the last ones are removed, which makes room. */
static unsigned empty(struct device *d)
{
	unsigned n = fill_up(d, FIRST);
	uint64_t had = free_bytes(d);
	char name[8];

	for (unsigned i = 0; i < n - KEPT; i++)
		f_unlink(d, file(name, i));
	until_free(d, had + (n - KEPT - 2) * MIB);
	return n - KEPT - 2;
}

/* The store is back: the ticket is served, and stores have all that there is. */
static void ends_well(struct device *d, struct rig *r, size_t n_stores,
		      uint64_t ticket)
{
	struct err e = { "" };
	char *want;

	assert_int_equal(onboard_poll(d->onboard, ticket, &e), -EINPROGRESS);
	away(r, n_stores - 1, false);
	onboard_retry(d->onboard);
	if (onboard_wait(d->onboard, ticket, RIG_WAIT_MS, &e) < 0)
		fail_msg("%s", e.text);
	ok(device_sync(d));
	want = tree_text(d);
	device_close(d);
	recovers_as(r, "b", n_stores, want);
	free(want);
}

static void what_is_removed_comes_back(struct rig *r, size_t n_stores)
{
	uint64_t ticket, gen;
	struct ledger_sums sums;
	struct device a;
	char name[8];
	unsigned n;

	ticket = begun(&a, r, n_stores);
	n = empty(&a);

	/* Now that no commit keeps anything, it comes back at once; none is begun. */
	gen = generation(&a);
	for (int k = 0; k < 2; k++) {
		until_free(&a, n * MIB);
		for (unsigned i = 0; i < n; i++)
			f_fill(&a, file(name, i), 0, MIB, 200 + i);
		for (unsigned i = k ? 4 : 0; i < n; i++)
			f_unlink(&a, file(name, i));
	}
	assert_int_equal(generation(&a), gen);
	ok(ledger_sums(a.ledger, &sums));
	if (n_stores == 1) /* where another has them pieces stay */
		assert_int_equal(sums.outbox_bytes, 0);
	ends_well(&a, r, n_stores, ticket);
	/* 8 files are there; not what was removed before it could leave */
	if (n_stores == 1)
		assert_in_range(store_bytes(r, "s0"), 8 * MIB, 9 * MIB);
}

static void what_is_removed_makes_room_though_the_store_is_away(void **state)
{
	what_is_removed_comes_back(*state, 1);
}

static void what_is_removed_makes_room_though_one_of_two_stores_is_away(void **state)
{
	what_is_removed_comes_back(*state, 2);
}

static void what_is_truncated_makes_room_though_the_store_is_away(void **state)
{
	struct rig *r = *state;
	struct device a;
	uint64_t ticket;
	char name[8];
	unsigned n;

	ticket = begun(&a, r, 1);
	n = fill_up(&a, FIRST);
	for (unsigned i = 0; i < n - KEPT; i++)
		f_truncate(&a, file(name, i), i * 100);
	until_free(&a, (n - KEPT - 2) * MIB);
	f_fill(&a, "more", 0, (n - KEPT - 2) * MIB, 3);
	ends_well(&a, r, 1, ticket);
}

static void what_is_written_over_takes_no_more_room_for_ever(void **state)
{
	uint64_t ticket, end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct device a;
	char name[8];
	int rc;

	ticket = begun(&a, r, 1);
	for (unsigned i = 0; i < 5 * FIRST; i++) {
		do {
			assert_true(monotonic_ms() < end);
			rc = f_try_fill(&a, file(name, i % FIRST), 0, MIB, 500 + i);
			assert_true(rc == 0 || rc == -ENOSPC);
			assert_int_equal(usleep(1000), 0); /* others are at work */
		} while (rc < 0);
	}
	ends_well(&a, r, 1, ticket);
}

static void a_drive_is_closed_while_a_run_that_gave_way_waits(void **state)
{
	struct rig *r = *state;
	struct device a;
	unsigned n;

	(void)begun(&a, r, 1);
	n = empty(&a);
	device_close(&a);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "more", 0, n * MIB, 3);
	ends_well(&a, r, 1, onboard_request(a.onboard));
}

static void what_is_removed_makes_room_though_the_store_hangs(void **state)
{
	uint64_t ticket, end = monotonic_ms() + RIG_WAIT_MS;
	struct rig *r = *state;
	struct ledger_sums sums;
	struct onboard_stats os;
	struct device a;
	unsigned n;

	ticket = begun(&a, r, 1);
	device_hold(&a, 0, PROVIDER_PUT);
	away(r, 0, false);
	onboard_retry(a.onboard);
	do {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0);
		onboard_stats(a.onboard, &os);
	} while (!os.uploading_pieces);
	device_hang(&a, 0);
	n = empty(&a);
	ok(ledger_sums(a.ledger, &sums));
	assert_int_equal(sums.queued_pieces, 1); /* which it has begun to get */
	f_fill(&a, "more", 0, n * MIB, 3);
	away(r, 0, true);
	device_wake(&a, 0);
	ends_well(&a, r, 1, ticket);
}

/* Who answers, and takes nothing: `takes` says whether it does. */
static void what_is_removed_comes_back_from(struct rig *r,
					    void (*takes)(struct device *d, bool does))
{
	struct err e = { "" };
	struct device a;
	uint64_t ticket;
	char name[8];
	unsigned n;
	char *want;

	r->cache_bytes = 40 * MIB;
	device_init(&a, r, "a", 1, 1);
	a.piece_target = 2 * MIB;
	a.outbox_max = OUTBOX;
	device_start(&a);
	f_fill(&a, "first", 0, MIB, 1);
	ok(device_sync(&a));
	takes(&a, false);
	for (unsigned i = 0; i < FIRST; i++)
		f_fill(&a, file(name, i), 0, MIB, 100 + i);
	ticket = onboard_request(a.onboard);
	until_paused(&a);
	n = empty(&a);
	f_fill(&a, "more", 0, n * MIB, 3);
	assert_int_equal(onboard_poll(a.onboard, ticket, &e), -EINPROGRESS);
	takes(&a, true);
	onboard_retry(a.onboard);
	if (onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e) < 0)
		fail_msg("%s", e.text);
	ok(device_sync(&a));
	want = tree_text(&a);
	device_close(&a);
	recovers_as(r, "b", 1, want);
	free(want);
}

static void has_room(struct device *d, bool does)
{
	device_full(d, 0, !does);
}

static void may_spend(struct device *d, bool does)
{
	struct parks *n = d->rig->parks;

	lock_take(&n->lock);
	n->store[0].refuse = !does;
	lock_drop(&n->lock);
}

static void what_is_removed_makes_room_though_the_store_is_full(void **state)
{
	what_is_removed_comes_back_from(*state, has_room);
}

static void what_is_removed_makes_room_though_nothing_may_be_spent(void **state)
{
	what_is_removed_comes_back_from(*state, may_spend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_removed_makes_room_though_the_store_is_away),
		T(what_is_removed_makes_room_though_one_of_two_stores_is_away),
		T(what_is_truncated_makes_room_though_the_store_is_away),
		T(what_is_written_over_takes_no_more_room_for_ever),
		T(a_drive_is_closed_while_a_run_that_gave_way_waits),
		T(what_is_removed_makes_room_though_the_store_hangs),
		T(what_is_removed_makes_room_though_the_store_is_full),
		cmocka_unit_test_setup_teardown(
			what_is_removed_makes_room_though_nothing_may_be_spent,
			rig_set_up_parks, rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
