/* test_json.c - bounded parsing, and the hex forms of JSON-RPC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "net/json.h"

static int read_text(const char *text)
{
	_cleanup_json_ json_t *v = NULL;

	return json_read(slice_str(text), JSON_VALUES_MAX, &v);
}

static void good_text_is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"a\":[1,2,{\"b\":null}],\"c\":\"]]}}\"}"), 0);
	assert_int_equal(read_text("\"0x12\""), 0);
	assert_int_equal(read_text("null"), 0);
	assert_int_equal(read_text(" [] "), 0);
	assert_int_equal(read_text("[\"\\\"[[[[\"]"), 0);
}

static void text_that_is_no_json_is_refused(void **state)
{
	static const char *const bad[] = {
		"",         "<html>",        "{",
		"[1,]",     "[] []",         "{\"a\":1,\"a\":2}",
		"]",        "[\"\\u0000\"]", "[1e999]",
		"\"\xff\"", "[1}",           "{\"a\":\"b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(read_text(bad[i]), -EPROTO);
}

static void deep_and_wide_text_is_refused_before_it_is_parsed(void **state)
{
	_cleanup_json_ json_t *v = NULL;
	_cleanup_buf_ struct buf b = { 0 };

	(void)state;
	buf_init(&b, 1u << 20);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		assert_int_equal(buf_u8(&b, '['), 0);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		assert_int_equal(buf_u8(&b, ']'), 0);
	assert_int_equal(json_read(buf_slice(&b), 100, &v), 0);
	buf_reset(&b);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_u8(&b, '['), 0);
	assert_int_equal(json_read(buf_slice(&b), 1u << 20, &v), -EMSGSIZE);
	buf_reset(&b);
	assert_int_equal(buf_printf(&b, "[0"), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_printf(&b, ",{}"), 0);
	assert_int_equal(buf_u8(&b, ']'), 0);
	assert_int_equal(json_read(buf_slice(&b), 1000, &v), -EMSGSIZE);
}

static void quantities_are_read_and_bounded(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t value;
	} cases[] = {
		{ "\"0x0\"", 0, 0 },
		{ "\"0x4cb2f\"", 0, 314159 },
		{ "\"0X4CB2F\"", 0, 314159 },
		{ "\"0x00000000000000000000001\"", 0, 1 },
		{ "\"0xffffffffffffffff\"", 0, UINT64_MAX },
		{ "\"0x10000000000000000\"", -ERANGE, 0 },
		{ "\"0x\"", -EPROTO, 0 },
		{ "\"0xg\"", -EPROTO, 0 },
		{ "\"12\"", -EPROTO, 0 },
		{ "12", -EPROTO, 0 },
		{ "null", -EPROTO, 0 },
		{ "\"0x1 \"", -EPROTO, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_json_ json_t *v = NULL;
		uint64_t got = 0;

		assert_int_equal(json_read(slice_str(cases[i].text), 10, &v), 0);
		assert_int_equal(json_hex_u64(v, &got), cases[i].r);
		assert_true(got == cases[i].value);
	}
}

static void bytes_have_an_even_number_of_digits_and_a_maximum(void **state)
{
	_cleanup_buf_ struct buf b = { 0 };
	uint8_t two[2] = { 0 };
	json_t *v = json_string("0xa1B2"), *odd = json_string("0xa1b");
	json_t *none = json_string("0x");

	(void)state;
	buf_init(&b, 3);
	assert_int_equal(json_hex_bytes(v, &b), 0);
	assert_true(b.n == 2 && b.p[0] == 0xa1 && b.p[1] == 0xb2);
	assert_int_equal(json_hex_bytes(v, &b), -EMSGSIZE);
	assert_int_equal(b.n, 2);
	assert_int_equal(json_hex_bytes(odd, &b), -EPROTO);
	assert_int_equal(json_hex_bytes(none, &b), 0);
	assert_int_equal(b.n, 2);
	assert_int_equal(json_hex_fixed(v, two, 2), 0);
	assert_true(two[0] == 0xa1 && two[1] == 0xb2);
	assert_int_equal(json_hex_fixed(v, two, 1), -EPROTO);
	assert_int_equal(json_hex_fixed(odd, two, 2), -EPROTO);
	buf_fini(&b);
	buf_init(&b, 8);
	assert_int_equal(json_put_hex(&b, slice(two, 2)), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("0xa1b2")));
	assert_int_equal(json_put_hex(&b, SLICE_NONE), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("0xa1b20x")));
	assert_int_equal(json_put_hex(&b, slice(two, 2)), -EMSGSIZE);
	json_decref(v);
	json_decref(odd);
	json_decref(none);
}

static void check_text(const char *bytes, const char *want)
{
	json_t *v = json_text(bytes);

	assert_non_null(v);
	assert_string_equal(json_string_value(v), want);
	json_decref(v);
}

static void what_is_no_text_is_shown_byte_by_byte(void **state)
{
	(void)state;
	check_text("", "");
	check_text("/plain \\ text", "/plain \\ text");
	check_text("/\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xbe",
		   "/\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xbe");
	check_text("/bad\xe9name", "/bad\\xe9name");
	check_text("\xff\xc3\xbc\xc3", "\\xff\xc3\xbc\\xc3");
	check_text("cut \xe2\x82", "cut \\xe2\\x82");
	check_text("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_text_is_read_whole),
		cmocka_unit_test(text_that_is_no_json_is_refused),
		cmocka_unit_test(deep_and_wide_text_is_refused_before_it_is_parsed),
		cmocka_unit_test(quantities_are_read_and_bounded),
		cmocka_unit_test(what_is_no_text_is_shown_byte_by_byte),
		cmocka_unit_test(bytes_have_an_even_number_of_digits_and_a_maximum),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
