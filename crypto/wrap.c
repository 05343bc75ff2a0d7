#include "crypto/wrap.h"

#include <errno.h>
#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/secret.h"

_Static_assert(WRAP_SIZE == AEAD_MARK_SIZE + SECRET_SIZE,
	       "a wrapped secret is a mark and as many bytes");

void wrap_seal(const struct secret *key, struct slice ad,
	       const struct secret *secret, uint8_t ret[static WRAP_SIZE])
{
	aead_seal(key, ad, slice(secret_bytes(secret), SECRET_SIZE),
		  ret + AEAD_MARK_SIZE, ret);
}

int wrap_open(const struct secret *key, struct slice ad,
	      const uint8_t wrapped[static WRAP_SIZE], struct secret **ret)
{
	uint8_t bytes[SECRET_SIZE];
	int r;

	r = aead_open(key, ad, slice(wrapped + AEAD_MARK_SIZE, SECRET_SIZE),
		      wrapped, bytes);
	if (r == 0)
		r = secret_new(bytes, ret);
	sodium_memzero(bytes, sizeof(bytes));
	return r;
}
