/* piece.c - pieces, their blocks, and the cache of opened nodes */
#include "ledger/ledger.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "ledger/internal.h"

#define NODES_A_COMMIT 256 /* node_put()s that a transaction gathers */
#define NODES_BYTES_COMMIT \
 (4u << 20) /* likewise: they are in memory till then */

static int next_counter(struct ledger *l, enum ledger_key k, uint64_t *ret)
{
	struct db_stmt *s = l->st[STMT_state_get];
	uint8_t t[8] = { 0 };
	struct slice v;
	int r;

	db_bind_u64(s, 1, k);
	r = ledger_row(s);
	if (r < 0)
		return r;
	if (r == 1) {
		v = db_col_blob(s, 0);
		if (v.n == sizeof(t))
			memcpy(t, v.p, sizeof(t));
		else
			r = -EUCLEAN; /* to start anew gives an ordinal twice */
	}
	db_reset(s);
	if (r < 0)
		return r;
	*ret = get_le64(t) + 1;
	put_le64(t, *ret);
	s = l->st[STMT_state_set];
	db_bind_u64(s, 1, k);
	db_bind_blob(s, 2, slice(t, sizeof(t)));
	return db_run(s);
}

static int piece_begin(struct ledger *l, enum piece_kind kind, uint64_t now,
		       uint64_t *ret_ordinal)
{
	struct db_stmt *s = l->st[STMT_state_get];
	uint64_t counter, writer = 0;
	int r;

	db_bind_u64(s, 1, LEDGER_WRITER);
	r = ledger_row(s);
	if (r == 1 && db_col_blob(s, 0).n == 8)
		writer = get_le64(db_col_blob(s, 0).p);
	db_reset(s);
	if (r < 0)
		return r;
	if (writer == 0 || writer > PIECE_WRITER_MAX)
		return -EUCLEAN;
	r = next_counter(l, LEDGER_COUNTER, &counter);
	if (r < 0)
		return r;
	if (counter > PIECE_COUNTER_MAX)
		return -EOVERFLOW;
	*ret_ordinal = piece_ordinal((uint32_t)writer, counter);
	s = l->st[STMT_piece_add];
	db_bind_u64(s, 1, *ret_ordinal);
	db_bind_u64(s, 2, kind);
	db_bind_u64(s, 3, now);
	return db_run(s);
}

int ledger_piece_begin(struct ledger *l, enum piece_kind kind, uint64_t now,
		       uint64_t *ret_ordinal)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, piece_begin(l, kind, now, ret_ordinal));
}

static int block_add(struct ledger *l, uint64_t ordinal,
		     const struct ledger_block *b)
{
	struct slice digest = slice(b->digest, sizeof(b->digest));
	struct db_stmt *s = l->st[STMT_block_add];
	int r;

	db_bind_blob(s, 1, digest);
	db_bind_u64(s, 2, ordinal);
	db_bind_u64(s, 3, b->off);
	db_bind_u64(s, 4, b->len);
	db_bind_u64(s, 5, b->node);
	db_bind_blob(s, 6, slice(b->key, sizeof(b->key)));
	r = db_run(s);
	if (r < 0 || db_changes(l->db) > 0)
		return r;
	/* Known already: the new place counts if the old piece is going or gone. */
	s = l->st[STMT_block_replace];
	db_bind_blob(s, 1, digest);
	db_bind_u64(s, 2, ordinal);
	db_bind_u64(s, 3, b->off);
	db_bind_u64(s, 4, b->len);
	return db_run(s);
}

static int by_digest(const void *a, const void *b)
{
	const struct ledger_block *x = a, *y = b;

	return memcmp(x->digest, y->digest, sizeof(x->digest));
}

void ledger_blocks_sort(struct ledger_block *v, size_t n)
{
	if (n)
		qsort(v, n, sizeof(*v), by_digest);
}

static int blocks_add(struct ledger *l, uint64_t ordinal,
		      const struct ledger_block *blocks, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r >= 0; i++)
		r = block_add(l, ordinal, &blocks[i]);
	return r;
}

int ledger_piece_ready(struct ledger *l, uint64_t ordinal,
		       const struct piece_cid *cid, uint64_t size,
		       const struct ledger_block *blocks, size_t n)
{
	struct db_stmt *s = l->st[STMT_piece_ready];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, ordinal);
	db_bind_blob(s, 2, piece_cid_slice(cid));
	db_bind_u64(s, 3, size);
	r = db_run(s);
	if (r >= 0 && db_changes(l->db) != 1)
		r = -ENOENT;
	if (r >= 0)
		r = blocks_add(l, ordinal, blocks, n);
	return ledger_end(l, r);
}

int ledger_blocks_add(struct ledger *l, uint64_t ordinal,
		      const struct ledger_block *blocks, size_t n)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	return ledger_end(l, blocks_add(l, ordinal, blocks, n));
}

int ledger_piece_indexed(struct ledger *l, uint64_t ordinal)
{
	struct db_stmt *s = l->st[STMT_piece_indexed];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, ordinal);
	return ledger_end(l, ledger_run_one(l, s));
}

int ledger_piece_learn(struct ledger *l, const struct ledger_piece *p)
{
	struct db_stmt *s = l->st[STMT_piece_learn];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, p->ordinal);
	db_bind_blob(s, 2, piece_cid_slice(&p->cid));
	db_bind_u64(s, 3, p->size);
	db_bind_u64(s, 4, p->kind);
	db_bind_u64(s, 5, p->seq);
	db_bind_u64(s, 6, p->live);
	db_bind_u64(s, 7, p->created);
	return ledger_end(l, db_run(s));
}

int ledger_piece_drop(struct ledger *l, uint64_t ordinal)
{
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(l->st[STMT_piece_drop], 1, ordinal);
	return ledger_end(l, db_run(l->st[STMT_piece_drop]));
}

/* A row of PIECE_COLS. */
static void ledger_piece_row(struct db_stmt *s, struct ledger_piece *ret)
{
	struct slice cid = db_col_blob(s, 1);

	*ret = (struct ledger_piece){
		.ordinal = db_col_u64(s, 0),
		.size = db_col_u64(s, 2),
		.kind = (enum piece_kind)db_col_u64(s, 3),
		.state = (enum ledger_piece_state)db_col_u64(s, 4),
		.outbox = db_col_u64(s, 5) != 0,
		.seq = db_col_u64(s, 6),
		.live = db_col_u64(s, 7),
		.created = db_col_u64(s, 8),
		.indexed = db_col_u64(s, 9) != 0,
	};
	if (cid.n && cid.n <= sizeof(ret->cid.bytes)) {
		memcpy(ret->cid.bytes, cid.p, cid.n);
		ret->cid.n = (uint8_t)cid.n;
	}
}

int ledger_piece_get(struct ledger *l, uint64_t ordinal, struct ledger_piece *ret)
{
	struct db_stmt *s = l->st[STMT_piece_get];
	int r;

	ledger_read(l);
	db_bind_u64(s, 1, ordinal);
	r = ledger_row(s);
	if (r == 1)
		ledger_piece_row(s, ret);
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int ledger_piece_set(struct ledger *l, uint64_t ordinal,
		     enum ledger_piece_state state, bool outbox)
{
	struct db_stmt *s = l->st[STMT_piece_set];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, ordinal);
	db_bind_u64(s, 2, state);
	db_bind_u64(s, 3, outbox);
	return ledger_end(l, ledger_run_one(l, s));
}

int ledger_piece_listed(struct ledger *l, uint64_t ordinal, uint64_t seq)
{
	struct db_stmt *s = l->st[STMT_piece_listed];
	int r;

	r = ledger_begin(l);
	if (r < 0)
		return r;
	db_bind_u64(s, 1, ordinal);
	db_bind_u64(s, 2, seq);
	return ledger_end(l, ledger_run_one(l, s));
}

int ledger_each(struct ledger *l, struct db_stmt *s, const uint64_t *of,
		uint64_t after,
		int (*cb)(void *ctx, const struct ledger_piece *p), void *ctx)
{
	struct ledger_piece p = { .ordinal = after };
	int r;

	for (;;) {
		ledger_read(l);
		if (of)
			db_bind_u64(s, 2, *of);
		r = ledger_next(s, p.ordinal);
		if (r == 1)
			ledger_piece_row(s, &p);
		db_reset(s);
		ledger_done(l);
		if (r <= 0)
			return r;
		r = cb(ctx, &p);
		if (r)
			return r;
	}
}

int ledger_pieces_from(struct ledger *l, enum ledger_piece_state state,
		       uint64_t ordinal,
		       int (*cb)(void *ctx, const struct ledger_piece *p), void *ctx)
{
	const uint64_t in = state, after = ordinal ? ordinal - 1 : 0;

	return state ? ledger_each(l, l->st[STMT_piece_in], &in, after, cb, ctx) :
		       ledger_each(l, l->st[STMT_piece_all], NULL, after, cb, ctx);
}

int ledger_pieces(struct ledger *l, enum ledger_piece_state state,
		  int (*cb)(void *ctx, const struct ledger_piece *p), void *ctx)
{
	return ledger_pieces_from(l, state, 0, cb, ctx);
}

static int block_by(struct ledger *l, struct db_stmt *s,
		    const uint8_t digest[static LINK_DIGEST_SIZE],
		    struct ledger_block *ret, uint64_t *ret_ordinal)
{
	struct slice key;
	int r;

	ledger_read(l);
	db_bind_blob(s, 1, slice(digest, LINK_DIGEST_SIZE));
	r = ledger_row(s);
	if (r == 1) {
		*ret_ordinal = db_col_u64(s, 0);
		memcpy(ret->digest, digest, LINK_DIGEST_SIZE);
		ret->off = db_col_u64(s, 1);
		ret->len = (uint32_t)db_col_u64(s, 2);
		ret->node = db_col_u64(s, 3) != 0;
		key = db_col_blob(s, 4);
		if (key.n == LINK_KEY_SIZE)
			memcpy(ret->key, key.p, LINK_KEY_SIZE);
		else
			r = -EUCLEAN;
	}
	db_reset(s);
	ledger_done(l);
	return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int ledger_block_link(struct ledger *l,
		      const uint8_t digest[static LINK_DIGEST_SIZE],
		      struct ledger_block *ret, uint64_t *ret_ordinal)
{
	return block_by(l, l->st[STMT_block_link], digest, ret, ret_ordinal);
}

int ledger_block_find(struct ledger *l,
		      const uint8_t digest[static LINK_DIGEST_SIZE],
		      struct ledger_block *ret, uint64_t *ret_ordinal)
{
	return block_by(l, l->st[STMT_block_get], digest, ret, ret_ordinal);
}

void ledger_outbox_name(uint64_t ordinal, char ret[static LEDGER_OUTBOX_NAME_MAX])
{
	(void)snprintf(ret, LEDGER_OUTBOX_NAME_MAX, LEDGER_OUTBOX "/%016llx.car",
		       (unsigned long long)ordinal); /* fits */
}

/* ---- nodes ---- */

/*
 * Leave the transaction open, or commit it once it has gathered enough: a cache
 * need not be durable at once.
 */
static int nodes_end(struct ledger *l, int r, uint64_t more) NO_LOCK_CHECK
{
	l->n_nodes_open++;
	l->nodes_open_bytes += more;
	if (r < 0 || l->n_nodes_open >= NODES_A_COMMIT ||
	    l->nodes_open_bytes >= NODES_BYTES_COMMIT)
		return ledger_end(l, r);
	l->nodes_open = true;
	lock_drop(&l->lock);
	return 0;
}

static int node_use(struct ledger *l, struct slice digest)
{
	struct db_stmt *s = l->st[STMT_node_use];

	db_bind_blob(s, 1, digest);
	db_bind_u64(s, 2, ++l->nodes.used);
	return db_run(s);
}

/* A read costs a write only for nodes that drifted to the older half. */
static void node_touch(struct ledger *l, struct slice digest)
{
	int r;

	if (ledger_begin(l) < 0)
		return; /* its age is all that is lost */
	r = node_use(l, digest);
	best_effort(nodes_end(l, r, 0)); /* likewise */
}

int ledger_node_get(struct ledger *l,
		    const uint8_t digest[static LINK_DIGEST_SIZE], struct buf *ret)
{
	struct slice d = slice(digest, LINK_DIGEST_SIZE);
	struct db_stmt *s = l->st[STMT_node_get];
	bool old = false;
	int r;

	ledger_read(l);
	db_bind_blob(s, 1, d);
	r = ledger_row(s);
	if (r == 1) {
		r = buf_append(ret, db_col_blob(s, 0));
		old = l->nodes.used - db_col_u64(s, 1) > l->nodes.n / 2;
	} else if (r == 0) {
		r = -ENOENT;
	}
	db_reset(s);
	ledger_done(l);
	if (r == 0 && old)
		node_touch(l, d);
	return r;
}

/* Make room for `more` bytes by forgetting what was used longest ago. */
static int nodes_trim(struct ledger *l, uint64_t more)
{
	struct db_stmt *s = l->st[STMT_node_oldest];
	uint8_t digest[LINK_DIGEST_SIZE];
	struct slice d;
	uint64_t n;
	int r;

	while (l->nodes.bytes + more > l->nodes_max) {
		r = ledger_row(s);
		if (r < 0)
			return r;
		d = db_col_blob(s, 0);
		if (r == 0 || d.n != sizeof(digest)) {
			db_reset(s);
			return -EUCLEAN; /* counted, but not there */
		}
		memcpy(digest, d.p, sizeof(digest));
		n = db_col_u64(s, 1);
		db_reset(s);
		db_bind_blob(l->st[STMT_node_del], 1,
			     slice(digest, sizeof(digest)));
		r = db_run(l->st[STMT_node_del]);
		if (r < 0)
			return r;
		l->nodes.bytes -= MIN(n, l->nodes.bytes);
		l->nodes.n -= l->nodes.n > 0;
	}
	return 0;
}

static int node_put(struct ledger *l, struct slice digest, struct slice body)
{
	struct db_stmt *s = l->st[STMT_node_get];
	int r;

	db_bind_blob(s, 1, digest);
	r = ledger_row(s);
	db_reset(s);
	if (r < 0)
		return r;
	if (r == 1) /* the same bytes under the same digest */
		return node_use(l, digest);
	r = nodes_trim(l, body.n);
	if (r < 0)
		return r;
	s = l->st[STMT_node_put];
	db_bind_blob(s, 1, digest);
	db_bind_u64(s, 2, l->nodes.used + 1);
	db_bind_blob(s, 3, body);
	r = db_run(s);
	if (r < 0)
		return r;
	l->nodes.used++;
	l->nodes.n++;
	l->nodes.bytes += body.n;
	return 0;
}

int ledger_node_put(struct ledger *l,
		    const uint8_t digest[static LINK_DIGEST_SIZE], struct slice body)
{
	int r;

	if (body.n > PIECE_BLOCK_MAX)
		return -EMSGSIZE;
	r = ledger_begin(l);
	if (r < 0)
		return r;
	return nodes_end(l, node_put(l, slice(digest, LINK_DIGEST_SIZE), body),
			 body.n);
}
