/*
 * pay.h - FilecoinPay: deposits, and the streams (rails) that are paid from them
 *
 * A payer deposits tokens, allows an operator (FWSS) to open rails within
 * limits, and each rail moves `rate` an epoch.  Part of the deposit is locked:
 * what a rail may still claim after its end.  Amounts are units of the token
 * (10^-18), rates units an epoch, times epochs of 30 s.  Conventions: call.h.
 */
#ifndef CHAIN_PAY_H
#define CHAIN_PAY_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;

#define PAY_NEVER UINT64_MAX /* an epoch that does not come */

/* As of `last_settled_epoch`; pay_account_at() brings it up to date. */
struct pay_account {
	struct u256 funds;
	struct u256 lockup;
	struct u256 lockup_rate; /* an epoch */
	uint64_t last_settled_epoch;
};

struct pay_state {
	struct u256 available; /* can be withdrawn or locked */
	struct u256 debt;      /* owed past the funds */
	uint64_t funded_until; /* epoch; PAY_NEVER: nothing streams */
	uint64_t runway;       /* epochs from then; PAY_NEVER likewise */
};

struct pay_info {
	uint64_t funded_until; /* epoch, or PAY_NEVER */
	struct u256 funds;
	struct u256 available;
	struct u256 lockup_rate; /* an epoch */
};

/* What an operator may do, and what of it is used. */
struct pay_approvals {
	bool approved;
	struct u256 rate_allowance; /* an epoch, of all rails */
	struct u256 lockup_allowance;
	struct u256 rate_usage;
	struct u256 lockup_usage;
	struct u256 max_lockup_period; /* epochs */
};

struct pay_rail {
	struct address token;
	struct address from;
	struct address to;
	struct address operator;
	struct address validator;
	struct u256 rate;       /* an epoch */
	uint64_t lockup_period; /* epochs */
	struct u256 lockup_fixed;
	uint64_t settled_until;  /* epoch */
	uint64_t end_epoch;      /* 0: runs */
	uint64_t commission_bps; /* of 10000 */
	struct address fee_recipient;
};

struct pay_rail_info {
	uint64_t id;
	bool terminated;
	uint64_t end_epoch; /* 0: runs */
};

/* An operator's limits, as absolute values. */
struct pay_allow {
	struct address operator;
	struct u256 rate_allowance;
	struct u256 lockup_allowance;
	struct u256 max_lockup_period; /* epochs; FWSS needs 86400 */
};

/* A deposit that an ERC-2612 permit pays, signed by `to` (eip712.h). */
struct pay_permit {
	struct address token;
	struct address to; /* the sender of the transaction */
	struct u256 amount;
	struct u256 deadline;  /* Unix seconds, as signed */
	uint8_t signature[65]; /* r, s, v */
};

/*
 * Views, with readers below: accounts, account_info_if_settled,
 * operator_approvals, rail (reverts once it is finalized), rails_for_payer (a
 * limit of 0: all).  The others are transactions.
 */
must_check int pay_accounts(struct address token, struct address owner,
			    struct buf *ret);
must_check int pay_account_info_if_settled(struct address token,
					   struct address owner, struct buf *ret);
must_check int pay_operator_approvals(struct address token, struct address client,
				      struct address operator, struct buf * ret);
must_check int pay_rail(uint64_t rail, struct buf *ret);
must_check int pay_rails_for_payer(struct address payer, struct address token,
				   uint64_t offset, uint64_t limit,
				   struct buf *ret);
must_check int pay_deposit(struct address token, struct address to,
			   struct u256 amount, struct buf *ret);
must_check int pay_withdraw(struct address token, struct u256 amount,
			    struct buf *ret);
must_check int pay_set_operator_approval(struct address token, bool approved,
					 const struct pay_allow *allow,
					 struct buf *ret);
/* Deposit and allowances in one transaction. */
must_check int pay_deposit_with_permit_and_approve(const struct pay_permit *permit,
						   const struct pay_allow *allow,
						   struct buf *ret);

must_check int pay_accounts_answer(struct slice answer, struct pay_account *ret);
must_check int pay_account_info_if_settled_answer(struct slice answer,
						  struct pay_info *ret);
must_check int pay_operator_approvals_answer(struct slice answer,
					     struct pay_approvals *ret);
must_check int pay_rail_answer(struct slice answer, struct pay_rail *ret);
/* -EMSGSIZE: more than `cap`. */
must_check int pay_rails_for_payer_answer(struct slice answer,
					  struct pay_rail_info *ret, size_t cap,
					  size_t *ret_n, uint64_t *ret_next_offset,
					  uint64_t *ret_total);

/* The account at a later epoch, if nothing but time happens. */
void pay_account_at(const struct pay_account *a, uint64_t epoch,
		    struct pay_state *ret);

#endif
