/* test_goneback.c - a store in whose place an older copy of it was put */
#include "rig.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

static void pause_a_little(void)
{
	const struct timespec t = { 0, 20000000 };

	(void)nanosleep(&t, NULL);
}

static void swap_in(struct rig *r, const char *store, const char *copy)
{
	char from[128], to[128], aside[160];

	rig_path(r, store, to, sizeof(to));
	rig_path(r, copy, from, sizeof(from));
	(void)snprintf(aside, sizeof(aside), "%s.newer", to);
	assert_int_equal(rename(to, aside), 0);
	assert_int_equal(rename(from, to), 0);
}

static void until_said(struct device *d, const char *what)
{
	struct onboard_stats s = { .why = "" };
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (!strstr(s.went_back, what) && monotonic_ms() < end) {
		pause_a_little();
		onboard_stats(d->onboard, &s);
	}
	assert_non_null(strstr(s.went_back, what));
}

struct tally {
	struct device *d;
	uint64_t store;
	unsigned n, listed;
};

static int on_placement(void *ctx, const struct ledger_placement *p)
{
	struct tally *t = ctx;

	t->listed += p->state == LEDGER_LISTED;
	t->n += p->store == t->store && p->state == LEDGER_VERIFIED;
	return 0;
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct tally *t = ctx;

	return ledger_placements(t->d->ledger, p->ordinal, on_placement, t);
}

static unsigned n_verified(struct device *d, size_t i)
{
	struct tally t = { .d = d, .store = d->ids[i] };

	ok(ledger_pieces(d->ledger, LEDGER_HELD, on_piece, &t));
	return t.n;
}

static size_t n_pieces(struct rig *r, const char *store)
{
	struct piece_file files[64];

	return store_pieces(r, store, files, 64);
}

static void until_whole(struct device *d, struct rig *r, size_t i,
			const char *store, size_t pieces)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while ((n_verified(d, i) < pieces || n_pieces(r, store) < pieces) &&
	       monotonic_ms() < end)
		pause_a_little();
	assert_true(n_verified(d, i) >= pieces);
	assert_true(n_pieces(r, store) >= pieces);
}

/* All copies were looked at, and a commit has answered for what is lost. */
static void until_mended(struct device *d)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS, lost, mended;
	struct tally t;

	do {
		pause_a_little();
		t = (struct tally){ .d = d };
		ok(ledger_pieces(d->ledger, 0, on_piece, &t));
		ok(ledger_losses(d->ledger, &lost, &mended));
	} while ((t.listed || lost != mended) && monotonic_ms() < end);
	assert_int_equal(t.listed, 0);
	assert_int_equal(lost, mended);
	ok(device_sync(d));
}

static void three_commits(struct device *d)
{
	char name[16];

	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "f%u", i);
		f_fill(d, name, 0, MIB, i);
		ok(device_sync(d));
	}
}

/* All of `n` stores have three commits more than the copy of one of them. */
static void begun_and_copied(struct device *d, struct rig *r, unsigned n,
			     const char *store, const char *copy)
{
	device_begun(d, r, n, n);
	device_start(d);
	ok(device_sync(d));
	rig_copy(r, store, copy);
	three_commits(d);
}

static void a_store_that_went_back_is_named_and_filled_again(void **state)
{
	struct rig *r = *state;
	struct onboard_stats s;
	struct device d;
	uint64_t newest;
	size_t n;

	begun_and_copied(&d, r, 2, "s1", "s1.old");
	newest = device_newest_at(&d, 1);
	n = n_pieces(r, "s1");
	assert_true(n > n_pieces(r, "s1.old"));
	device_close(&d);
	swap_in(r, "s1", "s1.old");
	device_open(&d);
	assert_true(device_newest_at(&d, 1) < newest);
	device_start(&d);
	until_said(&d, "gone back");
	until_whole(&d, r, 1, "s1", n);
	device_until_newest(&d, 1, newest);
	device_close(&d);
	/* Said once, not at each mount. */
	device_open(&d);
	device_start(&d);
	f_fill(&d, "more", 0, MIB, 9);
	ok(device_sync(&d));
	onboard_stats(d.onboard, &s);
	assert_string_equal(s.went_back, "");
	device_close(&d);
}

static void the_only_store_that_went_back_gets_all_again(void **state)
{
	struct rig *r = *state;
	struct device d, b;
	char *want, *got;

	begun_and_copied(&d, r, 1, "s0", "s0.old");
	want = tree_text(&d);
	device_close(&d);
	swap_in(r, "s0", "s0.old");
	device_open(&d);
	device_start(&d);
	until_said(&d, "gone back");
	until_mended(&d); /* from what is here */
	device_close(&d);
	device_recover(&b, r, "b", 1, 1, 0);
	device_start(&b);
	got = tree_text(&b);
	/* but for the root's times */
	assert_string_equal(strchr(want, '\n'), strchr(got, '\n'));
	device_close(&b);
	free(want);
	free(got);
}

/* Nothing fails, nothing is mounted anew: only the register tells. */
static void a_store_that_goes_back_under_way_is_found_at_the_next_commit(void **state)
{
	struct rig *r = *state;
	struct device d;
	uint64_t newest;
	size_t n;

	begun_and_copied(&d, r, 2, "s1", "s1.old");
	n = n_pieces(r, "s1");
	swap_in(r, "s1", "s1.old");
	f_fill(&d, "more", 0, MIB, 9);
	ok(device_sync(&d));
	until_said(&d, "gone back");
	newest = device_newest_at(&d, 0);
	device_until_newest(&d, 1, newest);
	until_whole(&d, r, 1, "s1", n);
	device_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_store_that_went_back_is_named_and_filled_again),
		T(the_only_store_that_went_back_gets_all_again),
		T(a_store_that_goes_back_under_way_is_found_at_the_next_commit),
	};

	return cmocka_run_group_tests_name("goneback", tests, NULL, NULL);
}
