#include "dag/murmur3.h"

#include "base/util.h"

#define C1 0x87c37b91114253d5u
#define C2 0x4cf5ad432745937fu

static inline uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static inline uint64_t mix(uint64_t v)
{
	v ^= v >> 33;
	v *= 0xff51afd7ed558ccdu;
	v ^= v >> 33;
	v *= 0xc4ceb9fe1a85ec53u;
	v ^= v >> 33;
	return v;
}

static inline uint64_t scramble1(uint64_t k)
{
	return rotl(k * C1, 31) * C2;
}

static inline uint64_t scramble2(uint64_t k)
{
	return rotl(k * C2, 33) * C1;
}

uint64_t murmur3_h1(struct slice s)
{
	uint64_t h1 = 0, h2 = 0;
	uint8_t tail[16] = { 0 };
	size_t n = s.n & ~(size_t)15;

	for (size_t i = 0; i < n; i += 16) {
		h1 ^= scramble1(get_le64(s.p + i));
		h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
		h2 ^= scramble2(get_le64(s.p + i + 8));
		h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
	}
	/* Zeros scramble to zero, so that the tail may be padded. */
	if (s.n > n)
		memcpy(tail, s.p + n, s.n - n);
	h2 ^= scramble2(get_le64(tail + 8));
	h1 ^= scramble1(get_le64(tail));

	h1 ^= s.n;
	h2 ^= s.n;
	h1 += h2;
	h2 += h1;
	return mix(h1) + mix(h2);
}
