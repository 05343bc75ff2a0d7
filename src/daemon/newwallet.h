/*
 * newwallet.h - the wallet of a drive that is being made
 *
 * Making a drive needs no network.  When one answers, it is asked what storing
 * costs, and standing orders are signed (orders.h).
 *
 * Threading: one thread.
 */
#ifndef DAEMON_NEWWALLET_H
#define DAEMON_NEWWALLET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "chain/u256.h"

struct cli;
struct config;
struct err;
struct secret;

struct newwallet {
	bool paid; /* there is a store that costs money */
	uint64_t bytes;
	unsigned months;
};

/*
 * Options, and what the config has to know: payer and session key.  Nothing to do
 * without a paid store.  -EINVAL, in words.
 */
must_check int newwallet_begin(const struct cli *cli, struct config *c,
			       const struct secret *entropy,
			       struct newwallet *ret, struct err *reterr);

/* Payer and session key of the words, where none are named. */
must_check int newwallet_keys(struct config *c, const struct secret *entropy,
			      struct err *reterr);

/* The drive is made: say what to send where, and sign what can be signed. */
void newwallet_offer(const char *drive, const struct secret *entropy,
		     const struct newwallet *w);

#endif
