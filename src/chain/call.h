/*
 * call.h - functions of the contracts: their selectors, and simple answers
 *
 * The headers of the contracts (fwss.h, view.h, pdp.h, registry.h, pay.h,
 * token.h, session_key.h, multicall.h) have a function for each function of
 * theirs, which appends the calldata for eth_call or for a transaction.  An
 * answer that is more than a value has a reader beside it, named _answer; for
 * the others the header names one of the readers below.
 *
 * A selector is the first four bytes of the Keccak-256 of the signature; a test
 * computes each, and compares it with the contracts' own ABIs.
 *
 * Threading: stateless.  Errors of calls: -EMSGSIZE (the buffer's maximum),
 * -ENOMEM; of readers: -EPROTO (abi.h).  A failed reader leaves its results
 * alone, but for the elements of a list.  Slices in results borrow from the
 * answer.
 */
#ifndef CHAIN_CALL_H
#define CHAIN_CALL_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/abi.h"
#include "chain/address.h"
#include "chain/u256.h"

#define CALL_MAX (64u << 10) /* bytes of calldata */

/* clang-format off */
#define CALL_LIST(X) \
	X(FWSS_VIEW_CONTRACT, 0x7a9ebc15, "viewContractAddress()") \
	X(FWSS_PDP_VERIFIER, 0xde4b6b71, "pdpVerifierAddress()") \
	X(FWSS_PAYMENTS, 0xbc471469, "paymentsContractAddress()") \
	X(FWSS_USDFC, 0xd39b33ab, "usdfcTokenAddress()") \
	X(FWSS_PROVIDER_REGISTRY, 0x05f892ec, "serviceProviderRegistry()") \
	X(FWSS_SESSION_KEY_REGISTRY, 0x9f6aa572, "sessionKeyRegistry()") \
	X(FWSS_VERSION, 0xffa1ad74, "VERSION()") \
	X(FWSS_DOMAIN, 0x84b0196e, "eip712Domain()") \
	X(FWSS_SERVICE_PRICE, 0x5482bdf9, "getServicePrice()") \
	X(FWSS_TERMINATE_SERVICE, 0xb997a71e, "terminateService(uint256)") \
	X(VIEW_CLIENT_DATA_SETS, 0x3208aa1f, "getClientDataSets(address,uint256,uint256)") \
	X(VIEW_DATA_SET, 0xbdaac056, "getDataSet(uint256)") \
	X(VIEW_DATA_SET_METADATA, 0xf417c13f, "getAllDataSetMetadata(uint256)") \
	X(VIEW_DATA_SET_VALUE, 0x4dc17df1, "getDataSetMetadata(uint256,string)") \
	X(VIEW_PIECE_METADATA, 0x3c0bd253, "getAllPieceMetadata(uint256,uint256)") \
	X(VIEW_PIECE_VALUE, 0x837a7f49, "getPieceMetadata(uint256,uint256,string)") \
	X(VIEW_CLIENT_NONCES, 0x35b0e3f4, "clientNonces(address,uint256)") \
	X(VIEW_APPROVED_PROVIDERS, 0x7709a7f7, "getApprovedProviders(uint256,uint256)") \
	X(VIEW_IS_PROVIDER_APPROVED, 0xb6133b7a, "isProviderApproved(uint256)") \
	X(VIEW_PDP_CONFIG, 0xea0f9354, "getPDPConfig()") \
	X(VIEW_PRICE_LIST, 0xb7029144, "getPriceList()") \
	X(VIEW_CURRENT_PRICING_RATES, 0xb5a578fc, "getCurrentPricingRates()") \
	X(VIEW_PROVING_DEADLINE, 0x149ac5cc, "provingDeadline(uint256)") \
	X(VIEW_PROVEN_THIS_PERIOD, 0x7598a1cd, "provenThisPeriod(uint256)") \
	X(VIEW_PROVEN_PERIODS, 0x698762cb, "provenPeriods(uint256,uint256)") \
	X(VIEW_PROVING_ACTIVATION_EPOCH, 0x725e3216, "provingActivationEpoch(uint256)") \
	X(VIEW_NEXT_UPGRADE, 0x315e49ea, "nextUpgrade()") \
	X(PDP_DATA_SET_LIVE, 0xca759f27, "dataSetLive(uint256)") \
	X(PDP_ACTIVE_PIECES_BY_CURSOR, 0x9fbc9f1b, "getActivePiecesByCursor(uint256,uint256,uint256)") \
	X(PDP_FIND_PIECE_IDS, 0x6a4991a1, "findPieceIdsByCid(uint256,(bytes),uint256,uint256)") \
	X(PDP_PIECE_CID, 0x25bbbedf, "getPieceCid(uint256,uint256)") \
	X(PDP_DATA_SET_LEAF_COUNT, 0xa531998c, "getDataSetLeafCount(uint256)") \
	X(PDP_SCHEDULED_REMOVALS, 0x6fa44692, "getScheduledRemovals(uint256)") \
	X(PDP_LAST_PROVEN_EPOCH, 0x04595c1a, "getDataSetLastProvenEpoch(uint256)") \
	X(PDP_STORAGE_PROVIDER, 0x21b7cd1c, "getDataSetStorageProvider(uint256)") \
	X(PDP_DELETE_DATA_SET, 0x7a1e2990, "deleteDataSet(uint256,bytes)") \
	X(REGISTRY_PROVIDERS_BY_PRODUCT, 0x6ba44226, "getProvidersByProductType(uint8,bool,uint256,uint256)") \
	X(REGISTRY_PROVIDER_WITH_PRODUCT, 0xadd33358, "getProviderWithProduct(uint256,uint8)") \
	X(REGISTRY_PROVIDER, 0x5c42d079, "getProvider(uint256)") \
	X(REGISTRY_CAPABILITIES, 0xa6771f8b, "getAllProductCapabilities(uint256,uint8)") \
	X(REGISTRY_ENDORSED, 0x0a9cb4a7, "getProviderIds()") \
	X(PAY_ACCOUNTS, 0xad74b775, "accounts(address,address)") \
	X(PAY_ACCOUNT_INFO_IF_SETTLED, 0x05f4c536, "getAccountInfoIfSettled(address,address)") \
	X(PAY_OPERATOR_APPROVALS, 0xe3d4c69e, "operatorApprovals(address,address,address)") \
	X(PAY_RAIL, 0x22e440b3, "getRail(uint256)") \
	X(PAY_RAILS_FOR_PAYER, 0x007b5fd1, "getRailsForPayerAndToken(address,address,uint256,uint256)") \
	X(PAY_DEPOSIT, 0x8340f549, "deposit(address,address,uint256)") \
	X(PAY_WITHDRAW, 0xf3fef3a3, "withdraw(address,uint256)") \
	X(PAY_SET_OPERATOR_APPROVAL, 0x875bc8b6, "setOperatorApproval(address,address,bool,uint256,uint256,uint256)") \
	X(PAY_DEPOSIT_WITH_PERMIT_AND_APPROVE, 0x7218b707, "depositWithPermitAndApproveOperator(address,address,uint256,uint256,uint8,bytes32,bytes32,address,uint256,uint256,uint256)") \
	X(TOKEN_BALANCE_OF, 0x70a08231, "balanceOf(address)") \
	X(TOKEN_NONCES, 0x7ecebe00, "nonces(address)") \
	X(TOKEN_NAME, 0x06fdde03, "name()") \
	X(TOKEN_VERSION, 0x54fd4d50, "version()") \
	X(TOKEN_DOMAIN_SEPARATOR, 0x3644e515, "DOMAIN_SEPARATOR()") \
	X(TOKEN_APPROVE, 0x095ea7b3, "approve(address,uint256)") \
	X(TOKEN_TRANSFER, 0xa9059cbb, "transfer(address,uint256)") \
	X(SESSION_KEY_AUTHORIZATION_EXPIRY, 0x9501b2cc, "authorizationExpiry(address,address,bytes32)") \
	X(SESSION_KEY_LOGIN, 0x0848f33f, "login(address,uint256,bytes32[],string)") \
	X(SESSION_KEY_REVOKE, 0xfd89202e, "revoke(address,bytes32[],string)") \
	X(MULTICALL_AGGREGATE3, 0x82ad56cb, "aggregate3((address,bool,bytes)[])")
/* clang-format on */

#define CALL_ENUM_(name, selector, signature) CALL_##name,
enum call {
	CALL_LIST(CALL_ENUM_) CALL_NX
};
#undef CALL_ENUM_

uint32_t call_selector(enum call c);
const char *call_signature(enum call c);

/* For the contracts' files: selector, arguments by abi_put_…, end. */
void call_begin(struct abi_out *o, enum call c);
must_check int call_end(struct abi_out *o, struct buf *ret); /* ends `o` too */
must_check int call_bare(enum call c, struct buf *ret);      /* no arguments */

must_check int call_answer_u256(struct slice answer, struct u256 *ret);
must_check int call_answer_u64(struct slice answer, uint64_t *ret);
/* An epoch; what does not fit is UINT64_MAX: never. */
must_check int call_answer_epoch(struct slice answer, uint64_t *ret);
must_check int call_answer_bool(struct slice answer, bool *ret);
must_check int call_answer_address(struct slice answer, struct address *ret);
must_check int call_answer_bytes32(struct slice answer,
				   uint8_t ret[static ABI_WORD]);
must_check int call_answer_text(struct slice answer, struct slice *ret);

/* uint256[]: ids.  -EMSGSIZE: more than `cap`. */
must_check int call_answer_ids(struct slice answer, uint64_t *ret, size_t cap,
			       size_t *ret_n);

#endif
