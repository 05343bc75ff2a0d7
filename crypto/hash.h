/*
 * hash.h - SHA-256 (libcrypto: it uses the processor's SHA instructions, 1.9
 * against libsodium's 0.41 GB/s) and keyed BLAKE2b-256 (libb2 for short
 * messages, libcrypto for long ones; a test compares them)
 *
 * Threading: any.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/slice.h"
#include "base/util.h"

#define HASH_SIZE 32 /* bytes, of both */

struct secret;

void sha256_once(struct slice s, uint8_t ret[static HASH_SIZE]);

/* BLAKE2b-256 under a key, of the parts one behind the other. */
must_check int hash_keyed(const struct secret *key, const struct slice *parts,
			  size_t n_parts, uint8_t ret[static HASH_SIZE]);

/* BLAKE2b-256 without a key. */
must_check int hash_blake2b(struct slice s, uint8_t ret[static HASH_SIZE]);

#endif
