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
static void asked(struct world *w, const char *want)
{
	char url[URL_SIZE];
	struct waiter wait;
	struct buf b;
	struct http_req req = { .url = url, .ret_body = &b, .done = on_done };

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/asked",
		       w->server.port);
	buf_init(&b, 4096);
	waiter_init(&wait);
	req.ctx = &wait;
	assert_int_equal(waiter_fini(&wait, http_start(w->http, &req)), 0);
	assert_int_equal(b.n, strlen(want));
	if (b.n)
		assert_memory_equal(b.p, want, b.n);
	buf_fini(&b);
}

static void a_block_comes_from_the_first_gateway_that_has_it(void **state)
{
	struct world *w = *state;

	open_gateway(w, "none good away", false);
	assert_int_equal(ask(w, 2u << 20), 0);
	asked(w, "none\ngood\n");
}

static void one_that_lies_is_passed_over_and_not_asked_again(void **state)
{
	struct world *w = *state;

	open_gateway(w, "lies good", false);
	assert_int_equal(ask(w, 2u << 20), 0);
	assert_int_equal(ask(w, 2u << 20), 0);
	asked(w, "lies\ngood\ngood\n");
	open_gateway(w, "lies", false);
	assert_int_equal(ask(w, 2u << 20), -EBADMSG);
	assert_int_equal(ask(w, 2u << 20), -EREMOTEIO);
	asked(w, "lies\n");
}

static void a_body_without_an_end_is_not_taken(void **state)
{
	struct world *w = *state;

	open_gateway(w, "large", false);
	assert_int_equal(ask(w, 2u << 20), -EREMOTEIO);
	open_gateway(w, "good", false);
	assert_int_equal(ask(w, 100), -EREMOTEIO); /* no room for it */
}

static void away_is_told_from_nobody_has_it(void **state)
{
	struct world *w = *state;

	open_gateway(w, "none", false);
	assert_int_equal(ask(w, 2u << 20), -ENOENT);
	open_gateway(w, "none away", false);
	assert_int_equal(ask(w, 2u << 20), -EREMOTEIO);
	asked(w, "none\nnone\naway\n");
	/* and who is away has some peace */
	assert_int_equal(ask(w, 2u << 20), -EREMOTEIO);
	asked(w, "none\n");
}

static void routers_name_others(void **state)
{
	static const char *const forms[] = { "none , json", "none , lines" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		open_gateway(w, forms[i], true);
		assert_int_equal(ask(w, 2u << 20), 0);
		asked(w, i == 0 ? "none\njson\nlies\ngood\n" :
				  "none\nlines\ngood\n");
		/* they are remembered */
		assert_int_equal(ask(w, 2u << 20), 0);
		asked(w, "none\ngood\n");
	}
}

static void a_router_that_says_nothing_of_use_is_no_end(void **state)
{
	struct world *w = *state;

	open_gateway(w, ", nonsense nobody json", true);
	assert_int_equal(ask(w, 2u << 20), 0);
	asked(w, "nonsense\nnobody\njson\nlies\ngood\n");
	open_gateway(w, ", nobody", true);
	assert_int_equal(ask(w, 2u << 20), -ENOENT);
}

static void a_router_leads_to_no_private_address(void **state)
{
	struct world *w = *state;

	open_gateway(w, ", json", false);
	assert_int_equal(ask(w, 2u << 20), -ENOENT);
	asked(w, "json\n");
}

static void it_is_asked_for_blocks_only(void **state)
{
	struct world *w = *state;
	struct provider_req req = { .verb = PROVIDER_LIST };

	open_gateway(w, "good", false);
	assert_int_equal(provider_call(w->p, &req), -EOPNOTSUPP);
	asked(w, "");
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
	asked(w, "");
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
