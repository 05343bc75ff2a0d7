/*
 * pull.c - a piece from another store back into the outbox
 *
 * For a store that is to hold what the outbox has let go of long ago.  All of it
 * is read and its CID computed again: what a store gives is not believed (I4).
 */
#include "onboard/internal.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "crypto/commp.h"
#include "ledger/ledger.h"
#include "provider/provider.h"

#define COPY_BYTES (1u << 20)

static int pull_from(struct shipper *s, const struct shipper *from,
		     const struct ledger_piece *p, struct io_file *f)
{
	_cleanup_free_ uint8_t *bytes = malloc(COPY_BYTES);
	_cleanup_commp_ struct commp *c = NULL;
	struct provider_req req;
	struct piece_cid cid;
	struct commp_sum sum;
	int r;

	r = commp_new(&c);
	if (r < 0 || !bytes)
		return -ENOMEM;
	for (uint64_t off = 0; off < p->size; off += req.ret_n) {
		req = (struct provider_req){ .verb = PROVIDER_GET,
					     .cid = p->cid,
					     .off = off,
					     .n = MIN(COPY_BYTES, p->size - off),
					     .dst = bytes };
		if (atomic_load(&s->o->stop))
			return -ECANCELED;
		r = provider_call(from->store.provider, &req);
		if (r == 0 && req.ret_n == 0)
			r = -EBADMSG;
		if (r == 0)
			r = io_pwrite(f, bytes, req.ret_n, off);
		if (r < 0)
			return r;
		commp_update(c, slice(bytes, req.ret_n));
	}
	commp_final(c, &sum);
	piece_cid_v2(&sum, &cid);
	if (!piece_cid_eq(&cid, &p->cid))
		return -EBADMSG;
	return io_datasync(f);
}

/*
 * One at a time: who comes second waits, and finds the file there.  1: there is
 * none, and it is ours to pull; 0: there is one now.
 */
static int pull_begin(struct shipper *s, struct ledger_piece *p)
{
	struct onboard *o = s->o;
	bool other = true;
	int r;

	lock_take(&o->lock);
	while (other && !o->stopping) {
		other = false;
		for (size_t i = 0; i < o->p.n_stores; i++)
			other |= o->shippers[i].pulling == p->ordinal;
		if (other)
			cond_wait(&o->cond, &o->lock);
	}
	if (!other)
		s->pulling = p->ordinal;
	lock_drop(&o->lock);
	if (other)
		return -ECANCELED;
	r = ledger_piece_get(o->p.ledger, p->ordinal, p);
	return r < 0 ? r : !p->outbox;
}

static void pull_end(struct shipper *s)
{
	struct onboard *o = s->o;

	lock_take(&o->lock);
	s->pulling = 0;
	cond_wake_all(&o->cond);
	lock_drop(&o->lock);
}

/* What store `i` has, into a new file of the outbox. */
static int pull_into(struct shipper *s, size_t i, const struct ledger_piece *p,
		     const char *name)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	int r;

	r = io_open(s->o->p.io, name, O_RDWR | O_CREAT | O_TRUNC, &f);
	return r < 0 ? r : pull_from(s, &s->o->shippers[i], p, f);
}

/*
 * From another store back into the outbox, whole and checked; at last from the one
 * that was given up here, which may still serve (watch.h).
 */
static int pull_file(struct shipper *s, const struct ledger_piece *p)
{
	struct onboard *o = s->o;
	struct spread sp = { .o = o };
	char name[LEDGER_OUTBOX_NAME_MAX];
	int r;

	r = ledger_placements(o->p.ledger, p->ordinal, spread_add, &sp);
	if (r < 0)
		return r;
	ledger_outbox_name(p->ordinal, name);
	r = -EREMOTEIO;
	for (size_t i = 0; i < o->p.n_stores && r < 0; i++) {
		if (i == s->index || (sp.state[i] && !spread_counts(sp.state[i])))
			continue;
		r = pull_into(s, i, p, name);
		if (r == -ECANCELED)
			break;
	}
	if (r < 0 && r != -ECANCELED && s->gave_up)
		r = pull_into(s, s->index, p, name);
	if (r == 0)
		r = io_syncdir(o->p.io, LEDGER_OUTBOX);
	if (r == 0)
		r = outbox_set(o, p->ordinal, true);
	if (r < 0)
		best_effort(io_unlink(o->p.io, name)); /* else at the next start */
	outbox_account(o);
	return r;
}

int pull_piece(struct shipper *s, struct ledger_piece *p)
{
	int r = pull_begin(s, p);

	if (r == 1) {
		r = pull_file(s, p);
		r = r < 0 ? r : 1;
	}
	pull_end(s);
	return r;
}
