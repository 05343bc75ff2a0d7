/* test_listed.c - after a recover: what stores only say that they have */
#include "rig.h"

#include <stdio.h>
#include <time.h>

#include "base/thread.h"

#define MIB  (1u << 20)
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_tear_down)

static int setup(void **state)
{
	struct device a;
	struct rig *r;

	(void)rig_set_up(state); /* asserts */
	r = *state;
	device_init(&a, r, "a", 2, 1);
	device_start(&a);
	f_fill(&a, "first", 0, 5 * MIB, 1);
	f_write(&a, "small", 0, "small", 5);
	ok(device_sync(&a));
	device_close(&a);
	return 0;
}

struct tally {
	struct device *d;
	unsigned n, listed, verified, indexed;
	uint64_t size, listed_bytes; /* of the piece at hand; of all that are LISTED */
};

static int on_placement(void *ctx, const struct ledger_placement *p)
{
	struct tally *t = ctx;

	t->listed += p->state == LEDGER_LISTED;
	t->listed_bytes += p->state == LEDGER_LISTED ? t->size : 0;
	t->verified += p->state == LEDGER_VERIFIED;
	return 0;
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct tally *t = ctx;

	t->n++;
	t->indexed += p->indexed;
	t->size = p->size;
	return ledger_placements(t->d->ledger, p->ordinal, on_placement, t);
}

static struct tally tally(struct device *d)
{
	struct tally t = { .d = d };

	ok(ledger_pieces(d->ledger, 0, on_piece, &t));
	return t;
}

static void meter(struct device *d)
{
	for (size_t i = 0; i < d->n_stores; i++)
		d->stores[i]->metered = true;
}

static uint64_t all_bytes(struct rig *r)
{
	return store_bytes(r, "s0") + store_bytes(r, "s1");
}

static void a_metered_store_is_not_downloaded_and_not_believed(void **state)
{
	struct rig *r = *state;
	uint64_t before = all_bytes(r), began;
	struct device b;
	struct tally t, now;

	device_recover(&b, r, "b", 2, 1, 0);
	t = tally(&b);
	assert_true(t.listed >= t.n && t.verified == 0 && t.indexed == 0);
	meter(&b);
	began = monotonic_ms();
	device_start(&b);
	f_fill(&b, "copy", 0, 5 * MIB, 1);
	ok(device_sync(&b));
	/* Not linked into what nobody here has read (I2); nothing is placed
	 * again that is said to be there. */
	assert_true(all_bytes(r) > before + 5 * MIB);
	assert_true(all_bytes(r) < before + 6 * MIB);
	/* but for 256 MiB a day and store, 3 bytes a ms: a small piece is soon read */
	now = tally(&b);
	assert_true(t.listed_bytes - now.listed_bytes <=
		    (monotonic_ms() - began) * 2 * 4);
	assert_true(now.listed > 0);
	device_close(&b);
}

static void what_was_read_back_after_a_recover_is_deduplicated(void **state)
{
	struct rig *r = *state;
	uint64_t before = all_bytes(r);
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;
	const struct timespec pause = { 0, 20000000 };
	struct device b;
	struct tally t;
	char *want;

	device_recover(&b, r, "b", 2, 1, 0);
	device_start(&b);
	do {
		(void)nanosleep(&pause, NULL);
		t = tally(&b);
	} while ((t.listed || t.indexed < t.n) && monotonic_ms() < end);
	assert_int_equal(t.listed, 0);
	assert_int_equal(t.indexed, t.n);
	f_fill(&b, "copy", 0, 5 * MIB, 1);
	ok(device_sync(&b));
	assert_true(all_bytes(r) < before + MIB);
	want = tree_text(&b);
	device_close(&b);
	recovers_as(r, "c", 2, want);
	free(want);
}

static void verify_reads_back_what_a_metered_store_is_said_to_have(void **state)
{
	struct rig *r = *state;
	struct device b;

	device_recover(&b, r, "b", 2, 1, 0);
	meter(&b);
	device_start(&b);
	assert_int_equal(device_verify(&b, NULL), 0);
	assert_int_equal(tally(&b).listed, 0);
	device_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_metered_store_is_not_downloaded_and_not_believed),
		T(what_was_read_back_after_a_recover_is_deduplicated),
		T(verify_reads_back_what_a_metered_store_is_said_to_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
