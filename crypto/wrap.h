/*
 * wrap.h - a secret sealed under another, so that it can stand in a record
 *
 * Secrets never enter a buf.  What has to carry one (a commit carries the
 * convergence secret) carries it wrapped.
 *
 *   offset  size  field
 *   0       40    mark: nonce and tag (aead.h)
 *   40      32    the secret, sealed with XChaCha20-Poly1305
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_WRAP_H
#define CRYPTO_WRAP_H

#include "base/slice.h"
#include "base/util.h"

struct secret;

#define WRAP_SIZE 72 /* bytes */

/* `ad` says what the secret is for; it has to be the same at both ends. */
void wrap_seal(const struct secret *key, struct slice ad,
	       const struct secret *secret, uint8_t ret[static WRAP_SIZE]);

/* -EBADMSG, -ENOMEM. */
must_check int wrap_open(const struct secret *key, struct slice ad,
			 const uint8_t wrapped[static WRAP_SIZE],
			 struct secret **ret);

#endif
