/*
 * park.c - stores that park: pieces are kept by a COMMIT that names many
 *
 * A COMMIT costs (on a chain each is a transaction with a fee), so a shipper puts
 * all that there is first and then names it at once: when nothing is left to put
 * and no commit is being packed, when PROVIDER_COMMIT_MAX are parked, or when they
 * have been parked for long, since stores do not park for ever.
 *
 * The stores of one network have one head register, and a claim there is the very
 * transaction that adds the head piece.  So at one store of the network, the
 * claiming one, a head piece stays PARKED until everything else of its commit is
 * held, the head piece's other copies included, and then the claim keeps it: one
 * fee a commit and store.  Which store that is decides only who pays a fee too
 * many when stores come and go; the register itself lets no two claims pass.
 *
 * If the claiming store goes away then (or may spend nothing), the next one would add
 * what it has, which is no copy more; it waits for who was to have that copy.
 * With a further store, that gets it, and the next one's claim is a fee too many: the
 * transaction with the head's number has to add the head piece, had or not, and that
 * the first would not claim was not known when the copy here was committed.
 *
 * A piece leaves this machine once a network: the first of its stores that is to
 * have it gets it, the others wait for that, call it PARKED, and their COMMIT has it
 * fetched from the first (provider.h).  If the first one is away, or the fetch fails,
 * it is put.
 */
#include "onboard/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

#include "base/log.h"
#include "ledger/ledger.h"
#include "provider/provider.h"

#define PARKED_MAX_MS 600000 /* then it is committed though more is to come */

bool park_claims(struct shipper *s)
{
	struct onboard *o = s->o;
	uint64_t network = s->store.provider->network;
	bool mine = true;

	if (!network)
		return true; /* a register of its own */
	lock_take(&o->lock);
	for (size_t i = 0; i < s->index && mine; i++)
		mine = o->shippers[i].store.provider->network != network ||
		       ship_is_away(o, i);
	lock_drop(&o->lock);
	return mine;
}

/* Does a PARKED piece wait for its claim here? */
static bool waits_for_claim(struct shipper *s, bool head)
{
	return head && s->store.provider->network && park_claims(s);
}

int park_count(struct onboard *o, uint64_t ordinal, unsigned *ret)
{
	struct spread sp = { .o = o };
	bool head;
	int r;

	*ret = 0;
	r = ledger_is_head(o->p.ledger, ordinal, &head);
	if (r < 0 || !head)
		return r;
	r = ledger_placements(o->p.ledger, ordinal, spread_add, &sp);
	for (size_t i = 0; i < o->p.n_stores && r == 0; i++)
		*ret += sp.state[i] == LEDGER_PARKED &&
			waits_for_claim(&o->shippers[i], true);
	return r;
}

int park_may_claim(struct shipper *s, uint64_t ordinal, bool *ret)
{
	struct onboard *o = s->o;
	struct spread sp = { .o = o };
	unsigned copies = 0;
	int r;

	*ret = park_claims(s);
	if (!*ret || !s->store.provider->network)
		return 0;
	r = ledger_placements(o->p.ledger, ordinal, spread_add, &sp);
	for (size_t i = 0; i < o->p.n_stores; i++)
		copies += i == s->index || spread_counts(sp.state[i]);
	*ret = copies >= o->p.copies;
	return r;
}

int park_way(struct shipper *s, const struct ledger_piece *p,
	     const struct spread *sp, enum park_way *ret)
{
	struct onboard *o = s->o;
	uint64_t network = s->store.provider->network;
	bool head, away, has = false, first = false;
	int r;

	*ret = PARK_PUT;
	if (!network || !s->store.provider->parks)
		return 0;
	r = ledger_is_head(o->p.ledger, p->ordinal, &head);
	/* What waits for its claim is shown to nobody before. */
	if (r < 0 || waits_for_claim(s, head))
		return r;
	for (size_t i = 0; i < o->p.n_stores; i++) {
		enum ledger_placement_state at = sp->state[i];

		if (i == s->index || o->shippers[i].store.provider->network != network)
			continue;
		lock_take(&o->lock);
		away = ship_is_away(o, i);
		lock_drop(&o->lock);
		if (away)
			continue;
		has |= spread_counts(at) || at == LEDGER_PARKED;
		first |= i < s->index && (!at || at == LEDGER_PLANNED) &&
			 ship_is_mine(o, p, sp, i);
	}
	*ret = has ? PARK_PULL : first ? PARK_WAIT : PARK_PUT;
	return 0;
}

int park_piece(struct shipper *s, uint64_t ordinal)
{
	int r = ship_move(s, ordinal, LEDGER_PARKED);

	if (s->n_parked++ == 0)
		s->parked_ms = monotonic_ms();
	return r < 0 ? r : outbox_settle(s->o, ordinal);
}

struct batch {
	struct shipper *s;
	bool claims; /* head pieces wait here for their claim */
	struct piece_cid cids[PROVIDER_COMMIT_MAX];
	uint64_t pieces[PROVIDER_COMMIT_MAX];
	size_t n;
};

static int on_parked(void *ctx, uint64_t piece, const struct piece_cid *cid, bool head)
{
	struct batch *b = ctx;

	if (head && b->claims)
		return 0;
	b->cids[b->n] = *cid;
	b->pieces[b->n++] = piece;
	return b->n == PROVIDER_COMMIT_MAX;
}

/* More is about to come: it shares the fee. */
static bool is_early(struct shipper *s, bool waits)
{
	struct onboard *o = s->o;
	bool packing;

	lock_take(&o->lock);
	packing = o->stats.phase == ONBOARD_PACKING;
	lock_drop(&o->lock);
	return (packing || waits) && s->n_parked < PROVIDER_COMMIT_MAX &&
	       monotonic_ms() - s->parked_ms < PARKED_MAX_MS;
}

static int mark(struct shipper *s, const struct batch *b, bool kept)
{
	int r = 0;

	for (size_t i = 0; i < b->n && r == 0; i++)
		r = kept ? ship_move(s, b->pieces[i], LEDGER_STORED) :
			   ship_put_after_all(s, b->pieces[i]);
	return r;
}

int park_commit(struct shipper *s, bool more, bool waits, struct err *e)
{
	struct provider_req req = { .verb = PROVIDER_COMMIT };
	_cleanup_free_ struct batch *b = NULL;
	int r;

	if (!s->store.provider->parks)
		return 0;
	if (more ? s->n_parked < PROVIDER_COMMIT_MAX : is_early(s, waits))
		return 0;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->s = s;
	b->claims = s->store.provider->network && park_claims(s);
	r = ledger_parked(s->o->p.ledger, s->store.id, on_parked, b);
	if (r < 0 || b->n == 0)
		return r < 0 ? r : 0;
	req.cids = b->cids;
	req.n_cids = b->n;
	r = ship_call(s, &req);
	if (r == -ENOENT) {
		/* They were parked for too long, or could not be fetched: all of
		 * them are put, which is soon done for those that are there. */
		log_warn("%s does not have all that it is to keep: it is uploaded",
			 provider_name(s->store.provider));
		s->n_parked = 0;
		r = mark(s, b, false);
		return r < 0 ? r : 1;
	}
	if (r < 0)
		return err_set(e, r, "%s", req.err.text);
	s->n_parked = 0;
	s->rescan = true; /* what is HELD already is read back, too */
	r = mark(s, b, true);
	return r < 0 ? r : 1;
}

int park_claimed(struct shipper *s, uint64_t piece, bool kept)
{
	struct ledger_placement p;
	int r;

	if (!s->store.provider->network)
		return 0;
	r = ledger_placement_get(s->o->p.ledger, piece, s->store.id, &p);
	if (r == -ENOENT || (r == 0 && p.state != LEDGER_PARKED))
		return 0;
	s->rescan = true;
	return r < 0 ? r :
		       ship_place(s, piece, kept ? LEDGER_STORED : LEDGER_PLANNED);
}
