/* test_values.c - 256-bit numbers and addresses */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>

#include "base/err.h"
#include "chain/address.h"
#include "chain/amount.h"
#include "chain/u256.h"
#include "crypto/secp.h"
#include "crypto/secret.h"

#include "vectors.h"

#define MAX_TEXT \
 "115792089237316195423570985008687907853269984665640564039457584007913129639935"

static struct u256 number(const char *decimal)
{
	struct u256 v = U256_ZERO;

	assert_int_equal(u256_from_text(slice_str(decimal), &v), 0);
	return v;
}

/* Of a length of its own, so that carries and short numbers are met. */
static struct u256 any_number(void)
{
	struct u256 v;

	randombytes_buf(&v, sizeof(v));
	return u256_shr(v, randombytes_uniform(256));
}

static void what_does_not_fit_is_an_error_and_changes_nothing(void **state)
{
	struct u256 v = u256(7), q = u256(8), r = u256(9);

	(void)state;
	assert_int_equal(u256_add(U256_MAX, u256(1), &v), -EOVERFLOW);
	assert_int_equal(u256_sub(u256(1), u256(2), &v), -EOVERFLOW);
	assert_int_equal(u256_mul(U256_MAX, u256(2), &v), -EOVERFLOW);
	assert_int_equal(u256_shl(u256(3), 255, &v), -EOVERFLOW);
	assert_int_equal(u256_muldiv(U256_MAX, u256(3), u256(2), &v), -EOVERFLOW);
	assert_int_equal(u256_muldiv(u256(1), u256(1), U256_ZERO, &v), -EDOM);
	assert_int_equal(u256_div(u256(1), U256_ZERO, &q, &r), -EDOM);
	assert_u256_text(v, "7");
	assert_u256_text(q, "8");
	assert_u256_text(r, "9");
	assert_u256_text(u256_add_capped(U256_MAX, u256(1)), MAX_TEXT);
	assert_u256_text(u256_sub_capped(u256(1), u256(2)), "0");
}

static void the_largest_number_is_reached_exactly(void **state)
{
	struct u256 v = U256_ZERO;

	(void)state;
	assert_int_equal(u256_sub(U256_MAX, u256(5), &v), 0);
	assert_int_equal(u256_add(v, u256(5), &v), 0);
	assert_u256_text(v, MAX_TEXT);
	assert_int_equal(u256_muldiv(U256_MAX, U256_MAX, U256_MAX, &v), 0);
	assert_u256_text(v, MAX_TEXT);
	assert_int_equal(u256_shl(u256(1), 255, &v), 0);
	assert_int_equal(u256_bits(v), 256);
	assert_u256_text(u256_shr(v, 255), "1");
}

static void quotient_and_rest_give_the_number_back(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct u256 a = any_number(), b = any_number(), q, r, back;

		if (u256_is_zero(b))
			continue;
		assert_int_equal(u256_div(a, b, &q, &r), 0);
		assert_true(u256_cmp(r, b) < 0);
		assert_int_equal(u256_mul(q, b, &back), 0);
		assert_int_equal(u256_add(back, r, &back), 0);
		assert_true(u256_eq(back, a));
		if (!u256_is_zero(a)) {
			assert_int_equal(u256_muldiv(a, b, a, &back), 0);
			assert_true(u256_eq(back, b));
		}
	}
}

static void shifting_is_multiplying_and_dividing_by_powers(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 256; bits++) {
		struct u256 a = any_number(), power, left, want, down;

		assert_int_equal(u256_shl(u256(1), bits, &power), 0);
		assert_int_equal(u256_bits(power), bits + 1);
		assert_int_equal(u256_div(a, power, &down, NULL), 0);
		assert_true(u256_eq(u256_shr(a, bits), down));
		assert_int_equal(u256_shl(a, bits, &left),
				 u256_mul(a, power, &want));
		if (u256_mul(a, power, &want) == 0)
			assert_true(u256_eq(left, want));
	}
}

static void every_spelling_of_a_number_reads_back(void **state)
{
	char text[U256_TEXT_MAX], hex[U256_HEX_MAX];
	uint8_t bytes[U256_SIZE];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct u256 a = any_number(), back;
		size_t n;

		u256_text(a, text);
		assert_true(u256_eq(number(text), a));
		u256_hex(a, hex);
		assert_int_equal(u256_from_hex(slice_str(hex), &back), 0);
		assert_true(u256_eq(back, a));
		assert_true(hex[2] != '0' || !hex[3]);
		u256_to_be(a, bytes);
		assert_true(u256_eq(u256_from_be(bytes), a));
		n = u256_to_be_short(a, bytes);
		assert_true(!n || bytes[0]);
		assert_int_equal(u256_from_be_short(slice(bytes, n), &back), 0);
		assert_true(u256_eq(back, a));
	}
	u256_hex(U256_MAX, hex);
	assert_int_equal(strlen(hex), U256_HEX_MAX - 1);
	u256_hex(U256_ZERO, hex);
	assert_string_equal(hex, "0x0");
	u256_hex(number("314159"), hex);
	assert_string_equal(hex, "0x4cb2f");
}

static void text_that_is_no_number_is_refused(void **state)
{
	static const char *const decimal[] = { "",    "-1",   "+1",
					       " 1",  "1 ",   "1.0",
					       "0x1", "1e18", "1,000" };
	static const char *const hex[] = { "",     "0x",  "1",   "0xg",
					   "0x 1", "0X1", "0x-1" };
	struct u256 v = u256(7);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(decimal); i++)
		assert_int_equal(u256_from_text(slice_str(decimal[i]), &v), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(hex); i++)
		assert_int_equal(u256_from_hex(slice_str(hex[i]), &v), -EINVAL);
	/* 2^256 */
	assert_int_equal(u256_from_text(slice_str("11579208923731619542357098500868790785326998466564056403945758400791312963"
						  "9936"),
					&v),
			 -EOVERFLOW);
	assert_int_equal(
		u256_from_hex(slice_str("0x10000000000000000000000000000000000000000000000000000000000000000"),
			      &v),
		-EOVERFLOW);
	assert_u256_text(v, "7");
}

static void an_address_is_the_end_of_the_keys_digest(void **state)
{
	struct secret *key = vectors_key();
	char text[ADDRESS_TEXT_MAX];
	struct address a;

	(void)state;
	assert_int_equal(address_of_key(key, &a), 0);
	address_text(a, text);
	assert_string_equal(text, "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1");
	secret_free(key);
}

static void filecoin_spellings_equal_the_vectors_both_ways(void **state)
{
	json_t *v = vectors_load("tx.json"), *list = json_object_get(v, "f410");
	struct address masked = address_of_id(1024);
	char text[ADDRESS_FIL_MAX], eth[ADDRESS_TEXT_MAX];
	struct err e = { "" };
	size_t i;
	json_t *o;

	(void)state;
	assert_true(json_array_size(list) > 2);
	json_array_foreach(list, i, o)
	{
		struct address a = vectors_address(o, "eth");

		assert_true(address_eq(vectors_address(o, "f"), a));
		assert_true(address_eq(vectors_address(o, "t"), a));
		address_fil(a, false, text);
		assert_string_equal(text, vectors_str(o, "f"));
		address_fil(a, true, text);
		assert_string_equal(text, vectors_str(o, "t"));
		address_text(a, eth);
		assert_string_equal(eth, vectors_str(o, "eth"));
	}
	o = json_object_get(v, "idMask");
	assert_true(address_eq(vectors_address(o, "eth"), masked));
	address_fil(masked, false, text);
	assert_string_equal(text, "f01024");
	address_fil(address_of_id(UINT64_MAX), true, text);
	assert_string_equal(text, "t018446744073709551615");
	assert_int_equal(address_parse(slice_str("f01024"), &masked, &e), 0);
	assert_true(address_eq(masked, address_of_id(1024)));
	json_decref(v);
}

/* Each of the digits changed into its neighbours. */
static void a_typing_error_in_an_address_is_found(void **state)
{
	static const char *const right[] = {
		"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1",
		"f410fdjsc6dr4hl2ulz5mxu4la4srwomqsfhrj5x3f4i",
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(right); i++) {
		size_t n = strlen(right[i]);

		for (size_t at = 0; at < n; at++) {
			struct address a = address_of_id(5);
			struct err e = { "" };

			memcpy(text, right[i], n + 1);
			if (text[at] >= '0' && text[at] <= '9')
				text[at] = text[at] == '7' ? '2' : '7';
			else if (i == 0 && (text[at] | 0x20) == 'a')
				text[at]++;
			else
				text[at]--;
			if (at == 0 && text[0] != 'f' && text[0] != '0')
				text[0] = 'g';
			if (address_parse(slice_str(text), &a, &e) == 0)
				fail_msg("%s is taken", text);
			assert_true(e.text[0]);
			assert_true(address_eq(a, address_of_id(5)));
		}
		for (size_t len = 0; len < n; len++) {
			struct address a;

			assert_true(address_parse(slice(right[i], len), &a,
						  NULL) < 0);
		}
	}
}

static void one_case_needs_no_checksum(void **state)
{
	const char *lower = "0x1a642f0e3c3af545e7acbd38b07251b3990914f1";
	const char *upper = "0x1A642F0E3C3AF545E7ACBD38B07251B3990914F1";
	struct address a, b;

	(void)state;
	assert_int_equal(address_parse(slice_str(lower), &a, NULL), 0);
	assert_int_equal(address_parse(slice_str(upper), &b, NULL), 0);
	assert_true(address_eq(a, b));
}

static void a_native_account_is_known_and_refused(void **state)
{
	struct secret *key = vectors_key();
	uint8_t public[SECP_PUBLIC_SIZE];
	char text[ADDRESS_FIL_MAX];
	struct err e = { "" };
	struct address a;

	(void)state;
	assert_int_equal(secp_public(key, public), 0);
	address_f1_of_public(public, false, text);
	assert_int_equal(strlen(text), 41);
	assert_int_equal(address_parse(slice_str(text), &a, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "f1"));
	text[20] = text[20] == 'a' ? 'b' : 'a';
	e = (struct err){ "" };
	assert_int_equal(address_parse(slice_str(text), &a, &e), -EINVAL);
	assert_non_null(strstr(e.text, "typing error"));
	secret_free(key);

	/* The address of the specification's own vectors. */
	assert_int_equal(
		address_parse(slice_str("t15ihq5ibzwki2b4ep2f46avlkrqzhpqgtga7pdrq"),
			      &a, NULL),
		-ENOTSUP);
}

static void amounts_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text, *units;
	} good[] = {
		{ "0", "0" },
		{ "12.5", "12500000000000000000" },
		{ "12.5 USDFC", "12500000000000000000" },
		{ "12.5usdfc", "12500000000000000000" },
		{ "0.000000000000000001", "1" },
		{ "007", "7000000000000000000" },
		{ "1.10", "1100000000000000000" },
	};
	static const char *const bad[] = {
		"",     ".5",  "5.",         "-1",      "+1",
		"1e3",  "1,5", "1 000",      "1.5 FIL", "1.5  USDFC",
		" 1",   "1 ",  "1.5 USDFCX", "USDFC",   "1.0000000000000000001",
		"1.5.5"
	};
	struct u256 v = u256(7);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct u256 got;

		assert_int_equal(amount_parse(slice_str(good[i].text), "USDFC",
					      &got, NULL),
				 0);
		assert_u256_text(got, good[i].units);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { "" };

		if (amount_parse(slice_str(bad[i]), "USDFC", &v, &e) != -EINVAL)
			fail_msg("%s is taken", bad[i]);
		assert_true(e.text[0]);
	}
	/* 2^256 units, and a little less. */
	assert_int_equal(amount_parse(slice_str("115792089237316195423570985008687907853269984665640564039457."
						"584007913129639936"),
				      "FIL", &v, NULL),
			 -EOVERFLOW);
	assert_u256_text(v, "7");
	assert_int_equal(amount_parse(slice_str("115792089237316195423570985008687907853269984665640564039457."
						"584007913129639935"),
				      "FIL", &v, NULL),
			 0);
	assert_true(u256_eq(v, U256_MAX));
}

static void amounts_in_full_read_back(void **state)
{
	char text[AMOUNT_TEXT_MAX];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		struct u256 v = any_number(), back;

		amount_text(v, text);
		assert_int_equal(amount_parse(slice_str(text), "FIL", &back, NULL),
				 0);
		assert_true(u256_eq(v, back));
	}
	amount_text(U256_MAX, text);
	assert_true(strlen(text) < AMOUNT_TEXT_MAX);
	amount_text(number("12500000000000000000"), text);
	assert_string_equal(text, "12.5");
	amount_text(U256_ZERO, text);
	assert_string_equal(text, "0");
	amount_text(u256(1), text);
	assert_string_equal(text, "0.000000000000000001");
}

static void amounts_for_people_are_never_better_than_true(void **state)
{
	static const struct {
		const char *units, *down, *up;
	} want[] = {
		{ "0", "0", "0" },
		{ "1", "0.000000000000000001", "0.000000000000000001" },
		{ "12345678900000000000", "12.3456", "12.3457" },
		{ "999999999999999999", "0.9999", "1" },
		{ "1000000000000000000", "1", "1" },
		{ "1000000000000000001", "1", "1.0001" },
		{ "12345678901234", "0.00001234", "0.00001235" },
		{ "100000000000000000", "0.1", "0.1" },
		{ "2524000000000000000000", "2524", "2524" },
	};
	char text[AMOUNT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct u256 v = number(want[i].units);

		amount_text_short(v, AMOUNT_DOWN, text);
		assert_string_equal(text, want[i].down);
		amount_text_short(v, AMOUNT_UP, text);
		assert_string_equal(text, want[i].up);
	}
	for (int i = 0; i < 2000; i++) {
		struct u256 v = any_number(), less, more;

		amount_text_short(v, AMOUNT_DOWN, text);
		assert_int_equal(amount_parse(slice_str(text), "FIL", &less, NULL),
				 0);
		assert_true(u256_cmp(less, v) <= 0);
		amount_text_short(v, AMOUNT_UP, text);
		assert_int_equal(amount_parse(slice_str(text), "FIL", &more, NULL),
				 0);
		assert_true(u256_cmp(more, v) >= 0 || u256_bits(v) > 250);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_is_an_error_and_changes_nothing),
		cmocka_unit_test(the_largest_number_is_reached_exactly),
		cmocka_unit_test(quotient_and_rest_give_the_number_back),
		cmocka_unit_test(shifting_is_multiplying_and_dividing_by_powers),
		cmocka_unit_test(every_spelling_of_a_number_reads_back),
		cmocka_unit_test(text_that_is_no_number_is_refused),
		cmocka_unit_test(amounts_are_read_as_people_write_them),
		cmocka_unit_test(amounts_in_full_read_back),
		cmocka_unit_test(amounts_for_people_are_never_better_than_true),
		cmocka_unit_test(an_address_is_the_end_of_the_keys_digest),
		cmocka_unit_test(filecoin_spellings_equal_the_vectors_both_ways),
		cmocka_unit_test(a_typing_error_in_an_address_is_found),
		cmocka_unit_test(one_case_needs_no_checksum),
		cmocka_unit_test(a_native_account_is_known_and_refused),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
