/* test_retrieve.c - what comes back is what was stored, or an error (I4) */
#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* Block i of the loose ones, through the front door. */
static int get_loose(struct world *w, unsigned i)
{
	uint8_t want[LOOSE_SIZE];
	struct buf got;
	int r;

	buf_init(&got, 4096);
	r = retrieve_body(w->r, &w->loose[i], &got, NULL);
	loose_text(i, want);
	if (r == 0)
		assert_true(slice_eq(buf_slice(&got), slice(want, sizeof(want))));
	else
		assert_int_equal(got.n, 0);
	buf_fini(&got);
	return r;
}

/* All loose blocks at once: how many came, and came right. */
static unsigned get_all(struct world *w, int *ret_status)
{
	static struct want v[N_LOOSE];
	uint8_t text[LOOSE_SIZE];
	unsigned n = 0;

	for (unsigned i = 0; i < N_LOOSE; i++)
		want_init(&v[i], &w->loose[i]);
	*ret_status = wants_fetch(w->r, v, N_LOOSE, NULL, NULL);
	for (unsigned i = 0; i < N_LOOSE; i++) {
		if (v[i].status == 0) {
			loose_text(i, text);
			assert_true(slice_eq(buf_slice(&v[i].body),
					     slice(text, sizeof(text))));
			n++;
		}
		want_fini(&v[i]);
	}
	return n;
}

static struct retrieve_stats stats_of(struct world *w)
{
	struct retrieve_stats s;

	retrieve_stats(w->r, &s);
	return s;
}

/* ---- blocks ---- */

static void wrong_bytes_of_one_store_fall_over_to_the_next(void **state)
{
	static const enum store_mood lies[] = { STORE_WRONG, STORE_SHORT,
						STORE_BOASTS, STORE_WITHOUT,
						STORE_AWAY };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		world_threads(w, 1);
		mood(w, 0, lies[i]);
		mood(w, 1, STORE_GOOD);
		assert_int_equal(get_loose(w, 7), 0);
		assert_int_equal(calls(w, 0), 1);
		assert_int_equal(calls(w, 1), 1);
		assert_int_equal(stats_of(w).wrong,
				 lies[i] == STORE_WRONG || lies[i] == STORE_SHORT);
	}
}

static void a_store_that_failed_is_asked_last_from_then_on(void **state)
{
	struct world *w = *state;

	mood(w, 0, STORE_WRONG);
	mood(w, 1, STORE_GOOD);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(get_loose(w, i), 0);
	assert_int_equal(calls(w, 0), 1);
	assert_int_equal(calls(w, 1), 10);
}

static void a_copy_that_was_wrong_is_to_be_read_back_again(void **state)
{
	struct world *w = *state;
	struct ledger_placement p = { .piece = w->ordinal, .state = LEDGER_VERIFIED };
	struct buf body;

	for (size_t i = 0; i < N_STORES; i++) {
		p.store = w->ids[i];
		assert_int_equal(ledger_placement_set(w->ledger, &p), 0);
	}
	mood(w, 0, STORE_WRONG);
	buf_init(&body, 1u << 20);
	assert_int_equal(retrieve_body(w->r, &w->loose[0], &body, NULL), 0);
	buf_fini(&body);
	assert_int_equal(
		ledger_placement_get(w->ledger, w->ordinal, w->ids[0], &p), 0);
	assert_int_equal(p.state, LEDGER_STORED);
	assert_non_null(strstr(p.error, "damaged"));
	assert_int_equal(
		ledger_placement_get(w->ledger, w->ordinal, w->ids[1], &p), 0);
	assert_int_equal(p.state, LEDGER_VERIFIED);
	/* and one that is there no more; the other one gives it */
	mood(w, 0, STORE_GOOD);
	mood(w, 1, STORE_WITHOUT);
	buf_init(&body, 1u << 20);
	assert_int_equal(retrieve_body(w->r, &w->loose[1], &body, NULL), 0);
	buf_fini(&body);
	assert_int_equal(
		ledger_placement_get(w->ledger, w->ordinal, w->ids[1], &p), 0);
	assert_int_equal(p.state, LEDGER_STORED);
	assert_true(ledger_is_doubted(&p));
}

static void who_is_said_to_hold_a_piece_is_asked_first(void **state)
{
	struct world *w = *state;
	struct ledger_placement p = { .piece = w->ordinal,
				      .store = w->ids[1],
				      .state = LEDGER_STORED };
	struct buf body;

	assert_int_equal(ledger_placement_set(w->ledger, &p), 0);
	buf_init(&body, 1u << 20);
	assert_int_equal(retrieve_body(w->r, &w->loose[0], &body, NULL), 0);
	assert_int_equal(calls(w, 0), 0);
	assert_int_equal(calls(w, 1), 1);
	/* and who is not, when they cannot give it */
	mood(w, 1, STORE_WITHOUT);
	assert_int_equal(retrieve_body(w->r, &w->loose[1], &body, NULL), 0);
	assert_int_equal(calls(w, 0), 1);
	buf_fini(&body);
}

/* ---- the last resort ---- */

struct fake_gateway {
	struct provider provider;
	const struct world *w;
	bool lies;
	unsigned n_calls;
};

/* A block by its digest: of the loose leaves. */
static int gateway_start(struct provider *p, struct provider_req *req)
{
	struct fake_gateway *g = container_of(p, struct fake_gateway, provider);
	int r = -ENOENT;

	assert_int_equal(req->verb, PROVIDER_BLOCK);
	g->n_calls++;
	for (unsigned i = 0; i < N_LOOSE && r < 0; i++) {
		const struct link *l = &g->w->loose[i];
		uint8_t digest[PIECE_DIGEST_SIZE];
		struct slice block;

		if (memcmp(l->digest, req->block, sizeof(req->block)) != 0)
			continue;
		r = piece_section_parse(slice(g->w->piece.p + l->place.off,
					      l->place.len),
					digest, &block);
		assert_int_equal(r, 0);
		assert_true(block.n <= req->n);
		memcpy(req->dst, block.p, block.n);
		req->dst[0] ^= g->lies;
		req->ret_n = block.n;
	}
	req->done(req, r);
	return 0;
}

static void gateway_cancel(struct provider *p, struct provider_req *req)
{
	(void)p;
	(void)req;
}

static const char *gateway_name(struct provider *p)
{
	(void)p;
	return "a gateway";
}

static void a_gateway_is_asked_when_every_store_has_failed(void **state)
{
	static const struct provider_ops ops = { .start = gateway_start,
						 .cancel = gateway_cancel,
						 .name = gateway_name };
	static const enum store_mood bad[] = { STORE_WRONG, STORE_AWAY,
					       STORE_WITHOUT };
	struct world *w = *state;
	struct fake_gateway g = { .w = w };

	provider_init(&g.provider, &ops, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		w->gateway = &g.provider;
		world_threads(w, 1);
		mood(w, 0, bad[i]);
		mood(w, 1, STORE_GOOD);
		g.n_calls = 0;
		assert_int_equal(get_loose(w, 3), 0);
		assert_int_equal(g.n_calls, 0);
		mood(w, 1, bad[i]);
		assert_int_equal(get_loose(w, 4), 0);
		assert_int_equal(g.n_calls, 1);
		assert_int_equal(stats_of(w).gateway, 1);
		/* and is not believed either */
		g.lies = true;
		assert_true(get_loose(w, 5) < 0);
		g.lies = false;
	}
	w->gateway = NULL;
	world_threads(w, 1);
	provider_fini(&g.provider);
}

static void nothing_unverified_is_ever_returned(void **state)
{
	static const enum store_mood lies[] = { STORE_WRONG, STORE_SHORT,
						STORE_BOASTS, STORE_WITHOUT };
	struct world *w = *state;
	struct err e = { "" };
	struct buf b;

	for (size_t i = 0; i < ARRAY_LEN(lies) * ARRAY_LEN(lies); i++) {
		mood(w, 0, lies[i / ARRAY_LEN(lies)]);
		mood(w, 1, lies[i % ARRAY_LEN(lies)]);
		assert_int_equal(get_loose(w, 3), -EBADMSG);
	}
	buf_init(&b, 4096);
	assert_int_equal(retrieve_body(w->r, &w->loose[3], &b, &e), -EBADMSG);
	assert_true(e.text[0]);
	buf_fini(&b);
}

static void away_is_told_from_lost(void **state)
{
	struct world *w = *state;

	mood(w, 0, STORE_AWAY);
	mood(w, 1, STORE_WITHOUT);
	assert_int_equal(get_loose(w, 3), -EREMOTEIO);
	mood(w, 0, STORE_WITHOUT);
	assert_int_equal(get_loose(w, 3), -EBADMSG);
}

static void a_place_that_is_gone_is_found_in_the_index(void **state)
{
	struct world *w = *state;
	static const struct place bad[] = {
		{ 0, 0, 0 },            /* unknown */
		{ 99, 36, 1000 },       /* a piece that nobody knows */
		{ 0, 200, 940 },        /* not where a section begins */
		{ 0, 1ull << 40, 940 }, /* behind every piece */
		{ 0, 100u << 20, 940 }, /* behind the end of this one */
		{ 0, 36, UINT32_MAX },  /* longer than any block */
		{ UINT64_MAX, UINT64_MAX, 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct link l = w->loose[9];

		w->loose[9].place = bad[i];
		if (!bad[i].piece && bad[i].len)
			w->loose[9].place.piece = w->ordinal;
		assert_int_equal(get_loose(w, 9), 0);
		w->loose[9] = l;
	}
}

static void one_bad_place_does_not_hurt_its_neighbours(void **state)
{
	struct world *w = *state;
	struct link l = w->loose[N_LOOSE - 1];
	int r;

	/* in no index either */
	w->loose[N_LOOSE - 1].place.off = w->piece.n - 100;
	w->loose[N_LOOSE - 1].digest[0] ^= 1;
	assert_int_equal(get_all(w, &r), N_LOOSE - 1);
	assert_int_equal(r, -EBADMSG);
	w->loose[N_LOOSE - 1] = l;
	assert_int_equal(get_all(w, &r), N_LOOSE);
	assert_int_equal(r, 0);
}

static void a_place_behind_the_end_does_not_hurt_its_neighbours(void **state)
{
	struct world *w = *state;
	struct link lost = w->table.link;
	struct want v[2];

	lost.place.off = w->piece.n - 100;
	lost.digest[0] ^= 1;
	want_init(&v[0], &lost);
	want_init(&v[1], &w->table.link);
	assert_int_equal(wants_fetch(w->r, v, 2, NULL, NULL), -EBADMSG);
	assert_int_not_equal(v[0].status, 0);
	assert_int_equal(v[1].status, 0);
	want_fini(&v[0]);
	want_fini(&v[1]);
}

static void neighbours_come_in_one_request(void **state)
{
	struct world *w = *state;
	int r;

	assert_int_equal(get_all(w, &r), N_LOOSE);
	assert_int_equal(r, 0);
	assert_int_equal(calls(w, 0) + calls(w, 1), 1);
	assert_int_equal(stats_of(w).requests, 1);
	assert_in_range(stats_of(w).bytes_fetched, N_LOOSE * LOOSE_SIZE,
			N_LOOSE * (LOOSE_SIZE + 200));
}

static void what_a_cut_piece_still_has_comes_back(void **state)
{
	static const enum store_mood cuts[] = { STORE_CUT, STORE_CUT_ERROR };
	struct world *w = *state;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		world_threads(w, 1);
		w->stores[0].cut = w->loose[40].place.off + 10;
		mood(w, 0, cuts[i]);
		mood(w, 1, STORE_WITHOUT);
		assert_int_equal(get_all(w, &r), 40);
		assert_int_equal(r, -EBADMSG);
		/* and the other store gives the rest */
		mood(w, 1, STORE_GOOD);
		assert_int_equal(get_all(w, &r), N_LOOSE);
		assert_int_equal(r, 0);
	}
}

static void the_outbox_is_read_before_any_store(void **state)
{
	struct world *w = *state;
	char name[LEDGER_OUTBOX_NAME_MAX];
	struct io_file *f = NULL;
	uint64_t off = w->loose[2].place.off + 60;
	uint8_t x = 0;

	assert_int_equal(
		ledger_piece_set(w->ledger, w->ordinal, LEDGER_HELD, true), 0);
	mood(w, 0, STORE_GOOD);
	assert_int_equal(get_loose(w, 2), 0);
	assert_int_equal(calls(w, 0) + calls(w, 1), 0);
	ledger_outbox_name(w->ordinal, name);
	assert_int_equal(io_open(recorder_io(w->rec), name, O_RDWR, &f), 0);
	assert_int_equal(io_pread(f, &x, 1, off), 1);
	x ^= 1;
	assert_int_equal(io_pwrite(f, &x, 1, off), 0);
	io_close(f);
	assert_int_equal(get_loose(w, 2), 0);
	assert_int_equal(calls(w, 0) + calls(w, 1), 1);
	assert_int_equal(stats_of(w).wrong, 1);
}

static void a_link_of_another_kind_is_refused(void **state)
{
	struct world *w = *state;
	struct link l = w->loose[0];
	struct buf b;

	buf_init(&b, 4096);
	l.kind = LINK_PLAIN;
	assert_int_equal(retrieve_body(w->r, &l, &b, NULL), -EPROTO);
	l.kind = LINK_NONE;
	assert_int_equal(retrieve_body(w->r, &l, &b, NULL), -EPROTO);
	l = (struct link){ .kind = LINK_IDENTITY,
			   .codec = LINK_RAW,
			   .n_inline = 2,
			   .bytes = "hi" };
	assert_int_equal(retrieve_body(w->r, &l, &b, NULL), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("hi")));
	assert_int_equal(calls(w, 0) + calls(w, 1), 0);
	/* the right block with the wrong key */
	l = w->loose[0];
	l.key[0] ^= 1;
	assert_int_equal(retrieve_body(w->r, &l, &b, NULL), -EBADMSG);
	buf_fini(&b);
}

/* ---- nodes ---- */

static int count_item(void *ctx, const struct dir_item *item)
{
	(void)item;
	++*(unsigned *)ctx;
	return 0;
}

static void opened_nodes_are_kept(void **state)
{
	struct world *w = *state;
	unsigned n = 0;

	assert_int_equal(retrieve_list(w->r, &w->dir.link, count_item, &n, NULL), 0);
	assert_int_equal(calls(w, 0) + calls(w, 1), 1);
	mood(w, 0, STORE_AWAY);
	mood(w, 1, STORE_AWAY);
	assert_int_equal(retrieve_list(w->r, &w->dir.link, count_item, &n, NULL), 0);
	assert_int_equal(calls(w, 0) + calls(w, 1), 0);
	assert_int_equal(n, 2);
	/* content is not */
	assert_int_equal(get_loose(w, 0), -EREMOTEIO);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_new, world_free)
	const struct CMUnitTest tests[] = {
		T(wrong_bytes_of_one_store_fall_over_to_the_next),
		T(a_store_that_failed_is_asked_last_from_then_on),
		T(a_copy_that_was_wrong_is_to_be_read_back_again),
		T(who_is_said_to_hold_a_piece_is_asked_first),
		T(a_gateway_is_asked_when_every_store_has_failed),
		T(nothing_unverified_is_ever_returned),
		T(away_is_told_from_lost),
		T(a_place_that_is_gone_is_found_in_the_index),
		T(one_bad_place_does_not_hurt_its_neighbours),
		T(a_place_behind_the_end_does_not_hurt_its_neighbours),
		T(neighbours_come_in_one_request),
		T(what_a_cut_piece_still_has_comes_back),
		T(the_outbox_is_read_before_any_store),
		T(a_link_of_another_kind_is_refused),
		T(opened_nodes_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
