#include "crypto/blake_lanes.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>

#if defined(__x86_64__)

# include <immintrin.h>

# define AVX2 __attribute__((target("avx2")))
# define AVX2_INLINE \
  static inline __attribute__((always_inline, target("avx2")))

# define BLOCK    ((size_t)128)
# define N_LANES  4
# define N_ROUNDS 12

/* RFC 7693: the parameters of a digest of 32 bytes with a key of 32. */
# define PARAMETERS \
  (UINT64_C(0x01010000) | BLAKE_LANES_KEY << 8 | BLAKE_LANES_DIGEST)

_Static_assert(PARAMETERS == UINT64_C(0x01012020), "as RFC 7693, 3.3 has it");

/* RFC 7693, 2.6. */
static const uint64_t iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
	0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
	0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* RFC 7693, 2.7; the last two rounds take the first two again. */
static const uint8_t sigma[N_ROUNDS][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
};

/* Word i of four messages; counters and flags likewise. */
struct states {
	uint64_t h[8][N_LANES];
	uint64_t t[N_LANES];    /* bytes before this block */
	uint64_t inc[N_LANES];  /* bytes that each block adds */
	uint64_t last[N_LANES]; /* all ones: it is the last block */
};

AVX2_INLINE __m256i ror16(__m256i v)
{
	return _mm256_shuffle_epi8(v, _mm256_set_epi8(9, 8, 15, 14, 13, 12, 11, 10,
						      1, 0, 7, 6, 5, 4, 3, 2, 9,
						      8, 15, 14, 13, 12, 11, 10,
						      1, 0, 7, 6, 5, 4, 3, 2));
}

AVX2_INLINE __m256i ror24(__m256i v)
{
	return _mm256_shuffle_epi8(
		v, _mm256_set_epi8(10, 9, 8, 15, 14, 13, 12, 11, 2, 1, 0, 7, 6,
				   5, 4, 3, 10, 9, 8, 15, 14, 13, 12, 11, 2, 1,
				   0, 7, 6, 5, 4, 3));
}

AVX2_INLINE __m256i ror32(__m256i v)
{
	return _mm256_shuffle_epi32(v, 0xb1);
}

AVX2_INLINE __m256i ror63(__m256i v)
{
	return _mm256_or_si256(_mm256_srli_epi64(v, 63), _mm256_add_epi64(v, v));
}

AVX2_INLINE __m256i load(const uint64_t *p)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

AVX2_INLINE void store(uint64_t *p, __m256i v)
{
	_mm256_storeu_si256((__m256i *)(void *)p, v);
}

AVX2_INLINE void mix(__m256i *a, __m256i *b, __m256i *c, __m256i *d, __m256i x,
		     __m256i y)
{
	*a = _mm256_add_epi64(_mm256_add_epi64(*a, *b), x);
	*d = ror32(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi64(*c, *d);
	*b = ror24(_mm256_xor_si256(*b, *c));
	*a = _mm256_add_epi64(_mm256_add_epi64(*a, *b), y);
	*d = ror16(_mm256_xor_si256(*d, *a));
	*c = _mm256_add_epi64(*c, *d);
	*b = ror63(_mm256_xor_si256(*b, *c));
}

/* Words 4q to 4q+3 of four blocks, turned: m[i] is word 4q+i of all four. */
AVX2_INLINE void turn(const uint8_t *const p[N_LANES], size_t q, __m256i *m)
{
	__m256i r[N_LANES], lo01, hi01, lo23, hi23;

	for (size_t j = 0; j < N_LANES; j++)
		r[j] = _mm256_loadu_si256(
			(const __m256i *)(const void *)(p[j] + 32 * q));
	lo01 = _mm256_unpacklo_epi64(r[0], r[1]);
	hi01 = _mm256_unpackhi_epi64(r[0], r[1]);
	lo23 = _mm256_unpacklo_epi64(r[2], r[3]);
	hi23 = _mm256_unpackhi_epi64(r[2], r[3]);
	m[0] = _mm256_permute2x128_si256(lo01, lo23, 0x20);
	m[1] = _mm256_permute2x128_si256(hi01, hi23, 0x20);
	m[2] = _mm256_permute2x128_si256(lo01, lo23, 0x31);
	m[3] = _mm256_permute2x128_si256(hi01, hi23, 0x31);
}

/* n blocks of each message, from p[j] on. */
AVX2 static void compress(struct states *s, const uint8_t *const from[N_LANES],
			  size_t n)
{
	const __m256i inc = load(s->inc), last = load(s->last);
	const uint8_t *p[N_LANES] = { from[0], from[1], from[2], from[3] };
	__m256i t = load(s->t), h[8];

	for (size_t i = 0; i < 8; i++)
		h[i] = load(s->h[i]);
	for (; n; n--) {
		__m256i v[16], m[16];

		for (size_t q = 0; q < 4; q++)
			turn(p, q, m + 4 * q);
		for (size_t i = 0; i < 8; i++) {
			v[i] = h[i];
			v[8 + i] = _mm256_set1_epi64x((long long)iv[i]);
		}
		t = _mm256_add_epi64(t, inc);
		v[12] = _mm256_xor_si256(v[12], t);
		v[14] = _mm256_xor_si256(v[14], last);
# pragma GCC unroll 12
		for (size_t r = 0; r < N_ROUNDS; r++) {
			const uint8_t *g = sigma[r];

			mix(&v[0], &v[4], &v[8], &v[12], m[g[0]], m[g[1]]);
			mix(&v[1], &v[5], &v[9], &v[13], m[g[2]], m[g[3]]);
			mix(&v[2], &v[6], &v[10], &v[14], m[g[4]], m[g[5]]);
			mix(&v[3], &v[7], &v[11], &v[15], m[g[6]], m[g[7]]);
			mix(&v[0], &v[5], &v[10], &v[15], m[g[8]], m[g[9]]);
			mix(&v[1], &v[6], &v[11], &v[12], m[g[10]], m[g[11]]);
			mix(&v[2], &v[7], &v[8], &v[13], m[g[12]], m[g[13]]);
			mix(&v[3], &v[4], &v[9], &v[14], m[g[14]], m[g[15]]);
		}
		for (size_t i = 0; i < 8; i++)
			h[i] = _mm256_xor_si256(h[i],
						_mm256_xor_si256(v[i], v[8 + i]));
		for (size_t j = 0; j < N_LANES; j++)
			p[j] += BLOCK;
	}
	for (size_t i = 0; i < 8; i++)
		store(s->h[i], h[i]);
	store(s->t, t);
}

/* What stands in the four lanes. */
struct lanes {
	struct states s;
	uint64_t keyed[8]; /* the state of any message behind the block of its key */
	const uint8_t *p[N_LANES];
	size_t n[N_LANES]; /* bytes to come; 0: the lane is free */
	size_t message[N_LANES];
	uint8_t end[N_LANES][BLOCK];
};

static void lanes_init(struct lanes *l, const uint8_t *key)
{
	const uint8_t *p[N_LANES];

	memset(l, 0, sizeof(*l));
	memcpy(l->end[0], key, BLAKE_LANES_KEY);
	for (size_t j = 0; j < N_LANES; j++) {
		for (size_t i = 0; i < 8; i++)
			l->s.h[i][j] = iv[i] ^ (i ? 0 : PARAMETERS);
		l->s.inc[j] = BLOCK;
		p[j] = l->end[0];
	}
	compress(&l->s, p, 1);
	for (size_t i = 0; i < 8; i++)
		l->keyed[i] = l->s.h[i][0];
}

/* As many blocks as no lane has its last one among; the index of a busy lane. */
static size_t whole_blocks(const struct lanes *l, size_t *ret_busy)
{
	size_t least = SIZE_MAX;

	for (size_t j = 0; j < N_LANES; j++) {
		if (!l->n[j])
			continue;
		least = MIN(least, (l->n[j] - 1) / BLOCK);
		*ret_busy = j;
	}
	return least;
}

static void step(struct lanes *l, uint8_t (*ret)[BLAKE_LANES_DIGEST])
{
	const uint8_t *p[N_LANES];
	size_t busy = 0, n = whole_blocks(l, &busy);
	bool ends[N_LANES] = { false };

	for (size_t j = 0; j < N_LANES; j++) {
		size_t of = l->n[j] ? j : busy; /* free: what does not matter */

		p[j] = l->p[of];
		l->s.inc[j] = BLOCK;
		l->s.last[j] = 0;
		if (n || l->n[of] > BLOCK)
			continue;
		/* The last block, filled with zeros. */
		memset(l->end[j], 0, BLOCK);
		memcpy(l->end[j], p[j], l->n[of]);
		p[j] = l->end[j];
		l->s.inc[j] = l->n[of];
		l->s.last[j] = UINT64_MAX;
		ends[j] = l->n[j] > 0;
	}
	n = MAX(n, (size_t)1);
	compress(&l->s, p, n);
	for (size_t j = 0; j < N_LANES; j++) {
		if (ends[j]) {
			for (size_t i = 0; i < BLAKE_LANES_DIGEST / 8; i++)
				put_le64(ret[l->message[j]] + 8 * i, l->s.h[i][j]);
			l->n[j] = 0;
		} else if (l->n[j]) {
			l->p[j] += BLOCK * n;
			l->n[j] -= BLOCK * n;
		}
	}
}

static void avx2(const uint8_t key[static BLAKE_LANES_KEY], const struct slice *v,
		 size_t n, uint8_t (*ret)[BLAKE_LANES_DIGEST])
{
	struct lanes l;
	size_t next = 0;
	bool busy = true;

	lanes_init(&l, key);
	while (busy) {
		busy = false;
		for (size_t j = 0; j < N_LANES; j++) {
			if (!l.n[j] && next < n) {
				assert(v[next].n > 0);
				l.p[j] = v[next].p;
				l.n[j] = v[next].n;
				l.message[j] = next++;
				for (size_t i = 0; i < 8; i++)
					l.s.h[i][j] = l.keyed[i];
				l.s.t[j] = BLOCK;
			}
			busy = busy || l.n[j];
		}
		if (busy)
			step(&l, ret);
	}
	sodium_memzero(&l, sizeof(l));
}

blake_lanes_fn blake_lanes_avx2(void)
{
	return __builtin_cpu_supports("avx2") ? avx2 : NULL;
}

#else

blake_lanes_fn blake_lanes_avx2(void)
{
	return NULL;
}

#endif
