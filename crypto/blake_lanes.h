/*
 * blake_lanes.h - keyed BLAKE2b-256 of four messages beside each other (internal
 * to hash_many.c and its tests)
 *
 * The state of one message is sixteen words of 64 bits; four messages fill the
 * registers of AVX2, and every instruction does four times the work.  RFC 7693.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_BLAKE_LANES_H
#define CRYPTO_BLAKE_LANES_H

#include "base/slice.h"
#include "base/util.h"

#define BLAKE_LANES_KEY    32 /* bytes */
#define BLAKE_LANES_DIGEST 32 /* bytes */

/*
 * The digests of n messages, none of them empty; they may be of different
 * lengths.
 */
typedef void (*blake_lanes_fn)(const uint8_t key[static BLAKE_LANES_KEY],
			       const struct slice *v, size_t n,
			       uint8_t (*ret)[BLAKE_LANES_DIGEST]);

/* NULL if this processor has no such instructions. */
blake_lanes_fn blake_lanes_avx2(void);

#endif
