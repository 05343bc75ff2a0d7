/* test_primitives.c - secrets, hashes, local AEAD, links */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/link.h"
#include "crypto/secret.h"
#include "crypto/shorthash.h"

#include "vectors.h"

static void sha256_gives_the_published_digests(void **state)
{
	/* FIPS 180-4 examples. */
	static const struct {
		const char *text, *digest;
	} v[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc",
		  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	uint8_t want[HASH_SIZE], got[HASH_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		struct slice s = slice_str(v[i].text);

		unhex(v[i].digest, want, sizeof(want));
		sha256_once(s, got);
		assert_memory_equal(got, want, HASH_SIZE);
	}
}

/* The official keyed vector file has BLAKE2b-512; these are hashlib's for 256:
 * hashlib.blake2b(bytes(i % 251 ...), key=bytes(range(32)), digest_size=32) */
static void keyed_blake2b_gives_what_another_implementation_gives(void **state)
{
	static const struct {
		size_t n;
		const char *digest;
	} v[] = {
#include "blake2b_vectors.inc"
	};
	uint8_t key[SECRET_SIZE], want[HASH_SIZE], got[HASH_SIZE];
	struct secret *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	assert_int_equal(secret_new(key, &s), 0);
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		uint8_t *p = mod251(v[i].n);
		const struct slice one = slice(p, v[i].n);

		unhex(v[i].digest, want, sizeof(want));
		assert_int_equal(hash_keyed(s, &one, 1, got), 0);
		assert_memory_equal(got, want, HASH_SIZE);
		free(p);
	}
	secret_free(s);
}

/* libb2 below HASH_LONG, libcrypto above, libsodium as the judge. */
static void both_ways_to_blake2b_agree_at_every_length(void **state)
{
	struct secret *s = secret_of(7);
	uint8_t want[HASH_SIZE], got[HASH_SIZE];
	uint8_t *p = mod251(9000);

	(void)state;
	for (size_t n = 0; n < 9000; n += n < 300 ? 1 : 113) {
		const struct slice parts[] = { slice(p, n / 3),
					       slice(p + n / 3, n - n / 3) };

		assert_int_equal(hash_keyed(s, parts, 2, got), 0);
		assert_int_equal(crypto_generichash(want, HASH_SIZE, p, n,
						    secret_bytes(s), SECRET_SIZE),
				 0);
		assert_memory_equal(got, want, HASH_SIZE);
		assert_int_equal(hash_blake2b(slice(p, n), got), 0);
		assert_int_equal(
			crypto_generichash(want, HASH_SIZE, p, n, NULL, 0), 0);
		assert_memory_equal(got, want, HASH_SIZE);
	}
	free(p);
	secret_free(s);
}

/* draft-irtf-cfrg-xchacha-03, appendix A.3.1 */
/* The first vectors of the authors' vectors.h (github.com/veorq/SipHash). */
static void the_short_hash_is_siphash_of_128_bits(void **state)
{
	static const uint8_t want[2][SHORTHASH_SIZE] = {
		{ 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6,
		  0x72, 0x14, 0xc7, 0x55, 0x02, 0x93 },
		{ 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76,
		  0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45 },
	};
	struct shorthash_key key, other;
	uint8_t got[SHORTHASH_SIZE], zero = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(key.bytes); i++)
		key.bytes[i] = (uint8_t)i;
	for (size_t n = 0; n < 2; n++) {
		shorthash(&key, slice(&zero, n), got);
		assert_memory_equal(got, want[n], sizeof(got));
	}
	shorthash_key_random(&key);
	shorthash_key_random(&other);
	assert_memory_not_equal(key.bytes, other.bytes, sizeof(key.bytes));
}

static void local_aead_opens_the_published_vector(void **state)
{
	static const char text[] =
		"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
	static const char sealed_hex[] =
		"bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
		"731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
		"2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		"21f9664c97637da9768812f615c68b13b52e";
	uint8_t key[32], sealed[sizeof(text)], out[sizeof(text)], ad[16];
	uint8_t mark[AEAD_MARK_SIZE];
	struct secret *s = NULL;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(0x80 + i);
	assert_int_equal(secret_new(key, &s), 0);
	unhex("50515253c0c1c2c3c4c5c6c7", ad, sizeof(ad));
	unhex("404142434445464748494a4b4c4d4e4f5051525354555657", mark, 24);
	unhex("c0875924c1c7987947deafd8780acf49", mark + 24, 16);
	n = unhex(sealed_hex, sealed, sizeof(sealed));
	assert_int_equal(n, sizeof(text) - 1);
	assert_int_equal(aead_open(s, slice(ad, 12), slice(sealed, n), mark, out),
			 0);
	assert_memory_equal(out, text, n);
	secret_free(s);
}

static void local_aead_refuses_every_flipped_bit_and_zeroes(void **state)
{
	struct secret *s = secret_of(1), *other = secret_of(2);
	uint8_t text[33] = "thirty-three bytes of plain text", sealed[33], out[33];
	uint8_t mark[AEAD_MARK_SIZE], ad[5] = "place";

	(void)state;
	aead_seal(s, slice(ad, 5), slice(text, 33), sealed, mark);
	assert_int_equal(aead_open(s, slice(ad, 5), slice(sealed, 33), mark, out),
			 0);
	assert_memory_equal(out, text, 33);
	for (size_t i = 0; i < (size_t)8 * (33 + AEAD_MARK_SIZE + 5); i++) {
		size_t byte = i / 8;
		uint8_t *p = byte < 33 ? &sealed[byte] :
			     byte < 33 + AEAD_MARK_SIZE ?
					 &mark[byte - 33] :
					 &ad[byte - 33 - AEAD_MARK_SIZE];

		*p ^= (uint8_t)(1 << i % 8);
		assert_int_equal(aead_open(s, slice(ad, 5), slice(sealed, 33),
					   mark, out),
				 -EBADMSG);
		assert_true(sodium_is_zero(out, sizeof(out)));
		*p ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(aead_open(other, slice(ad, 5), slice(sealed, 33), mark, out),
			 -EBADMSG);
	/* In place. */
	assert_int_equal(
		aead_open(s, slice(ad, 5), slice(sealed, 33), mark, sealed), 0);
	assert_memory_equal(sealed, text, 33);
	secret_free(s);
	secret_free(other);
}

static void subkeys_differ_by_label_and_parent_and_repeat(void **state)
{
	struct secret *a = secret_of(1), *b = secret_of(2), *s[4] = { NULL };

	(void)state;
	assert_int_equal(secret_derive(a, "one", &s[0]), 0);
	assert_int_equal(secret_derive(a, "one", &s[1]), 0);
	assert_int_equal(secret_derive(a, "two", &s[2]), 0);
	assert_int_equal(secret_derive(b, "one", &s[3]), 0);
	assert_memory_equal(secret_bytes(s[0]), secret_bytes(s[1]), SECRET_SIZE);
	assert_memory_not_equal(secret_bytes(s[0]), secret_bytes(s[2]), SECRET_SIZE);
	assert_memory_not_equal(secret_bytes(s[0]), secret_bytes(s[3]), SECRET_SIZE);
	for (size_t i = 0; i < 4; i++)
		secret_free(s[i]);
	secret_free(a);
	secret_free(b);
	secret_free(NULL);
}

static void sample_link(enum link_kind kind, struct link *l)
{
	*l = (struct link){ .kind = kind };
	if (kind == LINK_NONE)
		return;
	l->codec = LINK_DAGPB;
	if (kind == LINK_IDENTITY) {
		l->n_inline = LINK_INLINE_MAX;
		memset(l->bytes, 0xab, sizeof(l->bytes));
		return;
	}
	memset(l->digest, 0x11, sizeof(l->digest));
	memset(l->key, 0x22, sizeof(l->key));
	l->place = (struct place){ UINT64_MAX, 1ull << 40, UINT32_MAX };
}

static void links_come_back_as_they_went(void **state)
{
	struct link l, back;
	struct cursor c;
	struct buf b;

	(void)state;
	for (enum link_kind k = LINK_NONE; k <= LINK_IDENTITY; k++) {
		sample_link(k, &l);
		buf_init(&b, LINK_ENCODED_MAX + 1);
		assert_int_equal(link_encode(&l, &b), 0);
		c = cursor(buf_slice(&b));
		assert_int_equal(link_decode(&c, &back), 0);
		assert_int_equal(cursor_done(&c), 0);
		assert_true(link_same(&l, &back));
		assert_true(back.place.piece == l.place.piece);
		assert_true(back.place.off == l.place.off);
		assert_true(back.place.len == l.place.len);
		/* Every truncation is refused. */
		for (size_t n = 0; n < b.n; n++) {
			c = cursor(slice(b.p, n));
			assert_int_equal(link_decode(&c, &back), -EPROTO);
		}
		buf_fini(&b);
	}
}

static void hostile_links_are_refused(void **state)
{
	static const uint8_t bad[][3] = {
		{ 4, 0x55, 0 },    /* unknown kind */
		{ 2, 0x71, 0 },    /* unknown codec */
		{ 1, 0x00, 0 },    /* no codec */
		{ 0, 0x55, 0 },    /* none, with a codec */
		{ 2, 0x55, 0x81 }, /* 129 bytes inline */
	};
	uint8_t t[3 + 255];
	struct link l;
	struct cursor c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		memset(t, 0, sizeof(t));
		memcpy(t, bad[i], 3);
		c = cursor(slice(t, sizeof(t)));
		assert_int_equal(link_decode(&c, &l), -EPROTO);
	}
}

static void links_differ_by_what_they_open_not_by_place(void **state)
{
	struct link a, b;

	(void)state;
	sample_link(LINK_SEALED, &a);
	b = a;
	b.place = (struct place){ 0 };
	assert_true(link_same(&a, &b));
	b.key[31] ^= 1;
	assert_false(link_same(&a, &b));
	b = a;
	b.digest[0] ^= 1;
	assert_false(link_same(&a, &b));
	b = a;
	b.codec = LINK_RAW;
	assert_false(link_same(&a, &b));
	sample_link(LINK_IDENTITY, &a);
	b = a;
	b.n_inline--;
	assert_false(link_same(&a, &b));
}

/* Two libraries do it, by size: each must open what the other sealed. */
static void local_aead_is_libsodiums_at_every_size(void **state)
{
	static const size_t sizes[] = { 0,    1,    63,   1023, 1024,
					1025, 4056, 4096, 5000, 65537 };
	enum {
		MAX_SIZE = 65537
	};
	uint8_t key[32], ad[36], mark[AEAD_MARK_SIZE];
	uint8_t *text = malloc(MAX_SIZE), *sealed = malloc(MAX_SIZE);
	uint8_t *out = malloc(MAX_SIZE);
	struct secret *s;

	(void)state;
	assert_true(text && sealed && out);
	randombytes_buf(key, sizeof(key));
	randombytes_buf(ad, sizeof(ad));
	randombytes_buf(text, MAX_SIZE);
	assert_int_equal(secret_new(key, &s), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i], n_ad = i % 2 ? sizeof(ad) : 0;

		aead_seal(s, slice(ad, n_ad), slice(text, n), sealed, mark);
		assert_int_equal(crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
					 out, NULL, sealed, n, mark + AEAD_NONCE_SIZE,
					 ad, n_ad, mark, key),
				 0);
		assert_memory_equal(out, text, n);

		assert_int_equal(crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
					 sealed, mark + AEAD_NONCE_SIZE, NULL,
					 text, n, ad, n_ad, NULL, mark, key),
				 0);
		/* in place */
		assert_int_equal(aead_open(s, slice(ad, n_ad), slice(sealed, n),
					   mark, sealed),
				 0);
		assert_memory_equal(sealed, text, n);
		if (n == 0)
			continue;

		aead_seal(s, slice(ad, n_ad), slice(sealed, n), sealed, mark);
		sealed[n - 1] ^= 1;
		memset(out, 1, n);
		assert_int_equal(aead_open(s, slice(ad, n_ad), slice(sealed, n),
					   mark, out),
				 -EBADMSG);
		assert_true(sodium_is_zero(out, n));
	}
	secret_free(s);
	free(text);
	free(sealed);
	free(out);
}

#define MANY 64

/* Seal MANY times the same text under the same key. */
static void seal_many(const struct secret *s,
		      uint8_t marks[static MANY * AEAD_MARK_SIZE],
		      uint8_t *sealed, size_t size)
{
	static const uint8_t text[2048];
	static const uint8_t ad[MANY];
	struct aead_job v[MANY];

	for (size_t k = 0; k < MANY; k++)
		v[k] = (struct aead_job){ slice(ad, k), text, sealed + k * size,
					  marks + k * AEAD_MARK_SIZE };
	aead_seal_many(s, size, v, MANY);
}

static void local_aead_of_many_is_the_same_as_of_each(void **state)
{
	static const size_t sizes[] = { 100, 2048 };
	uint8_t key[32], marks[MANY * AEAD_MARK_SIZE], out[2048];
	static const uint8_t zeros[2048];
	uint8_t *sealed = malloc(MANY * sizeof(out));
	struct secret *s;

	(void)state;
	assert_true(sealed);
	randombytes_buf(key, sizeof(key));
	assert_int_equal(secret_new(key, &s), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		seal_many(s, marks, sealed, sizes[i]);
		for (size_t k = 0; k < MANY; k++) {
			assert_int_equal(
				aead_open(s, slice(zeros, k),
					  slice(sealed + k * sizes[i], sizes[i]),
					  marks + k * AEAD_MARK_SIZE, out),
				0);
			assert_memory_equal(out, zeros, sizes[i]);
		}
	}
	secret_free(s);
	free(sealed);
}

/* A nonce used twice under one key gives both texts away. */
static void no_two_nonces_are_equal_nor_those_of_a_forked_child(void **state)
{
	uint8_t key[32], marks[3][MANY * AEAD_MARK_SIZE];
	uint8_t *sealed = malloc((size_t)MANY * 2048);
	uint8_t *shared = mmap(NULL, sizeof(marks[0]), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct secret *s;
	int status;
	pid_t pid;

	(void)state;
	assert_true(sealed && shared != MAP_FAILED);
	randombytes_buf(key, sizeof(key));
	assert_int_equal(secret_new(key, &s), 0);
	seal_many(s, marks[0], sealed, 2048);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		seal_many(s, shared, sealed, 2048);
		_exit(0);
	}
	seal_many(s, marks[1], sealed, 2048);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	memcpy(marks[2], shared, sizeof(marks[2]));

	for (size_t i = 0; i < (size_t)3 * MANY; i++) {
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&marks[0][0] + i * AEAD_MARK_SIZE,
						&marks[0][0] + k * AEAD_MARK_SIZE,
						AEAD_NONCE_SIZE);
	}
	assert_int_equal(munmap(shared, sizeof(marks[0])), 0);
	secret_free(s);
	free(sealed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_gives_the_published_digests),
		cmocka_unit_test(keyed_blake2b_gives_what_another_implementation_gives),
		cmocka_unit_test(both_ways_to_blake2b_agree_at_every_length),
		cmocka_unit_test(the_short_hash_is_siphash_of_128_bits),
		cmocka_unit_test(local_aead_opens_the_published_vector),
		cmocka_unit_test(local_aead_refuses_every_flipped_bit_and_zeroes),
		cmocka_unit_test(local_aead_is_libsodiums_at_every_size),
		cmocka_unit_test(local_aead_of_many_is_the_same_as_of_each),
		cmocka_unit_test(no_two_nonces_are_equal_nor_those_of_a_forked_child),
		cmocka_unit_test(subkeys_differ_by_label_and_parent_and_repeat),
		cmocka_unit_test(links_come_back_as_they_went),
		cmocka_unit_test(hostile_links_are_refused),
		cmocka_unit_test(links_differ_by_what_they_open_not_by_place),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
