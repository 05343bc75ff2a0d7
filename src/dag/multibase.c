#include "dag/multibase.h"

#include <errno.h>
#include <stdbool.h>

struct base {
	char prefix;
	unsigned bits;  /* a digit; 0: one big number */
	unsigned radix; /* of a big number, else 1 << bits */
	const char *digits;
};

static const struct base bases[] = {
	{ 'f', 4, 16, "0123456789abcdef" },
	{ 'b', 5, 32, "abcdefghijklmnopqrstuvwxyz234567" },
	{ 'u', 6, 64,
	  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" },
	{ 'k', 0, 36, "0123456789abcdefghijklmnopqrstuvwxyz" },
	{ 'z', 0, 58, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz" },
};

static const struct base *base_find(char prefix)
{
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		if (bases[i].prefix == prefix)
			return &bases[i];
	}
	return NULL;
}

/* The value of a digit, or -1. */
static int digit(const struct base *b, bool upper, uint8_t c)
{
	const char *p;

	if (upper) {
		if (c >= 'a' && c <= 'z')
			return -1;
		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
	}
	p = c ? strchr(b->digits, c) : NULL;
	return p ? (int)(p - b->digits) : -1;
}

static int encode_bits(const struct base *b, struct slice s, char *out, size_t cap)
{
	size_t n = (s.n * 8 + b->bits - 1) / b->bits;
	unsigned have = 0;
	uint32_t acc = 0;
	size_t o = 0;

	if (s.n > SIZE_MAX / 8 - 8 || n + 1 > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < s.n; i++) {
		acc = (acc << 8 | s.p[i]) & 0xffff;
		have += 8;
		while (have >= b->bits) {
			have -= b->bits;
			out[o++] = b->digits[acc >> have & ((1u << b->bits) - 1)];
		}
	}
	if (have)
		out[o++] = b->digits[acc << (b->bits - have) & ((1u << b->bits) - 1)];
	out[o] = 0;
	return 0;
}

static int decode_bits(const struct base *b, bool upper, struct slice text,
		       uint8_t *out, size_t cap, size_t *ret_n)
{
	unsigned have = 0;
	uint32_t acc = 0;
	size_t o = 0;
	int d;

	for (size_t i = 0; i < text.n; i++) {
		d = digit(b, upper, text.p[i]);
		if (d < 0)
			return -EPROTO;
		acc = (acc << b->bits | (uint32_t)d) & 0xffff;
		have += b->bits;
		if (have < 8)
			continue;
		have -= 8;
		if (o == cap)
			return -EMSGSIZE;
		out[o++] = (uint8_t)(acc >> have);
	}
	/* a whole digit too many, or bits that no byte takes */
	if (have >= b->bits || (acc & ((1u << have) - 1)))
		return -EPROTO;
	*ret_n = o;
	return 0;
}

static int encode_big(const struct base *b, struct slice s, char *out, size_t cap)
{
	uint8_t num[MULTIBASE_MAX * 2]; /* digits, the lowest first */
	size_t zeros = 0, n = 0;
	unsigned carry;

	if (s.n > MULTIBASE_MAX)
		return -EMSGSIZE;
	while (zeros < s.n && s.p[zeros] == 0)
		zeros++;
	for (size_t i = zeros; i < s.n; i++) {
		carry = s.p[i];
		for (size_t j = 0; j < n; j++) {
			carry += (unsigned)num[j] * 256;
			num[j] = (uint8_t)(carry % b->radix);
			carry /= b->radix;
		}
		for (; carry; carry /= b->radix)
			num[n++] = (uint8_t)(carry % b->radix);
	}
	if (zeros + n + 1 > cap)
		return -EMSGSIZE;
	memset(out, b->digits[0], zeros);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = b->digits[num[n - 1 - i]];
	out[zeros + n] = 0;
	return 0;
}

static int decode_big(const struct base *b, bool upper, struct slice text,
		      uint8_t *out, size_t cap, size_t *ret_n)
{
	uint8_t num[MULTIBASE_MAX]; /* bytes, the lowest first */
	size_t zeros = 0, n = 0;
	unsigned carry;
	int d;

	if (text.n / 2 > MULTIBASE_MAX)
		return -EMSGSIZE;
	while (zeros < text.n && digit(b, upper, text.p[zeros]) == 0)
		zeros++;
	for (size_t i = zeros; i < text.n; i++) {
		d = digit(b, upper, text.p[i]);
		if (d < 0)
			return -EPROTO;
		carry = (unsigned)d;
		for (size_t j = 0; j < n; j++) {
			carry += (unsigned)num[j] * b->radix;
			num[j] = (uint8_t)carry;
			carry >>= 8;
		}
		if (!carry)
			continue;
		if (n == MULTIBASE_MAX)
			return -EMSGSIZE;
		num[n++] = (uint8_t)carry;
	}
	if (zeros + n > cap)
		return -EMSGSIZE;
	memset(out, 0, zeros);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = num[n - 1 - i];
	*ret_n = zeros + n;
	return 0;
}

int multibase_encode(char base, struct slice bytes, char *ret, size_t cap)
{
	const struct base *b = base_find(base);

	if (!b)
		return -EPROTO;
	if (cap < 2)
		return -EMSGSIZE;
	ret[0] = base;
	return b->bits ? encode_bits(b, bytes, ret + 1, cap - 1) :
			 encode_big(b, bytes, ret + 1, cap - 1);
}

int multibase_decode(struct slice text, uint8_t *ret, size_t cap, size_t *ret_n)
{
	const struct base *b;
	bool upper = false;
	char c;

	if (!text.n)
		return -EPROTO;
	c = (char)text.p[0];
	if (c == 'F' || c == 'B' || c == 'K') {
		upper = true;
		c = (char)(c - 'A' + 'a');
	}
	b = base_find(c);
	if (!b)
		return -EPROTO;
	text = slice(text.p + 1, text.n - 1);
	return b->bits ? decode_bits(b, upper, text, ret, cap, ret_n) :
			 decode_big(b, upper, text, ret, cap, ret_n);
}

int base58_encode(struct slice bytes, char *ret, size_t cap)
{
	return encode_big(base_find('z'), bytes, ret, cap);
}

int base58_decode(struct slice text, uint8_t *ret, size_t cap, size_t *ret_n)
{
	return decode_big(base_find('z'), false, text, ret, cap, ret_n);
}
