/* test_ledger.c - the schema, values, stores and pieces of a ledger */
#include "common.h"

#include <string.h>

#include "ledger/schema.h"

/* ---- the schema ---- */

/* Does the table's CHECK list name exactly 1 … n-1? */
static void check_list_is(const char *table, const char *column, int n)
{
	char head[64], want[128] = "";
	const char *at;
	size_t len = 0;

	(void)snprintf(head, sizeof(head), "CREATE TABLE %s (", table);
	at = strstr(ledger_schema, head);
	assert_non_null(at);
	for (int i = 1; i < n; i++)
		len += (size_t)snprintf(want + len, sizeof(want) - len, "%s%d",
					i > 1 ? ", " : "", i);
	(void)snprintf(head, sizeof(head), "CHECK (%s IN (", column);
	at = strstr(at, head);
	assert_non_null(at);
	at += strlen(head);
	assert_int_equal(strncmp(at, want, len), 0);
	assert_int_equal(at[len], ')');
}

static void the_check_lists_are_the_enums(void **state)
{
	(void)state;
	check_list_is("piece", "kind", PIECE_META + 1);
	check_list_is("piece", "state", LEDGER_PIECE_NX);
	check_list_is("placement", "state", LEDGER_PLACEMENT_NX);
	check_list_is("head", "state", LEDGER_HEAD_NX);
}

static void a_state_outside_of_the_enum_is_refused(void **state)
{
	struct fixture *f = *state;
	struct ledger_placement p = { .piece = 1,
				      .store = 1,
				      .state = LEDGER_PLACEMENT_NX };
	struct ledger_head h = { .seq = 1, .state = LEDGER_HEAD_NX };
	uint64_t o = add_ready(f->l, 1, 1);

	assert_int_equal(ledger_placement_set(f->l, &p), -EEXIST);
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 1, NULL, 0), -EEXIST);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_PIECE_NX, true), -EEXIST);
	assert_int_equal(pieces_in(f->l, LEDGER_READY).n, 1);
}

static void an_absent_ledger_is_made_only_on_demand(void **state)
{
	struct recorder *rec = new_disk();
	struct ledger *l = NULL;
	uint64_t v = 0;

	(void)state;
	assert_int_equal(try_open(rec, false, &l), -EUCLEAN);
	assert_null(l);
	l = open_ledger(rec);
	assert_int_equal(ledger_set_u64(l, LEDGER_BASE, 3), 0);
	ledger_close(l);
	l = open_ledger(rec); /* create finds it */
	assert_int_equal(ledger_get_u64(l, LEDGER_BASE, &v), 0);
	assert_int_equal(v, 3);
	ledger_close(l);
	recorder_free(rec);
}

static void a_newer_format_is_refused_in_words(void **state)
{
	struct fixture *f = *state;
	struct ledger *l = NULL;

	assert_int_equal(ledger_set_u64(f->l, LEDGER_VERSION, 3), 0);
	ledger_close(f->l);
	f->l = NULL;
	assert_int_equal(try_open(f->rec, false, &l), -EPROTO);
}

/* ---- values and stores ---- */

static void values_survive_and_absent_ones_say_so(void **state)
{
	struct fixture *f = *state;
	_cleanup_buf_ struct buf b;
	uint64_t v = 1;

	buf_init(&b, 64);
	assert_int_equal(ledger_get_u64(f->l, LEDGER_HEAD_SEEN, &v), -ENOENT);
	assert_int_equal(v, 1);
	assert_int_equal(ledger_set_u64(f->l, LEDGER_HEAD_SEEN, UINT64_MAX), 0);
	assert_int_equal(
		ledger_set(f->l, LEDGER_SUPERSEDED_BY, slice_str("laptop")), 0);
	again(f);
	assert_int_equal(ledger_get_u64(f->l, LEDGER_HEAD_SEEN, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(ledger_get(f->l, LEDGER_SUPERSEDED_BY, &b), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("laptop")));
	assert_int_equal(ledger_get_u64(f->l, LEDGER_SUPERSEDED_BY, &v), -EUCLEAN);
	assert_int_equal(ledger_set(f->l, LEDGER_SUPERSEDED_BY, SLICE_NONE), 0);
	buf_reset(&b);
	assert_int_equal(ledger_get(f->l, LEDGER_SUPERSEDED_BY, &b), 0);
	assert_int_equal(b.n, 0);
}

static void stores_keep_ids_and_retire_and_come_back(void **state)
{
	static const char *const two[] = { "dir:///a", "dir:///b" };
	static const uint8_t ident[LEDGER_IDENT_MAX] = { 1, 2, 3 };
	struct fixture *f = *state;
	uint64_t ids[2], back[1];
	struct ledger_store s;

	assert_int_equal(ledger_stores_set(f->l, two, 2, ids), 0);
	assert_true(ids[0] != ids[1]);
	assert_int_equal(ledger_store_ident(f->l, ids[1], ident), 0);
	assert_int_equal(ledger_stores_set(f->l, two, 1, back), 0);
	assert_int_equal(back[0], ids[0]);
	again(f);
	assert_int_equal(ledger_store_get(f->l, ids[1], &s), 0);
	assert_true(s.retired && s.has_ident);
	assert_memory_equal(s.ident, ident, sizeof(ident));
	assert_string_equal(s.url, "dir:///b");
	assert_int_equal(ledger_stores_set(f->l, &two[1], 1, back), 0);
	assert_int_equal(back[0], ids[1]);
	assert_int_equal(ledger_store_get(f->l, ids[1], &s), 0);
	assert_true(!s.retired && s.has_ident);
	assert_int_equal(ledger_store_get(f->l, ids[0], &s), 0);
	assert_true(s.retired && !s.has_ident);
	assert_int_equal(ledger_store_get(f->l, 99, &s), -ENOENT);
}

static void a_store_remembers_its_last_answer_and_failure(void **state)
{
	static const char *const one[] = { "dir:///a" };
	struct fixture *f = *state;
	char longer[LEDGER_ERROR_MAX + 40];
	struct ledger_store s;
	uint64_t id;

	assert_int_equal(ledger_stores_set(f->l, one, 1, &id), 0);
	assert_int_equal(ledger_store_seen(f->l, id, 1000, NULL), 0);
	assert_int_equal(ledger_store_seen(f->l, id, 2000, "away"), 0);
	assert_int_equal(ledger_store_get(f->l, id, &s), 0);
	assert_int_equal(s.seen, 1000);
	assert_string_equal(s.error, "away");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(ledger_store_seen(f->l, id, 2000, longer), 0);
	assert_int_equal(ledger_store_get(f->l, id, &s), 0);
	assert_int_equal(strlen(s.error), LEDGER_ERROR_MAX - 1);
	assert_int_equal(ledger_store_seen(f->l, id, 3000, ""), 0);
	again(f);
	assert_int_equal(ledger_store_get(f->l, id, &s), 0);
	assert_int_equal(s.seen, 3000);
	assert_string_equal(s.error, "");
}

/* ---- pieces ---- */

static void ordinals_need_a_writer_and_are_never_given_twice(void **state)
{
	struct fixture *f = *state;
	uint64_t a = 0, b = 0, c = 0;

	assert_int_equal(ledger_set_u64(f->l, LEDGER_WRITER, 0), 0);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &a), -EUCLEAN);
	assert_int_equal(
		ledger_set_u64(f->l, LEDGER_WRITER, PIECE_WRITER_MAX + 1ul), 0);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &a), -EUCLEAN);
	assert_int_equal(ledger_set_u64(f->l, LEDGER_WRITER, HIGH_WRITER), 0);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &a), 0);
	assert_true(a == piece_ordinal(HIGH_WRITER, 1));
	again(f); /* drops it: its file is not whole */
	assert_int_equal(ledger_piece_begin(f->l, PIECE_META, 1, &b), 0);
	assert_true(b == piece_ordinal(HIGH_WRITER, 2));
	assert_int_equal(ledger_piece_drop(f->l, b), 0);
	assert_int_equal(ledger_set_u64(f->l, LEDGER_COUNTER, PIECE_COUNTER_MAX), 0);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &c), -EOVERFLOW);
	assert_int_equal(ledger_set(f->l, LEDGER_COUNTER, slice_str("?")), 0);
	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &c), -EUCLEAN);
}

static void unfinished_pieces_go_at_open_and_others_stay(void **state)
{
	struct fixture *f = *state;
	uint64_t built[3], ready = 0;
	struct ledger_piece p;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			ledger_piece_begin(f->l, PIECE_META, 5, &built[i]), 0);
		if (i == 0)
			ready = add_ready(f->l, 10, 3);
	}
	assert_int_equal(pieces_in(f->l, LEDGER_BUILDING).n, 3);
	again(f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ledger_piece_get(f->l, built[i], &p), -ENOENT);
	assert_int_equal(pieces_in(f->l, 0).n, 1);
	assert_int_equal(ledger_piece_get(f->l, ready, &p), 0);
	assert_int_equal(p.state, LEDGER_READY);
}

static void a_piece_carries_what_was_said_of_it(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = test_cid(10);
	struct ledger_block b = test_block(10);
	uint64_t o = add_ready(f->l, 10, 1);
	struct ledger_piece p;

	again(f);
	assert_int_equal(ledger_piece_get(f->l, o, &p), 0);
	assert_true(piece_cid_eq(&p.cid, &cid));
	assert_true(p.size == 5000 && p.live == 5000 && p.kind == PIECE_DATA &&
		    p.state == LEDGER_READY && p.outbox && p.seq == 0 &&
		    p.created == 77);
	/* once more after a crash: the same */
	assert_int_equal(ledger_piece_ready(f->l, o, &cid, 5000, &b, 1), 0);
	assert_int_equal(ledger_piece_listed(f->l, o, 4), 0);
	/* a later commit that lists it too is not the first to need it */
	assert_int_equal(ledger_piece_listed(f->l, o, 6), 0);
	for (int s = LEDGER_HELD; s < LEDGER_PIECE_NX; s++) {
		assert_int_equal(ledger_piece_set(f->l, o,
						  (enum ledger_piece_state)s, false),
				 0);
		again(f);
		assert_int_equal(ledger_piece_get(f->l, o, &p), 0);
		assert_true((int)p.state == s && !p.outbox && p.seq == 4);
		assert_int_equal(ledger_piece_ready(f->l, o, &cid, 1, NULL, 0),
				 -ENOENT);
	}
}

static void changes_of_what_is_not_there_say_so(void **state)
{
	struct fixture *f = *state;
	struct piece_cid cid = test_cid(1);

	assert_int_equal(ledger_piece_ready(f->l, 7, &cid, 1, NULL, 0), -ENOENT);
	assert_int_equal(ledger_piece_set(f->l, 7, LEDGER_HELD, false), -ENOENT);
	assert_int_equal(ledger_piece_listed(f->l, 7, 1), -ENOENT);
	assert_int_equal(ledger_head_set(f->l, 7, LEDGER_CLAIMED), -ENOENT);
	assert_int_equal(ledger_piece_drop(f->l, 7), 0);
}

static void learn(struct ledger *l, uint64_t ordinal)
{
	struct ledger_piece p = { .ordinal = ordinal,
				  .cid = test_cid(3),
				  .size = 900,
				  .kind = PIECE_META,
				  .seq = 2,
				  .live = 800,
				  .created = 66 };

	assert_int_equal(ledger_piece_learn(l, &p), 0);
}

static void pieces_are_listed_by_ordinal_whatever_the_writer(void **state)
{
	static const uint32_t writers[] = { 0xffffff, 1, 0x800000, 0x7fffff };
	struct fixture *f = *state;
	struct ordinals o;

	for (size_t i = 0; i < ARRAY_LEN(writers); i++) {
		learn(f->l, piece_ordinal(writers[i], 1));
		learn(f->l, piece_ordinal(writers[i], PIECE_COUNTER_MAX));
	}
	for (int state_wanted = 0; state_wanted <= LEDGER_HELD;
	     state_wanted += LEDGER_HELD) {
		o = pieces_in(f->l, (enum ledger_piece_state)state_wanted);
		assert_int_equal(o.n, 8);
		for (size_t i = 1; i < o.n; i++)
			assert_true(o.v[i - 1] < o.v[i]);
	}
	assert_int_equal(pieces_in(f->l, LEDGER_READY).n, 0);
}

static int stop_at_two(void *ctx, const struct ledger_piece *p)
{
	(void)p;
	return ++*(int *)ctx == 2 ? 42 : 0;
}

static void a_list_ends_where_the_callback_says(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	for (uint32_t i = 0; i < 4; i++)
		(void)add_ready(f->l, i, 1);
	assert_int_equal(ledger_pieces(f->l, 0, stop_at_two, &n), 42);
	assert_int_equal(n, 2);
}

static int note_first(void *ctx, const struct ledger_piece *p)
{
	*(uint64_t *)ctx = p->ordinal;
	return 1;
}

/* Those of other writers may be above it as signed numbers, and below. */
static void a_list_may_begin_with_any_piece(void **state)
{
	struct fixture *f = *state;
	struct ordinals o;
	uint64_t first;

	for (uint32_t i = 0; i < 2; i++)
		(void)add_ready(f->l, i, 1);
	learn(f->l, 5);
	learn(f->l, 7);
	o = pieces_in(f->l, 0);
	assert_int_equal(o.n, 4);
	for (size_t i = 0; i < o.n; i++) {
		assert_int_equal(
			ledger_pieces_from(f->l, 0, o.v[i], note_first, &first), 1);
		assert_int_equal(first, o.v[i]);
		assert_int_equal(ledger_pieces_from(f->l, 0, o.v[i] + 1,
						    note_first, &first),
				 i + 1 < o.n);
		assert_int_equal(first, o.v[MIN(i + 1, o.n - 1)]);
	}
	assert_int_equal(
		ledger_pieces_from(f->l, LEDGER_HELD, 6, note_first, &first), 1);
	assert_int_equal(first, 7);
	assert_int_equal(
		ledger_pieces_from(f->l, LEDGER_HELD, 8, note_first, &first), 0);
}

static void a_learned_piece_is_held_and_a_known_one_stays(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_ready(f->l, 1, 1);
	struct ledger_piece p;

	learn(f->l, o);
	learn(f->l, 5);
	again(f);
	assert_int_equal(ledger_piece_get(f->l, o, &p), 0);
	assert_true(p.state == LEDGER_READY && p.size == 5000 && p.outbox);
	assert_int_equal(ledger_piece_get(f->l, 5, &p), 0);
	assert_true(p.state == LEDGER_HELD && !p.outbox && p.size == 900 &&
		    p.live == 800 && p.seq == 2 && p.kind == PIECE_META &&
		    p.created == 66);
}

static void outbox_names_have_sixteen_digits(void **state)
{
	char name[LEDGER_OUTBOX_NAME_MAX];

	(void)state;
	ledger_outbox_name(0xab, name);
	assert_string_equal(name, "outbox/00000000000000ab.car");
	ledger_outbox_name(UINT64_MAX, name);
	assert_string_equal(name, "outbox/ffffffffffffffff.car");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_lists_are_the_enums),
		CASE(a_state_outside_of_the_enum_is_refused),
		cmocka_unit_test(an_absent_ledger_is_made_only_on_demand),
		CASE(a_newer_format_is_refused_in_words),
		CASE(values_survive_and_absent_ones_say_so),
		CASE(stores_keep_ids_and_retire_and_come_back),
		CASE(a_store_remembers_its_last_answer_and_failure),
		CASE(ordinals_need_a_writer_and_are_never_given_twice),
		CASE(unfinished_pieces_go_at_open_and_others_stay),
		CASE(a_piece_carries_what_was_said_of_it),
		CASE(changes_of_what_is_not_there_say_so),
		CASE(pieces_are_listed_by_ordinal_whatever_the_writer),
		CASE(a_list_ends_where_the_callback_says),
		CASE(a_list_may_begin_with_any_piece),
		CASE(a_learned_piece_is_held_and_a_known_one_stays),
		cmocka_unit_test(outbox_names_have_sixteen_digits),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
