/* verify.c - what stores hold is read back, and what is nowhere is named */
#include "onboard/onboard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "ledger/ledger.h"
#include "onboard/internal.h"
#include "onboard/lost.h"
#include "onboard/reseal.h"
#include "provider/provider.h"

#define LOOK_MS 1000 /* between two looks at whether somebody still waits */

/* What is wrong with a copy of a piece that was lost before: told, if something
 * still hangs on it. */
struct late {
	struct late *next;
	uint64_t ordinal;
	char sentence[512];
};

struct verify {
	struct onboard *o;
	unsigned percent;
	uint64_t seen, done, total;
	int faults;
	struct late *late, **late_end;
	void (*found)(void *ctx, const char *sentence);
	int (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx;
};

struct holders {
	struct ledger_placement v[ONBOARD_STORES_MAX];
	size_t n;
};

static int on_holder(void *ctx, const struct ledger_placement *p)
{
	struct holders *h = ctx;

	if (p->state != LEDGER_PLANNED && p->state != LEDGER_REMOVING &&
	    h->n < ARRAY_LEN(h->v))
		h->v[h->n++] = *p;
	return 0;
}

static struct shipper *shipper_of(struct onboard *o, uint64_t store)
{
	for (size_t i = 0; i < o->p.n_stores; i++)
		if (o->shippers[i].store.id == store)
			return &o->shippers[i];
	return NULL;
}

static int tell(struct verify *v, const struct ledger_piece *p, const char *sentence)
{
	struct late *l;

	if (p->state != LEDGER_PIECE_LOST) {
		v->found(v->ctx, sentence);
		v->faults++;
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->ordinal = p->ordinal;
	text_copy(l->sentence, sizeof(l->sentence), sentence);
	*v->late_end = l;
	v->late_end = &l->next;
	return 0;
}

static int tell_late(struct verify *v)
{
	struct ledger_piece p = { 0 };
	int r = 0;

	for (const struct late *l = v->late; l && r == 0; l = l->next) {
		r = ledger_piece_get(v->o->p.ledger, l->ordinal, &p);
		if (r < 0 || (p.state == LEDGER_PIECE_LOST && !p.live))
			continue;
		v->found(v->ctx, l->sentence);
		v->faults++;
	}
	return r;
}

static void late_free(struct verify *v)
{
	struct late *next;

	for (; v->late; v->late = next) {
		next = v->late->next;
		free(v->late);
	}
}

static int verify_at(struct verify *v, const struct ledger_piece *p,
		     struct ledger_placement *at)
{
	struct shipper *s = shipper_of(v->o, at->store);
	struct provider_req req = { .verb = PROVIDER_VERIFY, .cid = p->cid };
	enum ledger_placement_state was = at->state;
	bool doubted = ledger_is_doubted(at);
	char cid[PIECE_CID_TEXT_MAX], sentence[512];
	unsigned generation;
	int r;

	if (!s)
		return 0;
	generation = watch_generation(s);
	r = provider_call(s->store.provider, &req);
	if (r == -ECANCELED)
		return r;
	if (r == 0 && was == LEDGER_VERIFIED)
		return 0;
	if (r == 0) { /* read back before the shipper did, or brought back */
		at->state = LEDGER_VERIFIED;
		at->error[0] = '\0';
		r = watch_place(s, generation, was, doubted, at);
		if (r == 1) /* another has its place now, or missed it */
			return 0;
		if (r == 0)
			best_effort(learn_blocks(s, p)); /* for dedup only */
		if (r == 0 && p->state == LEDGER_PIECE_LOST) /* found again */
			r = ledger_piece_set(v->o->p.ledger, p->ordinal,
					     LEDGER_HELD, p->outbox);
		return r;
	}
	piece_cid_text(&p->cid, cid);
	if (r == -ENOENT || r == -EBADMSG)
		(void)snprintf(sentence, sizeof(sentence), "%s: piece %s: %s",
			       provider_name(s->store.provider), cid,
			       r == -ENOENT ? "missing" : "damaged");
	else
		(void)snprintf(sentence, sizeof(sentence),
			       "%s: piece %s: could not be read back: %s",
			       provider_name(s->store.provider), cid,
			       req.err.text[0] ? req.err.text : err_str(r));
	if (tell(v, p, sentence) < 0)
		return -ENOMEM;
	if (r != -ENOENT && r != -EBADMSG)
		return 0; /* away is not lost */
	/* What is damaged stays until it is replaced: it may be the only copy,
	 * and all of its other blocks are sound. */
	at->state = LEDGER_LOST;
	text_copy(at->error, sizeof(at->error), sentence);
	r = watch_place(s, generation, was, doubted, at);
	if (r == 0)
		watch_wrong(s);
	if (r == 0)
		r = reseal_lose(v->o, p->ordinal);
	return MIN(r, 0);
}

/* Every n-th piece, so that the share is right for few pieces too. */
static bool is_sampled(struct verify *v)
{
	uint64_t i = v->seen++;

	return i == 0 || i * v->percent / 100 != (i - 1) * v->percent / 100;
}

static int on_verify(void *ctx, const struct ledger_piece *p)
{
	struct verify *v = ctx;
	struct holders h = { .n = 0 };
	int r;

	/* One that is lost, and is still linked, may be found again. */
	if ((p->state != LEDGER_HELD && p->state != LEDGER_READY &&
	     (p->state != LEDGER_PIECE_LOST || !p->live)) ||
	    !is_sampled(v))
		return 0;
	r = ledger_placements(v->o->p.ledger, p->ordinal, on_holder, &h);
	for (size_t i = 0; i < h.n && r == 0; i++) {
		if (atomic_load(&v->o->stop))
			return -ECANCELED;
		r = verify_at(v, p, &h.v[i]);
	}
	v->done += p->size;
	if (r == 0 && v->progress && v->progress(v->ctx, v->done, v->total))
		r = -ECANCELED;
	return r;
}

static int go_on(void *ctx)
{
	struct verify *v = ctx;

	return v->progress ? v->progress(v->ctx, v->done, v->total) : 0;
}

static void on_lost(void *ctx, const char *sentence)
{
	struct verify *v = ctx;

	v->found(v->ctx, sentence);
}

/*
 * What was found lost just now may be here: the packer seals it anew before it is
 * called lost.  One run of it is waited for; while it waits for a store itself, or
 * this device is superseded, things are as they are.
 */
static int await_mending(struct verify *v)
{
	struct onboard *o = v->o;
	uint64_t ticket;
	int r = 0;

	if (!reseal_is_due(o))
		return 0;
	ticket = onboard_request(o);
	lock_take(&o->lock);
	while (r == 0 && o->packer_started && o->packed < ticket &&
	       !o->pack_waits && !o->superseded) {
		(void)cond_wait_until_ms(&o->cond, &o->lock,
					 monotonic_ms() + LOOK_MS);
		r = o->stopping ? -ECANCELED : 0;
		lock_drop(&o->lock);
		if (r == 0 && go_on(v))
			r = -ECANCELED;
		lock_take(&o->lock);
	}
	lock_drop(&o->lock);
	return r;
}

int onboard_verify(struct onboard *o, unsigned percent,
		   void (*found)(void *ctx, const char *sentence),
		   int (*progress)(void *ctx, uint64_t done, uint64_t total),
		   void *ctx, struct err *reterr)
{
	struct verify v = { .o = o,
			    .percent = MIN(MAX(percent, 1u), 100u),
			    .found = found,
			    .progress = progress,
			    .ctx = ctx };
	struct ledger_sums sums = { 0 };
	int r;

	v.late_end = &v.late;
	r = ledger_sums(o->p.ledger, &sums);
	v.total = sums.bytes * v.percent / 100;
	if (r == 0)
		r = ledger_pieces(o->p.ledger, 0, on_verify, &v);
	if (r == 0)
		r = await_mending(&v);
	if (r == 0)
		r = reseal_tell(o, found, ctx);
	v.faults += MAX(r, 0);
	if (r >= 0)
		r = lost_name(o, on_lost, go_on, &v);
	v.faults += MAX(r, 0);
	if (r >= 0)
		r = tell_late(&v);
	late_free(&v);
	if (r >= 0)
		r = onboard_left_tell(o, found, ctx);
	v.faults += MAX(r, 0);
	if (r < 0)
		return err_set(reterr, r, "verify: %s", err_str(r));
	for (size_t i = 0; i < o->p.n_stores; i++)
		atomic_store(&o->shippers[i].rescan, true);
	onboard_kick(o);
	return v.faults;
}
