/*
 * keccak.h - Keccak-256, the hash of Ethereum
 *
 * The function that won the SHA-3 contest, padded with 0x01 as its authors
 * did; SHA3-256 of FIPS 202 pads with 0x06 and gives other digests.  It is our
 * own because no library of Debian 12 offers it: OpenSSL has KECCAK-256 from
 * 3.2 on, libgcrypt, nettle and libsodium have SHA3 only.
 * Spec: https://keccak.team/keccak_specs_summary.html (rate 1088, capacity 512).
 *
 * What is hashed here is public; the state is not wiped.
 * Threading: values.
 */
#ifndef CRYPTO_KECCAK_H
#define CRYPTO_KECCAK_H

#include "base/slice.h"
#include "base/util.h"

#define KECCAK_SIZE 32  /* bytes of a digest */
#define KECCAK_RATE 136 /* bytes of a block */

struct keccak {
	uint64_t lane[25];
	size_t n; /* bytes taken of the current block */
};

void keccak_init(struct keccak *k);
void keccak_update(struct keccak *k, struct slice s);
/* Ends `k`; keccak_init() before it is used again. */
void keccak_final(struct keccak *k, uint8_t ret[static KECCAK_SIZE]);

void keccak_once(struct slice s, uint8_t ret[static KECCAK_SIZE]);

#endif
