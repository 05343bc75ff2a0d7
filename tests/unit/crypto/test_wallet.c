/* test_wallet.c - Keccak-256, secp256k1, and keys that grow from words */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "base/err.h"
#include "crypto/bip32.h"
#include "crypto/blake.h"
#include "crypto/hash.h"
#include "crypto/keccak.h"
#include "crypto/keys.h"
#include "crypto/purse.h"
#include "crypto/secp.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "crypto/words.h"

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

/* Test vector 1 of BIP-32: secret keys and chain codes along its path. */
static void a_tree_equals_the_published_vector(void **state)
{
	static const struct {
		uint32_t index;
		const char *key, *chain;
	} want[] = {
		{ 0 | BIP32_HARD,
		  "edb2e14f9ee77d26dd93b4ecede8d16ed408ce149b6cd80b0715a2d911a0afea",
		  "47fdacbd0f1097043b78c63c20c34ef4ed9a111d980047ad16282c7ae6236141" },
		{ 1, "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368",
		  "2a7857631386ba23dacac34180dd1983734e444fdbf774041578e9b6adb37c19" },
		{ 2 | BIP32_HARD,
		  "cbce0d719ecf7431d88e6a89fa1483e02e35092af60c042b1df2ff59fa424dca",
		  "04466b9cc8e161e966409ca52986c584f07e9dc81f735db683c3ff6ec7b1503f" },
		{ 2, "0f479245fb19a38a1954c5c7c0ebab2f9bdfd96a17563ef28a6a4b1a2a764ef4",
		  "cfb71883f01676f587d023cc53a35bc7f88f724b1f8c2892ac1275ac822a3edd" },
		{ 1000000000,
		  "471b76e389e528d6de6d816857e012c5455051cad6660850e58372a6c3e6e7c8",
		  "c783e67b921d2beb8f6b389cc646d7263b4145701dadd2161548a8b078e65e9e" },
	};
	struct bip32 *node = NULL, *below = NULL;
	struct secret *key = NULL;
	uint8_t seed[16];

	(void)state;
	for (size_t i = 0; i < sizeof(seed); i++)
		seed[i] = (uint8_t)i;
	assert_int_equal(bip32_root(seed, 15, &node), -EINVAL);
	assert_int_equal(bip32_root(seed, sizeof(seed), &node), 0);
	assert_hex(bip32_chain(node), 32,
		   "873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508");
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_int_equal(bip32_child(node, want[i].index, &below), 0);
		bip32_free(node);
		node = below;
		assert_int_equal(bip32_key(node, &key), 0);
		assert_hex(secret_bytes(key), 32, want[i].key);
		assert_hex(bip32_chain(node), 32, want[i].chain);
		secret_free(key);
	}
	bip32_free(node);
}

static void assert_address(const struct secret *key, const char *hex)
{
	uint8_t public[SECP_PUBLIC_SIZE], digest[KECCAK_SIZE];

	assert_int_equal(secp_public(key, public), 0);
	keccak_once(slice(public + 1, 64), digest);
	assert_hex(digest + 12, 20, hex);
}

static void a_known_sentence_opens_the_known_wallet(void **state)
{
	const char *about = "abandon abandon abandon abandon abandon abandon "
			    "abandon abandon abandon abandon abandon about";
	const char *junk = "test test test test test test test test test test "
			   "test junk";
	static const char *const accounts[] = {
		"f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
		"70997970c51812dc3a010c7d01b50e0d17dc79c8",
		"3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
	};
	struct purse *p = NULL;
	struct secret *key = NULL;

	(void)state;
	assert_int_equal(purse_from_sentence(slice_str(about), SLICE_NONE, &p), 0);
	assert_int_equal(purse_key(p, PURSE_OWNER, &key), 0);
	assert_address(key, "9858effd232b4033e47d90003d41ec34ecaeda94");
	secret_free(key);
	purse_free(p);

	/* The accounts of every local Ethereum node. */
	assert_int_equal(purse_from_sentence(slice_str(junk), SLICE_NONE, &p), 0);
	for (unsigned i = 0; i < PURSE_NX; i++) {
		assert_int_equal(purse_key(p, (enum purse_use)i, &key), 0);
		assert_address(key, accounts[i]);
		secret_free(key);
	}
	purse_free(p);
}

static void our_24_words_open_the_wallet_of_their_sentence(void **state)
{
	struct secret *entropy = secret_of(0), *a = NULL, *b = NULL;
	struct purse *p = NULL, *q = NULL, *other = NULL;
	char words[WORDS_TEXT_MAX];

	(void)state;
	words_write(entropy, words);
	assert_int_equal(purse_from_entropy(entropy, &p), 0);
	assert_int_equal(purse_from_sentence(slice_str(words), SLICE_NONE, &q), 0);
	assert_int_equal(purse_key(p, PURSE_OWNER, &a), 0);
	assert_address(a, "f278cf59f82edcf871d630f28ecc8056f25c1cdb");
	assert_int_equal(purse_key(q, PURSE_OWNER, &b), 0);
	assert_memory_equal(secret_bytes(a), secret_bytes(b), SECRET_SIZE);
	secret_free(b);
	/* A passphrase opens another wallet. */
	assert_int_equal(purse_from_sentence(slice_str(words),
					     slice_str("TREZOR"), &other),
			 0);
	assert_int_equal(purse_key(other, PURSE_OWNER, &b), 0);
	assert_memory_not_equal(secret_bytes(a), secret_bytes(b), SECRET_SIZE);
	secret_free(a);
	secret_free(b);
	secret_free(entropy);
	purse_free(p);
	purse_free(q);
	purse_free(other);
}

#define ONES "0101010101010101010101010101010101010101010101010101010101010101"

static void a_key_that_is_exported_can_be_imported(void **state)
{
	static const char *const good[] = { ONES, "0x" ONES, " 0X" ONES "\r\n" };
	static const char *const bad[] = {
		"",
		"0x",
		ONES "01",
		"0x" ONES " 01",
		"g101010101010101010101010101010101010101010101010101010101010101",
		"01 1010101010101010101010101010101010101010101010101010101010101",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	};
	struct secret *key = NULL;
	char text[PURSE_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(purse_import(slice_str(good[i]), &key, NULL), 0);
		purse_export(key, text);
		assert_string_equal(text, "0x" ONES);
		secret_free(key);
	}
	key = NULL;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err e = { "" };

		assert_int_equal(purse_import(slice_str(bad[i]), &key, &e), -EINVAL);
		assert_null(key);
		assert_true(e.text[0]);
		assert_null(strstr(e.text, "0101"));
	}
}

static void session_keys_differ_and_need_the_drive_secret_only(void **state)
{
	_cleanup_secret_ struct secret *entropy = NULL, *one = NULL,
				       *two = NULL, *same = NULL;
	_cleanup_keys_ struct keys *k = NULL, *again = NULL;
	const uint8_t bytes[SECRET_SIZE] = { 7 };

	(void)state;
	assert_int_equal(secret_new(bytes, &entropy), 0);
	assert_int_equal(keys_from_entropy(entropy, &k), 0);
	assert_int_equal(keys_from_drive_secret(keys_drive_secret(k), &again), 0);
	assert_int_equal(session_key(k, 1, &one), 0);
	assert_int_equal(session_key(k, 2, &two), 0);
	assert_int_equal(session_key(again, 1, &same), 0);
	assert_true(secp_is_key(one) && secp_is_key(two));
	assert_memory_equal(secret_bytes(one), secret_bytes(same), SECRET_SIZE);
	assert_memory_not_equal(secret_bytes(one), secret_bytes(two), SECRET_SIZE);
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
		cmocka_unit_test(a_tree_equals_the_published_vector),
		cmocka_unit_test(a_known_sentence_opens_the_known_wallet),
		cmocka_unit_test(our_24_words_open_the_wallet_of_their_sentence),
		cmocka_unit_test(a_key_that_is_exported_can_be_imported),
		cmocka_unit_test(session_keys_differ_and_need_the_drive_secret_only),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
