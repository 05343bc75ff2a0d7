/*
 * publish.c - heads become visible, in order, when all they need is held
 *
 * A head is published when more than half of the stores have its claim, so that
 * two devices can never both publish one sequence; every other store gets it
 * when it answers.  Whoever finds another's claim has been superseded: it stops
 * publishing, says so, and stays mounted; nothing local is lost.
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

/* 0: published; -EINPROGRESS: too few stores answer; -ESTALE: another's. */
static int claim(struct onboard *o, const struct ledger_head *h, struct err *e)
{
	struct ledger_piece p;
	size_t n = 0;
	int r;

	r = ledger_piece_get(o->p.ledger, h->piece, &p);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->p.n_stores; i++) {
		struct err one = { 0 };

		r = head_claim(o->shippers[i].store.provider, o->p.keys, h->seq,
			       &p.cid, &one);
		if (r == -ESTALE)
			return err_set(e, r, "%s", one.text);
		if (r == 0) {
			n++;
			lock_take(&o->lock);
			o->shippers[i].heads_given =
				MAX(o->shippers[i].heads_given, h->seq);
			lock_drop(&o->lock);
		} else {
			err_set(e, r, "%s", one.text);
		}
	}
	return 2 * n > o->p.n_stores ? 0 : -EINPROGRESS;
}

int publish_heads(struct onboard *o, struct err *reterr)
{
	struct ledger_head h;
	bool complete;
	int r = 0;

	for (;;) {
		lock_take(&o->lock);
		r = o->superseded ? -ESTALE : o->stopping ? -ECANCELED : 0;
		lock_drop(&o->lock);
		if (r < 0)
			return r;
		r = ledger_head_next(o->p.ledger, &h, &complete);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (!complete)
			return -EINPROGRESS;
		r = claim(o, &h, reterr);
		if (r == -ESTALE) {
			/* Either of the two rows says so at the next start: the
			 * next commit would stand on this head. */
			publish_superseded(o, reterr);
			best_effort(ledger_head_set(o->p.ledger, h.seq,
						    LEDGER_SUPERSEDED)); /* found again at once */
			return r;
		}
		if (r < 0)
			return r;
		r = ledger_head_set(o->p.ledger, h.seq, LEDGER_CLAIMED);
		if (r == 0)
			r = ledger_set_u64(o->p.ledger, LEDGER_HEAD_SEEN, h.seq);
		if (r < 0)
			return r;
		lock_take(&o->lock);
		/* another shipper may be further by now */
		if (h.seq > o->claimed) {
			o->claimed = h.seq;
			o->stats.sequence = h.seq;
			o->stats.sequence_time = h.time;
		}
		cond_wake_all(&o->cond);
		lock_drop(&o->lock);
		log_info("commit %" PRIu64 " is published", h.seq);
	}
}
