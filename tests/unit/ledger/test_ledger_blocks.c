/* test_ledger_blocks.c - which piece has a block; the cache of nodes */
#include "common.h"

#include <string.h>

#include "db/db.h"

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

static void a_copy_at_a_store_that_is_configured_no_more_does_not_count(void **state)
{
	const char *const urls[] = { "dir:///a", "dir:///b" };
	struct fixture *f = *state;
	struct ledger_placement at = { .state = LEDGER_VERIFIED };
	uint64_t ids[2], a = add_ready(f->l, 1, 1), b;

	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	at.piece = a;
	at.store = ids[1];
	assert_int_equal(ledger_placement_set(f->l, &at), 0);
	assert_int_equal(ledger_piece_set(f->l, a, LEDGER_HELD, false), 0);
	assert_true(linkable(f->l, 1) == a);
	assert_int_equal(ledger_stores_set(f->l, urls, 1, ids), 0);
	assert_int_equal(linkable(f->l, 1), 0);
	b = add_ready(f->l, 1, 1);
	assert_true(linkable(f->l, 1) == b);
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

/* On ledger.db itself, while it is closed. */
static void change(struct fixture *f, const char *sql)
{
	struct db_params dp = { .io = recorder_io(f->rec),
				.name = "ledger.db",
				.key = test_key(),
				.drive_id = TEST_DRIVE_ID };
	struct db *db = NULL;

	ledger_close(f->l);
	f->l = NULL;
	assert_int_equal(db_open(&dp, &db, NULL), 0);
	assert_int_equal(db_exec(db, sql), 0);
	db_close(db);
}

static uint64_t reads_of_an_open(struct fixture *f)
{
	uint64_t before = recorder_calls(f->rec, RECORDER_READ);

	assert_int_equal(try_open(f->rec, false, &f->l), 0);
	return recorder_calls(f->rec, RECORDER_READ) - before;
}

#define OLDER_PROGRAM                                     \
 "INSERT INTO node SELECT randomblob(32), max(used) + 1," \
 " zeroblob(1048576) FROM node"

static void an_open_does_not_read_the_node_cache(void **state)
{
	struct fixture *f = *state;
	uint64_t with, without;

	for (uint32_t n = 1; n <= 400; n++)
		assert_int_equal(put_node(f->l, n, 2000), 0);
	change(f, "SELECT 1");
	with = reads_of_an_open(f);
	change(f, "DELETE FROM state WHERE k = 16");
	without = reads_of_an_open(f);
	assert_true(with <= 40);
	assert_true(without >= with + 30);

	/* behind a program that does not write down what it has put there */
	assert_int_equal(put_node(f->l, 401, 2000), 0);
	for (unsigned k = 0; k < 3; k++) {
		change(f, OLDER_PROGRAM);
		assert_true(reads_of_an_open(f) >= without);
	}
	/* of 4 MiB 3 are taken */
	for (uint32_t n = 1000; n < 1000 + NODES_FIT / 4; n++)
		assert_int_equal(put_node(f->l, n, NODE_SIZE), 0);
	assert_int_equal(get_node(f->l, 400), -ENOENT);
	assert_int_equal(get_node(f->l, 1000), NODE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_open_does_not_read_the_node_cache),
		CASE(blocks_are_found_in_whole_pieces_only),
		CASE(a_block_moves_away_from_a_piece_that_goes),
		CASE(the_node_cache_forgets_the_least_used_and_never_outgrows),
		CASE(a_block_of_a_lost_piece_is_read_but_not_linked),
		CASE(a_copy_at_a_store_that_is_configured_no_more_does_not_count),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
