/*
 * secp_context.h - for secp.c and bip32.c only: a blinded context for one use
 * of a secret key
 */
#ifndef CRYPTO_SECP_CONTEXT_H
#define CRYPTO_SECP_CONTEXT_H

#include <secp256k1.h>

#include "base/util.h"

/* secp256k1_context_destroy() ends it.  -ENOMEM, -EIO. */
must_check int secp_context(secp256k1_context **ret);

static inline void secp_context_destroyp(secp256k1_context **c)
{
	if (*c)
		secp256k1_context_destroy(*c);
}

#define _cleanup_secp_context_ _cleanup_(secp_context_destroyp)

#endif
