/* lose.c - pieces that are nowhere whole any more, and what went with them */
#include "ledger/ledger.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "ledger/internal.h"

int ledger_number(struct ledger *l, enum ledger_key k, uint64_t *ret)
{
	struct db_stmt *s = l->st[STMT_state_get];
	struct slice v;
	int r;

	db_bind_u64(s, 1, k);
	r = ledger_row(s);
	if (r == 1) {
		v = db_col_blob(s, 0);
		r = v.n == 8 ? 0 : -EUCLEAN;
		if (r == 0)
			*ret = get_le64(v.p);
	}
	db_reset(s);
	return r;
}

static int number_set(struct ledger *l, enum ledger_key k, uint64_t v)
{
	struct db_stmt *s = l->st[STMT_state_set];
	uint8_t t[8];

	put_le64(t, v);
	db_bind_u64(s, 1, k);
	db_bind_blob(s, 2, slice(t, sizeof(t)));
	return db_run(s);
}

/*
 * A commit that waits for the piece can never be whole, and nobody can have
 * claimed it: it is dropped with those that stand on it, and what they were the
 * first to list is listed again by the next.
 */
static int drop_heads(struct ledger *l, uint64_t ordinal)
{
	struct db_stmt *s = l->st[STMT_lose_heads];
	uint64_t from = 0;
	int r;

	db_bind_u64(s, 1, ordinal);
	r = ledger_row(s);
	if (r == 1)
		from = db_col_u64(s, 0);
	db_reset(s);
	if (r < 0 || from == 0)
		return r < 0 ? r : 0;
	db_bind_u64(l->st[STMT_heads_drop], 1, from);
	r = db_run(l->st[STMT_heads_drop]);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_pieces_unlist], 1, from);
	return db_run(l->st[STMT_pieces_unlist]);
}

static int lose(struct ledger *l, uint64_t ordinal, bool damaged, bool *ret_lost)
{
	struct db_stmt *s = l->st[STMT_piece_get];
	uint64_t losses = 0, state = 0;
	int r;

	db_bind_u64(s, 1, ordinal);
	r = ledger_row(s);
	if (r == 1)
		state = db_col_u64(s, 4);
	db_reset(s);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	s = l->st[STMT_lose];
	db_bind_u64(s, 1, ordinal);
	db_bind_u64(s, 2, damaged);
	r = db_run(s);
	if (r < 0 || db_changes(l->db) == 0)
		return r;
	*ret_lost = true;
	if (state == LEDGER_READY)
		r = drop_heads(l, ordinal);
	if (r >= 0)
		r = ledger_number(l, LEDGER_LOSSES, &losses);
	return r < 0 ? r : number_set(l, LEDGER_LOSSES, losses + 1);
}

int ledger_piece_lose(struct ledger *l, uint64_t ordinal, bool damaged)
{
	bool lost = false;
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	r = ledger_end(l, lose(l, ordinal, damaged, &lost));
	return r < 0 ? r : lost;
}

int ledger_losses(struct ledger *l, uint64_t *ret_losses, uint64_t *ret_mended)
{
	int r;

	*ret_losses = *ret_mended = 0;
	ledger_read(l);
	r = ledger_number(l, LEDGER_LOSSES, ret_losses);
	if (r == 0)
		r = ledger_number(l, LEDGER_MENDED, ret_mended);
	ledger_done(l);
	return r;
}

static int unlinked(struct ledger *l, uint64_t losses)
{
	uint64_t now = 0;
	int r = ledger_number(l, LEDGER_LOSSES, &now);

	return r < 0 || now != losses ? MIN(r, 0) : db_run(l->st[STMT_lost_dead]);
}

int ledger_lost_unlinked(struct ledger *l, uint64_t losses)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	r = ledger_end(l, unlinked(l, losses));
	return MIN(r, 0);
}

static int mended(struct ledger *l, uint64_t losses,
		  const struct ledger_lost_file *v, size_t n,
		  const uint64_t *ordinals, size_t n_ordinals)
{
	struct db_stmt *s = l->st[STMT_lost_add];
	int r;

	r = db_run(l->st[STMT_lost_clear]);
	for (size_t i = 0; i < n && r >= 0; i++) {
		db_bind_u64(s, 1, v[i].ino);
		db_bind_u64(s, 2, v[i].bytes);
		db_bind_blob(s, 3, slice_str(v[i].path));
		r = db_run(s);
	}
	if (r >= 0)
		r = db_run(l->st[STMT_lost_dead]);
	for (size_t i = 0; i < n_ordinals && r >= 0; i++) {
		db_bind_u64(l->st[STMT_lost_live], 1, ordinals[i]);
		r = db_run(l->st[STMT_lost_live]);
	}
	return r < 0 ? r : number_set(l, LEDGER_MENDED, losses);
}

int ledger_mended(struct ledger *l, uint64_t losses,
		  const struct ledger_lost_file *v, size_t n,
		  const uint64_t *ordinals, size_t n_ordinals)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, mended(l, losses, v, n, ordinals, n_ordinals));
}

int ledger_lost_files(struct ledger *l,
		      int (*cb)(void *ctx, const struct ledger_lost_file *f),
		      void *ctx)
{
	struct db_stmt *s = l->st[STMT_lost_get];
	struct ledger_lost_file f = { .ino = 0 };
	struct slice path;
	size_t n;
	int r;

	for (;;) {
		ledger_read(l);
		db_bind_u64(s, 1, f.ino);
		r = ledger_row(s);
		if (r == 1) {
			f.ino = db_col_u64(s, 0);
			f.bytes = db_col_u64(s, 1);
			path = db_col_blob(s, 2);
			n = MIN(path.n, sizeof(f.path) - 1);
			if (n)
				memcpy(f.path, path.p, n);
			f.path[n] = '\0';
		}
		db_reset(s);
		ledger_done(l);
		if (r <= 0)
			return r;
		r = cb(ctx, &f);
		if (r)
			return r;
	}
}

int ledger_lost_count(struct ledger *l, uint64_t *ret_files, uint64_t *ret_bytes)
{
	struct db_stmt *s = l->st[STMT_lost_count];
	int r;

	ledger_read(l);
	r = ledger_row(s);
	if (r == 1) {
		*ret_files = db_col_u64(s, 0);
		*ret_bytes = db_col_u64(s, 1);
	}
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : 0;
}

/* 1 if there is a row, 0 or -errno.  The lock is held. */
static int any(struct db_stmt *s)
{
	int r = ledger_row(s);

	db_reset(s);
	return r;
}

int ledger_block_lost(struct ledger *l,
		      const uint8_t digest[static LINK_DIGEST_SIZE], uint64_t hint)
{
	struct slice d = slice(digest, LINK_DIGEST_SIZE);
	struct db_stmt *s = l->st[STMT_piece_get];
	uint64_t state = 0;
	int r;

	ledger_read(l);
	r = any(l->st[STMT_lost_any]);
	if (r == 1) {
		db_bind_blob(l->st[STMT_block_get], 1, d);
		r = any(l->st[STMT_block_get]);
		r = r < 0 ? r : !r;
	}
	if (r == 1) { /* no piece that counts has it by our index */
		db_bind_u64(s, 1, hint);
		r = ledger_row(s);
		if (r == 1)
			state = db_col_u64(s, 4);
		db_reset(s);
		if (r >= 0 && (state == LEDGER_READY || state == LEDGER_HELD)) {
			r = 0;
		} else if (r >= 0 && state == LEDGER_PIECE_LOST) {
			r = 1;
		} else if (r >= 0) {
			db_bind_blob(l->st[STMT_block_lost], 1, d);
			r = any(l->st[STMT_block_lost]);
		}
	}
	ledger_done(l);
	return r;
}
