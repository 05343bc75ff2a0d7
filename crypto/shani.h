/*
 * shani.h - steps of SHA-256 with the SHA instructions of x86 (internal to
 * crypto/; nothing on other processors)
 *
 * Two rounds have a latency of four cycles, and newer processors begin two others
 * with each cycle: who uses these steps takes those of several messages in turns.
 * (Measured on Zen 4, 512 pairs of 32 bytes: two first blocks in turns and then four
 * padding blocks take 28.7 ns a message.  Four first blocks, whose schedules then
 * have to wait in memory, took longer, and so did upper halves of a schedule loaded
 * instead of shuffled.)
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SHANI_H
#define CRYPTO_SHANI_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/sha_tables.h"

#if defined(__x86_64__)

# include <immintrin.h>

# define SHANI_LANES 2

# define SHANI __attribute__((target("sha,sse4.1,ssse3")))
# define SHANI_INLINE \
  static inline __attribute__((always_inline, target("sha,sse4.1,ssse3")))

bool shani_here(void); /* does this processor have them? */

/* A state as the instructions want it: A B E F and C D G H, A on top. */
struct shani {
	__m128i abef, cdgh;
};

SHANI_INLINE __m128i shani_swap_bytes(__m128i v)
{
	return _mm_shuffle_epi8(v, _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4,
						5, 6, 7, 0, 1, 2, 3));
}

SHANI_INLINE struct shani shani_start(void)
{
	return (struct shani){
		_mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f,
			      (int)0x9b05688c),
		_mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19),
	};
}

/* Words 4g+4 to 4g+7 of the schedule, over words 4g-12 to 4g-9. */
SHANI_INLINE void shani_extend(__m128i w[static 4], int g)
{
	__m128i t = _mm_sha256msg1_epu32(w[(g + 1) & 3], w[(g + 2) & 3]);

	t = _mm_add_epi32(t, _mm_alignr_epi8(w[g & 3], w[(g + 3) & 3], 4));
	w[(g + 1) & 3] = _mm_sha256msg2_epu32(t, w[g & 3]);
}

/* Four rounds; wk is schedule plus constant. */
SHANI_INLINE void shani_rounds(struct shani *s, __m128i wk)
{
	s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, wk);
	s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh,
					_mm_shuffle_epi32(wk, 0x0e));
}

SHANI_INLINE struct shani shani_add(struct shani a, struct shani b)
{
	return (struct shani){ _mm_add_epi32(a.abef, b.abef),
			       _mm_add_epi32(a.cdgh, b.cdgh) };
}

/* The state as the 32 bytes of a digest. */
SHANI_INLINE void shani_store(uint8_t *dst, struct shani s)
{
	__m128i *out = (__m128i *)(void *)dst;
	__m128i feba = _mm_shuffle_epi32(s.abef, 0x1b);
	__m128i dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);

	_mm_storeu_si128(out, shani_swap_bytes(_mm_blend_epi16(feba, dchg, 0xf0)));
	_mm_storeu_si128(out + 1, shani_swap_bytes(_mm_alignr_epi8(dchg, feba, 8)));
}

/* One block of each of two messages in turns: more do not fit the registers. */
SHANI_INLINE void shani_two(struct shani *a, struct shani *b,
			    const uint8_t *block_a, const uint8_t *block_b)
{
	const __m128i *in_a = (const __m128i *)(const void *)block_a;
	const __m128i *in_b = (const __m128i *)(const void *)block_b;
	const __m128i *kw = (const __m128i *)(const void *)sha256_k;
	const struct shani was_a = *a, was_b = *b;
	__m128i wa[4], wb[4];

	for (int j = 0; j < 4; j++) {
		wa[j] = shani_swap_bytes(_mm_loadu_si128(in_a + j));
		wb[j] = shani_swap_bytes(_mm_loadu_si128(in_b + j));
	}
# pragma GCC unroll 16
	for (int g = 0; g < 16; g++) {
		shani_rounds(a, _mm_add_epi32(wa[g & 3], kw[g]));
		shani_rounds(b, _mm_add_epi32(wb[g & 3], kw[g]));
		if (g < 3 || g == 15)
			continue;
		shani_extend(wa, g);
		shani_extend(wb, g);
	}
	*a = shani_add(*a, was_a);
	*b = shani_add(*b, was_b);
}

#endif

#endif
