/* test_gc_fees.c - a removal that was asked for is paid once, or not at all */
#include "daemon/gc_fees.h"

#include "unit/ledger/common.h"

#include <string.h>

static const char *const urls[] = { "pdp:///a", "pdp:///b" };

/* A condemned piece that both stores have; its CID follows from `seed`. */
static uint64_t condemned(struct ledger *l, uint8_t seed, const uint64_t stores[2])
{
	struct ledger_placement p = { .state = LEDGER_VERIFIED };
	size_t n = 0;

	p.piece = add_ready(l, seed, 1);
	for (size_t i = 0; i < 2; i++) {
		p.store = stores[i];
		assert_int_equal(ledger_placement_set(l, &p), 0);
	}
	assert_int_equal(ledger_piece_listed(l, p.piece, 1), 0);
	assert_int_equal(ledger_piece_set(l, p.piece, LEDGER_HELD, false), 0);
	assert_int_equal(ledger_condemn(l, &p.piece, 1, &n), 0);
	assert_int_equal(n, 1);
	return p.piece;
}

static int ask(struct ledger *l, uint64_t store, uint8_t first, uint8_t ref)
{
	struct ledger_spend s = { .time = 5, .n_ref = 32, .text = "removing" };
	struct piece_cid cid = test_cid(first);

	memset(s.ref, ref, 32);
	memset(s.amount, 7, sizeof(s.amount));
	return gc_fees_ask(l, store, &cid, &s);
}

struct books {
	uint8_t ref[8];
	size_t n;
};

static int on_spend(void *ctx, const struct ledger_spend *s)
{
	struct books *b = ctx;

	assert_in_range(b->n, 0, ARRAY_LEN(b->ref) - 1);
	assert_int_equal(s->time, 5);
	assert_int_equal(s->n_ref, 32);
	assert_int_equal(s->amount[31], 7);
	assert_string_equal(s->text, "removing");
	b->ref[b->n++] = s->ref[31];
	return 0;
}

static struct books books(struct ledger *l)
{
	struct books b = { .n = 0 };

	assert_int_equal(gc_fees_settle(l), 0);
	assert_int_equal(ledger_spends(l, 0, on_spend, &b), 0);
	return b;
}

static void what_is_asked_for_is_paid_when_its_piece_is_gone_there(void **state)
{
	struct fixture *f = *state;
	uint64_t stores[2], piece;

	assert_int_equal(ledger_stores_set(f->l, urls, 2, stores), 0);
	piece = condemned(f->l, 1, stores);
	assert_int_equal(ask(f->l, stores[0], 1, 10), 0);
	assert_int_equal(ask(f->l, stores[1], 1, 11), 0);
	assert_int_equal(ask(f->l, stores[0], 1, 10), 1);
	assert_int_equal(books(f->l).n, 0);
	assert_int_equal(ledger_removed(f->l, piece, stores[1]), 0);
	again(f);
	assert_int_equal(books(f->l).n, 1);
	assert_int_equal(books(f->l).ref[0], 11);
	assert_int_equal(ledger_removed(f->l, piece, stores[0]), 0);
	again(f);
	assert_int_equal(books(f->l).n, 2);
	assert_int_equal(books(f->l).n, 2);               /* each once */
	assert_int_equal(ask(f->l, stores[0], 1, 10), 0); /* there is no note */
	assert_int_equal(books(f->l).n, 2);
}

static void of_two_that_begin_with_one_piece_the_later_is_paid(void **state)
{
	struct fixture *f = *state;
	uint64_t stores[2], piece;

	assert_int_equal(ledger_stores_set(f->l, urls, 2, stores), 0);
	piece = condemned(f->l, 1, stores);
	assert_int_equal(ask(f->l, stores[0], 1, 10), 0);
	assert_int_equal(ask(f->l, stores[0], 1, 20), 0); /* for more of them */
	assert_int_equal(ledger_removed(f->l, piece, stores[0]), 0);
	assert_int_equal(books(f->l).n, 1);
	assert_int_equal(books(f->l).ref[0], 20);
}

static void what_was_refused_is_not_paid(void **state)
{
	const struct piece_cid first = test_cid(1);
	struct fixture *f = *state;
	uint64_t stores[2], piece;

	assert_int_equal(ledger_stores_set(f->l, urls, 2, stores), 0);
	piece = condemned(f->l, 1, stores);
	assert_int_equal(ask(f->l, stores[0], 1, 10), 0);
	assert_int_equal(ask(f->l, stores[1], 1, 11), 0);
	assert_int_equal(gc_fees_forget(f->l, stores[0], &first), 0);
	assert_int_equal(ledger_removed(f->l, piece, stores[0]), 0);
	assert_int_equal(books(f->l).n, 0);
}

static void a_note_that_makes_no_sense_is_an_error(void **state)
{
	static const uint8_t bytes[90] = { 1, [80] = 99 };
	struct fixture *f = *state;

	for (size_t n = 0; n < sizeof(bytes); n += 10) {
		assert_int_equal(
			ledger_note_set(f->l, 0, "removal/x", slice(bytes, n)), 0);
		assert_int_equal(gc_fees_settle(f->l), -EUCLEAN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_asked_for_is_paid_when_its_piece_is_gone_there),
		CASE(of_two_that_begin_with_one_piece_the_later_is_paid),
		CASE(what_was_refused_is_not_paid),
		CASE(a_note_that_makes_no_sense_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
