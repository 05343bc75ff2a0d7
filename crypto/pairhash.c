#include "crypto/pairhash.h"

#include <string.h>

#include "crypto/sha_tables.h"
#include "crypto/shani.h"

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
	memcpy(state, sha256_start, sizeof(state));
	rounds(state, w);
	rounds(state, sha256_k_padding);
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
	const __m128i *pw = (const __m128i *)(const void *)sha256_k_padding;
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
	pairhash_fn v[] = { pairhash_shani(), pairhash_armv8(),
			    pairhash_avx512(), pairhash_avx2() };

	for (size_t i = 0; i < ARRAY_LEN(v); i++)
		if (v[i])
			return v[i];
	return pairhash_portable;
}
