/*
 * money.h - a payer's limits, what they allow, and what a drive will cost
 *
 * I8: the user sets a budget (USDFC a month) and a cap (USDFC deposited).  The
 * budget becomes finite allowances of the storage service (FWSS) in FilecoinPay,
 * so that the contracts hold it too, whatever the daemon or who stole its session
 * key signs:
 *
 *   rate allowance     budget / epochs of a month
 *   lockup allowance   what that rate locks for 30 days
 *                      + the lifecycle reserve of each data set
 *                      + fees of MONEY_FEE_MONTHS months
 *
 * Fees of adds use the lockup allowance up for good, which is why it holds those
 * of a year, and why every `wallet fund` sets it again.
 *
 * A commit costs fees at each provider.  At most MONEY_FEE_SHARE percent of the
 * budget are meant for them: from that follows how often to commit.
 *
 * Amounts are units of USDFC (10^-18), times epochs of 30 s or ms.
 * Threading: values.  Errors: -EOVERFLOW (a price list that makes no sense).
 */
#ifndef CHAIN_MONEY_H
#define CHAIN_MONEY_H

#include <stdbool.h>

#include "base/util.h"
#include "chain/u256.h"

struct err;
struct pay_info;
struct view_price_list;

#define MONEY_FEE_SHARE     10 /* percent of the budget */
#define MONEY_FEE_MONTHS    12
#define MONEY_LOCKUP_EPOCHS 86400                /* FWSS wants so many */
#define MONEY_COMMIT_MIN_MS (10ull * 60 * 1000)  /* an interval is 10 min … */
#define MONEY_COMMIT_MAX_MS (6ull * 3600 * 1000) /* … to 6 h */
#define MONEY_PIECE_BYTES   (256ull << 20) /* of a full piece of a drive */

struct money_allow {
	struct u256 rate; /* an epoch */
	struct u256 lockup;
	uint64_t period; /* epochs */
};

/* `sets`: data sets that may exist at a time, replacements included. */
must_check int money_allow(const struct view_price_list *p, struct u256 budget,
			   unsigned sets, struct money_allow *ret);

/* Data sets that a drive of so many copies may have: each may be replaced. */
static inline unsigned money_sets(unsigned copies)
{
	return 2 * copies;
}

/* What one commit costs: an add of one piece at each of `copies` providers. */
must_check int money_commit_fee(const struct view_price_list *p,
				unsigned copies, struct u256 *ret);

/*
 * ms between two commits, so that their fees stay in their share of the budget;
 * MONEY_COMMIT_MAX_MS without one.
 */
uint64_t money_commit_ms(const struct view_price_list *p, struct u256 budget,
			 unsigned copies);

/* Storing `bytes` at `copies` providers, with new data sets. */
struct money_quote {
	struct u256 rate;    /* an epoch, of all copies */
	struct u256 month;   /* the same for 30 days */
	struct u256 lockup;  /* stays in the deposit until the end */
	struct u256 fees;    /* once: data sets and pieces */
	struct u256 deposit; /* for this, and `months` after it */
	struct u256 commit;  /* fees of one small commit */
	struct u256 commits; /* of a month of them, one each `commit_ms` */
};

must_check int money_quote(const struct view_price_list *p, uint64_t bytes,
			   unsigned copies, unsigned months, uint64_t commit_ms,
			   struct money_quote *ret);

/*
 * A budget that lets so much be stored: the month of money_quote(), and fees of
 * commits in their share, or at the longest interval, rounded up to 0.1 USDFC.
 */
must_check int money_budget(const struct view_price_list *p, uint64_t bytes,
			    unsigned copies, struct u256 *ret);

/* May `amount` be deposited?  -EDQUOT, in words.  A cap of zero: there is none. */
must_check int money_check_deposit(const struct pay_info *account,
				   struct u256 amount, struct u256 cap,
				   struct err *reterr);

#define MONEY_NO_END UINT64_MAX

/* Whole days that an account lasts at its rate; MONEY_NO_END: nothing streams. */
uint64_t money_runway_days(const struct pay_info *account, uint64_t epoch);

#endif
