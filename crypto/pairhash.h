/*
 * pairhash.h - SHA-256 of many 64-byte messages, cut to 254 bits (internal to
 * commp.c, its tests and the self-test)
 *
 * The tree of a piece commitment hashes pairs of 32-byte nodes.  Each is a
 * message of one block and a second block that is padding only, the same for
 * all: its message schedule is a table.  On x86 with SHA instructions the first
 * blocks of two messages, then the padding blocks of four, are hashed in turns,
 * which hides the latency of one behind the others'.  (Sixteen messages in
 * AVX-512 were tried: 45 ns a message where this takes 28.)
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

/* The fastest of them here. */
pairhash_fn pairhash_best(void);

#endif
