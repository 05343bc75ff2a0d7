/*
 * seal.h - the sealed block (docs/format.md section 2)
 *
 * What a store sees of a leaf or a node: one AEAD ciphertext of padded size,
 * named by its SHA-256.  The key is a keyed hash of the very bytes that it
 * encrypts, so that a key never meets two messages (the nonce is zero), equal
 * content of one drive seals to equal blocks, and without the convergence
 * secret nobody can test a guess.
 *
 *   offset  size  field of the payload, all of which is encrypted
 *   0       1     version, 1
 *   1       1     flags: 0x01 the body is one zstd frame; others are refused
 *   2       2     zero
 *   4       4     n, length of the body, LE
 *   8       n     body
 *   8+n     p     zeros up to seal_padded_size(n)
 *
 *   key   = BLAKE2b-256(key = convergence secret, payload)
 *   block = ChaCha20-Poly1305-IETF(key, nonce 0, payload), tag of 16 bytes behind
 *   digest = SHA-256(block)
 *
 * Threading: stateless for the caller; each thread keeps contexts of its own,
 * freed when it ends.
 */
#ifndef CRYPTO_SEAL_H
#define CRYPTO_SEAL_H

#include "base/slice.h"
#include "base/util.h"

struct buf;
struct secret;

#define SEAL_KEY_SIZE    32
#define SEAL_DIGEST_SIZE 32
#define SEAL_HEAD_SIZE   8
#define SEAL_TAG_SIZE    16
#define SEAL_OVERHEAD    (SEAL_HEAD_SIZE + SEAL_TAG_SIZE)
#define SEAL_BODY_MIN    256 /* bytes; smaller bodies are padded to it */

/*
 * Bytes; a step of the ladder, and the block (body, padding and overhead) stays
 * under the 2 MiB that gateways accept.
 */
#define SEAL_BODY_MAX  ((2u << 20) - (32u << 10))
#define SEAL_BLOCK_MAX (SEAL_BODY_MAX + SEAL_OVERHEAD)
#define SEAL_LEAF_MAX  (1u << 20) /* bytes; of SEAL_LEAF_ZSTD */

enum seal_mode {
	SEAL_STORED,    /* as it is, Padmé */
	SEAL_ZSTD,      /* compressed if that makes the block smaller, Padmé */
	SEAL_LEAF_ZSTD, /* likewise, padded to a power of two: compress=all */
};

/* The ladder: max(256, Padmé(n)), or the next power of two from 256 on. */
size_t seal_padded_size(enum seal_mode mode, size_t n);

/* Bytes of the sealed block of a stored body of n bytes. */
size_t seal_block_size(enum seal_mode mode, size_t n);

/*
 * Seal `body` and append the block to `ret_block`.  The key opens it, the
 * digest names it.
 *
 * -EMSGSIZE  the body is over SEAL_BODY_MAX (SEAL_LEAF_MAX for
 *            SEAL_LEAF_ZSTD), or the block over the buffer's maximum
 * -ENOMEM
 * On failure the buffer is as it was.
 */
must_check int seal_block(const struct secret *convergence, enum seal_mode mode,
			  struct slice body, struct buf *ret_block,
			  uint8_t ret_key[static SEAL_KEY_SIZE],
			  uint8_t ret_digest[static SEAL_DIGEST_SIZE]);

/* One of several bodies to be sealed where they stand. */
struct seal_item {
	uint8_t *p; /* seal_block_size() bytes; the body is at SEAL_HEAD_SIZE */
	size_t n;   /* bytes of the body; afterwards of the block */
	uint8_t key[SEAL_KEY_SIZE];
	uint8_t digest[SEAL_DIGEST_SIZE];
};

/*
 * The same blocks as seal_block() makes of each body, sooner when there are some:
 * they are hashed beside each other (hash_many.h).  Four of like lengths or more
 * gain most.
 *
 * -EMSGSIZE  a body is over the mode's maximum; nothing was touched
 * -ENOMEM    what stands in the items is undefined
 */
must_check int seal_many(const struct secret *convergence, enum seal_mode mode,
			 struct seal_item *v, size_t n);

/*
 * Verify, open and unpack `block`, and append the body to `ret_body`.
 * `max_body` bounds the opened (and decompressed) body before anything of that
 * size is allocated.
 *
 * -EBADMSG   not the block of this digest, or not sealed with this key
 * -EPROTO    authentic, but of a form that we do not write
 * -EMSGSIZE  the body is larger than max_body or than the buffer's maximum
 * -ENOMEM
 * On failure the buffer is as it was.
 */
must_check int seal_open(struct slice block,
			 const uint8_t key[static SEAL_KEY_SIZE],
			 const uint8_t digest[static SEAL_DIGEST_SIZE],
			 size_t max_body, struct buf *ret_body);

/* Only the first step of seal_open(): 0 or -EBADMSG. */
must_check int seal_verify(struct slice block,
			   const uint8_t digest[static SEAL_DIGEST_SIZE]);

#endif
