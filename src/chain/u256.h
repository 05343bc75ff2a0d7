/*
 * u256.h - unsigned numbers of 256 bits, as contracts know them
 *
 * Values, passed by value.  Nothing wraps around: what does not fit is an
 * error.  The limbs' arithmetic is libgmp's (its mpn layer, which allocates
 * nothing); only u256.c includes gmp.h.
 *
 * Not for secrets: time depends on the values.
 *
 * Threading: values.  Errors: -EOVERFLOW (over 2^256 - 1, or below 0), -EDOM
 * (division by 0), -EINVAL (text that is no number).  A failure leaves the
 * result alone.
 */
#ifndef CHAIN_U256_H
#define CHAIN_U256_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

#define U256_SIZE     32 /* bytes, big-endian, on every wire */
#define U256_TEXT_MAX 79 /* 78 decimal digits and NUL */
#define U256_HEX_MAX  67 /* "0x", 64 digits and NUL */

struct u256 {
	uint64_t w[4]; /* least significant first */
};

#define U256_ZERO ((struct u256){ { 0, 0, 0, 0 } })
#define U256_MAX \
 ((struct u256){ { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX } })

static inline struct u256 u256(uint64_t v)
{
	return (struct u256){ { v, 0, 0, 0 } };
}

static inline bool u256_is_zero(struct u256 a)
{
	return !(a.w[0] | a.w[1] | a.w[2] | a.w[3]);
}

static inline bool u256_fits_u64(struct u256 a)
{
	return !(a.w[1] | a.w[2] | a.w[3]);
}

/* Capped at UINT64_MAX: for epochs, of which the largest means never. */
static inline uint64_t u256_cap_u64(struct u256 a)
{
	return u256_fits_u64(a) ? a.w[0] : UINT64_MAX;
}

/* -EOVERFLOW */
must_check int u256_to_u64(struct u256 a, uint64_t *ret);

/* Below, at or above 0. */
int u256_cmp(struct u256 a, struct u256 b);

static inline bool u256_eq(struct u256 a, struct u256 b)
{
	return u256_cmp(a, b) == 0;
}

must_check int u256_add(struct u256 a, struct u256 b, struct u256 *ret);
must_check int u256_sub(struct u256 a, struct u256 b, struct u256 *ret);
must_check int u256_mul(struct u256 a, struct u256 b, struct u256 *ret);

/* Rounded down; either result may be NULL. */
must_check int u256_div(struct u256 a, struct u256 b, struct u256 *ret_quotient,
			struct u256 *ret_rest);

/* a * b / c, rounded down, with a product of 512 bits. */
must_check int u256_muldiv(struct u256 a, struct u256 b, struct u256 c,
			   struct u256 *ret);

/* As far as it goes: 2^256 - 1 at most, 0 at least. */
struct u256 u256_add_capped(struct u256 a, struct u256 b);
struct u256 u256_sub_capped(struct u256 a, struct u256 b);

static inline struct u256 u256_min(struct u256 a, struct u256 b)
{
	return u256_cmp(a, b) < 0 ? a : b;
}

/* By 0 to 255 bits.  To the left, one bits that fall out are -EOVERFLOW. */
must_check int u256_shl(struct u256 a, unsigned bits, struct u256 *ret);
struct u256 u256_shr(struct u256 a, unsigned bits);

/* Significant bits: 0 for 0, 256 at most. */
unsigned u256_bits(struct u256 a);

void u256_to_be(struct u256 a, uint8_t ret[static U256_SIZE]);
struct u256 u256_from_be(const uint8_t bytes[static U256_SIZE]);

/* Without leading zeros; the number of bytes at the start of `ret`. */
size_t u256_to_be_short(struct u256 a, uint8_t ret[static U256_SIZE]);

/* Of any length; more than 32 bytes that are not zeros are -EOVERFLOW. */
must_check int u256_from_be_short(struct slice bytes, struct u256 *ret);

/* Decimal digits only: no sign, no space, no separator.  -EINVAL, -EOVERFLOW. */
must_check int u256_from_text(struct slice text, struct u256 *ret);
void u256_text(struct u256 a, char ret[static U256_TEXT_MAX]);

/*
 * "0x" and 1 to 64 digits of either case, as JSON-RPC writes quantities.
 * Leading zeros are read and never written ("0x0" is zero).  -EINVAL,
 * -EOVERFLOW.
 */
must_check int u256_from_hex(struct slice text, struct u256 *ret);
void u256_hex(struct u256 a, char ret[static U256_HEX_MAX]);

#endif
