/* head.c - heads, and what the cache has to adopt of them */
#include "ledger/ledger.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "ledger/internal.h"

#define ADOPT_BATCH 1024 /* rows of one transaction */

/* ---- adoption ---- */

/*
 * Rows up to this generation count.  A ledger of format 1 has no such value and
 * wrote its rows with the head: all of them count.
 */
static int adopt_valid(struct ledger *l, uint64_t *ret) REQUIRES(&l->lock)
{
	*ret = INT64_MAX;
	return ledger_number(l, LEDGER_ADOPT_GEN, ret);
}

static int adopt_validate(struct ledger *l, uint64_t gen)
{
	struct db_stmt *s = l->st[STMT_state_set];
	uint8_t t[8];

	put_le64(t, gen);
	db_bind_u64(s, 1, LEDGER_ADOPT_GEN);
	db_bind_blob(s, 2, slice(t, sizeof(t)));
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

/* A statement that deletes some of what it finds, until it finds nothing. */
static int delete_all(struct ledger *l, struct db_stmt *s, uint64_t gen) NO_LOCK_CHECK
{
	uint64_t n = 1;
	int r = 0;

	while (r >= 0 && n) {
		r = ledger_begin(l);
		if (r < 0)
			return r;
		db_bind_u64(s, 1, gen);
		r = db_run(s);
		n = r < 0 ? 0 : (uint64_t)db_changes(l->db);
		r = ledger_end(l, r);
	}
	return r < 0 ? r : 0;
}

/* Rows of a run that did not come to its end: nobody is told of them. */
static int adopt_sweep(struct ledger *l)
{
	uint64_t valid;
	int r;

	ledger_read(l);
	r = adopt_valid(l, &valid);
	ledger_done(l);
	return r < 0 ? r : delete_all(l, l->st[STMT_adopt_stale], valid);
}

int ledger_adopt_stage(struct ledger *l, uint64_t gen,
		       const struct ledger_adopt *v, size_t n) NO_LOCK_CHECK
{
	bool begun;
	int r = 0;

	ledger_read(l);
	begun = gen && l->staged_gen == gen;
	l->staged_gen = 0; /* until they are there */
	ledger_done(l);
	if (!begun)
		r = adopt_sweep(l);
	for (size_t i = 0; i < n && r >= 0;) {
		size_t end = MIN(n, i + ADOPT_BATCH);

		r = ledger_begin(l);
		if (r < 0)
			return r;
		for (; i < end && r >= 0; i++)
			r = adopt_add(l, gen, &v[i]);
		r = ledger_end(l, r);
	}
	if (r < 0)
		return r;
	ledger_read(l);
	l->staged_gen = gen;
	ledger_done(l);
	return 0;
}

int ledger_adopt_staged(struct ledger *l, uint64_t gen, uint64_t ino, struct buf *ret)
{
	struct db_stmt *s = l->st[STMT_adopt_get];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, gen);
	db_bind_u64(s, 2, ino);
	r = ledger_one_blob(s, ret);
	ledger_done(l);
	return r;
}

struct adopt_batch {
	struct ledger_adopt v[256];
	uint64_t gen[256];
	uint8_t link[256][LINK_ENCODED_MAX];
	size_t n;
};

static int adopt_read(struct ledger *l, uint64_t gen, uint64_t ino,
		      struct adopt_batch *b)
{
	struct db_stmt *s = l->st[STMT_adopt_all];
	struct slice link;
	uint64_t valid;
	int r;

	b->n = 0;
	ledger_read(l);
	r = adopt_valid(l, &valid);
	if (r == 0) {
		db_bind_u64(s, 1, gen);
		db_bind_u64(s, 2, ino);
		db_bind_u64(s, 3, valid);
		while (b->n < ARRAY_LEN(b->v) && (r = ledger_row(s)) == 1) {
			link = db_col_blob(s, 3);
			if (link.n > LINK_ENCODED_MAX) {
				r = -EUCLEAN;
				break;
			}
			if (link.n)
				memcpy(b->link[b->n], link.p, link.n);
			b->gen[b->n] = db_col_u64(s, 0);
			b->v[b->n] = (struct ledger_adopt){
				.ino = db_col_u64(s, 1),
				.size = db_col_u64(s, 2),
				.link = slice(b->link[b->n], link.n)
			};
			b->n++;
		}
		db_reset(s);
	}
	ledger_done(l);
	return r < 0 ? r : 0;
}

int ledger_adopts(struct ledger *l,
		  int (*cb)(void *ctx, uint64_t gen, const struct ledger_adopt *a),
		  void *ctx)
{
	_cleanup_free_ struct adopt_batch *b = malloc(sizeof(*b));
	uint64_t gen = 0, ino = 0;
	int r;

	if (!b)
		return -ENOMEM;
	do {
		r = adopt_read(l, gen, ino, b);
		for (size_t i = 0; i < b->n && r == 0; i++) {
			gen = b->gen[i];
			ino = b->v[i].ino;
			r = cb(ctx, gen, &b->v[i]);
		}
	} while (r == 0 && b->n == ARRAY_LEN(b->v));
	return r;
}

int ledger_adopted(struct ledger *l, uint64_t gen)
{
	return delete_all(l, l->st[STMT_adopt_del], gen);
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

int ledger_head_add(struct ledger *l, const struct ledger_head *h,
		    const uint64_t *ordinals, size_t n_ordinals, uint64_t gen,
		    const struct ledger_adopt *adopt, size_t n_adopt)
{
	struct db_stmt *s = l->st[STMT_piece_listed];
	uint64_t losses = 0;
	int r = 0;

	if (n_adopt) {
		r = ledger_adopt_stage(l, gen, adopt, n_adopt);
		if (r < 0)
			return r;
	}
	r = ledger_begin(l);
	if (r < 0)
		return r;
	r = ledger_number(l, LEDGER_LOSSES, &losses);
	if (r == 0 && h->state == LEDGER_BUILT && losses != h->losses)
		r = -EAGAIN; /* it may link into what was lost meanwhile */
	if (r == 0)
		r = head_add(l, h);
	for (size_t i = 0; i < n_ordinals && r >= 0; i++) {
		db_bind_u64(s, 1, ordinals[i]);
		db_bind_u64(s, 2, h->seq);
		r = db_run(s);
	}
	if (r >= 0 && n_adopt)
		r = adopt_validate(l, gen);
	l->staged_gen = 0; /* another try begins anew */
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

static int heads_each(struct db_stmt *s,
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
	r = heads_each(s, cb, ctx, &n);
	ledger_done(l);
	return r == 0 && n == 0 ? -ENOENT : r;
}

int ledger_heads(struct ledger *l,
		 int (*cb)(void *ctx, const struct ledger_head *h), void *ctx)
{
	unsigned n = 0;
	int r;

	ledger_read(l);
	r = heads_each(l->st[STMT_head_kept], cb, ctx, &n);
	ledger_done(l);
	return r;
}

int ledger_head_next(struct ledger *l, struct ledger_head *ret, bool *ret_complete)
{
	struct db_stmt *s = l->st[STMT_head_built];
	int r;

	ledger_read(l);
	r = ledger_row(s);
	if (r == 1) {
		r = head_row(s, ret);
		ret->body = SLICE_NONE;
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_reset(s);
	if (r == 0) {
		s = l->st[STMT_head_wants];
		db_bind_u64(s, 1, ret->seq);
		db_bind_u64(s, 2, ret->piece);
		r = ledger_row(s);
		*ret_complete = r == 0;
		db_reset(s);
	}
	ledger_done(l);
	return r < 0 ? r : 0;
}

static int one_number(struct ledger *l, struct db_stmt *s, uint64_t *ret)
{
	int r;

	ledger_read(l);
	r = ledger_one_number(s, ret);
	ledger_done(l);
	return r;
}

int ledger_head_of(struct ledger *l, const struct piece_cid *cid, uint64_t *ret_seq)
{
	struct db_stmt *s = l->st[STMT_head_by_cid];
	uint64_t seq = 0;
	int r;

	ledger_read(l);
	db_bind_blob(s, 1, slice(cid->bytes, cid->n));
	r = ledger_one_number(s, &seq);
	ledger_done(l);
	if (r == 0 && !seq)
		r = -ENOENT;
	if (r == 0)
		*ret_seq = seq;
	return r;
}

int ledger_newest_head(struct ledger *l, uint64_t *ret_seq)
{
	return one_number(l, l->st[STMT_head_newest], ret_seq);
}

int ledger_newest_claimed(struct ledger *l, uint64_t *ret_seq)
{
	return one_number(l, l->st[STMT_head_claimed], ret_seq);
}

int ledger_heads_thin(struct ledger *l, const uint64_t *seqs, size_t n)
{
	struct db_stmt *s = l->st[STMT_head_thin];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r >= 0; i++) {
		db_bind_u64(s, 1, seqs[i]);
		r = db_run(s);
	}
	return ledger_end(l, r);
}
