#include "chain/u256.h"

#include <assert.h>
#include <errno.h>
#include <gmp.h>

#define LIMBS 4

_Static_assert(sizeof(mp_limb_t) == 8 && GMP_NUMB_BITS == 64,
	       "four limbs are 256 bits: a 64-bit machine");
_Static_assert(sizeof(struct u256) == U256_SIZE, "no padding");

/* uint64_t and mp_limb_t may be different types of one size. */
static void limbs_of(struct u256 a, mp_limb_t ret[static LIMBS])
{
	for (int i = 0; i < LIMBS; i++)
		ret[i] = a.w[i];
}

static struct u256 of_limbs(const mp_limb_t l[static LIMBS])
{
	return (struct u256){ { l[0], l[1], l[2], l[3] } };
}

int u256_to_u64(struct u256 a, uint64_t *ret)
{
	if (!u256_fits_u64(a))
		return -EOVERFLOW;
	*ret = a.w[0];
	return 0;
}

int u256_cmp(struct u256 a, struct u256 b)
{
	mp_limb_t x[LIMBS], y[LIMBS];

	limbs_of(a, x);
	limbs_of(b, y);
	return mpn_cmp(x, y, LIMBS);
}

int u256_add(struct u256 a, struct u256 b, struct u256 *ret)
{
	mp_limb_t x[LIMBS], y[LIMBS], z[LIMBS];

	limbs_of(a, x);
	limbs_of(b, y);
	if (mpn_add_n(z, x, y, LIMBS))
		return -EOVERFLOW;
	*ret = of_limbs(z);
	return 0;
}

int u256_sub(struct u256 a, struct u256 b, struct u256 *ret)
{
	mp_limb_t x[LIMBS], y[LIMBS], z[LIMBS];

	limbs_of(a, x);
	limbs_of(b, y);
	if (mpn_sub_n(z, x, y, LIMBS))
		return -EOVERFLOW;
	*ret = of_limbs(z);
	return 0;
}

/* Limbs up to the highest that is not zero. */
static mp_size_t used(const mp_limb_t *l, mp_size_t n)
{
	while (n > 0 && !l[n - 1])
		n--;
	return n;
}

int u256_mul(struct u256 a, struct u256 b, struct u256 *ret)
{
	mp_limb_t x[LIMBS], y[LIMBS], z[2 * LIMBS];

	limbs_of(a, x);
	limbs_of(b, y);
	mpn_mul_n(z, x, y, LIMBS);
	if (used(z, (mp_size_t)ARRAY_LEN(z)) > LIMBS)
		return -EOVERFLOW;
	*ret = of_limbs(z);
	return 0;
}

/* a (n limbs) / b, whose highest limb may be zero. */
static int divide(const mp_limb_t *a, mp_size_t n, struct u256 b,
		  struct u256 *ret_quotient, struct u256 *ret_rest)
{
	mp_limb_t y[LIMBS], q[2 * LIMBS + 1] = { 0 }, r[LIMBS] = { 0 };
	mp_size_t n_b;

	assert(n <= 2 * LIMBS);
	limbs_of(b, y);
	n_b = used(y, LIMBS);
	if (!n_b)
		return -EDOM;
	if (n >= n_b)
		mpn_tdiv_qr(q, r, 0, a, n, y, n_b);
	else
		memcpy(r, a, (size_t)n * sizeof(*a));
	if (used(q, (mp_size_t)ARRAY_LEN(q)) > LIMBS)
		return -EOVERFLOW;
	if (ret_quotient)
		*ret_quotient = of_limbs(q);
	if (ret_rest)
		*ret_rest = of_limbs(r);
	return 0;
}

int u256_div(struct u256 a, struct u256 b, struct u256 *ret_quotient,
	     struct u256 *ret_rest)
{
	mp_limb_t x[LIMBS];

	limbs_of(a, x);
	return divide(x, LIMBS, b, ret_quotient, ret_rest);
}

int u256_muldiv(struct u256 a, struct u256 b, struct u256 c, struct u256 *ret)
{
	mp_limb_t x[LIMBS], y[LIMBS], z[2 * LIMBS];

	limbs_of(a, x);
	limbs_of(b, y);
	mpn_mul_n(z, x, y, LIMBS);
	return divide(z, 2 * LIMBS, c, ret, NULL);
}

struct u256 u256_add_capped(struct u256 a, struct u256 b)
{
	struct u256 sum;

	return u256_add(a, b, &sum) < 0 ? U256_MAX : sum;
}

struct u256 u256_sub_capped(struct u256 a, struct u256 b)
{
	struct u256 rest;

	return u256_sub(a, b, &rest) < 0 ? U256_ZERO : rest;
}

unsigned u256_bits(struct u256 a)
{
	for (unsigned i = LIMBS; i-- > 0;)
		if (a.w[i])
			return 64 * i + 64 - (unsigned)__builtin_clzll(a.w[i]);
	return 0;
}

int u256_shl(struct u256 a, unsigned bits, struct u256 *ret)
{
	struct u256 z = U256_ZERO;
	unsigned limbs = bits / 64, rest = bits % 64;

	assert(bits < 256);
	if (u256_bits(a) + bits > 256 && !u256_is_zero(a))
		return -EOVERFLOW;
	for (unsigned i = LIMBS; i-- > limbs;) {
		z.w[i] = a.w[i - limbs] << rest;
		if (rest && i > limbs)
			z.w[i] |= a.w[i - limbs - 1] >> (64 - rest);
	}
	*ret = z;
	return 0;
}

struct u256 u256_shr(struct u256 a, unsigned bits)
{
	struct u256 z = U256_ZERO;
	unsigned limbs = bits / 64, rest = bits % 64;

	assert(bits < 256);
	for (unsigned i = 0; i + limbs < LIMBS; i++) {
		z.w[i] = a.w[i + limbs] >> rest;
		if (rest && i + limbs + 1 < LIMBS)
			z.w[i] |= a.w[i + limbs + 1] << (64 - rest);
	}
	return z;
}

void u256_to_be(struct u256 a, uint8_t ret[static U256_SIZE])
{
	for (int i = 0; i < U256_SIZE; i++)
		ret[U256_SIZE - 1 - i] = (uint8_t)(a.w[i / 8] >> (8 * (i % 8)));
}

struct u256 u256_from_be(const uint8_t bytes[static U256_SIZE])
{
	struct u256 z = U256_ZERO;

	for (int i = 0; i < U256_SIZE; i++)
		z.w[i / 8] |= (uint64_t)bytes[U256_SIZE - 1 - i] << (8 * (i % 8));
	return z;
}

size_t u256_to_be_short(struct u256 a, uint8_t ret[static U256_SIZE])
{
	size_t n = (u256_bits(a) + 7) / 8;
	uint8_t all[U256_SIZE];

	u256_to_be(a, all);
	memcpy(ret, all + U256_SIZE - n, n);
	return n;
}

int u256_from_be_short(struct slice bytes, struct u256 *ret)
{
	uint8_t all[U256_SIZE] = { 0 };

	while (bytes.n && !*bytes.p)
		bytes = slice(bytes.p + 1, bytes.n - 1);
	if (bytes.n > sizeof(all))
		return -EOVERFLOW;
	if (bytes.n)
		memcpy(all + sizeof(all) - bytes.n, bytes.p, bytes.n);
	*ret = u256_from_be(all);
	return 0;
}

int u256_from_text(struct slice text, struct u256 *ret)
{
	struct u256 z = U256_ZERO;
	int r;

	if (!text.n)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < text.n; i++) {
		r = u256_mul(z, u256(10), &z);
		if (r == 0)
			r = u256_add(z, u256(text.p[i] - '0'), &z);
		if (r < 0)
			return r;
	}
	*ret = z;
	return 0;
}

void u256_text(struct u256 a, char ret[static U256_TEXT_MAX])
{
	char digits[U256_TEXT_MAX];
	mp_limb_t l[LIMBS];
	size_t n = 0;

	limbs_of(a, l);
	do
		digits[n++] = (char)('0' + mpn_divrem_1(l, 0, l, LIMBS, 10));
	while (used(l, LIMBS));
	for (size_t i = 0; i < n; i++)
		ret[i] = digits[n - 1 - i];
	ret[n] = '\0';
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int u256_from_hex(struct slice text, struct u256 *ret)
{
	struct u256 z = U256_ZERO;

	if (text.n < 3 || text.p[0] != '0' || text.p[1] != 'x')
		return -EINVAL;
	for (size_t i = 2; i < text.n; i++)
		if (hex_digit(text.p[i]) < 0)
			return -EINVAL;
	if (text.n > 2 + 2 * U256_SIZE)
		return -EOVERFLOW;
	for (size_t i = 2; i < text.n; i++) {
		best_effort(u256_shl(z, 4, &z)); /* 64 digits fit */
		z.w[0] |= (uint64_t)hex_digit(text.p[i]);
	}
	*ret = z;
	return 0;
}

void u256_hex(struct u256 a, char ret[static U256_HEX_MAX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned n = MAX((u256_bits(a) + 3) / 4, 1u);

	ret[0] = '0';
	ret[1] = 'x';
	for (unsigned i = 0; i < n; i++)
		ret[2 + n - 1 - i] = digits[u256_shr(a, 4 * i).w[0] & 15];
	ret[2 + n] = '\0';
}
