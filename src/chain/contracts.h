/*
 * contracts.h - the contracts of a network, asked for on chain
 *
 * Only the FWSS proxy is built in (chain/network.h).  It names the others; its view
 * contract is redeployed with every upgrade, so what it said holds for an hour.  A
 * version below 1.3.0 is refused: its structs have another layout.
 *
 * contract_call() is an eth_call, for all that reads state.
 *
 * Threading: any thread that may wait.
 */
#ifndef CHAIN_CONTRACTS_H
#define CHAIN_CONTRACTS_H

#include "base/err.h"
#include "chain/network.h"
#include "chain/rpc.h"

struct buf;
struct contracts;

#define CONTRACTS_CACHE_MS 3600000      /* an hour */
#define CONTRACTS_CALL_MAX (256u << 10) /* bytes of calldata or of an answer */

struct contracts_known {
	struct address fwss;  /* storage service: FilecoinWarmStorageService */
	struct address view;  /* its state view */
	struct address pdp;   /* PDPVerifier */
	struct address pay;   /* FilecoinPay */
	struct address usdfc; /* the token */
	struct address registry;     /* of providers */
	struct address sessions;     /* of session keys */
	struct address endorsements; /* none: nobody is endorsed */
	char version[32];            /* of FWSS: "1.3.1" */
};

must_check int contracts_new(struct rpc *rpc, const struct network *net,
			     struct contracts **ret);
void contracts_free(struct contracts *c); /* nobody waits in it */

/* The chain is being asked; somebody may not want to wait for it. */
struct contracts_fetch;
void contracts_cancel(struct contracts *c, struct contracts_fetch *f); /* any thread */

/*
 * Told of a fetch before it is waited for, and when it is over; contracts_cancel()
 * from the one to the other.  An error of `begin` ends it.
 */
struct contracts_watch {
	int (*begin)(void *ctx, struct contracts_fetch *f);
	void (*end)(void *ctx);
	void *ctx;
};

/*
 * From memory, else from the chain; a call's deadline (rpc.h) bounds the wait.
 * `watch` may be NULL.
 *
 * -ENOSYS  a version that we do not speak; and the errors of rpc.h
 */
must_check int contracts_get(struct contracts *c,
			     const struct contracts_watch *watch,
			     struct contracts_known *ret, struct err *reterr);

/* Ask again next time: a call to the view failed as if it had moved. */
void contracts_forget(struct contracts *c);

/*
 * The parameters of eth_call: `data` for `to` (and, if not NULL, as `from`) at the
 * newest block, in the heap; -ENOMEM, -EMSGSIZE.
 */
must_check int contract_params(struct address to, const struct address *from,
			       struct slice data, const char *block, char **ret);

/*
 * What a view answers, appended to `ret`.  The errors of rpc.h; -ENOEXEC: it reverted
 * (the bytes are in `ret_error` if that is not NULL).
 */
must_check int contract_call(struct rpc *rpc, struct address to,
			     struct slice data, struct buf *ret,
			     struct rpc_error *ret_error, struct err *reterr);

#endif
