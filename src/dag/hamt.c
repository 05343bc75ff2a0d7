#include "dag/hamt.h"

#include <assert.h>
#include <errno.h>

#include "crypto/hash.h"
#include "dag/murmur3.h"

unsigned hamt_bits(uint64_t fanout)
{
	for (unsigned bits = 3; bits <= 10; bits++) {
		if (fanout == 1u << bits)
			return bits;
	}
	return 0;
}

uint64_t hamt_hash(struct slice name, unsigned round)
{
	uint8_t digest[HASH_SIZE];
	uint64_t h = 0;

	assert(round < HAMT_ROUNDS);
	if (round == 0)
		return murmur3_h1(name);
	sha256_once(name, digest);
	for (int i = 0; i < 8; i++)
		h = h << 8 | digest[i];
	return h;
}

unsigned hamt_index(uint64_t h, unsigned bits, unsigned level)
{
	level %= hamt_levels(bits);
	return (unsigned)(h >> (64 - bits * (level + 1))) & ((1u << bits) - 1);
}

void hamt_prefix(unsigned index, unsigned bits, uint8_t ret[static HAMT_DIGITS_MAX])
{
	unsigned n = hamt_digits(bits);

	for (unsigned i = 0; i < n; i++)
		ret[i] = (uint8_t) "0123456789ABCDEF"[index >> (4 * (n - 1 - i)) & 15];
}

int hamt_prefix_parse(struct slice name, unsigned bits)
{
	unsigned n = hamt_digits(bits), v = 0;
	uint8_t c;

	if (name.n < n)
		return -EPROTO;
	for (unsigned i = 0; i < n; i++) {
		c = name.p[i];
		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned)(c - '0');
		else if (c >= 'A' && c <= 'F')
			v = v << 4 | (unsigned)(c - 'A' + 10);
		else
			return -EPROTO;
	}
	return v >> bits ? -EPROTO : (int)v;
}

struct slice hamt_trim(const uint8_t *field, unsigned fanout)
{
	size_t n = fanout / 8;

	while (n && *field == 0) {
		field++;
		n--;
	}
	return slice(field, n);
}

int hamt_expand(struct slice trimmed, unsigned fanout, uint8_t *ret_field)
{
	size_t n = fanout / 8;

	while (trimmed.n > n && trimmed.p[0] == 0)
		trimmed = slice(trimmed.p + 1, trimmed.n - 1);
	if (trimmed.n > n)
		return -EPROTO;
	memset(ret_field, 0, n);
	if (trimmed.n)
		memcpy(ret_field + n - trimmed.n, trimmed.p, trimmed.n);
	return 0;
}
