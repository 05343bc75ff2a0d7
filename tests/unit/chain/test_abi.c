/* test_abi.c - the contract ABI, written and read */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "chain/abi.h"

#include "vectors.h"

#define BYTES_MAX 4096

/* The value `v` of the ABI type `type`, as the vectors write both. */
static void put(struct abi_out *o, const char *type, const json_t *v)
{
	size_t n = strlen(type), i;
	const json_t *e;
	char inner[64];

	if (n > 2 && strcmp(type + n - 2, "[]") == 0) {
		memcpy(inner, type, n - 2);
		inner[n - 2] = '\0';
		abi_begin_array(o);
		json_array_foreach(v, i, e) put(o, inner, e);
		abi_end(o);
	} else if (strcmp(type, "uint256") == 0) {
		abi_put_u64(o, (uint64_t)json_integer_value(v));
	} else if (strcmp(type, "string") == 0) {
		abi_put_string(o, slice_str(json_string_value(v)));
	} else if (strcmp(type, "bytes") == 0) {
		struct buf b = vectors_unhex(json_string_value(v));

		abi_put_bytes(o, buf_slice(&b));
		buf_fini(&b);
	} else {
		struct address a;

		assert_string_equal(type, "address");
		assert_int_equal(address_parse(slice_str(json_string_value(v)),
					       &a, NULL),
				 0);
		abi_put_address(o, a);
	}
}

static void encodings_equal_the_vectors(void **state)
{
	json_t *v = vectors_load("tx.json"), *list = json_object_get(v, "abi"), *o;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 2);
	json_array_foreach(list, i, o)
	{
		const json_t *types = vectors_get(o, "types");
		const json_t *values = vectors_get(o, "values");
		_cleanup_abi_out_ struct abi_out out = { 0 };
		struct slice got;

		abi_out_init(&out, BYTES_MAX);
		for (size_t k = 0; k < json_array_size(types); k++)
			put(&out, json_string_value(json_array_get(types, k)),
			    json_array_get(values, k));
		assert_int_equal(abi_out_done(&out, &got), 0);
		assert_slice_hex(got, vectors_str(o, "encoded"));
	}
	json_decref(v);
}

/* (uint256, (uint256,bool)[], ((bytes),uint8)[], string[][]) */
static struct buf deep(void)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	struct buf copy;
	struct slice got;

	abi_out_init(&o, BYTES_MAX);
	abi_put_u64(&o, 9);
	abi_begin_array(&o);
	for (unsigned i = 0; i < 3; i++) {
		abi_begin_tuple(&o);
		abi_put_u64(&o, i);
		abi_put_bool(&o, i & 1);
		abi_end(&o);
	}
	abi_end(&o);
	abi_begin_array(&o);
	for (uint8_t i = 0; i < 2; i++) {
		abi_begin_tuple(&o);
		abi_begin_tuple(&o);
		abi_put_bytes(&o, slice(&i, 1));
		abi_end(&o);
		abi_put_u64(&o, i);
		abi_end(&o);
	}
	abi_end(&o);
	abi_begin_array(&o);
	abi_begin_array(&o);
	abi_put_string(&o, slice_str("one"));
	abi_put_string(&o, slice_str(""));
	abi_end(&o);
	abi_begin_array(&o);
	abi_end(&o);
	abi_end(&o);
	assert_int_equal(abi_out_done(&o, &got), 0);
	buf_init(&copy, BYTES_MAX);
	assert_int_equal(buf_append(&copy, got), 0);
	return copy;
}

/* What deep() wrote; the error of the reader. */
static int read_deep(struct slice s)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, s), list, tuple, inner;
	size_t n, m;
	int r;

	(void)abi_get_u256(&in);
	list = abi_get_array(&in, 2, &n);
	for (size_t i = 0; i < n; i++) {
		(void)abi_get_u64(&list);
		(void)abi_get_bool(&list);
	}
	list = abi_get_array(&in, 1, &n);
	for (size_t i = 0; i < n; i++) {
		tuple = abi_get_tuple(&list);
		inner = abi_get_tuple(&tuple);
		(void)abi_get_bytes(&inner);
		(void)abi_get_u8(&tuple);
	}
	list = abi_get_array(&in, 1, &n);
	for (size_t i = 0; i < n; i++) {
		inner = abi_get_array(&list, 1, &m);
		for (size_t k = 0; k < m; k++)
			(void)abi_get_string(&inner);
	}
	r = abi_close(&doc);
	return r;
}

static void what_is_written_reads_back(void **state)
{
	struct buf b = deep();
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, buf_slice(&b)), list, tuple, inner;
	struct slice s;
	size_t n;

	(void)state;
	assert_int_equal(abi_get_u64(&in), 9);
	list = abi_get_array(&in, 2, &n);
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(abi_get_u64(&list), i);
		assert_int_equal(abi_get_bool(&list), i & 1);
	}
	list = abi_get_array(&in, 1, &n);
	assert_int_equal(n, 2);
	for (unsigned i = 0; i < 2; i++) {
		tuple = abi_get_tuple(&list);
		inner = abi_get_tuple(&tuple);
		s = abi_get_bytes(&inner);
		assert_int_equal(s.n, 1);
		assert_int_equal(s.p[0], i);
		assert_int_equal(abi_get_u8(&tuple), i);
	}
	list = abi_get_array(&in, 1, &n);
	assert_int_equal(n, 2);
	inner = abi_get_array(&list, 1, &n);
	assert_int_equal(n, 2);
	assert_true(slice_eq(abi_get_string(&inner), slice_str("one")));
	assert_int_equal(abi_get_string(&inner).n, 0);
	inner = abi_get_array(&list, 1, &n);
	assert_int_equal(n, 0);
	assert_int_equal(abi_close(&doc), 0);
	buf_fini(&b);
}

/* Offsets, lengths and counts all pass through these values. */
static void a_hostile_word_ends_in_an_error_or_in_other_values(void **state)
{
	static const uint8_t top[] = { 0x00, 0x01, 0x20, 0x40, 0x7f, 0x80, 0xff };
	struct buf b = deep();
	unsigned refused = 0;

	(void)state;
	assert_int_equal(read_deep(buf_slice(&b)), 0);
	for (size_t at = 0; at < b.n; at++) {
		uint8_t was = b.p[at];

		for (size_t k = 0; k < ARRAY_LEN(top); k++) {
			int r;

			b.p[at] = top[k];
			r = read_deep(buf_slice(&b));
			assert_true(r == 0 || r == -EPROTO);
			refused += r < 0;
		}
		b.p[at] = was;
	}
	/* Only values of uint256 and the letters of strings are free. */
	assert_true(refused > b.n * ARRAY_LEN(top) * 3 / 4);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(read_deep(slice(b.p, n)), -EPROTO);
	assert_int_equal(buf_u8(&b, 0), 0);
	assert_int_equal(read_deep(buf_slice(&b)), -EPROTO);
	buf_fini(&b);
}

static int read_strings(const char *hex)
{
	struct buf b = vectors_unhex(hex);
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, buf_slice(&b)), list;
	size_t n;
	int r;

	list = abi_get_array(&in, 1, &n);
	for (size_t i = 0; i < n; i++)
		(void)abi_get_string(&list);
	r = abi_close(&doc);
	buf_fini(&b);
	return r;
}

#define W(hex) \
 "00000000000000000000000000000000000000000000000000000000000000" hex

#define A "6100000000000000000000000000000000000000000000000000000000000000"

static void many_offsets_to_one_place_are_refused(void **state)
{
	(void)state;
	/* ["a", "a"] */
	assert_int_equal(read_strings(W("20") W("02") W("40") W("80") W("01")
					      A W("01") A),
			 0);
	/* Both are one text, which stands there once. */
	assert_int_equal(read_strings(W("20") W("02") W("40") W("40") W("01") A),
			 -EPROTO);
	/* An array that contains itself. */
	assert_int_equal(read_strings(W("00")), -EPROTO);
	/* Something behind a byte that is no zero. */
	assert_int_equal(
		read_strings(W("20") W("01") W("20") W(
			"01") "6100000000000000000000000000000000000000000000000000000000000001"),
		-EPROTO);
	/* A count that would need more words than there are. */
	assert_int_equal(
		read_strings(W("20") "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"),
		-EPROTO);
}

static void values_out_of_their_type_are_refused(void **state)
{
	struct buf b = vectors_unhex(
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
	struct abi_doc doc;
	struct abi_in in;

	(void)state;
	in = abi_open(&doc, buf_slice(&b));
	assert_int_equal(abi_get_u64(&in), 0);
	assert_int_equal(abi_close(&doc), -EPROTO);
	in = abi_open(&doc, buf_slice(&b));
	assert_false(abi_get_bool(&in));
	assert_int_equal(abi_close(&doc), -EPROTO);
	in = abi_open(&doc, buf_slice(&b));
	assert_int_equal(abi_get_u8(&in), 0);
	assert_int_equal(abi_close(&doc), -EPROTO);
	in = abi_open(&doc, buf_slice(&b));
	assert_true(address_is_none(abi_get_address(&in)));
	assert_int_equal(abi_close(&doc), -EPROTO);
	in = abi_open(&doc, buf_slice(&b));
	assert_true(abi_get_u64_capped(&in) == UINT64_MAX);
	assert_int_equal(abi_close(&doc), 0);
	in = abi_open(&doc, buf_slice(&b));
	assert_true(u256_eq(abi_get_u256(&in), U256_MAX));
	assert_int_equal(abi_get_u64(&in), 0); /* behind the end */
	assert_int_equal(abi_close(&doc), -EPROTO);
	buf_fini(&b);
}

static void what_grows_past_the_maximum_is_an_error(void **state)
{
	static const uint8_t big[BYTES_MAX];
	_cleanup_abi_out_ struct abi_out o = { 0 };
	struct slice got = SLICE_NONE;

	(void)state;
	abi_out_init(&o, BYTES_MAX);
	abi_put_selector(&o, 0x12345678);
	abi_begin_array(&o);
	abi_put_bytes(&o, slice(big, sizeof(big)));
	abi_end(&o);
	assert_int_equal(abi_out_done(&o, &got), -EMSGSIZE);
	assert_null(got.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings_equal_the_vectors),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(a_hostile_word_ends_in_an_error_or_in_other_values),
		cmocka_unit_test(many_offsets_to_one_place_are_refused),
		cmocka_unit_test(values_out_of_their_type_are_refused),
		cmocka_unit_test(what_grows_past_the_maximum_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
