/*
 * network.h - which Filecoin: the networks, and the URLs of stores on them
 *
 *   filecoin://mainnet
 *   filecoin://calibration?copies=3&rpc=https://my.node/rpc/v1&rpc=https://other/
 *   filecoin://devnet?fwss=0x…&endorsements=0x…&rpc=http://127.0.0.1:5700/rpc/v1
 *
 *   copies        distinct providers that hold each piece; 1 … 8, else 2
 *   rpc           an endpoint, the preferred first; up to 8; in place of the
 *                 network's own
 *   fwss, endorsements   devnet only: its contracts (the set may be absent: then no
 *                 provider is endorsed)
 *
 * Values may be percent-encoded, and must be where they hold one of %&#+ or a space.
 * Only the FWSS proxy, the chain id and the endorsement set are built in: all other
 * contracts are asked for on chain (chain/contracts.h), since they are redeployed.
 *
 * Threading: values, and a constant table.
 */
#ifndef CHAIN_NETWORK_H
#define CHAIN_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "chain/address.h"
#include "chain/rpc.h"

struct err;

#define NETWORK_URL_MAX        4096 /* bytes */
#define NETWORK_COPIES_MAX     8
#define NETWORK_COPIES_DEFAULT 2
#define NETWORK_EPOCH_S        30 /* seconds of a block */

struct network {
	const char *name; /* as in the URL */
	uint64_t chain_id;
	bool testnet;     /* addresses begin with t; coins are worth nothing */
	const char *coin; /* "FIL" */
	struct address fwss;
	struct address endorsements; /* none: nobody is endorsed */
	uint64_t genesis_s;          /* since 1970; 0: not known */
	const char *explorer; /* before a transaction's hash; NULL: none */
	const char *rpc[4];   /* NULL at the end */
};

/* NULL: there is none of this name. */
const struct network *network_find(const char *name);

struct network_url {
	struct network net; /* with what the URL says otherwise */
	unsigned copies;
	bool has_copies; /* the URL says so */
	unsigned n_rpc;  /* that the URL names */
	char *rpc[RPC_URLS_MAX];
};

/* -EINVAL, the reason in `reterr`; -ENOMEM. */
must_check int network_url_parse(const char *url, struct network_url *ret,
				 struct err *reterr);
void network_url_fini(struct network_url *u);

/* The endpoints to use, borrowed from `u`: those of the URL, else the network's. */
unsigned network_url_rpc(const struct network_url *u,
			 const char *ret[static RPC_URLS_MAX]);

/* The one form of all that mean the same; heap.  -ENOMEM, -EMSGSIZE. */
must_check int network_url_canonical(const struct network_url *u, char **ret);

#define _cleanup_network_url_ _cleanup_(network_url_fini)

#endif
