/* test_netstores.c - a filecoin:// store as the engine has it: slots on a ledger */
#include "tests/component/pdp/world.h"

#include <stdio.h>
#include <sys/random.h>

#include "crypto/commp.h"
#include "crypto/secret.h"
#include "daemon/netstores.h"
#include "ledger/ledger.h"

#define SLOTS 2
#define PIECE 60000

struct store {
	struct world *w;
	struct ledger *ledger;
	struct netstores *net;
	struct provider *p[SLOTS];
	uint64_t ids[SLOTS];
};

static int make_net(void *ctx)
{
	struct store *s = ctx;
	uint8_t key[SECRET_SIZE];
	struct netstores_params p = { .loop = s->w->rig.loop,
				      .ledger = s->ledger,
				      .url = s->w->url_text,
				      .payer = s->w->payer,
				      .drive_id = keys_drive_id(s->w->keys),
				      .budget = s->w->budget };

	memcpy(key, secret_bytes(s->w->session), sizeof(key));
	assert_int_equal(secret_new(key, &p.session), 0);
	return netstores_new(&p, &s->net, NULL);
}

static void store_open(struct store *s, struct world *w)
{
	struct ledger_params lp = { .io = w->io,
				    .key = keys_secret(w->keys, KEYS_DB),
				    .create = true };
	char *urls[SLOTS] = { NULL };
	struct provider *none;
	struct err e = { 0 };
	unsigned n = 0;

	*s = (struct store){ .w = w };
	memcpy(lp.drive_id, keys_drive_id(w->keys), sizeof(lp.drive_id));
	assert_int_equal(ledger_open(&lp, &s->ledger, &e), 0);
	assert_int_equal(netstores_count(w->url_text, &n, &e), 0);
	assert_int_equal(n, SLOTS);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_int_equal(netstores_name(w->url_text, i, &urls[i]), 0);
	assert_int_equal(ledger_stores_set(s->ledger, (const char *const *)urls,
					   SLOTS, s->ids),
			 0);
	assert_int_equal(world_on_loop(w, make_net, s), 0);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (netstores_slot(s->net, i, s->ids[i], &s->p[i], &e) != 0)
			fail_msg("%s", e.text);
		free(urls[i]);
	}
	assert_int_equal(netstores_slot(s->net, SLOTS, 1, &none, &e), -EINVAL);
}

static int free_net(void *ctx)
{
	netstores_free(ctx);
	return 0;
}

static void store_close(struct store *s)
{
	for (unsigned i = 0; i < SLOTS; i++)
		assert_true(provider_free(s->p[i]));
	netstores_shut(s->net);
	assert_int_equal(world_on_loop(s->w, free_net, s->net), 0);
	ledger_close(s->ledger);
}

static int attach(struct store *s, unsigned slot)
{
	struct provider_req req = { .verb = PROVIDER_ATTACH };
	int r = provider_call(s->p[slot], &req);

	if (r != 0)
		fail_msg("%s", req.err.text);
	return ledger_store_ident(s->ledger, s->ids[slot], provider_id(s->p[slot]));
}

static int on_spend(void *ctx, const struct ledger_spend *s)
{
	assert_true(s->n_ref == 32 && strstr(s->text, "data set"));
	++*(unsigned *)ctx;
	return 0;
}

static void slots_live_on_their_ledger_and_their_books_are_kept(void **state)
{
	struct world *w = *state;
	struct provider_req put = { .verb = PROVIDER_PUT, .src = w->io };
	struct provider_req commit = { .verb = PROVIDER_COMMIT, .n_cids = 1 };
	struct provider_req stat = { .verb = PROVIDER_STAT };
	uint8_t id[SLOTS][PROVIDER_ID_SIZE];
	struct pdp_status was[SLOTS], is;
	struct piece_cid cid;
	unsigned spends = 0;
	struct store s;
	char name[32];

	world_pay(w, "20");
	world_login(w);
	cid = world_piece(w, PIECE, name);
	put.cid = stat.cid = cid;
	put.src_name = name;
	put.size = PIECE;
	commit.cids = &cid;
	store_open(&s, w);
	for (unsigned i = 0; i < SLOTS; i++) {
		assert_int_equal(attach(&s, i), 0);
		assert_int_equal(provider_call(s.p[i], &put), 0);
		if (provider_call(s.p[i], &commit) != 0)
			fail_msg("%s", commit.err.text);
		memcpy(id[i], provider_id(s.p[i]), PROVIDER_ID_SIZE);
		pdp_status(s.p[i], &was[i]);
		assert_true(pdp_is(s.p[i]) && was[i].data_set);
	}
	assert_true(was[0].provider != was[1].provider);
	store_close(&s);

	store_open(&s, w);
	for (unsigned i = 0; i < SLOTS; i++) {
		pdp_status(s.p[i], &is); /* before anybody was asked */
		assert_true(is.data_set == was[i].data_set);
		assert_int_equal(attach(&s, i), 0);
		assert_memory_equal(provider_id(s.p[i]), id[i], PROVIDER_ID_SIZE);
		assert_int_equal(provider_call(s.p[i], &commit), 0);
		assert_int_equal(provider_call(s.p[i], &stat), 0);
		assert_int_equal(stat.ret_size, PIECE);
	}
	assert_int_equal(ledger_spends(s.ledger, 0, on_spend, &spends), 0);
	assert_int_equal(spends, SLOTS);
	assert_int_equal(world_count(w, "add"), SLOTS);
	store_close(&s);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_live_on_their_ledger_and_their_books_are_kept),
	};

	return cmocka_run_group_tests_name("netstores", tests, world_open,
					   world_close);
}
