/* test_netstores.c - a filecoin:// store as the engine has it: slots on a ledger */
#include "tests/component/pdp/world.h"

#include <stdio.h>
#include <sys/random.h>

#include "crypto/commp.h"
#include "crypto/secret.h"
#include "daemon/memnotes.h"
#include "daemon/netstores.h"
#include "ledger/ledger.h"
#include "onboard/watch.h"

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

/* ---- without a ledger ---- */

static int make_reader(void *ctx)
{
	struct store *s = ctx;
	const struct netstores_params p = { .loop = s->w->rig.loop,
					    .url = s->w->url_text,
					    .payer = s->w->payer,
					    .drive_id = keys_drive_id(s->w->keys) };

	return netstores_new(&p, &s->net, NULL);
}

static void on_warn(void *ctx, const char *endpoint, const char *why)
{
	assert_true(endpoint[0] && why[0]);
	++*(unsigned *)ctx;
}

/* The data sets, with a slot each. */
static void reader_open(struct store *s, struct world *w, size_t max,
			struct netstores_find *f, unsigned *warned)
{
	struct err e = { 0 };

	*s = (struct store){ .w = w };
	*f = (struct netstores_find){ .max = max, .warn = on_warn, .ctx = warned };
	assert_int_equal(world_on_loop(w, make_reader, s), 0);
	if (netstores_find(s->net, f, &e) != 0)
		fail_msg("%s", e.text);
	for (size_t i = 0; i < f->n; i++)
		if (netstores_open(s->net, i, &s->p[i], &e) != 0)
			fail_msg("%s", e.text);
}

static void reader_close(struct store *s)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (s->p[i])
			assert_true(provider_free(s->p[i]));
	netstores_shut(s->net);
	assert_int_equal(world_on_loop(s->w, free_net, s->net), 0);
}

static int on_listed(struct provider_req *req, const struct piece_cid *cid,
		     uint64_t size)
{
	if (size == PIECE)
		*(struct piece_cid *)req->ctx = *cid;
	return 0;
}

/* The piece that the first test has stored. */
static struct piece_cid listed(struct provider *p)
{
	struct piece_cid cid = { .n = 0 };
	struct provider_req req = { .verb = PROVIDER_LIST,
				    .found = on_listed,
				    .ctx = &cid };

	assert_int_equal(provider_call(p, &req), 0);
	assert_int_not_equal(cid.n, 0);
	return cid;
}

static int get(struct provider *p, const struct piece_cid *cid)
{
	_cleanup_free_ uint8_t *bytes = malloc(PIECE);
	struct provider_req req = {
		.verb = PROVIDER_GET, .cid = *cid, .n = PIECE, .dst = bytes
	};
	struct commp_sum sum;
	struct commp *c = NULL;
	struct piece_cid is;
	int r;

	assert_non_null(bytes);
	r = provider_call(p, &req);
	if (r < 0)
		return r;
	assert_int_equal(req.ret_n, PIECE);
	assert_int_equal(commp_new(&c), 0);
	commp_update(c, slice(bytes, PIECE));
	commp_final(c, &sum);
	commp_free(c);
	piece_cid_v2(&sum, &is);
	return piece_cid_eq(&is, cid) ? 0 : -EBADMSG;
}

static void every_data_set_is_read_without_a_ledger(void **state)
{
	struct world *w = *state;
	struct provider_req put = { .verb = PROVIDER_PUT, .src = w->io, .size = PIECE };
	struct provider_req commit = { .verb = PROVIDER_COMMIT, .n_cids = 1 };
	unsigned adds = world_count(w, "add"), warned = 0;
	struct netstores_find f;
	struct piece_cid cid, new;
	struct store s;
	char name[32];

	new = world_piece(w, PIECE, name);
	put.cid = new;
	put.src_name = name;
	commit.cids = &new;
	reader_open(&s, w, SLOTS, &f, &warned);
	assert_int_equal(f.n, SLOTS);
	assert_int_equal(f.n_left, 0);
	assert_int_equal(warned, 0);
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct pdp_set *set = netstores_set(s.net, i);
		struct provider_req attach = { .verb = PROVIDER_ATTACH };
		struct pdp_status is;

		assert_int_equal(provider_call(s.p[i], &attach), 0);
		pdp_status(s.p[i], &is);
		assert_true(is.data_set == set->slot.data_set && !set->ended);
		assert_false(set->why[0]);
		cid = listed(s.p[i]);
		assert_int_equal(get(s.p[i], &cid), 0);
		assert_int_equal(provider_call(s.p[i], &put), 0); /* parks */
		assert_int_not_equal(provider_call(s.p[i], &commit), 0);
	}
	assert_true(netstores_set(s.net, 0)->slot.data_set !=
		    netstores_set(s.net, 1)->slot.data_set);
	assert_int_equal(world_count(w, "add"), adds);
	reader_close(&s);

	reader_open(&s, w, 1, &f, &warned);
	assert_true(f.n == 1 && f.n_left == SLOTS - 1);
	reader_close(&s);
}

/* Who only reads does not wait for it a second time. */
static void a_provider_that_did_not_answer_is_asked_again_by_attach(void **state)
{
	struct world *w = *state;
	struct provider_req attach = { .verb = PROVIDER_ATTACH };
	struct netstores_find f;
	unsigned warned = 0;
	struct piece_cid cid;
	char path[32];
	struct store s;

	reader_open(&s, w, SLOTS, &f, &warned);
	(void)snprintf(path, sizeof(path), "provider/%llu",
		       (unsigned long long)netstores_set(s.net, 0)->slot.provider);
	world_admin(w, path, "{\"down\":true}");
	assert_int_equal(provider_call(s.p[0], &attach), -EREMOTEIO);
	world_admin(w, path, "{\"down\":false}");
	cid = listed(s.p[0]); /* by the chain's word */
	assert_int_equal(get(s.p[0], &cid), -EREMOTEIO);
	assert_int_equal(provider_call(s.p[0], &attach), 0);
	assert_int_equal(get(s.p[0], &cid), 0);
	reader_close(&s);
}

static void another_drive_finds_none_of_them(void **state)
{
	struct world *w = *state;
	static const uint8_t other[KEYS_DRIVE_ID_SIZE] = { 1 };
	struct pdp_own *list = NULL;
	size_t n = 1;

	assert_int_equal(pdp_own_sets(w->foc, other, NULL, NULL, &list, &n, NULL),
			 0);
	assert_int_equal(n, 0);
	free(list);
}

static void an_endpoint_that_is_away_is_told_of(void **state)
{
	struct world *w = *state;
	struct netstores_find f;
	unsigned warned = 0;
	struct store s;

	world_admin(w, "rpc/1", "{\"lag\":50}");
	reader_open(&s, w, SLOTS, &f, &warned);
	assert_int_equal(f.n, SLOTS);
	assert_int_equal(warned, 1);
	reader_close(&s);
	world_admin(w, "reset", "{}");
}

static int on_given(void *ctx, const struct watch_given *g)
{
	*(uint64_t *)ctx = g->set;
	return 0;
}

/* A ledger whose only store is the one slot of `url`. */
static void slot_open(struct store *s, struct world *w, const char *url)
{
	struct ledger_params lp = { .io = w->io,
				    .key = keys_secret(w->keys, KEYS_DB),
				    .create = true };
	const char *urls[1];
	char *name = NULL;

	*s = (struct store){ .w = w };
	memcpy(lp.drive_id, keys_drive_id(w->keys), sizeof(lp.drive_id));
	assert_int_equal(ledger_open(&lp, &s->ledger, NULL), 0);
	assert_int_equal(netstores_name(url, 0, &name), 0);
	urls[0] = name;
	assert_int_equal(ledger_stores_set(s->ledger, urls, 1, s->ids), 0);
	free(name);
}

static void slot_close(struct store *s)
{
	assert_true(provider_free(s->p[0]));
	s->p[0] = NULL;
	netstores_shut(s->net);
	assert_int_equal(world_on_loop(s->w, free_net, s->net), 0);
	ledger_close(s->ledger);
}

static void lose(struct world *w, uint64_t provider, const struct piece_cid *cid)
{
	char path[64], text[PIECE_CID_TEXT_MAX], json[PIECE_CID_TEXT_MAX + 32];

	piece_cid_text(cid, text);
	(void)snprintf(path, sizeof(path), "provider/%llu/lose",
		       (unsigned long long)provider);
	(void)snprintf(json, sizeof(json), "{\"pieceCid\":\"%s\"}", text);
	world_admin(w, path, json);
}

/* What a new ledger is told makes its slot the same data set, and lets it read from
 * the one that is no slot any more. */
static void a_kept_slot_is_the_same_and_reads_from_what_was_given_up(void **state)
{
	struct world *w = *state;
	struct network_url one = w->url;
	unsigned creates = world_count(w, "create"), warned = 0;
	struct pdp_slot kept, given;
	uint8_t id[PROVIDER_ID_SIZE];
	struct netstores_find f;
	_cleanup_free_ char *url = NULL;
	uint64_t given_set = 0;
	struct piece_cid cid;
	struct pdp_status is;
	char key[32];
	size_t give;
	char *was = w->url_text;
	struct store s, t;

	one.copies = 1;
	assert_int_equal(network_url_canonical(&one, &url), 0);
	reader_open(&s, w, SLOTS, &f, &warned);
	give = netstores_set(s.net, 1)->slot.provider > 1; /* its note is not the first */
	kept = netstores_set(s.net, 1 - give)->slot;
	given = netstores_set(s.net, give)->slot;
	cid = listed(s.p[1 - give]);
	memcpy(id, provider_id(s.p[1 - give]), sizeof(id)); /* nobody was asked for it */
	slot_open(&t, w, url);
	assert_int_equal(netstores_keep(s.net, 1 - give, t.ledger, t.ids[0]), 0);
	assert_int_equal(ledger_store_ident(t.ledger, t.ids[0], id), 0);
	assert_int_equal(netstores_give_up(s.net, give, t.ledger, t.ids[0], "why"),
			 0);
	for (unsigned i = 10; i < 20; i++) { /* and many that are gone */
		(void)snprintf(key, sizeof(key), "given-up/%u", i);
		assert_int_equal(ledger_note_set(t.ledger, t.ids[0], key,
						 slice_str("1")),
				 0);
	}
	reader_close(&s);

	w->url_text = url;
	assert_int_equal(world_on_loop(w, make_net, &t), 0);
	w->url_text = was;
	assert_int_equal(netstores_slot(t.net, 0, t.ids[0], &t.p[0], NULL), 0);
	pdp_status(t.p[0], &is);
	assert_true(is.data_set == kept.data_set && is.provider == kept.provider);
	assert_int_equal(attach(&t, 0), 0);
	assert_memory_equal(provider_id(t.p[0]), id, PROVIDER_ID_SIZE);
	assert_int_equal(watch_given(t.ledger, t.ids[0], on_given, &given_set), 0);
	assert_int_equal(given_set, given.data_set);
	lose(w, kept.provider, &cid);
	assert_int_equal(get(t.p[0], &cid), 0);
	lose(w, given.provider, &cid);
	assert_int_equal(get(t.p[0], &cid), -ENOENT);
	assert_int_equal(world_count(w, "create"), creates);
	slot_close(&t);
}

/* ---- notes in memory ---- */

static int on_note(void *ctx, const char *key, struct slice value)
{
	const struct provider_notes *n = memnotes_ops(ctx);

	assert_true(slice_eq(value, slice_str(key)));
	return n->drop(n->ctx, key); /* it may change them */
}

static void notes_in_memory_are_kept_changed_and_bounded(void **state)
{
	struct memnotes *m = NULL;
	const struct provider_notes *n;
	struct buf b;
	char key[PROVIDER_NOTE_KEY_MAX + 1];

	(void)state;
	assert_int_equal(memnotes_new(&m), 0);
	n = memnotes_ops(m);
	buf_init(&b, 64);
	assert_int_equal(n->get(n->ctx, "a/1", &b), -ENOENT);
	assert_int_equal(n->set(n->ctx, "a/1", slice_str("old")), 0);
	assert_int_equal(n->set(n->ctx, "a/1", slice_str("a/1")), 0);
	assert_int_equal(n->get(n->ctx, "a/1", &b), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("a/1")));
	for (int i = 2; i <= MEMNOTES_MAX; i++) {
		(void)snprintf(key, sizeof(key), "%s/%d", i % 2 ? "a" : "b", i);
		assert_int_equal(n->set(n->ctx, key, slice_str(key)), 0);
	}
	assert_int_equal(n->set(n->ctx, "one more", SLICE_NONE), -ENOSPC);
	assert_int_equal(n->set(n->ctx, "", SLICE_NONE), -EINVAL);
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	assert_int_equal(n->set(n->ctx, key, SLICE_NONE), -EINVAL);
	assert_int_equal(n->each(n->ctx, "a/", on_note, m), 0);
	assert_int_equal(n->get(n->ctx, "a/1", &b), -ENOENT);
	assert_int_equal(n->get(n->ctx, "b/2", &b), 0);
	assert_int_equal(n->set(n->ctx, "one more", SLICE_NONE), 0);
	buf_fini(&b);
	memnotes_free(m);
	memnotes_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_live_on_their_ledger_and_their_books_are_kept),
		cmocka_unit_test(every_data_set_is_read_without_a_ledger),
		cmocka_unit_test(
			a_provider_that_did_not_answer_is_asked_again_by_attach),
		cmocka_unit_test(another_drive_finds_none_of_them),
		cmocka_unit_test(an_endpoint_that_is_away_is_told_of),
		cmocka_unit_test(notes_in_memory_are_kept_changed_and_bounded),
		cmocka_unit_test(
			a_kept_slot_is_the_same_and_reads_from_what_was_given_up),
	};

	return cmocka_run_group_tests_name("netstores", tests, world_open,
					   world_close);
}
