/* test_ledger_loss.c - lost pieces, thinned heads, unread stores, older formats */
#include "common.h"

#include <string.h>

#include "db/db.h"

static int count_head(void *ctx, const struct ledger_head *h)
{
	(void)h;
	++*(int *)ctx;
	return 0;
}

static int n_heads(struct ledger *l)
{
	int n = 0;

	assert_int_equal(ledger_heads(l, count_head, &n), 0);
	return n;
}

static uint64_t newest(struct ledger *l)
{
	uint64_t seq = 0;

	assert_int_equal(ledger_newest_head(l, &seq), 0);
	return seq;
}

static uint64_t losses(struct ledger *l, uint64_t *mended)
{
	uint64_t n = 0, m = 0;

	assert_int_equal(ledger_losses(l, &n, &m), 0);
	if (mended)
		*mended = m;
	return n;
}

static int head(struct ledger *l, uint64_t seq, uint64_t piece,
		const uint64_t *list, size_t n, uint64_t known_losses)
{
	const struct ledger_head h = { .seq = seq,
				       .state = LEDGER_BUILT,
				       .time = 100 + seq,
				       .piece = piece,
				       .body = slice_str("body"),
				       .losses = known_losses };

	return ledger_head_add(l, &h, list, n, 0, NULL, 0);
}

static struct ledger_piece piece(struct ledger *l, uint64_t o)
{
	struct ledger_piece p = { .ordinal = 0 };

	assert_int_equal(ledger_piece_get(l, o, &p), 0);
	return p;
}

static void without_outbox(struct ledger *l, uint64_t o)
{
	assert_int_equal(ledger_piece_set(l, o, piece(l, o).state, false), 0);
}

static void a_lost_piece_takes_the_commits_that_wait_for_it(void **state)
{
	struct fixture *f = *state;
	uint64_t o[4];
	struct ledger_head next = { .seq = 0 };
	bool complete = false;

	for (uint32_t i = 0; i < ARRAY_LEN(o); i++)
		o[i] = add_ready(f->l, i, 1);
	assert_int_equal(head(f->l, 1, o[0], o, 1, 0), 0);
	assert_int_equal(ledger_piece_set(f->l, o[0], LEDGER_HELD, false), 0);
	assert_int_equal(ledger_head_set(f->l, 1, LEDGER_CLAIMED), 0);
	assert_int_equal(head(f->l, 2, o[1], &o[1], 1, 0), 0);
	assert_int_equal(head(f->l, 3, o[3], &o[2], 2, 0), 0);
	assert_int_equal(ledger_head_next(f->l, &next, &complete), 0);
	assert_true(next.seq == 2 && next.piece == o[1] && !complete);

	/* It is in the outbox: not lost. */
	assert_int_equal(ledger_piece_lose(f->l, o[2], false), 0);
	assert_int_equal(ledger_piece_lose(f->l, 12345, false), -ENOENT);
	without_outbox(f->l, o[2]);
	assert_int_equal(ledger_piece_lose(f->l, o[2], false), 1);
	assert_int_equal(ledger_piece_lose(f->l, o[2], false), 0); /* is already */
	again(f);
	assert_int_equal(piece(f->l, o[2]).state, LEDGER_PIECE_LOST);
	assert_int_equal(newest(f->l), 2);
	assert_true(piece(f->l, o[1]).seq == 2 && piece(f->l, o[3]).seq == 0);
	assert_int_equal(losses(f->l, NULL), 1);

	/* A head piece that was not listed yet takes its commit along. */
	without_outbox(f->l, o[1]);
	assert_int_equal(ledger_piece_lose(f->l, o[1], false), 1);
	assert_int_equal(newest(f->l), 1);
	assert_int_equal(ledger_head_next(f->l, &next, &complete), -ENOENT);
	assert_int_equal(losses(f->l, NULL), 2);
}

static void a_commit_in_the_making_is_refused_when_a_piece_is_lost(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_ready(f->l, 1, 1), p = add_ready(f->l, 2, 1),
		 mended = 9, n;
	const struct ledger_lost_file lost = { 7, 99, "a/b" };
	struct ledger_piece now;

	without_outbox(f->l, o);
	assert_int_equal(ledger_piece_lose(f->l, o, false), 1);
	assert_int_equal(head(f->l, 1, p, &p, 1, 0), -EAGAIN);
	assert_int_equal(newest(f->l), 0);
	assert_int_equal(piece(f->l, p).seq, 0);
	assert_int_equal(head(f->l, 1, p, &p, 1, 1), 0);
	assert_int_equal(losses(f->l, &mended), 1);
	assert_int_equal(mended, 0);
	assert_int_equal(ledger_mended(f->l, 1, &lost, 1, &o, 1), 0);
	again(f);
	assert_int_equal(losses(f->l, &mended), 1);
	assert_int_equal(mended, 1);
	now = piece(f->l, o);
	assert_true(now.live == now.size && now.live);
	assert_int_equal(ledger_lost(f->l, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ledger_mended(f->l, 1, NULL, 0, NULL, 0), 0);
	assert_int_equal(piece(f->l, o).live, 0);
	assert_int_equal(ledger_lost(f->l, &n), 0);
	assert_int_equal(n, 0);
}

static void what_is_lost_while_links_are_looked_for_may_be_linked(void **state)
{
	struct fixture *f = *state;
	uint64_t o = add_ready(f->l, 1, 1), p = add_ready(f->l, 2, 1);

	without_outbox(f->l, o);
	assert_int_equal(ledger_piece_lose(f->l, o, false), 1);
	without_outbox(f->l, p); /* after the look at 1 loss began */
	assert_int_equal(ledger_piece_lose(f->l, p, false), 1);
	assert_int_equal(ledger_lost_unlinked(f->l, 1), 0);
	assert_true(piece(f->l, o).live && piece(f->l, p).live);
	assert_int_equal(ledger_lost_unlinked(f->l, 2), 0);
	assert_true(!piece(f->l, o).live && !piece(f->l, p).live);
}

static int one_file(void *ctx, const struct ledger_lost_file *f)
{
	*(struct ledger_lost_file *)ctx = *f;
	return f->ino == 5;
}

static void what_was_lost_is_named_until_it_is_no_more(void **state)
{
	struct fixture *f = *state;
	static struct ledger_lost_file got;
	static const struct ledger_lost_file v[] = { { 7, 99, "a/b" },
						     { 5, 1, "" } };
	uint64_t files = 9, bytes = 9;

	assert_int_equal(ledger_mended(f->l, 0, v, 2, NULL, 0), 0);
	again(f);
	assert_int_equal(ledger_lost_count(f->l, &files, &bytes), 0);
	assert_true(files == 2 && bytes == 100);
	assert_int_equal(ledger_lost_files(f->l, one_file, &got), 1);
	assert_true(got.ino == 5 && got.bytes == 1 && !got.path[0]);
	assert_int_equal(ledger_mended(f->l, 0, v, 1, NULL, 0), 0);
	assert_int_equal(ledger_lost_files(f->l, one_file, &got), 0);
	assert_int_equal(got.ino, 7);
	assert_string_equal(got.path, "a/b");
	assert_int_equal(ledger_mended(f->l, 0, NULL, 0, NULL, 0), 0);
	assert_int_equal(ledger_lost_count(f->l, &files, &bytes), 0);
	assert_true(files == 0 && bytes == 0);
}

static void a_block_is_lost_only_if_no_piece_has_it(void **state)
{
	struct fixture *f = *state;
	uint64_t a = add_ready(f->l, 1, 2), b;
	struct ledger_block one = test_block(1), none = test_block(50);

	assert_int_equal(ledger_block_lost(f->l, one.digest, a), 0);
	without_outbox(f->l, a);
	assert_int_equal(ledger_piece_lose(f->l, a, false), 1);
	assert_int_equal(ledger_block_lost(f->l, one.digest, a), 1);
	assert_int_equal(ledger_block_lost(f->l, one.digest, 0), 1);
	assert_int_equal(ledger_block_lost(f->l, none.digest, 0), 0);
	assert_int_equal(ledger_block_lost(f->l, none.digest, a), 1);
	/* By its link it is in one that is held, whose blocks are not known. */
	b = add_ready(f->l, 60, 1);
	assert_int_equal(ledger_block_lost(f->l, one.digest, b), 0);
	assert_int_equal(ledger_piece_set(f->l, b, LEDGER_HELD, false), 0);
	assert_int_equal(ledger_block_lost(f->l, one.digest, b), 0);
	assert_int_equal(ledger_piece_set(f->l, b, LEDGER_REMOVED, false), 0);
	assert_int_equal(ledger_block_lost(f->l, one.digest, b), 1);
	/* What is damaged in the outbox is lost, and still there to be read. */
	b = add_ready(f->l, 70, 1);
	assert_int_equal(ledger_piece_lose(f->l, b, true), 1);
	assert_true(piece(f->l, b).outbox);
	b = add_ready(f->l, 1, 1); /* sealed anew */
	assert_int_equal(ledger_block_lost(f->l, one.digest, a), 0);
	assert_int_equal(ledger_block_lost(f->l, none.digest, b), 0);
}

static void a_piece_at_a_store_is_not_lost(void **state)
{
	static const char *const urls[] = { "dir:///a", "dir:///b" };
	static const enum ledger_placement_state there[] = { LEDGER_STORED,
							     LEDGER_VERIFIED,
							     LEDGER_LISTED };
	static const enum ledger_placement_state absent[] = { LEDGER_PLANNED,
							      LEDGER_REMOVING,
							      LEDGER_LOST };
	struct fixture *f = *state;
	struct ledger_placement p = { .piece = add_ready(f->l, 1, 1) };
	uint64_t ids[2];

	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	without_outbox(f->l, p.piece);
	p.store = ids[1];
	for (size_t i = 0; i < ARRAY_LEN(there); i++) {
		p.state = there[i];
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
		assert_int_equal(ledger_piece_lose(f->l, p.piece, false), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
		p.state = absent[i];
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
		assert_int_equal(ledger_piece_lose(f->l, p.piece, false), 1);
		assert_int_equal(
			ledger_piece_set(f->l, p.piece, LEDGER_HELD, false), 0);
	}
}

static void a_store_that_is_configured_again_is_not_believed(void **state)
{
	static const char *const urls[] = { "dir:///a", "dir:///b" };
	struct fixture *f = *state;
	struct ledger_placement p = { .piece = add_ready(f->l, 1, 1),
				      .state = LEDGER_VERIFIED },
				q;
	uint64_t ids[2];
	unsigned copies = 9;

	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	for (int i = 0; i < 2; i++) {
		p.store = ids[i];
		assert_int_equal(ledger_placement_set(f->l, &p), 0);
	}
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	assert_int_equal(ledger_copies(f->l, p.piece, &copies), 0);
	assert_int_equal(copies, 2); /* nothing has changed */
	assert_int_equal(ledger_stores_set(f->l, urls, 1, ids), 0);
	assert_int_equal(ledger_stores_set(f->l, urls, 1, ids), 0); /* a mount */
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	assert_int_equal(ledger_copies(f->l, p.piece, &copies), 0);
	assert_int_equal(copies, 1);
	assert_int_equal(ledger_placement_get(f->l, p.piece, ids[1], &q), 0);
	assert_int_equal(q.state, LEDGER_LISTED);
	assert_int_equal(ledger_stores_set(f->l, urls, 2, ids), 0);
	assert_int_equal(ledger_copies(f->l, p.piece, &copies), 0);
	assert_int_equal(copies, 1);
}

static int count_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	(void)a;
	*(uint64_t *)ctx += gen == 0 ? 1000000 : 1;
	return 0;
}

/* Callbacks may call the ledger: nothing is held. */
static int count_and_ask(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	uint64_t seq;

	assert_int_equal(ledger_newest_head(*(struct ledger **)ctx, &seq), 0);
	return gen == 0 || a->link.n == 0;
}

static void many_adoptions_count_from_their_head_on(void **state)
{
	enum {
		N = 5000
	};
	struct fixture *f = *state;
	struct ledger_adopt *v = calloc(N, sizeof(*v));
	struct ledger_head h = { .seq = 1, .state = LEDGER_BUILT, .losses = 1 };
	uint64_t n = 0;

	assert_non_null(v);
	for (uint64_t i = 0; i < N; i++)
		v[i] = (struct ledger_adopt){ i + 2, i, slice_str("link") };
	/* A run that is refused: its rows are there, and mean nothing. */
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 5, v, N), -EAGAIN);
	assert_int_equal(ledger_adopts(f->l, count_adopt, &n), 0);
	assert_int_equal(n, 0);
	/* Nor do they for another try, though nothing has changed in the cache. */
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 5, v, N), -EAGAIN);
	h.losses = 0;
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 5, v, N - 2), 0);
	assert_int_equal(ledger_adopts(f->l, count_adopt, &n), 0);
	assert_int_equal(n, N - 2);
	assert_int_equal(ledger_adopted(f->l, 5), 0);
	n = 0;
	h.seq = 2;
	assert_int_equal(ledger_head_add(f->l, &h, NULL, 0, 6, v, N - 1), 0);
	again(f);
	assert_int_equal(ledger_adopts(f->l, count_adopt, &n), 0);
	assert_int_equal(n, N - 1);
	assert_int_equal(ledger_adopts(f->l, count_and_ask, &f->l), 0);
	assert_int_equal(ledger_adopted(f->l, 6), 0);
	n = 0;
	assert_int_equal(ledger_adopts(f->l, count_adopt, &n), 0);
	assert_int_equal(n, 0);
	free(v);
}

static int body_size(void *ctx, const struct ledger_head *h)
{
	*(size_t *)ctx = h->body.n;
	return 0;
}

static void a_thinned_head_keeps_its_piece_and_is_not_listed(void **state)
{
	struct fixture *f = *state;
	const uint64_t thin[] = { 1, 2, 3 };
	uint64_t claimed = 9;
	size_t n = 9;

	for (uint64_t seq = 1; seq <= 4; seq++) {
		assert_int_equal(head(f->l, seq, seq, NULL, 0, 0), 0);
		if (seq < 3)
			assert_int_equal(
				ledger_head_set(f->l, seq, LEDGER_CLAIMED), 0);
	}
	assert_int_equal(ledger_newest_claimed(f->l, &claimed), 0);
	assert_int_equal(claimed, 2);
	assert_int_equal(ledger_heads_thin(f->l, thin, 3), 0);
	again(f);
	assert_int_equal(n_heads(f->l), 2); /* 3 is not published yet */
	assert_int_equal(ledger_head_get(f->l, 2, body_size, &n), 0);
	assert_int_equal(n, 0);
}

/* The tables as format 1 had them. */
static const char format_1[] =
	"CREATE TABLE old_piece (ordinal INTEGER PRIMARY KEY, cid BLOB, size INTEGER NOT NULL,"
	" kind INTEGER NOT NULL CHECK (kind IN (1, 2)), state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5)),"
	" outbox INTEGER NOT NULL, seq INTEGER NOT NULL, live INTEGER NOT NULL, created INTEGER NOT NULL);"
	"INSERT INTO old_piece SELECT ordinal, cid, size, kind, state, outbox, seq, live, created FROM piece;"
	"DROP TABLE piece; ALTER TABLE old_piece RENAME TO piece; CREATE INDEX piece_state ON piece (state);"
	"CREATE TABLE old_placement (piece INTEGER NOT NULL, store INTEGER NOT NULL,"
	" state INTEGER NOT NULL CHECK (state IN (1, 2, 3, 4, 5)), attempts INTEGER NOT NULL, next_try INTEGER NOT NULL,"
	" error BLOB NOT NULL, PRIMARY KEY (piece, store)) WITHOUT ROWID;"
	"INSERT INTO old_placement SELECT * FROM placement; DROP TABLE placement;"
	"ALTER TABLE old_placement RENAME TO placement; CREATE INDEX placement_due ON placement (state, next_try);"
	"DROP INDEX head_state; DROP INDEX head_kept; DROP TABLE lost; DROP TABLE note; DROP TABLE spend;"
	"DELETE FROM state WHERE k > 8;"
	"UPDATE state SET v = x'0100000000000000' WHERE k = 1;"
	"INSERT INTO adopt VALUES (3, 4, 5, x'00');";

static void a_ledger_of_format_1_is_taken_over(void **state)
{
	struct fixture *f = *state;
	struct ledger_placement at = { .store = 1, .state = LEDGER_VERIFIED }, got;
	struct db_params p = { .io = recorder_io(f->rec), .name = "ledger.db" };
	struct db *db = NULL;
	uint64_t n = 0;

	at.piece = add_ready(f->l, 1, 1);
	assert_int_equal(ledger_placement_set(f->l, &at), 0);
	assert_int_equal(head(f->l, 1, at.piece, &at.piece, 1, 0), 0);
	ledger_close(f->l);
	p.key = test_key();
	memcpy(p.drive_id, TEST_DRIVE_ID, sizeof(TEST_DRIVE_ID));
	assert_int_equal(db_open(&p, &db, NULL), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_exec(db, format_1), 0);
	assert_int_equal(db_commit(db), 0);
	db_close(db);
	f->l = open_ledger(f->rec);
	again(f);
	assert_true(piece(f->l, at.piece).indexed && piece(f->l, at.piece).seq == 1);
	assert_int_equal(ledger_placement_get(f->l, at.piece, 1, &got), 0);
	assert_int_equal(got.state, LEDGER_VERIFIED);
	assert_int_equal(ledger_adopts(f->l, count_adopt, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(n_heads(f->l), 1);
	at.state = LEDGER_LISTED;
	assert_int_equal(ledger_placement_set(f->l, &at), 0);
	assert_int_equal(
		ledger_piece_set(f->l, at.piece, LEDGER_PIECE_LOST, false), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_lost_piece_takes_the_commits_that_wait_for_it),
		CASE(a_commit_in_the_making_is_refused_when_a_piece_is_lost),
		CASE(what_is_lost_while_links_are_looked_for_may_be_linked),
		CASE(what_was_lost_is_named_until_it_is_no_more),
		CASE(a_block_is_lost_only_if_no_piece_has_it),
		CASE(a_piece_at_a_store_is_not_lost),
		CASE(a_store_that_is_configured_again_is_not_believed),
		CASE(many_adoptions_count_from_their_head_on),
		CASE(a_thinned_head_keeps_its_piece_and_is_not_listed),
		CASE(a_ledger_of_format_1_is_taken_over),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
