/*
 * blake.h - BLAKE2b without a key, of any length (libb2)
 *
 * Filecoin's addresses carry digests of 4 and 20 bytes.  For 32 bytes, and with
 * a key, there is hash.h.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_BLAKE_H
#define CRYPTO_BLAKE_H

#include "base/slice.h"
#include "base/util.h"

#define BLAKE_MAX 64 /* bytes of a digest */

/* `n_ret` is 1 to BLAKE_MAX. */
void blake_once(struct slice s, uint8_t *ret, size_t n_ret);

#endif
