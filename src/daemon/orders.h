/*
 * orders.h - standing orders: what init signs, so that a drive can start by itself
 *
 * The owner's key is open while a drive is made, and never in the daemon.  So init
 * signs two transactions beforehand, and nothing else:
 *
 *   1  login    the daemon's session key may create data sets and add pieces
 *   2  fund     deposit exactly so much USDFC (a permit), and allow the storage
 *               service what the budget says
 *
 * They rest in the log of transactions (txlog.h), ARMED and sealed.  The daemon
 * sends them when the wallet holds what both need and the nonces are still those
 * that come next.  Who steals them can do just that, and pay the user's provider
 * with the user's money in the user's name.  Any transaction of the wallet makes
 * them void; `fildrive wallet fund` then does the same by hand.
 *
 * Threading: any thread that may wait.
 */
#ifndef DAEMON_ORDERS_H
#define DAEMON_ORDERS_H

#include <stdbool.h>

#include "base/util.h"
#include "chain/u256.h"

struct config;
struct contracts_known;
struct drive;
struct err;
struct foc;
struct foc_purse;
struct keys;
struct owner;
struct view_price_list;

#define ORDERS_BYTES  (100ull << 30) /* a drive that is asked for nothing else */
#define ORDERS_MONTHS 3

struct orders_terms {
	struct u256 budget;  /* USDFC a month */
	struct u256 deposit; /* USDFC, exactly */
	struct u256 fil;     /* attoFIL that gas may cost */
};

/*
 * Enough for `bytes` at `copies` providers and so many months; a budget that is
 * not 0 is kept.
 */
must_check int orders_terms(const struct view_price_list *p, uint64_t bytes,
			    unsigned copies, unsigned months,
			    struct u256 budget, struct orders_terms *ret);

/*
 * Sign both and write them down; terms->fil is set.  -EDQUOT, in words: gas costs
 * so much now that nothing is signed in advance.
 */
must_check int orders_sign(const struct drive *d, const struct owner *o,
			   struct foc *f, const struct contracts_known *at,
			   const struct view_price_list *prices, unsigned copies,
			   struct orders_terms *terms, struct err *reterr);

/* What is still to arrive before they can be sent. */
struct orders_wait {
	bool armed; /* there are orders; else all is zero */
	bool stale; /* the wallet has sent something since: they are void */
	bool sent;  /* on their way, or through */
	struct u256 need_fil, need_usdfc; /* in the wallet, in all */
};

/* What waits in orders_run() can be called off. */
struct orders_stop;
must_check int orders_stop_new(struct foc *f, struct orders_stop **ret);
void orders_stop_free(struct orders_stop *s); /* nobody waits */
void orders_stop(struct orders_stop *s); /* what waits, and all that will; any thread */

/*
 * Send them if they can be, and wait up to `wait_ms` for each.  What they wait for
 * is in *ret in any case.  -ENOTUNIQ: a command works on the log; -ECANCELED.
 */
must_check int orders_run(const struct drive *d, const struct keys *k,
			  struct foc *f, const struct foc_purse *purse,
			  uint64_t wait_ms, struct orders_stop *stop,
			  struct orders_wait *ret, struct err *reterr);

#endif
