/* test_answers.c - answers of the contracts that the test writes itself */
#include "vectors.h"

#include <errno.h>

#include "base/err.h"
#include "chain/abi.h"
#include "chain/call.h"
#include "chain/fwss.h"
#include "chain/multicall.h"
#include "chain/pay.h"
#include "chain/pdp.h"
#include "chain/registry.h"
#include "chain/view.h"
#include "crypto/secret.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nonce_tells_the_data_set_and_the_next_piece),
		cmocka_unit_test(endorsed_providers_come_once_and_without_zeros),
		cmocka_unit_test(a_provider_alone_is_read),
		cmocka_unit_test(keys_and_values_of_capabilities_come_in_pairs),
		cmocka_unit_test(a_provider_without_usable_terms_is_refused),
		cmocka_unit_test(several_reads_travel_in_one_call),
		cmocka_unit_test(the_contracts_domain_is_read),
		cmocka_unit_test(answers_of_words_keep_their_order),
		cmocka_unit_test(a_value_and_a_piece_are_read),
		cmocka_unit_test(time_drains_an_account),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
