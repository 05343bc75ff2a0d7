/*
 * rpc_endpoint.h - one node of several: its state, its score (internal to rpc*.c)
 *
 * Threading: the loop's.
 */
#ifndef CHAIN_RPC_ENDPOINT_H
#define CHAIN_RPC_ENDPOINT_H

#include "chain/rpc.h"
#include "net/retry.h"

struct rpc_endpoint {
	unsigned index;
	char *url;
	char name[RPC_NAME_MAX];
	enum rpc_state state;
	struct retry retry;     /* its failures in a row */
	uint64_t away_until_ms; /* monotonic; 0: not away */
	uint64_t latency_ms;    /* mean, ×8 */
	unsigned batch_max;     /* calls that it takes at once */
	uint64_t n_good, n_failed;
	struct list out; /* of rpc_call.node: to be sent, once it is OK */
	int last;        /* why it is away */
	struct err err;
};

/* -EINVAL: not an http or https URL with a host. */
must_check int rpc_endpoint_init(struct rpc_endpoint *e, unsigned index,
				 const char *url,
				 const struct retry_policy *backoff);
void rpc_endpoint_fini(struct rpc_endpoint *e);

/* It answered, in so many ms. */
void rpc_endpoint_good(struct rpc_endpoint *e, uint64_t took_ms);

/* It did not: it is away for a while.  `r` -errno, `why` is a sentence with its
 * name. */
void rpc_endpoint_bad(struct rpc_endpoint *e, int r, uint64_t retry_after_s,
		      const char *why);

bool rpc_endpoint_usable(const struct rpc_endpoint *e, uint64_t now_ms);

/* Lower is better. */
uint64_t rpc_endpoint_score(const struct rpc_endpoint *e);

#endif
