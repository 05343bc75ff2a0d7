/*
 * test_pdp_faults.c - a slot, when the provider, the chain or we ourselves fail
 *
 * Whatever happens, the books of the devnet show each piece added once in the end,
 * and each of our own spends once.
 */
#include "tests/component/pdp/world.h"

#include <poll.h>
#include <stdio.h>

#include "provider/head.h"

#define PIECE   70000
#define TRIES   200
#define CHANGES 40 /* of notes in one COMMIT, at most */
#define CONFIRMED \
 5 /* epochs; then all endpoints and the provider say that it landed */

static int set_up(void **state)
{
	struct world *w;
	struct err e = { 0 };
	int r = world_open(state);

	w = *state;
	world_pay(w, "50");
	world_login(w);
	world_start(w, 0);
	if (world_attach(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	return r;
}

static void knob(struct world *w, const char *json)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "provider/%d", (int)world_provider(w, 0));
	world_admin(w, path, json);
}

static void fault(struct world *w, const char *json)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "provider/%d/fault",
		       (int)world_provider(w, 0));
	world_admin(w, path, json);
}

/* As a shipper does: again until it works. */
static void commit_at_last(struct world *w, const char *name,
			   const struct piece_cid *cid)
{
	struct err e = { 0 };
	int r = -EREMOTEIO;

	for (unsigned i = 0; i < TRIES && r != 0; i++) {
		if (r == -ENOENT)
			r = world_put(w, 0, name, cid, &e);
		r = world_commit(w, 0, cid, 1, &e);
		if (r != 0 && r != -EREMOTEIO && r != -ENOENT)
			break;
		(void)poll(NULL, 0, r == 0 ? 0 : 50);
	}
	if (r != 0)
		fail_msg("%d: %s", r, e.text);
}

/* The same of one who does not answer; all else is the result. */
#define UNTIL_ANSWERED(r, call)                                  \
 do {                                                            \
  (r) = (call);                                                  \
  for (unsigned i_ = 0; i_ < TRIES && (r) == -EREMOTEIO; i_++) { \
   (void)poll(NULL, 0, 50);                                      \
   (r) = (call);                                                 \
  }                                                              \
 } while (0)

static struct piece_cid put_one(struct world *w, char name[static 32])
{
	struct piece_cid cid = world_piece(w, PIECE, name);
	struct err e = { 0 };
	int r;

	UNTIL_ANSWERED(r, world_put(w, 0, name, &cid, &e));
	if (r != 0)
		fail_msg("%s", e.text);
	return cid;
}

static void is_there(struct world *w, const char *name, const struct piece_cid *cid)
{
	struct err e = { 0 };
	int r;

	UNTIL_ANSWERED(r, world_verify(w, 0, name, cid, &e));
	if (r != 0)
		fail_msg("%s", e.text);
}

static void check_once(struct world *w, const char *name, const struct piece_cid *cid)
{
	assert_int_equal(world_count_adds(w, cid), 1);
	assert_int_equal(w->notes[0].n_spends, world_count(w, "add"));
	is_there(w, name, cid);
	world_admin(w, "reset", "{}");
}

/* ---- faults of the provider, one after the other ---- */

static const struct {
	const char *knob, *fault;
} faults[] = {
	{ "{\"replaceTx\":1}", NULL },
	{ "{\"loseReceipt\":1}", NULL },
	{ "{\"reorg\":{\"times\":1,\"epochs\":4}}", NULL },
	{ "{\"revertAdd\":1}", NULL },
	{ "{\"dropTx\":1}", NULL },
	{ "{\"refuseAdd\":1}", NULL },
	/* It lands, and nobody says so. */
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"after\",\"cut\":true}" },
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"before\",\"cut\":true}" },
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"after\",\"status\":500,\"text\":\"internal\"}" },
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"before\",\"status\":503,\"text\":\"away\"}" },
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"before\",\"status\":429,\"text\":\"busy\",\"retryAfter\":1}" },
	{ NULL, "{\"route\":\"POST /pdp/data-sets.*\",\"when\":\"after\",\"json\":{},\"status\":200}" },
	/* What it says of the transaction. */
	{ NULL, "{\"route\":\"GET /pdp/data-sets/.*\",\"times\":3,\"status\":404,\"text\":\"Not found\"}" },
	{ NULL, "{\"route\":\"GET /pdp/data-sets/.*\",\"times\":3,\"status\":500,\"text\":\"Message status not found\"}" },
	{ NULL, "{\"route\":\"GET /pdp/data-sets/.*\",\"times\":3,\"cut\":true}" },
	{ NULL, "{\"route\":\"GET /pdp/data-sets/.*\",\"times\":3,\"status\":200,\"json\":{\"txStatus\":\"confirmed\",\"addMessageOk\":false,\"ok\":false}}" },
};

static void an_add_is_paid_once_whatever_the_provider_does(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		cid = put_one(w, name);
		if (faults[i].knob)
			knob(w, faults[i].knob);
		if (faults[i].fault)
			fault(w, faults[i].fault);
		commit_at_last(w, name, &cid);
		check_once(w, name, &cid);
	}
	assert_int_equal(world_count(w, "create"), 1);
}

static void uploads_survive_cuts_late_parking_and_busy_providers(void **state)
{
	static const struct {
		const char *knob, *fault;
		int r; /* of the first try */
	} cases[] = {
		{ "{\"parkMs\":600}", NULL, 0 },
		{ "{\"cutUpload\":{\"after\":20000,\"times\":1}}", NULL, -EREMOTEIO },
		{ "{\"wrongCommP\":1}", NULL, -EREMOTEIO },
		{ NULL, "{\"route\":\"POST /pdp/piece\",\"status\":429,\"text\":\"busy\",\"retryAfter\":1}",
		  0 },
		{ NULL, "{\"route\":\"PUT /pdp/piece.*\",\"when\":\"after\",\"cut\":true}",
		  -EREMOTEIO },
		{ NULL, "{\"route\":\"PUT /pdp/piece.*\",\"when\":\"after\",\"status\":409,\"text\":\"there\"}",
		  0 },
		{ NULL, "{\"route\":\"PUT /pdp/piece.*\",\"when\":\"before\",\"status\":413,\"text\":\"too large\"}",
		  -EMSGSIZE },
		{ NULL, "{\"route\":\"GET /pdp/piece\\\\b.*\",\"times\":3,\"status\":404,\"text\":\"no\"}",
		  0 },
	};
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		cid = world_piece(w, PIECE, name);
		if (cases[i].knob)
			knob(w, cases[i].knob);
		if (cases[i].fault)
			fault(w, cases[i].fault);
		assert_int_equal(world_put(w, 0, name, &cid, &e), cases[i].r);
		if (cases[i].r)
			assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
		commit_at_last(w, name, &cid);
		check_once(w, name, &cid);
	}
}

/* An add that is kept, and then has never been: not deeper than what is taken back. */
static void keep_and_lose(struct world *w, const struct piece_cid *cid)
{
	struct err e = { 0 };

	if (world_commit_standing(w, 0, cid, &e) != 0)
		fail_msg("%s", e.text);
	world_admin(w, "reorg", "{\"epochs\":8,\"lose\":true}");
	assert_int_equal(world_count_adds(w, cid), 0);
	world_admin(w, "chain", "{\"epochMs\":50}");
}

static void lose_and_add_again(struct world *w)
{
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];
	int r = 0;

	cid = put_one(w, name);
	keep_and_lose(w, &cid);
	/* For some epochs the endpoints are behind what was seen. */
	for (unsigned i = 0; i < TRIES && r != -ENOENT; i++) {
		r = world_verify(w, 0, name, &cid, &e);
		(void)poll(NULL, 0, 20);
	}
	if (r != -ENOENT && r != -EREMOTEIO) /* with all of its data set */
		fail_msg("%d: %s", r, e.text);
	commit_at_last(w, name, &cid);
	assert_int_equal(world_count_adds(w, &cid), 1);
	is_there(w, name, &cid);
}

/* Nobody asks for it: the slot looks by itself. */
static void a_reorganised_chain_gets_the_same_add_again(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];
	int r = -EREMOTEIO;

	world_admin(w, "advance", "{\"epochs\":12}"); /* others are final */
	cid = put_one(w, name);
	keep_and_lose(w, &cid);
	for (unsigned i = 0; i < TRIES; i++) {
		world_halt(w);
		world_start(w, 0);
		r = world_attach(w, 0, &e);
		if (r == 0 && world_count_adds(w, &cid) == 1)
			break;
		(void)poll(NULL, 0, 50);
	}
	commit_at_last(w, name, &cid);
	check_once(w, name, &cid);
}

static void a_reorganised_chain_gets_the_same_data_set_again(void **state)
{
	struct world *w = *state;

	world_admin(w, "advance", "{\"epochs\":12}");
	world_new_drive(w);
	lose_and_add_again(w);
	world_halt(w);
	world_forget(w, 0);
	world_start(w, 0);
}

/* ---- kill -9 ---- */

/* True if it was killed on the way. */
static bool killed_at(struct world *w, int n, bool after, const char *name,
		      const struct piece_cid *cid, bool claim, uint64_t h)
{
	struct err e = { 0 };
	int r = -EREMOTEIO;
	bool killed = false;

	w->notes[0].die = n;
	w->notes[0].die_after = after;
	w->notes[0].changes = 0;
	for (unsigned i = 0; i < TRIES && !killed && r == -EREMOTEIO; i++) {
		r = claim ? head_claim(w->p[0], w->keys, h, cid, &e) :
			    world_commit(w, 0, cid, 1, &e);
		killed = w->notes[0].dead;
		(void)poll(NULL, 0, killed || r == 0 ? 0 : 50);
	}
	if (!killed && r != 0)
		fail_msg("%s", e.text);
	world_halt(w);
	world_start(w, 0);
	(void)name;
	return killed;
}

/* Over every change of a note, before it is written and after. */
static void sweep(struct world *w, bool claim, bool fresh)
{
	static uint64_t h;
	struct piece_cid cid, there = { 0 };
	struct err e = { 0 };
	unsigned hits = 0;
	bool killed = true;
	char name[32];
	int r;

	for (int n = 0; killed; n++) {
		assert_true(n < CHANGES);
		for (int after = 0; after < 2; after++) {
			if (fresh)
				world_new_drive(w);
			cid = put_one(w, name);
			h++;
			killed = killed_at(w, n, after, name, &cid, claim, h);
			hits += killed;
			if (!claim) {
				commit_at_last(w, name, &cid);
			} else {
				UNTIL_ANSWERED(r, head_claim(w->p[0], w->keys,
							     h, &cid, &e));
				if (r != 0)
					fail_msg("%s", e.text);
				UNTIL_ANSWERED(r, head_read(w->p[0], w->keys, h,
							    &there, &e));
				assert_int_equal(r, 0);
				assert_true(piece_cid_eq(&there, &cid));
			}
			assert_int_equal(world_count_adds(w, &cid), 1);
			is_there(w, name, &cid);
		}
	}
	assert_true(hits >= 4);
}

static void a_kill_at_any_step_of_an_add_loses_and_doubles_nothing(void **state)
{
	struct world *w = *state;

	sweep(w, false, false);
	assert_int_equal(w->notes[0].n_spends, world_count(w, "add"));
}

static void nor_does_one_while_a_head_is_claimed(void **state)
{
	struct world *w = *state;

	sweep(w, true, false);
	assert_int_equal(w->notes[0].n_spends, world_count(w, "add"));
}

static void nor_one_while_a_data_set_is_created(void **state)
{
	struct world *w = *state;
	unsigned sets = world_count(w, "create"), adds = world_count(w, "add");

	sweep(w, false, true);
	/* Each drive of the sweep has one data set with one piece in it. */
	assert_int_equal(world_count(w, "create") - sets,
			 world_count(w, "add") - adds);
}

/* ---- what does not come back ---- */

static void bytes_served_wrong_are_seen(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = put_one(w, name);
	commit_at_last(w, name, &cid);
	knob(w, "{\"flip\":{\"offset\":12345}}");
	assert_int_equal(world_verify(w, 0, name, &cid, &e), -EBADMSG);
	assert_int_equal(world_verify(w, 0, NULL, &cid, &e), -EBADMSG);
	world_admin(w, "reset", "{}");
	check_once(w, name, &cid);
}

static void a_provider_that_is_gone_is_away_and_comes_back(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = put_one(w, name);
	knob(w, "{\"down\":true}");
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), -EREMOTEIO);
	world_halt(w);
	world_start(w, 0);
	assert_int_equal(world_attach(w, 0, &e), -EREMOTEIO);
	assert_true(e.text[0]);
	knob(w, "{\"down\":false}");
	commit_at_last(w, name, &cid);
	check_once(w, name, &cid);
}

static void an_rpc_that_lies_is_not_believed(void **state)
{
	struct world *w = *state;
	/* clientNonces: everything has landed. */
	static const char lie[] =
		"{\"callResult\":{\"0x35b0e3f4\":\"0x0000000000000000000000000000000900000000000000000000000000000001\"}}";
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	cid = put_one(w, name);
	world_admin(w, "rpc/1", lie);
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), -EREMOTEIO);
	assert_true(e.text[0]);
	world_admin(w, "reset", "{}");
	commit_at_last(w, name, &cid);
	check_once(w, name, &cid);
}

static void one_rpc_that_is_away_or_behind_holds_up_nothing(void **state)
{
	struct world *w = *state;
	struct piece_cid cid;
	char name[32];

	cid = put_one(w, name);
	world_admin(w, "rpc/1", "{\"down\":true}");
	commit_at_last(w, name, &cid);
	check_once(w, name, &cid);
	cid = put_one(w, name);
	world_admin(w, "rpc/0", "{\"lag\":20}");
	commit_at_last(w, name, &cid);
	check_once(w, name, &cid);
}

static void a_data_set_that_ended_says_so_and_takes_nothing(void **state)
{
	struct world *w = *state;
	struct pdp_status s;
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32], path[48], json[64];
	int r = 0;

	cid = put_one(w, name);
	pdp_status(w->p[0], &s);
	(void)snprintf(path, sizeof(path), "provider/%d/terminate", (int)s.provider);
	(void)snprintf(json, sizeof(json), "{\"dataSetId\":%d}", (int)s.data_set);
	world_admin(w, path, json);
	for (unsigned i = 0; i < TRIES && !strstr(e.text, "ended the service");
	     i++) {
		(void)poll(NULL, 0, 20);
		world_halt(w);
		world_start(w, 0);
		r = world_attach(w, 0, &e);
	}
	assert_int_equal(r, -EREMOTEIO);
	assert_non_null(strstr(e.text, "ended the service"));
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), -EREMOTEIO);
	assert_int_equal(world_count_adds(w, &cid), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_add_is_paid_once_whatever_the_provider_does),
		cmocka_unit_test(uploads_survive_cuts_late_parking_and_busy_providers),
		cmocka_unit_test(a_reorganised_chain_gets_the_same_add_again),
		cmocka_unit_test(bytes_served_wrong_are_seen),
		cmocka_unit_test(a_provider_that_is_gone_is_away_and_comes_back),
		cmocka_unit_test(an_rpc_that_lies_is_not_believed),
		cmocka_unit_test(one_rpc_that_is_away_or_behind_holds_up_nothing),
		cmocka_unit_test(
			a_kill_at_any_step_of_an_add_loses_and_doubles_nothing),
		cmocka_unit_test(nor_does_one_while_a_head_is_claimed),
		cmocka_unit_test(a_data_set_that_ended_says_so_and_takes_nothing),
		cmocka_unit_test(nor_one_while_a_data_set_is_created),
		cmocka_unit_test(a_reorganised_chain_gets_the_same_data_set_again),
	};

	return cmocka_run_group_tests_name("pdp_faults", tests, set_up, world_close);
}
