#include "crypto/seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <zstd.h>

#include "base/buf.h"
#include "crypto/hash.h"
#include "crypto/hash_many.h"
#include "crypto/kept.h"
#include "crypto/secret.h"

#define SEAL_VERSION    1
#define SEAL_FLAG_ZSTD  0x01
#define SEAL_ZSTD_LEVEL 3
#define SEAL_GROUP      ((size_t)8) /* hashed beside each other */

_Static_assert(SEAL_HEAD_SIZE + SEAL_BODY_MAX <= KEPT_SCRATCH_SIZE,
	       "an opened payload fits the thread's scratch");
_Static_assert(SEAL_DIGEST_SIZE == HASH_SIZE && SEAL_KEY_SIZE == HASH_SIZE,
	       "digest and key are hashes");

/* Padmé: keeps the upper bits, so that at most 12 % are added. */
static size_t padme(size_t n)
{
	unsigned exponent, mantissa;
	size_t mask;

	if (n < 2)
		return n;
	exponent = 63u - (unsigned)__builtin_clzll(n);
	mantissa = 64u - (unsigned)__builtin_clzll(exponent | 1);
	if (exponent <= mantissa)
		return n;
	mask = ((size_t)1 << (exponent - mantissa)) - 1;
	return (n + mask) & ~mask;
}

static size_t power_of_two(size_t n)
{
	size_t p = SEAL_BODY_MIN;

	while (p < n)
		p *= 2;
	return p;
}

size_t seal_padded_size(enum seal_mode mode, size_t n)
{
	if (mode == SEAL_LEAF_ZSTD)
		return power_of_two(n);
	return MAX((size_t)SEAL_BODY_MIN, padme(n));
}

size_t seal_block_size(enum seal_mode mode, size_t n)
{
	return SEAL_OVERHEAD + seal_padded_size(mode, n);
}

/*
 * Whether the body looks random already (media, archives): zstd would spend
 * milliseconds to find nothing.  Sixteen samples of 256 bytes; for random bytes
 * the sum of the squared counts is near n + n²/256.  Text in base64 has four
 * times that, so a tenth above is a safe line.
 */
static bool looks_random(struct slice body)
{
	enum {
		N_SAMPLES = 16,
		SAMPLE = 256,
		N = N_SAMPLES * SAMPLE
	};
	uint32_t count[256] = { 0 };
	uint64_t sum = 0;
	size_t step;

	if (body.n < 2 * (size_t)N)
		return false;
	step = (body.n - SAMPLE) / (N_SAMPLES - 1);
	for (size_t i = 0; i < N_SAMPLES; i++)
		for (size_t j = 0; j < SAMPLE; j++)
			count[body.p[i * step + j]]++;
	for (size_t i = 0; i < 256; i++)
		sum += (uint64_t)count[i] * count[i];
	return sum < (N + (uint64_t)N * N / 256) * 11 / 10;
}

/*
 * Compress the n bytes at `p`, in place.  Returns the length if the block becomes
 * smaller for it, else 0, and they are as they were.
 */
static size_t try_zstd(enum seal_mode mode, uint8_t *p, size_t n)
{
	size_t padded = seal_padded_size(mode, n), short_n;
	ZSTD_CCtx *ctx;
	uint8_t *to;

	if (mode == SEAL_STORED || padded <= SEAL_BODY_MIN ||
	    looks_random(slice(p, n)))
		return 0;
	ctx = kept_zstd_c();
	to = kept_scratch();
	if (!ctx || !to)
		return 0; /* stored is always right */
	short_n = ZSTD_compressCCtx(ctx, to, n, p, n, SEAL_ZSTD_LEVEL);
	if (ZSTD_isError(short_n) || seal_padded_size(mode, short_n) >= padded)
		return 0;
	memcpy(p, to, short_n);
	return short_n;
}

/*
 * Make a payload of the `n` bytes behind the head's place at `p`, where there is
 * room for the stored form; its size.
 */
static size_t build_payload(enum seal_mode mode, uint8_t *p, size_t n)
{
	size_t short_n = try_zstd(mode, p + SEAL_HEAD_SIZE, n);
	size_t padded;

	p[0] = SEAL_VERSION;
	p[1] = short_n ? SEAL_FLAG_ZSTD : 0;
	p[2] = p[3] = 0;
	if (short_n)
		n = short_n;
	put_le32(p + 4, (uint32_t)n);
	padded = seal_padded_size(mode, n);
	memset(p + SEAL_HEAD_SIZE + n, 0, padded - n);
	return SEAL_HEAD_SIZE + padded;
}

/* The nonce is zero: the key is used for this one message. */
static const uint8_t zero_nonce[12];

/* In place; the tag goes behind the n bytes. */
static int encrypt_payload(const uint8_t key[static SEAL_KEY_SIZE], uint8_t *p,
			   size_t n)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len, ok;

	if (!ctx)
		return -ENOMEM;
	ok = EVP_EncryptInit_ex2(ctx, kept_chacha20_poly1305(), key, zero_nonce,
				 NULL) == 1 &&
	     EVP_EncryptUpdate(ctx, p, &len, p, (int)n) == 1 &&
	     EVP_EncryptFinal_ex(ctx, p + n, &len) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE,
				 p + n) == 1;
	EVP_CIPHER_CTX_free(ctx); /* wipes the key */
	return ok ? 0 : -ENOMEM;
}

/* The n bytes at `p`, with the tag behind them, to `dst`. */
static int decrypt_payload(const uint8_t key[static SEAL_KEY_SIZE],
			   const uint8_t *p, size_t n, uint8_t *dst)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[SEAL_TAG_SIZE];
	int len, r = 0;

	if (!ctx)
		return -ENOMEM;
	memcpy(tag, p + n, SEAL_TAG_SIZE);
	if (EVP_DecryptInit_ex2(ctx, kept_chacha20_poly1305(), key, zero_nonce,
				NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, tag) != 1 ||
	    EVP_DecryptUpdate(ctx, dst, &len, p, (int)n) != 1)
		r = -ENOMEM;
	else if (EVP_DecryptFinal_ex(ctx, dst + len, &len) != 1)
		r = -EBADMSG;
	EVP_CIPHER_CTX_free(ctx); /* wipes the key */
	return r;
}

static size_t body_max(enum seal_mode mode)
{
	return mode == SEAL_LEAF_ZSTD ? SEAL_LEAF_MAX : SEAL_BODY_MAX;
}

/* n is at most SEAL_GROUP. */
static int seal_group(const struct secret *convergence, enum seal_mode mode,
		      struct seal_item *v, size_t n)
{
	uint8_t hashes[SEAL_GROUP][HASH_SIZE];
	struct slice s[SEAL_GROUP];
	int r;

	for (size_t i = 0; i < n; i++)
		s[i] = slice(v[i].p, build_payload(mode, v[i].p, v[i].n));
	r = hash_keyed_many(convergence, s, n, hashes);
	for (size_t i = 0; i < n && r == 0; i++) {
		memcpy(v[i].key, hashes[i], SEAL_KEY_SIZE);
		r = encrypt_payload(v[i].key, v[i].p, s[i].n);
		s[i].n += SEAL_TAG_SIZE;
	}
	if (r == 0)
		sha256_many(s, n, hashes);
	for (size_t i = 0; i < n && r == 0; i++) {
		memcpy(v[i].digest, hashes[i], SEAL_DIGEST_SIZE);
		v[i].n = s[i].n;
	}
	sodium_memzero(hashes, sizeof(hashes));
	return r;
}

int seal_many(const struct secret *convergence, enum seal_mode mode,
	      struct seal_item *v, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n; i++)
		if (v[i].n > body_max(mode))
			return -EMSGSIZE;
	for (size_t i = 0; i < n && r == 0; i += SEAL_GROUP)
		r = seal_group(convergence, mode, v + i, MIN(SEAL_GROUP, n - i));
	return r;
}

int seal_block(const struct secret *convergence, enum seal_mode mode,
	       struct slice body, struct buf *ret_block,
	       uint8_t ret_key[static SEAL_KEY_SIZE],
	       uint8_t ret_digest[static SEAL_DIGEST_SIZE])
{
	struct seal_item item = { .n = body.n };
	size_t start = ret_block->n, room;
	int r;

	if (body.n > body_max(mode))
		return -EMSGSIZE;
	room = seal_block_size(mode, body.n);
	r = buf_grow(ret_block, room, &item.p);
	if (r < 0)
		return r;
	if (body.n)
		memcpy(item.p + SEAL_HEAD_SIZE, body.p, body.n);
	r = seal_many(convergence, mode, &item, 1);
	if (r < 0) {
		sodium_memzero(item.p, room);
		ret_block->n = start;
	} else {
		ret_block->n = start + item.n;
		memcpy(ret_key, item.key, SEAL_KEY_SIZE);
		memcpy(ret_digest, item.digest, SEAL_DIGEST_SIZE);
	}
	sodium_memzero(&item, sizeof(item));
	return r;
}

int seal_verify(struct slice block, const uint8_t digest[static SEAL_DIGEST_SIZE])
{
	uint8_t found[SEAL_DIGEST_SIZE];

	sha256_once(block, found);
	return sodium_memcmp(found, digest, sizeof(found)) == 0 ? 0 : -EBADMSG;
}

/* One frame, no more; its size is declared, and was worth compressing. */
static int unpack_zstd(struct slice frame, size_t max_body, struct buf *ret)
{
	unsigned long long size = ZSTD_getFrameContentSize(frame.p, frame.n);
	ZSTD_DCtx *ctx;
	uint8_t *p;
	size_t n;
	int r;

	if (size == ZSTD_CONTENTSIZE_ERROR ||
	    size == ZSTD_CONTENTSIZE_UNKNOWN || size <= frame.n ||
	    ZSTD_findFrameCompressedSize(frame.p, frame.n) != frame.n)
		return -EPROTO;
	if (size > max_body)
		return -EMSGSIZE;
	ctx = kept_zstd_d();
	if (!ctx)
		return -ENOMEM;
	r = buf_grow(ret, (size_t)size, &p);
	if (r < 0)
		return r;
	n = ZSTD_decompressDCtx(ctx, p, (size_t)size, frame.p, frame.n);
	if (n == size)
		return 0;
	ret->n -= (size_t)size;
	return -EPROTO;
}

static int unpack(struct slice payload, size_t max_body, struct buf *ret)
{
	const uint8_t *p = payload.p;
	size_t rest = payload.n - SEAL_HEAD_SIZE;
	uint8_t flags = p[1];
	size_t n = get_le32(p + 4);

	if (p[0] != SEAL_VERSION || (flags & ~SEAL_FLAG_ZSTD) || p[2] || p[3] ||
	    n > rest)
		return -EPROTO;
	p += SEAL_HEAD_SIZE;
	if (!sodium_is_zero(p + n, rest - n))
		return -EPROTO;
	if (flags & SEAL_FLAG_ZSTD)
		return unpack_zstd(slice(p, n), max_body, ret);
	return n > max_body ? -EMSGSIZE : buf_append(ret, slice(p, n));
}

int seal_open(struct slice block, const uint8_t key[static SEAL_KEY_SIZE],
	      const uint8_t digest[static SEAL_DIGEST_SIZE], size_t max_body,
	      struct buf *ret_body)
{
	uint8_t *scratch;
	size_t n;
	int r;

	r = seal_verify(block, digest);
	if (r < 0)
		return r;
	if (block.n < SEAL_OVERHEAD || block.n > SEAL_BLOCK_MAX)
		return -EPROTO;
	scratch = kept_scratch();
	if (!scratch)
		return -ENOMEM;

	n = block.n - SEAL_TAG_SIZE;
	r = decrypt_payload(key, block.p, n, scratch);
	if (r < 0)
		return r;
	return unpack(slice(scratch, n), max_body, ret_body);
}
