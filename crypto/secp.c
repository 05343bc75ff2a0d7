#include "crypto/secp.h"

#include <assert.h>
#include <errno.h>
#include <secp256k1.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <sodium.h>

#include "crypto/secp_context.h"
#include "crypto/secret.h"

/* What sodium_malloc() gives is as aligned as its size is. */
#define CONTEXT_ALIGN 16

_Static_assert(SECRET_SIZE == 32, "a secret is a scalar");

int secp_context(secp256k1_context **ret)
{
	size_t n = secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE);
	_cleanup_secp_context_ secp256k1_context *c = NULL;
	uint8_t seed[32];
	void *memory;
	int ok;

	/* The library's own allocation ends the process when it fails. */
	memory = sodium_malloc(align_up(n, CONTEXT_ALIGN));
	if (!memory)
		return -ENOMEM;
	c = secp256k1_context_preallocated_create(memory, SECP256K1_CONTEXT_NONE);
	randombytes_buf(seed, sizeof(seed));
	ok = secp256k1_context_randomize(c, seed);
	sodium_memzero(seed, sizeof(seed));
	if (!ok)
		return -EIO;
	*ret = steal(&c);
	return 0;
}

void secp_context_free(secp256k1_context *c)
{
	if (!c)
		return;
	secp256k1_context_preallocated_destroy(c);
	sodium_free(c); /* it stands at the start of its memory */
}

bool secp_is_key(const struct secret *key)
{
	return secp256k1_ec_seckey_verify(secp256k1_context_static,
					  secret_bytes(key)) == 1;
}

static void put_public(const secp256k1_pubkey *key,
		       uint8_t ret[static SECP_PUBLIC_SIZE])
{
	size_t n = SECP_PUBLIC_SIZE;
	int ok;

	ok = secp256k1_ec_pubkey_serialize(secp256k1_context_static, ret, &n,
					   key, SECP256K1_EC_UNCOMPRESSED);
	assert(ok && n == SECP_PUBLIC_SIZE);
}

int secp_public(const struct secret *key, uint8_t ret[static SECP_PUBLIC_SIZE])
{
	_cleanup_secp_context_ secp256k1_context *c = NULL;
	secp256k1_pubkey public;
	int r;

	r = secp_context(&c);
	if (r < 0)
		return r;
	if (!secp256k1_ec_pubkey_create(c, &public, secret_bytes(key)))
		return -EINVAL;
	put_public(&public, ret);
	return 0;
}

int secp_sign(const struct secret *key,
	      const uint8_t digest[static SECP_DIGEST_SIZE],
	      uint8_t ret[static SECP_SIGNATURE_SIZE])
{
	_cleanup_secp_context_ secp256k1_context *c = NULL;
	secp256k1_ecdsa_recoverable_signature s;
	int r, ok, id;

	r = secp_context(&c);
	if (r < 0)
		return r;
	if (!secp256k1_ecdsa_sign_recoverable(c, &s, digest, secret_bytes(key),
					      NULL, NULL))
		return -EINVAL;
	ok = secp256k1_ecdsa_recoverable_signature_serialize_compact(c, ret,
								     &id, &s);
	/* 2 and 3 need an x over the curve's order: nobody has met one. */
	assert(ok && (id == 0 || id == 1));
	ret[64] = (uint8_t)(SECP_V + id);
	return 0;
}

int secp_recover(const uint8_t signature[static SECP_SIGNATURE_SIZE],
		 const uint8_t digest[static SECP_DIGEST_SIZE],
		 uint8_t ret[static SECP_PUBLIC_SIZE])
{
	const secp256k1_context *c = secp256k1_context_static;
	secp256k1_ecdsa_recoverable_signature s;
	secp256k1_ecdsa_signature plain;
	secp256k1_pubkey public;
	int id = signature[64] - SECP_V;

	if (id != 0 && id != 1)
		return -EBADMSG;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(c, &s,
								 signature, id) ||
	    !secp256k1_ecdsa_recoverable_signature_convert(c, &plain, &s) ||
	    secp256k1_ecdsa_signature_normalize(c, NULL, &plain) ||
	    !secp256k1_ecdsa_recover(c, &public, &s, digest))
		return -EBADMSG;
	put_public(&public, ret);
	return 0;
}
