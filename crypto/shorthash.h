/*
 * shorthash.h - SipHash-2-4 of 128 bits, for tables and sums in memory
 *
 * Under a random key that never leaves the process, or the drive's own encrypted
 * databases, nobody can choose messages that collide.  Not for anything else that
 * is on disk or wire.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SHORTHASH_H
#define CRYPTO_SHORTHASH_H

#include "base/slice.h"
#include "base/util.h"

#define SHORTHASH_SIZE 16 /* bytes */

struct shorthash_key {
	uint8_t bytes[16];
};

void shorthash_key_random(struct shorthash_key *ret);
void shorthash(const struct shorthash_key *key, struct slice s,
	       uint8_t ret[static SHORTHASH_SIZE]);

#endif
