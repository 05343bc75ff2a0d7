/*
 * history.h - every transaction of the wallet, and every payment to a provider
 *
 * As JSON: [{time, what, text, amount, state, hash, fee}], by time.  Amounts are
 * decimal text of USDFC, fees of FIL.
 *
 * Threading: any; it waits for the disk.
 */
#ifndef DAEMON_HISTORY_H
#define DAEMON_HISTORY_H

#include <jansson.h>

#include "base/util.h"

struct drive;
struct err;
struct keys;
struct ledger_spend;

/* Of the log of transactions, added to the array.  Errors of txlog_open(). */
must_check int history_txs(const struct drive *d, const struct keys *k,
			   json_t *list, struct err *reterr);

/* For ledger_spends(): `ctx` is the array. */
int history_spend(void *ctx, const struct ledger_spend *s);

/* By time; what is of one second stays in order.  -ENOMEM. */
must_check int history_sort(json_t *list);

#endif
