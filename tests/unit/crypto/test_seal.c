/* test_seal.c - properties of sealed blocks and sealed records */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <zstd.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/record.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

#include "vectors.h"

struct sealed {
	struct buf block;
	uint8_t key[SEAL_KEY_SIZE];
	uint8_t digest[SEAL_DIGEST_SIZE];
};

static void seal(struct sealed *s, const struct secret *c, enum seal_mode mode,
		 struct slice body)
{
	buf_init(&s->block, 4u << 20);
	assert_int_equal(seal_block(c, mode, body, &s->block, s->key, s->digest), 0);
}

static int reopen(const struct sealed *s, size_t max, struct buf *b)
{
	buf_init(b, 4u << 20);
	return seal_open(buf_slice(&s->block), s->key, s->digest, max, b);
}

static void stored_blocks_equal_the_golden_vectors(void **state)
{
	static char line[16384];
	FILE *f = vector_open("seal/blocks.txt");
	unsigned n_stored = 0, n_zstd = 0;

	(void)state;
	while (fgets(line, sizeof(line), f)) {
		uint8_t bytes[32], key[32], digest[32];
		struct secret *c = NULL;
		struct sealed s;
		struct buf body;
		char *save, *kind, *hex;
		size_t n, len;
		uint8_t *p;

		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = 0;
		kind = strtok_r(line, " ", &save);
		unhex(strtok_r(NULL, " ", &save), bytes, 32);
		n = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
		unhex(strtok_r(NULL, " ", &save), key, 32);
		unhex(strtok_r(NULL, " ", &save), digest, 32);
		len = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
		hex = strtok_r(NULL, " ", &save);
		assert_int_equal(secret_new(bytes, &c), 0);
		p = mod251(n);
		if (strcmp(kind, "stored") == 0) {
			seal(&s, c, SEAL_STORED, slice(p, n));
			assert_memory_equal(s.key, key, 32);
			n_stored++;
		} else {
			assert_string_equal(kind, "zstd");
			buf_init(&s.block, 1u << 20);
			assert_int_equal(buf_grow(&s.block, len, &s.block.p), 0);
			assert_int_equal(unhex(hex, s.block.p, len), len);
			memcpy(s.key, key, 32);
			memcpy(s.digest, digest, 32);
			n_zstd++;
		}
		assert_int_equal(s.block.n, len);
		assert_memory_equal(s.digest, digest, 32);
		if (hex[0] != '-') {
			uint8_t block[4096];

			assert_int_equal(unhex(hex, block, sizeof(block)), len);
			assert_memory_equal(s.block.p, block, len);
		}
		assert_int_equal(reopen(&s, n, &body), 0);
		assert_int_equal(body.n, n);
		if (n)
			assert_memory_equal(body.p, p, n);
		buf_fini(&body);
		buf_fini(&s.block);
		free(p);
		secret_free(c);
	}
	assert_int_equal(n_stored, 15);
	assert_int_equal(n_zstd, 3);
	(void)fclose(f);
}

static void many_bodies_seal_as_each_alone(void **state)
{
	static const size_t sizes[] = { 0,    1,     255,   256,    257,   5000,
					9000, 70000, 70000, 100000, 300000 };
	static const enum seal_mode modes[] = { SEAL_STORED, SEAL_ZSTD,
						SEAL_LEAF_ZSTD };
	struct seal_item v[ARRAY_LEN(sizes)];
	struct secret *c = secret_of(11);
	struct sealed one;

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_LEN(modes); k++) {
		enum seal_mode mode = modes[k / 2];

		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			v[i].n = sizes[i];
			v[i].p = malloc(seal_block_size(mode, sizes[i]));
			assert_non_null(v[i].p);
			if (k % 2)
				randombytes_buf(v[i].p + SEAL_HEAD_SIZE, sizes[i]);
			else
				memset(v[i].p + SEAL_HEAD_SIZE, 'x', sizes[i]);
		}
		for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
			size_t from = n * (n - 1) / 2; /* 0, 1, 3: groups of each size */
			struct buf body[ARRAY_LEN(sizes)];

			if (n == 0 || from + n > ARRAY_LEN(sizes))
				continue;
			for (size_t i = from; i < from + n; i++) {
				buf_init(&body[i], 4u << 20);
				assert_int_equal(buf_append(&body[i],
							    slice(v[i].p + SEAL_HEAD_SIZE,
								  v[i].n)),
						 0);
			}
			assert_int_equal(seal_many(c, mode, v + from, n), 0);
			for (size_t i = from; i < from + n; i++) {
				seal(&one, c, mode, buf_slice(&body[i]));
				assert_true(slice_eq(buf_slice(&one.block),
						     slice(v[i].p, v[i].n)));
				assert_memory_equal(one.key, v[i].key,
						    SEAL_KEY_SIZE);
				assert_memory_equal(one.digest, v[i].digest,
						    SEAL_DIGEST_SIZE);
				buf_fini(&one.block);
				buf_fini(&body[i]);
			}
		}
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
			free(v[i].p);
	}
	secret_free(c);
}

static void one_body_too_large_among_many_leaves_all_alone(void **state)
{
	uint8_t *p = malloc(SEAL_BLOCK_MAX), body[64] = { 1, 2, 3 };
	struct secret *c = secret_of(12);
	struct seal_item v[2] = {
		{ .p = body, .n = 8 },
		{ .p = p, .n = SEAL_BODY_MAX + 1 },
	};

	(void)state;
	assert_non_null(p);
	assert_int_equal(seal_many(c, SEAL_STORED, v, 2), -EMSGSIZE);
	assert_int_equal(v[0].n, 8);
	assert_int_equal(body[1], 2);
	v[1].n = SEAL_LEAF_MAX + 1;
	assert_int_equal(seal_many(c, SEAL_LEAF_ZSTD, v, 2), -EMSGSIZE);
	free(p);
	secret_free(c);
}

static void the_ladder_is_padme_from_256_on(void **state)
{
	static const size_t v[][2] = {
		{ 0, 256 },
		{ 1, 256 },
		{ 256, 256 },
		{ 257, 272 },
		{ 272, 272 },
		{ 273, 288 },
		{ 1023, 1024 },
		{ 1025, 1088 },
		{ 4097, 4352 },
		{ 65535, 65536 },
		{ 65537, 67584 },
		{ 1048575, 1048576 },
		{ 1048576, 1048576 },
		{ 1048577, 1081344 },
		{ SEAL_BODY_MAX, SEAL_BODY_MAX },
	};
	size_t last = 0, p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		assert_int_equal(seal_padded_size(SEAL_STORED, v[i][0]), v[i][1]);
	for (size_t n = 0; n <= SEAL_BODY_MAX; n += n < 5000 ? 1 : 997) {
		p = seal_padded_size(SEAL_STORED, n);
		assert_true(p >= n && p >= last);
		assert_true(n < 256 || (p - n) * 100 <= n * 12);
		assert_int_equal(seal_padded_size(SEAL_STORED, p), p);
		last = p;
	}
	assert_int_equal(seal_padded_size(SEAL_LEAF_ZSTD, 0), 256);
	assert_int_equal(seal_padded_size(SEAL_LEAF_ZSTD, 257), 512);
	assert_int_equal(seal_padded_size(SEAL_LEAF_ZSTD, 1048576), 1048576);
	assert_int_equal(seal_padded_size(SEAL_LEAF_ZSTD, 524289), 1048576);
	assert_int_equal(seal_block_size(SEAL_STORED, 1048576), 1048576 + 24);
	assert_true(SEAL_BLOCK_MAX < 2u << 20);
}

static void all_modes_open_to_what_was_sealed(void **state)
{
	static const size_t sizes[] = { 0,    1,    255,  256,    257,
					5000, 8191, 8192, 100000, 1048576 };
	struct secret *c = secret_of(9);
	uint8_t *text = malloc(1048576), *noise = malloc(1048576);

	(void)state;
	assert_non_null(text);
	assert_non_null(noise);
	randombytes_buf(noise, 1048576);
	for (size_t i = 0; i < 1048576; i++)
		text[i] = (uint8_t)("lorem ipsum"[noise[i] % 11]);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		for (enum seal_mode m = SEAL_STORED; m <= SEAL_LEAF_ZSTD; m++) {
			for (int k = 0; k < 2; k++) {
				struct slice body =
					slice(k ? noise : text, sizes[i]);
				size_t room = seal_block_size(m, body.n);
				struct sealed s;
				struct buf b;

				seal(&s, c, m, body);
				assert_true(s.block.n <= room);
				/* What is compressible shrinks; noise and stored do not. */
				if (m == SEAL_STORED || k || body.n <= 256)
					assert_int_equal(s.block.n, room);
				else if (body.n >= 5000)
					assert_true(s.block.n <= room * 3 / 4);
				assert_int_equal(seal_padded_size(m, s.block.n - 24),
						 s.block.n - 24);
				assert_int_equal(reopen(&s, body.n, &b), 0);
				assert_int_equal(b.n, body.n);
				if (b.n)
					assert_memory_equal(b.p, body.p, b.n);
				buf_fini(&b);
				if (body.n) {
					assert_int_equal(reopen(&s, body.n - 1, &b),
							 -EMSGSIZE);
					assert_int_equal(b.n, 0);
					buf_fini(&b);
				}
				buf_fini(&s.block);
			}
		}
	}
	free(text);
	free(noise);
	secret_free(c);
}

static void equal_bodies_meet_only_under_one_convergence_secret(void **state)
{
	struct secret *c = secret_of(1), *d = secret_of(2);
	struct sealed a, b, e;

	(void)state;
	seal(&a, c, SEAL_STORED, slice_str("the same"));
	seal(&b, c, SEAL_STORED, slice_str("the same"));
	seal(&e, d, SEAL_STORED, slice_str("the same"));
	assert_true(slice_eq(buf_slice(&a.block), buf_slice(&b.block)));
	assert_memory_equal(a.key, b.key, 32);
	assert_memory_not_equal(a.digest, e.digest, 32);
	assert_memory_not_equal(a.key, e.key, 32);
	buf_fini(&a.block);
	buf_fini(&b.block);
	buf_fini(&e.block);
	secret_free(c);
	secret_free(d);
}

static void libcrypto_and_libsodium_make_the_same_ciphertext(void **state)
{
	struct secret *c = secret_of(3);
	static const uint8_t nonce[12];
	uint8_t *p = mod251(70000);

	(void)state;
	for (size_t n = 0; n < 70000; n = n * 2 + 1) {
		unsigned long long len;
		struct sealed s;
		uint8_t *out;

		seal(&s, c, SEAL_STORED, slice(p, n));
		out = malloc(s.block.n);
		assert_non_null(out);
		assert_int_equal(crypto_aead_chacha20poly1305_ietf_decrypt(
					 out, &len, NULL, s.block.p, s.block.n,
					 NULL, 0, nonce, s.key),
				 0);
		assert_int_equal(len, s.block.n - 16);
		assert_int_equal(get_le32(out + 4), n);
		if (n)
			assert_memory_equal(out + 8, p, n);
		free(out);
		buf_fini(&s.block);
	}
	free(p);
	secret_free(c);
}

static void any_flipped_bit_fails_and_leaves_the_buffer_alone(void **state)
{
	struct secret *c = secret_of(4);
	struct sealed s;
	struct buf b;

	(void)state;
	seal(&s, c, SEAL_STORED, slice_str("do not touch"));
	for (size_t i = 0; i < 8 * s.block.n; i++) {
		s.block.p[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(reopen(&s, 100, &b), -EBADMSG);
		assert_int_equal(b.n, 0);
		/* A digest that was made to fit does not help. */
		sha256_once(buf_slice(&s.block), s.digest);
		assert_int_equal(reopen(&s, 100, &b), -EBADMSG);
		assert_int_equal(b.n, 0);
		s.block.p[i / 8] ^= (uint8_t)(1 << i % 8);
		sha256_once(buf_slice(&s.block), s.digest);
		buf_fini(&b);
	}
	s.digest[31] ^= 1; /* the right block under another name */
	assert_int_equal(reopen(&s, 100, &b), -EBADMSG);
	assert_int_equal(seal_verify(buf_slice(&s.block), s.digest), -EBADMSG);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
	s.digest[31] ^= 1;
	assert_int_equal(seal_verify(buf_slice(&s.block), s.digest), 0);
	s.key[0] ^= 1;
	assert_int_equal(reopen(&s, 100, &b), -EBADMSG);
	buf_fini(&b);
	buf_fini(&s.block);
	secret_free(c);
}

/* Seals any payload at all, as a malicious holder of the keys can. */
static void seal_raw(struct sealed *s, const uint8_t *payload, size_t n)
{
	static const uint8_t nonce[12];
	unsigned long long len;
	uint8_t *p;

	buf_init(&s->block, 8u << 20);
	assert_int_equal(buf_grow(&s->block, n + 16, &p), 0);
	memset(s->key, 5, sizeof(s->key));
	assert_int_equal(crypto_aead_chacha20poly1305_ietf_encrypt(
				 p, &len, payload, n, NULL, 0, NULL, nonce, s->key),
			 0);
	sha256_once(buf_slice(&s->block), s->digest);
}

static int open_raw(const uint8_t *payload, size_t n, size_t max)
{
	struct sealed s;
	struct buf b;
	int r;

	seal_raw(&s, payload, n);
	r = reopen(&s, max, &b);
	assert_true(r == 0 || b.n == 0);
	buf_fini(&b);
	buf_fini(&s.block);
	return r;
}

static void authentic_but_malformed_payloads_are_refused(void **state)
{
	static uint8_t p[(2u << 20) + 64];

	(void)state;
	p[0] = 1;
	assert_int_equal(open_raw(p, 264, 100), 0);
	assert_int_equal(open_raw(p, 8, 100), 0);
	assert_int_equal(open_raw(p, 7, 100), -EPROTO);
	assert_int_equal(open_raw(p, 0, 100), -EPROTO);
	assert_int_equal(open_raw(p, sizeof(p), 100), -EPROTO);
	p[0] = 2;
	assert_int_equal(open_raw(p, 264, 100), -EPROTO);
	p[0] = 1;
	for (unsigned i = 1; i < 8; i++) {
		p[1] = (uint8_t)(1 << i);
		assert_int_equal(open_raw(p, 264, 100), -EPROTO);
	}
	p[1] = 0;
	p[2] = 1;
	assert_int_equal(open_raw(p, 264, 100), -EPROTO);
	p[2] = 0;
	p[3] = 1;
	assert_int_equal(open_raw(p, 264, 100), -EPROTO);
	p[3] = 0;
	put_le32(p + 4, 257);
	assert_int_equal(open_raw(p, 264, 1000), -EPROTO);
	put_le32(p + 4, UINT32_MAX);
	assert_int_equal(open_raw(p, 264, SIZE_MAX), -EPROTO);
	put_le32(p + 4, 10);
	p[263] = 1;
	assert_int_equal(open_raw(p, 264, 1000), -EPROTO);
	p[263] = 0;
	p[18] = 1;
	assert_int_equal(open_raw(p, 264, 1000), -EPROTO);
}

/* A payload with this as its zstd body. */
static int open_frame(const uint8_t *frame, size_t n, size_t max)
{
	static uint8_t p[1u << 20];

	assert_true(n + 8 <= sizeof(p));
	memset(p, 0, sizeof(p));
	p[0] = 1;
	p[1] = 1;
	put_le32(p + 4, (uint32_t)n);
	memcpy(p + 8, frame, n);
	return open_raw(p, 8 + seal_padded_size(SEAL_ZSTD, n), max);
}

static void hostile_frames_are_refused_before_anything_is_allocated(void **state)
{
	static uint8_t zeros[4u << 20], f[1u << 16];
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t n;

	(void)state;
	assert_non_null(ctx);
	n = ZSTD_compress2(ctx, f, sizeof(f), zeros, sizeof(zeros));
	assert_false(ZSTD_isError(n));
	/* 4 MiB in a few hundred bytes: fits only where it is allowed. */
	assert_int_equal(open_frame(f, n, 4u << 20), 0);
	assert_int_equal(open_frame(f, n, (4u << 20) - 1), -EMSGSIZE);
	assert_int_equal(open_frame(f, n - 1, 4u << 20), -EPROTO);
	/* Bytes behind the frame, and a second frame. */
	memcpy(f + n, f, n);
	assert_int_equal(open_frame(f, n + 1, 4u << 20), -EPROTO);
	assert_int_equal(open_frame(f, 2 * n, 16u << 20), -EPROTO);
	/* A skippable frame behind it, which zstd itself would pass over. */
	memset(f + n, 'a', 16);
	put_le32(f + n, 0x184d2a50);
	put_le32(f + n + 4, 8);
	assert_int_equal(open_frame(f, n + 16, 4u << 20), -EPROTO);
	/* No size declared. */
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(ctx, f, sizeof(f), zeros, 10000);
	assert_int_equal(open_frame(f, n, 1u << 20), -EPROTO);
	/* A skippable frame; none at all; damage inside. */
	memset(f, 0, 16);
	put_le32(f, 0x184d2a50);
	put_le32(f + 4, 8);
	assert_int_equal(open_frame(f, 16, 1u << 20), -EPROTO);
	assert_int_equal(open_frame(zeros, 16, 1u << 20), -EPROTO);
	assert_int_equal(open_frame(zeros, 0, 1u << 20), -EPROTO);
	(void)ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 1);
	n = ZSTD_compress2(ctx, f, sizeof(f), zeros, 100000);
	put_le32(f + 5, 100000 - 1); /* the declared size lies */
	assert_int_equal(open_frame(f, n, 1u << 20), -EPROTO);
	(void)ZSTD_freeCCtx(ctx);
}

static void bodies_over_the_maximum_are_refused(void **state)
{
	struct secret *c = secret_of(4);
	uint8_t *p = mod251(SEAL_BODY_MAX + 1);
	uint8_t key[32], digest[32];
	struct buf b;

	(void)state;
	buf_init(&b, 4u << 20);
	assert_int_equal(seal_block(c, SEAL_STORED, slice(p, SEAL_BODY_MAX + 1),
				    &b, key, digest),
			 -EMSGSIZE);
	assert_int_equal(seal_block(c, SEAL_LEAF_ZSTD,
				    slice(p, SEAL_LEAF_MAX + 1), &b, key, digest),
			 -EMSGSIZE);
	assert_int_equal(b.n, 0);
	assert_int_equal(seal_block(c, SEAL_ZSTD, slice(p, SEAL_BODY_MAX), &b,
				    key, digest),
			 0);
	buf_fini(&b);
	buf_init(&b, 279);
	assert_int_equal(seal_block(c, SEAL_STORED, slice(p, 1), &b, key, digest),
			 -EMSGSIZE);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
	free(p);
	secret_free(c);
}

static void *seal_in_a_thread(void *arg)
{
	const struct secret *c = arg;
	uint8_t body[9000];

	for (unsigned i = 0; i < 50; i++) {
		struct sealed s;
		struct buf b;

		memset(body, (int)i, sizeof(body));
		seal(&s, c, i % 2 ? SEAL_ZSTD : SEAL_STORED,
		     slice(body, sizeof(body)));
		if (reopen(&s, sizeof(body), &b) < 0 || b.n != sizeof(body) ||
		    b.p[777] != i)
			return (void *)1;
		buf_fini(&b);
		buf_fini(&s.block);
	}
	return NULL;
}

static void threads_seal_beside_each_other(void **state)
{
	struct secret *c = secret_of(8);
	pthread_t t[4];
	void *bad;

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, seal_in_a_thread, c),
				 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	secret_free(c);
}

static const struct record_kind commit_kind = { "commit", 1 };
static const struct record_kind trailer_kind = { "trailer", 1 };
static const struct record_kind newer_kind = { "commit", 2 };

static void records_open_only_as_what_they_are(void **state)
{
	struct secret *k = secret_of(1), *other = secret_of(2);
	uint8_t id[16] = "drive one", id2[16] = "drive two", *p = mod251(5000);
	struct buf r, b;

	(void)state;
	for (size_t n = 0; n < 5000; n = n * 3 + 1) {
		struct slice s;

		buf_init(&r, 8192);
		buf_init(&b, 8192);
		assert_int_equal(record_seal(k, &commit_kind, id, slice(p, n), &r),
				 0);
		assert_int_equal(r.n, record_size(n));
		s = buf_slice(&r);
		assert_int_equal(record_open(k, &trailer_kind, id, s, &b), -EBADMSG);
		assert_int_equal(record_open(k, &newer_kind, id, s, &b), -EBADMSG);
		assert_int_equal(record_open(k, &commit_kind, id2, s, &b), -EBADMSG);
		assert_int_equal(record_open(other, &commit_kind, id, s, &b),
				 -EBADMSG);
		for (size_t cut = 0; cut < s.n; cut += 7)
			assert_int_equal(record_open(k, &commit_kind, id,
						     slice(s.p, cut), &b),
					 -EBADMSG);
		for (size_t i = 0; i < s.n; i += 5) {
			r.p[i] ^= 0x10;
			assert_int_equal(record_open(k, &commit_kind, id, s, &b),
					 -EBADMSG);
			r.p[i] ^= 0x10;
		}
		assert_int_equal(b.n, 0);
		assert_int_equal(record_open(k, &commit_kind, id, s, &b), 0);
		assert_int_equal(b.n, n);
		if (n)
			assert_memory_equal(b.p, p, n);
		buf_fini(&r);
		buf_fini(&b);
	}
	free(p);
	secret_free(k);
	secret_free(other);
}

static void records_of_the_same_body_differ(void **state)
{
	struct secret *k = secret_of(1);
	uint8_t id[16] = "drive";
	struct buf a, b;

	(void)state;
	buf_init(&a, 1000);
	buf_init(&b, 1000);
	assert_int_equal(record_seal(k, &commit_kind, id, slice_str("x"), &a), 0);
	assert_int_equal(record_seal(k, &commit_kind, id, slice_str("x"), &b), 0);
	assert_false(slice_eq(slice(a.p + 40, a.n - 40), slice(b.p + 40, b.n - 40)));
	assert_false(slice_eq(slice(a.p, 24), slice(b.p, 24)));
	buf_fini(&a);
	buf_fini(&b);
	secret_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stored_blocks_equal_the_golden_vectors),
		cmocka_unit_test(many_bodies_seal_as_each_alone),
		cmocka_unit_test(one_body_too_large_among_many_leaves_all_alone),
		cmocka_unit_test(the_ladder_is_padme_from_256_on),
		cmocka_unit_test(all_modes_open_to_what_was_sealed),
		cmocka_unit_test(equal_bodies_meet_only_under_one_convergence_secret),
		cmocka_unit_test(libcrypto_and_libsodium_make_the_same_ciphertext),
		cmocka_unit_test(any_flipped_bit_fails_and_leaves_the_buffer_alone),
		cmocka_unit_test(authentic_but_malformed_payloads_are_refused),
		cmocka_unit_test(
			hostile_frames_are_refused_before_anything_is_allocated),
		cmocka_unit_test(bodies_over_the_maximum_are_refused),
		cmocka_unit_test(threads_seal_beside_each_other),
		cmocka_unit_test(records_open_only_as_what_they_are),
		cmocka_unit_test(records_of_the_same_body_differ),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
