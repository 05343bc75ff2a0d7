/*
 * sha_lanes.h - SHA-256 of two messages in turns (internal to hash_many.c and its
 * tests)
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SHA_LANES_H
#define CRYPTO_SHA_LANES_H

#include "base/slice.h"
#include "base/util.h"

#define SHA_LANES_DIGEST 32 /* bytes */

/* The digests of n messages; they may be of different lengths. */
typedef void (*sha_lanes_fn)(const struct slice *v, size_t n,
			     uint8_t (*ret)[SHA_LANES_DIGEST]);

/* NULL if this processor has no such instructions. */
sha_lanes_fn sha_lanes_shani(void);

#endif
