/*
 * rpc.h - JSON-RPC 2.0 calls to one chain through several nodes
 *
 * A call is a caller-owned struct, zeroed but for its inputs, and stays valid until
 * its `done`.  Law of callbacks: if rpc_start() returns an error, `done` is never
 * called; otherwise exactly once, on the loop thread, never from inside
 * rpc_start(); rpc_cancel() still leads to one `done`, with -ECANCELED or what had
 * happened by then, and may come before the start.  rpc_wait() is the same for
 * threads that may wait.
 *
 * Endpoints.  Each is asked eth_chainId before anything else, again after it was
 * away; one of another chain is refused for good.  A call goes to the endpoint with
 * the best score (latency, and the order in which they were given; never switched
 * for little).  One that fails, is busy or answers nonsense is left alone for a
 * while that doubles (or as long as its Retry-After says; one that hung, no shorter
 * than that took), and the call goes to the next.  A call ends when one answered, when all that can be asked have said that
 * they cannot, or with its deadline.
 *
 *   UNKNOWN ──probe──► ASKING ──right──► OK ──failed──► UNKNOWN, away until …
 *                        └────wrong chain────► REFUSED
 *
 * Calls that are started together travel together in one array, unless the endpoint
 * has refused arrays: then in halves, down to one.
 *
 * Every answer is checked: it repeats our id once, has a result of the wanted type
 * and size or an error, and all of it is bounded.
 *
 *   0            result
 *   -ENOEXEC     the call reverted: error.data, error.message
 *   -EBADE       the node refused it: error.message
 *   -EOPNOTSUPP  no node knows the method
 *   -EREMOTEIO   no node could be reached, or all are in trouble
 *   -EAGAIN      all are busy
 *   -ETIMEDOUT   the deadline passed
 *   -EPROTO      nonsense from the last that was asked
 *   -EMSGSIZE    an answer over its maximum
 *   -EPERM       every endpoint is of another chain
 *   -ECANCELED   called off
 * call->err says it in a sentence with the endpoint's name.
 *
 * Spec: https://www.jsonrpc.org/specification
 * Threading: rpc_start(), rpc_wait() and rpc_cancel() from any thread (a wait never
 * on the loop).
 */
#ifndef CHAIN_RPC_H
#define CHAIN_RPC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/util.h"
#include "chain/rpc_error.h"
#include "net/json.h"

struct http;
struct loop;
struct retry_policy;
struct rpc;
struct rpc_batch;

#define RPC_URLS_MAX  8
#define RPC_NAME_MAX  128 /* bytes of "https://host:port", with NUL */
#define RPC_BATCH_MAX 32  /* calls of one array */
#define RPC_RESULT_MAX \
 (64u << 10) /* bytes of a result if the call says nothing */
#define RPC_ANSWER_MAX (8u << 20)   /* bytes of the answer to one array */
#define RPC_CALL_MS    30000        /* of a call that says nothing */
#define RPC_PARAMS_MAX (256u << 10) /* bytes */

enum rpc_want {
	RPC_ANY,
	RPC_BYTES,  /* "0x…", whole bytes */
	RPC_HASH,   /* 32 of them */
	RPC_NUMBER, /* "0x…", at most 256 bits */
	RPC_OBJECT,
	RPC_OBJECT_OR_NULL,
};

struct rpc_call {
	const char *method; /* borrowed */
	const char *params; /* a JSON array; NULL: []; borrowed */
	enum rpc_want want;
	uint32_t max; /* bytes of the result's text; 0: RPC_RESULT_MAX */
	uint64_t deadline_ms; /* from the start, without time in which the
				 process stood; 0: RPC_CALL_MS */
	/*
	 * 1 + the number of an endpoint: only this one is asked, once, and not
	 * at all while it is away.  0: any.
	 */
	unsigned only;

	void *ctx; /* the caller's */
	void (*done)(struct rpc_call *call, int status);

	/* The answer, for `done`; rpc_call_fini() lets go of it. */
	json_t *result;
	struct rpc_error error;
	unsigned endpoint; /* who gave it */
	struct err err;

	/* private to rpc.c */
	atomic_bool cancelled;
	struct list node, live;
	struct rpc_batch *batch;
	unsigned slot;
	uint64_t until_ms;
	uint32_t tried; /* endpoints of this round, bit by bit */
	bool answered;  /* one said that it cannot; in `error` */
	bool alone;     /* not in an array */
	int last;       /* how the last try failed */
	void *waiter;
};

/* One round of eth_chainId, by person or by the machine. */
enum rpc_state {
	RPC_UNKNOWN,
	RPC_ASKING,
	RPC_OK,
	RPC_REFUSED
};

struct rpc_status {
	char name[RPC_NAME_MAX]; /* what may be shown: no path, no user */
	enum rpc_state state;
	uint64_t away_ms;    /* from now; 0: it can be asked */
	unsigned latency_ms; /* mean; 0: not measured */
	uint64_t n_good, n_failed;
	struct err err; /* the last failure, kept */
};

struct rpc_params {
	struct loop *loop;
	struct http *http;
	uint64_t chain_id;
	const char *chain_name;  /* for people; NULL: its number */
	const char *const *urls; /* 1 … RPC_URLS_MAX, the preferred first */
	unsigned n_urls;
	/* of one endpoint that fails; NULL: 0.5 s doubling up to 2 min */
	const struct retry_policy *backoff;
	uint64_t request_ms; /* of one HTTP request; 0: 20 s */
};

/*
 * Nothing is sent yet.  On the loop's thread, or before loop_start().
 * -EINVAL: no endpoint, too many, or a URL that is none.
 */
must_check int rpc_new(const struct rpc_params *p, struct rpc **ret,
		       struct err *reterr);

/*
 * No call may be under way; what is still on its way of cancelled ones is waited
 * for.  Any thread but the loop's, while the loop runs; or any when it has not been
 * started.
 */
void rpc_free(struct rpc *r);

/* -EINVAL: no method, params over RPC_PARAMS_MAX, no such endpoint. */
must_check int rpc_start(struct rpc *r, struct rpc_call *call);
void rpc_cancel(struct rpc *r, struct rpc_call *call);

/* Start and wait; `done` is not used. */
must_check int rpc_wait(struct rpc *r, struct rpc_call *call);

/* Forget the answer; the inputs stay, so that it can be started again. */
void rpc_call_fini(struct rpc_call *call);

unsigned rpc_n_endpoints(const struct rpc *r);
const char *rpc_endpoint_name(const struct rpc *r, unsigned i);
void rpc_endpoint_status(struct rpc *r, unsigned i, struct rpc_status *ret);

#define _cleanup_rpc_call_ _cleanup_(rpc_call_fini)

#endif
