/* place.c - placements, and what they sum up to */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdio.h>

#include "ledger/internal.h"

int ledger_placement_set(struct ledger *l, const struct ledger_placement *p)
{
	struct db_stmt *s = l->st[STMT_place_set];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, p->piece);
	db_bind_u64(s, 2, p->store);
	db_bind_u64(s, 3, p->state);
	db_bind_u64(s, 4, p->attempts);
	db_bind_u64(s, 5, p->next_try);
	db_bind_blob(s, 6, slice_str(p->error));
	return ledger_end(l, db_run(s));
}

int ledger_placement_doubt(struct ledger *l, uint64_t piece, uint64_t store,
			   const char *why)
{
	struct db_stmt *s = l->st[STMT_place_doubt];
	char text[LEDGER_ERROR_MAX];
	bool changed = false;
	int r;

	(void)snprintf(text, sizeof(text), LEDGER_DOUBT "%s", why); /* cut is fine */
	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, piece);
	db_bind_u64(s, 2, store);
	db_bind_blob(s, 3, slice_str(text));
	r = db_run(s);
	if (r == 0)
		changed = db_changes(l->db) > 0;
	r = ledger_end(l, r);
	return r < 0 ? r : changed;
}

static void placement_row(struct db_stmt *s, struct ledger_placement *ret)
{
	struct slice error = db_col_blob(s, 5);
	size_t n = MIN(error.n, sizeof(ret->error) - 1);

	*ret = (struct ledger_placement){
		.piece = db_col_u64(s, 0),
		.store = db_col_u64(s, 1),
		.state = (enum ledger_placement_state)db_col_u64(s, 2),
		.attempts = (uint32_t)db_col_u64(s, 3),
		.next_try = db_col_u64(s, 4),
	};
	if (n)
		memcpy(ret->error, error.p, n);
}

int ledger_placement_get(struct ledger *l, uint64_t piece, uint64_t store,
			 struct ledger_placement *ret)
{
	struct db_stmt *s = l->st[STMT_place_get];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, piece);
	db_bind_u64(s, 2, store);
	r = ledger_row(s);
	if (r == 1)
		placement_row(s, ret);
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int ledger_placements(struct ledger *l, uint64_t piece,
		      int (*cb)(void *ctx, const struct ledger_placement *p),
		      void *ctx)
{
	struct db_stmt *s = l->st[STMT_place_of];
	struct ledger_placement p;
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, piece);
	while ((r = ledger_row(s)) == 1) {
		placement_row(s, &p);
		r = cb(ctx, &p);
		if (r)
			break;
	}
	db_reset(s);
	ledger_done(l);
	return r;
}

int ledger_parked(struct ledger *l, uint64_t store,
		  int (*cb)(void *ctx, uint64_t piece,
			    const struct piece_cid *cid, bool head),
		  void *ctx)
{
	struct db_stmt *s = l->st[STMT_place_parked];
	struct piece_cid cid;
	uint64_t piece = 0;
	struct slice bytes;
	bool head = false;
	int r;

	for (;;) {
		ledger_read(l);
		db_bind_u64(s, 2, store);
		r = ledger_next(s, piece);
		if (r == 1) {
			piece = db_col_u64(s, 0);
			bytes = db_col_blob(s, 1);
			head = db_col_u64(s, 2) != 0;
			cid = (struct piece_cid){ .n = (uint8_t)bytes.n };
			if (bytes.n == 0 || bytes.n > PIECE_CID_MAX)
				r = -EUCLEAN;
			else
				memcpy(cid.bytes, bytes.p, bytes.n);
		}
		db_reset(s);
		ledger_done(l);
		if (r != 1)
			return r;
		r = cb(ctx, piece, &cid, head);
		if (r)
			return r;
	}
}

int ledger_is_head(struct ledger *l, uint64_t piece, bool *ret)
{
	struct db_stmt *s = l->st[STMT_head_of];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, piece);
	r = ledger_row(s);
	db_reset(s);
	ledger_done(l);
	*ret = r == 1;
	return r < 0 ? r : 0;
}

int ledger_copies(struct ledger *l, uint64_t piece, unsigned *ret)
{
	struct db_stmt *s = l->st[STMT_place_copies];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, piece);
	r = ledger_row(s);
	if (r == 1)
		*ret = (unsigned)db_col_u64(s, 0);
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

int ledger_sums(struct ledger *l, struct ledger_sums *ret)
{
	struct db_stmt *s = l->st[STMT_sums];
	int r;

	ledger_read(l);
	r = ledger_row(s);
	if (r == 1)
		*ret = (struct ledger_sums){
			.n_pieces = db_col_u64(s, 0),
			.bytes = db_col_u64(s, 1),
			.outbox_pieces = db_col_u64(s, 2),
			.outbox_bytes = db_col_u64(s, 3),
			.queued_pieces = db_col_u64(s, 4),
			.queued_bytes = db_col_u64(s, 5),
		};
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

int ledger_lost(struct ledger *l, uint64_t *ret)
{
	struct db_stmt *s = l->st[STMT_lost];
	int r;

	ledger_read(l);
	r = ledger_one_number(s, ret);
	ledger_done(l);
	return r;
}

int ledger_store_sums(struct ledger *l, uint64_t store, struct ledger_holding *ret)
{
	struct db_stmt *s = l->st[STMT_store_sums];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, store);
	r = ledger_row(s);
	if (r == 1) {
		ret->pieces = db_col_u64(s, 0);
		ret->bytes = db_col_u64(s, 1);
		ret->unread_pieces = db_col_u64(s, 2);
		ret->unread_bytes = db_col_u64(s, 3);
	}
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}
