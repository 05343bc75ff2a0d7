/*
 * cost.h - what storing costs, to the unit
 *
 * The contracts bill whole units (10^-18 USDFC) an epoch, and round down; these are
 * their formulas (FWSS 1.3.x), on the price list that was read from them:
 *
 *   bytes    sum of the pieces' leaves * 32 * 127 / 128
 *   rate     bytes * storage_per_tib_month / (2^40 * 86400)
 *            + data_set_fee_per_month / 86400; 0 for an empty set
 *   lockup   rate * lockup_period, and the lifecycle reserve of a new set
 *   fees     create_fee (a new set) + add_base_fee an add + add_piece_fee a piece
 *
 * Fees are paid from the reserve, which is filled up from the deposit.
 *
 * Spec: FilecoinWarmStorageService's price list; synapse-core's costs.
 * Threading: values.  Errors: -EOVERFLOW (a price list that makes no sense).
 */
#ifndef CHAIN_COST_H
#define CHAIN_COST_H

#include <stdbool.h>

#include "base/util.h"
#include "chain/u256.h"

struct piece_cid;
struct view_price_list;

#define COST_EPOCHS_PER_MONTH 86400
#define COST_EPOCHS_PER_DAY   2880
#define COST_ADD_PIECES       40 /* pieces of one add */

/* Leaves of a piece; 0 if it is no piece CID v2. */
uint64_t cost_leaves(const struct piece_cid *cid);

/* Of a piece of so many raw bytes. */
uint64_t cost_leaves_of_size(uint64_t raw_bytes);

/* Of a set of so many leaves, units an epoch. */
must_check int cost_rate(const struct view_price_list *p, uint64_t leaves,
			 struct u256 *ret);

/* What is planned for one data set. */
struct cost_plan {
	bool create;          /* there is none yet: have_leaves is 0 */
	uint64_t have_leaves; /* that it holds */
	uint64_t add_leaves;
	uint64_t n_pieces;
	uint64_t n_adds; /* 0: as few as hold the pieces */
};

struct cost {
	struct u256 rate;   /* more an epoch, for as long as it is stored */
	struct u256 lockup; /* locked in the deposit, and back after the end */
	struct u256 fees;   /* once, to the provider */
};

must_check int cost_of(const struct view_price_list *p,
		       const struct cost_plan *plan, struct cost *ret);

/* Of several data sets together. */
must_check int cost_sum(struct cost *to, const struct cost *more);

/*
 * What has to be deposited so that `c` can happen and everything then runs for
 * `runway` epochs; 0 if there is enough.  `lockup_rate`, `available` and `debt`
 * are the account's (pay.h).
 */
must_check int cost_deposit(const struct cost *c, struct u256 lockup_rate,
			    struct u256 available, struct u256 debt,
			    uint64_t runway, struct u256 *ret);

/* Units an epoch as units a month. */
must_check int cost_month(struct u256 rate, struct u256 *ret);

#endif
