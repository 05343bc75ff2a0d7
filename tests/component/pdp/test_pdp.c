/* test_pdp.c - every verb of a slot, on the devnet */
#include "tests/component/pdp/world.h"

#include <stdio.h>

#include "chain/amount.h"
#include "crypto/commp.h"
#include "provider/head.h"

#define PIECE  100000
#define LARGER (5u << 20) /* is verified by samples */

static void without_money_a_slot_says_what_is_missing_and_spends_nothing(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	world_start(w, 0);
	assert_int_equal(world_attach(w, 0, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "waiting for funds: the deposit is short of"));
	assert_non_null(strstr(e.text, "USDFC"));

	/* With funds it needs the key's permission. */
	world_pay(w, "20");
	assert_int_equal(world_attach(w, 0, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "session key"));
	assert_int_equal(world_count(w, "create"), 0);

	world_login(w);
	if (world_attach(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	assert_true(w->p[0]->parks);
	assert_true(w->p[0]->network == w->url.net.chain_id);
	assert_int_equal(world_count(w, "create"), 0);
}

static void slots_choose_distinct_providers_endorsed_ones_first(void **state)
{
	struct world *w = *state;
	struct err e = { 0 };

	for (unsigned i = 1; i < WORLD_SLOTS; i++) {
		world_start(w, i);
		if (world_attach(w, i, &e) != 0)
			fail_msg("%s", e.text);
	}
	/* The devnet endorses 1 and 2 of its three. */
	assert_true(world_provider(w, 0) <= 2);
	assert_true(world_provider(w, 1) <= 2);
	assert_true(world_provider(w, 0) != world_provider(w, 1));
	assert_int_equal(world_provider(w, 2), 3);
	assert_memory_not_equal(provider_id(w->p[0]), provider_id(w->p[1]),
				PROVIDER_ID_SIZE);
}

static void what_is_put_is_kept_by_one_commit_and_read_back(void **state)
{
	struct world *w = *state;
	struct piece_cid cids[4];
	char names[4][32];
	uint8_t back[1000];
	struct provider_req get = {
		.verb = PROVIDER_GET, .off = 5000, .n = sizeof(back), .dst = back
	};
	struct provider_req stat = { .verb = PROVIDER_STAT };
	struct err e = { 0 };

	for (unsigned i = 0; i < 4; i++) {
		cids[i] = world_piece(w, i == 3 ? LARGER : PIECE + i, names[i]);
		if (world_put(w, 0, names[i], &cids[i], &e) != 0)
			fail_msg("%s", e.text);
		assert_int_equal(world_verify(w, 0, names[i], &cids[i], &e),
				 -ENOENT); /* parked, not kept */
	}
	if (world_commit(w, 0, cids, 3, &e) != 0 ||
	    world_commit(w, 0, cids, 4, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(world_count(w, "create"), 1);
	assert_int_equal(world_count(w, "add"), 2);
	/* Again: nothing to do, nothing to pay. */
	assert_int_equal(world_commit(w, 0, cids, 4, &e), 0);
	assert_int_equal(world_count(w, "add"), 2);
	assert_int_equal(w->notes[0].n_spends, 2);
	for (unsigned i = 0; i < 4; i++) {
		if (world_verify(w, 0, names[i], &cids[i], &e) != 0 ||
		    world_verify(w, 0, NULL, &cids[i], &e) != 0)
			fail_msg("%s", e.text);
	}
	get.cid = stat.cid = cids[3];
	assert_int_equal(provider_call(w->p[0], &get), 0);
	assert_int_equal(get.ret_n, sizeof(back));
	assert_int_equal(provider_call(w->p[0], &stat), 0);
	assert_int_equal(stat.ret_size, LARGER);
}

static struct piece_cid last_listed;

static int count(struct provider_req *req, const struct piece_cid *cid, uint64_t size)
{
	struct commp_sum sum;

	assert_int_equal(piece_cid_parse(piece_cid_slice(cid), &sum), 0);
	assert_true(sum.raw_size == size);
	++*(unsigned *)req->ctx;
	last_listed = *cid;
	return 0;
}

static void a_list_is_the_chains_and_removal_is_the_owners(void **state)
{
	struct world *w = *state;
	unsigned n = 0;
	struct provider_req list = { .verb = PROVIDER_LIST,
				     .found = count,
				     .ctx = &n };
	struct provider_req rm = { .verb = PROVIDER_REMOVE };

	assert_int_equal(provider_call(w->p[0], &list), 0);
	assert_int_equal(n, 4);
	rm.cid = last_listed;
	assert_int_equal(provider_call(w->p[0], &rm), -EACCES);
	assert_non_null(strstr(rm.err.text, "fildrive gc"));
	/* what is not there, or has been scheduled for removal, is gone */
	rm.cid.bytes[rm.cid.n - 1] ^= 1;
	assert_int_equal(provider_call(w->p[0], &rm), 0);
}

static void a_head_is_claimed_once_and_names_its_piece(void **state)
{
	struct world *w = *state;
	struct piece_cid cids[2], there = { 0 };
	struct err e = { 0 };
	char names[2][32];
	uint64_t h = 0;

	for (unsigned i = 0; i < 2; i++) {
		cids[i] = world_piece(w, PIECE, names[i]);
		assert_int_equal(world_put(w, 0, names[i], &cids[i], &e), 0);
	}
	assert_int_equal(head_newest(w->p[0], w->keys, 0, &h, &there, &e), -ENOENT);
	if (head_claim(w->p[0], w->keys, 1, &cids[0], &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(head_claim(w->p[0], w->keys, 1, &cids[0], &e), 0);
	assert_int_equal(head_claim(w->p[0], w->keys, 1, &cids[1], &e), -ESTALE);
	assert_int_equal(world_count_adds(w, &cids[0]), 1);
	assert_int_equal(world_count_adds(w, &cids[1]), 0);
	/* Of all slots. */
	assert_int_equal(head_read(w->p[1], w->keys, 1, &there, &e), 0);
	assert_true(piece_cid_eq(&there, &cids[0]));
	assert_int_equal(head_claim(w->p[0], w->keys, 2, &cids[1], &e), 0);
	assert_int_equal(head_newest(w->p[2], w->keys, 0, &h, &there, &e), 0);
	assert_true(h == 2 && piece_cid_eq(&there, &cids[1]));
	assert_int_equal(world_verify(w, 0, names[1], &cids[1], &e), 0);
}

static void the_first_add_of_a_slot_may_be_a_claim(void **state)
{
	struct world *w = *state;
	struct piece_cid cid, there = { 0 };
	struct err e = { 0 };
	char name[32];

	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_put(w, 1, name, &cid, &e), 0);
	if (head_claim(w->p[1], w->keys, 3, &cid, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(head_read(w->p[0], w->keys, 3, &there, &e), 0);
	assert_true(piece_cid_eq(&there, &cid));
	assert_int_equal(world_count(w, "create"), 2);
}

static void a_piece_that_is_not_parked_is_said_to_be_missing(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), -ENOENT);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	if (world_commit(w, 0, &cid, 1, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(world_count_adds(w, &cid), 1);
}

static void pieces_of_a_refused_add_can_be_wanted_without_the_others(void **state)
{
	struct world *w = *state;
	struct piece_cid cids[2];
	struct err e = { 0 };
	char names[2][32];

	for (unsigned i = 0; i < 2; i++)
		cids[i] = world_piece(w, PIECE, names[i]);
	assert_int_equal(world_put(w, 0, names[0], &cids[0], &e), 0);
	assert_int_equal(world_commit(w, 0, cids, 2, &e), -ENOENT);
	if (world_commit(w, 0, cids, 1, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(world_count_adds(w, &cids[0]), 1);
	assert_int_equal(world_count_adds(w, &cids[1]), 0);
}

static void a_budget_is_not_passed(void **state)
{
	struct world *w = *state;
	struct u256 before = w->budget;
	struct piece_cid cid;
	struct err e = { 0 };
	unsigned adds = world_count(w, "add");
	unsigned notes = world_notes(w, 0, "add/");
	char name[32];

	world_stop(w, 2);
	w->budget = u256(1000);
	world_start(w, 2);
	assert_int_equal(world_attach(w, 2, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "over the budget"));
	world_stop(w, 0);
	world_start(w, 0);
	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "over the budget"));
	/* Nothing new was signed; what landed is forgotten in time. */
	assert_true(world_notes(w, 0, "add/") <= notes);
	assert_int_equal(world_count(w, "add"), adds);
	w->budget = before;
	for (unsigned i = 0; i < 3; i += 2) {
		world_stop(w, i);
		world_start(w, i);
	}
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), 0);
}

static void a_slot_is_found_again_without_any_notes(void **state)
{
	struct world *w = *state;
	uint8_t ids[2][PROVIDER_ID_SIZE];
	uint64_t providers[2];
	struct err e = { 0 };
	unsigned n = 0;
	struct provider_req list = { .verb = PROVIDER_LIST,
				     .found = count,
				     .ctx = &n };

	for (unsigned i = 0; i < 2; i++) {
		memcpy(ids[i], provider_id(w->p[i]), PROVIDER_ID_SIZE);
		if (world_attach(w, i, &e) != 0)
			fail_msg("%s", e.text);
		memcpy(ids[i], provider_id(w->p[i]), PROVIDER_ID_SIZE);
		providers[i] = world_provider(w, i);
	}
	world_halt(w);
	for (unsigned i = 0; i < WORLD_SLOTS; i++)
		world_forget(w, i);
	for (unsigned i = 0; i < 2; i++) {
		world_start(w, i);
		if (world_attach(w, i, &e) != 0)
			fail_msg("%s", e.text);
		/* The fuller data set comes first. */
		assert_int_equal(world_provider(w, i), providers[i]);
		assert_memory_equal(provider_id(w->p[i]), ids[i], PROVIDER_ID_SIZE);
	}
	assert_int_equal(provider_call(w->p[0], &list), 0);
	assert_true(n >= 4);
	assert_int_equal(world_count(w, "create"), 2);
}

/* The network became a store of the drive when that had 40 commits. */
static void a_register_that_begins_late_is_found_by_what_was_added_last(void **state)
{
	struct world *w = *state;
	struct piece_cid cids[4], there = { 0 };
	struct err e = { 0 };
	char names[4][32];
	uint64_t h = 0;

	world_new_drive(w);
	assert_int_equal(head_newest(w->p[0], w->keys, 0, &h, &there, &e), -ENOENT);
	for (unsigned i = 0; i < 4; i++) {
		cids[i] = world_head_piece(w, 39 + i, names[i]);
		assert_int_equal(world_put(w, 0, names[i], &cids[i], &e), 0);
	}
	/* The older heads' pieces are there as pieces only. */
	if (world_commit(w, 0, cids, 2, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(head_newest(w->p[0], w->keys, 0, &h, &there, &e), -ENOENT);
	for (unsigned i = 2; i < 4; i++) {
		if (head_claim(w->p[0], w->keys, 39 + i, &cids[i], &e) != 0)
			fail_msg("%s", e.text);
		if (head_newest(w->p[0], w->keys, 0, &h, &there, &e) != 0)
			fail_msg("%s", e.text);
		assert_true(h == 39 + i && piece_cid_eq(&there, &cids[i]));
	}
	/* Pieces that say nothing do not hide it. */
	for (unsigned i = 0; i < 3; i++)
		(void)world_store(w, 0, PIECE);
	assert_int_equal(head_newest(w->p[0], w->keys, 0, &h, &there, &e), 0);
	assert_true(h == 42);
}

/* Curio follows the chain two epochs behind; here these are long. */
static void a_set_that_its_provider_does_not_know_yet_is_waited_for(void **state)
{
	struct world *w = *state;
	struct piece_cid cids[2];
	struct err e = { 0 };
	char names[2][32];

	world_new_drive(w);
	for (unsigned i = 0; i < 2; i++) {
		cids[i] = world_piece(w, PIECE, names[i]);
		assert_int_equal(world_put(w, 0, names[i], &cids[i], &e), 0);
	}
	world_admin(w, "chain", "{\"epochMs\":1000}");
	for (unsigned i = 0; i < 2; i++)
		if (world_commit(w, 0, &cids[i], 1, &e) != 0)
			fail_msg("%s", e.text);
	world_admin(w, "chain", "{\"epochMs\":50}");
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(world_count_adds(w, &cids[i]), 1);
}

/* Slot 1 has signed for its own first set when slot 0 adds the head to its set. */
static void a_head_that_another_slot_has_claimed_brings_no_data_set(void **state)
{
	struct world *w = *state;
	unsigned creates = world_count(w, "create");
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32], path[48];

	world_start(w, 1);
	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	assert_int_equal(world_put(w, 1, name, &cid, &e), 0);
	(void)snprintf(path, sizeof(path), "provider/%d/fault",
		       (int)world_provider(w, 1));
	world_admin(w, path,
		    "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"before\","
		    "\"status\":400,\"text\":\"not today\"}");
	assert_int_equal(head_claim(w->p[1], w->keys, 60, &cid, &e), -EREMOTEIO);
	if (head_claim(w->p[0], w->keys, 60, &cid, &e) != 0)
		fail_msg("%s", e.text);
	if (head_claim(w->p[1], w->keys, 60, &cid, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(world_count(w, "create"), creates);
	assert_int_equal(world_count_adds(w, &cid), 1);
	(void)world_store(w, 1, PIECE); /* to a set of its own */
	assert_int_equal(world_count(w, "create"), creates + 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			without_money_a_slot_says_what_is_missing_and_spends_nothing),
		cmocka_unit_test(slots_choose_distinct_providers_endorsed_ones_first),
		cmocka_unit_test(what_is_put_is_kept_by_one_commit_and_read_back),
		cmocka_unit_test(a_list_is_the_chains_and_removal_is_the_owners),
		cmocka_unit_test(a_head_is_claimed_once_and_names_its_piece),
		cmocka_unit_test(the_first_add_of_a_slot_may_be_a_claim),
		cmocka_unit_test(a_piece_that_is_not_parked_is_said_to_be_missing),
		cmocka_unit_test(
			pieces_of_a_refused_add_can_be_wanted_without_the_others),
		cmocka_unit_test(a_budget_is_not_passed),
		cmocka_unit_test(a_slot_is_found_again_without_any_notes),
		cmocka_unit_test(
			a_register_that_begins_late_is_found_by_what_was_added_last),
		cmocka_unit_test(
			a_set_that_its_provider_does_not_know_yet_is_waited_for),
		cmocka_unit_test(
			a_head_that_another_slot_has_claimed_brings_no_data_set),
	};

	return cmocka_run_group_tests_name("pdp", tests, world_open, world_close);
}
