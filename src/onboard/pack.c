#include "onboard/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cache/cache.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "dag/piece_writer.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/work.h"
#include "onboard/fill.h"

#define LEAVES_AHEAD   64          /* leaves under way, at most, */
#define BYTES_AHEAD    (16u << 20) /* and bytes in them */
#define BATCH_LEAVES   16          /* sealed beside each other, at most, */
#define BATCH_BYTES    (4u << 20)  /* and bytes in them */
#define KEEP_FOR_NODES (8u << 20)  /* a data piece below this takes nodes too */

struct ordinals {
	uint64_t *v;
	size_t n, cap;
};

struct leaf {
	struct seal_item item; /* p: the room; n: of the block, once it is sealed */
	struct batch *batch; /* NULL: so short that the link carries it */
	uint32_t n;
	pack_leaf_cb cb;
	void *ctx;
};

/* Leaves that one worker seals, one behind the other in the ring. */
struct batch {
	struct work_item work;
	struct pack *pack;
	unsigned first, n;
	size_t bytes;
	int status; /* lock: pack->lock */
	bool done;  /* lock: pack->lock */
};

struct pack {
	struct sealer sealer;
	struct onboard *o;
	struct secret *convergence;
	enum xindex_kind node_kind;
	bool tracking;
	struct ordinals tracked;
	struct fill fill;

	struct lock lock;
	struct cond cond;
	struct leaf leaves[LEAVES_AHEAD];
	unsigned head, n_leaves;            /* ring, oldest first */
	size_t bytes_ahead;                 /* in it */
	struct batch batches[LEAVES_AHEAD]; /* at the index of the first leaf */
	struct batch *open;                 /* not handed to a worker yet */
	struct buf block;                   /* scratch for nodes */
};

static int pack_sealer_seal(struct sealer *s, enum link_codec codec,
			    enum block_kind kind, struct slice body,
			    struct link *ret);

static const struct sealer_ops pack_sealer_ops = { .seal = pack_sealer_seal };

int pack_new(struct onboard *o, struct pack **ret)
{
	struct pack *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->o = o;
	p->sealer.ops = &pack_sealer_ops;
	lock_init(&p->lock);
	cond_init(&p->cond);
	buf_init(&p->block, SEAL_BLOCK_MAX);
	r = ledger_convergence(o->p.ledger, o->p.keys, &p->convergence, NULL);
	fill_init(&p->fill, o, p->convergence);
	if (r < 0) {
		pack_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static int ordinal_add(struct ordinals *o, uint64_t ordinal)
{
	size_t cap = o->cap ? 2 * o->cap : 16;
	uint64_t *v;

	if (o->n == o->cap) {
		v = realloc(o->v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		o->v = v;
		o->cap = cap;
	}
	o->v[o->n++] = ordinal;
	return 0;
}

static int track(struct pack *p, uint64_t ordinal)
{
	for (size_t i = 0; i < p->tracked.n; i++)
		if (p->tracked.v[i] == ordinal)
			return 0;
	return ordinal_add(&p->tracked, ordinal);
}

/* Link to a sealed block; append it if nobody has it. */
static int pack_sealed(struct pack *p, const struct piece_block *b, struct link *ret)
{
	struct onboard *o = p->o;
	struct place place;
	int r, have;

	have = fill_find(&p->fill, b->digest, &place);
	if (have < 0)
		return have;
	if (!have) {
		r = fill_add(&p->fill, b, &place);
		if (r < 0)
			return r;
	}
	r = p->tracking ? track(p, place.piece) : 0;
	if (r < 0)
		return r;
	lock_take(&o->lock);
	if (have)
		o->stats.deduped_bytes += b->block.n;
	else
		o->stats.sealed_bytes += b->block.n;
	lock_drop(&o->lock);
	cache_room_comes(o->p.cache);
	*ret = (struct link){ .kind = LINK_SEALED, .codec = b->codec, .place = place };
	memcpy(ret->digest, b->digest, sizeof(ret->digest));
	memcpy(ret->key, b->key, sizeof(ret->key));
	return 0;
}

static void link_inline(enum link_codec codec, struct slice body, struct link *ret)
{
	*ret = (struct link){ .kind = LINK_IDENTITY,
			      .codec = codec,
			      .n_inline = (uint8_t)body.n };
	if (body.n)
		memcpy(ret->bytes, body.p, body.n);
}

/* ---- leaves ---- */

static enum seal_mode leaf_mode(const struct pack *p)
{
	return p->o->p.compress_all ? SEAL_LEAF_ZSTD : SEAL_STORED;
}

uint8_t *pack_leaf_room(const struct pack *p, uint32_t n)
{
	return malloc(seal_block_size(leaf_mode(p), n));
}

static struct leaf *leaf_at(struct pack *p, unsigned i)
{
	return &p->leaves[i % LEAVES_AHEAD];
}

static void batch_run(struct work_item *w)
{
	struct batch *b = container_of(w, struct batch, work);
	struct seal_item items[BATCH_LEAVES];
	struct pack *p = b->pack;
	int r;

	for (unsigned i = 0; i < b->n; i++)
		items[i] = leaf_at(p, b->first + i)->item;
	r = seal_many(p->convergence, leaf_mode(p), items, b->n);
	for (unsigned i = 0; i < b->n; i++)
		leaf_at(p, b->first + i)->item = items[i];
	lock_take(&p->lock);
	b->status = r;
	b->done = true;
	cond_wake_all(&p->cond);
	lock_drop(&p->lock);
}

static void batch_submit(struct pack *p)
{
	struct batch *b = p->open;

	p->open = NULL;
	if (b)
		work_submit(p->o->p.work, &b->work);
}

static int batch_wait(struct pack *p, struct batch *b)
{
	int r;

	if (b == p->open)
		batch_submit(p);
	lock_take(&p->lock);
	while (!b->done)
		cond_wait(&p->cond, &p->lock);
	r = b->status;
	lock_drop(&p->lock);
	return r;
}

/* The batch that a leaf joins which comes to be `at` in the ring. */
static struct batch *batch_join(struct pack *p, unsigned at, uint32_t n)
{
	struct batch *b = p->open;

	if (b && (b->n == BATCH_LEAVES || b->bytes + n > BATCH_BYTES)) {
		batch_submit(p);
		b = NULL;
	}
	if (!b) {
		b = &p->batches[at];
		*b = (struct batch){ .work = { .run = batch_run },
				     .pack = p,
				     .first = at };
		p->open = b;
	}
	b->n++;
	b->bytes += n;
	return b;
}

/* Take the oldest leaf out of the ring. */
static void leaf_drop(struct pack *p)
{
	struct leaf *l = leaf_at(p, p->head);

	free(l->item.p);
	p->bytes_ahead -= l->n;
	p->head = (p->head + 1) % LEAVES_AHEAD;
	p->n_leaves--;
}

/* The oldest leaf under way: wait for it, append it, tell its owner. */
static int leaf_collect(struct pack *p)
{
	const struct leaf *l = leaf_at(p, p->head);
	pack_leaf_cb cb = l->cb;
	struct piece_block b;
	void *ctx = l->ctx;
	struct link link;
	uint32_t n = l->n;
	int r = 0;

	if (!l->batch) {
		link_inline(LINK_RAW, slice(l->item.p + SEAL_HEAD_SIZE, n), &link);
	} else {
		r = batch_wait(p, l->batch);
		if (r == 0) {
			b = (struct piece_block){ .block = slice(l->item.p,
								 l->item.n),
						  .kind = XINDEX_LEAF,
						  .codec = LINK_RAW };
			memcpy(b.key, l->item.key, sizeof(b.key));
			memcpy(b.digest, l->item.digest, sizeof(b.digest));
			r = pack_sealed(p, &b, &link);
		}
	}
	leaf_drop(p);
	return r < 0 ? r : cb(ctx, &link, n);
}

int pack_leaf(struct pack *p, uint8_t *room, uint32_t n, pack_leaf_cb cb, void *ctx)
{
	unsigned at;
	int r = 0;

	while (r == 0 && (p->n_leaves == LEAVES_AHEAD ||
			  (p->n_leaves && p->bytes_ahead + n > BYTES_AHEAD)))
		r = leaf_collect(p);
	if (r < 0) {
		free(room);
		return r;
	}
	at = (p->head + p->n_leaves++) % LEAVES_AHEAD;
	p->bytes_ahead += n;
	p->leaves[at] = (struct leaf){
		.item = { .p = room, .n = n }, .n = n, .cb = cb, .ctx = ctx
	};
	if (n > LINK_INLINE_MAX)
		p->leaves[at].batch = batch_join(p, at, n);
	else
		batch_submit(p); /* a batch is leaves without a gap */
	return 0;
}

int pack_drain(struct pack *p)
{
	int r = 0;

	while (p->n_leaves && r == 0)
		r = leaf_collect(p);
	return r;
}

/* ---- nodes ---- */

int pack_begin_nodes(struct pack *p)
{
	int r;

	r = pack_drain(p);
	if (r < 0 || !p->fill.w || piece_writer_size(p->fill.w) < KEEP_FOR_NODES)
		return r;
	return fill_end(&p->fill, NULL);
}

int pack_block(struct pack *p, enum link_codec codec, enum xindex_kind kind,
	       struct slice body, struct link *ret)
{
	struct piece_block b = { .kind = kind, .codec = codec };
	int r;

	if (body.n <= LINK_INLINE_MAX) {
		link_inline(codec, body, ret);
		return 0;
	}
	buf_reset(&p->block);
	r = seal_block(p->convergence, SEAL_ZSTD, body, &p->block, b.key, b.digest);
	if (r < 0)
		return r;
	b.block = buf_slice(&p->block);
	r = pack_sealed(p, &b, ret);
	if (r == 0 && codec == LINK_DAGPB)
		best_effort(ledger_node_put(p->o->p.ledger, ret->digest, body)); /* a cache */
	return r;
}

/* A shard of the drive's tree is no directory by itself, and no root; shards of
 * the drive's own tables stay a part of what they are a table of. */
static enum xindex_kind kind_of(const struct pack *p, enum block_kind kind)
{
	if (kind == BLOCK_LEAF)
		return XINDEX_LEAF;
	if (kind == BLOCK_SHARD &&
	    (p->node_kind == XINDEX_DIR || p->node_kind == XINDEX_ROOT))
		return XINDEX_SHARD;
	return p->node_kind;
}

static int pack_sealer_seal(struct sealer *s, enum link_codec codec,
			    enum block_kind kind, struct slice body,
			    struct link *ret)
{
	struct pack *p = container_of(s, struct pack, sealer);

	return pack_block(p, codec, kind_of(p, kind), body, ret);
}

struct sealer *pack_sealer(struct pack *p, enum xindex_kind kind)
{
	p->node_kind = kind;
	return &p->sealer;
}

void pack_track(struct pack *p)
{
	p->tracking = true;
	p->tracked.n = 0;
}

const uint64_t *pack_tracked(const struct pack *p, size_t *ret_n)
{
	*ret_n = p->tracked.n;
	return p->tracked.v;
}

int pack_head_piece(struct pack *p, uint64_t *ret_ordinal)
{
	int r = p->fill.w ? 0 : fill_begin(&p->fill, PIECE_META);

	*ret_ordinal = p->fill.ordinal;
	return r;
}

int pack_commit(struct pack *p, struct slice record,
		const uint8_t digest[static 32], uint64_t sequence,
		const struct trailer_head *previous)
{
	int r;

	r = piece_writer_commit(p->fill.w, record, digest, sequence);
	return r < 0 ? r : fill_end(&p->fill, previous);
}

int pack_take_back(struct pack *p)
{
	return fill_take_back(&p->fill);
}

void pack_free(struct pack *p)
{
	if (!p)
		return;
	while (p->n_leaves) { /* the workers still write into them */
		struct batch *b = leaf_at(p, p->head)->batch;

		if (b && b != p->open)
			best_effort(batch_wait(p, b)); /* nobody asks any more */
		leaf_drop(p);
	}
	fill_fini(&p->fill);
	buf_fini(&p->block);
	free(p->tracked.v);
	secret_free(p->convergence);
	cond_fini(&p->cond);
	lock_fini(&p->lock);
	free(p);
}
