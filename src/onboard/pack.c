#include "onboard/pack.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/seal.h"
#include "crypto/secret.h"
#include "dag/piece_writer.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/work.h"
#include "provider/provider.h"

#define LEAVES_AHEAD   64          /* leaves under way, at most, */
#define BYTES_AHEAD    (16u << 20) /* and bytes in them */
#define BATCH_LEAVES   16          /* sealed beside each other, at most, */
#define BATCH_BYTES    (4u << 20)  /* and bytes in them */
#define KEEP_FOR_NODES (8u << 20)  /* a data piece below this takes nodes too */
#define COMMIT_ROOM    (1u << 20)  /* bytes kept free for the commit */
#define SEEN_MIN       1024        /* slots of the table, a power of two */

/* Where in the open piece a block is; open addressing on the digest.  The ledger
 * knows the blocks of those that are finished. */
struct seen {
	uint8_t digest[LINK_DIGEST_SIZE];
	struct place place; /* piece 0: slot is free */
};

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

/* What the writer of a piece wants done on a worker. */
struct forked {
	struct work_item work;
	struct pack *pack;
	void (*run)(void *arg);
	void *arg;
	bool busy; /* lock: pack->lock */
};

struct pack {
	struct sealer sealer;
	struct onboard *o;
	struct secret *convergence;
	enum xindex_kind node_kind;
	bool tracking;
	struct ordinals tracked;

	struct piece_writer *w; /* NULL: no piece is open */
	struct io_file *f;
	uint64_t ordinal;
	enum piece_kind kind;
	bool nodes; /* the open piece has left its leaves behind */
	struct ledger_block *blocks;
	size_t n_blocks, cap_blocks;

	struct ordinals finished;
	struct seen *seen;
	size_t n_seen, cap_seen;

	struct lock lock;
	struct cond cond;
	struct leaf leaves[LEAVES_AHEAD];
	unsigned head, n_leaves;            /* ring, oldest first */
	size_t bytes_ahead;                 /* in it */
	struct batch batches[LEAVES_AHEAD]; /* at the index of the first leaf */
	struct batch *open;                 /* not handed to a worker yet */
	struct forked forked[PIECE_SPANS];
	struct buf block; /* scratch for nodes */
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

/* ---- what this run has written ---- */

static size_t seen_slot(const struct pack *p, const uint8_t *digest)
{
	size_t i = (size_t)get_le64(digest) & (p->cap_seen - 1);

	while (p->seen[i].place.piece &&
	       !slice_eq(slice(p->seen[i].digest, LINK_DIGEST_SIZE),
			 slice(digest, LINK_DIGEST_SIZE)))
		i = (i + 1) & (p->cap_seen - 1);
	return i;
}

static int seen_add(struct pack *p, const uint8_t *digest, const struct place *place)
{
	struct seen *old = p->seen;
	size_t n = p->cap_seen;
	struct seen *s;

	if (2 * (p->n_seen + 1) > p->cap_seen) {
		p->cap_seen = n ? 2 * n : SEEN_MIN;
		p->seen = calloc(p->cap_seen, sizeof(*p->seen));
		if (!p->seen) {
			p->seen = old;
			p->cap_seen = n;
			return -ENOMEM;
		}
		for (size_t i = 0; i < n; i++)
			if (old[i].place.piece)
				p->seen[seen_slot(p, old[i].digest)] = old[i];
		free(old);
	}
	s = &p->seen[seen_slot(p, digest)];
	if (!s->place.piece)
		p->n_seen++;
	memcpy(s->digest, digest, LINK_DIGEST_SIZE);
	s->place = *place;
	return 0;
}

static void seen_clear(struct pack *p)
{
	if (p->n_seen)
		memset(p->seen, 0, p->cap_seen * sizeof(*p->seen));
	p->n_seen = 0;
}

/*
 * Who links into a piece gives up the plaintext for it.  So it has to be in the
 * outbox, or `copies` stores have given it back to this device (I2): what
 * another device once saw there does not count.  -ENOENT.
 */
static int may_link(struct pack *p, uint64_t ordinal)
{
	struct ledger_piece piece;
	unsigned copies = 0;
	int r;

	r = ledger_piece_get(p->o->p.ledger, ordinal, &piece);
	if (r == 0 && !piece.outbox)
		r = ledger_copies(p->o->p.ledger, ordinal, &copies);
	if (r < 0)
		return r;
	return piece.outbox || copies >= p->o->p.copies ? 0 : -ENOENT;
}

/* Is the block in the open piece, or in one that may be linked? */
static int known(struct pack *p, const uint8_t *digest, struct place *ret)
{
	struct ledger_block b;
	uint64_t ordinal;
	size_t i;
	int r;

	if (p->cap_seen) {
		i = seen_slot(p, digest);
		if (p->seen[i].place.piece) {
			*ret = p->seen[i].place;
			return 1;
		}
	}
	r = ledger_block_link(p->o->p.ledger, digest, &b, &ordinal);
	if (r == 0)
		r = may_link(p, ordinal);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret = (struct place){ ordinal, b.off, b.len };
	return 1;
}

/* ---- pieces ---- */

static uint64_t size_max(const struct onboard *o)
{
	uint64_t max = PIECE_SIZE_MAX;

	for (size_t i = 0; i < o->p.n_stores; i++)
		max = MIN(max, o->shippers[i].store.provider->size_max);
	return max;
}

static uint64_t size_min(const struct onboard *o)
{
	uint64_t min = PIECE_SIZE_MIN;

	for (size_t i = 0; i < o->p.n_stores; i++)
		min = MAX(min, o->shippers[i].store.provider->size_min);
	return min;
}

/* Close and forget the piece that is open; its file goes. */
static void piece_abandon(struct pack *p)
{
	char name[LEDGER_OUTBOX_NAME_MAX];

	if (!p->ordinal)
		return;
	piece_writer_free(p->w);
	io_close(p->f);
	p->w = NULL;
	p->f = NULL;
	ledger_outbox_name(p->ordinal, name);
	best_effort(io_unlink(p->o->p.io, name)); /* else at the next start */
	best_effort(ledger_piece_drop(p->o->p.ledger, p->ordinal)); /* likewise */
	p->ordinal = 0;
	p->n_blocks = 0;
}

/* The outbox is a floor of the cache's accountant: wait until it has room. */
static int outbox_wait(struct pack *p)
{
	struct onboard *o = p->o;
	struct ledger_sums sums = { 0 };
	int r;

	for (;;) {
		r = ledger_sums(o->p.ledger, &sums);
		if (r < 0)
			return r;
		if (!sums.outbox_bytes ||
		    sums.outbox_bytes + o->p.piece_target <= o->p.outbox_max)
			break;
		lock_take(&o->lock);
		o->stats.phase = ONBOARD_PAUSED;
		if (!o->stopping)
			cond_wait(&o->cond, &o->lock);
		r = o->stopping ? -ECANCELED : 0;
		lock_drop(&o->lock);
		if (r < 0)
			return r;
	}
	lock_take(&o->lock);
	o->stats.phase = ONBOARD_PACKING;
	lock_drop(&o->lock);
	return 0;
}

static void forked_run(struct work_item *w)
{
	struct forked *f = container_of(w, struct forked, work);
	void (*run)(void *arg) = f->run;
	struct pack *p = f->pack;
	void *arg = f->arg;

	lock_take(&p->lock);
	f->busy = false; /* what follows may let the writer ask again */
	lock_drop(&p->lock);
	run(arg);
}

/* The writer's fork. */
static void piece_fork(void *ctx, void (*run)(void *arg), void *arg)
{
	struct pack *p = ctx;
	struct forked *f = NULL;

	lock_take(&p->lock);
	for (size_t i = 0; i < PIECE_SPANS && !f; i++)
		if (!p->forked[i].busy)
			f = &p->forked[i];
	assert(f); /* it never asks for more */
	*f = (struct forked){ .work = { .run = forked_run },
			      .pack = p,
			      .run = run,
			      .arg = arg,
			      .busy = true };
	lock_drop(&p->lock);
	work_submit(p->o->p.work, &f->work);
}

static int piece_open(struct pack *p, enum piece_kind kind)
{
	struct onboard *o = p->o;
	struct piece_spec spec = { .kind = kind,
				   .size_min = size_min(o),
				   .size_max = size_max(o),
				   .commit_max = COMMIT_ROOM,
				   .keys = o->p.keys,
				   .convergence = p->convergence,
				   .fork = piece_fork,
				   .fork_ctx = p };
	char name[LEDGER_OUTBOX_NAME_MAX];
	int r;

	r = outbox_wait(p);
	if (r < 0)
		return r;
	r = ledger_piece_begin(o->p.ledger, kind, (uint64_t)time(NULL), &p->ordinal);
	if (r < 0)
		return r;
	spec.piece = p->ordinal;
	ledger_outbox_name(p->ordinal, name);
	r = io_open(o->p.io, name, O_RDWR | O_CREAT | O_TRUNC, &p->f);
	if (r == 0)
		r = piece_writer_new(p->f, &spec, &p->w);
	if (r < 0) {
		piece_abandon(p);
		return log_err(r, "cannot begin a piece in the outbox");
	}
	p->kind = kind;
	p->nodes = false;
	return 0;
}

/* Trailer, sync, ledger: from here on the piece counts. */
static int piece_close(struct pack *p, const struct trailer_head *previous)
{
	const struct trailer_head none = { 0 };
	struct onboard *o = p->o;
	struct piece_result res;
	int r;

	if (!p->w)
		return 0;
	r = ordinal_add(&p->finished, p->ordinal);
	if (r < 0)
		return r;
	r = piece_writer_finish(p->w, (int64_t)time(NULL),
				previous ? previous : &none, &res);
	if (r == 0)
		r = io_syncdir(o->p.io, LEDGER_OUTBOX);
	if (r == 0)
		ledger_blocks_sort(p->blocks, p->n_blocks);
	if (r == 0)
		r = ledger_piece_ready(o->p.ledger, p->ordinal, &res.cid,
				       res.raw_size, p->blocks, p->n_blocks);
	if (r < 0) {
		p->finished.n--;
		return log_err(r, "cannot finish a piece in the outbox");
	}
	piece_writer_free(p->w);
	io_close(p->f);
	p->w = NULL;
	p->f = NULL;
	p->ordinal = 0;
	p->n_blocks = 0;
	seen_clear(p);
	outbox_account(o);
	onboard_kick(o);
	return 0;
}

static int block_note(struct pack *p, const struct piece_block *b,
		      const struct place *place)
{
	struct ledger_block *v = p->blocks;
	size_t cap = p->cap_blocks;

	if (p->n_blocks == p->cap_blocks) {
		v = realloc(v, (cap ? 2 * cap : 256) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->blocks = v;
		p->cap_blocks = cap ? 2 * cap : 256;
	}
	v += p->n_blocks++;
	*v = (struct ledger_block){ .off = place->off,
				    .len = place->len,
				    .node = b->kind != XINDEX_LEAF };
	memcpy(v->digest, b->digest, sizeof(v->digest));
	memcpy(v->key, b->key, sizeof(v->key));
	return 0;
}

/* Append a block that is not known yet; opens and closes pieces as needed. */
static int append(struct pack *p, const struct piece_block *b, struct place *ret)
{
	enum piece_kind kind = b->kind == XINDEX_LEAF ? PIECE_DATA : PIECE_META;
	int r;

	if (p->w && b->kind == XINDEX_LEAF &&
	    (p->nodes || piece_writer_bound(p->w, b->block.n) >
				 MIN(p->o->p.piece_target, size_max(p->o)))) {
		r = piece_close(p, NULL);
		if (r < 0)
			return r;
	}
	for (int tries = 0; tries < 2; tries++) {
		if (!p->w) {
			r = piece_open(p, kind);
			if (r < 0)
				return r;
		}
		r = piece_writer_add(p->w, b, ret);
		if (r != -EFBIG)
			break;
		r = piece_close(p, NULL);
		if (r < 0)
			return r;
		r = -EFBIG;
	}
	if (r < 0)
		return r;
	ret->piece = p->ordinal;
	p->nodes |= b->kind != XINDEX_LEAF;
	r = block_note(p, b, ret);
	return r < 0 ? r : seen_add(p, b->digest, ret);
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

	have = known(p, b->digest, &place);
	if (have < 0)
		return have;
	if (!have) {
		r = append(p, b, &place);
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
	if (r < 0 || !p->w || piece_writer_size(p->w) < KEEP_FOR_NODES)
		return r;
	return piece_close(p, NULL);
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

const uint64_t *pack_ordinals(const struct pack *p, size_t *ret_n)
{
	*ret_n = p->finished.n;
	return p->finished.v;
}

int pack_head_piece(struct pack *p, uint64_t *ret_ordinal)
{
	int r = p->w ? 0 : piece_open(p, PIECE_META);

	*ret_ordinal = p->ordinal;
	return r;
}

int pack_commit(struct pack *p, struct slice record,
		const uint8_t digest[static 32], uint64_t sequence,
		const struct trailer_head *previous)
{
	int r;

	r = piece_writer_commit(p->w, record, digest, sequence);
	return r < 0 ? r : piece_close(p, previous);
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
	piece_abandon(p);
	buf_fini(&p->block);
	free(p->blocks);
	free(p->finished.v);
	free(p->tracked.v);
	free(p->seen);
	secret_free(p->convergence);
	cond_fini(&p->cond);
	lock_fini(&p->lock);
	free(p);
}
