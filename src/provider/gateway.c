#include "provider/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "dag/cid.h"
#include "net/http.h"
#include "net/waiter.h"
#include "net/work.h"
#include "provider/provider.h"
#include "provider/routing.h"

#define THREADS     4
#define BLOCK_MAX   (2u << 20) /* bytes; the specification's own maximum */
#define TOTAL_MS    30000
#define IDLE_MS     10000
#define FAILED_MS   30000
#define WRONG_MS    600000
#define NEW_AT_ONCE 8 /* of those that one answer names */

/* Something below which /ipfs/ or /routing/ is. */
struct base {
	char url[ROUTING_URL_MAX];
	uint64_t not_before_ms; /* it failed, or lied */
};

struct gateway {
	struct provider provider; /* first */
	struct http *http;
	struct work *work;
	bool local;
	size_t n_configured, n_routers;
	struct lock lock;
	struct base configured[GATEWAY_CONFIGURED_MAX]; /* lock: lock; the times */
	struct base routers[GATEWAY_CONFIGURED_MAX]; /* lock: lock; likewise */
	struct base found[GATEWAY_FOUND_MAX];        /* lock: lock */
	size_t n_found, next_found;                  /* lock: lock */
};

/* One request of HTTP; req->impl points here while it is under way. */
struct asking {
	struct http_req http;
	struct waiter waiter;
	struct gateway *g;
	struct provider_req *req;
};

static struct gateway *gateway_of(struct provider *p)
{
	return container_of(p, struct gateway, provider);
}

/* ---- HTTP ---- */

static void on_done(struct http_req *h, int status)
{
	struct asking *a = h->ctx;

	lock_take(&a->g->lock);
	a->req->impl = NULL; /* nobody cancels what is over */
	lock_drop(&a->g->lock);
	waiter_over(&a->waiter, status);
}

static int fetch(struct gateway *g, struct provider_req *req, const char *url,
		 const char *accept, bool strange, struct buf *ret)
{
	const char *const headers[] = { accept, NULL };
	struct asking a = { .http = { .method = HTTP_GET,
				      .url = url,
				      .headers = headers,
				      .ret_body = ret,
				      .idle_ms = IDLE_MS,
				      .total_ms = TOTAL_MS,
				      .public_only = strange && !g->local,
				      .moved = &req->moved,
				      .ctx = NULL,
				      .done = on_done },
			    .g = g,
			    .req = req };
	int r = 0;

	waiter_init(&a.waiter);
	a.http.ctx = &a;
	lock_take(&g->lock);
	if (atomic_load(&req->cancelled))
		r = -ECANCELED;
	/* cppcheck-suppress autoVariables; on_done() takes it back */
	req->impl = &a;
	if (r == 0)
		r = http_start(g->http, &a.http);
	if (r < 0)
		req->impl = NULL;
	lock_drop(&g->lock);
	r = waiter_fini(&a.waiter, r);
	return r < 0 ? err_set(&req->err, r, "%s", a.http.err.text) : 0;
}

/* ---- one block from one base ---- */

static int get_block(struct gateway *g, struct provider_req *req,
		     const char *base, bool strange)
{
	const struct cid cid = cid_v1(CID_RAW, req->block);
	char text[CID_TEXT_MAX], url[ROUTING_URL_MAX + CID_TEXT_MAX + 32];
	uint8_t digest[HASH_SIZE];
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	cid_text(&cid, text);
	(void)snprintf(url, sizeof(url), "%s/ipfs/%s?format=raw", base, text); /* fits */
	buf_init(&b, MIN(req->n, BLOCK_MAX));
	r = fetch(g, req, url, "Accept: application/vnd.ipld.raw", strange, &b);
	if (r < 0)
		return r;
	sha256_once(buf_slice(&b), digest);
	if (!slice_eq(slice(digest, sizeof(digest)),
		      slice(req->block, sizeof(req->block)))) {
		log_warn("%s gave a block that is not %s", base, text);
		return err_set(&req->err, -EBADMSG, "%s gave another block", base);
	}
	memcpy(req->dst, b.p, b.n);
	req->ret_n = b.n;
	return 0;
}

/* Of the failures of several the one that says most; none has it: -ENOENT. */
static int worse(int a, int b)
{
	return a == -EBADMSG || b == -ENOENT ? a : b;
}

static bool is_base_of(const struct base *b, const struct base *v, size_t n)
{
	return b >= v && b < v + n;
}

/* 0: it is there; -ENOENT, -EBADMSG, -EREMOTEIO; -ECANCELED, -ENOMEM end it. */
static int try_base(struct gateway *g, struct provider_req *req, struct base *b)
{
	bool strange = is_base_of(b, g->found, GATEWAY_FOUND_MAX);
	char url[ROUTING_URL_MAX];
	bool waits;
	int r;

	lock_take(&g->lock);
	waits = monotonic_ms() < b->not_before_ms;
	text_copy(url, sizeof(url), b->url);
	lock_drop(&g->lock);
	if (waits)
		return -EREMOTEIO;
	r = get_block(g, req, url, strange);
	if (r == 0 || r == -ECANCELED || r == -ENOMEM || r == -ENOENT)
		return r;
	lock_take(&g->lock);
	if (strcmp(b->url, url) == 0) /* it may be another one by now */
		b->not_before_ms = monotonic_ms() +
				   (r == -EBADMSG ? WRONG_MS : FAILED_MS);
	lock_drop(&g->lock);
	return r == -EBADMSG ? r : -EREMOTEIO;
}

static bool ends(int r)
{
	return r == 0 || r == -ECANCELED || r == -ENOMEM;
}

static int try_all(struct gateway *g, struct provider_req *req, struct base *v,
		   size_t n, int *status)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		r = try_base(g, req, &v[i]);
		if (ends(r))
			return r;
		*status = worse(*status, r);
	}
	return -EAGAIN; /* go on */
}

/* ---- routers ---- */

struct named {
	struct gateway *g;
	struct base *v[NEW_AT_ONCE];
	size_t n;
};

static int on_found(void *ctx, const char *url)
{
	struct named *m = ctx;
	struct gateway *g = m->g;
	struct base *b = NULL;

	if (m->n == NEW_AT_ONCE)
		return 0;
	lock_take(&g->lock);
	for (size_t i = 0; i < g->n_found && !b; i++)
		if (strcmp(g->found[i].url, url) == 0)
			b = &g->found[i];
	if (!b) { /* the oldest goes */
		b = &g->found[g->next_found];
		g->next_found = (g->next_found + 1) % GATEWAY_FOUND_MAX;
		g->n_found = MIN(g->n_found + 1, GATEWAY_FOUND_MAX);
		*b = (struct base){ .not_before_ms = 0 };
		text_copy(b->url, sizeof(b->url), url);
	}
	lock_drop(&g->lock);
	m->v[m->n++] = b;
	return 0;
}

static int ask_router(struct gateway *g, struct provider_req *req,
		      struct base *b, struct named *ret)
{
	const struct cid cid = cid_v1(CID_RAW, req->block);
	char text[CID_TEXT_MAX], url[ROUTING_URL_MAX + CID_TEXT_MAX + 128];
	_cleanup_buf_ struct buf answer = { 0 };
	bool waits;
	int r;

	lock_take(&g->lock);
	waits = monotonic_ms() < b->not_before_ms;
	lock_drop(&g->lock);
	if (waits)
		return -EREMOTEIO;
	cid_text(&cid, text);
	(void)snprintf(url, sizeof(url),
		       "%s/routing/v1/providers/%s?filter-protocols=transport-ipfs-gateway-http,unknown",
		       b->url, text); /* fits */
	buf_init(&answer, ROUTING_ANSWER_MAX);
	r = fetch(g, req, url, "Accept: application/json, application/x-ndjson",
		  false, &answer);
	if (r == 0)
		r = routing_parse(buf_slice(&answer), g->local, on_found, ret);
	if (r == 0 || r == -ENOENT || r == -ECANCELED || r == -ENOMEM)
		return r; /* 404: nobody has it */
	if (!req->err.text[0])
		err_set(&req->err, r, "%s gave an answer without sense", b->url);
	lock_take(&g->lock);
	b->not_before_ms = monotonic_ms() + FAILED_MS;
	lock_drop(&g->lock);
	return -EREMOTEIO;
}

static int try_routers(struct gateway *g, struct provider_req *req, int *status)
{
	int r;

	for (size_t i = 0; i < g->n_routers; i++) {
		struct named m = { .g = g };

		r = ask_router(g, req, &g->routers[i], &m);
		if (r == -ECANCELED || r == -ENOMEM)
			return r;
		if (r < 0)
			*status = worse(*status, r);
		for (size_t k = 0; k < m.n; k++) {
			r = try_all(g, req, m.v[k], 1, status);
			if (r != -EAGAIN)
				return r;
		}
	}
	return -EAGAIN;
}

/* ---- the provider ---- */

static int find_block(struct gateway *g, struct provider_req *req)
{
	int status = -ENOENT, r;
	size_t n_found;

	r = try_all(g, req, g->configured, g->n_configured, &status);
	if (r != -EAGAIN)
		return r;
	lock_take(&g->lock);
	n_found = g->n_found;
	lock_drop(&g->lock);
	r = try_all(g, req, g->found, n_found, &status);
	if (r == -EAGAIN)
		r = try_routers(g, req, &status);
	return r == -EAGAIN ? status : r;
}

static void gateway_run(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);

	if (req->verb == PROVIDER_BLOCK && req->dst)
		req->status = find_block(gateway_of(req->provider), req);
	else
		req->status =
			err_set(&req->err, -EOPNOTSUPP,
				"a gateway gives single blocks, and keeps none");
}

static void gateway_done(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);

	req->done(req, req->status);
}

static int gateway_start(struct provider *p, struct provider_req *req)
{
	req->work.run = gateway_run;
	req->work.done = gateway_done;
	work_submit(gateway_of(p)->work, &req->work);
	return 0;
}

static void gateway_cancel(struct provider *p, struct provider_req *req)
{
	struct gateway *g = gateway_of(p);
	struct asking *a;

	lock_take(&g->lock);
	a = req->impl;
	if (a)
		http_cancel(g->http, &a->http);
	lock_drop(&g->lock);
}

static void gateway_free(struct provider *p)
{
	struct gateway *g = gateway_of(p);

	work_free(g->work);
	provider_fini(p);
	lock_fini(&g->lock);
	free(g);
}

/* It holds nothing, so there is nothing to tell it from others by. */
static const uint8_t *gateway_id(struct provider *p)
{
	static const uint8_t none[PROVIDER_ID_SIZE];

	(void)p;
	return none;
}

static const char *gateway_name(struct provider *p)
{
	(void)p;
	return "gateways";
}

static const struct provider_ops gateway_ops = {
	.start = gateway_start,
	.cancel = gateway_cancel,
	.free = gateway_free,
	.id = gateway_id,
	.name = gateway_name,
};

int gateway_url_check(const char *url, struct err *reterr)
{
	size_t n = strlen(url), scheme = 0;

	if (strncasecmp(url, "https://", 8) == 0)
		scheme = 8;
	else if (strncasecmp(url, "http://", 7) == 0)
		scheme = 7;
	if (!scheme || n == scheme || url[scheme] == '/')
		return err_set(reterr, -EINVAL,
			       "%.64s: write https://, a host and perhaps a path",
			       url);
	if (n >= ROUTING_URL_MAX)
		return err_set(reterr, -EINVAL, "a gateway's URL is too long");
	for (const char *s = url; *s; s++)
		if (*s <= ' ' || *s > '~' || strchr("?#@\\\"<>", *s))
			return err_set(reterr, -EINVAL,
				       "%.64s: a gateway's URL has no '%c'",
				       url, *s > ' ' && *s <= '~' ? *s : ' ');
	return 0;
}

static int take_urls(const char *const *urls, size_t n, struct base *to,
		     size_t *ret_n, struct err *reterr)
{
	size_t len;
	int r;

	if (n > GATEWAY_CONFIGURED_MAX)
		return err_set(reterr, -EINVAL, "more than %d gateways or routers",
			       GATEWAY_CONFIGURED_MAX);
	for (size_t i = 0; i < n; i++) {
		r = gateway_url_check(urls[i], reterr);
		if (r < 0)
			return r;
		text_copy(to[i].url, sizeof(to[i].url), urls[i]);
		for (len = strlen(to[i].url); to[i].url[len - 1] == '/'; len--)
			to[i].url[len - 1] = '\0';
	}
	*ret_n = n;
	return 0;
}

int gateway_new(const struct gateway_params *p, struct provider **ret,
		struct err *reterr)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return -ENOMEM;
	lock_init(&g->lock);
	provider_init(&g->provider, &gateway_ops, p->silence_ms);
	g->http = p->http;
	g->local = p->local;
	r = take_urls(p->gateways, p->n_gateways, g->configured,
		      &g->n_configured, reterr);
	if (r == 0)
		r = take_urls(p->routers, p->n_routers, g->routers,
			      &g->n_routers, reterr);
	if (r == 0)
		r = work_new(p->loop, THREADS, &g->work);
	if (r < 0) {
		gateway_free(&g->provider);
		return r;
	}
	*ret = &g->provider;
	return 0;
}
