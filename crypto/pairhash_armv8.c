#include "crypto/pairhash.h"

#if defined(__aarch64__) && defined(__linux__)

# include <arm_neon.h>
# include <string.h>
# include <sys/auxv.h>

# include "crypto/sha_tables.h"

/* Before gcc 14 and clang 16 the two spell it differently. */
# if defined(__clang__)
#  define SHA2 __attribute__((target("crypto")))
# else
#  define SHA2 __attribute__((target("+crypto")))
# endif

# define HWCAP_HAS_SHA2 (1ul << 6) /* asm/hwcap.h of Linux on this processor */
# define N_LANES        2

/* A to D, and E to H. */
struct state {
	uint32x4_t abcd, efgh;
};

/* Four rounds; wk is schedule plus constant. */
SHA2 static inline void four_rounds(struct state *s, uint32x4_t wk)
{
	uint32x4_t abcd = s->abcd;

	s->abcd = vsha256hq_u32(abcd, s->efgh, wk);
	s->efgh = vsha256h2q_u32(s->efgh, abcd, wk);
}

SHA2 static inline struct state start(void)
{
	return (struct state){ vld1q_u32(sha256_start),
			       vld1q_u32(sha256_start + 4) };
}

/* As it is after a block that began with `was`. */
SHA2 static inline struct state add(struct state s, struct state was)
{
	return (struct state){ vaddq_u32(s.abcd, was.abcd),
			       vaddq_u32(s.efgh, was.efgh) };
}

SHA2 static inline uint32x4_t load(const uint8_t *p)
{
	return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p)));
}

SHA2 static inline void store(uint8_t *p, uint32x4_t v)
{
	vst1q_u8(p, vrev32q_u8(vreinterpretq_u8_u32(v)));
}

/* Two messages in turns: both blocks of each. */
SHA2 static void hash_2(uint8_t *dst, const uint8_t *src)
{
	struct state s[N_LANES], first[N_LANES];
	uint32x4_t w[N_LANES][4];

	for (size_t j = 0; j < N_LANES; j++) {
		for (size_t i = 0; i < 4; i++)
			w[j][i] = load(src + 2 * PAIRHASH_NODE * j + 16 * i);
		s[j] = start();
	}
# pragma GCC unroll 16
	for (size_t g = 0; g < 16; g++) {
		uint32x4_t k = vld1q_u32(sha256_k + 4 * g);

# pragma GCC unroll 2
		for (size_t j = 0; j < N_LANES; j++) {
			uint32x4_t *v = w[j];

			four_rounds(&s[j], vaddq_u32(v[g % 4], k));
			if (g < 12) /* the words of four groups later */
				v[g % 4] = vsha256su1q_u32(
					vsha256su0q_u32(v[g % 4], v[(g + 1) % 4]),
					v[(g + 2) % 4], v[(g + 3) % 4]);
		}
	}
	for (size_t j = 0; j < N_LANES; j++)
		first[j] = s[j] = add(s[j], start());
# pragma GCC unroll 16
	for (size_t g = 0; g < 16; g++) {
		uint32x4_t wk = vld1q_u32(sha256_k_padding + 4 * g);

# pragma GCC unroll 2
		for (size_t j = 0; j < N_LANES; j++)
			four_rounds(&s[j], wk);
	}
	for (size_t j = 0; j < N_LANES; j++) {
		s[j] = add(s[j], first[j]);
		store(dst, s[j].abcd);
		store(dst + 16, s[j].efgh);
		dst[PAIRHASH_NODE - 1] &= 0x3f;
		dst += PAIRHASH_NODE;
	}
}

static void armv8(uint8_t *dst, const uint8_t *src, size_t n)
{
	uint8_t in[N_LANES * 2 * PAIRHASH_NODE] = { 0 };
	uint8_t out[N_LANES * PAIRHASH_NODE];

	for (; n >= N_LANES; n -= N_LANES) {
		hash_2(dst, src);
		dst += N_LANES * PAIRHASH_NODE;
		src += N_LANES * 2 * PAIRHASH_NODE;
	}
	if (!n)
		return;
	/* One that is left is hashed beside zeros. */
	memcpy(in, src, 2 * PAIRHASH_NODE);
	hash_2(out, in);
	memcpy(dst, out, PAIRHASH_NODE);
}

pairhash_fn pairhash_armv8(void)
{
	return getauxval(AT_HWCAP) & HWCAP_HAS_SHA2 ? armv8 : NULL;
}

#else

pairhash_fn pairhash_armv8(void)
{
	return NULL;
}

#endif
