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

/* What the options say.  -EINVAL, in words: wrong usage. */
must_check int newwallet_options(const struct cli *cli, const struct config *c,
				 struct newwallet *ret, struct err *reterr);

/* What the config has to know, where it names none: payer and session key of the
 * words.  Nothing to do without a paid store. */
must_check int newwallet_keys(struct config *c, const struct secret *entropy,
			      struct err *reterr);

/* The drive is made: say what to send where, and sign what can be signed. */
void newwallet_offer(const char *drive, const struct secret *entropy,
		     const struct newwallet *w);

#endif
