#include "crypto/aead.h"

#include <errno.h>
#include <sodium.h>

#include "crypto/secret.h"

_Static_assert(AEAD_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	       "the mark's nonce is libsodium's");
_Static_assert(AEAD_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES,
	       "the mark's tag is libsodium's");

void aead_seal(const struct secret *key, struct slice ad, struct slice text,
	       uint8_t *dst, uint8_t mark[static AEAD_MARK_SIZE])
{
	randombytes_buf(mark, AEAD_NONCE_SIZE);
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
		dst, mark + AEAD_NONCE_SIZE, NULL, text.p, text.n, ad.p, ad.n,
		NULL, mark, secret_bytes(key)); /* cannot fail */
}

int aead_open(const struct secret *key, struct slice ad, struct slice sealed,
	      const uint8_t mark[static AEAD_MARK_SIZE], uint8_t *dst)
{
	int r;

	r = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
		dst, NULL, sealed.p, sealed.n, mark + AEAD_NONCE_SIZE, ad.p,
		ad.n, mark, secret_bytes(key));
	if (r == 0)
		return 0;
	sodium_memzero(dst, sealed.n);
	return -EBADMSG;
}
