/*
 * rpc_impl.h - what rpc.c (calls and their endpoints) and rpc_batch.c (requests and
 * answers) share
 *
 * A call is in one of three places: `waiting` for an endpoint, in the `out` list of
 * one, or in a slot of a batch that is on its way.  All of it belongs to the loop;
 * the lock guards what other threads touch.
 */
#ifndef CHAIN_RPC_IMPL_H
#define CHAIN_RPC_IMPL_H

#include "base/buf.h"
#include "base/thread.h"
#include "chain/rpc.h"
#include "chain/rpc_endpoint.h"
#include "net/http.h"
#include "net/loop.h"

struct rpc {
	struct rpc_params p;
	char chain_name[64];
	struct retry_policy backoff;
	struct rpc_endpoint ep[RPC_URLS_MAX];
	unsigned n;
	unsigned current; /* the endpoint that was used last */
	uint64_t next_id;
	struct list waiting; /* of rpc_call.node */
	struct list live;    /* of rpc_call.live: all */
	struct list batches; /* of rpc_batch.node: on their way */
	struct loop_timer *timer;
	uint64_t look_ms; /* when it fires at the latest; 0: nobody waits */
	struct loop_task wake;
	bool again; /* the pump has new work */
	struct lock lock;
	struct cond cond;
	struct list starting; /* lock: lock; of rpc_call.node */
	bool used;            /* lock: lock; the loop knows us */
	bool woken;           /* lock: lock; `wake` is posted */
	bool closing;         /* lock: lock; rpc_free() waits */
	bool closed;          /* lock: lock; the loop has let go of us */
	struct rpc_status status[RPC_URLS_MAX]; /* lock: lock */
	uint64_t away_until_ms[RPC_URLS_MAX];   /* lock: lock */
};

struct rpc_batch {
	struct list node;
	struct rpc *rpc;
	struct rpc_endpoint *ep;
	struct http_req req;
	struct buf body, answer;
	uint64_t first_id, start_ms;
	unsigned n, n_live;
	bool probe; /* eth_chainId; calls[0] is nobody */
	struct rpc_call *calls[RPC_BATCH_MAX];
};

/* ---- rpc.c ---- */

/* The end of a call. */
void rpc_finish(struct rpc *r, struct rpc_call *call, int status);

/* A batch has come to its end: on with the calls, or with rpc_free(). */
void rpc_batch_gone(struct rpc *r);

/* ---- rpc_batch.c ---- */

/* Ask for the chain id. */
void rpc_probe(struct rpc *r, struct rpc_endpoint *e);

/* Send as much of e->out as fits into one request; at least one call. */
void rpc_send(struct rpc *r, struct rpc_endpoint *e);

/* A call that left its slot: nobody waits for the batch any more? */
void rpc_batch_left(struct rpc_batch *b);

#endif
