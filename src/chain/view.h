/*
 * view.h - the StateView of Filecoin Warm Storage Service: what it knows
 *
 * A new one is deployed with each upgrade: its address is read from
 * fwss_view_contract(), at every start.  Amounts are units of USDFC (10^-18),
 * times are epochs of 30 s.  Conventions: call.h.
 */
#ifndef CHAIN_VIEW_H
#define CHAIN_VIEW_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;
struct eip712_entry;

/* An unknown id is all zeros: pdp_rail_id is 0. */
struct view_data_set {
	uint64_t pdp_rail_id;
	uint64_t cache_miss_rail_id; /* 0: no CDN */
	uint64_t cdn_rail_id;
	struct address payer;
	struct address payee;
	struct address service_provider;
	uint64_t commission_bps; /* of 10000 */
	struct u256 client_data_set_id;
	uint64_t pdp_end_epoch; /* 0: active; else its service ends, or ended */
	uint64_t provider_id;
	struct u256 pending_one_time_payments;
	struct u256 lifecycle_reserve;
	uint64_t data_set_id;
};

/* What became of a number that the payer signed (foc_auth.h). */
struct view_nonce {
	bool used;
	uint64_t data_set_id;
	uint64_t next_piece_id; /* after the add, whose n pieces end here; 0: a create */
};

struct view_pdp_config {
	uint64_t max_proving_period; /* epochs */
	uint64_t challenge_window;   /* epochs */
	uint64_t challenges_per_proof;
	uint64_t first_window_start; /* for a data set that begins now */
};

struct view_price_list {
	struct address token;
	struct u256 storage_per_tib_month; /* a month: 86400 epochs */
	struct u256 data_set_fee_per_month;
	struct u256 cdn_egress_per_tib;
	struct u256 cache_miss_egress_per_tib;
	struct u256 create_fee;    /* once a data set */
	struct u256 add_base_fee;  /* once an add */
	struct u256 add_piece_fee; /* for each piece of it */
	struct u256 remove_fee;    /* once a removal */
	struct u256 terminate_fee;
	struct u256 lifecycle_reserve_target; /* fees are paid from the reserve, … */
	struct u256 replenish_threshold; /* … which is filled up under this */
	uint64_t lockup_period;          /* epochs */
	struct u256 cdn_lockup;
	struct u256 cache_miss_lockup;
	uint64_t cdn_lockup_period; /* epochs */
};

struct view_upgrade {
	struct address next_implementation; /* none: no upgrade is announced */
	uint64_t after_epoch;
};

/*
 * Answered by one of call_answer_…: approved_providers (ids); is_…, proven_…
 * (bool); proving_deadline and proving_activation_epoch (epoch, 0: proving does
 * not run).
 */
must_check int view_client_data_sets(struct address payer, uint64_t offset,
				     uint64_t limit, struct buf *ret);
must_check int view_data_set(uint64_t data_set, struct buf *ret);
must_check int view_data_set_metadata(uint64_t data_set, struct buf *ret);
must_check int view_data_set_value(uint64_t data_set, struct slice key,
				   struct buf *ret);
must_check int view_piece_metadata(uint64_t data_set, uint64_t piece,
				   struct buf *ret);
must_check int view_piece_value(uint64_t data_set, uint64_t piece,
				struct slice key, struct buf *ret);
must_check int view_client_nonces(struct address payer, struct u256 nonce,
				  struct buf *ret);
must_check int view_approved_providers(uint64_t offset, uint64_t limit,
				       struct buf *ret);
must_check int view_is_provider_approved(uint64_t provider, struct buf *ret);
must_check int view_pdp_config(struct buf *ret);
must_check int view_price_list(struct buf *ret);
must_check int view_current_pricing_rates(struct buf *ret);
must_check int view_proving_deadline(uint64_t data_set, struct buf *ret);
must_check int view_proven_this_period(uint64_t data_set, struct buf *ret);
must_check int view_proven_periods(uint64_t data_set, uint64_t period,
				   struct buf *ret);
must_check int view_proving_activation_epoch(uint64_t data_set, struct buf *ret);
must_check int view_next_upgrade(struct buf *ret);

must_check int view_data_set_answer(struct slice answer, struct view_data_set *ret);
/* -EMSGSIZE: more than `cap`, as all lists below. */
must_check int view_data_sets_answer(struct slice answer, struct view_data_set *ret,
				     size_t cap, size_t *ret_n);
/* Of data sets (10 at most) and of pieces (3). */
must_check int view_metadata_answer(struct slice answer, struct eip712_entry *ret,
				    size_t cap, size_t *ret_n);
/* Of data_set_value and piece_value. */
must_check int view_value_answer(struct slice answer, bool *ret_exists,
				 struct slice *ret_value);
must_check int view_client_nonces_answer(struct slice answer,
					 struct view_nonce *ret);
must_check int view_pdp_config_answer(struct slice answer,
				      struct view_pdp_config *ret);
must_check int view_price_list_answer(struct slice answer,
				      struct view_price_list *ret);
/* Deprecated: view_price_list_answer() has both. */
must_check int view_current_pricing_rates_answer(
	struct slice answer, struct u256 *ret_storage_per_tib_month,
	struct u256 *ret_data_set_fee_per_month);
must_check int view_next_upgrade_answer(struct slice answer,
					struct view_upgrade *ret);

#endif
