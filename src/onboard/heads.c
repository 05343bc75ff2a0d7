/*
 * heads.c - the head register of each store, as this device sees it
 *
 * A register that knows a sequence which this drive directory does not means one
 * of two things: another device has published, or this directory is an older
 * copy that was put back (I9).  Either way this device must publish no more.
 *
 * The other way round, a store that has shown a head, and does not have it any more,
 * has gone back: an older copy of it was put in its place, or its clock and files
 * were.  Which that newest head was is a note in the ledger.  Nothing that it had is
 * believed any more: every copy has to be read back again before it counts (I2), what
 * is missing is sent again, and so are the heads.  It is said, since who keeps that
 * store wants to know.  The register of a chain cannot go back, so there an endpoint
 * is behind, or lies: that is said too, and changes nothing.
 */
#include "onboard/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "provider/head.h"
#include "provider/provider.h"

#define LOOK_MS \
 600000 /* how often a register is read when nothing else is done */

#define SEEN_NOTE "head-seen" /* u64 LE: the newest head that was seen here */

/* ---- a store that goes back ---- */

static int seen_here(struct shipper *s, uint64_t *ret)
{
	_cleanup_buf_ struct buf note = { 0 };
	int r;

	*ret = 0;
	buf_init(&note, LEDGER_NOTE_MAX);
	r = ledger_note_get(s->o->p.ledger, s->store.id, SEEN_NOTE, &note);
	if (r == -ENOENT)
		return 0;
	if (r == 0 && note.n != sizeof(*ret))
		r = -EUCLEAN;
	if (r == 0)
		*ret = get_le64(note.p);
	return r;
}

int heads_seen(struct shipper *s, uint64_t h)
{
	uint8_t value[sizeof(h)];
	uint64_t seen;
	int r;

	r = seen_here(s, &seen);
	if (r < 0 || seen >= h)
		return r;
	put_le64(value, h);
	return ledger_note_set(s->o->p.ledger, s->store.id, SEEN_NOTE,
			       slice(value, sizeof(value)));
}

static int gone_back(struct shipper *s, uint64_t seen, uint64_t newest)
{
	struct onboard *o = s->o;
	bool network = s->store.provider->network;
	char text[ONBOARD_TEXT_MAX];
	uint8_t value[sizeof(newest)];
	bool said;
	int r;

	(void)snprintf(
		text, sizeof(text),
		network ? "%.160s shows commit %" PRIu64
			  " as the newest, and has shown %" PRIu64
			  ": the chain's endpoint is behind, or does not say the truth" :
			  "%.160s has gone back to commit %" PRIu64 " from %" PRIu64
			  ": an older copy was put in its place; what it lacks is sent again",
		provider_name(s->store.provider), newest, seen);
	lock_take(&o->lock);
	said = strcmp(s->went_back, text) == 0;
	text_copy(s->went_back, sizeof(s->went_back), text);
	lock_drop(&o->lock);
	if (!said)
		log_warn("%s", text);
	if (network)
		return 0;
	put_le64(value, newest);
	r = ledger_store_unsure(o->p.ledger, s->store.id, SEEN_NOTE,
				slice(value, sizeof(value)));
	if (r < 0)
		return r;
	lock_take(&o->lock);
	s->heads_given = 0;
	lock_drop(&o->lock);
	s->rescan = true;
	return 0;
}

/* `newest` is what the register has now. */
static int compare(struct shipper *s, uint64_t newest)
{
	uint64_t seen;
	int r;

	r = seen_here(s, &seen);
	if (r < 0)
		return r;
	if (newest < seen)
		return gone_back(s, seen, newest);
	if (s->store.provider->network) { /* the endpoint has caught up */
		lock_take(&s->o->lock);
		s->went_back[0] = '\0';
		lock_drop(&s->o->lock);
	}
	return heads_seen(s, newest);
}

int heads_still(struct shipper *s, uint64_t h, struct err *e)
{
	uint64_t seen, newest = 0;
	struct piece_cid cid;
	int r;

	if (s->store.provider->network || h < 2)
		return 0;
	r = seen_here(s, &seen);
	if (r < 0 || seen < h - 1)
		return r;
	r = head_read(s->store.provider, s->o->p.keys, h - 1, &cid, e);
	if (r != -ENOENT)
		return r == -ENODATA ? 0 : r;
	r = head_newest(s->store.provider, s->o->p.keys, 0, &newest, &cid, e);
	if (r < 0 && r != -ENOENT && r != -ENODATA)
		return r;
	e->text[0] = '\0';
	r = gone_back(s, seen, r == -ENOENT ? 0 : newest);
	return r < 0 ? r : -EINPROGRESS;
}

/* ---- what it misses ---- */

static int on_head_piece(void *ctx, const struct ledger_head *h)
{
	*(uint64_t *)ctx = h->piece;
	return 0;
}

/* The piece of head h: from the ledger, else from another store. */
static int head_piece(struct shipper *s, uint64_t h, struct piece_cid *ret)
{
	struct onboard *o = s->o;
	struct ledger_piece p;
	uint64_t ordinal = 0;
	int r;

	r = ledger_head_get(o->p.ledger, h, on_head_piece, &ordinal);
	if (r == 0)
		r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r == 0) {
		*ret = p.cid;
		return 0;
	}
	for (size_t i = 0; i < o->p.n_stores && r < 0; i++)
		if (i != s->index)
			r = head_read(o->shippers[i].store.provider, o->p.keys,
				      h, ret, NULL);
	return r;
}

/*
 * The newest that any store of this network has shown: it is on the chain, whatever
 * an endpoint says of it now.
 */
static int seen_on_network(struct shipper *s, uint64_t *ret)
{
	struct onboard *o = s->o;
	uint64_t one;
	int r = 0;

	*ret = 0;
	for (size_t i = 0; i < o->p.n_stores && r == 0; i++) {
		struct shipper *t = &o->shippers[i];

		if (t->store.provider->network != s->store.provider->network)
			continue;
		r = seen_here(t, &one);
		*ret = MAX(*ret, r == 0 ? one : 0);
	}
	return r;
}

/*
 * A network that has become a store of this drive knows none of its heads.  Each of
 * them would cost a fee there; it is enough that the next one is claimed, and that
 * there is a next one soon, even if nothing changes.
 */
static int begin_network(struct shipper *s, uint64_t want, struct err *e)
{
	struct onboard *o = s->o;
	struct piece_cid cid;
	uint64_t seen;
	bool comes;
	int r;

	lock_take(&o->lock);
	comes = o->stats.built > want;
	lock_drop(&o->lock);
	if (!want || comes || !park_claims(s))
		return 0;
	r = seen_on_network(s, &seen);
	if (r < 0 || seen >= want)
		return r;
	r = head_read(s->store.provider, o->p.keys, want, &cid, e);
	if (r != -ENOENT)
		return r == -ENODATA ? 0 : r;
	e->text[0] = '\0';
	r = ledger_set_u64(o->p.ledger, LEDGER_RENEW, 1);
	if (r == 0)
		(void)onboard_request(o); /* nobody waits for it */
	return r;
}

/* A store that was away, or is new, gets the heads that it has missed. */
int heads_give(struct shipper *s, uint64_t want, struct err *e)
{
	struct onboard *o = s->o;
	struct piece_cid cid;
	uint64_t have;
	int r;

	lock_take(&o->lock);
	have = s->heads_given;
	want = o->superseded ? 0 : want == UINT64_MAX ? o->claimed : want;
	lock_drop(&o->lock);
	if (have >= want)
		return 0;
	/* A register that stores share has what any of them got. */
	if (s->store.provider->network) {
		r = begin_network(s, want, e);
		if (r < 0)
			return r;
		lock_take(&o->lock);
		s->heads_given = MAX(s->heads_given, want);
		lock_drop(&o->lock);
		return 0;
	}
	r = head_newest(s->store.provider, o->p.keys, have, &have, &cid, e);
	if (r == -ENOENT)
		have = 0;
	else if (r < 0)
		return r;
	for (r = 0; have < want && r == 0; have++) {
		r = head_piece(s, have + 1, &cid);
		/* Nobody knows any more which piece it was, since that has been
		 * removed: what counts is that it is claimed. */
		if (r == -ENODATA)
			r = head_piece(s, want, &cid);
		if (r == 0)
			r = head_claim(s->store.provider, o->p.keys, have + 1,
				       &cid, e);
		if (r == -ESTALE) /* filled meanwhile: it decides nothing now */
			r = 0;
	}
	if (r == 0)
		r = heads_seen(s, want);
	if (r < 0)
		return r;
	lock_take(&o->lock);
	s->heads_given = MAX(s->heads_given, want);
	lock_drop(&o->lock);
	return 0;
}

/* One of ours tells it even where its piece is gone. */
static int check_ours(struct onboard *o, uint64_t h, const struct piece_cid *cid)
{
	uint64_t seq;
	int r = ledger_head_of(o->p.ledger, cid, &seq);

	if (r < 0)
		return r;
	return seq == h ? 0 : -EBADMSG;
}

int heads_check(struct shipper *s, uint64_t h, const struct piece_cid *cid,
		struct err *e)
{
	struct onboard *o = s->o;
	int r = check_ours(o, h, cid);

	if (r < 0 && r != -EBADMSG)
		r = head_check(s->store.provider, o->p.keys, h, cid);
	for (size_t i = 0; i < o->p.n_stores && r < 0 && r != -EBADMSG; i++)
		if (i != s->index)
			r = head_check(o->shippers[i].store.provider, o->p.keys,
				       h, cid);
	if (r != -EBADMSG)
		return r == -ECANCELED ? r : 0; /* nobody can say better */
	return err_set(e, r,
		       "%s shows another commit as number %" PRIu64
		       ": an old head under a new number",
		       provider_name(s->store.provider), h);
}

/* The newest sequence that this drive directory knows of. */
static int newest_known(struct onboard *o, uint64_t *ret)
{
	int r = ledger_get_u64(o->p.ledger, LEDGER_HEAD_SEEN, ret);

	if (r < 0 && r != -ENOENT)
		return r;
	if (r == -ENOENT)
		*ret = 0;
	lock_take(&o->lock);
	*ret = MAX(*ret, MAX(o->stats.built, o->claimed));
	lock_drop(&o->lock);
	return 0;
}

int heads_look(struct shipper *s, struct err *e)
{
	struct onboard *o = s->o;
	uint64_t now = monotonic_ms(), known, newest = 0;
	struct piece_cid cid;
	struct err why = { "" };
	bool over;
	int r;

	if (s->looked_ms && now - s->looked_ms < LOOK_MS)
		return 0;
	lock_take(&o->lock);
	over = o->superseded;
	lock_drop(&o->lock);
	if (over)
		return 0;
	r = newest_known(o, &known);
	if (r == 0)
		r = head_newest(s->store.provider, o->p.keys, known, &newest,
				&cid, e);
	if (r < 0 && r != -ENOENT && r != -ENODATA)
		return r;
	e->text[0] = '\0';
	if (r == 0 && newest > known)
		r = heads_check(s, newest, &cid, e);
	if (r == -EBADMSG || r == -ECANCELED)
		return r;
	r = compare(s, r == -ENOENT ? 0 : newest);
	if (r < 0)
		return r;
	s->looked_ms = now;
	/* What was built and claimed meanwhile is ours. */
	r = newest_known(o, &known);
	if (r == 0 && newest > known) {
		err_set(&why, 0,
			"%s has commit %" PRIu64
			", and this drive directory knows %" PRIu64
			": another device has published, or this is an older copy of the directory",
			provider_name(s->store.provider), newest, known);
		publish_superseded(o, &why);
	}
	return r;
}
