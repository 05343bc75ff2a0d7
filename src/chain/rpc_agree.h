/*
 * rpc_agree.h - ask every node the same, and see whether they agree
 *
 * For what recovery and money decide on (balances, lists of data sets), one node's
 * word is not enough: it may lie, or be far behind.  First every endpoint is asked
 * for its block number.  Nodes differ by a block or two, so the question itself is
 * asked of one block that all of them have: what differs then is no lag.  Once more,
 * at a newer block, in case the chain was just reorganised; a difference that stays
 * is a lie, or a broken node.
 *
 *   lags    more than lag_max blocks behind the foremost: not compared
 *   ahead   in front of what the clock allows (genesis_s): a lie, not compared
 *
 * Status for `done`:
 *   0           all that were compared say the same: `result`.  n_agree may be 1: of
 *               the others nobody answered (said[].status tells why)
 *   -ENOEXEC    all say that the call reverts: `error`
 *   -EBADMSG    they disagree: said[] has what each says; err.text names two
 *   -EREMOTEIO  and others of rpc.h: nobody could say; err.text
 *
 * A request is a caller-owned struct, zeroed but for its inputs; the law of callbacks
 * is that of rpc.h.  It is too large for a stack: x_new() and x_free().
 */
#ifndef CHAIN_RPC_AGREE_H
#define CHAIN_RPC_AGREE_H

#include "chain/rpc.h"

/* The same call to every endpoint, each asked once. */
struct rpc_each {
	const char *method, *params; /* as in struct rpc_call */
	enum rpc_want want;
	uint32_t max;
	uint64_t deadline_ms;
	void *ctx;
	void (*done)(struct rpc_each *e);

	struct rpc_call calls[RPC_URLS_MAX];
	int status[RPC_URLS_MAX];
	unsigned n;

	/* private to rpc_agree.c */
	unsigned left;
	void *waiter;
};

must_check int rpc_each_start(struct rpc *r, struct rpc_each *e);
void rpc_each_cancel(struct rpc *r, struct rpc_each *e);
must_check int rpc_each_wait(struct rpc *r, struct rpc_each *e);

/* Forget the answers; the inputs stay. */
void rpc_each_fini(struct rpc_each *e);

must_check int rpc_each_new(struct rpc_each **ret); /* zeroed; -ENOMEM */
void rpc_each_free(struct rpc_each *e);

struct rpc_said {
	int status;    /* of its answer; -ESTALE: lags; -EPERM: ahead */
	uint64_t head; /* its block number */
	bool asked;    /* it has the block */
	json_t *result;
	struct rpc_error error;
	struct err err;
};

struct rpc_agree {
	const char *method;
	/* The arguments before the block, as text: "{…}" or "\"0x…\"". */
	const char *args;
	enum rpc_want want;
	uint32_t max;
	uint64_t deadline_ms; /* of each request; 0: RPC_CALL_MS */
	uint64_t lag_max;     /* blocks; 0: 10 */
	uint64_t genesis_s;   /* since 1970; 0: the clock is not asked */
	void *ctx;
	void (*done)(struct rpc_agree *a, int status);

	unsigned n; /* endpoints */
	struct rpc_said said[RPC_URLS_MAX];
	uint64_t block;   /* that the answers are of */
	unsigned n_agree; /* that say the same */
	json_t *result;   /* borrowed from one of them */
	const struct rpc_error *error;
	struct err err;

	/* private to rpc_agree.c */
	struct rpc *rpc;
	struct rpc_each each;
	unsigned round, nulls;
	char *params;
	atomic_bool cancelled;
	void *waiter;
};

must_check int rpc_agree_start(struct rpc *r, struct rpc_agree *a);
void rpc_agree_cancel(struct rpc *r, struct rpc_agree *a);
must_check int rpc_agree_wait(struct rpc *r, struct rpc_agree *a);
must_check int rpc_agree_new(struct rpc_agree **ret); /* zeroed; -ENOMEM */
void rpc_agree_free(struct rpc_agree *a);

static inline void rpc_each_freep(struct rpc_each **e)
{
	rpc_each_free(*e);
}

static inline void rpc_agree_freep(struct rpc_agree **a)
{
	rpc_agree_free(*a);
}

#define _cleanup_rpc_each_  _cleanup_(rpc_each_freep)
#define _cleanup_rpc_agree_ _cleanup_(rpc_agree_freep)

#endif
