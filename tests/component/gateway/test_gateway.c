/* test_gateway.c - gateways and routers that give, lie, and are away (server.py) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/util.h"
#include "crypto/hash.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/waiter.h"
#include "net/work.h"
#include "provider/gateway.h"
#include "provider/provider.h"

#include "helper/server.h"

#define BLOCK_SIZE 10240u
#define URL_SIZE   128
#define STOOD_MS   5000 /* shorter than any patience or peace of gateway.c */

struct world {
	struct server server;
	struct loop *loop;
	struct work *work;
	struct http *http;
	struct provider *p;
	uint8_t digest[HASH_SIZE];
	uint8_t *dst;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct http_params hp = { .loop = NULL };

	assert_non_null(w);
	log_level_set(LOG_LEVEL_ERROR - 1); /* lies are announced loudly */
	server_start_py(&w->server, SERVER);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(work_new(w->loop, 1, &w->work), 0);
	hp.loop = w->loop;
	hp.work = w->work;
	assert_int_equal(http_new(&hp, &w->http), 0);
	assert_int_equal(loop_start(w->loop), 0);
	w->dst = malloc(2u << 20);
	assert_non_null(w->dst);
	for (size_t i = 0; i < BLOCK_SIZE; i++)
		w->dst[i] = (uint8_t)i;
	sha256_once(slice(w->dst, BLOCK_SIZE), w->digest);
	*state = w;
	return 0;
}

static void close_gateway(struct world *w)
{
	assert_true(provider_free(w->p));
	w->p = NULL;
}

static int teardown(void **state)
{
	struct world *w = *state;

	close_gateway(w);
	work_free(w->work);
	loop_stop(w->loop);
	http_free(w->http);
	loop_free(w->loop);
	server_stop(&w->server);
	free(w->dst);
	free(w);
	return 0;
}

/* "good lies": gateways; after a comma the routers.  Names of server.py. */
static void open_gateway(struct world *w, const char *names, bool local)
{
	char text[8][URL_SIZE], copy[128];
	const char *gateways[8], *routers[8], *url;
	struct gateway_params p = { .http = w->http,
				    .loop = w->loop,
				    .gateways = gateways,
				    .routers = routers,
				    .local = local };
	bool router = false;
	size_t n = 0;
	char *save = NULL;

	close_gateway(w);
	text_copy(copy, sizeof(copy), names);
	for (char *s = strtok_r(copy, " ", &save); s;
	     s = strtok_r(NULL, " ", &save)) {
		if (strcmp(s, ",") == 0) {
			router = true;
			continue;
		}
		url = text[n];
		(void)snprintf(text[n++], URL_SIZE, "http://127.0.0.1:%d/%s/",
			       w->server.port, s);
		if (router)
			routers[p.n_routers++] = url;
		else
			gateways[p.n_gateways++] = url;
	}
	assert_int_equal(gateway_new(&p, &w->p, NULL), 0);
}

static int ask(struct world *w, size_t n)
{
	struct provider_req req = { .verb = PROVIDER_BLOCK, .n = n, .dst = w->dst };
	int r;

	memset(w->dst, 0xee, BLOCK_SIZE);
	memcpy(req.block, w->digest, sizeof(req.block));
	r = provider_call(w->p, &req);
	if (r < 0)
		return r;
	assert_int_equal(req.ret_n, BLOCK_SIZE);
	for (size_t i = 0; i < BLOCK_SIZE; i++)
		assert_int_equal(w->dst[i], (uint8_t)i);
	return 0;
}

static void on_done(struct http_req *req, int status)
{
	waiter_over(req->ctx, status);
}

/* Who was asked since the last time, "a\nb\n". */
static void asked(struct world *w, struct buf *ret)
{
	char url[URL_SIZE];
	struct waiter wait;
	struct http_req req = { .url = url, .ret_body = ret, .done = on_done };

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/asked",
		       w->server.port);
	waiter_init(&wait);
	req.ctx = &wait;
	assert_int_equal(waiter_fini(&wait, http_start(w->http, &req)), 0);
}

static void nobody_was_asked(struct world *w)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, 4096);
	asked(w, &b);
	assert_int_equal(b.n, 0);
}

/* One question, what comes of it, and who was asked for it. */
struct step {
	const char *open; /* as open_gateway(); NULL: the same again */
	bool local;
	size_t n; /* room for the block; 0: as much as it may need */
	int want;
	const char *asked;
};

static bool does(struct world *w, const struct step *s, uint64_t began)
{
	_cleanup_buf_ struct buf b = { 0 };
	int got;
	bool is;

	if (s->open)
		open_gateway(w, s->open, s->local);
	got = ask(w, s->n ? s->n : 2u << 20);
	buf_init(&b, 4096);
	asked(w, &b);
	is = got == s->want && slice_eq(buf_slice(&b), slice_str(s->asked));
	if (!is && monotonic_ms() - began < STOOD_MS)
		fail_msg("%s: %d, asked %.*s", s->open ? s->open : "again", got,
			 (int)b.n, b.n ? (const char *)b.p : "");
	return is;
}

/* All again, with another server, if this machine stood still: who was away is asked
 * anew after a while, and who is silent for as long is away. */
static void play(struct world *w, const struct step *v, size_t n)
{
	uint64_t began = monotonic_ms();
	size_t i = 0;

	while (i < n) {
		if (does(w, &v[i], began)) {
			i++;
			continue;
		}
		server_stop(&w->server);
		server_start_py(&w->server, SERVER);
		began = monotonic_ms();
		i = 0;
	}
}

static void a_block_comes_from_the_first_gateway_that_has_it(void **state)
{
	static const struct step v[] = {
		{ .open = "none good away", .asked = "none\ngood\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void one_that_lies_is_passed_over_and_not_asked_again(void **state)
{
	static const struct step v[] = {
		{ .open = "lies good", .asked = "lies\ngood\n" },
		{ .asked = "good\n" },
		{ .open = "lies", .want = -EBADMSG, .asked = "lies\n" },
		{ .want = -EREMOTEIO, .asked = "" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void a_body_without_an_end_is_not_taken(void **state)
{
	static const struct step v[] = {
		{ .open = "large", .want = -EREMOTEIO, .asked = "large\n" },
		/* no room for it */
		{ .open = "good", .n = 100, .want = -EREMOTEIO, .asked = "good\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void away_is_told_from_nobody_has_it(void **state)
{
	static const struct step v[] = {
		{ .open = "none", .want = -ENOENT, .asked = "none\n" },
		{ .open = "none away", .want = -EREMOTEIO, .asked = "none\naway\n" },
		/* and who is away has some peace */
		{ .want = -EREMOTEIO, .asked = "none\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void routers_name_others(void **state)
{
	static const struct step v[] = {
		{ .open = "none , json",
		  .local = true,
		  .asked = "none\njson\nlies\ngood\n" },
		{ .asked = "none\ngood\n" }, /* they are remembered */
		{ .open = "none , lines", .local = true, .asked = "none\nlines\ngood\n" },
		{ .asked = "none\ngood\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void a_router_that_says_nothing_of_use_is_no_end(void **state)
{
	static const struct step v[] = {
		{ .open = ", nonsense nobody json",
		  .local = true,
		  .asked = "nonsense\nnobody\njson\nlies\ngood\n" },
		{ .open = ", nobody", .local = true, .want = -ENOENT, .asked = "nobody\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void a_router_leads_to_no_private_address(void **state)
{
	static const struct step v[] = {
		{ .open = ", json", .want = -ENOENT, .asked = "json\n" },
	};

	play(*state, v, ARRAY_LEN(v));
}

static void it_is_asked_for_blocks_only(void **state)
{
	struct world *w = *state;
	struct provider_req req = { .verb = PROVIDER_LIST };

	open_gateway(w, "good", false);
	assert_int_equal(provider_call(w->p, &req), -EOPNOTSUPP);
	nobody_was_asked(w);
}

static void what_is_called_off_ends_at_once(void **state)
{
	struct world *w = *state;
	struct provider_req req = { .verb = PROVIDER_BLOCK, .n = 100, .dst = w->dst };

	open_gateway(w, "good", false);
	provider_cancel(w->p, &req);
	assert_int_equal(provider_call(w->p, &req), -ECANCELED);
	provider_stop(w->p);
	req = (struct provider_req){ .verb = PROVIDER_BLOCK, .n = 100, .dst = w->dst };
	assert_int_equal(provider_call(w->p, &req), -ECANCELED);
	nobody_was_asked(w);
}

static void urls_have_one_form(void **state)
{
	(void)state;
	assert_int_equal(gateway_url_check("https://a.example", NULL), 0);
	assert_int_equal(gateway_url_check("http://127.0.0.1:8080/x", NULL), 0);
	assert_int_equal(gateway_url_check("ftp://a", NULL), -EINVAL);
	assert_int_equal(gateway_url_check("https://", NULL), -EINVAL);
	assert_int_equal(gateway_url_check("https:///x", NULL), -EINVAL);
	assert_int_equal(gateway_url_check("https://u@a", NULL), -EINVAL);
	assert_int_equal(gateway_url_check("https://a?b", NULL), -EINVAL);
	assert_int_equal(gateway_url_check("https://a b", NULL), -EINVAL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_block_comes_from_the_first_gateway_that_has_it),
		T(one_that_lies_is_passed_over_and_not_asked_again),
		T(a_body_without_an_end_is_not_taken),
		T(away_is_told_from_nobody_has_it),
		T(routers_name_others),
		T(a_router_that_says_nothing_of_use_is_no_end),
		T(a_router_leads_to_no_private_address),
		T(it_is_asked_for_blocks_only),
		T(what_is_called_off_ends_at_once),
		cmocka_unit_test(urls_have_one_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
