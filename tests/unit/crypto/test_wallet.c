/* test_wallet.c - Keccak-256, secp256k1, and keys that grow from words */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "crypto/blake.h"
#include "crypto/hash.h"
#include "crypto/keccak.h"
#include "crypto/secp.h"
#include "crypto/secret.h"

#include "vectors.h"

static void assert_hex(const uint8_t *got, size_t n, const char *hex)
{
	uint8_t want[128];

	if (hex[0] == '0' && hex[1] == 'x')
		hex += 2;
	assert_int_equal(unhex(hex, want, sizeof(want)), n);
	assert_memory_equal(got, want, n);
}

static void keccak_equals_published_digests(void **state)
{
	static const struct {
		const char *text, *digest;
	} known[] = {
		{ "", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470" },
		{ "abc",
		  "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45" },
		{ "The quick brown fox jumps over the lazy dog",
		  "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15" },
	};
	uint8_t got[KECCAK_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		keccak_once(slice_str(known[i].text), got);
		assert_hex(got, sizeof(got), known[i].digest);
	}
}

/* Around the block of 136 bytes, cut in every way. */
static void keccak_in_parts_equals_keccak_at_once(void **state)
{
	uint8_t *bytes = mod251(300), once[KECCAK_SIZE], parts[KECCAK_SIZE];

	(void)state;
	for (size_t n = 130; n < 280; n += 1) {
		keccak_once(slice(bytes, n), once);
		for (size_t cut = 0; cut <= n; cut += 7) {
			struct keccak k;

			keccak_init(&k);
			keccak_update(&k, slice(bytes, cut));
			keccak_update(&k, slice(bytes + cut, n - cut));
			keccak_final(&k, parts);
			assert_memory_equal(parts, once, sizeof(once));
		}
	}
	free(bytes);
}

static void blake_of_32_bytes_equals_the_other_implementation(void **state)
{
	uint8_t *bytes = mod251(5000), a[HASH_SIZE], b[HASH_SIZE];

	(void)state;
	for (size_t n = 0; n < 5000; n += 491) {
		blake_once(slice(bytes, n), a, sizeof(a));
		assert_int_equal(hash_blake2b(slice(bytes, n), b), 0);
		assert_memory_equal(a, b, sizeof(a));
	}
	free(bytes);
}

static json_t *load(const char *name)
{
	FILE *f = vector_open(name);
	json_t *o = json_loadf(f, 0, NULL);

	(void)fclose(f); /* read side */
	assert_non_null(o);
	return o;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static void signatures_equal_the_vectors(void **state)
{
	json_t *v = load("filecoin/tx.json"),
	       *list = json_object_get(v, "ecdsa"), *o;
	struct secret *key = secret_of(1);
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 3);
	json_array_foreach(list, i, o)
	{
		uint8_t digest[KECCAK_SIZE], sig[SECP_SIGNATURE_SIZE];

		keccak_once(slice_str(text_of(o, "message")), digest);
		assert_hex(digest, sizeof(digest), text_of(o, "hash"));
		assert_int_equal(secp_sign(key, digest, sig), 0);
		assert_hex(sig, 32, text_of(o, "r"));
		assert_hex(sig + 32, 32, text_of(o, "s"));
		assert_int_equal(sig[64], strtol(text_of(o, "v"), NULL, 10));
	}
	secret_free(key);
	json_decref(v);
}

static void the_signer_is_recovered(void **state)
{
	json_t *v = load("filecoin/eip712.json");
	struct secret *key = secret_of(1);
	uint8_t public[SECP_PUBLIC_SIZE], who[SECP_PUBLIC_SIZE];
	uint8_t digest[KECCAK_SIZE], sig[SECP_SIGNATURE_SIZE];

	(void)state;
	assert_int_equal(secp_public(key, public), 0);
	assert_hex(public, sizeof(public), text_of(v, "publicKey"));
	for (uint8_t i = 0; i < 50; i++) {
		keccak_once(slice(&i, 1), digest);
		assert_int_equal(secp_sign(key, digest, sig), 0);
		assert_int_equal(secp_recover(sig, digest, who), 0);
		assert_memory_equal(who, public, sizeof(public));
		sig[64] ^= 27 ^ 28;
		if (secp_recover(sig, digest, who) == 0)
			assert_memory_not_equal(who, public, sizeof(public));
	}
	secret_free(key);
	json_decref(v);
}

/* n - s, for the order n of the curve. */
static void turn_s(uint8_t s[static 32])
{
	uint8_t order[32];
	int borrow = 0;

	unhex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	      order, sizeof(order));
	for (int i = 31; i >= 0; i--) {
		int d = order[i] - s[i] - borrow;

		borrow = d < 0;
		s[i] = (uint8_t)(d + 256 * borrow);
	}
}

static void the_higher_s_and_a_strange_v_are_refused(void **state)
{
	struct secret *key = secret_of(1);
	uint8_t who[SECP_PUBLIC_SIZE], digest[KECCAK_SIZE],
		sig[SECP_SIGNATURE_SIZE];

	(void)state;
	keccak_once(slice_str("abc"), digest);
	assert_int_equal(secp_sign(key, digest, sig), 0);
	turn_s(sig + 32);
	sig[64] ^= 27 ^ 28;
	assert_int_equal(secp_recover(sig, digest, who), -EBADMSG);
	turn_s(sig + 32);
	sig[64] ^= 27 ^ 28;
	assert_int_equal(secp_recover(sig, digest, who), 0);
	for (unsigned v = 0; v < 256; v++) {
		sig[64] = (uint8_t)v;
		if (v != 27 && v != 28)
			assert_int_equal(secp_recover(sig, digest, who), -EBADMSG);
	}
	memset(sig, 0, sizeof(sig));
	sig[64] = 27;
	assert_int_equal(secp_recover(sig, digest, who), -EBADMSG);
	memset(sig, 0xff, 64);
	assert_int_equal(secp_recover(sig, digest, who), -EBADMSG);
	secret_free(key);
}

static void zero_and_the_order_are_no_keys(void **state)
{
	static const char *const bad[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
		"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};
	uint8_t bytes[SECRET_SIZE], digest[32] = { 1 };
	uint8_t sig[SECP_SIGNATURE_SIZE], public[SECP_PUBLIC_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct secret *key = NULL;

		unhex(bad[i], bytes, sizeof(bytes));
		assert_int_equal(secret_new(bytes, &key), 0);
		assert_false(secp_is_key(key));
		assert_int_equal(secp_public(key, public), -EINVAL);
		assert_int_equal(secp_sign(key, digest, sig), -EINVAL);
		secret_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keccak_equals_published_digests),
		cmocka_unit_test(keccak_in_parts_equals_keccak_at_once),
		cmocka_unit_test(blake_of_32_bytes_equals_the_other_implementation),
		cmocka_unit_test(signatures_equal_the_vectors),
		cmocka_unit_test(the_signer_is_recovered),
		cmocka_unit_test(the_higher_s_and_a_strange_v_are_refused),
		cmocka_unit_test(zero_and_the_order_are_no_keys),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
