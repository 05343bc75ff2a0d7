/* test_ledger.c - what the ledger keeps, finds and forgets */
#include "common.h"

#include <string.h>

#include "ledger/head_info.h"
#include "ledger/schema.h"

struct fixture {
	struct recorder *rec;
	struct ledger *l;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->rec = new_disk();
	f->l = new_ledger(f->rec, HIGH_WRITER);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	ledger_close(f->l);
	recorder_free(f->rec);
	free(f);
	return 0;
}

static void again(struct fixture *f)
{
	f->l = reopen(f->rec, f->l);
}

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
	assert_int_equal(try_open(rec, false, &l), -ENOENT);
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

/* ---- blocks ---- */

/* The ordinal that block n is found in; 0 if it is not found. */
static uint64_t where(struct ledger *l, uint32_t n)
{
	struct ledger_block want = test_block(n), b = { 0 };
	uint64_t o = 0;
	int r = ledger_block_find(l, want.digest, &b, &o);

	if (r == -ENOENT)
		return 0;
	assert_int_equal(r, 0);
	assert_memory_equal(b.digest, want.digest, sizeof(b.digest));
	assert_memory_equal(b.key, want.key, sizeof(b.key));
	assert_true(b.off == want.off && b.len == want.len && b.node == want.node);
	return o;
}

static void blocks_are_found_in_whole_pieces_only(void **state)
{
	struct fixture *f = *state;
	struct ledger_block b = test_block(1);
	uint64_t o = 0;

	assert_int_equal(ledger_piece_begin(f->l, PIECE_DATA, 1, &o), 0);
	assert_int_equal(ledger_blocks_add(f->l, o, &b, 1), 0);
	assert_int_equal(where(f->l, 1), 0); /* BUILDING */
	o = add_ready(f->l, 2, 1);
	assert_true(where(f->l, 2) == o);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_HELD, false), 0);
	again(f);
	assert_true(where(f->l, 2) == o);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_CONDEMNED, false), 0);
	assert_int_equal(where(f->l, 2), 0);
	assert_int_equal(ledger_piece_set(f->l, o, LEDGER_REMOVED, false), 0);
	assert_int_equal(where(f->l, 2), 0);
}

/* The first place wins while it may be linked; else the new one counts. */
static void a_block_moves_away_from_a_piece_that_goes(void **state)
{
	static const enum ledger_piece_state going[] = { LEDGER_CONDEMNED,
							 LEDGER_REMOVED };
	struct fixture *f = *state;
	uint64_t a = add_ready(f->l, 1, 1), b = add_ready(f->l, 1, 1), c;

	assert_true(where(f->l, 1) == a && a != b);
	for (size_t i = 0; i < ARRAY_LEN(going); i++) {
		assert_int_equal(ledger_piece_set(f->l, a, going[i], false), 0);
		c = add_ready(f->l, 1, 1);
		assert_true(where(f->l, 1) == c);
		a = c;
	}
	assert_int_equal(ledger_piece_drop(f->l, a), 0);
	assert_int_equal(where(f->l, 1), 0);
	c = add_ready(f->l, 1, 1);
	assert_true(where(f->l, 1) == c);
}

static uint64_t linkable(struct ledger *l, uint32_t n)
{
	struct ledger_block want = test_block(n), b;
	uint64_t o = 0;

	return ledger_block_link(l, want.digest, &b, &o) == 0 ? o : 0;
}

static void a_block_of_a_lost_piece_is_read_but_not_linked(void **state)
{
	const char *const url[] = { "dir:///a" };
	struct fixture *f = *state;
	struct ledger_placement at = { .state = LEDGER_VERIFIED };
	uint64_t a = add_ready(f->l, 1, 1), b;

	assert_true(linkable(f->l, 1) == a); /* in the outbox */
	assert_int_equal(ledger_stores_set(f->l, url, 1, &at.store), 0);
	at.piece = a;
	assert_int_equal(ledger_placement_set(f->l, &at), 0);
	assert_int_equal(ledger_piece_set(f->l, a, LEDGER_HELD, false), 0);
	assert_true(linkable(f->l, 1) == a); /* verified */
	at.state = LEDGER_LOST;
	assert_int_equal(ledger_placement_set(f->l, &at), 0);
	assert_int_equal(linkable(f->l, 1), 0);
	assert_true(where(f->l, 1) == a); /* most of it may be sound */
	b = add_ready(f->l, 1, 1);
	assert_true(linkable(f->l, 1) == b && where(f->l, 1) == b);
}

/* ---- the node cache ---- */

static void digest_of(uint32_t n, uint8_t ret[static LINK_DIGEST_SIZE])
{
	memset(ret, 0x0d, LINK_DIGEST_SIZE);
	put_le32(ret, n);
}

static int put_node(struct ledger *l, uint32_t n, size_t size)
{
	_cleanup_free_ uint8_t *p = calloc(1, size + 4);
	uint8_t d[LINK_DIGEST_SIZE];

	assert_non_null(p);
	put_le32(p, n);
	digest_of(n, d);
	return ledger_node_put(l, d, slice(p, size));
}

/* Its size, -ENOENT; checks the first bytes. */
static int64_t get_node(struct ledger *l, uint32_t n)
{
	uint8_t d[LINK_DIGEST_SIZE];
	_cleanup_buf_ struct buf b;
	int r;

	buf_init(&b, PIECE_BLOCK_MAX);
	digest_of(n, d);
	r = ledger_node_get(l, d, &b);
	if (r < 0)
		return r;
	assert_true(b.n >= 4 && get_le32(b.p) == n);
	return (int64_t)b.n;
}

#define NODE_SIZE (64u << 10)
#define NODES_FIT (NODES_MAX / NODE_SIZE)

/* A change that fails takes the open puts along; the count must not suffer. */
static void rollbacks_keep_it_bounded(struct fixture *f)
{
	struct ledger_head bad = { .seq = 1, .state = LEDGER_HEAD_NX };
	unsigned left = 0;

	assert_int_equal(ledger_set_u64(f->l, LEDGER_BASE, 1), 0);
	for (uint32_t n = 2000; n < 2020; n++) {
		assert_int_equal(put_node(f->l, n, 4096), 0); /* evicts more */
		assert_int_equal(ledger_head_add(f->l, &bad, NULL, 0, 1, NULL, 0),
				 -EEXIST); /* and that is undone */
		assert_int_equal(get_node(f->l, n), -ENOENT);
	}
	for (uint32_t n = 3000; n < 3010; n++)
		assert_int_equal(put_node(f->l, n, NODE_SIZE), 0);
	for (uint32_t n = 0; n < 4000; n++)
		left += get_node(f->l, n) > 0;
	assert_int_equal(left, NODES_FIT);
}

static void the_node_cache_forgets_the_least_used_and_never_outgrows(void **state)
{
	struct fixture *f = *state;
	unsigned left = 0;

	assert_int_equal(put_node(f->l, 1, PIECE_BLOCK_MAX + 1), -EMSGSIZE);
	for (uint32_t n = 1; n <= NODES_FIT; n++)
		assert_int_equal(put_node(f->l, n, NODE_SIZE), 0);
	assert_int_equal(get_node(f->l, 1), NODE_SIZE); /* used: the oldest is 2 */
	assert_int_equal(put_node(f->l, 1000, NODE_SIZE), 0);
	assert_int_equal(get_node(f->l, 2), -ENOENT);
	assert_int_equal(get_node(f->l, 1), NODE_SIZE);
	assert_int_equal(put_node(f->l, 3, NODE_SIZE), 0); /* known: used, too */
	again(f);
	assert_int_equal(put_node(f->l, 1001, NODE_SIZE), 0);
	assert_int_equal(get_node(f->l, 4), -ENOENT);
	assert_int_equal(get_node(f->l, 3), NODE_SIZE);
	for (uint32_t n = 0; n < 2000; n++)
		left += get_node(f->l, n) > 0;
	assert_int_equal(left, NODES_FIT);
	rollbacks_keep_it_bounded(f);
}

/* ---- placements ---- */

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
	uint64_t ids[3], o = add_ready(f->l, 1, 2), pieces = 9, bytes = 9;
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
	assert_int_equal(ledger_store_sums(f->l, ids[0], &pieces, &bytes), 0);
	assert_true(pieces == 1 && bytes == 5000);
	assert_int_equal(ledger_placement_drop(f->l, o, ids[0]), 0);
	again(f);
	assert_int_equal(ledger_placement_get(f->l, o, ids[0], &q), -ENOENT);
	assert_int_equal(ledger_store_sums(f->l, ids[0], &pieces, &bytes), 0);
	assert_true(pieces == 0 && bytes == 0);
	assert_int_equal(ledger_copies(f->l, o, &copies), 0);
	assert_int_equal(copies, 1);
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

static void outbox_names_have_sixteen_digits(void **state)
{
	char name[LEDGER_OUTBOX_NAME_MAX];

	(void)state;
	ledger_outbox_name(0xab, name);
	assert_string_equal(name, "outbox/00000000000000ab.car");
	ledger_outbox_name(UINT64_MAX, name);
	assert_string_equal(name, "outbox/ffffffffffffffff.car");
}

/* ---- heads and adoption ---- */

struct heads {
	struct ledger_head v[8];
	char body[8][16];
	size_t n;
};

static int note_head(void *ctx, const struct ledger_head *h)
{
	struct heads *s = ctx;

	s->v[s->n] = *h;
	assert_true(h->body.n < sizeof(s->body[0]));
	if (h->body.n)
		memcpy(s->body[s->n], h->body.p, h->body.n);
	s->n++;
	return 0;
}

struct adopts {
	uint64_t gen[16], ino[16];
	size_t n;
};

static int note_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	struct adopts *s = ctx;

	assert_true(s->n < ARRAY_LEN(s->gen));
	assert_true(a->size == a->ino * 10);
	assert_true(slice_eq(a->link, slice_str("link")));
	s->gen[s->n] = gen;
	s->ino[s->n++] = a->ino;
	return 0;
}

static void a_head_comes_with_its_pieces_and_adoptions(void **state)
{
	struct fixture *f = *state;
	uint64_t o[2] = { add_ready(f->l, 1, 1), add_ready(f->l, 2, 1) };
	struct ledger_adopt a[] = { { 5, 50, slice_str("link") },
				    { 4, 40, slice_str("link") } };
	struct ledger_head h = { .seq = 1,
				 .state = LEDGER_BUILT,
				 .time = 123,
				 .piece = o[1],
				 .body = slice_str("body") };
	struct adopts adopts = { .n = 0 };
	struct heads heads = { .n = 0 };
	struct ledger_piece p;
	uint64_t newest = 9;

	memset(h.hash, 0x66, sizeof(h.hash));
	assert_int_equal(ledger_newest_head(f->l, &newest), 0);
	assert_int_equal(newest, 0);
	assert_int_equal(ledger_head_get(f->l, 1, note_head, &heads), -ENOENT);
	assert_int_equal(ledger_head_add(f->l, &h, o, 2, 7, a, 2), 0);
	h.seq = 2;
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 8, a, 1), 0);
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 8, a, 1), 0); /* again */
	assert_int_equal(ledger_head_set(f->l, 1, LEDGER_CLAIMED), 0);
	assert_int_equal(ledger_head_set(f->l, 2, LEDGER_SUPERSEDED), 0);
	again(f);
	assert_int_equal(ledger_newest_head(f->l, &newest), 0);
	assert_int_equal(newest, 2);
	assert_int_equal(ledger_heads(f->l, note_head, &heads), 0);
	assert_int_equal(ledger_head_get(f->l, 2, note_head, &heads), 0);
	assert_int_equal(heads.n, 3);
	assert_true(heads.v[0].seq == 1 && heads.v[1].seq == 2 &&
		    heads.v[2].seq == 2);
	assert_true(heads.v[0].state == LEDGER_CLAIMED &&
		    heads.v[1].state == LEDGER_SUPERSEDED);
	assert_true(heads.v[0].time == 123 && heads.v[0].piece == o[1]);
	assert_memory_equal(heads.v[0].hash, h.hash, sizeof(h.hash));
	assert_string_equal(heads.body[0], "body");
	assert_int_equal(ledger_piece_get(f->l, o[0], &p), 0);
	assert_int_equal(p.seq, 1);
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_int_equal(adopts.n, 3);
	assert_true(adopts.gen[0] == 7 && adopts.ino[0] == 4 && adopts.gen[1] == 7 &&
		    adopts.ino[1] == 5 && adopts.gen[2] == 8);
	assert_int_equal(ledger_adopted(f->l, 7), 0);
	again(f);
	adopts.n = 0;
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_true(adopts.n == 1 && adopts.gen[0] == 8);
	assert_int_equal(ledger_adopted(f->l, 100), 0);
	adopts.n = 0;
	assert_int_equal(ledger_adopts(f->l, note_adopt, &adopts), 0);
	assert_int_equal(adopts.n, 0);
}

static void a_head_info_reads_back_and_refuses_what_is_cut(void **state)
{
	struct head_info h = { .root_attr = slice_str("attr"),
			       .device = slice_str("laptop") },
			 got;
	_cleanup_buf_ struct buf b;

	(void)state;
	h.root = (struct link){ .kind = LINK_SEALED,
				.codec = LINK_DAGPB,
				.place = { 5, 36, 100 } };
	h.catalogue = h.root;
	h.catalogue.place.piece = 6;
	buf_init(&b, 1024);
	assert_int_equal(head_info_encode(&h, &b), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), 0);
	assert_true(link_same(&got.root, &h.root));
	assert_int_equal(got.inode_table.kind, LINK_NONE);
	assert_int_equal(got.catalogue.place.piece, 6);
	assert_true(slice_eq(got.root_attr, h.root_attr));
	assert_true(slice_eq(got.device, h.device));
	assert_int_equal(got.n_inodes, 0);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(head_info_decode(slice(b.p, n), &got), -EPROTO);
	assert_int_equal(buf_u8(&b, 0), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
	assert_int_equal(buf_u8(&b, 7), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
}

static void a_head_info_has_what_the_commit_counted(void **state)
{
	struct head_info h = { .device = slice_str("laptop"),
			       .n_inodes = 1000,
			       .n_bytes = 1ull << 40 },
			 got;
	_cleanup_buf_ struct buf b;
	size_t plain = 0;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(head_info_encode(&h, &b), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), 0);
	assert_int_equal(got.n_inodes, 1000);
	assert_true(got.n_bytes == 1ull << 40);
	for (size_t n = 0; n < b.n; n++) {
		if (head_info_decode(slice(b.p, n), &got) < 0)
			continue;
		plain++; /* as if it had not been counted */
		assert_int_equal(got.n_inodes, 0);
	}
	assert_int_equal(plain, 1);
	assert_int_equal(buf_u8(&b, 0), 0);
	assert_int_equal(head_info_decode(buf_slice(&b), &got), -EPROTO);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
		CASE(a_learned_piece_is_held_and_a_known_one_stays),
		CASE(blocks_are_found_in_whole_pieces_only),
		CASE(a_block_moves_away_from_a_piece_that_goes),
		CASE(the_node_cache_forgets_the_least_used_and_never_outgrows),
		CASE(a_block_of_a_lost_piece_is_read_but_not_linked),
		CASE(placements_survive_and_count_at_configured_stores),
		CASE(a_store_that_is_replaced_has_nothing_and_others_keep_theirs),
		CASE(sums_count_each_piece_where_it_stands),
		cmocka_unit_test(outbox_names_have_sixteen_digits),
		CASE(a_head_comes_with_its_pieces_and_adoptions),
		cmocka_unit_test(a_head_info_reads_back_and_refuses_what_is_cut),
		cmocka_unit_test(a_head_info_has_what_the_commit_counted),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
