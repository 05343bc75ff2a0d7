/* test_tx.c - RLP, and transactions in it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "chain/eth_tx.h"
#include "chain/rlp.h"
#include "crypto/keccak.h"
#include "crypto/secp.h"
#include "crypto/secret.h"

#include "vectors.h"

/* A string, or a list of such. */
static void put(struct buf *b, const json_t *v)
{
	struct buf items;
	size_t i;
	json_t *e;

	if (json_is_string(v)) {
		items = vectors_unhex(json_string_value(v));
		assert_int_equal(rlp_put_bytes(b, buf_slice(&items)), 0);
	} else {
		buf_init(&items, 1024);
		json_array_foreach(v, i, e) put(&items, e);
		assert_int_equal(rlp_put_list(b, buf_slice(&items)), 0);
	}
	buf_fini(&items);
}

static void assert_reads(struct cursor *c, const json_t *v)
{
	struct cursor items;
	size_t i;
	json_t *e;

	if (json_is_string(v)) {
		assert_false(rlp_is_list(c));
		assert_slice_hex(rlp_get_bytes(c), json_string_value(v));
	} else {
		assert_true(rlp_is_list(c));
		items = rlp_get_list(c);
		json_array_foreach(v, i, e) assert_reads(&items, e);
		assert_int_equal(cursor_done(&items), 0);
	}
}

static void rlp_equals_the_vectors_both_ways(void **state)
{
	json_t *v = vectors_load("tx.json"), *list = json_object_get(v, "rlp"), *o;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 8);
	json_array_foreach(list, i, o)
	{
		const json_t *value = json_object_get(o, "list");
		struct cursor c;
		struct buf b;

		if (!value)
			value = vectors_get(o, "bytes");
		buf_init(&b, 1024);
		put(&b, value);
		assert_slice_hex(buf_slice(&b), vectors_str(o, "rlp"));
		c = cursor(buf_slice(&b));
		assert_reads(&c, value);
		assert_int_equal(cursor_done(&c), 0);
		buf_fini(&b);
	}
	json_decref(v);
}

static void long_strings_and_lists_read_back(void **state)
{
	static const size_t sizes[] = { 0, 1, 55, 56, 57, 255, 256, 257, 70000 };
	static const uint8_t zeros[70000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct slice s = slice(zeros, sizes[i]), got;
		struct cursor c, items;
		struct buf b, l;

		buf_init(&b, 1 << 20);
		buf_init(&l, 1 << 20);
		assert_int_equal(rlp_put_bytes(&b, s), 0);
		assert_int_equal(rlp_put_list(&l, buf_slice(&b)), 0);
		c = cursor(buf_slice(&l));
		items = rlp_get_list(&c);
		got = rlp_get_bytes(&items);
		assert_true(slice_eq(got, s));
		assert_int_equal(cursor_done(&items), 0);
		assert_int_equal(cursor_done(&c), 0);
		buf_fini(&b);
		buf_fini(&l);
	}
}

static void other_spellings_of_a_value_are_refused(void **state)
{
	static const char *const strings[] = {
		"",     /* nothing */
		"8100", /* a small byte with a length */
		"817f",
		"b800",
		"b801ff", /* a long form of a short string */
		"b90038", /* a length with a leading zero */
		"b838",   /* cut short */
		"bfffffffffffffffff",
		"c0", /* a list */
		"82ff",
	};
	static const char *const lists[] = { "",
					     "80",
					     "f800",
					     "f801c0",
					     "c2c0",
					     "f90038",
					     "ffffffffffffffffff" };
	static const char *const numbers[] = {
		"00", "820001",
		"a1010000000000000000000000000000000000000000000000000000000000000000"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
		struct buf b = vectors_unhex(strings[i]);
		struct cursor c = cursor(buf_slice(&b));

		assert_int_equal(rlp_get_bytes(&c).n, 0);
		assert_int_equal(cursor_ok(&c), -EPROTO);
		buf_fini(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct buf b = vectors_unhex(lists[i]);
		struct cursor c = cursor(buf_slice(&b)), items = rlp_get_list(&c);

		assert_int_equal(items.n, 0);
		assert_int_equal(cursor_ok(&c), -EPROTO);
		assert_int_equal(cursor_ok(&items), -EPROTO);
		buf_fini(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		struct buf b = vectors_unhex(numbers[i]);
		struct cursor c = cursor(buf_slice(&b));

		assert_true(u256_is_zero(rlp_get_u256(&c)));
		assert_int_equal(cursor_ok(&c), -EPROTO);
		buf_fini(&b);
	}
}

static struct eth_tx tx_of(const json_t *o, struct buf *data)
{
	*data = vectors_hex(o, "data");
	return (struct eth_tx){
		.chain_id = vectors_u256(o, "chainId").w[0],
		.nonce = vectors_u256(o, "nonce").w[0],
		.max_priority_fee = vectors_u256(o, "maxPriorityFeePerGas"),
		.max_fee = vectors_u256(o, "maxFeePerGas"),
		.gas_limit = vectors_u256(o, "gas").w[0],
		.to = vectors_address(o, "to"),
		.value = vectors_u256(o, "value"),
		.data = buf_slice(data),
	};
}

static void check_1559(const json_t *o, const struct secret *key)
{
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct buf b, data;
	struct eth_tx tx = tx_of(vectors_get(o, "tx"), &data), back;
	struct address from, owner;

	buf_init(&b, ETH_TX_MAX);
	assert_int_equal(eth_tx_unsigned(&tx, &b), 0);
	assert_slice_hex(buf_slice(&b), vectors_str(o, "unsignedSerialized"));
	assert_int_equal(eth_tx_signing_hash(&tx, hash), 0);
	assert_slice_hex(slice(hash, sizeof(hash)), vectors_str(o, "signingHash"));
	buf_reset(&b);
	assert_int_equal(eth_tx_sign(&tx, key, &b, hash), 0);
	assert_slice_hex(buf_slice(&b), vectors_str(o, "signedRaw"));
	assert_slice_hex(slice(hash, sizeof(hash)), vectors_str(o, "txHash"));

	assert_int_equal(eth_tx_parse(buf_slice(&b), &back, &from), 0);
	assert_int_equal(address_of_key(key, &owner), 0);
	assert_true(address_eq(from, owner));
	assert_true(back.chain_id == tx.chain_id && back.nonce == tx.nonce);
	assert_true(back.gas_limit == tx.gas_limit);
	assert_true(u256_eq(back.max_fee, tx.max_fee));
	assert_true(u256_eq(back.max_priority_fee, tx.max_priority_fee));
	assert_true(u256_eq(back.value, tx.value));
	assert_true(address_eq(back.to, tx.to) && slice_eq(back.data, tx.data));
	buf_fini(&b);
	buf_fini(&data);
}

/* We send none; it checks RLP, Keccak and signatures once more. */
static void check_legacy(const json_t *o, const struct secret *key)
{
	const json_t *tx = vectors_get(o, "tx");
	uint64_t chain = vectors_u256(tx, "chainId").w[0];
	struct address to = vectors_address(tx, "to");
	struct buf fields, b;
	uint8_t hash[KECCAK_SIZE], sig[SECP_SIGNATURE_SIZE];
	size_t n;

	buf_init(&fields, 1024);
	buf_init(&b, 1024);
	assert_int_equal(rlp_put_u256(&fields, vectors_u256(tx, "nonce")), 0);
	assert_int_equal(rlp_put_u256(&fields, vectors_u256(tx, "gasPrice")), 0);
	assert_int_equal(rlp_put_u256(&fields, vectors_u256(tx, "gas")), 0);
	assert_int_equal(rlp_put_bytes(&fields, slice(to.b, ADDRESS_SIZE)), 0);
	assert_int_equal(rlp_put_u256(&fields, vectors_u256(tx, "value")), 0);
	assert_int_equal(rlp_put_bytes(&fields, SLICE_NONE), 0);
	n = fields.n;
	assert_int_equal(rlp_put_u64(&fields, chain), 0);
	assert_int_equal(rlp_put_u64(&fields, 0), 0);
	assert_int_equal(rlp_put_u64(&fields, 0), 0);
	assert_int_equal(rlp_put_list(&b, buf_slice(&fields)), 0);
	assert_slice_hex(buf_slice(&b), vectors_str(o, "unsignedSerialized"));
	keccak_once(buf_slice(&b), hash);
	assert_slice_hex(slice(hash, sizeof(hash)), vectors_str(o, "signingHash"));
	assert_int_equal(secp_sign(key, hash, sig), 0);
	fields.n = n;
	assert_int_equal(rlp_put_u64(&fields, 35 + 2 * chain + sig[64] - SECP_V), 0);
	assert_int_equal(rlp_put_u256(&fields, u256_from_be(sig)), 0);
	assert_int_equal(rlp_put_u256(&fields, u256_from_be(sig + 32)), 0);
	buf_reset(&b);
	assert_int_equal(rlp_put_list(&b, buf_slice(&fields)), 0);
	assert_slice_hex(buf_slice(&b), vectors_str(o, "signedRaw"));
	keccak_once(buf_slice(&b), hash);
	assert_slice_hex(slice(hash, sizeof(hash)), vectors_str(o, "txHash"));
	buf_fini(&fields);
	buf_fini(&b);
}

static void transactions_equal_the_vectors_both_ways(void **state)
{
	json_t *v = vectors_load("tx.json"),
	       *list = json_object_get(v, "vectors"), *o;
	struct secret *key = vectors_key();
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 3);
	json_array_foreach(list, i, o)
	{
		const char *type = vectors_str(vectors_get(o, "tx"), "type");

		if (strcmp(type, "eip1559") == 0)
			check_1559(o, key);
		else
			check_legacy(o, key);
	}
	secret_free(key);
	json_decref(v);
}

/* Each bit of a signed transaction: never read as from the same signer. */
static void a_changed_transaction_has_another_signer_or_none(void **state)
{
	json_t *v = vectors_load("tx.json"), *list = json_object_get(v, "vectors");
	const json_t *first = json_array_get(list, 0);
	struct buf b = vectors_hex(first, "signedRaw");
	struct secret *key = vectors_key();
	struct address owner, from;
	struct eth_tx tx;

	(void)state;
	assert_int_equal(address_of_key(key, &owner), 0);
	for (size_t bit = 0; bit < 8 * b.n; bit++) {
		int r;

		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = eth_tx_parse(buf_slice(&b), &tx, &from);
		assert_true(r == 0 || r == -EPROTO || r == -EBADMSG);
		if (r == 0)
			assert_false(address_eq(from, owner));
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(eth_tx_parse(slice(b.p, n), &tx, &from), -EPROTO);
	assert_int_equal(eth_tx_parse(buf_slice(&b), &tx, &from), 0);
	assert_true(address_eq(from, owner));
	buf_fini(&b);
	secret_free(key);
	json_decref(v);
}

static void calldata_has_a_maximum(void **state)
{
	static const uint8_t zeros[ETH_TX_DATA_MAX + 1];
	struct eth_tx tx = { .chain_id = 314, .data = { zeros, sizeof(zeros) } };
	struct secret *key = vectors_key();
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct address from;
	struct buf b;

	(void)state;
	buf_init(&b, 2 * ETH_TX_MAX);
	assert_int_equal(eth_tx_sign(&tx, key, &b, hash), -EMSGSIZE);
	assert_int_equal(b.n, 0);
	tx.data.n--;
	tx.nonce = tx.gas_limit = UINT64_MAX;
	tx.value = tx.max_fee = tx.max_priority_fee = U256_MAX;
	assert_int_equal(eth_tx_sign(&tx, key, &b, hash), 0);
	assert_true(b.n <= ETH_TX_MAX);
	assert_int_equal(eth_tx_parse(buf_slice(&b), &tx, &from), 0);
	buf_fini(&b);
	secret_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rlp_equals_the_vectors_both_ways),
		cmocka_unit_test(long_strings_and_lists_read_back),
		cmocka_unit_test(other_spellings_of_a_value_are_refused),
		cmocka_unit_test(transactions_equal_the_vectors_both_ways),
		cmocka_unit_test(a_changed_transaction_has_another_signer_or_none),
		cmocka_unit_test(calldata_has_a_maximum),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
