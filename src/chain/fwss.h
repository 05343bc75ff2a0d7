/*
 * fwss.h - Filecoin Warm Storage Service, the contract that sells storage
 *
 * Only its proxy's address is built in; the others are read here.  Amounts are
 * units of USDFC (10^-18), times are epochs of 30 s.  Conventions: call.h.
 */
#ifndef CHAIN_FWSS_H
#define CHAIN_FWSS_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;

struct fwss_domain {
	struct slice name;
	struct slice version;
	uint64_t chain_id;
	struct address contract;
};

/* Until 1.3; since then view_price_list() has all of it.  A month: 86400 epochs. */
struct fwss_service_price {
	struct u256 storage_per_tib_month;
	struct u256 cdn_egress_per_tib;
	struct u256 cache_miss_egress_per_tib;
	struct address token;
	uint64_t epochs_per_month;
	struct u256 data_set_fee_per_month;
};

/*
 * The contracts around it, answered by call_answer_address().
 * terminate_service is a transaction of the payer.
 */
must_check int fwss_view_contract(struct buf *ret);
must_check int fwss_payments(struct buf *ret);
must_check int fwss_usdfc(struct buf *ret);
must_check int fwss_session_key_registry(struct buf *ret);
must_check int fwss_domain(struct buf *ret);
must_check int fwss_service_price(struct buf *ret);
must_check int fwss_terminate_service(uint64_t data_set, struct buf *ret);

must_check int fwss_domain_answer(struct slice answer, struct fwss_domain *ret);
must_check int fwss_service_price_answer(struct slice answer,
					 struct fwss_service_price *ret);

#endif
