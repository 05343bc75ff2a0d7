/* test_watch.c - storage providers that do not prove, and who takes their place */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/thread.h"
#include "onboard/watch.h"
#include "parks.h"

#define MIB      (1u << 20)
#define LOOK_MS  50
#define PERIOD_S 100
#define T(f)     cmocka_unit_test_setup_teardown(f, setup, rig_tear_down)

static int setup(void **state)
{
	log_level_set(LOG_LEVEL_ERROR);
	return rig_set_up_parks(state);
}

/* ---- what is waited for ---- */

struct at {
	uint64_t store;
	struct ledger *l;
	bool all;
};

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct ledger_placement q;
	struct at *at = ctx;

	if (p->state != LEDGER_HELD && p->state != LEDGER_READY)
		return 0;
	at->all &= ledger_placement_get(at->l, p->ordinal, at->store, &q) == 0 &&
		   q.state == LEDGER_VERIFIED;
	return 0;
}

/* Store i gave every piece of the drive back, and nothing waits any more. */
static bool has_all(struct device *d, size_t i)
{
	struct at at = { d->ids[i], d->ledger, true };
	struct ledger_sums sums;

	ok(ledger_pieces(d->ledger, 0, on_piece, &at));
	ok(ledger_sums(d->ledger, &sums));
	return at.all && !sums.outbox_pieces && !sums.queued_pieces;
}

static unsigned n_replaced(struct rig *r, size_t i)
{
	unsigned n;

	lock_take(&r->parks->lock);
	n = r->parks->store[i].n_replaced;
	lock_drop(&r->parks->lock);
	return n;
}

static size_t n_heads(struct rig *r)
{
	size_t n;

	lock_take(&r->parks->lock);
	n = r->parks->n_heads;
	lock_drop(&r->parks->lock);
	return n;
}

#define until(condition)                                                 \
 do {                                                                    \
  uint64_t end_ = monotonic_ms() + RIG_WAIT_MS;                          \
  while (!(condition)) {                                                 \
   assert_true(monotonic_ms() < end_);                                   \
   ok(poll(NULL, 0, 5)); /* what is waited for takes many such pauses */ \
  }                                                                      \
 } while (0)

static int on_count(void *ctx, const struct watch_given *g)
{
	(void)g;
	++*(unsigned *)ctx;
	return 0;
}

/* As the ledger has it: what the store was is counted no more. */
static unsigned n_given(struct device *d, size_t i)
{
	unsigned n = 0;

	ok(watch_given(d->ledger, d->ids[i], on_count, &n));
	return n;
}

static void until_repaired(struct device *d, struct rig *r, size_t i, unsigned n)
{
	until(n_given(d, i) == n);
	assert_int_equal(n_replaced(r, i), n);
	for (size_t k = 0; k < d->n_stores; k++)
		until(has_all(d, k));
}

static struct watch watched(struct device *d, size_t i)
{
	struct watch w;

	until(watch_read(d->ledger, d->ids[i], &w) == 0);
	return w;
}

/* Looks go on: this many more of them are over. */
static void look(struct rig *r, size_t i, unsigned n)
{
	unsigned before;

	lock_take(&r->parks->lock);
	before = r->parks->store[i].n_looks;
	lock_drop(&r->parks->lock);
	for (unsigned now = before; now - before < n;) {
		ok(poll(NULL, 0, 5));
		lock_take(&r->parks->lock);
		now = r->parks->store[i].n_looks;
		lock_drop(&r->parks->lock);
	}
}

static void start(struct device *d, struct rig *r, size_t n, unsigned copies)
{
	device_init(d, r, "a", n, copies);
	d->watch_ms = LOOK_MS;
	d->watch_away_s = 3600;
	device_start(d);
}

static void set_proof(struct rig *r, size_t i, enum provider_proof_state state,
		      unsigned periods)
{
	uint64_t now = (uint64_t)time(NULL);

	lock_take(&r->parks->lock);
	r->parks->store[i].proof = (struct provider_proof){
		.state = state,
		.period_s = PERIOD_S,
		.missing_s = periods ? now - (uint64_t)periods * PERIOD_S - 1 : 0,
	};
	lock_drop(&r->parks->lock);
}

static int on_given(void *ctx, const struct watch_given *g)
{
	struct watch_given *v = ctx;

	v[v[0].set != 0] = *g;
	return 0;
}

static struct watch_given given(struct device *d, size_t i)
{
	struct watch_given v[2] = { 0 };

	ok(watch_given(d->ledger, d->ids[i], on_given, v));
	assert_true(v[0].set && !v[1].set); /* one */
	return v[0];
}

static void give_up(struct rig *r, size_t i)
{
	lock_take(&r->parks->lock);
	r->parks->store[i].given_gone = true;
	lock_drop(&r->parks->lock);
}

static void vanish(struct rig *r, size_t i)
{
	lock_take(&r->parks->lock);
	r->parks->store[i].gone = true;
	lock_drop(&r->parks->lock);
}

/* ---- the tests ---- */

static bool has_answered(struct device *d, size_t i)
{
	struct ledger_store row;

	ok(ledger_store_get(d->ledger, d->ids[i], &row));
	return row.seen != 0;
}

static void who_misses_proofs_is_replaced_without_a_word(void **state)
{
	struct rig *r = *state;
	struct watch_given g;
	struct device a;
	size_t heads;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	heads = n_heads(r);
	give_up(r, 1); /* all of it comes from the other store */
	set_proof(r, 1, PROVIDER_PROOF_FAULTED, 2);
	until_repaired(&a, r, 1, 1);
	assert_int_equal(n_replaced(r, 0), 0);
	g = given(&a, 1);
	assert_true(g.provider == 101 && g.set == 1101 && g.time_s);
	assert_string_equal(g.name, "holder 1.0");
	assert_non_null(strstr(g.why, "has not proven"));
	until(has_answered(&a, 1)); /* status need not say that nobody asked it */

	/* The newest head is where the service goes on. */
	until(n_heads(r) == heads + 1);
	until(has_all(&a, 0) && has_all(&a, 1));
	vanish(r, 0);
	comes_back(&a, r, 2); /* from the new one alone */
}

static void a_late_proof_is_said_and_nothing_is_replaced(void **state)
{
	struct rig *r = *state;
	struct device a;
	struct watch w;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, 1000, 1);
	ok(device_sync(&a));
	w = watched(&a, 0);
	assert_true(w.verdict == JUDGE_FINE && !w.why[0] && w.proof.set == 1100);
	set_proof(r, 0, PROVIDER_PROOF_LATE, 1);
	until((w = watched(&a, 0)).verdict == JUDGE_WARN);
	look(r, 0, 3);
	assert_int_equal(n_replaced(r, 0), 0);
	assert_non_null(strstr(w.why, "holder 0.0 is late"));
	set_proof(r, 0, PROVIDER_PROOF_GOOD, 0); /* it made up for it */
	until((w = watched(&a, 0)).verdict == JUDGE_FINE);
	device_close(&a);
}

static void who_ends_the_service_is_replaced(void **state)
{
	struct rig *r = *state;
	struct device a;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	set_proof(r, 0, PROVIDER_PROOF_ENDED, 0); /* the one that claims */
	until_repaired(&a, r, 0, 1);
	set_proof(r, 0, PROVIDER_PROOF_GONE, 0); /* and the next one too */
	until_repaired(&a, r, 0, 2);
	f_fill(&a, "more", 0, MIB, 2);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	vanish(r, 1);
	give_up(r, 0);
	comes_back(&a, r, 2);
}

static void who_cannot_be_reached_is_replaced_in_the_end(void **state)
{
	struct rig *r = *state;
	struct device a;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, 2 * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	vanish(r, 1);
	until(watched(&a, 1).away_s >= 1); /* far from an hour */
	assert_int_equal(n_replaced(r, 1), 0);
	device_close(&a);
	device_open(&a);
	a.watch_away_s = 2;
	device_start(&a); /* what was counted before a restart counts */
	until_repaired(&a, r, 1, 1);
	comes_back(&a, r, 2);
}

/* Store i has more than n pieces, kept or parked. */
static bool has_over(struct rig *r, size_t i, size_t n)
{
	const struct parks_store *s = &r->parks->store[i];
	bool over;

	lock_take(&r->parks->lock);
	over = s->n_kept > n || s->n_parked > n;
	lock_drop(&r->parks->lock);
	return over;
}

static void who_vanishes_half_way_is_replaced_and_the_commit_goes_on(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a;
	uint64_t ticket;

	start(&a, r, 2, 2);
	a.piece_target = MIB;
	a.watch_away_s = 1;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "file", 0, 60ul * MIB, 1);
	ticket = onboard_request(a.onboard);
	until(has_over(r, 1, 20));
	vanish(r, 1);
	give_up(r, 1);
	ok(onboard_wait(a.onboard, ticket, RIG_WAIT_MS, &e));
	until_repaired(&a, r, 1, 1);
	comes_back(&a, r, 2);
}

static void fault_of(void *ctx, const char *sentence)
{
	(void)sentence;
	++*(int *)ctx;
}

static void who_serves_wrong_bytes_is_replaced(void **state)
{
	struct rig *r = *state;
	struct err e = { "" };
	struct device a;
	int faults = 0;

	start(&a, r, 2, 2);
	a.piece_target = MIB;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "file", 0, 8ul * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	lock_take(&r->parks->lock);
	r->parks->store[1].lies = true;
	lock_drop(&r->parks->lock);
	ok(onboard_verify(a.onboard, 100, fault_of, NULL, &faults, &e));
	assert_true(faults > 3);
	give_up(r, 1);
	until_repaired(&a, r, 1, 1);
	assert_non_null(strstr(given(&a, 1).why, "back wrong"));
	comes_back(&a, r, 2);
}

/* Pieces of `a` are read by who has nothing but the words. */
static void begin_reader(struct device *a, struct device *b, struct rig *r)
{
	device_close(a);
	device_recover(b, r, "back", 2, 2, 0);
	b->watch_ms = LOOK_MS;
	b->watch_away_s = 3600;
	device_start(b);
	until(has_all(b, 0) && has_all(b, 1)); /* what was LISTED is read back */
}

static void set_shifts(struct rig *r, size_t i, bool rotten)
{
	lock_take(&r->parks->lock);
	r->parks->store[i].shifts = true;
	r->parks->store[i].rotten = rotten;
	lock_drop(&r->parks->lock);
}

static void who_lies_to_readers_alone_is_named_and_then_replaced(void **state)
{
	struct rig *r = *state;
	uint8_t byte[1];
	char name[32], *want;
	struct device a, b;
	size_t n;

	start(&a, r, 2, 2);
	a.piece_target = MIB;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	for (unsigned i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "file%u", i);
		f_fill(&a, name, 0, MIB, i);
	}
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	want = tree_text(&a);
	begin_reader(&a, &b, r);
	(void)f_lookup(&b, "file0", NULL); /* the directory is here */
	vanish(r, 0);
	set_shifts(r, 1, false);
	/* Nobody else has it now: an error, and never a wrong byte. */
	assert_true(f_read(&b, "file0", 0, byte, 1, &n) < 0);
	until(watched(&b, 1).wrong);
	assert_non_null(strstr(watched(&b, 1).why, "holder 1.0 gave"));
	until(has_all(&b, 1)); /* it is right for who reads it back */
	lock_take(&r->parks->lock);
	assert_true(r->parks->store[1].n_full >= 1); /* whole, not a sample */
	lock_drop(&r->parks->lock);
	for (unsigned i = 1; i < 12 && n_replaced(r, 1) == 0; i++) {
		(void)snprintf(name, sizeof(name), "file%u", i);
		(void)f_read(&b, name, 0, byte, 1, &n); /* wrong, or from the next */
		until(n_replaced(r, 1) || has_all(&b, 1));
	}
	until(n_replaced(r, 1) == 1);
	lock_take(&r->parks->lock);
	r->parks->store[0].gone = false;
	lock_drop(&r->parks->lock);
	until_repaired(&b, r, 1, 1);
	for (unsigned i = 0; i < 12; i++) { /* failures are remembered for a while */
		(void)snprintf(name, sizeof(name), "file%u", i);
		until(f_read(&b, name, 0, byte, 1, &n) == 0);
	}
	tree_is(&b, want);
	free(want);
	device_close(&b);
}

static void what_a_reader_found_rotten_is_not_sampled_away(void **state)
{
	struct rig *r = *state;
	char *want, *got;
	struct device a, b;

	start(&a, r, 2, 2);
	a.piece_target = MIB;
	device_close(&a);
	device_open(&a);
	device_start(&a);
	f_fill(&a, "file", 0, 12ul * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	want = tree_text(&a);
	begin_reader(&a, &b, r);
	give_up(r, 1);
	set_shifts(r, 1, true);
	got = tree_text(&b); /* the other one has it right */
	tree_same(want, got);
	until_repaired(&b, r, 1, 1);
	assert_non_null(strstr(given(&b, 1).why, "back wrong"));
	free(want);
	free(got);
	device_close(&b);
}

static void what_the_budget_forbids_is_said_and_nothing_changes(void **state)
{
	struct rig *r = *state;
	struct device a;
	struct watch w;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	r->parks->store[1].no_replace = -EDQUOT;
	set_proof(r, 1, PROVIDER_PROOF_FAULTED, 2);
	until((w = watched(&a, 1)).refused[0]);
	look(r, 1, 3);
	/* between two looks: each of them tries anew */
	until((w = watched(&a, 1),
	       w.verdict == JUDGE_REPLACE && w.refused[0] && !w.replacing));
	assert_int_equal(n_replaced(r, 1), 0);
	assert_true(has_all(&a, 1)); /* it still has its copies, and works */
	f_fill(&a, "more", 0, MIB, 2);
	ok(device_sync(&a));
	lock_take(&r->parks->lock);
	r->parks->store[1].no_replace = 0; /* there is money again */
	lock_drop(&r->parks->lock);
	until_repaired(&a, r, 1, 1);
	comes_back(&a, r, 2);
}

static void set_late(struct rig *r, size_t i, bool late)
{
	lock_take(&r->parks->lock);
	r->parks->store[i].late_replace = late;
	lock_drop(&r->parks->lock);
}

static void an_answer_that_is_lost_replaces_once(void **state)
{
	struct rig *r = *state;
	struct device a;
	struct watch w;

	start(&a, r, 2, 2);
	f_fill(&a, "file", 0, 2 * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	set_late(r, 1, true);
	set_proof(r, 1, PROVIDER_PROOF_GONE, 0);
	until(n_replaced(r, 1) == 1);
	device_close(&a); /* as good as any moment */
	device_open(&a);
	ok(watch_read(a.ledger, a.ids[1], &w));
	assert_true(w.replacing);
	assert_int_equal(n_given(&a, 1), 0);
	set_late(r, 1, false);
	device_start(&a);
	until_repaired(&a, r, 1, 1);
	look(r, 1, 3);
	assert_int_equal(n_replaced(r, 1), 1);
	comes_back(&a, r, 2);
}

static void the_only_copy_is_fetched_from_the_one_that_was_given_up(void **state)
{
	struct rig *r = *state;
	struct device a;

	start(&a, r, 1, 1);
	f_fill(&a, "file", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0));
	set_proof(r, 0, PROVIDER_PROOF_FAULTED, 2);
	until_repaired(&a, r, 0, 1);
	give_up(r, 0);
	comes_back(&a, r, 1);
}

static void the_only_copy_that_is_gone_is_sealed_anew(void **state)
{
	struct rig *r = *state;
	uint64_t lost = 1, bytes;
	struct device a;

	start(&a, r, 1, 1);
	f_fill(&a, "file", 0, 3 * MIB, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0));
	lock_take(&r->parks->lock);
	r->parks->store[0].n_kept = 0; /* it lost them, and so serves none */
	lock_drop(&r->parks->lock);
	set_proof(r, 0, PROVIDER_PROOF_GONE, 0);
	until_repaired(&a, r, 0, 1);
	ok(device_sync(&a));
	until(has_all(&a, 0));
	ok(ledger_lost_count(a.ledger, &lost, &bytes));
	assert_int_equal(lost, 0); /* all of it was here */
	comes_back(&a, r, 1);
}

static void heads_of_data_sets_that_have_ended_are_gone_past(void **state)
{
	struct rig *r = *state;
	struct device a;

	start(&a, r, 2, 2);
	for (unsigned i = 1; i <= 6; i++) {
		f_fill(&a, "file", 0, 1000 * i, i);
		ok(device_sync(&a));
	}
	until(has_all(&a, 0) && has_all(&a, 1));
	lock_take(&r->parks->lock);
	for (size_t i = 0; i < r->parks->n_heads - 1; i++)
		r->parks->head[i].lost = true;
	lock_drop(&r->parks->lock);
	comes_back(&a, r, 2);
	/* A device whose own newest head is one of these goes on. */
	r->parks->head[r->parks->n_heads - 1].lost = true;
	device_open(&a);
	device_start(&a);
	f_fill(&a, "file", 0, 99, 99);
	ok(device_sync(&a));
	until(has_all(&a, 0) && has_all(&a, 1));
	rig_remove(r, "back");
	comes_back(&a, r, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_misses_proofs_is_replaced_without_a_word),
		T(a_late_proof_is_said_and_nothing_is_replaced),
		T(who_ends_the_service_is_replaced),
		T(who_cannot_be_reached_is_replaced_in_the_end),
		T(who_vanishes_half_way_is_replaced_and_the_commit_goes_on),
		T(who_serves_wrong_bytes_is_replaced),
		T(who_lies_to_readers_alone_is_named_and_then_replaced),
		T(what_a_reader_found_rotten_is_not_sampled_away),
		T(what_the_budget_forbids_is_said_and_nothing_changes),
		T(an_answer_that_is_lost_replaces_once),
		T(the_only_copy_is_fetched_from_the_one_that_was_given_up),
		T(the_only_copy_that_is_gone_is_sealed_anew),
		T(heads_of_data_sets_that_have_ended_are_gone_past),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
