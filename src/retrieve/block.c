/* block.c - blocks by link: from the node cache, the outbox, or a store */
#include "retrieve/retrieve.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/io.h"
#include "base/log.h"
#include "crypto/seal.h"
#include "dag/piece.h"
#include "ledger/ledger.h"
#include "retrieve/internal.h"

#define RANGE_MAX     (4u << 20)  /* bytes asked for at once */
#define GAP_MAX       (64u << 10) /* bytes read for nothing to save a request */
#define FAILOVER_MS   5000 /* silence of a store while another one may have it */
#define ANSWERS_MS    1000 /* a store that is busy gives a sign of life */
#define SOURCE_OUTBOX SIZE_MAX

void want_init(struct want *w, const struct link *l)
{
	*w = (struct want){ .link = *l, .status = -EINPROGRESS };
	buf_init(&w->body, SEAL_BODY_MAX);
}

void want_fini(struct want *w)
{
	buf_fini(&w->body);
}

/* Identity links carry their bytes; nodes may be in the ledger's cache. */
static int want_local(struct retrieve *r, struct want *w)
{
	int rc;

	if (w->link.kind == LINK_IDENTITY) {
		w->status = buf_append(&w->body,
				       slice(w->link.bytes, w->link.n_inline));
		return w->status;
	}
	if (w->link.kind != LINK_SEALED) {
		w->status = -EPROTO;
		return w->status;
	}
	if (w->link.codec != LINK_DAGPB)
		return -ENOENT;
	rc = ledger_node_get(r->p.ledger, w->link.digest, &w->body);
	if (rc < 0)
		return rc;
	w->status = 0;
	return 0;
}

/* Take one section apart, verify, open. */
static int want_open(struct retrieve *r, struct want *w, struct slice section)
{
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct slice block;
	int rc;

	rc = piece_section_parse(section, digest, &block);
	if (rc == 0)
		rc = seal_open(block, w->link.key, w->link.digest,
			       SEAL_BODY_MAX, &w->body);
	if (rc < 0)
		return rc;
	w->status = 0;
	if (w->link.codec == LINK_DAGPB)
		best_effort(ledger_node_put(r->p.ledger, w->link.digest,
					    buf_slice(&w->body))); /* a cache */
	return 0;
}

/* ---- where to ask ---- */

struct sources {
	size_t v[RETRIEVE_STORES_MAX + 1];
	size_t n;
	bool away; /* somebody who may have it could not be reached */
};

static int by_health(const struct store_health *a, const struct store_health *b)
{
	if (a->failures != b->failures)
		return a->failures < b->failures ? -1 : 1;
	if (a->latency_us != b->latency_us)
		return a->latency_us < b->latency_us ? -1 : 1;
	return 0;
}

static void sources_for(struct retrieve *r, const struct ledger_piece *p,
			struct sources *ret)
{
	size_t at;

	*ret = (struct sources){ 0 };
	if (p->outbox)
		ret->v[ret->n++] = SOURCE_OUTBOX;
	lock_take(&r->lock);
	for (size_t i = 0; i < r->p.n_stores; i++) {
		for (at = ret->n; at > 0; at--) {
			if (ret->v[at - 1] == SOURCE_OUTBOX ||
			    by_health(&r->stores[ret->v[at - 1]], &r->stores[i]) <= 0)
				break;
			ret->v[at] = ret->v[at - 1];
		}
		ret->v[at] = i;
		ret->n++;
	}
	lock_drop(&r->lock);
}

/* What it does not have, and what we called off, is no failure of a store. */
static void health_note(struct retrieve *r, size_t i, int status,
			uint64_t took_us, size_t n)
{
	struct store_health *h = &r->stores[i];

	lock_take(&r->lock);
	if (status == 0 || status == -ENOENT) {
		h->failures = 0;
		h->latency_us = h->latency_us ? (h->latency_us * 7 + took_us) / 8 :
						took_us;
		r->stats.bytes_fetched += n;
	} else if (status != -ECANCELED) {
		h->failures++;
	}
	r->stats.requests++;
	lock_drop(&r->lock);
}

static void note_wrong(struct retrieve *r, size_t i, const struct ledger_piece *p,
		       uint64_t off, int rc, struct err *reterr)
{
	char cid[PIECE_CID_TEXT_MAX];
	const char *who = i == SOURCE_OUTBOX ?
				  "the outbox" :
				  provider_name(r->stores[i].store.provider);

	piece_cid_text(&p->cid, cid);
	err_set(reterr, rc, "%s gave a damaged block of piece %s", who, cid);
	lock_take(&r->lock);
	r->stats.wrong++;
	if (i != SOURCE_OUTBOX)
		r->stores[i].failures++;
	lock_drop(&r->lock);
	log_warn("%s gave a damaged block of piece %s at %" PRIu64 ": %s", who,
		 cid, off, err_str(rc));
}

/* ---- one range; a piece that is cut gives fewer bytes ---- */

struct range {
	const struct ledger_piece *piece;
	uint64_t off;
	uint8_t *dst;
	size_t n;
	unsigned limit_ms; /* of the call; 0: the store's */
	size_t got;        /* result */
};

static int get_outbox(struct retrieve *r, struct range *g)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	char name[LEDGER_OUTBOX_NAME_MAX];
	int64_t got;
	int rc;

	ledger_outbox_name(g->piece->ordinal, name);
	rc = io_open(r->p.io, name, O_RDONLY, &f);
	if (rc < 0)
		return rc;
	got = io_pread(f, g->dst, g->n, g->off);
	if (got < 0)
		return (int)got;
	g->got = (size_t)got;
	return 0;
}

void stop_now(struct stop *s)
{
	atomic_store(&s->cancelled, true);
	if (s->req)
		provider_cancel(s->provider, s->req);
}

/* Let stop_now() find what is under way; NULL: nothing is. */
static int stop_watch(struct retrieve *r, struct stop *s, struct provider *p,
		      struct provider_req *req)
{
	int rc = 0;

	if (!s)
		return 0;
	lock_take(&r->lock);
	if (req && atomic_load(&s->cancelled)) {
		rc = -ECANCELED;
	} else {
		s->provider = p;
		s->req = req;
	}
	lock_drop(&r->lock);
	return rc;
}

static int get_store(struct retrieve *r, size_t i, struct range *g,
		     struct stop *stop, struct err *reterr)
{
	struct provider *p = r->stores[i].store.provider;
	struct provider_req req = { .verb = PROVIDER_GET,
				    .cid = g->piece->cid,
				    .off = g->off,
				    .n = g->n,
				    .dst = g->dst,
				    .limit_ms = g->limit_ms };
	uint64_t began = monotonic_us();
	int rc;

	rc = stop_watch(r, stop, p, &req);
	if (rc < 0)
		return rc;
	rc = provider_call(p, &req);
	best_effort(stop_watch(r, stop, NULL, NULL)); /* cannot fail */
	if (rc == 0 && req.ret_n > g->n)
		rc = err_set(&req.err, -EBADMSG,
			     "%s gave more than was asked for", provider_name(p));
	health_note(r, i, rc, monotonic_us() - began, req.ret_n);
	if (rc < 0)
		return err_set(reterr, rc, "%s", req.err.text);
	g->got = req.ret_n;
	return 0;
}

static int get(struct retrieve *r, size_t i, struct range *g, struct stop *stop,
	       struct err *reterr)
{
	g->got = 0;
	return i == SOURCE_OUTBOX ? get_outbox(r, g) :
				    get_store(r, i, g, stop, reterr);
}

/* ---- groups of neighbours ---- */

struct group {
	struct want **w;
	size_t n;
	uint64_t off, end;
};

static struct group group_of_one(struct want **w)
{
	const struct place *p = &(*w)->link.place;

	return (struct group){ w, 1, p->off, p->off + p->len };
}

static bool settled(const struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->w[i]->status != 0)
			return false;
	return true;
}

/* Open every member that is not settled yet from the bytes that came. */
static int group_open(struct retrieve *r, const struct group *g, size_t from,
		      const struct range *got, struct err *reterr)
{
	int rc;

	for (size_t i = 0; i < g->n; i++) {
		struct want *w = g->w[i];
		uint64_t at = w->link.place.off - g->off;

		if (w->status == 0)
			continue;
		rc = -EBADMSG;
		if (at + w->link.place.len <= got->got)
			rc = want_open(r, w,
				       slice(got->dst + at, w->link.place.len));
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0)
			note_wrong(r, from, got->piece, w->link.place.off, rc,
				   reterr);
	}
	return 0;
}

/* One source, and for how long it may be waited for. */
struct turn {
	size_t from;
	unsigned limit_ms; /* 0: the store's */
};

/* Does a store behind this one answer?  Then a reader goes on to it soon. */
static struct turn turn_of(struct retrieve *r, const struct sources *s, size_t i)
{
	struct turn t = { .from = s->v[i] };

	lock_take(&r->lock);
	for (size_t k = i + 1; k < s->n && t.from != SOURCE_OUTBOX; k++) {
		const struct store_health *h = &r->stores[s->v[k]];

		if (!h->failures && provider_silence_ms(h->store.provider) < ANSWERS_MS)
			t.limit_ms = FAILOVER_MS;
	}
	lock_drop(&r->lock);
	return t;
}

/*
 * Ask one source for the range.  If it can give the range no more than in part
 * (a bad sector, an end that came early), each block is asked for by itself.
 */
static int group_ask(struct retrieve *r, const struct group *g,
		     const struct turn *t, const struct ledger_piece *p,
		     uint8_t *bytes, struct stop *stop, bool *away,
		     struct err *reterr)
{
	struct range whole = { .piece = p,
			       .off = g->off,
			       .dst = bytes,
			       .n = g->end - g->off,
			       .limit_ms = t->limit_ms };
	int rc = get(r, t->from, &whole, stop, reterr);

	if (rc == 0)
		return group_open(r, g, t->from, &whole, reterr);
	if (rc == -EREMOTEIO)
		*away = true;
	if (rc == -ECANCELED || rc == -ENOMEM)
		return rc;
	if (rc == -EREMOTEIO || rc == -ENOENT || g->n == 1)
		return 0;
	rc = 0;
	for (size_t i = 0; i < g->n && rc == 0; i++) {
		const struct group one = group_of_one(g->w + i);

		if (g->w[i]->status != 0)
			rc = group_ask(r, &one, t, p, bytes, stop, away, reterr);
	}
	return rc;
}

static int group_fetch(struct retrieve *r, const struct group *g,
		       struct stop *stop, bool *away, struct err *reterr)
{
	_cleanup_free_ uint8_t *bytes = malloc(g->end - g->off);
	struct ledger_piece p;
	struct sources s;
	int rc;

	if (!bytes)
		return -ENOMEM;
	rc = ledger_piece_get(r->p.ledger, g->w[0]->link.place.piece, &p);
	if (rc == -ENOENT)
		return 0; /* the place is stale: look-up by digest is next */
	if (rc < 0)
		return rc;
	if (g->end > p.size && g->n == 1)
		return 0; /* likewise */
	for (size_t i = 0; g->end > p.size && rc == 0; i++) {
		const struct group one = group_of_one(g->w + i);

		rc = group_fetch(r, &one, stop, away, reterr);
		if (i + 1 == g->n)
			return rc;
	}
	if (rc < 0)
		return rc;
	sources_for(r, &p, &s);
	for (size_t i = 0; i < s.n && !settled(g); i++) {
		if (stop && atomic_load(&stop->cancelled))
			return -ECANCELED;
		struct turn t = turn_of(r, &s, i);

		rc = group_ask(r, g, &t, &p, bytes, stop, away, reterr);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct want *const *x = a, *const *y = b;
	const struct place *p = &(*x)->link.place, *q = &(*y)->link.place;

	if (p->piece != q->piece)
		return p->piece < q->piece ? -1 : 1;
	return p->off < q->off ? -1 : p->off > q->off;
}

/* The longest run from w[0] that is worth one range. */
static struct group group_from(struct want **w, size_t n)
{
	const struct place *p = &w[0]->link.place;
	struct group g = { w, 1, p->off, p->off + p->len };

	for (; g.n < n; g.n++) {
		const struct place *q = &w[g.n]->link.place;

		if (q->piece != p->piece || q->off > g.end + GAP_MAX ||
		    q->off + q->len > g.off + RANGE_MAX)
			break;
		g.end = MAX(g.end, q->off + q->len);
	}
	return g;
}

static bool place_usable(const struct place *p)
{
	return p->piece != 0 && p->len != 0 &&
	       p->len <= PIECE_BLOCK_MAX + PIECE_HEAD_MAX &&
	       p->off <= PIECE_SIZE_MAX;
}

/* One pass over everything unsettled that has a usable place. */
static int pass(struct retrieve *r, struct want **open, size_t n,
		struct stop *stop, bool *away, struct err *reterr)
{
	struct group g;
	int rc = 0;

	qsort(open, n, sizeof(*open), by_place);
	for (size_t i = 0; i < n && rc == 0; i += g.n) {
		g = group_from(open + i, n - i);
		rc = group_fetch(r, &g, stop, away, reterr);
	}
	return rc;
}

/* The places of what is still open, as our own index of blocks has them. */
static size_t replace_places(struct retrieve *r, struct want **open, size_t n)
{
	struct ledger_block b;
	uint64_t ordinal;
	size_t m = 0;

	for (size_t i = 0; i < n; i++) {
		struct want *w = open[i];
		struct place *p = &w->link.place;

		if (w->status == 0 ||
		    ledger_block_find(r->p.ledger, w->link.digest, &b, &ordinal) < 0 ||
		    (p->piece == ordinal && p->off == b.off))
			continue;
		*p = (struct place){ ordinal, b.off, b.len };
		if (place_usable(p))
			open[m++] = w;
	}
	return m;
}

int wants_fetch(struct retrieve *r, struct want *w, size_t n, struct stop *stop,
		struct err *reterr)
{
	_cleanup_free_ struct want **open = calloc(n ? n : 1, sizeof(*open));
	_cleanup_free_ struct want **all = calloc(n ? n : 1, sizeof(*all));
	size_t n_open = 0, n_all = 0;
	bool away = false;
	int rc;

	if (!open || !all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		rc = want_local(r, &w[i]);
		if (rc == 0)
			continue;
		if (rc != -ENOENT)
			return rc;
		all[n_all++] = &w[i];
		if (place_usable(&w[i].link.place))
			open[n_open++] = &w[i];
	}
	rc = pass(r, open, n_open, stop, &away, reterr);
	if (rc < 0)
		return rc;
	n_all = replace_places(r, all, n_all);
	rc = pass(r, all, n_all, stop, &away, reterr);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (w[i].status < 0)
			rc = away ? -EREMOTEIO : -EBADMSG;
	if (rc == -EBADMSG && reterr && !reterr->text[0])
		return err_set(reterr, rc, "no store has the block undamaged");
	return rc;
}

int body_fetch(struct retrieve *r, const struct link *l, struct stop *stop,
	       struct buf *ret, struct err *reterr)
{
	struct want w;
	int rc;

	want_init(&w, l);
	rc = wants_fetch(r, &w, 1, stop, reterr);
	if (rc == 0)
		rc = buf_append(ret, buf_slice(&w.body));
	want_fini(&w);
	return rc;
}

int retrieve_body(struct retrieve *r, const struct link *l, struct buf *ret,
		  struct err *reterr)
{
	return body_fetch(r, l, NULL, ret, reterr);
}
