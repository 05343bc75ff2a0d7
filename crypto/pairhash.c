#include "crypto/pairhash.h"

#include <string.h>

#include "crypto/shani.h"

/* clang-format off */
/* sha256_k plus the message schedule of the padding block of a 64-byte message. */
static const uint32_t k_padding[64] __attribute__((aligned(16))) = {
	0xc28a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
	0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
	0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf374, 0x649b69c1, 0xf0fe4786,
	0x0fe1edc6, 0x240cf254, 0x4fe9346f, 0x6cc984be, 0x61b9411e, 0x16f988fa,
	0xf2c65152, 0xa88e5a6d, 0xb019fc65, 0xb9d99ec7, 0x9a1231c3, 0xe70eeaa0,
	0xfdb1232b, 0xc7353eb0, 0x3069bad5, 0xcb976d5f, 0x5a0f118f, 0xdc1eeefd,
	0x0a35b689, 0xde0b7a04, 0x58f4ca9d, 0xe15d5b16, 0x007f3e86, 0x37088980,
	0xa507ea32, 0x6fab9537, 0x17406110, 0x0d8cd6f1, 0xcdaa3b6d, 0xc0bbbe37,
	0x83613bda, 0xdb48a363, 0x0b02e931, 0x6fd15ca7, 0x521afaca, 0x31338431,
	0x6ed41a95, 0x6d437890, 0xc39c91f2, 0x9eccabbd, 0xb5c9a0e6, 0x532fb63c,
	0xd2c741c6, 0x07237ea3, 0xa4954b68, 0x4c191d76,
};
/* clang-format on */

static const uint32_t initial[8] = {
	0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
	0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static inline uint32_t rotr(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

/* One round; the caller turns the names instead of moving the values. */
#define ROUND(a, b, c, d, e, f, g, h, wk)           \
 do {                                               \
  (h) += (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + \
	 ((g) ^ ((e) & ((f) ^ (g)))) + (wk);        \
  (d) += (h);                                       \
  (h) += (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + \
	 (((a) & (b)) | ((c) & ((a) | (b))));       \
 } while (0)

/* The 64 rounds of one block; wk is schedule plus constant. */
static void rounds(uint32_t state[static 8], const uint32_t wk[static 64])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
	uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

	for (const uint32_t *p = wk; p < wk + 64; p += 8) {
		ROUND(a, b, c, d, e, f, g, h, p[0]);
		ROUND(h, a, b, c, d, e, f, g, p[1]);
		ROUND(g, h, a, b, c, d, e, f, p[2]);
		ROUND(f, g, h, a, b, c, d, e, p[3]);
		ROUND(e, f, g, h, a, b, c, d, p[4]);
		ROUND(d, e, f, g, h, a, b, c, p[5]);
		ROUND(c, d, e, f, g, h, a, b, p[6]);
		ROUND(b, c, d, e, f, g, h, a, p[7]);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
	state[4] += e;
	state[5] += f;
	state[6] += g;
	state[7] += h;
}
#undef ROUND

static void hash_one(uint8_t *dst, const uint8_t *src)
{
	uint32_t w[64], state[8];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)src[4 * i] << 24 | (uint32_t)src[4 * i + 1] << 16 |
		       (uint32_t)src[4 * i + 2] << 8 | src[4 * i + 3];
	for (size_t i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
		       (rotr(w[i - 15], 7) ^ rotr(w[i - 15], 18) ^ w[i - 15] >> 3) +
		       (rotr(w[i - 2], 17) ^ rotr(w[i - 2], 19) ^ w[i - 2] >> 10);
	for (size_t i = 0; i < 64; i++)
		w[i] += sha256_k[i];
	memcpy(state, initial, sizeof(state));
	rounds(state, w);
	rounds(state, k_padding);
	for (size_t i = 0; i < PAIRHASH_NODE; i++)
		dst[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
	dst[PAIRHASH_NODE - 1] &= 0x3f;
}

void pairhash_portable(uint8_t *dst, const uint8_t *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash_one(dst + PAIRHASH_NODE * i, src + 2 * PAIRHASH_NODE * i);
}

#if defined(__x86_64__)

/* The state behind the padding block, `l` the one before it, as a node. */
SHANI_INLINE void store_node(uint8_t *dst, struct shani first, struct shani l)
{
	shani_store(dst, shani_add(first, l));
	dst[PAIRHASH_NODE - 1] &= 0x3f;
}

/*
 * The first blocks of four messages, and their padding blocks: all take the same schedule, so the
 * registers hold only the states.
 */
SHANI_INLINE void hash_4(uint8_t *dst, const uint8_t *src)
{
	const __m128i *pw = (const __m128i *)(const void *)k_padding;
	struct shani f0, f1, f2, f3, a, b, c, d;

	f0 = f1 = f2 = f3 = shani_start();
	shani_two(&f0, &f1, src, src + 2 * PAIRHASH_NODE);
	shani_two(&f2, &f3, src + 4 * PAIRHASH_NODE, src + 6 * PAIRHASH_NODE);
	a = f0;
	b = f1;
	c = f2;
	d = f3;
# pragma GCC unroll 16
	for (int g = 0; g < 16; g++) {
		__m128i wk = pw[g];

		a.cdgh = _mm_sha256rnds2_epu32(a.cdgh, a.abef, wk);
		b.cdgh = _mm_sha256rnds2_epu32(b.cdgh, b.abef, wk);
		c.cdgh = _mm_sha256rnds2_epu32(c.cdgh, c.abef, wk);
		d.cdgh = _mm_sha256rnds2_epu32(d.cdgh, d.abef, wk);
		wk = _mm_shuffle_epi32(wk, 0x0e);
		a.abef = _mm_sha256rnds2_epu32(a.abef, a.cdgh, wk);
		b.abef = _mm_sha256rnds2_epu32(b.abef, b.cdgh, wk);
		c.abef = _mm_sha256rnds2_epu32(c.abef, c.cdgh, wk);
		d.abef = _mm_sha256rnds2_epu32(d.abef, d.cdgh, wk);
	}
	store_node(dst, f0, a);
	store_node(dst + PAIRHASH_NODE, f1, b);
	store_node(dst + 2 * PAIRHASH_NODE, f2, c);
	store_node(dst + 3 * PAIRHASH_NODE, f3, d);
}

SHANI static void shani(uint8_t *dst, const uint8_t *src, size_t n)
{
	uint8_t in[8 * PAIRHASH_NODE], out[4 * PAIRHASH_NODE];

	for (; n >= 4; n -= 4) {
		hash_4(dst, src);
		dst += 4 * PAIRHASH_NODE;
		src += 8 * PAIRHASH_NODE;
	}
	if (!n)
		return;
	/* One to three come rarely: they are hashed beside zeros. */
	memset(in, 0, sizeof(in));
	memcpy(in, src, 2 * PAIRHASH_NODE * n);
	hash_4(out, in);
	memcpy(dst, out, PAIRHASH_NODE * n);
}

pairhash_fn pairhash_shani(void)
{
	return shani_here() ? shani : NULL;
}

#else

pairhash_fn pairhash_shani(void)
{
	return NULL;
}

#endif

pairhash_fn pairhash_best(void)
{
	pairhash_fn f = pairhash_shani();

	return f ? f : pairhash_portable;
}
