/*
 * test_pdp_pull.c - one provider fetches from another what is to be kept
 *
 * Slot 0 is put to; slot 1 is only told to keep.  By the devnet's counters a piece
 * leaves this machine once; by its books nothing is added twice, whatever fails.
 */
#include "tests/component/pdp/world.h"

#include <poll.h>
#include <stdio.h>

#include "provider/head.h"

#define PIECE   60000
#define BATCH   12 /* more than a busy provider lets wait for one payer */
#define CHANGES 40 /* of notes in one COMMIT, at most */

static void knob(struct world *w, unsigned slot, const char *what, const char *json)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "provider/%d%s",
		       (int)world_provider(w, slot), what);
	world_admin(w, path, json);
}

static uint64_t stat_of(struct world *w, unsigned slot, const char *name)
{
	char path[32];
	_cleanup_json_ json_t *v = NULL;

	(void)snprintf(path, sizeof(path), "provider/%d",
		       (int)world_provider(w, slot));
	v = world_get(w, path);
	return (uint64_t)json_integer_value(
		json_object_get(json_object_get(v, "stats"), name));
}

static struct piece_cid put(struct world *w, unsigned slot, char name[static 32])
{
	struct piece_cid cid = world_piece(w, PIECE, name);
	struct err e = { 0 };

	if (world_put(w, slot, name, &cid, &e) != 0)
		fail_msg("%s", e.text);
	return cid;
}

/* A failed fetch keeps a slot from asking for an hour; a new process asks. */
static void restart(struct world *w)
{
	struct err e = { 0 };

	world_halt(w);
	world_admin(w, "reset", "{}");
	for (unsigned i = 0; i < 2; i++) {
		world_start(w, i);
		if (world_attach(w, i, &e) != 0)
			fail_msg("%s", e.text);
	}
}

static void is_there_once(struct world *w, const char *name,
			  const struct piece_cid *cid)
{
	struct err e = { 0 };

	if (world_verify(w, 1, name, cid, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(w->notes[0].n_spends + w->notes[1].n_spends,
			 world_count(w, "add"));
}

static void what_is_parked_at_one_is_fetched_by_the_other(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	/* The first add of a slot, which creates its data set, and a later one. */
	for (unsigned i = 1; i <= 2; i++) {
		cid = put(w, 0, name);
		if (world_commit(w, 1, &cid, 1, &e) != 0)
			fail_msg("%s", e.text);
		assert_int_equal(world_count_adds(w, &cid), 1);
		assert_int_equal(stat_of(w, 1, "pulled"), i);
		is_there_once(w, name, &cid);
		assert_int_equal(world_commit(w, 0, &cid, 1, &e), 0);
		assert_int_equal(world_count_adds(w, &cid), 2);
	}
	assert_int_equal(stat_of(w, 0, "uploads"), 2);
	assert_true(stat_of(w, 1, "bytesIn") == stat_of(w, 1, "bytesPulled"));
}

static void only_what_is_missing_is_fetched(void **state)
{
	struct world *w = *state;
	uint64_t pulled = stat_of(w, 1, "pulled");
	struct piece_cid cids[BATCH];
	char names[BATCH][32];
	struct err e = { 0 };

	for (unsigned i = 0; i < BATCH; i++)
		cids[i] = put(w, i % 4 == 3, names[i]);
	if (world_commit(w, 1, cids, BATCH, &e) != 0)
		fail_msg("%s", e.text);
	assert_true(stat_of(w, 1, "pulled") == pulled + BATCH - BATCH / 4);
	for (unsigned i = 0; i < BATCH; i++)
		is_there_once(w, names[i], &cids[i]);
}

static void what_nobody_has_is_said_to_be_missing(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_commit(w, 1, &cid, 1, &e), -ENOENT);
	assert_int_equal(world_put(w, 1, name, &cid, &e), 0);
	assert_int_equal(world_commit(w, 1, &cid, 1, &e), 0);
	is_there_once(w, name, &cid);
}

/* What goes wrong with the fetching, and of whom: 0 the source, 1 who fetches. */
static const struct {
	unsigned slot;
	const char *what, *json;
} faults[] = {
	{ 0, "", "{\"flip\":{\"offset\":100}}" },
	{ 0, "", "{\"down\":true}" },
	{ 0, "/fault",
	  "{\"route\":\"GET /piece/.*\",\"times\":50,\"status\":500,\"text\":\"disk\"}" },
	{ 1, "/fault",
	  "{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"status\":400,\"text\":\"no\"}" },
	{ 1, "/fault",
	  "{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"status\":429,\"text\":\"busy\",\"retryAfter\":300}" },
	{ 1, "/fault",
	  "{\"route\":\"POST /pdp/piece/pull\",\"times\":50,\"status\":500,\"text\":\"no\"}" },
	{ 1, "/fault",
	  "{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"status\":200,\"json\":{\"pieces\":\"all\"}}" },
	{ 1, "/fault",
	  "{\"route\":\"POST /pdp/piece/pull\",\"times\":50,\"status\":200,\"json\":{\"status\":\"complete\",\"pieces\":[]}}" },
};

static void a_fetch_that_fails_becomes_an_upload_for_the_same_add(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];
	unsigned adds;

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		cid = put(w, 0, name);
		adds = world_notes(w, 1, "add/");
		knob(w, faults[i].slot, faults[i].what, faults[i].json);
		assert_int_equal(world_commit(w, 1, &cid, 1, &e), -ENOENT);
		assert_int_equal(world_count_adds(w, &cid), 0);
		assert_true(world_notes(w, 1, "add/") <= adds + 1);
		/* It is not even tried again now. */
		assert_int_equal(world_commit(w, 1, &cid, 1, &e), -ENOENT);
		assert_int_equal(world_put(w, 1, name, &cid, &e), 0);
		if (world_commit(w, 1, &cid, 1, &e) != 0)
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(world_count_adds(w, &cid), 1);
		restart(w);
		is_there_once(w, name, &cid);
	}
}

static void a_fetcher_that_is_busy_or_away_for_a_moment_is_asked_again(void **state)
{
	static const char *const json[] = {
		"{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"status\":429,\"text\":\"busy\",\"retryAfter\":1}",
		"{\"route\":\"POST /pdp/piece/pull\",\"times\":2,\"when\":\"before\",\"cut\":true}",
		"{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"when\":\"after\",\"cut\":true}",
	};
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(json); i++) {
		cid = put(w, 0, name);
		knob(w, 1, "/fault", json[i]);
		if (world_commit(w, 1, &cid, 1, &e) != 0)
			fail_msg("%zu: %s", i, e.text);
		assert_int_equal(world_count_adds(w, &cid), 1);
		is_there_once(w, name, &cid);
	}
}

/* Handed to a provider for a fetch, and then the chain refuses it: not uploaded. */
static void an_add_that_the_chain_refuses_is_no_failed_fetch(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = put(w, 0, name);
	knob(w, 1, "/fault",
	     "{\"route\":\"POST /pdp/piece/pull\",\"times\":1,\"status\":400,\"text\":\"extraData validation failed: addPieces validation failed: vm error=[0x42750746]\"}");
	assert_int_equal(world_commit(w, 1, &cid, 1, &e), -EREMOTEIO);
	assert_non_null(strstr(e.text, "refuses"));
	for (unsigned i = 0; i < 200 && e.text[0]; i++) {
		e.text[0] = '\0';
		if (world_commit(w, 1, &cid, 1, &e) != 0)
			(void)poll(NULL, 0, 50);
	}
	assert_int_equal(world_count_adds(w, &cid), 1);
	is_there_once(w, name, &cid);
}

static void a_head_piece_is_fetched_by_its_claim(void **state)
{
	struct world *w = *state;
	struct piece_cid cid, there = { 0 };
	struct err e = { 0 };
	char name[32];

	cid = put(w, 0, name);
	if (head_claim(w->p[1], w->keys, 1, &cid, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(head_read(w->p[0], w->keys, 1, &there, &e), 0);
	assert_true(piece_cid_eq(&there, &cid));
	is_there_once(w, name, &cid);
}

static void a_kill_while_fetching_loses_and_doubles_nothing(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	unsigned hits = 0;
	bool killed = true;
	char name[32];
	int r;

	for (int n = 0; killed; n++) {
		assert_true(n < CHANGES);
		for (int after = 0; after < 2; after++) {
			cid = put(w, 0, name);
			w->notes[1].die = n;
			w->notes[1].die_after = after;
			w->notes[1].changes = 0;
			r = world_commit(w, 1, &cid, 1, &e);
			killed = w->notes[1].dead;
			assert_true(killed || r == 0);
			hits += killed;
			restart(w);
			if (world_commit(w, 1, &cid, 1, &e) != 0)
				fail_msg("%s", e.text);
			assert_int_equal(world_count_adds(w, &cid), 1);
			is_there_once(w, name, &cid);
		}
	}
	assert_true(hits >= 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_parked_at_one_is_fetched_by_the_other),
		cmocka_unit_test(only_what_is_missing_is_fetched),
		cmocka_unit_test(what_nobody_has_is_said_to_be_missing),
		cmocka_unit_test(a_fetch_that_fails_becomes_an_upload_for_the_same_add),
		cmocka_unit_test(
			a_fetcher_that_is_busy_or_away_for_a_moment_is_asked_again),
		cmocka_unit_test(an_add_that_the_chain_refuses_is_no_failed_fetch),
		cmocka_unit_test(a_head_piece_is_fetched_by_its_claim),
		cmocka_unit_test(a_kill_while_fetching_loses_and_doubles_nothing),
	};

	return cmocka_run_group_tests_name("pdp_pull", tests, world_of_two,
					   world_close);
}
