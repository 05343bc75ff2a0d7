/* condemn.c - pieces that nobody needs, until they are gone from the stores */
#include "ledger/ledger.h"

#include <errno.h>

#include "ledger/internal.h"

/* From which commit on it cannot be linked any more. */
static int mark_time(struct ledger *l)
{
	struct db_stmt *s = l->st[STMT_state_set];
	uint64_t newest = 0;
	uint8_t t[8];
	int r;

	r = ledger_one_number(l->st[STMT_head_newest], &newest);
	if (r < 0)
		return r;
	put_le64(t, newest);
	db_bind_u64(s, 1, LEDGER_CONDEMNED_AT);
	db_bind_blob(s, 2, slice(t, sizeof(t)));
	return db_run(s);
}

/* 1, or 0: it stays what it is. */
static int condemn_one(struct ledger *l, uint64_t ordinal)
{
	static const int whole_or_lost[] = { STMT_condemn, STMT_condemn_lost };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(whole_or_lost) && r == 0; i++) {
		struct db_stmt *s = l->st[whole_or_lost[i]];

		db_bind_u64(s, 1, ordinal);
		r = db_run(s);
		if (r >= 0)
			r = db_changes(l->db) == 1;
	}
	return r;
}

int ledger_condemn(struct ledger *l, const uint64_t *ordinals, size_t n, size_t *ret_n)
{
	size_t done = 0;
	int r;

	*ret_n = 0;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r >= 0; i++) {
		r = condemn_one(l, ordinals[i]);
		done += r == 1;
	}
	if (r >= 0 && done)
		r = mark_time(l);
	r = ledger_end(l, r);
	if (r == 0)
		*ret_n = done;
	return r;
}

int ledger_spare(struct ledger *l, uint64_t ordinal)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_spare], 1, ordinal);
	r = ledger_run_one(l, l->st[STMT_spare]);
	if (r >= 0) {
		db_bind_u64(l->st[STMT_spare_places], 1, ordinal);
		r = db_run(l->st[STMT_spare_places]);
	}
	return ledger_end(l, r);
}

int ledger_may_remove(struct ledger *l, bool *ret)
{
	uint64_t claimed = 0, at = 0;
	int r;

	ledger_read(l);
	r = ledger_one_number(l->st[STMT_head_claimed], &claimed);
	if (r == 0)
		r = ledger_number(l, LEDGER_CONDEMNED_AT, &at);
	ledger_done(l);
	*ret = r == 0 && claimed > at;
	return r;
}

int ledger_removals(struct ledger *l, uint64_t store,
		    int (*cb)(void *ctx, const struct ledger_piece *p), void *ctx)
{
	return ledger_each(l, l->st[STMT_place_dead], &store, 0, cb, ctx);
}

int ledger_removed(struct ledger *l, uint64_t piece, uint64_t store)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_place_del], 1, piece);
	db_bind_u64(l->st[STMT_place_del], 2, store);
	r = db_run(l->st[STMT_place_del]);
	if (r >= 0) {
		db_bind_u64(l->st[STMT_piece_gone], 1, piece);
		r = db_run(l->st[STMT_piece_gone]);
	}
	return ledger_end(l, r);
}

int ledger_condemned(struct ledger *l, uint64_t store, uint64_t *ret_pieces,
		     uint64_t *ret_bytes)
{
	struct db_stmt *s = l->st[store ? STMT_dead_at : STMT_dead_sums];
	int r;

	ledger_read(l);
	if (store)
		db_bind_u64(s, 1, store);
	r = ledger_row(s);
	if (r == 1) {
		*ret_pieces = db_col_u64(s, 0);
		*ret_bytes = db_col_u64(s, 1);
	}
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

/* ---- the index of blocks ---- */

/* The range of rows that follows `from`, up to `to`: 1; 0 at the end. */
static int range_next(struct ledger *l, const uint8_t *from, size_t n_from,
		      uint8_t to[static LINK_DIGEST_SIZE])
{
	struct db_stmt *s = l->st[STMT_blocks_to];
	struct slice v;
	int r;

	db_bind_blob(s, 1, slice(from, n_from));
	r = ledger_row(s);
	if (r == 1) {
		v = db_col_blob(s, 0);
		r = v.n == LINK_DIGEST_SIZE;
		if (r)
			memcpy(to, v.p, LINK_DIGEST_SIZE);
		else if (v.n)
			r = -EUCLEAN;
	}
	db_reset(s);
	return r;
}

static void range_bind(struct db_stmt *s, const uint8_t *from, size_t n_from,
		       const uint8_t to[static LINK_DIGEST_SIZE])
{
	db_bind_blob(s, 1, slice(from, n_from));
	db_bind_blob(s, 2, slice(to, LINK_DIGEST_SIZE));
}

static int range_drop(struct ledger *l, const uint8_t *from, size_t n_from,
		      const uint8_t to[static LINK_DIGEST_SIZE])
{
	struct db_stmt *s = l->st[STMT_blocks_drop];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	range_bind(s, from, n_from, to);
	return ledger_end(l, db_run(s));
}

int ledger_blocks_sweep(struct ledger *l, const atomic_bool *stop)
{
	struct db_stmt *s = l->st[STMT_blocks_dead];
	uint8_t from[LINK_DIGEST_SIZE], to[LINK_DIGEST_SIZE];
	size_t n_from = 0;
	int r;

	/* A range a turn: who waits for the ledger gets it in between. */
	for (;;) {
		if (stop && atomic_load(stop))
			return 0;
		ledger_read(l);
		r = range_next(l, from, n_from, to);
		if (r == 1) {
			range_bind(s, from, n_from, to);
			r = ledger_row(s);
			db_reset(s);
			r = r < 0 ? r : r + 1;
		}
		ledger_done(l);
		if (r <= 0)
			return r;
		if (r == 2) {
			r = range_drop(l, from, n_from, to);
			if (r < 0)
				return r;
		}
		memcpy(from, to, sizeof(from));
		n_from = sizeof(from);
	}
}
