/* place.c - placements, heads, and what is to be adopted */
#include "ledger/ledger.h"

#include <errno.h>

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

int ledger_placement_drop(struct ledger *l, uint64_t piece, uint64_t store)
{
	struct db_stmt *s = l->st[STMT_place_del];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, piece);
	db_bind_u64(s, 2, store);
	return ledger_end(l, db_run(s));
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
	r = ledger_row(s);
	if (r == 1)
		*ret = db_col_u64(s, 0);
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

int ledger_store_sums(struct ledger *l, uint64_t store, uint64_t *ret_pieces,
		      uint64_t *ret_bytes)
{
	struct db_stmt *s = l->st[STMT_store_sums];
	int r;

	ledger_read(l);
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

/* ---- heads ---- */

static int head_add(struct ledger *l, const struct ledger_head *h)
{
	struct db_stmt *s = l->st[STMT_head_add];

	db_bind_u64(s, 1, h->seq);
	db_bind_u64(s, 2, h->state);
	db_bind_u64(s, 3, h->time);
	db_bind_u64(s, 4, h->piece);
	db_bind_blob(s, 5, slice(h->hash, sizeof(h->hash)));
	db_bind_blob(s, 6, h->body);
	return db_run(s);
}

static int adopt_add(struct ledger *l, uint64_t gen, const struct ledger_adopt *a)
{
	struct db_stmt *s = l->st[STMT_adopt_add];

	db_bind_u64(s, 1, gen);
	db_bind_u64(s, 2, a->ino);
	db_bind_u64(s, 3, a->size);
	db_bind_blob(s, 4, a->link);
	return db_run(s);
}

int ledger_head_add(struct ledger *l, const struct ledger_head *h,
		    const uint64_t *ordinals, size_t n_ordinals, uint64_t gen,
		    const struct ledger_adopt *adopt, size_t n_adopt)
{
	struct db_stmt *s = l->st[STMT_piece_listed];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	r = head_add(l, h);
	for (size_t i = 0; i < n_ordinals && r >= 0; i++) {
		db_bind_u64(s, 1, ordinals[i]);
		db_bind_u64(s, 2, h->seq);
		r = db_run(s);
	}
	for (size_t i = 0; i < n_adopt && r >= 0; i++)
		r = adopt_add(l, gen, &adopt[i]);
	return ledger_end(l, r);
}

int ledger_head_set(struct ledger *l, uint64_t seq, enum ledger_head_state state)
{
	struct db_stmt *s = l->st[STMT_head_set];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, seq);
	db_bind_u64(s, 2, state);
	return ledger_end(l, ledger_run_one(l, s));
}

static int head_row(struct db_stmt *s, struct ledger_head *ret)
{
	struct slice hash = db_col_blob(s, 4);

	*ret = (struct ledger_head){
		.seq = db_col_u64(s, 0),
		.state = (enum ledger_head_state)db_col_u64(s, 1),
		.time = db_col_u64(s, 2),
		.piece = db_col_u64(s, 3),
		.body = db_col_blob(s, 5),
	};
	if (hash.n != sizeof(ret->hash))
		return -EUCLEAN;
	memcpy(ret->hash, hash.p, hash.n);
	return 0;
}

static int heads_each(struct ledger *l, struct db_stmt *s,
		      int (*cb)(void *ctx, const struct ledger_head *h),
		      void *ctx, unsigned *ret_n)
{
	struct ledger_head h;
	int r;

	while ((r = ledger_row(s)) == 1) {
		++*ret_n;
		r = head_row(s, &h);
		if (r == 0)
			r = cb(ctx, &h);
		if (r)
			break;
	}
	(void)l;
	db_reset(s);
	return r;
}

int ledger_head_get(struct ledger *l, uint64_t seq,
		    int (*cb)(void *ctx, const struct ledger_head *h), void *ctx)
{
	struct db_stmt *s = l->st[STMT_head_get];
	unsigned n = 0;
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, seq);
	r = heads_each(l, s, cb, ctx, &n);
	ledger_done(l);
	return r == 0 && n == 0 ? -ENOENT : r;
}

int ledger_heads(struct ledger *l,
		 int (*cb)(void *ctx, const struct ledger_head *h), void *ctx)
{
	unsigned n = 0;
	int r;

	ledger_read(l);
	r = heads_each(l, l->st[STMT_head_all], cb, ctx, &n);
	ledger_done(l);
	return r;
}

int ledger_newest_head(struct ledger *l, uint64_t *ret_seq)
{
	struct db_stmt *s = l->st[STMT_head_newest];
	int r;

	ledger_read(l);
	r = ledger_row(s);
	if (r == 1)
		*ret_seq = db_col_u64(s, 0);
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

int ledger_adopts(struct ledger *l,
		  int (*cb)(void *ctx, uint64_t gen, const struct ledger_adopt *a),
		  void *ctx)
{
	struct db_stmt *s = l->st[STMT_adopt_all];
	struct ledger_adopt a;
	int r;

	ledger_read(l);
	while ((r = ledger_row(s)) == 1) {
		a = (struct ledger_adopt){ .ino = db_col_u64(s, 1),
					   .size = db_col_u64(s, 2),
					   .link = db_col_blob(s, 3) };
		r = cb(ctx, db_col_u64(s, 0), &a);
		if (r)
			break;
	}
	db_reset(s);
	ledger_done(l);
	return r;
}

int ledger_adopted(struct ledger *l, uint64_t gen)
{
	struct db_stmt *s = l->st[STMT_adopt_del];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, gen);
	return ledger_end(l, db_run(s));
}
