/* test_ledger_placements.c - which store has a piece, and the sums of it */
#include "common.h"

#include <string.h>

static int count_placement(void *ctx, const struct ledger_placement *p)
{
	(void)p;
	++*(int *)ctx;
	return 0;
}

static void placements_survive_and_count_at_configured_stores(void **state)
{
	static const char *const urls[] = { "dir:///a", "dir:///b", "dir:///c" };
	struct fixture *f = *state;
	uint64_t ids[3], o = add_ready(f->l, 1, 2);
	struct ledger_holding h = { 0 };
	struct ledger_placement p = { .piece = o,
				      .attempts = 3,
				      .next_try = 99,
				      .error = "no room" },
				q;
	unsigned copies = 9;
	int n = 0;

	assert_int_equal(ledger_stores_set(f->l, urls, 3, ids), 0);
	for (int s = LEDGER_PLANNED; s < LEDGER_PLACEMENT_NX; s++) {
		p.store = ids[0];
		p.state = (enum ledger_placement_state)s;
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
		again(f);
		assert_int_equal(ledger_placement_get(f->l, o, ids[0], &q), 0);
		assert_true(q.piece == o && q.store == ids[0] && (int)q.state == s &&
			    q.attempts == 3 && q.next_try == 99);
		assert_string_equal(q.error, "no room");
		assert_int_equal(ledger_copies(f->l, o, &copies), 0);
		assert_int_equal(copies, s == LEDGER_VERIFIED);
		assert_int_equal(ledger_store_sums(f->l, ids[0], &h), 0);
		assert_int_equal(h.pieces, s == LEDGER_VERIFIED);
		assert_int_equal(h.unread_pieces,
				 s == LEDGER_STORED || s == LEDGER_LISTED);
		assert_int_equal(h.bytes + h.unread_bytes,
				 h.pieces + h.unread_pieces ? 5000 : 0);
	}
	p.state = LEDGER_VERIFIED;
	for (int i = 0; i < 3; i++) {
		p.store = ids[i];
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
	}
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	assert_int_equal(ledger_copies(f->l, o, &copies), 0);
	assert_int_equal(copies, 2);
	assert_int_equal(ledger_placements(f->l, o, count_placement, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(ledger_store_sums(f->l, ids[0], &h), 0);
	assert_true(h.pieces == 1 && h.bytes == 5000);
	assert_int_equal(ledger_placement_get(f->l, o + 1, ids[0], &q), -ENOENT);
}

static void what_a_reader_doubts_was_a_copy_and_is_one_no_more(void **state)
{
	static const char *const url = "dir:///a";
	struct fixture *f = *state;
	struct ledger_placement p = { .attempts = 2, .next_try = 9 }, q;
	unsigned copies = 9;

	assert_int_equal(ledger_stores_set(f->l, &url, 1, &p.store), 0);
	p.piece = add_ready(f->l, 1, 1);
	assert_int_equal(ledger_placement_doubt(f->l, p.piece, p.store, "?"), 0);
	for (int s = 1; s < LEDGER_PLACEMENT_NX; s++) {
		bool counts = s == LEDGER_VERIFIED || s == LEDGER_LISTED;

		p.state = (enum ledger_placement_state)s;
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
		assert_int_equal(ledger_placement_doubt(f->l, p.piece, p.store,
							"it lied"),
				 counts);
		assert_int_equal(ledger_placement_get(f->l, p.piece, p.store, &q),
				 0);
		assert_int_equal(q.state, counts ? LEDGER_STORED : p.state);
		assert_string_equal(q.error, counts ? LEDGER_DOUBT "it lied" : "");
		assert_int_equal(ledger_is_doubted(&q), counts);
		assert_true(q.attempts == 2 && q.next_try == (counts ? 0 : 9));
	}
	assert_int_equal(ledger_copies(f->l, p.piece, &copies), 0);
	assert_int_equal(copies, 0);
}

static void a_store_that_may_have_lost_anything_has_no_copy_that_counts(void **state)
{
	static const char *const urls[] = { "dir:///a", "dir:///b" };
	struct fixture *f = *state;
	uint64_t ids[2], o = add_ready(f->l, 1, 1);
	struct ledger_placement p = { .piece = o }, q;
	_cleanup_buf_ struct buf note = { 0 };
	unsigned copies = 9;

	buf_init(&note, 16);
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	p.store = ids[1];
	p.state = LEDGER_VERIFIED;
	assert_int_equal(ledger_placement_set(f->l, &p), 0);
	p.store = ids[0];
	for (int s = LEDGER_PLANNED; s < LEDGER_PLACEMENT_NX; s++) {
		bool there = s == LEDGER_STORED || s == LEDGER_VERIFIED;

		p.state = (enum ledger_placement_state)s;
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
		assert_int_equal(ledger_store_unsure(f->l, ids[0], "seen",
						     slice_str("7")),
				 0);
		again(f);
		assert_int_equal(ledger_placement_get(f->l, o, ids[0], &q), 0);
		assert_int_equal(q.state, there ? LEDGER_LISTED : s);
		assert_int_equal(ledger_copies(f->l, o, &copies), 0);
		assert_int_equal(copies, 1); /* that of the other */
	}
	assert_int_equal(ledger_note_get(f->l, ids[0], "seen", &note), 0);
}

static int note_parked(void *ctx, uint64_t piece, const struct piece_cid *cid,
		       bool head)
{
	uint64_t *got = ctx;

	assert_true(cid->n > 0 && !head);
	*got += piece;
	return 0;
}

/* To keep it costs a fee. */
static void what_is_parked_is_kept_only_if_it_is_whole_and_needed(void **state)
{
	static const char *const url = "dir:///a";
	struct fixture *f = *state;
	uint64_t o = add_ready(f->l, 1, 1), got;
	struct ledger_placement p = { .piece = o, .state = LEDGER_PARKED };

	assert_int_equal(ledger_stores_set(f->l, &url, 1, &p.store), 0);
	assert_int_equal(ledger_placement_set(f->l, &p), 0);
	for (int s = LEDGER_READY; s < LEDGER_PIECE_NX; s++) {
		assert_int_equal(ledger_piece_set(f->l, o,
						  (enum ledger_piece_state)s, false),
				 0);
		got = 0;
		assert_int_equal(ledger_parked(f->l, p.store, note_parked, &got), 0);
		assert_true(got == (s == LEDGER_READY || s == LEDGER_HELD ? o : 0));
	}
}

static void a_store_that_is_replaced_has_nothing_and_others_keep_theirs(void **state)
{
	static const char *const urls[] = { "dir:///a", "dir:///b" };
	const uint8_t ident[LEDGER_IDENT_MAX] = { 7 };
	struct fixture *f = *state;
	struct ledger_placement q;
	struct ledger_store row;
	uint64_t ids[2], o[3];
	unsigned copies = 9;
	_cleanup_buf_ struct buf note = { 0 };

	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	for (uint32_t i = 0; i < 3; i++) {
		o[i] = add_ready(f->l, i, 1);
		for (int k = 0; k < 2; k++) {
			const struct ledger_placement p = {
				.piece = o[i], .store = ids[k], .state = LEDGER_VERIFIED
			};

			assert_int_equal(ledger_placement_set(f->l, &p), 0);
		}
	}
	for (int k = 0; k < 2; k++) {
		assert_int_equal(ledger_store_ident(f->l, ids[k], ident), 0);
		assert_int_equal(ledger_store_seen(f->l, ids[k], 5, NULL), 0);
		assert_int_equal(ledger_note_set(f->l, ids[k], "watch",
						 slice_str("bad")),
				 0);
	}
	assert_int_equal(ledger_store_reset(f->l, ids[0], "watch", "given/1",
					    slice_str("why")),
			 0);
	again(f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ledger_placement_get(f->l, o[i], ids[0], &q),
				 -ENOENT);
		assert_int_equal(ledger_copies(f->l, o[i], &copies), 0);
		assert_int_equal(copies, 1);
	}
	assert_int_equal(ledger_store_get(f->l, ids[0], &row), 0);
	assert_true(!row.has_ident && row.seen == 0 && !row.retired);
	assert_int_equal(ledger_store_get(f->l, ids[1], &row), 0);
	assert_true(row.has_ident && row.seen == 5);
	buf_init(&note, 16);
	assert_int_equal(ledger_note_get(f->l, ids[0], "watch", &note), -ENOENT);
	assert_int_equal(ledger_note_get(f->l, ids[0], "given/1", &note), 0);
	assert_int_equal(ledger_note_get(f->l, ids[1], "watch", &note), 0);
	assert_int_equal(note.n, 6);
	assert_int_equal(ledger_store_reset(f->l, 99, NULL, "given/1", SLICE_NONE),
			 -ENOENT);
}

static void sums_count_each_piece_where_it_stands(void **state)
{
	struct fixture *f = *state;
	uint64_t o[4], building;
	struct ledger_sums s = { 0 };

	assert_int_equal(ledger_sums(f->l, &s), 0);
	assert_true(s.n_pieces == 0 && s.bytes == 0);
	for (uint32_t i = 0; i < 4; i++)
		o[i] = add_ready(f->l, i, 1);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &building), 0);
	assert_int_equal(ledger_piece_set(f->l, o[0], LEDGER_HELD, false), 0);
	assert_int_equal(ledger_piece_set(f->l, o[1], LEDGER_HELD, true), 0);
	assert_int_equal(ledger_piece_set(f->l, o[2], LEDGER_CONDEMNED, true), 0);
	assert_int_equal(ledger_sums(f->l, &s), 0);
	assert_true(s.n_pieces == 3 && s.bytes == 15000);
	assert_true(s.outbox_pieces == 2 && s.outbox_bytes == 10000);
	assert_true(s.queued_pieces == 1 && s.queued_bytes == 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(placements_survive_and_count_at_configured_stores),
		CASE(what_a_reader_doubts_was_a_copy_and_is_one_no_more),
		CASE(a_store_that_may_have_lost_anything_has_no_copy_that_counts),
		CASE(what_is_parked_is_kept_only_if_it_is_whole_and_needed),
		CASE(a_store_that_is_replaced_has_nothing_and_others_keep_theirs),
		CASE(sums_count_each_piece_where_it_stands),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
