#include "retrieve/get.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "ledger/ledger.h"

/* ---- life of one ---- */

static void get_unref(struct get *g)
{
	if (--g->refs)
		return;
	free(g->bytes);
	free(g);
}

static size_t size_of(const struct get *g)
{
	return (size_t)(g->end - g->off);
}

struct slice get_bytes(const struct get *g, uint64_t off, size_t n)
{
	uint64_t at = off - g->off;

	if (at >= g->got)
		return SLICE_NONE;
	return slice(g->bytes + at, MIN(n, g->got - at));
}

/* ---- the threads of a store ---- */

/* What somebody waits for goes before what is read ahead. */
static struct get *next_of(struct read_store *s)
{
	struct get *found = NULL;

	list_foreach(p, &s->queue) {
		struct get *g = container_of(p, struct get, node);

		if (!found || (found->ahead && !g->ahead))
			found = g;
		if (!found->ahead)
			break;
	}
	return found;
}

static void ask(struct retrieve *r, struct read_store *s, struct get *g)
	REQUIRES(&r->lock)
{
	struct provider *p = s->store.provider;
	size_t n = size_of(g);
	int rc = -ENOMEM;

	list_del(&g->node);
	list_push(&s->asked, &g->node);
	g->state = GET_ASKED;
	g->refs++;
	if (r->gets_stop)
		atomic_store(&g->req.cancelled, true);
	rank_begin(&s->rank, monotonic_us(), n, &g->mark);
	lock_drop(&r->lock);
	g->bytes = malloc(n);
	g->req.verb = PROVIDER_GET;
	g->req.cid = g->cid;
	g->req.off = g->off;
	g->req.n = n;
	g->req.dst = g->bytes;
	g->req.limit_ms = g->limit_ms;
	if (g->bytes)
		rc = provider_call(p, &g->req);
	if (rc == 0 && g->req.ret_n > n)
		rc = err_set(&g->req.err, -EBADMSG,
			     "%s gave more than was asked for", provider_name(p));
	lock_take(&r->lock);
	g->status = rc;
	g->got = rc == 0 ? g->req.ret_n : 0;
	g->err = g->req.err;
	g->state = GET_OVER;
	list_del(&g->node);
	list_init(&g->node);
	rank_end(&s->rank, &g->mark, monotonic_us(),
		 rc == -ENOMEM ? -ECANCELED : rc, g->got);
	r->stats.requests++;
	r->stats.bytes_fetched += g->got;
	get_unref(g);
	cond_wake_all(&r->came);
}

static void *slot(void *arg)
{
	struct read_store *s = arg;
	struct retrieve *r = s->r;
	struct get *g;

	lock_take(&r->lock);
	for (;;) {
		g = next_of(s);
		if (g) {
			ask(r, s, g);
		} else if (r->gets_stop) {
			break;
		} else {
			s->n_idle++;
			cond_wait(&s->cond, &r->lock);
			s->n_idle--;
		}
	}
	lock_drop(&r->lock);
	return NULL;
}

/* Somebody to ask; an idle one may have been woken for another range. */
static int need_slot(struct read_store *s, size_t n_queued)
{
	int rc;

	if (s->n_idle >= n_queued || s->n_slots == GET_SLOTS)
		return 0;
	rc = -pthread_create(&s->slots[s->n_slots], NULL, slot, s);
	if (rc == 0)
		s->n_slots++;
	return s->n_slots ? 0 : rc;
}

/* ---- who wants what ---- */

static bool is_for(const struct get *g, const struct get_want *w)
{
	return !w->alone && !g->alone && g->piece == w->piece->ordinal &&
	       g->n_wanting;
}

/* Under way already, all of it? */
static struct get *find_asked(struct read_store *s, const struct get_want *w)
{
	list_foreach(p, &s->asked) {
		struct get *g = container_of(p, struct get, node);

		if (is_for(g, w) && g->off <= w->off && w->off + w->n <= g->end)
			return g;
	}
	return NULL;
}

/* One that waits and can take it in; it grows. */
static struct get *find_queued(struct read_store *s, const struct get_want *w)
{
	uint64_t gap = rank_gap(&s->rank), max = rank_range(&s->rank);

	list_foreach(p, &s->queue) {
		struct get *g = container_of(p, struct get, node);
		uint64_t off = MIN(g->off, w->off);
		uint64_t end = MAX(g->end, w->off + w->n);

		if (!is_for(g, w) || end - off > MAX(max, size_of(g)) ||
		    w->off > g->end + gap || g->off > w->off + w->n + gap)
			continue;
		rank_queue(&s->rank, end - off - size_of(g));
		g->off = off;
		g->end = end;
		g->ahead &= w->ahead;
		if (!w->limit_ms || !g->limit_ms)
			g->limit_ms = 0;
		else
			g->limit_ms = MAX(g->limit_ms, w->limit_ms);
		return g;
	}
	return NULL;
}

static int queue_new(struct retrieve *r, struct read_store *s,
		     const struct get_want *w, struct get **ret)
{
	struct get *g = calloc(1, sizeof(*g));
	size_t n = 1;
	int rc;

	if (!g)
		return -ENOMEM;
	list_foreach(p, &s->queue)
		n++;
	rc = need_slot(s, n);
	if (rc < 0) {
		free(g);
		return rc;
	}
	g->r = r;
	g->store = w->store;
	g->piece = w->piece->ordinal;
	g->cid = w->piece->cid;
	g->off = w->off;
	g->end = w->off + w->n;
	g->limit_ms = w->limit_ms;
	g->ahead = w->ahead;
	g->alone = w->alone;
	list_push(&s->queue, &g->node);
	rank_queue(&s->rank, w->n);
	cond_wake_one(&s->cond);
	*ret = g;
	return 0;
}

int get_start(struct retrieve *r, const struct get_want *w, struct get **ret)
{
	struct read_store *s = &r->stores[w->store];
	struct get *g;
	int rc;

	if (r->gets_stop)
		return -ECANCELED;
	g = find_asked(s, w);
	if (!g)
		g = find_queued(s, w);
	if (!g) {
		rc = queue_new(r, s, w, &g);
		if (rc < 0)
			return rc;
	}
	g->refs++;
	g->n_wanting++;
	*ret = g;
	return 0;
}

uint64_t get_drop(struct retrieve *r, struct get *g)
{
	uint64_t idle = 0;
	struct read_store *s;

	if (!g)
		return 0;
	s = &r->stores[g->store];
	g->n_wanting--;
	if (g->n_wanting == 0 && g->state == GET_QUEUED) {
		rank_unqueue(&s->rank, size_of(g));
		list_del(&g->node);
	} else if (g->n_wanting == 0 && g->state == GET_ASKED) {
		provider_cancel(s->store.provider, &g->req);
		idle = atomic_load(&g->req.moved);
	}
	get_unref(g);
	return idle;
}

void get_stop(struct retrieve *r)
{
	lock_take(&r->lock);
	r->gets_stop = true;
	for (size_t i = 0; i < r->p.n_stores; i++) {
		struct read_store *s = &r->stores[i];

		list_foreach(p, &s->asked)
			provider_cancel(s->store.provider,
					&container_of(p, struct get, node)->req);
		cond_wake_all(&s->cond);
	}
	lock_drop(&r->lock);
	for (size_t i = 0; i < r->p.n_stores; i++) {
		struct read_store *s = &r->stores[i];

		for (unsigned k = 0; k < s->n_slots; k++)
			(void)pthread_join(s->slots[k], NULL); /* ours */
		s->n_slots = 0;
	}
}
