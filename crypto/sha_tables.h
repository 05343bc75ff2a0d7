/*
 * sha_tables.h - the constants of SHA-256 (internal to crypto/)
 *
 * FIPS 180-4, 4.2.2 and 5.3.3.  Those of the rounds are aligned to 64 bytes.
 */
#ifndef CRYPTO_SHA_TABLES_H
#define CRYPTO_SHA_TABLES_H

#include <stdint.h>

extern const uint32_t sha256_start[8];
extern const uint32_t sha256_k[64];

/*
 * sha256_k plus the message schedule of the block that is behind a message of 64
 * bytes: padding and length, the same for all.
 */
extern const uint32_t sha256_k_padding[64];

#endif
