/*
 * gateway.h - single blocks from trustless gateways, when no store can give them
 *
 *   GET {gateway}/ipfs/{cid}?format=raw       Accept: application/vnd.ipld.raw
 *   GET {router}/routing/v1/providers/{cid}   who else may have it
 *
 * A provider (provider.h) that knows one verb, PROVIDER_BLOCK: the configured
 * gateways are asked one after the other, then those that the routers name (https
 * and public addresses only, unless `local`).  A block is given out only if it
 * hashes to its CID.  One that lied is not asked for ten minutes, one that failed
 * for half a minute.
 *
 * Who runs a gateway or a router learns which CIDs are asked for, when, and from
 * where; so there is none unless the user names it (docs/threat-model.md).
 *
 * Spec: https://specs.ipfs.tech/http-gateways/trustless-gateway/ (read 2026-11)
 * Threading: as provider.h says; four threads of its own wait.
 */
#ifndef PROVIDER_GATEWAY_H
#define PROVIDER_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct err;
struct http;
struct loop;
struct provider;

#define GATEWAY_CONFIGURED_MAX 8
#define GATEWAY_FOUND_MAX      16 /* remembered of those that routers named */

struct gateway_params {
	struct http *http;           /* borrowed */
	struct loop *loop;           /* borrowed */
	const char *const *gateways; /* copied */
	size_t n_gateways;
	const char *const *routers; /* copied */
	size_t n_routers;
	bool local; /* routers may name http and private addresses: a devnet */
	unsigned silence_ms; /* provider.h */
};

/* -EINVAL with the reason: a URL of another form than http(s)://host[/path]. */
must_check int gateway_new(const struct gateway_params *p,
			   struct provider **ret, struct err *reterr);

/* What gateway_new() says of one URL, for who checks a configuration. */
must_check int gateway_url_check(const char *url, struct err *reterr);

#endif
