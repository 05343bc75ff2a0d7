/*
 * rejoin.h - what the chain still knows of a recovered drive's wallet
 *
 * Config and ledger are gone.  The words give the payer and every session key; which
 * of these may sign, and how much a month the user allowed, stands on chain:
 *
 *   session   the newest number whose key may create and add.  Numbers are tried
 *             from 1 upwards, REJOIN_STEP at a time, until a step after a key that
 *             may sign has none, or REJOIN_MAX is reached
 *   budget    the rate that FWSS is allowed, times a month: the roundest number of
 *             those that give this rate
 *
 * Threading: one thread, which may wait.
 */
#ifndef DAEMON_REJOIN_H
#define DAEMON_REJOIN_H

#include <stdbool.h>

#include "base/util.h"
#include "chain/u256.h"

struct config;
struct err;
struct foc;
struct keys;

#define REJOIN_STEP 16
#define REJOIN_MAX  512

struct rejoin {
	bool session; /* one may sign */
	bool budget;  /* there is one */
};

/*
 * Into `c`: session, signer, budget.  What is not found stays as it was, but for
 * `session`, which is then one that was used.  Errors of foc.h.
 */
must_check int rejoin_wallet(struct foc *f, const struct keys *k, struct config *c,
			     struct rejoin *ret, struct err *reterr);

/* The budget that a rate an epoch is made of; zero if it is no limit at all. */
struct u256 rejoin_budget(struct u256 rate);

#endif
