/*
 * secp.h - signatures of secp256k1, as Ethereum and Filecoin take them
 *
 * libsecp256k1 does the work; only secp.c and bip32.c include its headers.
 * Nonces are those of RFC 6979, so a key signs a digest in one way only; s is
 * the lower of the two that are valid.  Each use of a secret key has a context
 * of its own in guarded memory, blinded with fresh random bytes: a signature
 * takes some 100 us with it.
 *
 *   offset  size  field of a signature
 *   0       32    r, big-endian
 *   32      32    s, big-endian
 *   64      1     v: 27 or 28, which of two public keys signed
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SECP_H
#define CRYPTO_SECP_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct secret;

#define SECP_PUBLIC_SIZE    65 /* bytes: 0x04, x, y */
#define SECP_DIGEST_SIZE    32 /* bytes */
#define SECP_SIGNATURE_SIZE 65 /* bytes */
#define SECP_V              27 /* v of a signature, at the least */

/* 1 to the order of the curve - 1. */
bool secp_is_key(const struct secret *key);

/* -EINVAL: secp_is_key() says no; -ENOMEM. */
must_check int secp_public(const struct secret *key,
			   uint8_t ret[static SECP_PUBLIC_SIZE]);

/* The same errors. */
must_check int secp_sign(const struct secret *key,
			 const uint8_t digest[static SECP_DIGEST_SIZE],
			 uint8_t ret[static SECP_SIGNATURE_SIZE]);

/*
 * Who signed.  -EBADMSG: nobody can have, or v is not 27 or 28, or s is the
 * higher one (which contracts of OpenZeppelin refuse too).
 */
must_check int secp_recover(const uint8_t signature[static SECP_SIGNATURE_SIZE],
			    const uint8_t digest[static SECP_DIGEST_SIZE],
			    uint8_t ret[static SECP_PUBLIC_SIZE]);

#endif
