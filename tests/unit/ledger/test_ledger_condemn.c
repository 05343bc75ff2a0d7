/* test_ledger_condemn.c - pieces that nobody needs go step by step */
#include "common.h"

#include <string.h>

#define N_BLOCKS 20

static const char *const urls[] = { "dir:///a", "dir:///b" };

/* The stores of this case's ledger. */
static uint64_t stores[2];

static int with_stores(void **state)
{
	struct fixture *f;
	int r = set_up(state);

	if (r)
		return r;
	f = *state;
	return ledger_stores_set(f->l, urls, 2, stores);
}

static void head(struct fixture *f, uint64_t seq, enum ledger_head_state state)
{
	const struct ledger_head h = { .seq = seq, .state = state };

	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 1, NULL, 0), 0);
}

static void at_store(struct fixture *f, uint64_t piece, size_t store,
		     enum ledger_placement_state state)
{
	const struct ledger_placement p = { .piece = piece,
					    .store = stores[store],
					    .state = state };

	assert_int_equal(ledger_placement_set(f->l, &p), 0);
}

/* A piece of blocks first … that both stores hold, listed by commit 1. */
static uint64_t add_held(struct fixture *f, uint32_t first)
{
	uint64_t o = add_ready(f->l, first, N_BLOCKS);

	at_store(f, o, 0, LEDGER_VERIFIED);
	at_store(f, o, 1, LEDGER_VERIFIED);
	assert_int_equal(ledger_piece_listed(f->l, o, 1), 0);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_HELD, false), 0);
	return o;
}

static size_t condemn(struct fixture *f, uint64_t ordinal)
{
	size_t n = 99;

	assert_int_equal(ledger_condemn(f->l, &ordinal, 1, &n), 0);
	return n;
}

static enum ledger_piece_state state_of(struct fixture *f, uint64_t ordinal)
{
	struct ledger_piece p;

	assert_int_equal(ledger_piece_get(f->l, ordinal, &p), 0);
	return p.state;
}

static bool may_remove(struct fixture *f)
{
	bool may;

	assert_int_equal(ledger_may_remove(f->l, &may), 0);
	return may;
}

static int on_removal(void *ctx, const struct ledger_piece *p)
{
	struct ordinals *o = ctx;

	o->v[o->n++] = p->ordinal;
	return 0;
}

static struct ordinals removals(struct fixture *f, size_t store)
{
	struct ordinals o = { .n = 0 };

	assert_int_equal(ledger_removals(f->l, stores[store], on_removal, &o), 0);
	return o;
}

static uint64_t waiting(struct fixture *f, uint64_t store)
{
	uint64_t pieces = 0, bytes = 0;

	assert_int_equal(ledger_condemned(f->l, store, &pieces, &bytes), 0);
	assert_int_equal(bytes, pieces * 5000);
	return pieces;
}

static void only_what_is_held_and_listed_can_be_condemned(void **state)
{
	struct fixture *f = *state;
	uint64_t held = add_held(f, 0), ready = add_ready(f->l, 100, 1);
	uint64_t outbox = add_held(f, 200), fresh = add_ready(f->l, 300, 1);
	uint64_t listed = add_held(f, 400);

	assert_int_equal(ledger_piece_set(f->l, listed, LEDGER_READY, false), 0);
	assert_int_equal(ledger_piece_set(f->l, outbox, LEDGER_HELD, true), 0);
	assert_int_equal(ledger_piece_set(f->l, fresh, LEDGER_HELD, false), 0);
	assert_int_equal(condemn(f, ready), 0);
	assert_int_equal(condemn(f, outbox), 0);
	assert_int_equal(condemn(f, fresh), 0);
	assert_int_equal(condemn(f, listed), 0); /* its commit waits for it */
	assert_int_equal(condemn(f, 12345), 0);
	assert_int_equal(condemn(f, held), 1);
	assert_int_equal(condemn(f, held), 0);
	again(f);
	assert_int_equal(state_of(f, held), LEDGER_CONDEMNED);
	assert_int_equal(state_of(f, ready), LEDGER_READY);
	assert_int_equal(state_of(f, outbox), LEDGER_HELD);
	assert_int_equal(waiting(f, 0), 1);
	assert_int_equal(waiting(f, stores[1]), 1);
}

static void a_condemned_piece_is_not_linked_and_its_blocks_move(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0), other, ordinal = 0;
	struct ledger_block b = test_block(3), got;

	assert_int_equal(ledger_block_link(f->l, b.digest, &got, &ordinal), 0);
	assert_int_equal(condemn(f, o), 1);
	assert_int_equal(ledger_block_link(f->l, b.digest, &got, &ordinal), -ENOENT);
	assert_int_equal(ledger_block_find(f->l, b.digest, &got, &ordinal), -ENOENT);
	other = add_ready(f->l, 3, 1);
	assert_int_equal(ledger_block_link(f->l, b.digest, &got, &ordinal), 0);
	assert_int_equal(ordinal, other);
}

static void nothing_goes_before_a_later_commit_is_published(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0);

	head(f, 7, LEDGER_CLAIMED);
	head(f, 8, LEDGER_BUILT);
	assert_true(may_remove(f));
	assert_int_equal(condemn(f, o), 1);
	assert_false(may_remove(f));
	assert_int_equal(ledger_head_set(f->l, 8, LEDGER_CLAIMED), 0);
	assert_false(may_remove(f)); /* built before it */
	head(f, 9, LEDGER_BUILT);
	again(f);
	assert_false(may_remove(f));
	assert_int_equal(ledger_head_set(f->l, 9, LEDGER_CLAIMED), 0);
	assert_true(may_remove(f));
	assert_int_equal(condemn(f, 12345), 0); /* changes nothing */
	assert_true(may_remove(f));
}

static void a_piece_is_gone_with_its_last_placement(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0), kept = add_held(f, 100);

	assert_int_equal(removals(f, 0).n, 0);
	assert_int_equal(condemn(f, o), 1);
	assert_int_equal(removals(f, 0).n, 1);
	assert_int_equal(removals(f, 0).v[0], o);
	at_store(f, o, 0, LEDGER_REMOVING);
	again(f);
	assert_int_equal(removals(f, 0).n, 1);
	assert_int_equal(ledger_removed(f->l, o, stores[0]), 0);
	assert_int_equal(removals(f, 0).n, 0);
	assert_int_equal(state_of(f, o), LEDGER_CONDEMNED);
	assert_int_equal(ledger_removed(f->l, o, stores[1]), 0);
	assert_int_equal(ledger_removed(f->l, o, stores[1]), 0); /* again */
	again(f);
	assert_int_equal(state_of(f, o), LEDGER_REMOVED);
	assert_int_equal(state_of(f, kept), LEDGER_HELD);
	assert_int_equal(waiting(f, 0), 0);
}

static void a_store_that_comes_back_is_rid_of_it_too(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0), ids[2];

	assert_int_equal(ledger_stores_set(f->l, urls, 1, ids), 0);
	assert_int_equal(condemn(f, o), 1);
	assert_int_equal(ledger_removed(f->l, o, stores[0]), 0);
	assert_int_equal(state_of(f, o), LEDGER_REMOVED);
	assert_int_equal(waiting(f, 0), 0);
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	assert_int_equal(removals(f, 1).n, 1);
	assert_int_equal(waiting(f, 0), 1);
	assert_int_equal(ledger_removed(f->l, o, stores[1]), 0);
	assert_int_equal(waiting(f, 0), 0);
}

static void what_is_needed_after_all_is_held_again(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0);
	struct ledger_placement p;

	assert_int_equal(ledger_spare(f->l, o), -ENOENT);
	assert_int_equal(condemn(f, o), 1);
	at_store(f, o, 1, LEDGER_REMOVING);
	assert_int_equal(ledger_spare(f->l, o), 0);
	assert_int_equal(state_of(f, o), LEDGER_HELD);
	assert_int_equal(ledger_placement_get(f->l, o, stores[0], &p), 0);
	assert_int_equal(p.state, LEDGER_VERIFIED);
	assert_int_equal(ledger_placement_get(f->l, o, stores[1], &p), 0);
	assert_int_equal(p.state, LEDGER_LISTED); /* it may be gone there */
	assert_int_equal(removals(f, 0).n, 0);
}

static unsigned found(struct fixture *f, uint32_t first)
{
	struct ledger_block b, got;
	uint64_t ordinal;
	unsigned n = 0;

	for (uint32_t i = first; i < first + N_BLOCKS; i++) {
		b = test_block(i);
		n += ledger_block_find(f->l, b.digest, &got, &ordinal) == 0;
	}
	return n;
}

/* A row that is still there would be moved, not added. */
static void blocks_of_removed_pieces_are_forgotten(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_held(f, 0), other;
	atomic_bool stop = true;

	(void)add_held(f, 100);
	other = add_held(f, 200);
	assert_int_equal(condemn(f, o), 1);
	assert_int_equal(ledger_blocks_sweep(f->l, NULL), 0);
	assert_int_equal(ledger_spare(f->l, o), 0);
	assert_int_equal(found(f, 0), N_BLOCKS); /* condemned is not gone */
	assert_int_equal(condemn(f, o), 1);
	assert_int_equal(ledger_removed(f->l, o, stores[0]), 0);
	assert_int_equal(ledger_removed(f->l, o, stores[1]), 0);
	assert_int_equal(ledger_blocks_sweep(f->l, &stop), 0);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_HELD, false), 0);
	assert_int_equal(found(f, 0), N_BLOCKS); /* called off */
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_REMOVED, false), 0);
	assert_int_equal(condemn(f, other), 1);
	assert_int_equal(ledger_blocks_sweep(f->l, NULL), 0);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_HELD, false), 0);
	assert_int_equal(found(f, 0), 0);
	assert_int_equal(found(f, 100), N_BLOCKS);
	assert_int_equal(ledger_spare(f->l, other), 0);
	assert_int_equal(found(f, 200), N_BLOCKS); /* condemned beside it */
}

/* A held piece of which only a damaged copy is left, at the first store. */
static uint64_t add_lost(struct fixture *f, uint32_t first)
{
	uint64_t o = add_held(f, first);

	at_store(f, o, 0, LEDGER_LOST);
	at_store(f, o, 1, LEDGER_LOST);
	assert_int_equal(ledger_piece_lose(f->l, o, false), 1);
	return o;
}

static void mend(struct fixture *f, const uint64_t *linked, size_t n)
{
	uint64_t losses, mended;

	assert_int_equal(ledger_losses(f->l, &losses, &mended), 0);
	assert_int_equal(ledger_mended(f->l, losses, NULL, 0, linked, n), 0);
}

static void what_is_lost_can_be_condemned_once_nothing_links_it(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_lost(f, 0), nowhere = add_held(f, 100);

	assert_int_equal(condemn(f, o), 0); /* it is not mended */
	mend(f, &o, 1);
	assert_int_equal(condemn(f, o), 0);
	mend(f, NULL, 0);
	assert_int_equal(ledger_removed(f->l, nowhere, stores[0]), 0);
	assert_int_equal(ledger_removed(f->l, nowhere, stores[1]), 0);
	assert_int_equal(ledger_piece_lose(f->l, nowhere, false), 1);
	mend(f, NULL, 0);
	assert_int_equal(condemn(f, nowhere), 0); /* nobody would remove it */
	assert_int_equal(condemn(f, o), 1);
	again(f);
	assert_int_equal(state_of(f, o), LEDGER_CONDEMNED);
	assert_int_equal(removals(f, 1).n, 1);
	assert_int_equal(ledger_removed(f->l, o, stores[0]), 0);
	assert_int_equal(ledger_removed(f->l, o, stores[1]), 0);
	assert_int_equal(state_of(f, o), LEDGER_REMOVED);
}

static void what_was_lost_is_not_held_when_it_is_needed_after_all(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_lost(f, 0), lost = 0;
	struct ledger_placement p;

	mend(f, NULL, 0);
	assert_int_equal(condemn(f, o), 1);
	at_store(f, o, 1, LEDGER_REMOVING);
	assert_int_equal(ledger_spare(f->l, o), 0);
	assert_int_equal(state_of(f, o), LEDGER_PIECE_LOST);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ledger_placement_get(f->l, o, stores[i], &p), 0);
		assert_int_equal(p.state, LEDGER_LOST);
	}
	assert_int_equal(ledger_lost(f->l, &lost), 0);
	assert_int_equal(lost, 1); /* it is said */
}

#define STORED(f) cmocka_unit_test_setup_teardown(f, with_stores, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORED(only_what_is_held_and_listed_can_be_condemned),
		STORED(a_condemned_piece_is_not_linked_and_its_blocks_move),
		STORED(nothing_goes_before_a_later_commit_is_published),
		STORED(a_piece_is_gone_with_its_last_placement),
		STORED(a_store_that_comes_back_is_rid_of_it_too),
		STORED(what_is_needed_after_all_is_held_again),
		STORED(blocks_of_removed_pieces_are_forgotten),
		STORED(what_is_lost_can_be_condemned_once_nothing_links_it),
		STORED(what_was_lost_is_not_held_when_it_is_needed_after_all),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
