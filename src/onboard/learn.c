/*
 * learn.c - which blocks are in a piece that another device made
 *
 * A recovered ledger knows pieces, not blocks, so nothing could be deduplicated
 * against them.  The sealed indexes at a piece's end say what is in it.  They are
 * read when the piece has been read back whole by this device, not before: a block
 * is only linked into a piece that was (I2), so an index that came earlier would be
 * of no use, and on a network it would be paid for.
 */
#include "onboard/internal.h"

#include <errno.h>

#include "base/log.h"
#include "dag/piece_reader.h"
#include "ledger/ledger.h"
#include "provider/provider.h"

#define SORTED 65536 /* blocks in memory */
#define BATCH  1024  /* blocks of one transaction */

struct reader {
	struct shipper *s;
	const struct ledger_piece *p;
	uint8_t *bytes; /* PIECE_BLOCK_MAX + PIECE_HEAD_MAX */
};

/* [off, off + n) of the piece, all of it. */
static int get(struct reader *rd, uint64_t off, size_t n)
{
	struct provider_req req = { .verb = PROVIDER_GET,
				    .cid = rd->p->cid,
				    .off = off,
				    .n = n,
				    .dst = rd->bytes };
	int r;

	if (atomic_load(&rd->s->o->stop))
		return -ECANCELED;
	r = provider_call(rd->s->store.provider, &req);
	return r < 0 ? r : req.ret_n == n ? 0 : -EBADMSG;
}

static int add_some(struct reader *rd, struct ledger_block *b, size_t n)
{
	int r = 0;

	ledger_blocks_sort(b, n);
	for (size_t i = 0; i < n && r == 0; i += BATCH)
		r = ledger_blocks_add(rd->s->o->p.ledger, rd->p->ordinal, b + i,
				      MIN(n - i, (size_t)BATCH));
	return r;
}

static int add_all(struct reader *rd, const struct xindex_view *v)
{
	size_t max = MIN(v->n, (uint32_t)SORTED), n = 0;
	_cleanup_free_ struct ledger_block *b = calloc(MAX(max, 1), sizeof(*b));
	struct xindex_entry e;
	int r = 0;

	if (!b)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n && r == 0; i++) {
		xindex_get(v, i, &e);
		b[n] = (struct ledger_block){ .off = e.off,
					      .len = e.len,
					      .node = e.kind != XINDEX_LEAF };
		memcpy(b[n].digest, e.digest, sizeof(b[n].digest));
		memcpy(b[n].key, e.key, sizeof(b[n].key));
		if (++n < max && i + 1 < v->n)
			continue;
		r = add_some(rd, b, n);
		n = 0;
	}
	return r;
}

static int read_index(struct reader *rd, const struct trailer *t,
		      enum piece_index_of of)
{
	_cleanup_piece_index_ struct piece_index *x = NULL;
	struct xindex_view v;
	struct place at;
	int r;

	r = piece_index_new(t, of, &x);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	while (piece_index_want(x, &at)) {
		if (at.len > PIECE_BLOCK_MAX + PIECE_HEAD_MAX)
			return -EPROTO;
		r = get(rd, at.off, at.len);
		if (r == 0)
			r = piece_index_feed(x, slice(rd->bytes, at.len));
		if (r < 0)
			return r;
	}
	r = piece_index_view(x, &v);
	return r < 0 ? r : add_all(rd, &v);
}

static int learn(struct reader *rd)
{
	size_t n = (size_t)MIN(rd->p->size, (uint64_t)PIECE_TAIL_SIZE);
	struct trailer t;
	int r;

	r = get(rd, rd->p->size - n, n);
	if (r == 0)
		r = piece_tail_parse(slice(rd->bytes, n), rd->p->size,
				     rd->s->o->p.keys, &t);
	if (r == 0 && t.piece != rd->p->ordinal)
		r = -EPROTO;
	if (r == 0)
		r = read_index(rd, &t, PIECE_LEAVES);
	if (r == 0)
		r = read_index(rd, &t, PIECE_NODES);
	return r < 0 ? r : ledger_piece_indexed(rd->s->o->p.ledger, rd->p->ordinal);
}

int learn_blocks(struct shipper *s, const struct ledger_piece *p)
{
	struct reader rd = { .s = s, .p = p };
	int r;

	if (p->indexed)
		return 0;
	rd.bytes = malloc(MAX(PIECE_TAIL_SIZE, PIECE_BLOCK_MAX + PIECE_HEAD_MAX));
	if (!rd.bytes)
		return -ENOMEM;
	r = learn(&rd);
	free(rd.bytes);
	return r;
}
