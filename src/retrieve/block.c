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
#include "retrieve/fetch.h"
#include "retrieve/internal.h"

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

/* Verify, open. */
static int want_seal_open(struct retrieve *r, struct want *w, struct slice block)
{
	int rc = seal_open(block, w->link.key, w->link.digest, SEAL_BODY_MAX,
			   &w->body);

	if (rc < 0)
		return rc;
	w->status = 0;
	if (w->link.codec == LINK_DAGPB)
		best_effort(ledger_node_put(r->p.ledger, w->link.digest,
					    buf_slice(&w->body))); /* a cache */
	return 0;
}

int want_open(struct retrieve *r, struct want *w, struct slice section)
{
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct slice block;
	int rc;

	rc = piece_section_parse(section, digest, &block);
	return rc < 0 ? rc : want_seal_open(r, w, block);
}

static int by_place(const void *a, const void *b)
{
	const struct want *const *x = a, *const *y = b;
	const struct place *p = &(*x)->link.place, *q = &(*y)->link.place;

	if (p->piece != q->piece)
		return p->piece < q->piece ? -1 : 1;
	return p->off < q->off ? -1 : p->off > q->off;
}

/* What a request should be like: of the store that would be asked first. */
struct shape {
	uint64_t gap, range;
};

static struct shape shape_now(struct retrieve *r)
{
	uint64_t now = monotonic_us();
	const struct read_store *best = NULL;
	struct shape s = { RANK_GAP_MIN, RANK_RANGE_MAX };

	lock_take(&r->lock);
	for (size_t i = 0; i < r->p.n_stores; i++)
		if (!best || rank_cmp(&r->stores[i].rank, &best->rank, now, 0) < 0)
			best = &r->stores[i];
	if (best)
		s = (struct shape){ rank_gap(&best->rank), rank_range(&best->rank) };
	lock_drop(&r->lock);
	return s;
}

/* The longest run from w[0] that is worth one range. */
static struct group group_from(struct want **w, size_t n, const struct shape *s)
{
	const struct place *p = &w[0]->link.place;
	struct group g = { w, 1, p->off, p->off + p->len };

	for (; g.n < n; g.n++) {
		const struct place *q = &w[g.n]->link.place;

		if (q->piece != p->piece || q->off > g.end + s->gap ||
		    q->off + q->len > g.off + s->range)
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

/*
 * One pass over everything unsettled that has a usable place: all of its ranges at
 * once, since each costs the latency of a store.
 */
static int pass(struct retrieve *r, struct want **open, size_t n,
		struct stop *stop, bool *away, struct err *reterr)
{
	_cleanup_free_ struct group *v = calloc(n ? n : 1, sizeof(*v));
	const struct shape shape = shape_now(r);
	size_t n_groups = 0;

	if (!v)
		return -ENOMEM;
	qsort(open, n, sizeof(*open), by_place);
	for (size_t i = 0; i < n; i += v[n_groups++].n)
		v[n_groups] = group_from(open + i, n - i, &shape);
	return groups_fetch(r, v, n_groups, stop, away, reterr);
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

/* ---- the last resort ---- */

/* Let stop_now() find what is under way. */
static int gateway_call(struct retrieve *r, struct stop *stop,
			struct provider_req *req)
{
	int rc = 0;

	lock_take(&r->lock);
	if (r->gets_stop || (stop && atomic_load(&stop->cancelled)))
		rc = -ECANCELED;
	else if (stop)
		stop->req = req;
	lock_drop(&r->lock);
	if (rc < 0)
		return rc;
	rc = provider_call(r->p.gateway, req);
	lock_take(&r->lock);
	if (stop)
		stop->req = NULL;
	lock_drop(&r->lock);
	return rc;
}

/* A block that no store gave.  What a gateway gives is verified as well (I4). */
static int want_gateway(struct retrieve *r, struct want *w, struct stop *stop,
			bool *away, struct err *reterr)
{
	_cleanup_free_ uint8_t *bytes = malloc(PIECE_BLOCK_MAX);
	struct provider_req req = { .verb = PROVIDER_BLOCK,
				    .n = PIECE_BLOCK_MAX,
				    .dst = bytes };
	int rc;

	if (!bytes)
		return -ENOMEM;
	memcpy(req.block, w->link.digest, sizeof(req.block));
	rc = gateway_call(r, stop, &req);
	if (rc == -ECANCELED || rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		*away |= rc == -EREMOTEIO;
		err_set(reterr, rc, "%s", req.err.text);
		return 0;
	}
	rc = want_seal_open(r, w, slice(bytes, req.ret_n));
	if (rc == -ENOMEM)
		return rc;
	lock_take(&r->lock);
	r->stats.bytes_fetched += req.ret_n;
	r->stats.requests++;
	r->stats.gateway += rc == 0;
	r->stats.wrong += rc < 0;
	lock_drop(&r->lock);
	return 0;
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
	for (size_t i = 0; i < n && rc == 0 && r->p.gateway; i++)
		if (w[i].status < 0)
			rc = want_gateway(r, &w[i], stop, &away, reterr);
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
