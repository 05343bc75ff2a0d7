/*
 * secret.h - keys in guarded memory
 *
 * A secret is 32 bytes in sodium_malloc() memory: locked, kept out of core
 * dumps, between guard pages, wiped when freed.  Secrets are never copied into
 * a buf, a struct that is copied, or a log.  Only crypto/ looks inside; the
 * other rooms pass the pointer on.
 *
 * Threading: immutable once made; may be used from any thread.
 */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include "base/slice.h"
#include "base/util.h"

#define SECRET_SIZE 32 /* bytes */

struct secret;

/* Once a process, before anything else in crypto/.  -EIO if libsodium refuses. */
must_check int secret_init_library(void);

/* Takes a copy of `bytes`; the caller wipes its own.  -ENOMEM. */
must_check int secret_new(const uint8_t bytes[static SECRET_SIZE],
			  struct secret **ret);
must_check int secret_new_random(struct secret **ret);

/*
 * BLAKE2b-256 keyed with `parent` over "fildrive " and the label: one subkey
 * for each purpose.  The labels are listed in docs/format.md.
 */
must_check int secret_derive(const struct secret *parent, const char *label,
			     struct secret **ret);

/*
 * Is it kept out of swap?  Making one does not fail where memory may not be locked
 * (RLIMIT_MEMLOCK), so who cares asks: -errno of mlock(2) if not.
 */
must_check int secret_locked(const struct secret *s);

void secret_free(struct secret *s); /* NULL is fine */

/* For crypto/ only. */
const uint8_t *secret_bytes(const struct secret *s);

static inline void secret_freep(struct secret **s)
{
	secret_free(*s);
}

#define _cleanup_secret_ _cleanup_(secret_freep)

#endif
