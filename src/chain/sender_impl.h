/*
 * sender_impl.h - what sender.c (intents, nonces), sender_send.c (fees, signing,
 * sending) and sender_look.c (what the chain says) share
 */
#ifndef CHAIN_SENDER_IMPL_H
#define CHAIN_SENDER_IMPL_H

#include "base/buf.h"
#include "base/thread.h"
#include "chain/sender.h"

#define SENDER_CALL_MS 20000

struct sender_attempt {
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct buf raw;
	struct eth_tx tx; /* its data borrows from raw */
};

/* An intent that was persisted. */
struct sender_held {
	struct list node;
	uint64_t intent;
	unsigned n;
	struct sender_attempt attempts[SENDER_ATTEMPTS_MAX];
	bool running;     /* lock: of the sender */
	uint64_t sent_ms; /* monotonic; 0: not since the start */
	uint64_t paid_ms; /* when the newest attempt was first sent */
};

struct sender {
	struct sender_params p;
	struct lock lock;
	struct cond cond;
	struct list held; /* lock: lock */
	bool allocating;  /* lock: lock; one picks a nonce */
};

/* ---- sender.c ---- */

/* A question to all; tx->each while it is asked.  *ret is the caller's. */
must_check int sender_each(struct sender *s, struct sender_tx *tx,
			   const char *method, const char *params,
			   enum rpc_want want, struct rpc_each **ret);

/* To one.  `call` has its inputs. */
must_check int sender_ask(struct sender *s, struct sender_tx *tx,
			  struct rpc_call *call);

/* Signed bytes as an attempt; checks that they are ours.  Copies. */
must_check int sender_add(struct sender *s, struct sender_held *h, struct slice raw);

/* ---- sender_send.c ---- */

/* Of eth_estimateGas, and of eth_call if there is a block; heap. */
must_check int sender_call_params(struct sender *s, const struct eth_tx *etx,
				  const char *block, char **ret);

/* Estimate and price: all of *ret but the nonce. */
must_check int sender_prepare(struct sender *s, struct sender_tx *tx,
			      struct eth_tx *ret);

/* Sign, check, persist; the attempt is in `h`. */
must_check int sender_commit(struct sender *s, struct sender_tx *tx,
			     struct sender_held *h, const struct eth_tx *etx);

/* The newest attempt to every endpoint.  Trouble is kept in tx. */
void sender_broadcast(struct sender *s, struct sender_tx *tx);

/* The same with more to pay.  -EDQUOT: may not, and others; the watch goes on. */
must_check int sender_replace(struct sender *s, struct sender_tx *tx);

/* ---- sender_look.c ---- */

struct sender_receipt {
	uint8_t block_hash[32];
	uint64_t block, status, gas_used;
	struct u256 gas_price;
};

/* -EPROTO: none of this attempt, or of a wrong form; *ret is as it was. */
must_check int sender_read_receipt(const json_t *o, const struct sender_attempt *a,
				   struct sender_receipt *ret);

struct sender_sight {
	const struct sender_attempt *mined; /* NULL: none */
	bool reverted;
	bool disputed; /* endpoints contradict each other */
	uint64_t block, gas_used;
	struct u256 gas_price;
	uint64_t depth; /* blocks, its own included */
	bool used;      /* no endpoint would take the nonce any more */
	bool known;     /* a node has the newest attempt */
	uint64_t head;  /* the least of all; 0: not known */
};

/* -EREMOTEIO and others: nobody could say. */
must_check int sender_look(struct sender *s, struct sender_tx *tx,
			   struct sender_sight *ret);

/* Why a call reverted, in words, from what a node said. */
void sender_revert_text(const struct rpc_error *e, struct err *ret);

/* Why a transaction did. */
void sender_why(struct sender *s, struct sender_tx *tx,
		const struct sender_attempt *a, uint64_t block, struct err *ret);

#endif
