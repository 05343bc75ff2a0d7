/*
 * mix.h - a quick hash of what a test compares; nobody chooses its input
 *
 * Threading: stateless.
 */
#ifndef TESTS_HELPER_MIX_H
#define TESTS_HELPER_MIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

static inline uint64_t mix_bytes(uint64_t h, const void *v, size_t n)
{
	const uint8_t *p = v;
	uint64_t w;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&w, p, 8);
		h = mix(h, w);
	}
	for (; n > 0; p++, n--)
		h = mix(h, *p);
	return h;
}

#endif
