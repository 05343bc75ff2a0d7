/* engine_stores.c - the stores of the config become providers */
#include "daemon/engine_impl.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "daemon/drive.h"
#include "daemon/netstores.h"
#include "ledger/ledger.h"
#include "provider/provider.h"

/* One store of the config: its slots' URLs. */
static int add_urls(struct engine *e, const char *url, size_t *n, struct err *reterr)
{
	unsigned slots = 1;
	int r = 0;

	if (netstores_is(url))
		r = netstores_count(url, &slots, reterr);
	for (unsigned i = 0; i < slots && r == 0; i++) {
		if (*n == CONFIG_STORES_MAX)
			return err_set(reterr, -EINVAL,
				       "more than %d stores, each copy on a network counted",
				       CONFIG_STORES_MAX);
		if (netstores_is(url))
			r = netstores_name(url, i, &e->urls[*n]);
		else
			e->urls[*n] = strdup(url);
		if (r == 0 && !e->urls[*n])
			r = -ENOMEM;
		*n += r == 0;
	}
	return r;
}

static int open_dir(struct engine *e, size_t i, struct err *reterr)
{
	_cleanup_free_ struct ledger_store *row = malloc(sizeof(*row));
	struct provider_params p = {
		.url = e->urls[i],
		.loop = e->loop,
		.silence_ms = (unsigned)e->drive->config.store_timeout,
	};
	int r = row ? ledger_store_get(e->ledger, e->ids[i], row) : -ENOMEM;

	if (r < 0)
		return r;
	p.id = row->has_ident ? row->ident : NULL;
	p.create = !row->has_ident;
	return provider_new(&p, &e->providers[i], reterr);
}

/* One store of the config becomes providers, from the next on. */
static int open_store(struct engine *e, const char *url, struct err *reterr)
{
	struct netstores_params p = { .loop = e->loop,
				      .ledger = e->ledger,
				      .url = url };
	struct netstores *net;
	unsigned slots = 0;
	int r;

	if (!netstores_is(url)) {
		r = open_dir(e, e->n_stores, reterr);
		e->n_stores += r == 0;
		return r;
	}
	r = netstores_params_of(e->drive, &p, reterr);
	if (r == 0)
		r = netstores_new(&p, &e->nets[e->n_nets], reterr);
	if (r == 0)
		r = netstores_count(url, &slots, reterr);
	if (r < 0)
		return r;
	net = e->nets[e->n_nets++];
	for (unsigned i = 0; i < slots && r == 0; i++) {
		r = netstores_slot(net, i, e->ids[e->n_stores],
				   &e->providers[e->n_stores], reterr);
		e->n_stores += r == 0;
	}
	return r;
}

int engine_stores_open(struct engine *e, struct err *reterr)
{
	const struct config *c = &e->drive->config;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < c->n_stores && r == 0; i++)
		r = add_urls(e, c->stores[i], &n, reterr);
	if (r == 0)
		r = ledger_stores_set(e->ledger, (const char *const *)e->urls,
				      n, e->ids);
	for (size_t i = 0; i < c->n_stores && r == 0; i++)
		r = open_store(e, c->stores[i], reterr);
	return r;
}
