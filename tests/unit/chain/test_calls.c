/* test_calls.c - what is asked of the contracts: selectors and arguments */
#include "vectors.h"

#include <errno.h>

#include "base/cursor.h"
#include "base/err.h"
#include "chain/abi.h"
#include "chain/call.h"
#include "chain/eip712.h"
#include "chain/fwss.h"
#include "chain/pay.h"
#include "chain/pdp.h"
#include "chain/registry.h"
#include "chain/session_key.h"
#include "chain/token.h"
#include "chain/view.h"
#include "crypto/keccak.h"
#include "crypto/secret.h"

/* Of the function with this signature in one of the ABIs, or NULL. */
static const char *selector_in_abi(json_t *abis, const char *signature)
{
	const char *contract;
	json_t *v, *f;
	size_t i;

	json_object_foreach(abis, contract, v)
	{
		const json_t *list =
			json_is_array(v) ? v : vectors_get(v, "functions");

		json_array_foreach(list, i,
				   f) if (strcmp(vectors_str(f, "sig"), signature) ==
					  0) return vectors_str(f, "sel");
	}
	return NULL;
}

static void selectors_are_those_of_the_contracts(void **state)
{
	json_t *abis = vectors_load("selectors.json");

	(void)state;
	for (unsigned i = 0; i < CALL_NX; i++) {
		const char *signature = call_signature((enum call)i);
		const char *want = selector_in_abi(abis, signature);
		uint8_t digest[KECCAK_SIZE];
		char got[16], ours[16];

		keccak_once(slice_str(signature), digest);
		(void)snprintf(got, sizeof(got), "0x%02x%02x%02x%02x",
			       digest[0], digest[1], digest[2], digest[3]);
		(void)snprintf(ours, sizeof(ours), "0x%08x",
			       (unsigned)call_selector((enum call)i));
		if (!want)
			fail_msg("%s is in no ABI", signature);
		assert_string_equal(ours, want);
		assert_string_equal(ours, got);
	}
	json_decref(abis);
}

/* Selector and the words 1, 2, 3 … as many as the signature has arguments. */
static void assert_counts_up(struct buf *b, enum call c)
{
	const char *signature = call_signature(c);
	struct cursor in = cursor(buf_slice(b));
	uint8_t word[ABI_WORD];
	unsigned n = strstr(signature, "()") ? 0 : 1;
	uint32_t selector = 0;

	for (const char *p = signature; *p; p++)
		n += *p == ',';
	for (int i = 0; i < 4; i++)
		selector = selector << 8 | cursor_u8(&in);
	assert_int_equal(selector, call_selector(c));
	for (unsigned i = 1; i <= n; i++) {
		cursor_copy(&in, word, sizeof(word));
		if (!u256_eq(u256_from_be(word), u256(i)))
			fail_msg("%s: argument %u", signature, i);
	}
	assert_int_equal(cursor_done(&in), 0);
	buf_fini(b);
	buf_init(b, CALL_MAX);
}

static void arguments_stand_in_the_order_of_the_signature(void **state)
{
	const struct pay_allow allow = { party(2), u256(4), u256(5), u256(6) };
	struct buf b;

	(void)state;
	buf_init(&b, CALL_MAX);
#define CHECK(name, call)            \
 do {                                \
  assert_int_equal(call, 0);         \
  assert_counts_up(&b, CALL_##name); \
 } while (0)
	CHECK(FWSS_VIEW_CONTRACT, fwss_view_contract(&b));
	CHECK(FWSS_PAYMENTS, fwss_payments(&b));
	CHECK(FWSS_USDFC, fwss_usdfc(&b));
	CHECK(FWSS_SESSION_KEY_REGISTRY, fwss_session_key_registry(&b));
	CHECK(FWSS_DOMAIN, fwss_domain(&b));
	CHECK(FWSS_SERVICE_PRICE, fwss_service_price(&b));
	CHECK(FWSS_TERMINATE_SERVICE, fwss_terminate_service(1, &b));
	CHECK(VIEW_CLIENT_DATA_SETS, view_client_data_sets(party(1), 2, 3, &b));
	CHECK(VIEW_DATA_SET, view_data_set(1, &b));
	CHECK(VIEW_DATA_SET_METADATA, view_data_set_metadata(1, &b));
	CHECK(VIEW_PIECE_METADATA, view_piece_metadata(1, 2, &b));
	CHECK(VIEW_CLIENT_NONCES, view_client_nonces(party(1), u256(2), &b));
	CHECK(VIEW_APPROVED_PROVIDERS, view_approved_providers(1, 2, &b));
	CHECK(VIEW_IS_PROVIDER_APPROVED, view_is_provider_approved(1, &b));
	CHECK(VIEW_PDP_CONFIG, view_pdp_config(&b));
	CHECK(VIEW_PRICE_LIST, view_price_list(&b));
	CHECK(VIEW_CURRENT_PRICING_RATES, view_current_pricing_rates(&b));
	CHECK(VIEW_PROVING_DEADLINE, view_proving_deadline(1, &b));
	CHECK(VIEW_PROVEN_THIS_PERIOD, view_proven_this_period(1, &b));
	CHECK(VIEW_PROVEN_PERIODS, view_proven_periods(1, 2, &b));
	CHECK(VIEW_PROVING_ACTIVATION_EPOCH, view_proving_activation_epoch(1, &b));
	CHECK(VIEW_NEXT_UPGRADE, view_next_upgrade(&b));
	CHECK(PDP_DATA_SET_LIVE, pdp_data_set_live(1, &b));
	CHECK(PDP_ACTIVE_PIECES_BY_CURSOR,
	      pdp_active_pieces_by_cursor(1, 2, 3, &b));
	CHECK(PDP_PIECE_CID, pdp_piece_cid(1, 2, &b));
	CHECK(PDP_DATA_SET_LEAF_COUNT, pdp_data_set_leaf_count(1, &b));
	CHECK(PDP_SCHEDULED_REMOVALS, pdp_scheduled_removals(1, &b));
	CHECK(PDP_LAST_PROVEN_EPOCH, pdp_last_proven_epoch(1, &b));
	CHECK(PDP_STORAGE_PROVIDER, pdp_storage_provider(1, &b));
	CHECK(REGISTRY_PROVIDER, registry_provider(1, &b));
	CHECK(REGISTRY_ENDORSED, registry_endorsed(&b));
	CHECK(PAY_ACCOUNTS, pay_accounts(party(1), party(2), &b));
	CHECK(PAY_ACCOUNT_INFO_IF_SETTLED,
	      pay_account_info_if_settled(party(1), party(2), &b));
	CHECK(PAY_OPERATOR_APPROVALS,
	      pay_operator_approvals(party(1), party(2), party(3), &b));
	CHECK(PAY_RAIL, pay_rail(1, &b));
	CHECK(PAY_RAILS_FOR_PAYER,
	      pay_rails_for_payer(party(1), party(2), 3, 4, &b));
	CHECK(PAY_DEPOSIT, pay_deposit(party(1), party(2), u256(3), &b));
	CHECK(PAY_WITHDRAW, pay_withdraw(party(1), u256(2), &b));
	CHECK(TOKEN_BALANCE_OF, token_balance_of(party(1), &b));
	CHECK(TOKEN_NONCES, token_nonces(party(1), &b));
	CHECK(TOKEN_NAME, token_name(&b));
	CHECK(TOKEN_VERSION, token_version(&b));
	CHECK(TOKEN_DOMAIN_SEPARATOR, token_domain_separator(&b));
	CHECK(TOKEN_APPROVE, token_approve(party(1), u256(2), &b));
	CHECK(TOKEN_TRANSFER, token_transfer(party(1), u256(2), &b));
#undef CHECK
	/* A bool in the midst: 1 stands for 3. */
	assert_int_equal(pay_set_operator_approval(party(1), true, &allow, &b), 0);
	assert_slice_hex(slice(b.p, 4), "875bc8b6");
	assert_int_equal(b.p[4 + 32 * 3 - 1], 1);
	b.p[4 + 32 * 3 - 1] = 3;
	assert_counts_up(&b, CALL_PAY_SET_OPERATOR_APPROVAL);
	buf_fini(&b);
}

static void deposits_by_permit_equal_the_vectors(void **state)
{
	json_t *v = vectors_load("eip712.json"), *o, *found = NULL;
	const json_t *m, *domain;
	struct pay_permit permit;
	struct pay_allow allow = { .max_lockup_period = u256(86400) };
	struct buf want, call, sig;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(v, "vectors"), i,
			   o) if (strcmp(vectors_str(o, "name"),
					 "erc2612-permit") == 0) found = o;
	m = vectors_get(found, "message");
	domain = vectors_get(found, "domain");
	permit = (struct pay_permit){
		.token = vectors_address(domain, "verifyingContract"),
		.to = vectors_address(m, "owner"),
		.amount = vectors_u256(m, "value"),
		.deadline = vectors_u256(m, "deadline"),
	};
	sig = vectors_hex(found, "signature");
	memcpy(permit.signature, sig.p, sizeof(permit.signature));
	buf_init(&call, CALL_MAX);
	/* Operator and allowances of the vector, read from its last words. */
	want = vectors_hex(found, "depositWithPermitAndApproveOperatorCalldata");
	memcpy(allow.operator.b, want.p + 4 + 7 * 32 + 12, ADDRESS_SIZE);
	allow.rate_allowance = u256_from_be(want.p + 4 + 8 * 32);
	allow.lockup_allowance = u256_from_be(want.p + 4 + 9 * 32);
	assert_int_equal(
		pay_deposit_with_permit_and_approve(&permit, &allow, &call), 0);
	assert_true(slice_eq(buf_slice(&call), buf_slice(&want)));
	buf_fini(&want);
	buf_fini(&call);
	buf_fini(&sig);
	json_decref(v);
}

static void session_keys_get_the_operations_as_type_hashes(void **state)
{
	static const enum eip712_type ops[] = { EIP712_CREATE_DATA_SET,
						EIP712_ADD_PIECES };
	struct abi_doc doc;
	struct abi_in in, list;
	uint8_t word[ABI_WORD], want[EIP712_HASH_SIZE] = { 0 };
	struct buf b;
	size_t n;

	(void)state;
	buf_init(&b, CALL_MAX);
	assert_int_equal(session_key_login(party(1), 1234, ops, 2,
					   slice_str("fildrive"), &b),
			 0);
	assert_slice_hex(slice(b.p, 4), "0848f33f");
	in = abi_open(&doc, slice(b.p + 4, b.n - 4));
	assert_true(address_eq(abi_get_address(&in), party(1)));
	assert_int_equal(abi_get_u64(&in), 1234);
	list = abi_get_array(&in, 1, &n);
	assert_int_equal(n, 2);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		eip712_type_hash(ops[i], want);
		abi_get_bytes32(&list, word);
		assert_memory_equal(word, want, sizeof(want));
	}
	assert_true(slice_eq(abi_get_string(&in), slice_str("fildrive")));
	assert_int_equal(abi_close(&doc), 0);

	buf_reset(&b);
	assert_int_equal(session_key_revoke(party(1), ops, 2, SLICE_NONE, &b), 0);
	assert_slice_hex(slice(b.p, 4), "fd89202e");
	buf_reset(&b);
	assert_int_equal(session_key_authorization_expiry(party(1), party(2),
							  ops[1], &b),
			 0);
	assert_int_equal(b.n, 4 + 3 * 32);
	assert_memory_equal(b.p + 4 + 64, want, sizeof(want));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_are_those_of_the_contracts),
		cmocka_unit_test(arguments_stand_in_the_order_of_the_signature),
		cmocka_unit_test(deposits_by_permit_equal_the_vectors),
		cmocka_unit_test(session_keys_get_the_operations_as_type_hashes),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
