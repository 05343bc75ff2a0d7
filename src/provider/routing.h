/*
 * routing.h - who has a block: answers of delegated routing
 *
 * A router (IPNI, someguy) tells for a CID who says to provide it, with addresses.
 * Of these only trustless gateways over HTTP are of use here; of such an address a
 * URL is made, below which /ipfs/{cid} is asked for.  Anybody can announce anything
 * there: what comes from such a URL is believed only when it hashes to its CID.
 *
 *   {"Providers": [{"Schema": "peer", "Addrs": ["/dns4/h/tcp/443/https"],
 *                   "Protocols": ["transport-ipfs-gateway-http"]}, …]}
 * or the records alone, one a line (ndjson).
 *
 * Spec: https://specs.ipfs.tech/routing/http-routing-v1/ (read 2026-11), multiaddr.
 * Threading: values.
 */
#ifndef PROVIDER_ROUTING_H
#define PROVIDER_ROUTING_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

#define ROUTING_ANSWER_MAX  (256u << 10) /* bytes */
#define ROUTING_RECORDS_MAX 100
#define ROUTING_ADDRS_MAX   32  /* of a record */
#define ROUTING_URL_MAX     512 /* bytes, with NUL */

/*
 * The URLs of one answer; `found` returns 0, or what ends it.  `local`: plain http,
 * too (whether an address is a public one is seen when it is connected to).
 *
 * -EPROTO, -EMSGSIZE  not an answer of a router; -ENOMEM; what `found` returned
 */
must_check int routing_parse(struct slice answer, bool local,
			     int (*found)(void *ctx, const char *url), void *ctx);

/* A multiaddr as URL without a slash at the end.  -EOPNOTSUPP: of no use here. */
must_check int routing_url(const char *multiaddr, bool local,
			   char ret[static ROUTING_URL_MAX]);

#endif
