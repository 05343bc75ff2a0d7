/* client.c - see client.h */
#include "client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8));
}

bool is_pattern(struct slice s, uint64_t first)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != pattern(first + i))
			return false;
	return true;
}

int client_begin(void)
{
	/* No proxy stands between this and 127.0.0.1; one that hangs is cut. */
	// NOLINTNEXTLINE(concurrency-mt-unsafe): no thread is there yet
	if (setenv("no_proxy", "*", 1) < 0)
		return -errno;
	(void)signal(SIGPIPE, SIG_IGN);
	log_level_set(LOG_LEVEL_ERROR);
	return 0;
}

/* ---- the server and the loop ---- */

static int set_up_with(void **state, unsigned per_host)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct http_params p = { .per_host = per_host };

	assert_non_null(f);
	lock_init(&f->lock);
	cond_init(&f->cond);
	server_start_py(&f->server, SERVER);
	assert_int_equal(loop_new(&f->loop), 0);
	p.loop = f->loop;
	assert_int_equal(work_new(f->loop, N_WORKERS, &f->work), 0);
	p.work = f->work;
	assert_int_equal(http_new(&p, &f->http), 0);
	assert_int_equal(loop_start(f->loop), 0);
	*state = f;
	return 0;
}

int set_up(void **state)
{
	return set_up_with(state, 0);
}

int set_up_two_per_host(void **state)
{
	return set_up_with(state, 2);
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	work_free(f->work);
	loop_stop(f->loop);
	http_free(f->http);
	loop_free(f->loop);
	server_stop(&f->server);
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
	return 0;
}

/* ---- requests ---- */

static void on_done(struct http_req *req, int status)
{
	struct get *g = container_of(req, struct get, req);

	lock_take(&g->f->lock);
	g->status = status;
	g->dones++;
	g->on_loop = loop_is_here(g->f->loop);
	g->f->n_done++;
	cond_wake_all(&g->f->cond);
	lock_drop(&g->f->lock);
}

void prepare(struct fixture *f, struct get *g, const char *path)
{
	*g = (struct get){ .f = f };
	(void)snprintf(g->url, sizeof(g->url), "http://127.0.0.1:%d/%s",
		       f->server.port, path);
	buf_init(&g->body, 8u << 20);
	g->req.url = g->url;
	g->req.ret_body = &g->body;
	g->req.done = on_done;
}

void wait_for(struct get *g)
{
	lock_take(&g->f->lock);
	while (!g->dones)
		cond_wait(&g->f->cond, &g->f->lock);
	lock_drop(&g->f->lock);
	assert_true(g->on_loop);
	assert_true(g->dones == 1);
	assert_true(!g->status == !g->req.err.text[0]);
}

bool is_over(struct get *g)
{
	bool over;

	lock_take(&g->f->lock);
	over = g->dones;
	lock_drop(&g->f->lock);
	return over;
}

int run(struct get *g)
{
	int r = http_start(g->f->http, &g->req);

	if (r < 0)
		return r;
	wait_for(g);
	return g->status;
}

int get(struct fixture *f, struct get *g, const char *path)
{
	prepare(f, g, path);
	return run(g);
}

void finish(struct get *g)
{
	buf_fini(&g->body);
}
