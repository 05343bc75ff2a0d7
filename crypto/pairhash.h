/*
 * pairhash.h - SHA-256 of many 64-byte messages, cut to 254 bits (internal to
 * commp.c, its tests and the self-test)
 *
 * The tree of a piece commitment hashes pairs of 32-byte nodes.  Each is a
 * message of one block and a second block that is padding only, the same for
 * all: its message schedule is a table.
 *
 *   SHA-NI    two first blocks, then four padding blocks in turns, which hides the
 *             latency of one behind the others'; 29 ns a message on Zen 4
 *   ARMv8     the same with the SHA2 instructions of ARM
 *   AVX-512   sixteen messages, a lane each, for processors without SHA-NI; 35 to 41 ns
 *   AVX2      eight; 64 to 74 ns
 *   portable  one; 345 to 360 ns
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_PAIRHASH_H
#define CRYPTO_PAIRHASH_H

#include "base/util.h"

#define PAIRHASH_NODE ((size_t)32) /* bytes */

/*
 * n parents of 32 bytes from 2n children: SHA-256 with the two top bits of the
 * last byte cleared.  dst may be src.
 */
typedef void (*pairhash_fn)(uint8_t *dst, const uint8_t *src, size_t n);

void pairhash_portable(uint8_t *dst, const uint8_t *src, size_t n);

/* NULL if this processor has no such instructions. */
pairhash_fn pairhash_shani(void);
pairhash_fn pairhash_armv8(void);
pairhash_fn pairhash_avx512(void);
pairhash_fn pairhash_avx2(void);

/* The first of them, in the order above, that is here. */
pairhash_fn pairhash_best(void);

#endif
