/*
 * gc.c - pieces that nobody needs: found, condemned, left out of a commit
 *
 *   marks of commits     caller's thread, while the packer may work
 *   marks of what is new, and of inodes ─┐
 *   HELD, LOST → CONDEMNED               ├─ packer thread, between two commits
 *   commit without them ─► published ─► removed at each store (remove.c)
 *
 * Between two commits nothing is being linked, so that what is not marked then and
 * is condemned at once cannot become needed again: no commit to come may link into
 * it (fill.c).
 */
#include "onboard/onboard.h"

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "ledger/ledger.h"
#include "onboard/internal.h"
#include "onboard/mark.h"
#include "onboard/reseal.h"
#include "provider/provider.h"

#define WAIT_MS  200
#define STALL_MS 20000 /* folders that remove nothing for so long are left */

struct gc {
	struct pack_job job;
	struct onboard *o;
	struct onboard_gc *g;
	int (*progress)(void *ctx, const char *stage, uint64_t done, uint64_t total);
	void *ctx;
	struct err *err;
	struct mark *mark;
	uint64_t *dead; /* ordinals that are to be condemned */
	size_t n_dead;
};

static void sum_add(struct onboard_gc_sum *s, uint64_t bytes)
{
	s->pieces++;
	s->bytes += bytes;
}

static int on_nodes(void *ctx, uint64_t nodes)
{
	struct gc *v = ctx;

	return v->progress(v->ctx, "looking through commits", nodes, 0);
}

static int tell(struct gc *v, const char *stage)
{
	return v->progress(v->ctx, stage, 0, 0) ? -ECANCELED : 0;
}

/* May this device remove anything? */
static int may(struct onboard *o, struct err *e)
{
	int r = 0;

	lock_take(&o->lock);
	if (o->superseded)
		r = err_set(e, -ESTALE, "%s", o->stats.why);
	lock_drop(&o->lock);
	if (r == 0 && reseal_is_due(o))
		r = err_set(e, -EBUSY,
			    "pieces are lost, and are mended first: fildrive sync, then again");
	return r;
}

/* ---- which ---- */

static bool is_dead(const struct mark_piece *p, const struct mark_stats *s,
		    uint64_t claimed)
{
	if (p->live || p->outbox)
		return false;
	if (p->state == LEDGER_PIECE_LOST) /* no commit to come may list it */
		return !s->unresolved && !s->astray;
	return p->state == LEDGER_HELD && p->seq && p->seq <= claimed &&
	       (p->indexed || !s->unresolved);
}

/*
 * Is it what it was when the marks began, and, if that is lost, may a store have
 * something of it?  1, 0.
 */
static int is_still(struct gc *v, const struct mark_piece *p)
{
	struct spread sp = { .o = v->o };
	struct ledger_piece row;
	bool anywhere = p->state != LEDGER_PIECE_LOST;
	int r = ledger_piece_get(v->o->p.ledger, p->ordinal, &row);

	if (r == 0)
		r = ledger_placements(v->o->p.ledger, p->ordinal, spread_add, &sp);
	for (size_t i = 0; i < v->o->p.n_stores && r == 0; i++)
		anywhere |= sp.state[i] != 0;
	return r < 0 ? r : anywhere && row.state == p->state;
}

/* Counts it; true: a store of a network has it. */
static int count_at(struct gc *v, const struct mark_piece *p, bool *ret_paid)
{
	struct onboard *o = v->o;
	struct spread sp = { .o = o };
	int r = ledger_placements(o->p.ledger, p->ordinal, spread_add, &sp);

	*ret_paid = false;
	for (size_t i = 0; i < o->p.n_stores && r == 0; i++) {
		if (!sp.state[i])
			continue;
		sum_add(&v->g->at[i], p->size);
		*ret_paid |= o->shippers[i].store.provider->network != 0;
	}
	return r;
}

static void count_live(struct gc *v, const struct mark_piece *p)
{
	if (p->state != LEDGER_HELD || !p->live)
		return;
	if (p->used == 0)
		sum_add(&v->g->old, p->size);
	else if (p->used < p->size / 2)
		sum_add(&v->g->sparse, p->size);
}

static int largest_first(const void *a, const void *b)
{
	const struct mark_piece *const *x = a, *const *y = b;

	if ((*x)->size != (*y)->size)
		return (*x)->size > (*y)->size ? -1 : 1;
	return (*x)->ordinal < (*y)->ordinal ? -1 : (*x)->ordinal > (*y)->ordinal;
}

/* Those that wait at a network already count. */
static int network_room(struct gc *v, size_t *ret)
{
	struct onboard *o = v->o;
	uint64_t pieces = 0, bytes = 0, most = 0;
	int r = 0;

	for (size_t i = 0; i < o->p.n_stores && r == 0; i++) {
		if (!o->shippers[i].store.provider->network)
			continue;
		r = ledger_condemned(o->p.ledger, o->shippers[i].store.id,
				     &pieces, &bytes);
		most = MAX(most, pieces);
	}
	*ret = v->g->network > most ? (size_t)(v->g->network - most) : 0;
	return r;
}

static int choose(struct gc *v, const struct mark_piece *all, size_t n,
		  uint64_t claimed)
{
	_cleanup_free_ const struct mark_piece **paid =
		calloc(n ? n : 1, sizeof(struct mark_piece *));
	const struct mark_stats stats = mark_stats(v->mark);
	size_t n_paid = 0, room = 0;
	bool is_paid;
	int r = 0;

	v->dead = calloc(n ? n : 1, sizeof(*v->dead));
	if (!paid || !v->dead)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++) {
		count_live(v, &all[i]);
		if (!is_dead(&all[i], &stats, claimed))
			continue;
		r = is_still(v, &all[i]);
		if (r < 0)
			break;
		if (!r)
			continue;
		sum_add(&v->g->dead, all[i].size);
		r = count_at(v, &all[i], &is_paid);
		if (is_paid) {
			sum_add(&v->g->paid, all[i].size);
			paid[n_paid++] = &all[i];
		} else {
			v->dead[v->n_dead++] = all[i].ordinal;
		}
	}
	if (r == 0)
		r = network_room(v, &room);
	if (r < 0)
		return r;
	qsort(paid, n_paid, sizeof(*paid), largest_first);
	for (size_t i = 0; i < n_paid && i < room; i++) {
		sum_add(&v->g->batch, paid[i]->size);
		v->dead[v->n_dead++] = paid[i]->ordinal;
	}
	return 0;
}

/* ---- snapshots that are given up ---- */

struct forget {
	uint64_t before;
	uint64_t *v;
	size_t n, cap;
};

static int on_head(void *ctx, const struct ledger_head *h)
{
	struct forget *f = ctx;
	size_t cap = f->cap ? 2 * f->cap : 64;
	uint64_t *v = f->v;

	if (h->state != LEDGER_CLAIMED || h->seq >= f->before)
		return 0;
	if (f->n == f->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	f->v[f->n++] = h->seq;
	return 0;
}

static int forget(struct gc *v, uint64_t newest)
{
	/* One that is claimed just now is newer than `newest`. */
	struct forget f = { .before = MIN(v->g->forget_before, newest) };
	int r;

	r = ledger_heads(v->o->p.ledger, on_head, &f);
	if (r == 0 && f.n && v->g->remove)
		r = ledger_heads_thin(v->o->p.ledger, f.v, f.n);
	v->g->forgotten = r == 0 ? f.n : 0;
	free(f.v);
	return r;
}

/* ---- between two commits ---- */

static int condemn(struct gc *v)
{
	struct onboard *o = v->o;
	struct ledger_piece p;
	size_t done = 0;
	int r;

	lock_take(&o->outbox);
	r = ledger_condemn(o->p.ledger, v->dead, v->n_dead, &done);
	lock_drop(&o->outbox);
	for (size_t i = 0; i < v->n_dead && r == 0; i++) {
		r = ledger_piece_get(o->p.ledger, v->dead[i], &p);
		if (r == 0 && p.state == LEDGER_CONDEMNED)
			sum_add(&v->g->condemned, p.size);
	}
	return r;
}

static int between(struct pack_job *job)
{
	struct gc *v = container_of(job, struct gc, job);
	const struct mark_piece *all;
	uint64_t claimed = 0;
	size_t n;
	int r;

	r = may(v->o, v->err); /* it may have come about since */
	if (r == 0)
		r = mark_run(v->mark, true, v->err);
	if (r == 0)
		r = ledger_newest_claimed(v->o->p.ledger, &claimed);
	if (r == 0)
		r = forget(v, claimed);
	if (r < 0)
		return r;
	all = mark_pieces(v->mark, &n);
	r = choose(v, all, n, claimed);
	if (r == 0 && v->g->remove && v->n_dead)
		r = condemn(v);
	return r;
}

/* ---- afterwards ---- */

/* *ret_folders: at folders that answer. */
static int count_left(struct gc *v, uint64_t *ret_folders)
{
	struct onboard *o = v->o;
	struct onboard_gc_sum *s;
	bool away;
	int r = 0;

	*ret_folders = 0;
	for (size_t i = 0; i < o->p.n_stores && r == 0; i++) {
		s = &v->g->left[i];
		r = ledger_condemned(o->p.ledger, o->shippers[i].store.id,
				     &s->pieces, &s->bytes);
		lock_take(&o->lock);
		away = ship_is_away(o, i);
		lock_drop(&o->lock);
		if (!o->shippers[i].store.provider->network && !away)
			*ret_folders += s->pieces;
	}
	return r;
}

/* A commit that does not name them, and is published. */
static int publish(struct gc *v)
{
	struct onboard *o = v->o;
	uint64_t ticket;
	bool done;
	int r;

	r = ledger_may_remove(o->p.ledger, &done);
	if (r < 0 || done)
		return r;
	r = ledger_set_u64(o->p.ledger, LEDGER_RENEW, 1);
	if (r < 0)
		return r;
	ticket = onboard_request(o);
	do {
		v->err->text[0] = '\0';
		r = tell(v, "publishing a commit without them");
		if (r == 0)
			r = onboard_wait(o, ticket, WAIT_MS, v->err);
	} while (r == -ETIMEDOUT);
	return r;
}

/* Folders do it at once; what does not answer does it later. */
static int wait_gone(struct gc *v)
{
	uint64_t folders = 0, before = UINT64_MAX, since = monotonic_ms();
	struct onboard *o = v->o;
	int r;

	onboard_gc_look(o);
	for (;;) {
		r = may(o, v->err); /* who is overtaken removes nothing */
		if (r == 0)
			r = count_left(v, &folders);
		if (r == 0)
			r = tell(v, "removing");
		if (r < 0 || folders == 0)
			return r;
		if (folders < before)
			since = monotonic_ms();
		if (monotonic_ms() - since > STALL_MS)
			return 0;
		before = folders;
		lock_take(&o->lock);
		if (!o->stopping)
			(void)cond_wait_until_ms(&o->cond, &o->lock,
						 monotonic_ms() + WAIT_MS);
		lock_drop(&o->lock);
	}
}

static int run(struct gc *v)
{
	uint64_t folders = 0, waiting = 0;
	int r;

	r = mark_new(v->o, v->g->forget_before, on_nodes, v, &v->mark);
	if (r == 0)
		r = mark_run(v->mark, false, v->err);
	if (r == 0)
		r = onboard_job(v->o, &v->job, v->progress, v->ctx);
	if (r < 0)
		return r;
	v->g->commits = mark_stats(v->mark).commits;
	v->g->nodes = mark_stats(v->mark).nodes;
	r = count_left(v, &folders);
	for (size_t i = 0; i < v->o->p.n_stores; i++)
		waiting += v->g->left[i].pieces;
	if (r < 0 || !v->g->remove || !waiting)
		return r;
	log_info("gc: %" PRIu64 " pieces of %" PRIu64 " bytes are condemned",
		 v->g->condemned.pieces, v->g->condemned.bytes);
	r = publish(v);
	return r < 0 ? r : wait_gone(v);
}

int onboard_gc(struct onboard *o, struct onboard_gc *g,
	       int (*progress)(void *ctx, const char *stage, uint64_t done,
			       uint64_t total),
	       void *ctx, struct err *reterr)
{
	struct err e = { "" };
	struct gc v = { .job = { .run = between },
			.o = o,
			.g = g,
			.progress = progress,
			.ctx = ctx,
			.err = &e };
	int r;

	r = may(o, &e);
	if (r == 0)
		r = run(&v);
	mark_free(v.mark);
	free(v.dead);
	return r < 0 ? err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r)) : 0;
}

void onboard_gc_look(struct onboard *o)
{
	for (size_t i = 0; i < o->p.n_stores; i++)
		atomic_store(&o->shippers[i].removing, true);
	onboard_kick(o);
}

struct left {
	int (*cb)(void *ctx, const struct piece_cid *cid, uint64_t size);
	void *ctx;
};

static int on_left(void *ctx, const struct ledger_piece *p)
{
	struct left *v = ctx;

	return v->cb(v->ctx, &p->cid, p->size);
}

int onboard_gc_left(struct onboard *o, uint64_t id,
		    int (*cb)(void *ctx, const struct piece_cid *cid, uint64_t size),
		    void *ctx)
{
	struct left v = { cb, ctx };
	bool done;
	int r;

	r = ledger_may_remove(o->p.ledger, &done);
	if (r < 0 || !done)
		return r;
	return ledger_removals(o->p.ledger, id, on_left, &v);
}
