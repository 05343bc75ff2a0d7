#include "daemon/paystore.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "chain/network.h"
#include "daemon/config.h"

#define SCHEME "filecoin://"

bool paystore_is(const char *url)
{
	return strncmp(url, SCHEME, strlen(SCHEME)) == 0;
}

int paystore_find(const struct config *c, struct network_url *ret, struct err *reterr)
{
	for (uint64_t i = 0; i < c->n_stores; i++)
		if (paystore_is(c->stores[i]))
			return network_url_parse(c->stores[i], ret, reterr);
	return err_set(reterr, -ENOENT,
		       "this drive has no store that costs money (filecoin://…)");
}

static unsigned copies_of(const char *url)
{
	_cleanup_network_url_ struct network_url u = { .copies = 0 };

	return network_url_parse(url, &u, NULL) == 0 ? u.copies : 1;
}

unsigned paystore_places(const struct config *c)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < c->n_stores; i++)
		n += paystore_is(c->stores[i]) ? copies_of(c->stores[i]) : 1;
	return n;
}

unsigned paystore_copies(const struct config *c)
{
	unsigned n = 0;

	for (uint64_t i = 0; i < c->n_stores; i++)
		if (paystore_is(c->stores[i]))
			n += copies_of(c->stores[i]);
	return n;
}
