#include "daemon/gateways.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "chain/network.h"
#include "daemon/config.h"
#include "daemon/paystore.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/waiter.h"
#include "provider/gateway.h"
#include "provider/provider.h"

struct gateways {
	struct loop *loop;
	struct http *http;
	struct provider *provider;
	struct loop_task task;
	struct waiter waiter;
};

/* The URLs of a line; it is cut up. */
struct urls {
	char text[CONFIG_URLS_MAX];
	const char *v[GATEWAY_CONFIGURED_MAX + 1]; /* one more than is allowed */
	size_t n;
};

static void split(const char *line, struct urls *ret)
{
	char *save = NULL;

	ret->n = 0;
	text_copy(ret->text, sizeof(ret->text), line);
	for (char *s = strtok_r(ret->text, " \t", &save);
	     s && ret->n < ARRAY_LEN(ret->v); s = strtok_r(NULL, " \t", &save))
		ret->v[ret->n++] = s;
}

int gateways_check(const char *urls, struct err *reterr)
{
	struct urls u;
	int r = 0;

	if (strlen(urls) >= CONFIG_URLS_MAX)
		return err_set(reterr, -EINVAL, "the URLs have more than %d bytes",
			       CONFIG_URLS_MAX - 1);
	split(urls, &u);
	if (u.n > GATEWAY_CONFIGURED_MAX)
		return err_set(reterr, -EINVAL, "more than %d URLs",
			       GATEWAY_CONFIGURED_MAX);
	for (size_t i = 0; i < u.n && r == 0; i++)
		r = gateway_url_check(u.v[i], reterr);
	return r;
}

/* A devnet's routers and gateways are on this machine. */
static bool is_devnet(const struct config *c)
{
	_cleanup_network_url_ struct network_url u = { .copies = 0 };

	return paystore_find(c, &u, NULL) == 0 && strcmp(u.net.name, "devnet") == 0;
}

int gateways_open(const struct config *c, struct loop *loop, struct work *work,
		  struct gateways **ret, struct err *reterr)
{
	struct http_params hp = { .loop = loop, .work = work };
	struct urls gateways, routers;
	struct gateway_params p = { .loop = loop,
				    .silence_ms = (unsigned)c->store_timeout };
	struct gateways *g;
	int r;

	split(c->gateway, &gateways);
	split(c->router, &routers);
	if (gateways.n + routers.n == 0)
		return 0;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->loop = loop;
	p.gateways = gateways.v;
	p.n_gateways = gateways.n;
	p.routers = routers.v;
	p.n_routers = routers.n;
	p.local = is_devnet(c);
	r = http_new(&hp, &g->http);
	p.http = g->http;
	if (r == 0)
		r = gateway_new(&p, &g->provider, reterr);
	if (r < 0) {
		gateways_drop(g);
		return r;
	}
	*ret = g;
	return 0;
}

struct provider *gateways_provider(const struct gateways *g)
{
	return g ? g->provider : NULL;
}

static void free_http(struct loop_task *t)
{
	struct gateways *g = container_of(t, struct gateways, task);

	http_free(g->http);
	waiter_over(&g->waiter, 0);
}

void gateways_close(struct gateways *g)
{
	if (!g)
		return;
	if (!provider_free(g->provider))
		return; /* a thread that comes back needs the rest */
	waiter_init(&g->waiter);
	g->task.run = free_http;
	loop_post(g->loop, &g->task);
	best_effort(waiter_fini(&g->waiter, 0)); /* it cannot fail */
	free(g);
}

void gateways_drop(struct gateways *g)
{
	if (!g)
		return;
	(void)provider_free(g->provider); /* nothing was asked of it */
	if (g->http)
		http_free(g->http);
	free(g);
}
