/* test_pdp_watch.c - proofs as the chain has them, and who takes over */
#include "tests/component/pdp/world.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "provider/head.h"
#include "provider/pdp_impl.h"

#define PIECE  70000
#define PERIOD 120 /* epochs, of the devnet */
#define NOW    1800000000u

/* ---- what follows from the chain's figures ---- */

static struct provider_proof of(uint64_t last, uint64_t deadline, uint64_t head)
{
	const struct foc_proving v = { .live = true,
				       .activation = 1000,
				       .last_proven = last,
				       .deadline = deadline,
				       .period = PERIOD,
				       .head = head };
	struct provider_proof p = { 0 };

	pdp_proof_of(&v, NOW, &p);
	return p;
}

static void a_proof_is_missing_when_a_period_ends_without_one(void **state)
{
	struct provider_proof p;

	(void)state;
	/* Created before proving began; the first one is due at 1120. */
	assert_int_equal(of(990, 1120, 1001).state, PROVIDER_PROOF_NONE);
	assert_int_equal(of(990, 1120, 1120).state, PROVIDER_PROOF_NONE);
	p = of(990, 1120, 1121);
	assert_int_equal(p.state, PROVIDER_PROOF_LATE);
	assert_true(p.missing_s == NOW - 30 && p.last_s == 0);
	assert_int_equal(of(990, 1240, 1240).state, PROVIDER_PROOF_LATE);
	assert_int_equal(of(990, 1360, 1241).state, PROVIDER_PROOF_FAULTED);

	/* Proven in the first period: good to the end of the second. */
	p = of(1110, 1120, 1115);
	assert_true(p.state == PROVIDER_PROOF_GOOD && p.last_s == NOW - 150 &&
		    p.deadline_s == NOW + 150 && !p.missing_s &&
		    p.period_s == PERIOD * 30);
	assert_int_equal(of(1110, 1240, 1240).state, PROVIDER_PROOF_GOOD);
	assert_int_equal(of(1110, 1240, 1241).state, PROVIDER_PROOF_LATE);
	/* Whether or not the provider has begun the next period. */
	assert_int_equal(of(1110, 1360, 1300).state, PROVIDER_PROOF_LATE);
	assert_int_equal(of(1110, 1360, 1361).state, PROVIDER_PROOF_FAULTED);
	assert_int_equal(of(1110, 9999 * PERIOD + 1120, 99999).state,
			 PROVIDER_PROOF_FAULTED);

	/* A proof in the last epoch of a period is of that one. */
	assert_int_equal(of(1120, 1240, 1240).state, PROVIDER_PROOF_GOOD);
	assert_int_equal(of(1120, 1240, 1241).state, PROVIDER_PROOF_LATE);
	assert_int_equal(of(1121, 1240, 1360).state, PROVIDER_PROOF_GOOD);
}

static void what_does_not_prove_has_nothing_to_prove(void **state)
{
	struct foc_proving v = { .live = true, .head = 5000, .last_proven = 900 };
	struct provider_proof p = { 0 };

	(void)state;
	pdp_proof_of(&v, NOW, &p);
	assert_int_equal(p.state, PROVIDER_PROOF_NONE);
	v.live = false;
	pdp_proof_of(&v, NOW, &p);
	assert_int_equal(p.state, PROVIDER_PROOF_GONE);
	/* Figures without sense make no trouble. */
	v = (struct foc_proving){ .live = true,
				  .head = 1,
				  .last_proven = UINT64_MAX - 5,
				  .activation = 7,
				  .deadline = 3,
				  .period = 1 };
	pdp_proof_of(&v, 5, &p);
}

/* ---- on the devnet ---- */

static void knob(struct world *w, uint64_t provider, const char *json)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "provider/%d", (int)provider);
	world_admin(w, path, json);
}

static struct provider_proof proof(struct world *w, unsigned slot)
{
	struct provider_req req = { .verb = PROVIDER_PROOF };

	if (provider_call(w->p[slot], &req) != 0)
		fail_msg("%s", req.err.text);
	return req.ret_proof;
}

static int replace(struct world *w, unsigned slot, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_REPLACE };
	int r = provider_call(w->p[slot], &req);

	*e = req.err;
	return r;
}

static int stat_at(struct world *w, unsigned slot, const struct piece_cid *cid)
{
	struct provider_req req = { .verb = PROVIDER_STAT, .cid = *cid };

	return provider_call(w->p[slot], &req);
}

static int get_at(struct world *w, unsigned slot, const struct piece_cid *cid)
{
	uint8_t back[1000];
	struct provider_req req = { .verb = PROVIDER_GET,
				    .cid = *cid,
				    .off = 100,
				    .n = sizeof(back),
				    .dst = back };

	return provider_call(w->p[slot], &req);
}

/* Time passes until the proofs stand so: by our hand alone, and so on from there, for
 * on a slow machine a whole period could go by between two looks. */
static struct provider_proof until(struct world *w, unsigned slot,
				   enum provider_proof_state state)
{
	struct provider_proof p;

	world_admin(w, "chain", "{\"epochMs\":0}");
	p = proof(w, slot);
	for (unsigned i = 0; i < 60 && p.state != state; i++) {
		world_admin(w, "advance", "{\"epochs\":10}");
		p = proof(w, slot);
	}
	assert_int_equal(p.state, state);
	return p;
}

static bool is_balanced(struct world *w)
{
	_cleanup_json_ json_t *books = world_get(w, "ledger");

	return json_is_true(json_object_get(books, "balanced"));
}

static void proofs_are_seen_as_they_come_and_stay_away(void **state)
{
	struct world *w = *state;
	struct provider_proof p = proof(w, 0);
	struct piece_cid cid;
	struct err e = { 0 };
	char name[32];

	assert_true(p.state == PROVIDER_PROOF_NONE && !p.set && p.provider &&
		    p.name[0]);
	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	if (world_commit_standing(w, 0, &cid, &e) != 0)
		fail_msg("%s", e.text);
	p = proof(w, 0);
	assert_true(p.state == PROVIDER_PROOF_NONE && p.set);
	p = until(w, 0, PROVIDER_PROOF_GOOD);
	assert_true(p.last_s && p.deadline_s && !p.missing_s && !p.unpaid &&
		    p.period_s == PERIOD * 30);
	knob(w, p.provider, "{\"missProofs\":true}");
	p = until(w, 0, PROVIDER_PROOF_LATE);
	assert_true(p.last_s && p.missing_s && !p.unpaid);
	(void)until(w, 0, PROVIDER_PROOF_FAULTED);
	knob(w, p.provider, "{\"missProofs\":false}");
	(void)until(w, 0, PROVIDER_PROOF_GOOD); /* it makes up for it */
	assert_true(is_balanced(w));
}

static void an_ended_service_is_seen_while_the_provider_is_down(void **state)
{
	struct world *w = *state;
	struct provider_proof p;
	char path[64], json[64];

	(void)world_store(w, 0, PIECE);
	p = until(w, 0, PROVIDER_PROOF_GOOD);
	(void)snprintf(path, sizeof(path), "provider/%d/terminate", (int)p.provider);
	(void)snprintf(json, sizeof(json), "{\"dataSetId\":%d}", (int)p.set);
	world_admin(w, path, json);
	knob(w, p.provider, "{\"down\":true}");
	p = until(w, 0, PROVIDER_PROOF_ENDED);
	assert_non_null(strstr(p.text, "ends with epoch"));
}

static void a_third_takes_over_and_nothing_is_ended(void **state)
{
	struct world *w = *state;
	uint8_t id[PROVIDER_ID_SIZE];
	struct provider_proof old, new;
	struct piece_cid a, b;
	struct err e = { 0 };

	a = world_store(w, 0, PIECE);
	(void)world_store(w, 1, PIECE);
	old = proof(w, 0);
	memcpy(id, provider_id(w->p[0]), sizeof(id));
	if (replace(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	new = proof(w, 0);
	assert_true(!new.provider && !new.set);
	assert_int_equal(replace(w, 0, &e), 0); /* nobody is there to be given up */
	if (world_attach(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	new = proof(w, 0);
	assert_true(new.provider == 3 && !new.set);
	assert_memory_not_equal(provider_id(w->p[0]), id, sizeof(id));

	/* It is empty; what the old one has it still serves. */
	assert_int_equal(stat_at(w, 0, &a), -ENOENT);
	assert_int_equal(get_at(w, 0, &a), 0);
	b = world_store(w, 0, PIECE);
	new = proof(w, 0);
	assert_true(new.set &&new.set != old.set);
	assert_int_equal(stat_at(w, 0, &b), 0);
	assert_int_equal(world_count(w, "create"), 3);
	assert_int_equal(world_count(w, "terminate"), 0);

	/* All of it is so after a restart, and without the ledger's word. */
	world_halt(w);
	world_start(w, 0);
	world_start(w, 1);
	if (world_attach(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	assert_true(proof(w, 0).set == new.set);
	knob(w, old.provider, "{\"down\":true}");
	assert_int_equal(get_at(w, 0, &b), 0);
	assert_true(get_at(w, 0, &a) < 0);
	assert_true(is_balanced(w));
}

static void without_another_or_money_it_stays(void **state)
{
	struct world *w = *state;
	struct piece_cid a = world_store(w, 0, PIECE);
	struct provider_proof p = proof(w, 0);
	struct err e = { 0 };

	knob(w, 3, "{\"down\":true}");
	assert_int_equal(replace(w, 0, &e), -ENODEV);
	assert_non_null(strstr(e.text, "none of them answers"));
	knob(w, 3, "{\"down\":false}");
	world_halt(w);
	w->budget = u256(1);
	world_start(w, 0);
	world_start(w, 1);
	assert_int_equal(replace(w, 0, &e), -EDQUOT);
	assert_non_null(strstr(e.text, "over the budget"));
	assert_true(proof(w, 0).provider == p.provider && proof(w, 0).set == p.set);
	assert_int_equal(world_attach(w, 0, &e), 0);
	assert_int_equal(stat_at(w, 0, &a), 0);
}

struct asking {
	struct provider *p;
	struct provider_req *req;
	int status;
	atomic_bool over;
};

static void *ask(void *arg)
{
	struct asking *a = arg;

	a->status = provider_call(a->p, a->req);
	atomic_store(&a->over, true);
	return NULL;
}

/* A question to the chain is several; a machine may sleep between two of them, or
 * an endpoint that is asked last be ahead.  Here periods go by. */
static void who_proves_is_not_late_if_time_passes_between_two_reads(void **state)
{
	struct world *w = *state;
	struct provider_req req = { .verb = PROVIDER_PROOF };
	struct asking asking = { w->p[0], &req, 0, false };
	pthread_t thread;

	(void)world_store(w, 0, PIECE);
	(void)until(w, 0, PROVIDER_PROOF_GOOD);
	world_admin(w, "rpc/0", "{\"latencyMs\":200}");
	world_admin(w, "rpc/1", "{\"latencyMs\":200}");
	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	while (!atomic_load(&asking.over)) {
		world_admin(w, "advance", "{\"epochs\":50}");
		assert_int_equal(poll(NULL, 0, 10), 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asking.status, 0);
	assert_int_equal(req.ret_proof.state, PROVIDER_PROOF_GOOD);
	assert_true(req.ret_proof.last_s && !req.ret_proof.missing_s);
}

/* Some add of slot 0 is with its provider. */
static void until_sent(struct world *w)
{
	struct notes *n = &w->notes[0];
	bool sent = false;

	for (unsigned i = 0; i < 12000 && !sent; i++) {
		assert_int_equal(poll(NULL, 0, 10), 0);
		lock_take(&n->lock);
		for (size_t k = 0; k < NOTES_MAX; k++)
			sent |= strncmp(n->list[k].key, "add/", 4) == 0 &&
				memmem(n->list[k].value.p, n->list[k].value.n,
				       "\"state\":\"2\"", 11);
		lock_drop(&n->lock);
	}
	assert_true(sent);
}

static void an_add_that_lands_at_the_old_one_is_booked_once(void **state)
{
	struct world *w = *state;
	struct piece_cid first = world_store(w, 0, PIECE), cid;
	uint64_t old = proof(w, 0).provider, set = proof(w, 0).set;
	struct err e = { 0 };
	unsigned spends;
	char name[32];

	(void)first;
	cid = world_piece(w, PIECE, name);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	/* It has the bytes and the signature, and says nothing. */
	knob(w, old, "{\"stall\":true}");
	struct provider_req req = { .verb = PROVIDER_COMMIT,
				    .cids = &cid,
				    .n_cids = 1 };
	struct asking asking = { w->p[0], &req, 0, false };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
	until_sent(w);
	provider_cancel(w->p[0], &req);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(asking.status, -ECANCELED);
	spends = (unsigned)w->notes[0].n_spends;
	if (replace(w, 0, &e) != 0)
		fail_msg("%s", e.text);
	assert_int_equal(world_attach(w, 0, &e), 0);
	assert_int_equal(world_put(w, 0, name, &cid, &e), 0);
	assert_int_equal(world_commit(w, 0, &cid, 1, &e), 0);
	knob(w, old, "{\"stall\":false}");
	for (int i = 0; i < 100 && world_count_adds(w, &cid) < 2; i++)
		world_admin(w, "advance", "{\"epochs\":2}");
	assert_int_equal(world_count_adds(w, &cid), 2);
	world_admin(w, "advance", "{\"epochs\":3}"); /* every endpoint has it */
	world_halt(w);
	world_start(w, 0);
	assert_int_equal(world_attach(w, 0, &e), 0);
	assert_true(proof(w, 0).set != set);
	assert_int_equal(w->notes[0].n_spends, spends + 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_of_two, world_close)
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proof_is_missing_when_a_period_ends_without_one),
		cmocka_unit_test(what_does_not_prove_has_nothing_to_prove),
		T(proofs_are_seen_as_they_come_and_stay_away),
		T(who_proves_is_not_late_if_time_passes_between_two_reads),
		T(an_ended_service_is_seen_while_the_provider_is_down),
		T(a_third_takes_over_and_nothing_is_ended),
		T(without_another_or_money_it_stays),
		T(an_add_that_lands_at_the_old_one_is_booked_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
