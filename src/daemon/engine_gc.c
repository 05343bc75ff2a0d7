#include "daemon/engine_gc.h"

#include "base/err.h"
#include "crypto/piece_cid.h"
#include "daemon/engine.h"
#include "ledger/ledger.h"
#include "onboard/onboard.h"
#include "provider/pdp.h"
#include "provider/provider.h"

_Static_assert(PIECE_CID_TEXT_MAX <= sizeof(((struct engine_gc_piece *)0)->cid),
	       "a CID fits");

static struct engine_sum sum(struct onboard_gc_sum s)
{
	return (struct engine_sum){ s.pieces, s.bytes };
}

static int on_left(void *ctx, const struct piece_cid *cid, uint64_t size)
{
	struct engine_gc_store *s = ctx;

	if (s->n_removals == ENGINE_GC_NETWORK)
		return 1;
	piece_cid_text(cid, s->removals[s->n_removals].cid);
	s->removals[s->n_removals++].size = size;
	return 0;
}

static int store_fill(const struct engine_gc_of *of, size_t i, bool remove,
		      const struct onboard_gc *o, struct engine_gc_store *ret)
{
	struct pdp_status slot;
	int r = 0;

	*ret = (struct engine_gc_store){ .network = of->providers[i]->network != 0,
					 .dead = sum(o->at[i]),
					 .left = sum(o->left[i]) };
	text_copy(ret->url, sizeof(ret->url), of->urls[i]);
	if (pdp_is(of->providers[i])) {
		pdp_status(of->providers[i], &slot);
		ret->set = slot.data_set;
	}
	if (ret->network && remove)
		r = onboard_gc_left(of->onboard, of->ids[i], on_left, ret);
	return MIN(r, 0);
}

struct copies {
	struct ledger *ledger;
	unsigned want;
	uint64_t short_of;
};

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct copies *c = ctx;
	unsigned n = 0;
	int r;

	if (p->state != LEDGER_READY && p->state != LEDGER_HELD)
		return 0;
	r = ledger_copies(c->ledger, p->ordinal, &n);
	c->short_of += n < c->want;
	return r;
}

int engine_gc_run(const struct engine_gc_of *of, struct engine_gc *g,
		  int (*progress)(void *ctx, const char *stage, uint64_t done,
				  uint64_t total),
		  void *ctx, struct err *reterr)
{
	struct onboard_gc o = { .remove = g->remove,
				.network = g->network,
				.forget_before = g->forget_before };
	struct copies c = { .ledger = of->ledger, .want = of->copies };
	int r;

	r = onboard_gc(of->onboard, &o, progress, ctx, reterr);
	if (r < 0)
		return r;
	g->commits = o.commits;
	g->forgotten = o.forgotten;
	g->dead = sum(o.dead);
	g->paid = sum(o.paid);
	g->batch = sum(o.batch);
	g->old = sum(o.old);
	g->sparse = sum(o.sparse);
	g->condemned = sum(o.condemned);
	g->n_stores = of->n;
	for (size_t i = 0; i < of->n && r == 0; i++)
		r = store_fill(of, i, g->remove, &o, &g->stores[i]);
	if (r == 0)
		r = ledger_newest_claimed(of->ledger, &g->sequence);
	if (r == 0)
		r = ledger_pieces(of->ledger, 0, on_piece, &c);
	g->short_of = c.short_of;
	return r < 0 ? err_set(reterr, r, "ledger.db: %s", err_str(r)) : 0;
}
