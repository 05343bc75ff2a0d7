/* test_hash_many.c - several messages beside each other hash as one alone does */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "crypto/blake_lanes.h"
#include "crypto/hash_many.h"
#include "crypto/secret.h"
#include "crypto/sha_lanes.h"

#include "vectors.h"

#define N_MAX 11

static const size_t lengths[] = { 1,    55,   56,    57,    63,   64,
				  65,   119,  120,   127,   128,  129,
				  183,  255,  256,   257,   1000, 4095,
				  4096, 4097, 20000, 65536, 65537 };

/* Each on the heap, so that a sanitizer sees who reads behind it. */
static void make(struct slice *v, size_t n, bool alike)
{
	size_t len = lengths[randombytes_uniform(ARRAY_LEN(lengths))];

	for (size_t i = 0; i < n; i++) {
		uint8_t *p;

		if (!alike)
			len = lengths[randombytes_uniform(ARRAY_LEN(lengths))];
		p = malloc(len);
		assert_non_null(p);
		randombytes_buf(p, len);
		v[i] = slice(p, len);
	}
}

static void drop(struct slice *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)v[i].p); // NOLINT(performance-no-int-to-ptr): ours
}

static void check_sha(const struct slice *v, size_t n, uint8_t (*got)[HASH_SIZE])
{
	static const uint8_t untouched[HASH_SIZE] = { 0 };
	uint8_t want[HASH_SIZE];

	for (size_t i = 0; i < n; i++) {
		sha256_once(v[i], want);
		assert_memory_equal(got[i], want, HASH_SIZE);
	}
	assert_memory_equal(got[n], untouched, HASH_SIZE);
}

static void check_keyed(const struct secret *key, const struct slice *v,
			size_t n, uint8_t (*got)[HASH_SIZE])
{
	static const uint8_t untouched[HASH_SIZE] = { 0 };
	uint8_t want[HASH_SIZE];

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(hash_keyed(key, &v[i], 1, want), 0);
		assert_memory_equal(got[i], want, HASH_SIZE);
	}
	assert_memory_equal(got[n], untouched, HASH_SIZE);
}

static void any_messages_hash_as_each_alone(void **state)
{
	sha_lanes_fn sha = sha_lanes_shani();
	blake_lanes_fn blake = blake_lanes_avx2();
	uint8_t got[N_MAX + 1][HASH_SIZE];
	struct secret *key = NULL;
	struct slice v[N_MAX];

	(void)state;
	assert_int_equal(secret_new_random(&key), 0);
	for (unsigned round = 0; round < 300; round++) {
		size_t n = randombytes_uniform(N_MAX + 1);

		make(v, n, round % 3 == 0);
		memset(got, 0, sizeof(got));
		sha256_many(v, n, got);
		check_sha(v, n, got);
		memset(got, 0, sizeof(got));
		assert_int_equal(hash_keyed_many(key, v, n, got), 0);
		check_keyed(key, v, n, got);
		if (sha) { /* what is chosen for one message may be another */
			memset(got, 0, sizeof(got));
			sha(v, n, got);
			check_sha(v, n, got);
		}
		if (blake) {
			memset(got, 0, sizeof(got));
			blake(secret_bytes(key), v, n, got);
			check_keyed(key, v, n, got);
		}
		drop(v, n);
	}
	secret_free(key);
}

static void every_length_up_to_four_blocks_is_right_beside_a_long_one(void **state)
{
	uint8_t got[3][HASH_SIZE] = { { 0 } }, *p = mod251(4096);
	struct secret *key = secret_of(7);

	(void)state;
	for (size_t n = 1; n <= 512; n++) {
		const struct slice v[2] = { slice(p, 4096 - n), slice(p, n) };

		sha256_many(v, 2, got);
		check_sha(v, 2, got);
		assert_int_equal(hash_keyed_many(key, v, 2, got), 0);
		check_keyed(key, v, 2, got);
	}
	secret_free(key);
	free(p);
}

static void empty_messages_are_hashed_too(void **state)
{
	uint8_t got[4][HASH_SIZE] = { { 0 } };
	struct secret *key = secret_of(3);
	const struct slice v[3] = { SLICE_NONE, slice_str("abc"), SLICE_NONE };

	(void)state;
	sha256_many(v, 3, got);
	check_sha(v, 3, got);
	assert_int_equal(hash_keyed_many(key, v, 3, got), 0);
	check_keyed(key, v, 3, got);
	secret_free(key);
}

/* hashlib.blake2b(bytes(i % 251 ...), key=bytes(range(32)), digest_size=32) */
static void messages_of_the_vectors_hash_as_another_implementation_says(void **state)
{
	static const struct {
		size_t n;
		const char *digest;
	} vectors[] = {
#include "blake2b_vectors.inc"
	};
	uint8_t got[ARRAY_LEN(vectors)][HASH_SIZE], bytes[SECRET_SIZE];
	struct slice v[ARRAY_LEN(vectors)];
	blake_lanes_fn blake = blake_lanes_avx2();
	uint8_t want[HASH_SIZE];
	size_t n = 0, skipped = 0;
	struct secret *key = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		if (vectors[i].n)
			v[n++] = slice(mod251(vectors[i].n), vectors[i].n);
		else
			skipped++;
	}
	assert_int_equal(skipped, 1); /* the first */
	if (blake) {
		blake(bytes, v, n, got);
	} else { /* a processor without AVX2 */
		assert_int_equal(secret_new(bytes, &key), 0);
		assert_int_equal(hash_keyed_many(key, v, n, got), 0);
	}
	for (size_t i = 0; i < n; i++) {
		unhex(vectors[i + 1].digest, want, sizeof(want));
		assert_memory_equal(got[i], want, HASH_SIZE);
	}
	drop(v, n);
	secret_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_messages_hash_as_each_alone),
		cmocka_unit_test(
			every_length_up_to_four_blocks_is_right_beside_a_long_one),
		cmocka_unit_test(empty_messages_are_hashed_too),
		cmocka_unit_test(
			messages_of_the_vectors_hash_as_another_implementation_says),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
