/*
 * publish.c - heads become visible, in order, when all they need is held
 *
 * Each shipper claims the oldest head that is not published, at its own store,
 * so that a store that hangs holds up no other; then it counts.  A head is
 * published when more than half of the stores have our claim, and lost when that
 * can no longer be: two devices can never both publish one sequence
 * (docs/architecture.md section 9).  Only then comes the next head.  Stores that
 * were away get what they have missed when they answer.
 *
 * Nothing of the count is kept on the disk.  After a crash each claim is made
 * again, which says the same as before.
 *
 * Who has lost a head is superseded: it stops publishing, says so, and stays
 * mounted; nothing local is lost.
 */
#include "onboard/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/log.h"
#include "ledger/ledger.h"
#include "provider/head.h"
#include "provider/provider.h"

void publish_superseded(struct onboard *o, const struct err *e)
{
	char why[sizeof(o->stats.why)];

	(void)snprintf(why, sizeof(why),
		       "superseded: %s; this device publishes no more, nothing local is lost",
		       e->text);
	lock_take(&o->lock);
	o->superseded = true;
	o->stats.phase = ONBOARD_STOPPED;
	text_copy(o->stats.why, sizeof(o->stats.why), why);
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	log_warn("superseded: %s", e->text);
	best_effort(ledger_set(o->p.ledger, LEDGER_SUPERSEDED_BY,
			       slice_str(why))); /* found again at once */
}

/* ---- the count ---- */

struct count {
	size_t n, ours, foreign; /* stores; those with our claim, or another's */
};

static struct count count_claims(struct onboard *o, uint64_t seq)
{
	struct count c = { .n = o->p.n_stores };

	lock_take(&o->lock);
	for (size_t i = 0; i < c.n; i++) {
		c.foreign += o->shippers[i].foreign == seq;
		c.ours += o->shippers[i].foreign != seq &&
			  o->shippers[i].heads_given >= seq;
	}
	lock_drop(&o->lock);
	return c;
}

static int mark_claimed(struct onboard *o, const struct ledger_head *h)
	REQUIRES(&o->publish)
{
	int r;

	r = ledger_head_set(o->p.ledger, h->seq, LEDGER_CLAIMED);
	if (r == 0)
		r = ledger_set_u64(o->p.ledger, LEDGER_HEAD_SEEN, h->seq);
	if (r < 0)
		return r;
	lock_take(&o->lock);
	o->claimed = h->seq;
	o->stats.sequence = h->seq;
	o->stats.sequence_time = h->time;
	if (!o->superseded && o->split_why) {
		o->stats.why[0] = '\0';
		o->split_why = false;
	}
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
	for (size_t i = 0; i < o->p.n_stores; i++)
		atomic_store(&o->shippers[i].removing, true);
	log_info("commit %" PRIu64 " is published", h->seq);
	return 0;
}

static int lost(struct onboard *o, const struct ledger_head *h,
		const struct count *c, struct err *e) REQUIRES(&o->publish)
{
	e->text[0] = '\0';
	if (2 * c->foreign > c->n)
		err_set(e, 0,
			"another device has published commit %" PRIu64
			": %zu of %zu stores have it",
			h->seq, c->foreign, c->n);
	else
		err_set(e, 0,
			"commit %" PRIu64
			" is split: of %zu stores %zu have it from this device and %zu from another device, so neither of the two is published; fildrive recover goes on from one of them",
			h->seq, c->n, c->ours, c->foreign);
	publish_superseded(o, e);
	/* Either of the two rows says so at the next start: the next commit
	 * would stand on this head. */
	best_effort(ledger_head_set(o->p.ledger, h->seq,
				    LEDGER_SUPERSEDED)); /* found again at once */
	return -ESTALE;
}

/* It depends on stores that have not answered yet. */
static void undecided(struct onboard *o, const struct ledger_head *h,
		      const struct count *c)
{
	lock_take(&o->lock);
	if (!o->superseded && c->foreign) {
		(void)snprintf(o->stats.why, sizeof(o->stats.why),
			       "commit %" PRIu64
			       ": %zu of %zu stores have it from another device, %zu from this one; the others decide when they answer",
			       h->seq, c->foreign, c->n, c->ours); /* fits */
		o->split_why = true;
	}
	lock_drop(&o->lock);
}

/* 0: published, now or before; -EINPROGRESS; -ESTALE: it never can be. */
static int decide(struct onboard *o, const struct ledger_head *h, struct err *e)
{
	struct count c;
	bool before;
	int r = 0;

	lock_take(&o->publish);
	c = count_claims(o, h->seq);
	lock_take(&o->lock);
	before = o->claimed >= h->seq;
	r = o->superseded ? -ESTALE : 0;
	lock_drop(&o->lock);
	if (r == 0 && !before) {
		if (2 * c.ours > c.n) {
			r = mark_claimed(o, h);
		} else if (2 * (c.n - c.foreign) <= c.n) {
			r = lost(o, h, &c, e);
		} else {
			undecided(o, h, &c);
			r = -EINPROGRESS;
		}
	}
	lock_drop(&o->publish);
	return r;
}

/* ---- one store ---- */

/*
 * On a network one store claims and the others see it in the register that they
 * share (who may not claim yet looks, too: the claim may be made and not noted):
 * -EINPROGRESS until then, else as head_claim().
 */
static int look_here(struct shipper *s, uint64_t seq,
		     const struct piece_cid *cid, struct err *e)
{
	struct piece_cid there;
	int r;

	r = head_read(s->store.provider, s->o->p.keys, seq, &there, e);
	if (r == -ENOENT)
		return -EINPROGRESS;
	return r < 0 ? r : piece_cid_eq(&there, cid) ? 0 : -ESTALE;
}

/*
 * Another head has the number.  -ESTALE: so it seems; -EBADMSG: it is an old one,
 * which the store shows under that number.
 */
static int taken(struct shipper *s, uint64_t seq, struct err *e)
{
	struct piece_cid there;
	int r;

	e->text[0] = '\0';
	r = head_read(s->store.provider, s->o->p.keys, seq, &there, e);
	if (r == 0)
		r = heads_check(s, seq, &there, e);
	else if (r == -ENODATA) /* nobody knows any more what it names */
		r = 0;
	return r < 0 ? r : -ESTALE;
}

/* What was found at one store of a network is so at all of them. */
static void note_claim(struct shipper *s, uint64_t seq, bool ours)
{
	uint64_t network = s->store.provider->network;
	struct onboard *o = s->o;

	lock_take(&o->lock);
	for (size_t i = 0; i < o->p.n_stores; i++) {
		struct shipper *t = &o->shippers[i];

		if (t != s && (!network || t->store.provider->network != network))
			continue;
		if (ours)
			t->heads_given = MAX(t->heads_given, seq);
		else
			t->foreign = seq;
	}
	lock_drop(&o->lock);
}

static int claim_here(struct shipper *s, const struct ledger_head *h, struct err *e)
{
	struct onboard *o = s->o;
	struct ledger_piece p;
	bool done, may = false;
	int r;

	lock_take(&o->lock);
	done = s->heads_given >= h->seq || s->foreign == h->seq;
	lock_drop(&o->lock);
	if (done)
		return 0;
	r = ledger_piece_get(o->p.ledger, h->piece, &p);
	if (r < 0)
		return r;
	r = heads_still(s, h->seq, e);
	if (r == 0)
		r = park_may_claim(s, h->piece, &may);
	if (r < 0)
		return r;
	r = may ? head_claim(s->store.provider, o->p.keys, h->seq, &p.cid, e) :
		  look_here(s, h->seq, &p.cid, e);
	if (r == -ESTALE)
		r = taken(s, h->seq, e);
	if (r == 0)
		r = park_claimed(s, h->piece, true);
	else if (r == -ENOENT) { /* not parked there, or not any more */
		best_effort(park_claimed(s, h->piece, false)); /* put again */
		s->rescan = true; /* where others hold it already, too */
	}
	if (r < 0 && r != -ESTALE)
		return r == -ENOENT ? -EINPROGRESS : r;
	note_claim(s, h->seq, r == 0);
	return heads_seen(s, h->seq);
}

int publish_heads(struct shipper *s, struct err *e)
{
	struct onboard *o = s->o;
	struct ledger_head h;
	bool complete;
	int r;

	for (;;) {
		lock_take(&o->lock);
		r = o->superseded ? -ESTALE : o->stopping ? -ECANCELED : 0;
		lock_drop(&o->lock);
		if (r < 0)
			return r;
		r = ledger_head_next(o->p.ledger, &h, &complete);
		if (r == -ENOENT)
			return heads_give(s, UINT64_MAX, e);
		if (r < 0)
			return r;
		/* Whether it waits for its claim was not known yet, or has changed,
		 * since a store has its piece. */
		if (!complete)
			r = outbox_settle(o, h.piece);
		if (!complete && r == 0) {
			r = ledger_head_next(o->p.ledger, &h, &complete);
			if (r == -ENOENT) /* another shipper has published it */
				continue;
		}
		if (r < 0)
			return r;
		if (!complete)
			return -EINPROGRESS;
		/* Its register has no gaps. */
		r = heads_give(s, h.seq - 1, e);
		if (r == 0)
			r = claim_here(s, &h, e);
		if (r == 0)
			r = decide(o, &h, e);
		if (r < 0)
			return r;
	}
}
