/*
 * secp_context.h - for secp.c and bip32.c only: a blinded context for one use
 * of a secret key, in guarded memory (it holds the blinding)
 */
#ifndef CRYPTO_SECP_CONTEXT_H
#define CRYPTO_SECP_CONTEXT_H

#include <secp256k1.h>

#include "base/util.h"

/* -ENOMEM, -EIO. */
must_check int secp_context(secp256k1_context **ret);
void secp_context_free(secp256k1_context *c); /* NULL is fine */

static inline void secp_context_freep(secp256k1_context **c)
{
	secp_context_free(*c);
}

#define _cleanup_secp_context_ _cleanup_(secp_context_freep)

#endif
