#include "onboard/fill.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <time.h>

#include "base/io.h"
#include "base/log.h"
#include "cache/cache.h"
#include "ledger/ledger.h"
#include "onboard/due.h"
#include "onboard/internal.h"
#include "provider/provider.h"

#define COMMIT_ROOM (1u << 20) /* bytes kept free for the commit */
#define SEEN_MIN    1024       /* slots of the table, a power of two */
#define MOVED_MS    1000       /* how often it is looked whether pieces move */

_Static_assert(XINDEX_N_MAX < UINT32_MAX, "a slot counts the blocks of a piece");

/* ---- what it has and what may be linked ---- */

/* Where the digest stands in p->seen, or would. */
static size_t seen_slot(const struct fill *p, const uint8_t *digest)
{
	size_t i = (size_t)get_le64(digest) & (p->cap_seen - 1);

	while (p->seen[i] &&
	       !slice_eq(slice(p->blocks[p->seen[i] - 1].digest, LINK_DIGEST_SIZE),
			 slice(digest, LINK_DIGEST_SIZE)))
		i = (i + 1) & (p->cap_seen - 1);
	return i;
}

/* All blocks but the last stand in a table of twice the size. */
static int seen_grow(struct fill *p)
{
	size_t cap = p->cap_seen ? 2 * p->cap_seen : SEEN_MIN;
	uint32_t *v = calloc(cap, sizeof(*v));

	if (!v)
		return -ENOMEM;
	free(p->seen);
	p->seen = v;
	p->cap_seen = cap;
	for (size_t i = 0; i + 1 < p->n_blocks; i++)
		v[seen_slot(p, p->blocks[i].digest)] = (uint32_t)(i + 1);
	return 0;
}

/* The last block. */
static int seen_add(struct fill *p)
{
	int r = 2 * p->n_blocks > p->cap_seen ? seen_grow(p) : 0;

	if (r == 0)
		p->seen[seen_slot(p, p->blocks[p->n_blocks - 1].digest)] =
			(uint32_t)p->n_blocks;
	return r;
}

static void blocks_clear(struct fill *p)
{
	if (p->n_blocks && p->cap_seen)
		memset(p->seen, 0, p->cap_seen * sizeof(*p->seen));
	p->n_blocks = 0;
}

/*
 * Who links into a piece gives up the plaintext for it.  So it has to be in the
 * outbox, or `copies` stores have given it back to this device (I2): what
 * another device once saw there does not count.  -ENOENT.
 */
static int may_link(struct fill *p, uint64_t ordinal)
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

int fill_find(struct fill *p, const uint8_t *digest, struct place *ret)
{
	struct ledger_block b;
	uint64_t ordinal;
	uint32_t at;
	int r;

	at = p->cap_seen ? p->seen[seen_slot(p, digest)] : 0;
	if (at) {
		*ret = (struct place){ p->ordinal, p->blocks[at - 1].off,
				       p->blocks[at - 1].len };
		return 1;
	}
	r = ledger_block_link(p->o->p.ledger, digest, &b, &ordinal);
	if (r == 0)
		r = may_link(p, ordinal);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	*ret = (struct place){ ordinal, b.off, b.len };
	return 1;
}

/* ---- the piece ---- */

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
static void abandon(struct fill *p)
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
	blocks_clear(p);
}

/* Does the run, which waits since then, keep room that others need, and cannot go on? */
static bool gives_way(struct onboard *o, uint64_t since_ms, bool few_answer)
{
	struct due_stand s = { .now_ms = monotonic_ms(),
			       .moved_ms = MAX(o->moved_ms, since_ms),
			       .few_answer = few_answer };
	struct cache_stats cs;

	if (!few_answer)
		return false;
	cache_stats(o->p.cache, &cs);
	s.kept_bytes = cs.pinned_bytes;
	s.free_bytes = cs.free_bytes;
	if (!due_gives_way(&s))
		return false;
	log_info("no store takes what a commit has packed, and it keeps %" PRIu64
		 " bytes that are written over or removed: it is made anew later",
		 s.kept_bytes);
	return true;
}

/* The outbox is a floor of the cache's accountant: wait until it has room. */
static int outbox_wait(struct fill *p)
{
	uint64_t since = monotonic_ms();
	struct onboard *o = p->o;
	bool few, has;
	int r;

	for (;;) {
		r = outbox_has_room(o, &has);
		if (r < 0)
			return r;
		if (has)
			break;
		lock_take(&o->lock);
		o->stats.phase = ONBOARD_PAUSED;
		if (!o->stopping)
			(void)cond_wait_until_ms(&o->cond, &o->lock,
						 monotonic_ms() + MOVED_MS);
		onboard_moves(o);
		few = ship_few_answer(o);
		r = o->stopping ? -ECANCELED : 0;
		lock_drop(&o->lock);
		if (r == 0 && gives_way(o, since, few)) {
			o->gave_way = true;
			r = -ECANCELED;
		}
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
	struct fill *p = f->fill;
	void *arg = f->arg;

	lock_take(&p->lock);
	f->busy = false; /* what follows may let the writer ask again */
	lock_drop(&p->lock);
	run(arg);
}

/* The writer's fork. */
static void piece_fork(void *ctx, void (*run)(void *arg), void *arg)
{
	struct fill *p = ctx;
	struct forked *f = NULL;

	lock_take(&p->lock);
	for (size_t i = 0; i < PIECE_SPANS && !f; i++)
		if (!p->forked[i].busy)
			f = &p->forked[i];
	assert(f); /* it never asks for more */
	*f = (struct forked){ .work = { .run = forked_run },
			      .fill = p,
			      .run = run,
			      .arg = arg,
			      .busy = true };
	lock_drop(&p->lock);
	work_submit(p->o->p.work, &f->work);
}

int fill_begin(struct fill *p, enum piece_kind kind)
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
		abandon(p);
		return log_err(r, "cannot begin a piece in the outbox");
	}
	p->nodes = false;
	return 0;
}

/* Room for one more. */
static int ended_room(struct fill *p)
{
	size_t cap = p->cap_ended ? 2 * p->cap_ended : 16;
	uint64_t *v;

	if (p->n_ended < p->cap_ended)
		return 0;
	v = realloc(p->ended, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	p->ended = v;
	p->cap_ended = cap;
	return 0;
}

int fill_end(struct fill *p, const struct trailer_head *previous)
{
	const struct trailer_head none = { 0 };
	struct onboard *o = p->o;
	struct piece_result res;
	int r;

	if (!p->w)
		return 0;
	r = ended_room(p);
	if (r == 0)
		r = piece_writer_finish(p->w, (int64_t)time(NULL),
					previous ? previous : &none, &res);
	if (r == 0)
		r = io_syncdir(o->p.io, LEDGER_OUTBOX);
	if (r == 0)
		ledger_blocks_sort(p->blocks, p->n_blocks);
	if (r == 0)
		r = ledger_piece_ready(o->p.ledger, p->ordinal, &res.cid,
				       res.raw_size, p->blocks, p->n_blocks);
	if (r < 0)
		return log_err(r, "cannot finish a piece in the outbox");

	piece_writer_free(p->w);
	io_close(p->f);
	p->w = NULL;
	p->f = NULL;
	p->ended[p->n_ended++] = p->ordinal;
	p->ordinal = 0;
	blocks_clear(p);
	outbox_account(o);
	onboard_kick(o);
	return 0;
}

int fill_take_back(struct fill *p)
{
	int r = 1;

	/* a piece links into those before it */
	while (p->n_ended && r == 1)
		r = outbox_take_back(p->o, p->ended[--p->n_ended]);
	return MIN(r, 0);
}

static int block_note(struct fill *p, const struct piece_block *b,
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

/* Is this block one for the next piece? */
static bool is_full(const struct fill *p, const struct piece_block *b)
{
	const struct onboard *o = p->o;

	if (p->n_blocks >= o->p.piece_blocks)
		return true;
	return b->kind == XINDEX_LEAF &&
	       (p->nodes || piece_writer_bound(p->w, b->block.n) >
				    MIN(o->p.piece_target, size_max(o)));
}

int fill_add(struct fill *p, const struct piece_block *b, struct place *ret)
{
	enum piece_kind kind = b->kind == XINDEX_LEAF ? PIECE_DATA : PIECE_META;
	int r;

	if (p->w && is_full(p, b)) {
		r = fill_end(p, NULL);
		if (r < 0)
			return r;
	}
	for (int tries = 0; tries < 2; tries++) {
		if (!p->w) {
			r = fill_begin(p, kind);
			if (r < 0)
				return r;
		}
		r = piece_writer_add(p->w, b, ret);
		if (r != -EFBIG)
			break;
		r = fill_end(p, NULL);
		if (r < 0)
			return r;
		r = -EFBIG;
	}
	if (r < 0)
		return r;
	ret->piece = p->ordinal;
	p->nodes |= b->kind != XINDEX_LEAF;
	r = block_note(p, b, ret);
	return r < 0 ? r : seen_add(p);
}

void fill_init(struct fill *p, struct onboard *o, const struct secret *convergence)
{
	*p = (struct fill){ .o = o, .convergence = convergence };
	lock_init(&p->lock);
}

void fill_fini(struct fill *p)
{
	abandon(p);
	free(p->ended);
	free(p->blocks);
	free(p->seen);
	lock_fini(&p->lock);
}
