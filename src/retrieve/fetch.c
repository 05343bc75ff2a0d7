#include "retrieve/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/io.h"
#include "base/log.h"
#include "ledger/ledger.h"
#include "net/retry.h"
#include "retrieve/get.h"

#define FAILOVER_MS   5000 /* silence of a store while another one may have it */
#define ANSWERS_MS    1000 /* a store that is busy gives a sign of life */
#define SOURCE_OUTBOX SIZE_MAX
#define TRIES         2 /* of one group at a time */
#define NEVER         UINT64_MAX
#define AGAIN_US      20000

/* One store that was asked for a group. */
struct
try {
	struct get *get; /* NULL: none */
	size_t from;
};

struct fetch {
	struct group g;
	struct ledger_piece piece;
	size_t v[RETRIEVE_STORES_MAX + 1]; /* sources in order */
	size_t n, n_holding; /* the first n_holding are said to have it */
	size_t next;
	struct try tries[TRIES];
	uint64_t late_us; /* the next is asked beside it; NEVER */
	bool hedged;      /* two were asked at once, and that is charged for */
	bool done;
};

/* What all functions here share. */
struct run {
	struct retrieve *r;
	struct fetch *v;
	size_t n;
	struct stop *stop;
	bool *away;
	struct err *err;
};

static bool settled(const struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->w[i]->status != 0)
			return false;
	return true;
}

static bool cancelled(const struct run *u)
{
	return u->stop && atomic_load(&u->stop->cancelled);
}

void stop_now(struct retrieve *r, struct stop *s)
{
	atomic_store(&s->cancelled, true);
	if (s->req)
		provider_cancel(r->p.gateway, s->req);
	cond_wake_all(&r->came);
}

/* ---- where to ask ---- */

struct holders {
	struct retrieve *r;
	uint32_t mask; /* bit i: store i is said to have it */
};

static int on_placement(void *ctx, const struct ledger_placement *p)
{
	struct holders *h = ctx;

	if (p->state != LEDGER_STORED && p->state != LEDGER_VERIFIED &&
	    p->state != LEDGER_LISTED && p->state != LEDGER_PARKED)
		return 0;
	for (size_t i = 0; i < h->r->p.n_stores; i++)
		if (h->r->stores[i].store.id == p->store)
			h->mask |= 1u << i;
	return 0;
}

/* Is store a asked before store b? */
static bool goes_first(struct retrieve *r, const struct holders *h, size_t a,
		       size_t b, uint64_t now, uint64_t n)
{
	bool x = h->mask >> a & 1, y = h->mask >> b & 1;

	if (x != y)
		return x;
	return rank_cmp(&r->stores[a].rank, &r->stores[b].rank, now, n) < 0;
}

/* Those that hold it by rank, then the others: the ledger may not know all. */
static int order_sources(struct retrieve *r, struct fetch *f)
{
	struct holders h = { .r = r };
	uint64_t now = monotonic_us(), n = f->g.end - f->g.off;
	size_t at, first;
	int rc;

	rc = ledger_placements(r->p.ledger, f->piece.ordinal, on_placement, &h);
	if (rc < 0)
		return rc;
	if (f->piece.outbox)
		f->v[f->n++] = SOURCE_OUTBOX;
	first = f->n_holding = f->n;
	lock_take(&r->lock);
	for (size_t i = 0; i < r->p.n_stores; i++) {
		for (at = f->n; at > first; at--) {
			if (!goes_first(r, &h, i, f->v[at - 1], now, n))
				break;
			f->v[at] = f->v[at - 1];
		}
		f->v[at] = i;
		f->n++;
		f->n_holding += h.mask >> i & 1;
	}
	lock_drop(&r->lock);
	return 0;
}

/* Does a store behind this one answer?  Then a reader goes on to it soon. */
static unsigned limit_of(struct retrieve *r, const struct fetch *f)
	REQUIRES(&r->lock)
{
	uint64_t now = monotonic_us();

	for (size_t k = f->next; k < f->n; k++) {
		const struct read_store *s = &r->stores[f->v[k]];

		if (!rank_is_bad(&s->rank, now) &&
		    provider_silence_ms(s->store.provider) < ANSWERS_MS)
			return FAILOVER_MS;
	}
	return 0;
}

/* ---- what came ---- */

/*
 * The copy is not what it was when it was read back: the shipper of that store
 * reads it again, and puts it anew if it has to.
 */
static void doubt(struct retrieve *r, size_t i, const struct ledger_piece *p,
		  const char *why)
{
	uint64_t store = r->stores[i].store.id;

	/* If the ledger fails, it is said again when it is read again. */
	if (ledger_placement_doubt(r->p.ledger, p->ordinal, store, why) == 1 &&
	    r->p.doubted)
		r->p.doubted(r->p.ctx, store, p->ordinal);
}

static void note_wrong(const struct run *u, size_t from, const struct fetch *f,
		       uint64_t off, int rc)
{
	struct retrieve *r = u->r;
	char cid[PIECE_CID_TEXT_MAX];
	const char *who = from == SOURCE_OUTBOX ?
				  "the outbox" :
				  provider_name(r->stores[from].store.provider);

	piece_cid_text(&f->piece.cid, cid);
	err_set(u->err, rc, "%s gave a damaged block of piece %s", who, cid);
	lock_take(&r->lock);
	r->stats.wrong++;
	if (from != SOURCE_OUTBOX)
		rank_wrong(&r->stores[from].rank, monotonic_us());
	lock_drop(&r->lock);
	if (from != SOURCE_OUTBOX)
		doubt(r, from, &f->piece, "it gave a damaged block");
	log_warn("%s gave a damaged block of piece %s at %" PRIu64 ": %s", who,
		 cid, off, err_str(rc));
}

static void note_missing(const struct run *u, size_t from, const struct fetch *f)
{
	char cid[PIECE_CID_TEXT_MAX];

	piece_cid_text(&f->piece.cid, cid);
	err_set(u->err, -ENOENT, "%s does not have piece %s",
		provider_name(u->r->stores[from].store.provider), cid);
	doubt(u->r, from, &f->piece, "it does not have it any more");
}

/* Open every member that is not settled yet from bytes that begin at `off`. */
static int open_all(const struct run *u, const struct fetch *f, size_t from,
		    uint64_t off, struct slice bytes)
{
	for (size_t i = 0; i < f->g.n; i++) {
		struct want *w = f->g.w[i];
		uint64_t at = w->link.place.off - off;
		int rc = -EBADMSG;

		if (w->status == 0)
			continue;
		if (at + w->link.place.len <= bytes.n)
			rc = want_open(u->r, w,
				       slice(bytes.p + at, w->link.place.len));
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0)
			note_wrong(u, from, f, w->link.place.off, rc);
	}
	return 0;
}

/* Of what a source said: may it have it, and just not be reached? */
static bool is_away(int rc)
{
	return rc == -EREMOTEIO || retry_worthwhile(rc);
}

/* ---- one block at a time ---- */

static int wait_for(const struct run *u, const struct get *g) REQUIRES(&u->r->lock)
{
	while (g->state != GET_OVER) {
		if (cancelled(u))
			return -ECANCELED;
		cond_wait(&u->r->came, &u->r->lock);
	}
	return 0;
}

static int ask_alone(const struct run *u, struct fetch *f, struct want *w, size_t from)
{
	const struct place *at = &w->link.place;
	const struct get_want want = { .store = from,
				       .piece = &f->piece,
				       .off = at->off,
				       .n = at->len,
				       .alone = true };
	struct want *one[1] = { w };
	struct fetch single = { .g = { one, 1, at->off, at->off + at->len },
				.piece = f->piece };
	struct get *g = NULL;
	int rc;

	lock_take(&u->r->lock);
	rc = get_start(u->r, &want, &g);
	if (rc == 0)
		rc = wait_for(u, g);
	lock_drop(&u->r->lock);
	if (rc == 0 && g->status == 0)
		rc = open_all(u, &single, from, at->off,
			      get_bytes(g, at->off, at->len));
	else if (rc == 0 && g->status == -ENOMEM)
		rc = g->status;
	else if (rc == 0)
		*u->away |= is_away(g->status);
	lock_take(&u->r->lock);
	u->r->stats.wasted += get_drop(u->r, g);
	lock_drop(&u->r->lock);
	return rc;
}

/*
 * The source can give the range no more than in part (a bad sector, an end that
 * came early): each block is asked for by itself.
 */
static int ask_each(const struct run *u, struct fetch *f, size_t from)
{
	int rc = 0;

	for (size_t i = 0; i < f->g.n && rc == 0; i++)
		if (f->g.w[i]->status != 0)
			rc = ask_alone(u, f, f->g.w[i], from);
	return rc;
}

/* ---- the outbox ---- */

static int read_outbox(const struct run *u, const struct fetch *f, uint64_t off,
		       uint8_t *dst, size_t n, size_t *ret_n)
{
	_cleanup_io_file_ struct io_file *file = NULL;
	char name[LEDGER_OUTBOX_NAME_MAX];
	int64_t got;
	int rc;

	ledger_outbox_name(f->piece.ordinal, name);
	rc = io_open(u->r->p.io, name, O_RDONLY, &file);
	if (rc < 0)
		return rc;
	got = io_pread(file, dst, n, off);
	if (got < 0)
		return (int)got;
	*ret_n = (size_t)got;
	return 0;
}

static int try_outbox(const struct run *u, struct fetch *f)
{
	size_t n = f->g.end - f->g.off, got = 0;
	_cleanup_free_ uint8_t *bytes = malloc(n);
	int rc;

	if (!bytes)
		return -ENOMEM;
	rc = read_outbox(u, f, f->g.off, bytes, n, &got);
	if (rc == 0)
		return open_all(u, f, SOURCE_OUTBOX, f->g.off, slice(bytes, got));
	if (rc == -ENOMEM || f->g.n == 1 || rc == -ENOENT)
		return rc == -ENOMEM ? rc : 0;
	for (size_t i = 0; i < f->g.n; i++) {
		const struct place *at = &f->g.w[i]->link.place;
		struct fetch one = *f;

		one.g = (struct group){ f->g.w + i, 1, at->off, at->off + at->len };
		if (read_outbox(u, f, at->off, bytes, at->len, &got) < 0)
			continue;
		rc = open_all(u, &one, SOURCE_OUTBOX, at->off, slice(bytes, got));
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- stores ---- */

static struct try *free_try(struct fetch *f)
{
	for (size_t i = 0; i < TRIES; i++)
		if (!f->tries[i].get)
			return &f->tries[i];
	return NULL;
}

static bool is_asking(const struct fetch *f)
{
	for (size_t i = 0; i < TRIES; i++)
		if (f->tries[i].get)
			return true;
	return false;
}

static int ask_next(const struct run *u, struct fetch *f) REQUIRES(&u->r->lock)
{
	size_t from = f->v[f->next++], n = f->g.end - f->g.off;
	const struct get_want want = { .store = from,
				       .piece = &f->piece,
				       .off = f->g.off,
				       .n = n,
				       .limit_ms = limit_of(u->r, f),
				       .ahead = u->stop && u->stop->ahead };
	uint64_t now = monotonic_us();
	struct try *t = free_try(f);
	uint64_t late = rank_late_us(&u->r->stores[from].rank, now, n);
	int rc;

	rc = get_start(u->r, &want, &t->get);
	if (rc < 0)
		return rc;
	t->from = from;
	f->late_us = f->next < f->n_holding ? now + late : NEVER;
	return 0;
}

/* Is it late, and are there bytes to spare? */
static int hedge(const struct run *u, struct fetch *f, uint64_t now)
	REQUIRES(&u->r->lock)
{
	size_t n = f->g.end - f->g.off;

	if (f->late_us > now || !free_try(f) || f->next >= f->n_holding)
		return 0;
	if (u->r->hedge_bytes < n ||
	    rank_is_bad(&u->r->stores[f->v[f->next]].rank, now)) {
		f->late_us = now + AGAIN_US; /* there may be by then */
		return 0;
	}
	u->r->hedge_bytes -= n;
	u->r->stats.hedged++;
	f->hedged = true;
	return ask_next(u, f);
}

static void drop_try(const struct run *u, struct fetch *f, struct try *t)
	REQUIRES(&u->r->lock)
{
	uint64_t n = f->g.end - f->g.off;
	bool over = t->get->state == GET_OVER;
	uint64_t came = get_drop(u->r, t->get);

	came = MIN(came, n);
	/* What was called off in time was not asked for twice. */
	if (!over && f->hedged)
		u->r->hedge_bytes = MIN(u->r->hedge_bytes + n - came, HEDGE_MOST);
	f->hedged &= over;
	u->r->stats.wasted += came;
	t->get = NULL;
}

static void drop_all(const struct run *u, struct fetch *f) REQUIRES(&u->r->lock)
{
	for (size_t i = 0; i < TRIES; i++)
		if (f->tries[i].get)
			drop_try(u, f, &f->tries[i]);
}

/* One that is over: open what it gave.  Called without the lock. */
static int take(const struct run *u, struct fetch *f, struct try *t)
{
	const struct get *g = t->get;
	bool whole = g->off == f->g.off && g->end == f->g.end;

	if (g->status == 0)
		return open_all(u, f, t->from, f->g.off,
				get_bytes(g, f->g.off, f->g.end - f->g.off));
	if (g->status == -ENOMEM)
		return g->status;
	if (g->status == -ECANCELED) {
		*u->away = true; /* the retriever is being stopped */
		return 0;
	}
	if (g->status == -ENOENT)
		note_missing(u, t->from, f);
	err_set(u->err, g->status, "%s", g->err.text);
	if (is_away(g->status)) {
		*u->away = true;
		return 0;
	}
	if (g->status == -ENOENT || (f->g.n == 1 && whole))
		return 0;
	return ask_each(u, f, t->from);
}

/* Everything that can be done now without waiting. */
static int step(const struct run *u, struct fetch *f)
{
	struct retrieve *r = u->r;
	struct try *t = NULL;
	int rc = 0;

	lock_take(&u->r->lock);
	for (size_t i = 0; i < TRIES; i++)
		if (f->tries[i].get && f->tries[i].get->state == GET_OVER)
			t = &f->tries[i];
	if (!t && is_asking(f)) {
		rc = hedge(u, f, monotonic_us());
		lock_drop(&u->r->lock);
		return rc;
	}
	lock_drop(&u->r->lock);
	if (t)
		rc = take(u, f, t);
	else if (f->next < f->n && f->v[f->next] == SOURCE_OUTBOX && f->next++ == 0)
		rc = try_outbox(u, f);
	if (rc < 0)
		return rc;
	lock_take(&u->r->lock);
	if (t && t->get->status == 0)
		r->hedge_bytes =
			MIN(r->hedge_bytes + (f->g.end - f->g.off) / HEDGE_SHARE,
			    HEDGE_MOST);
	if (t)
		drop_try(u, f, t);
	if (settled(&f->g)) {
		drop_all(u, f);
		f->done = true;
	} else if (!is_asking(f)) {
		f->done = f->next == f->n;
		if (!f->done)
			rc = ask_next(u, f);
	}
	lock_drop(&u->r->lock);
	return rc;
}

/* ---- all of them ---- */

/* Until one is over, or late. */
static void rest(const struct run *u)
{
	struct retrieve *r = u->r;
	uint64_t until = NEVER;
	bool wait = true;

	lock_take(&r->lock);
	if (u->stop && u->stop->leaves && !u->stop->asked) {
		u->stop->asked = true;
		if (!list_empty(&r->jobs)) /* read-ahead may follow now */
			cond_wake_all(&r->cond);
	}
	for (size_t i = 0; i < u->n; i++) {
		const struct fetch *f = &u->v[i];

		for (size_t k = 0; k < TRIES && !f->done; k++)
			wait &= !f->tries[k].get ||
				f->tries[k].get->state != GET_OVER;
		if (!f->done && !(f->tries[0].get && f->tries[1].get))
			until = MIN(until, f->late_us);
	}
	if (wait && !cancelled(u)) {
		if (until == NEVER)
			cond_wait(&r->came, &r->lock);
		else
			(void)cond_wait_until_ms(&r->came, &r->lock,
						 until / 1000 + 1);
	}
	lock_drop(&r->lock);
}

static int run(const struct run *u)
{
	size_t open = 1;
	int rc = 0;

	while (open && rc == 0) {
		open = 0;
		for (size_t i = 0; i < u->n && rc == 0; i++) {
			if (u->v[i].done)
				continue;
			rc = cancelled(u) ? -ECANCELED : step(u, &u->v[i]);
			open += !u->v[i].done;
		}
		if (open && rc == 0)
			rest(u);
	}
	lock_take(&u->r->lock);
	for (size_t i = 0; i < u->n; i++)
		drop_all(u, &u->v[i]);
	lock_drop(&u->r->lock);
	return rc;
}

/* A place behind the end of its piece is stale: look-up by digest is next. */
static int add(struct run *u, const struct group *g, const struct ledger_piece *p)
{
	struct fetch *f = &u->v[u->n];

	if (g->end > p->size)
		return 0;
	*f = (struct fetch){ .g = *g, .piece = *p, .late_us = NEVER };
	u->n++;
	return order_sources(u->r, f);
}

int groups_fetch(struct retrieve *r, const struct group *v, size_t n,
		 struct stop *stop, bool *away, struct err *reterr)
{
	_cleanup_free_ struct fetch *fetches = NULL;
	struct run u = { .r = r, .stop = stop, .away = away, .err = reterr };
	size_t n_wants = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		n_wants += v[i].n;
	fetches = calloc(MAX(n_wants, 1), sizeof(*fetches));
	if (!fetches)
		return -ENOMEM;
	u.v = fetches;
	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct group *g = &v[i];
		struct ledger_piece p;

		rc = ledger_piece_get(r->p.ledger, g->w[0]->link.place.piece, &p);
		if (rc == -ENOENT) {
			rc = 0; /* likewise */
			continue;
		}
		if (rc == 0 && g->end <= p.size)
			rc = add(&u, g, &p);
		for (size_t k = 0; k < g->n && rc == 0 && g->end > p.size; k++) {
			const struct place *at = &g->w[k]->link.place;
			const struct group one = { g->w + k, 1, at->off,
						   at->off + at->len };

			rc = add(&u, &one, &p);
		}
	}
	return rc < 0 ? rc : run(&u);
}
