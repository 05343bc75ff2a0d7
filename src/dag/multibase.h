/*
 * multibase.h - bytes as text: base16, base32, base36, base58btc, base64url
 *
 * Spec: https://github.com/multiformats/multibase.
 *
 *   character  digits                     leading zeros / trailing bits
 *   f F        0-9a-f                     -
 *   b B        a-z2-7, no padding         unused trailing bits must be zero
 *   u          A-Za-z0-9-_, no padding    unused trailing bits must be zero
 *   k K        0-9a-z, one big number     a zero byte is a digit '0'
 *   z          base58btc, one big number  a zero byte is a digit '1'
 *
 * Upper-case forms (F, B, K) are read, never written; mixed case is refused.
 * Every accepted text is the only one of its bytes in its base.
 *
 * Threading: stateless.  Errors: -EPROTO for a wrong digit or an unknown base,
 * -EMSGSIZE for what does not fit.
 */
#ifndef DAG_MULTIBASE_H
#define DAG_MULTIBASE_H

#include "base/slice.h"
#include "base/util.h"

/* Bytes in, or bytes out, of the big-number bases: their cost is quadratic. */
#define MULTIBASE_MAX 256

/* With the base's character in front, and NUL.  `cap` counts both. */
must_check int multibase_encode(char base, struct slice bytes, char *ret,
				size_t cap);

/* `text` begins with the base's character. */
must_check int multibase_decode(struct slice text, uint8_t *ret, size_t cap,
				size_t *ret_n);

/* Without the character in front, as CIDv0 and peer ids are written. */
must_check int base58_encode(struct slice bytes, char *ret, size_t cap);
must_check int base58_decode(struct slice text, uint8_t *ret, size_t cap,
			     size_t *ret_n);

#endif
