/*
 * remove.c - what is condemned goes from the stores, each by its own shipper
 *
 * Only once a commit is published that was built without it, and only after a look
 * into the register: if another device has published since, this one removes
 * nothing any more (docs/architecture.md section 14).  A store that does not know
 * the piece has removed it before.
 *
 * A store of a network removes what its owner has signed for: REMOVE looks there
 * whether that has happened, and what has not waits (PROVIDER_REMOVE, -EACCES).
 */
#include "onboard/internal.h"

#include <errno.h>
#include <inttypes.h>

#include "base/log.h"
#include "ledger/ledger.h"
#include "provider/provider.h"

#define TURN_MAX 64 /* pieces before the register is read again */

struct removal {
	struct shipper *s;
	struct err *e;
	unsigned n, n_gone;
};

static bool is_superseded(struct onboard *o)
{
	bool over;

	lock_take(&o->lock);
	over = o->superseded;
	lock_drop(&o->lock);
	return over;
}

static int on_removal(void *ctx, const struct ledger_piece *p)
{
	struct provider_req req = { .verb = PROVIDER_REMOVE, .cid = p->cid };
	struct removal *v = ctx;
	struct shipper *s = v->s;
	int r;

	if (v->n++ == TURN_MAX)
		return 1;
	r = ship_place(s, p->ordinal, LEDGER_REMOVING);
	if (r == 0)
		r = ship_call(s, &req);
	if (r == -EACCES)
		return 0; /* it waits for its owner */
	if (r < 0 && r != -ENOENT)
		return err_set(v->e, r, "%s", req.err.text);
	v->n_gone++;
	return ledger_removed(s->o->p.ledger, p->ordinal, s->store.id);
}

int remove_turn(struct shipper *s, struct err *e)
{
	struct removal v = { .s = s, .e = e };
	struct onboard *o = s->o;
	uint64_t pieces = 0, bytes = 0;
	bool may;
	int r;

	if (!atomic_load(&s->removing) || is_superseded(o))
		return 0;
	r = ledger_may_remove(o->p.ledger, &may);
	if (r == 0 && may)
		r = ledger_condemned(o->p.ledger, s->store.id, &pieces, &bytes);
	if (r < 0 || !may)
		return r;
	atomic_store(&s->removing, false); /* before the look: what comes is new */
	if (!pieces)
		return 0;
	s->looked_ms = 0;
	r = heads_look(s, e);
	if (r == -ENOENT || r == -ENODATA)
		r = 0;
	if (r == 0 && !is_superseded(o))
		r = ledger_removals(o->p.ledger, s->store.id, on_removal, &v);
	if (r)
		atomic_store(&s->removing, true);
	if (v.n_gone) {
		log_info("%s: %u pieces that nobody needs are removed",
			 provider_name(s->store.provider), v.n_gone);
		atomic_store(&o->sweep, true);
		onboard_kick(o);
	}
	return r < 0 ? r : v.n_gone > 0;
}
