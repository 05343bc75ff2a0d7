/*
 * aead.h - local encryption: XChaCha20-Poly1305 with a random nonce
 *
 * Everything that rests in the drive directory (slots, database pages, WAL
 * frames, key slots) is sealed with this.  Nonces are random (24 bytes), since
 * power cuts and restored images roll counters back.  The caller's associated
 * data binds the bytes to drive, file and position.
 *
 *   offset  size  field of a detached mark
 *   0       24    nonce
 *   24      16    tag
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/slice.h"
#include "base/util.h"

struct secret;

#define AEAD_NONCE_SIZE 24
#define AEAD_TAG_SIZE   16
#define AEAD_MARK_SIZE  (AEAD_NONCE_SIZE + AEAD_TAG_SIZE)

/* dst and text may be the same memory; dst has text.n bytes. */
void aead_seal(const struct secret *key, struct slice ad, struct slice text,
	       uint8_t *dst, uint8_t mark[static AEAD_MARK_SIZE]);

#define AEAD_MANY_MAX 64

struct aead_job {
	struct slice ad;
	const uint8_t *text;
	uint8_t *dst;  /* may be text */
	uint8_t *mark; /* AEAD_MARK_SIZE */
};

/*
 * As aead_seal() of each of at most AEAD_MANY_MAX texts of `size` bytes, but all
 * nonces come from one draw: asked for one by one they are an eighth of the price
 * of writing.  None outlives the call.  A stock of them would be cheaper still,
 * but a fork, or a virtual machine that is resumed twice from one image, has it
 * twice, and two texts under one key and nonce lie open.
 */
void aead_seal_many(const struct secret *key, size_t size,
		    const struct aead_job *v, size_t n);

/* -EBADMSG, and dst zeroed, if anything was changed. */
must_check int aead_open(const struct secret *key, struct slice ad,
			 struct slice sealed,
			 const uint8_t mark[static AEAD_MARK_SIZE], uint8_t *dst);

#endif
