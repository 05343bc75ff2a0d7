/* test_calls.c - calldata and answers of the contracts */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/cursor.h"
#include "base/err.h"
#include "chain/call.h"
#include "chain/eip712.h"
#include "chain/fwss.h"
#include "chain/multicall.h"
#include "chain/pay.h"
#include "chain/pdp.h"
#include "chain/registry.h"
#include "chain/session_key.h"
#include "chain/token.h"
#include "chain/view.h"
#include "crypto/keccak.h"
#include "crypto/piece_cid.h"
#include "crypto/secret.h"

#include "vectors.h"

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

/* An address whose word is the number i. */
static struct address party(uint8_t i)
{
	struct address a = ADDRESS_NONE;

	a.b[ADDRESS_SIZE - 1] = i;
	return a;
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
	const struct pay_allow more = { party(2), u256(3), u256(4), U256_ZERO };
	struct buf b;

	(void)state;
	buf_init(&b, CALL_MAX);
#define CHECK(name, call)            \
 do {                                \
  assert_int_equal(call, 0);         \
  assert_counts_up(&b, CALL_##name); \
 } while (0)
	CHECK(FWSS_VIEW_CONTRACT, fwss_view_contract(&b));
	CHECK(FWSS_PDP_VERIFIER, fwss_pdp_verifier(&b));
	CHECK(FWSS_PAYMENTS, fwss_payments(&b));
	CHECK(FWSS_USDFC, fwss_usdfc(&b));
	CHECK(FWSS_PROVIDER_REGISTRY, fwss_provider_registry(&b));
	CHECK(FWSS_SESSION_KEY_REGISTRY, fwss_session_key_registry(&b));
	CHECK(FWSS_FILBEAM_BENEFICIARY, fwss_filbeam_beneficiary(&b));
	CHECK(FWSS_VERSION, fwss_version(&b));
	CHECK(FWSS_DOMAIN, fwss_domain(&b));
	CHECK(FWSS_PROVING_PERIOD_FOR_EPOCH,
	      fwss_proving_period_for_epoch(1, 2, &b));
	CHECK(FWSS_SERVICE_PRICE, fwss_service_price(&b));
	CHECK(FWSS_TERMINATE_SERVICE, fwss_terminate_service(1, &b));
	CHECK(FWSS_TOP_UP_LIFECYCLE_RESERVE,
	      fwss_top_up_lifecycle_reserve(1, u256(2), &b));
	CHECK(VIEW_SERVICE, view_service(&b));
	CHECK(VIEW_CLIENT_DATA_SETS, view_client_data_sets(party(1), 2, 3, &b));
	CHECK(VIEW_CLIENT_DATA_SETS_LENGTH,
	      view_client_data_sets_length(party(1), &b));
	CHECK(VIEW_CLIENT_DATA_SET_IDS,
	      view_client_data_set_ids(party(1), 2, 3, &b));
	CHECK(VIEW_DATA_SET, view_data_set(1, &b));
	CHECK(VIEW_DATA_SET_STATUS, view_data_set_status(1, &b));
	CHECK(VIEW_DATA_SET_METADATA, view_data_set_metadata(1, &b));
	CHECK(VIEW_PIECE_METADATA, view_piece_metadata(1, 2, &b));
	CHECK(VIEW_CLIENT_NONCES, view_client_nonces(party(1), u256(2), &b));
	CHECK(VIEW_RAIL_TO_DATA_SET, view_rail_to_data_set(1, &b));
	CHECK(VIEW_APPROVED_PROVIDERS, view_approved_providers(1, 2, &b));
	CHECK(VIEW_APPROVED_PROVIDERS_LENGTH, view_approved_providers_length(&b));
	CHECK(VIEW_IS_PROVIDER_APPROVED, view_is_provider_approved(1, &b));
	CHECK(VIEW_PDP_CONFIG, view_pdp_config(&b));
	CHECK(VIEW_PRICE_LIST, view_price_list(&b));
	CHECK(VIEW_CURRENT_PRICING_RATES, view_current_pricing_rates(&b));
	CHECK(VIEW_PROVING_DEADLINE, view_proving_deadline(1, &b));
	CHECK(VIEW_PROVEN_THIS_PERIOD, view_proven_this_period(1, &b));
	CHECK(VIEW_PROVEN_PERIODS, view_proven_periods(1, 2, &b));
	CHECK(VIEW_PROVING_ACTIVATION_EPOCH, view_proving_activation_epoch(1, &b));
	CHECK(VIEW_NEXT_CHALLENGE_WINDOW_START,
	      view_next_challenge_window_start(1, &b));
	CHECK(VIEW_NEXT_UPGRADE, view_next_upgrade(&b));
	CHECK(PDP_VERSION, pdp_version(&b));
	CHECK(PDP_DATA_SET_LIVE, pdp_data_set_live(1, &b));
	CHECK(PDP_ACTIVE_PIECES_BY_CURSOR,
	      pdp_active_pieces_by_cursor(1, 2, 3, &b));
	CHECK(PDP_ACTIVE_PIECES, pdp_active_pieces(1, 2, 3, &b));
	CHECK(PDP_ACTIVE_PIECE_COUNT, pdp_active_piece_count(1, &b));
	CHECK(PDP_PIECE_CID, pdp_piece_cid(1, 2, &b));
	CHECK(PDP_PIECE_LIVE, pdp_piece_live(1, 2, &b));
	CHECK(PDP_PIECE_CHALLENGABLE, pdp_piece_challengable(1, 2, &b));
	CHECK(PDP_NEXT_PIECE_ID, pdp_next_piece_id(1, &b));
	CHECK(PDP_DATA_SET_LEAF_COUNT, pdp_data_set_leaf_count(1, &b));
	CHECK(PDP_SCHEDULED_REMOVALS, pdp_scheduled_removals(1, &b));
	CHECK(PDP_NEXT_CHALLENGE_EPOCH, pdp_next_challenge_epoch(1, &b));
	CHECK(PDP_LAST_PROVEN_EPOCH, pdp_last_proven_epoch(1, &b));
	CHECK(PDP_LISTENER, pdp_listener(1, &b));
	CHECK(PDP_STORAGE_PROVIDER, pdp_storage_provider(1, &b));
	CHECK(PDP_CLEANUP_DEPOSIT, pdp_cleanup_deposit(&b));
	CHECK(REGISTRY_VERSION, registry_version(&b));
	CHECK(REGISTRY_PROVIDER, registry_provider(1, &b));
	CHECK(REGISTRY_PROVIDER_ID_BY_ADDRESS,
	      registry_provider_id_by_address(party(1), &b));
	CHECK(REGISTRY_IS_PROVIDER_ACTIVE, registry_is_provider_active(1, &b));
	CHECK(REGISTRY_PROVIDER_PAYEE, registry_provider_payee(1, &b));
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
	CHECK(PAY_WITHDRAW_TO, pay_withdraw_to(party(1), party(2), u256(3), &b));
	CHECK(PAY_SETTLE_RAIL, pay_settle_rail(1, 2, &b));
	CHECK(PAY_INCREASE_OPERATOR_APPROVAL,
	      pay_increase_operator_approval(party(1), &more, &b));
	CHECK(TOKEN_BALANCE_OF, token_balance_of(party(1), &b));
	CHECK(TOKEN_ALLOWANCE, token_allowance(party(1), party(2), &b));
	CHECK(TOKEN_NONCES, token_nonces(party(1), &b));
	CHECK(TOKEN_NAME, token_name(&b));
	CHECK(TOKEN_SYMBOL, token_symbol(&b));
	CHECK(TOKEN_VERSION, token_version(&b));
	CHECK(TOKEN_DECIMALS, token_decimals(&b));
	CHECK(TOKEN_TOTAL_SUPPLY, token_total_supply(&b));
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

/* One of the captured pairs. */
struct pair {
	json_t *all;
	const json_t *o;
	struct buf call;
	struct buf answer;
};

static struct pair pair_open(const char *name)
{
	struct pair p = { .all = vectors_load("ethcalls.json") };

	p.o = vectors_get(vectors_get(p.all, "calls"), name);
	p.answer = vectors_hex(p.o, "result");
	buf_init(&p.call, CALL_MAX);
	return p;
}

/* The calldata in `call` is what was asked. */
static void pair_close(struct pair *p)
{
	assert_slice_hex(buf_slice(&p->call), vectors_str(p->o, "data"));
	buf_fini(&p->call);
	buf_fini(&p->answer);
	json_decref(p->all);
}

static struct address named(const struct pair *p, const char *contract)
{
	return vectors_address(vectors_get(p->all, "contracts"), contract);
}

static void assert_address(struct address a, const char *text)
{
	char got[ADDRESS_TEXT_MAX];

	address_text(a, got);
	assert_string_equal(got, text);
}

#define PROVIDER "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
#define PAYER    "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"

static void check_data_set(const struct view_data_set *d)
{
	assert_int_equal(d->pdp_rail_id, 1);
	assert_int_equal(d->cache_miss_rail_id, 0);
	assert_int_equal(d->cdn_rail_id, 0);
	assert_address(d->payer, PAYER);
	assert_address(d->payee, PROVIDER);
	assert_address(d->service_provider, PROVIDER);
	assert_int_equal(d->commission_bps, 0);
	assert_u256_text(d->client_data_set_id, "5");
	assert_int_equal(d->pdp_end_epoch, 0x15);
	assert_int_equal(d->provider_id, 1);
	assert_true(u256_is_zero(d->pending_one_time_payments));
	assert_true(u256_is_zero(d->lifecycle_reserve));
	assert_int_equal(d->data_set_id, 1);
}

static void data_sets_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getDataSet");
	struct view_data_set d, list[10];
	size_t n = 0;

	(void)state;
	assert_int_equal(view_data_set(1, &p.call), 0);
	assert_int_equal(view_data_set_answer(buf_slice(&p.answer), &d), 0);
	check_data_set(&d);
	pair_close(&p);

	p = pair_open("getClientDataSets");
	assert_int_equal(view_client_data_sets(vectors_address(p.all, "payer"),
					       0, 10, &p.call),
			 0);
	assert_int_equal(view_data_sets_answer(buf_slice(&p.answer), list, 10, &n),
			 0);
	assert_int_equal(n, 1);
	check_data_set(&list[0]);
	assert_int_equal(view_data_sets_answer(buf_slice(&p.answer), list, 0, &n),
			 -EMSGSIZE);
	pair_close(&p);
}

static void prices_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getPriceList");
	struct view_price_list l;

	(void)state;
	assert_int_equal(view_price_list(&p.call), 0);
	assert_int_equal(view_price_list_answer(buf_slice(&p.answer), &l), 0);
	assert_true(address_eq(l.token, named(&p, "usdfc")));
	assert_u256_text(l.storage_per_tib_month, "2500000000000000000");
	assert_u256_text(l.data_set_fee_per_month, "24000000000000000");
	assert_u256_text(l.cdn_egress_per_tib, "7000000000000000000");
	assert_u256_text(l.cache_miss_egress_per_tib, "7000000000000000000");
	assert_u256_text(l.create_fee, "25000000000000000");
	assert_u256_text(l.add_base_fee, "500000000000000");
	assert_u256_text(l.add_piece_fee, "300000000000000");
	assert_u256_text(l.remove_fee, "2000000000000000");
	assert_u256_text(l.terminate_fee, "1120000000000000");
	assert_u256_text(l.lifecycle_reserve_target, "100000000000000000");
	assert_u256_text(l.replenish_threshold, "5000000000000000");
	assert_int_equal(l.lockup_period, 86400);
	assert_u256_text(l.cdn_lockup, "700000000000000000");
	assert_u256_text(l.cache_miss_lockup, "300000000000000000");
	assert_int_equal(l.cdn_lockup_period, 14400);
	pair_close(&p);
}

static void assert_cid(struct slice got, const json_t *texts, size_t i)
{
	const char *text = json_string_value(json_array_get(texts, i));
	struct piece_cid cid;

	assert_int_equal(piece_cid_from_text(slice_str(text), &cid), 0);
	assert_true(slice_eq(got, piece_cid_slice(&cid)));
}

static void pieces_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getActivePiecesByCursor");
	const json_t *texts = vectors_get(p.all, "pieces");
	struct pdp_piece pieces[PDP_PIECES_PAGE];
	struct piece_cid cid;
	uint64_t ids[10];
	bool more = true;
	size_t n = 0;

	(void)state;
	assert_int_equal(
		pdp_active_pieces_by_cursor(1, 0, PDP_PIECES_PAGE, &p.call), 0);
	assert_int_equal(pdp_pieces_answer(buf_slice(&p.answer), pieces,
					   PDP_PIECES_PAGE, &n, &more),
			 0);
	assert_int_equal(n, 3);
	assert_false(more);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(pieces[i].id, i);
		assert_cid(pieces[i].cid, texts, i);
	}
	assert_int_equal(pdp_pieces_answer(buf_slice(&p.answer), pieces, 2, &n, &more),
			 -EMSGSIZE);
	pair_close(&p);

	p = pair_open("findPieceIdsByCid");
	texts = vectors_get(p.all, "pieces");
	assert_int_equal(piece_cid_from_text(slice_str(json_string_value(
						     json_array_get(texts, 1))),
					     &cid),
			 0);
	assert_int_equal(
		pdp_find_piece_ids(1, piece_cid_slice(&cid), 0, 10, &p.call), 0);
	assert_int_equal(call_answer_ids(buf_slice(&p.answer), ids, 10, &n), 0);
	assert_true(n == 1 && ids[0] == 1);
	pair_close(&p);

	p = pair_open("getScheduledRemovals");
	assert_int_equal(pdp_scheduled_removals(1, &p.call), 0);
	assert_int_equal(call_answer_ids(buf_slice(&p.answer), ids, 10, &n), 0);
	assert_true(n == 1 && ids[0] == 1);
	assert_int_equal(call_answer_ids(buf_slice(&p.answer), ids, 0, &n),
			 -EMSGSIZE);
	pair_close(&p);
}

static void assert_entry(const struct eip712_entry *e, const char *key,
			 const char *value)
{
	assert_true(slice_eq(e->key, slice_str(key)));
	assert_true(slice_eq(e->value, slice_str(value)));
}

static void metadata_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getAllDataSetMetadata");
	struct eip712_entry e[10];
	size_t n = 0;

	(void)state;
	assert_int_equal(view_data_set_metadata(1, &p.call), 0);
	assert_int_equal(view_metadata_answer(buf_slice(&p.answer), e, 10, &n), 0);
	assert_int_equal(n, 2);
	assert_entry(&e[0], "source", "filecoin-drive");
	assert_entry(&e[1], "withIPFSIndexing", "");
	assert_int_equal(view_metadata_answer(buf_slice(&p.answer), e, 1, &n),
			 -EMSGSIZE);
	pair_close(&p);

	p = pair_open("getAllPieceMetadata");
	assert_int_equal(view_piece_metadata(1, 0, &p.call), 0);
	assert_int_equal(view_metadata_answer(buf_slice(&p.answer), e, 10, &n), 0);
	assert_int_equal(n, 1);
	assert_entry(&e[0], "ipfsRootCID", "bafy");
	pair_close(&p);
}

static void check_provider(const struct registry_provider *r)
{
	struct registry_terms t;
	struct err e = { "" };

	assert_int_equal(r->id, 1);
	assert_address(r->service_provider, PROVIDER);
	assert_address(r->payee, PROVIDER);
	assert_true(slice_eq(r->name, slice_str("sp")));
	assert_true(slice_eq(r->description, slice_str("d")));
	assert_true(r->active && r->product_active);
	assert_int_equal(r->n_capabilities, 9);
	if (registry_terms(r, &t, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(t.service_url.n > 8);
	assert_memory_equal(t.service_url.p, "http", 4);
	assert_true(t.min_piece_bytes >= 1 && t.max_piece_bytes > t.min_piece_bytes);
	assert_true(t.location.n > 0);
}

static void providers_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getProviderWithProduct");
	static struct registry_provider list[REGISTRY_PROVIDERS_PAGE];
	struct registry_provider one;
	uint64_t ids[10];
	size_t n = 0;
	bool more = true;

	(void)state;
	assert_int_equal(registry_provider_with_product(1, &p.call), 0);
	assert_int_equal(registry_product_answer(buf_slice(&p.answer), &one), 0);
	check_provider(&one);
	pair_close(&p);

	p = pair_open("getProvidersByProductType");
	assert_int_equal(registry_providers_by_product(
				 true, 0, REGISTRY_PROVIDERS_PAGE, &p.call),
			 0);
	assert_int_equal(registry_products_answer(buf_slice(&p.answer), list,
						  REGISTRY_PROVIDERS_PAGE, &n, &more),
			 0);
	assert_int_equal(n, 1);
	assert_false(more);
	check_provider(&list[0]);
	pair_close(&p);

	p = pair_open("getApprovedProviders");
	assert_int_equal(
		view_approved_providers(0, REGISTRY_PROVIDERS_PAGE, &p.call), 0);
	assert_int_equal(call_answer_ids(buf_slice(&p.answer), ids, 10, &n), 0);
	assert_true(n == 1 && ids[0] == 1);
	pair_close(&p);
}

static void payments_are_read_as_captured(void **state)
{
	struct pair p = pair_open("accounts");
	struct pay_account a;
	struct pay_approvals ap;
	struct pay_rail rail;
	struct pay_rail_info info[5];
	uint64_t next, total;
	size_t n = 0;

	(void)state;
	assert_int_equal(pay_accounts(named(&p, "usdfc"),
				      vectors_address(p.all, "payer"), &p.call),
			 0);
	assert_int_equal(pay_accounts_answer(buf_slice(&p.answer), &a), 0);
	assert_u256_text(a.funds, "4969980000000000000");
	assert_u256_text(a.lockup, "833388614686");
	assert_true(u256_is_zero(a.lockup_rate));
	assert_int_equal(a.last_settled_epoch, 21);
	pair_close(&p);

	p = pair_open("operatorApprovals");
	assert_int_equal(pay_operator_approvals(named(&p, "usdfc"),
						vectors_address(p.all, "payer"),
						named(&p, "fwss"), &p.call),
			 0);
	assert_int_equal(pay_operator_approvals_answer(buf_slice(&p.answer), &ap),
			 0);
	assert_true(ap.approved && u256_eq(ap.rate_allowance, U256_MAX));
	assert_true(u256_cmp(ap.lockup_allowance, U256_MAX) < 0);
	assert_int_equal(u256_bits(ap.lockup_allowance), 256);
	assert_u256_text(ap.max_lockup_period, "86400");
	pair_close(&p);

	p = pair_open("getRail");
	assert_int_equal(pay_rail(1, &p.call), 0);
	assert_int_equal(pay_rail_answer(buf_slice(&p.answer), &rail), 0);
	assert_true(address_eq(rail.token, named(&p, "usdfc")));
	assert_address(rail.from, PAYER);
	assert_address(rail.to, PROVIDER);
	assert_true(address_eq(rail.operator, named(&p, "fwss")));
	assert_true(address_eq(rail.validator, named(&p, "fwss")));
	assert_u256_text(rail.rate, "277805403415");
	assert_int_equal(rail.settled_until, 0x12);
	assert_int_equal(rail.end_epoch, 0x15);
	assert_true(address_eq(rail.fee_recipient, named(&p, "fwss")));
	pair_close(&p);

	p = pair_open("getRailsForPayerAndToken");
	assert_int_equal(pay_rails_for_payer(vectors_address(p.all, "payer"),
					     named(&p, "usdfc"), 0, 0, &p.call),
			 0);
	assert_int_equal(pay_rails_for_payer_answer(buf_slice(&p.answer), info,
						    5, &n, &next, &total),
			 0);
	assert_true(n == 1 && info[0].id == 1 && info[0].terminated);
	assert_int_equal(info[0].end_epoch, 0x15);
	assert_true(next == 1 && total == 1);
	pair_close(&p);
}

static void small_answers_are_read_as_captured(void **state)
{
	struct pair p = pair_open("getPDPConfig");
	struct view_pdp_config c;
	struct address a;

	(void)state;
	assert_int_equal(view_pdp_config(&p.call), 0);
	assert_int_equal(view_pdp_config_answer(buf_slice(&p.answer), &c), 0);
	assert_true(c.max_proving_period == 240 && c.challenge_window == 20);
	assert_true(c.challenges_per_proof == 5 && c.first_window_start == 241);
	pair_close(&p);

	p = pair_open("viewContractAddress");
	assert_int_equal(fwss_view_contract(&p.call), 0);
	assert_int_equal(call_answer_address(buf_slice(&p.answer), &a), 0);
	assert_true(address_eq(a, named(&p, "view")));
	pair_close(&p);
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
	assert_int_equal(pay_deposit_with_permit(&permit, &call), 0);
	assert_slice_hex(buf_slice(&call),
			 vectors_str(found, "depositWithPermitCalldata"));

	/* Operator and allowances of the vector, read from its last words. */
	want = vectors_hex(found, "depositWithPermitAndApproveOperatorCalldata");
	memcpy(allow.operator.b, want.p + 4 + 7 * 32 + 12, ADDRESS_SIZE);
	allow.rate_allowance = u256_from_be(want.p + 4 + 8 * 32);
	allow.lockup_allowance = u256_from_be(want.p + 4 + 9 * 32);
	buf_reset(&call);
	assert_int_equal(
		pay_deposit_with_permit_and_approve(&permit, &allow, &call), 0);
	assert_true(slice_eq(buf_slice(&call), buf_slice(&want)));
	buf_fini(&want);
	buf_fini(&call);
	buf_fini(&sig);
	json_decref(v);
}

/* An answer that the test writes itself. */
static struct slice end(struct abi_out *o)
{
	struct slice s = SLICE_NONE;

	assert_int_equal(abi_out_done(o, &s), 0);
	return s;
}

static void a_nonce_tells_the_data_set_and_the_next_piece(void **state)
{
	uint8_t word[ABI_WORD] = { 0 };
	struct view_nonce n;

	(void)state;
	assert_int_equal(view_client_nonces_answer(slice(word, 32), &n), 0);
	assert_false(n.used);
	word[15] = 3; /* (3 << 128) | 1, seen after adding piece 2 */
	word[31] = 1;
	assert_int_equal(view_client_nonces_answer(slice(word, 32), &n), 0);
	assert_true(n.used && n.data_set_id == 1 && n.next_piece_id == 3);
	word[7] = 1;
	assert_int_equal(view_client_nonces_answer(slice(word, 32), &n), -EPROTO);
}

static void endorsed_providers_come_once_and_without_zeros(void **state)
{
	static const uint64_t given[] = { 4, 0, 2, 4, 0, 9, 2 };
	_cleanup_abi_out_ struct abi_out o = { 0 };
	uint64_t ids[3];
	struct slice s;
	size_t n = 0;

	(void)state;
	abi_out_init(&o, 4096);
	abi_begin_array(&o);
	for (size_t i = 0; i < ARRAY_LEN(given); i++)
		abi_put_u64(&o, given[i]);
	abi_end(&o);
	s = end(&o);
	assert_int_equal(registry_endorsed_answer(s, ids, 3, &n), 0);
	assert_true(n == 3 && ids[0] == 4 && ids[1] == 2 && ids[2] == 9);
	assert_int_equal(registry_endorsed_answer(s, ids, 2, &n), -EMSGSIZE);
}

static void put_provider(struct abi_out *o)
{
	abi_begin_tuple(o);
	abi_put_u64(o, 7);
	abi_begin_tuple(o);
	abi_put_address(o, party(1));
	abi_put_address(o, party(2));
	abi_put_string(o, slice_str("name"));
	abi_put_string(o, slice_str(""));
	abi_put_bool(o, true);
	abi_end(o);
	abi_end(o);
}

static void a_provider_alone_is_read(void **state)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	struct registry_provider p;

	(void)state;
	abi_out_init(&o, 4096);
	put_provider(&o);
	assert_int_equal(registry_provider_answer(end(&o), &p), 0);
	assert_int_equal(p.id, 7);
	assert_true(address_eq(p.payee, party(2)) && p.active);
	assert_true(slice_eq(p.name, slice_str("name")) && p.description.n == 0);
	assert_int_equal(p.n_capabilities, 0);
}

static void put_capabilities(struct abi_out *o, size_t n_keys, size_t n_values)
{
	abi_put_bool(o, true);
	abi_begin_array(o);
	for (size_t i = 0; i < n_keys; i++)
		abi_put_string(o, slice_str("key"));
	abi_end(o);
	abi_begin_array(o);
	for (size_t i = 0; i < n_values; i++)
		abi_put_bytes(o, slice("\0\1", 2));
	abi_end(o);
}

static void keys_and_values_of_capabilities_come_in_pairs(void **state)
{
	struct registry_capability c[REGISTRY_CAPABILITIES_MAX];
	bool active = false;
	size_t n = 0;

	(void)state;
	for (size_t values = 0; values < 4; values++) {
		_cleanup_abi_out_ struct abi_out o = { 0 };

		abi_out_init(&o, 4096);
		put_capabilities(&o, 2, values);
		assert_int_equal(registry_capabilities_answer(end(&o), &active, c,
							      ARRAY_LEN(c), &n),
				 values == 2 ? 0 : -EPROTO);
		if (values == 2) {
			assert_true(active && n == 2);
			assert_true(slice_eq(c[1].value, slice("\0\1", 2)));
		}
	}
}

static void a_provider_without_usable_terms_is_refused(void **state)
{
	struct registry_provider p = {
		.id = 7,
		.n_capabilities = 3,
		.capability = {
			{ slice_str("serviceURL"), slice_str("https://sp.example") },
			{ slice_str("minPieceSizeInBytes"), slice("\x7f", 1) },
			{ slice_str("maxPieceSizeInBytes"), slice("\x3f\x80\0\0", 4) },
		},
	};
	struct registry_terms t;
	struct err e = { "" };

	(void)state;
	assert_int_equal(registry_terms(&p, &t, &e), 0);
	assert_int_equal(t.min_piece_bytes, 127);
	assert_int_equal(t.max_piece_bytes, 0x3f800000);
	p.capability[0].value = slice_str("https://sp.example\n");
	assert_int_equal(registry_terms(&p, &t, &e), -EPROTO);
	assert_non_null(strstr(e.text, "7"));
	p.capability[0].value = SLICE_NONE;
	assert_int_equal(registry_terms(&p, &t, NULL), -EPROTO);
	p.capability[0].value = slice_str("https://sp.example");
	p.capability[2].value = slice("\x7e", 1);
	assert_int_equal(registry_terms(&p, &t, NULL), -EPROTO);
	p.capability[2].value = slice("\1\0\0\0\0\0\0\0\0", 9);
	assert_int_equal(registry_terms(&p, &t, NULL), -EPROTO);
	p.n_capabilities = 2;
	assert_int_equal(registry_terms(&p, &t, NULL), -EPROTO);
}

static void several_reads_travel_in_one_call(void **state)
{
	struct multicall_result res[2];
	_cleanup_abi_out_ struct abi_out o = { 0 };
	_cleanup_abi_out_ struct abi_out answer = { 0 };
	struct abi_doc doc;
	struct abi_in in, list, one;
	struct buf call;
	struct slice s;
	size_t n;

	(void)state;
	buf_init(&call, CALL_MAX);
	multicall_begin(&o);
	multicall_add(&o, party(1), slice_str("abcd"));
	multicall_add(&o, party(2), slice_str("efgh"));
	assert_int_equal(multicall_end(&o, &call), 0);
	in = abi_open(&doc, slice(call.p + 4, call.n - 4));
	list = abi_get_array(&in, 1, &n);
	assert_int_equal(n, 2);
	for (size_t i = 1; i <= n; i++) {
		one = abi_get_tuple(&list);
		assert_true(address_eq(abi_get_address(&one), party((uint8_t)i)));
		assert_true(abi_get_bool(&one));
		assert_int_equal(abi_get_bytes(&one).n, 4);
	}
	assert_int_equal(abi_close(&doc), 0);
	buf_fini(&call);

	abi_out_init(&answer, 4096);
	abi_begin_array(&answer);
	for (unsigned i = 0; i < 2; i++) {
		abi_begin_tuple(&answer);
		abi_put_bool(&answer, i == 0);
		abi_put_bytes(&answer, slice_str("xyz"));
		abi_end(&answer);
	}
	abi_end(&answer);
	s = end(&answer);
	assert_int_equal(multicall_answer(s, res, 2), 0);
	assert_true(res[0].ok && !res[1].ok);
	assert_true(slice_eq(res[1].data, slice_str("xyz")));
	assert_int_equal(multicall_answer(s, res, 1), -EPROTO);
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
	assert_int_equal(
		session_key_login_and_fund(party(1), 1, ops, 2, SLICE_NONE, &b), 0);
	assert_slice_hex(slice(b.p, 4), "b318f2e2");
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

static void the_contracts_domain_is_read(void **state)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	static const uint8_t fields[ABI_WORD] = { 0x0f };
	struct fwss_domain d;

	(void)state;
	abi_out_init(&o, 4096);
	abi_put_bytes32(&o, fields);
	abi_put_string(&o, slice_str("FilecoinWarmStorageService"));
	abi_put_string(&o, slice_str("1"));
	abi_put_u64(&o, 314159);
	abi_put_address(&o, party(5));
	abi_put_u64(&o, 0);
	abi_begin_array(&o);
	abi_end(&o);
	assert_int_equal(fwss_domain_answer(end(&o), &d), 0);
	assert_true(slice_eq(d.name, slice_str("FilecoinWarmStorageService")));
	assert_true(slice_eq(d.version, slice_str("1")) && d.chain_id == 314159);
	assert_true(address_eq(d.contract, party(5)));
}

/* The same words read as each answer that is made of words alone. */
static void answers_of_words_keep_their_order(void **state)
{
	uint8_t words[6 * ABI_WORD] = { 0 };
	struct fwss_service_price price;
	struct view_upgrade up;
	struct pay_info info;
	struct u256 a, b;
	struct address now, proposed;

	(void)state;
	for (uint8_t i = 0; i < 6; i++)
		words[(i + 1) * ABI_WORD - 1] = (uint8_t)(i + 1);
	assert_int_equal(fwss_service_price_answer(slice(words, 192), &price), 0);
	assert_u256_text(price.storage_per_tib_month, "1");
	assert_u256_text(price.cache_miss_egress_per_tib, "3");
	assert_true(address_eq(price.token, party(4)));
	assert_true(price.epochs_per_month == 5);
	assert_u256_text(price.data_set_fee_per_month, "6");
	assert_int_equal(fwss_service_price_answer(slice(words, 160), &price),
			 -EPROTO);
	assert_int_equal(view_next_upgrade_answer(slice(words, 64), &up), 0);
	assert_true(address_eq(up.next_implementation, party(1)) &&
		    up.after_epoch == 2);
	assert_int_equal(
		view_current_pricing_rates_answer(slice(words, 64), &a, &b), 0);
	assert_true(u256_eq(a, u256(1)) && u256_eq(b, u256(2)));
	assert_int_equal(
		pdp_storage_provider_answer(slice(words, 64), &now, &proposed), 0);
	assert_true(address_eq(now, party(1)) && address_eq(proposed, party(2)));
	memset(words, 0xff, ABI_WORD);
	assert_int_equal(
		pay_account_info_if_settled_answer(slice(words, 128), &info), 0);
	assert_true(info.funded_until == PAY_NEVER);
	assert_u256_text(info.lockup_rate, "4");
}

static void a_value_and_a_piece_are_read(void **state)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	_cleanup_abi_out_ struct abi_out q = { 0 };
	struct slice value = SLICE_NONE, cid = SLICE_NONE, text = SLICE_NONE;
	bool exists = false;
	struct buf b;

	(void)state;
	abi_out_init(&o, 4096);
	abi_put_bool(&o, true);
	abi_put_string(&o, slice_str("v"));
	assert_int_equal(view_value_answer(end(&o), &exists, &value), 0);
	assert_true(exists && slice_eq(value, slice_str("v")));
	abi_out_init(&q, 4096);
	abi_begin_tuple(&q);
	abi_put_bytes(&q, slice_str("cid"));
	abi_end(&q);
	assert_int_equal(pdp_piece_cid_answer(end(&q), &cid), 0);
	assert_true(slice_eq(cid, slice_str("cid")));

	/* The questions with a string or bytes in them. */
	buf_init(&b, CALL_MAX);
	assert_int_equal(view_data_set_value(1, slice_str("source"), &b), 0);
	assert_slice_hex(
		buf_slice(&b),
		"4dc17df1"
		"0000000000000000000000000000000000000000000000000000000000000001"
		"0000000000000000000000000000000000000000000000000000000000000040"
		"0000000000000000000000000000000000000000000000000000000000000006"
		"736f757263650000000000000000000000000000000000000000000000000000");
	assert_int_equal(call_answer_text(slice(b.p + 4 + 32, 96), &text), -EPROTO);
	buf_reset(&b);
	assert_int_equal(view_piece_value(1, 2, slice_str("source"), &b), 0);
	assert_int_equal(b.n, 4 + 5 * 32);
	buf_reset(&b);
	assert_int_equal(pdp_delete_data_set(1, SLICE_NONE, &b), 0);
	assert_int_equal(b.n, 4 + 3 * 32);
	buf_reset(&b);
	assert_int_equal(registry_capabilities(3, &b), 0);
	assert_int_equal(b.n, 4 + 2 * 32);
	buf_fini(&b);
}

static void time_drains_an_account(void **state)
{
	struct pay_account a = { u256(1000), u256(100), u256(3), 50 };
	struct pay_state s;

	(void)state;
	pay_account_at(&a, 50, &s);
	assert_u256_text(s.available, "900");
	assert_true(s.funded_until == 350 && s.runway == 300);
	assert_true(u256_is_zero(s.debt));
	pay_account_at(&a, 349, &s);
	assert_u256_text(s.available, "3");
	assert_true(s.runway == 1 && u256_is_zero(s.debt));
	pay_account_at(&a, 360, &s);
	assert_true(u256_is_zero(s.available) && s.runway == 0);
	assert_u256_text(s.debt, "30");
	/* An epoch before the last settlement changes nothing. */
	pay_account_at(&a, 10, &s);
	assert_u256_text(s.available, "900");

	a.lockup_rate = U256_ZERO;
	pay_account_at(&a, UINT64_MAX, &s);
	assert_true(s.runway == PAY_NEVER && s.funded_until == PAY_NEVER);
	assert_u256_text(s.available, "900");
	a = (struct pay_account){ U256_MAX, U256_ZERO, U256_MAX, 1 };
	pay_account_at(&a, UINT64_MAX, &s);
	assert_true(u256_is_zero(s.available) && s.funded_until == 2);
	a.lockup_rate = u256(1);
	pay_account_at(&a, 5, &s);
	assert_true(s.funded_until == PAY_NEVER && s.runway > 1u << 30);
}

/* Every prefix, and every byte changed: an error or other values. */
static void hostile_answers_end_in_an_error(void **state)
{
	struct pair p = pair_open("getProvidersByProductType");
	struct registry_provider list[2];
	bool more;
	size_t n;

	(void)state;
	for (size_t i = 0; i < p.answer.n; i++)
		assert_int_equal(registry_products_answer(slice(p.answer.p, i),
							  list, 2, &n, &more),
				 -EPROTO);
	for (size_t i = 0; i < p.answer.n; i++) {
		int r;

		p.answer.p[i] ^= 0x20;
		r = registry_products_answer(buf_slice(&p.answer), list, 2, &n,
					     &more);
		assert_true(r == 0 || r == -EPROTO || r == -EMSGSIZE);
		p.answer.p[i] ^= 0x20;
	}
	assert_int_equal(registry_providers_by_product(
				 true, 0, REGISTRY_PROVIDERS_PAGE, &p.call),
			 0);
	pair_close(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_are_those_of_the_contracts),
		cmocka_unit_test(arguments_stand_in_the_order_of_the_signature),
		cmocka_unit_test(data_sets_are_read_as_captured),
		cmocka_unit_test(prices_are_read_as_captured),
		cmocka_unit_test(pieces_are_read_as_captured),
		cmocka_unit_test(metadata_are_read_as_captured),
		cmocka_unit_test(providers_are_read_as_captured),
		cmocka_unit_test(payments_are_read_as_captured),
		cmocka_unit_test(small_answers_are_read_as_captured),
		cmocka_unit_test(deposits_by_permit_equal_the_vectors),
		cmocka_unit_test(a_nonce_tells_the_data_set_and_the_next_piece),
		cmocka_unit_test(endorsed_providers_come_once_and_without_zeros),
		cmocka_unit_test(a_provider_alone_is_read),
		cmocka_unit_test(keys_and_values_of_capabilities_come_in_pairs),
		cmocka_unit_test(a_provider_without_usable_terms_is_refused),
		cmocka_unit_test(several_reads_travel_in_one_call),
		cmocka_unit_test(session_keys_get_the_operations_as_type_hashes),
		cmocka_unit_test(the_contracts_domain_is_read),
		cmocka_unit_test(answers_of_words_keep_their_order),
		cmocka_unit_test(a_value_and_a_piece_are_read),
		cmocka_unit_test(time_drains_an_account),
		cmocka_unit_test(hostile_answers_end_in_an_error),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
