#include "tests/component/chain/rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/retry.h"
#include "net/waiter.h"

void rig_open(struct rig *g, const char *const *argv)
{
	struct http_params p = { .per_host = 0 };
	int r;

	*g = (struct rig){ .loop = NULL };
	server_start(&g->server, argv);
	assert(g->server.port > 0 || g->server.line[0] == '{');
	r = loop_new(&g->loop);
	assert(r == 0);
	r = work_new(g->loop, 1, &g->work);
	assert(r == 0);
	p.loop = g->loop;
	p.work = g->work;
	r = http_new(&p, &g->http);
	assert(r == 0);
	r = loop_start(g->loop);
	assert(r == 0);
}

void rig_close(struct rig *g)
{
	work_free(g->work);
	loop_stop(g->loop);
	http_free(g->http);
	loop_free(g->loop);
	server_stop(&g->server);
}

int rig_set_up(void **state, const char *const *argv)
{
	struct rig *g = calloc(1, sizeof(*g));

	if (!g)
		return -1;
	rig_open(g, argv);
	*state = g;
	return 0;
}

int rig_tear_down(void **state)
{
	rig_close(*state);
	free(*state);
	return 0;
}

const char *rig_url(struct rig *g, const char *path)
{
	static char urls[16][160];
	static unsigned next;
	char *url = urls[next++ % 16];

	(void)snprintf(url, sizeof(urls[0]), "http://127.0.0.1:%d/%s",
		       g->server.port, path); /* fits */
	return url;
}

struct rpc *rig_rpc(struct rig *g, const char *const *paths, unsigned n)
{
	static const struct retry_policy backoff = { .base_ms = 20, .max_ms = 200 };
	const char *urls[RPC_URLS_MAX];
	struct rpc_params p = { .loop = g->loop,
				.http = g->http,
				.chain_id = RIG_CHAIN,
				.chain_name = "calibration",
				.urls = urls,
				.n_urls = n,
				.backoff = &backoff,
				.request_ms = g->request_ms };
	struct rpc *rpc = NULL;
	struct err e = { 0 };
	int r;

	for (unsigned i = 0; i < n; i++)
		urls[i] = rig_url(g, paths[i]);
	r = rpc_new(&p, &rpc, &e);
	assert(r == 0);
	return rpc;
}

int rig_call(struct rpc *r, struct rpc_call *c, const char *method, const char *params)
{
	c->method = method;
	c->params = params;
	return rpc_wait(r, c);
}

static void on_posted(struct http_req *req, int status)
{
	waiter_over(req->ctx, status);
}

void rig_post(struct rig *g, const char *url, const char *json)
{
	static const char *const headers[] = { "Content-Type: application/json",
					       NULL };
	struct waiter w;
	struct http_req req = { .method = HTTP_POST,
				.url = url,
				.headers = headers,
				.body = slice_str(json),
				.body_max = 1u << 20,
				.ctx = &w,
				.done = on_posted };
	int r;

	waiter_init(&w);
	r = waiter_fini(&w, http_start(g->http, &req));
	if (r < 0)
		(void)fprintf(stderr, "%s: %s\n", url, req.err.text);
	assert(r == 0);
}
