/*
 * hash_many.h - the hashes of hash.h over several messages beside each other
 *
 * A processor that waits for one step of a hash can work on another message
 * meanwhile, or on four with one instruction.  Here keyed BLAKE2b takes four
 * messages at once (AVX2), SHA-256 two in turns (SHA instructions), each at about the
 * price of one; what is chosen depends on the processor, the digests do not.
 * Messages of like lengths gain most.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_HASH_MANY_H
#define CRYPTO_HASH_MANY_H

#include "base/slice.h"
#include "base/util.h"
#include "crypto/hash.h"

struct secret;

/* sha256_once() of each of n messages. */
void sha256_many(const struct slice *v, size_t n, uint8_t (*ret)[HASH_SIZE]);

/* hash_keyed() of each of n messages.  -ENOMEM. */
must_check int hash_keyed_many(const struct secret *key, const struct slice *v,
			       size_t n, uint8_t (*ret)[HASH_SIZE]);

#endif
