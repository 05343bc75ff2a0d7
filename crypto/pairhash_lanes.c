#include "crypto/pairhash.h"

#if defined(__x86_64__)

# include <string.h>

# include "crypto/sha_tables.h"

/* Of words and of vectors of them alike; compilers know these as rotations. */
# define ROTR(x, n) ((x) >> (n) | (x) << (32 - (n)))
# define SIGMA_0(x) (ROTR(x, 7) ^ ROTR(x, 18) ^ (x) >> 3)
# define SIGMA_1(x) (ROTR(x, 17) ^ ROTR(x, 19) ^ (x) >> 10)

/* Round t: a to h turn through the places of v, so that nothing is moved. */
# define AT(v, t, i) (v)[((i) + 64 - (t)) % 8]
# define ROUND(v, t, wk)                                                        \
  do {                                                                          \
   AT(v, t, 7) += (ROTR(AT(v, t, 4), 6) ^ ROTR(AT(v, t, 4), 11) ^               \
		   ROTR(AT(v, t, 4), 25)) +                                     \
		  (AT(v, t, 6) ^ (AT(v, t, 4) & (AT(v, t, 5) ^ AT(v, t, 6)))) + \
		  (wk);                                                         \
   AT(v, t, 3) += AT(v, t, 7);                                                  \
   AT(v, t, 7) += (ROTR(AT(v, t, 0), 2) ^ ROTR(AT(v, t, 0), 13) ^               \
		   ROTR(AT(v, t, 0), 22)) +                                     \
		  ((AT(v, t, 0) & AT(v, t, 1)) |                                \
		   (AT(v, t, 2) & (AT(v, t, 0) | AT(v, t, 1))));                \
  } while (0)

static inline uint32_t load_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

# define N_LANES 8
# define TARGET  __attribute__((target("avx2")))
# define FIRST   first_8
# define PADDING padding_8
# define LANES   lanes_8
# define VEC     vec_8
# include "crypto/pairhash_lanes.inc"
# undef N_LANES
# undef TARGET
# undef FIRST
# undef PADDING
# undef LANES
# undef VEC

# define N_LANES 16
# define TARGET  __attribute__((target("avx512f,avx512bw")))
# define FIRST   first_16
# define PADDING padding_16
# define LANES   lanes_16
# define VEC     vec_16
# include "crypto/pairhash_lanes.inc"

pairhash_fn pairhash_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? lanes_8 : NULL;
}

pairhash_fn pairhash_avx512(void)
{
	return __builtin_cpu_supports("avx512f") &&
			       __builtin_cpu_supports("avx512bw") ?
		       lanes_16 :
		       NULL;
}

#else

pairhash_fn pairhash_avx2(void)
{
	return NULL;
}

pairhash_fn pairhash_avx512(void)
{
	return NULL;
}

#endif
