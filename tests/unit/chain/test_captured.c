/* test_captured.c - calls and answers as they were captured on a network */
#include "vectors.h"

#include <errno.h>

#include "base/err.h"
#include "chain/call.h"
#include "chain/eip712.h"
#include "chain/fwss.h"
#include "chain/pay.h"
#include "chain/pdp.h"
#include "chain/registry.h"
#include "chain/view.h"
#include "crypto/piece_cid.h"
#include "crypto/secret.h"

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
		cmocka_unit_test(data_sets_are_read_as_captured),
		cmocka_unit_test(prices_are_read_as_captured),
		cmocka_unit_test(pieces_are_read_as_captured),
		cmocka_unit_test(metadata_are_read_as_captured),
		cmocka_unit_test(providers_are_read_as_captured),
		cmocka_unit_test(payments_are_read_as_captured),
		cmocka_unit_test(small_answers_are_read_as_captured),
		cmocka_unit_test(hostile_answers_end_in_an_error),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
