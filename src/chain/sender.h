/*
 * sender.h - transactions of our own: signed once, sent until they are mined
 *
 * An intent (the caller's number: "pay in 10 USDFC") becomes one transaction.  It has
 * one nonce for ever, and all that is ever signed for it has that nonce, so at most
 * one of them can be mined:
 *
 *   estimate, fees, nonce ─► sign ─► persist ─► send to every endpoint ─► watch
 *        nothing of it is kept if one of these fails ──┘                    │
 *                          ┌── stuck: the same nonce, 25 % more ◄───────────┤
 *                          │   dropped: the same bytes again    ◄───────────┤
 *                          └─► sign, persist, send ─► watch                 │
 *     settled ◄── `confirmations` blocks deep: MINED or REVERTED ◄──────────┤
 *             ◄── the nonce was used by another: DISPLACED    ◄─────────────┘
 *
 * S1  What is sent was persisted before, durably.
 * S2  Once persisted, an intent ends only by what the chain says.  A deadline, a
 *     cancel or a crash leaves it open; sender_run() with the same intent goes on
 *     with the rows, whatever the call's other inputs say.
 * S3  The key stays with the caller: `sign` gets the parts, and what comes back is
 *     taken apart and compared with them.
 * S4  Nothing past max_fee and max_cost is signed, whatever a node says of fees.
 *
 * Nodes are not believed one by one: nonces and receipts are asked of all endpoints.
 * A receipt counts when no endpoint contradicts it and those that have it are
 * `confirmations` blocks past it; if it goes again (a reorganisation), the watch goes on.
 *
 * Threading: sender_run() blocks; several threads may run one intent each.  Callbacks
 * run on that thread, `persist` and `settled` one at a time.
 * Fees: https://eips.ethereum.org/EIPS/eip-1559
 */
#ifndef CHAIN_SENDER_H
#define CHAIN_SENDER_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/list.h"
#include "chain/eth_tx.h"
#include "chain/rpc_agree.h"

struct buf;
struct sender;
struct sender_held;

#define SENDER_ATTEMPTS_MAX 8  /* the first, and what replaced it */
#define SENDER_OPEN_MAX     16 /* nonces that wait: nodes refuse large gaps */

/* Attempt n of an intent: what has to be persisted, all of it. */
struct sender_row {
	uint64_t intent;
	struct slice raw; /* signed; nonce, fees and hash are in it */
};

enum sender_end {
	SENDER_OPEN,
	SENDER_MINED,
	SENDER_REVERTED,  /* mined, without effect, paid for */
	SENDER_DISPLACED, /* another transaction had its nonce: no effect */
};

struct sender_outcome {
	enum sender_end end;
	uint8_t hash[ETH_TX_HASH_SIZE]; /* of the attempt that was mined */
	uint64_t block;
	uint64_t gas_used;
	struct u256 fee; /* attoFIL that were paid */
	struct err err;  /* why it reverted or was displaced */
};

struct sender_params {
	struct rpc *rpc;
	uint64_t chain_id;
	struct address from;
	struct u256 max_fee;  /* attoFIL for a unit of gas, at most */
	struct u256 max_cost; /* attoFIL for all gas of a transaction, at most */
	unsigned confirmations; /* blocks, its own included; 0: 5 */
	uint64_t poll_ms;       /* 0: 6 s */
	uint64_t stuck_ms;      /* then more is paid; 0: 10 min */
	uint64_t resend_ms;     /* of what no node knows; 0: 60 s */

	void *ctx;
	/* eth_tx_sign() with the key that only the caller has. */
	int (*sign)(void *ctx, const struct eth_tx *tx, struct buf *ret_raw);
	/* Durable when it returns 0; else nothing is sent. */
	int (*persist)(void *ctx, const struct sender_row *row);
	/* The intent is over and its rows may go; repeated if it fails. */
	int (*settled)(void *ctx, uint64_t intent, const struct sender_outcome *o);
};

/* What goes on, for people. */
enum sender_state {
	SENDER_PREPARING,
	SENDER_SENT,
	SENDER_IN_BLOCK, /* `depth` blocks deep */
};

struct sender_tx {
	uint64_t intent; /* unique for ever; persisted by the caller */
	struct address to;
	struct u256 value;    /* attoFIL */
	struct slice data;    /* borrowed */
	uint64_t deadline_ms; /* 0: none */

	_Atomic(enum sender_state) state;
	_Atomic(uint64_t) depth;
	struct sender_outcome outcome;
	struct err err;

	/* private to sender*.c */
	atomic_bool cancelled;
	struct rpc_each *each; /* lock: of the sender; what is asked now */
	struct rpc_call *call; /* likewise */
	struct sender_held *held;
	uint64_t until_ms;
	int trouble; /* why it was not taken, so far */
};

/*
 * `rows`: all that was persisted and not settled, in the order of persisting; copied.
 * -EUCLEAN  a row is no transaction of `from` on this chain, or two of one intent
 *           differ in more than fees
 */
must_check int sender_new(const struct sender_params *p,
			  const struct sender_row *rows, size_t n_rows,
			  struct sender **ret, struct err *reterr);
void sender_free(struct sender *s); /* nobody runs */

/* Intents that are not settled: their number, and up to n of them. */
size_t sender_open(struct sender *s, uint64_t *ret, size_t n);

/*
 * Send, or go on with, an intent, and wait for its end.
 *
 *   0           mined and had its effect
 *   -ENOEXEC    it would revert (nothing was sent), or did (outcome.end REVERTED)
 *   -ESTALE     displaced
 *   -EDQUOT     over max_fee or max_cost
 *   -ENOSPC     the account's balance is too small
 *   -EAGAIN     SENDER_OPEN_MAX others wait
 *   -EALREADY   another thread runs this intent
 *   -ETIMEDOUT  the deadline: it is still open (or the trouble so far)
 *   -ECANCELED  likewise
 *   -EKEYREJECTED  `sign` gave something else
 * and those of rpc.h and of the callbacks.  outcome.end tells whether it is over;
 * sender_open() whether it was begun.
 */
must_check int sender_run(struct sender *s, struct sender_tx *tx);

/*
 * What it may cost in gas, at most, if it were sent now: attoFIL.  Nothing is
 * signed.  -ENOEXEC, -EDQUOT, -ENOSPC as above; *ret_cost is set with -ENOSPC, too.
 */
must_check int sender_estimate(struct sender *s, struct sender_tx *tx,
			       struct u256 *ret_cost);

/* From any thread, as long as the struct lives; before the start, too. */
void sender_cancel(struct sender *s, struct sender_tx *tx);

#endif
