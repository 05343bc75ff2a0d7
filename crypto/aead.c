#include "crypto/aead.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/kept.h"
#include "crypto/secret.h"

_Static_assert(AEAD_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	       "the mark's nonce is libsodium's");
_Static_assert(AEAD_TAG_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES,
	       "the mark's tag is libsodium's");

/*
 * XChaCha20 is HChaCha20, which makes a key of the first 16 bytes of the nonce,
 * and then ChaCha20 (draft-irtf-cfrg-xchacha-03).  For a slot or a page libcrypto
 * does the second step three times as fast as libsodium; small messages, which
 * are often keys, stay with libsodium, as does everything if libcrypto has no
 * memory.
 */
#define FAST_MIN 1024 /* bytes */

enum verdict {
	NOT_DONE, /* nothing was touched */
	DONE,
	FORGED,
};

struct fast {
	EVP_CIPHER_CTX *ctx;
	uint8_t key[32], nonce[12];
};

static bool fast_begin(struct fast *f, const struct secret *key, size_t n,
		       const uint8_t mark[static AEAD_MARK_SIZE])
{
	*f = (struct fast){ 0 };
	if (n < FAST_MIN || n > INT_MAX || !kept_chacha20_poly1305())
		return false;
	f->ctx = EVP_CIPHER_CTX_new();
	if (!f->ctx)
		return false;
	(void)crypto_core_hchacha20(f->key, mark, secret_bytes(key), NULL); /* cannot fail */
	memcpy(f->nonce + 4, mark + 16, 8);
	return true;
}

static void fast_end(struct fast *f)
{
	EVP_CIPHER_CTX_free(f->ctx); /* wipes the key */
	sodium_memzero(f, sizeof(*f));
}

static enum verdict fast_seal(const struct secret *key, struct slice ad,
			      struct slice text, uint8_t *dst,
			      uint8_t mark[static AEAD_MARK_SIZE])
{
	enum verdict v = NOT_DONE;
	struct fast f;
	int n;

	/* in place: once begun there is no way back but to the end */
	if (fast_begin(&f, key, text.n, mark) &&
	    EVP_EncryptInit_ex2(f.ctx, kept_chacha20_poly1305(), f.key, f.nonce,
				NULL) == 1 &&
	    EVP_EncryptUpdate(f.ctx, NULL, &n, ad.p, (int)ad.n) == 1 &&
	    EVP_EncryptUpdate(f.ctx, dst, &n, text.p, (int)text.n) == 1) {
		v = EVP_EncryptFinal_ex(f.ctx, dst + n, &n) == 1 &&
				    EVP_CIPHER_CTX_ctrl(f.ctx, EVP_CTRL_AEAD_GET_TAG,
							AEAD_TAG_SIZE,
							mark + AEAD_NONCE_SIZE) == 1 ?
			    DONE :
			    FORGED;
	}
	fast_end(&f);
	return v;
}

static enum verdict fast_open(const struct secret *key, struct slice ad,
			      struct slice sealed,
			      const uint8_t mark[static AEAD_MARK_SIZE],
			      uint8_t *dst)
{
	enum verdict v = NOT_DONE;
	uint8_t tag[AEAD_TAG_SIZE];
	struct fast f;
	int n;

	memcpy(tag, mark + AEAD_NONCE_SIZE, AEAD_TAG_SIZE);
	if (fast_begin(&f, key, sealed.n, mark) &&
	    EVP_DecryptInit_ex2(f.ctx, kept_chacha20_poly1305(), f.key, f.nonce,
				NULL) == 1 &&
	    EVP_CIPHER_CTX_ctrl(f.ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE,
				tag) == 1 &&
	    EVP_DecryptUpdate(f.ctx, NULL, &n, ad.p, (int)ad.n) == 1) {
		v = EVP_DecryptUpdate(f.ctx, dst, &n, sealed.p, (int)sealed.n) == 1 &&
				    EVP_DecryptFinal_ex(f.ctx, dst + n, &n) == 1 ?
			    DONE :
			    FORGED;
	}
	fast_end(&f);
	return v;
}

/* The nonce is in the mark. */
static void seal(const struct secret *key, struct slice ad, struct slice text,
		 uint8_t *dst, uint8_t mark[static AEAD_MARK_SIZE])
{
	enum verdict v = fast_seal(key, ad, text, dst, mark);

	/* a cipher that has taken all bytes has no reason left to fail */
	assert(v != FORGED);
	if (v == DONE)
		return;
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(
		dst, mark + AEAD_NONCE_SIZE, NULL, text.p, text.n, ad.p, ad.n,
		NULL, mark, secret_bytes(key)); /* cannot fail */
}

void aead_seal(const struct secret *key, struct slice ad, struct slice text,
	       uint8_t *dst, uint8_t mark[static AEAD_MARK_SIZE])
{
	randombytes_buf(mark, AEAD_NONCE_SIZE);
	seal(key, ad, text, dst, mark);
}

void aead_seal_many(const struct secret *key, size_t size,
		    const struct aead_job *v, size_t n)
{
	uint8_t nonces[AEAD_MANY_MAX][AEAD_NONCE_SIZE];

	assert(n <= AEAD_MANY_MAX);
	randombytes_buf(nonces, n * AEAD_NONCE_SIZE);
	for (size_t k = 0; k < n; k++) {
		memcpy(v[k].mark, nonces[k], AEAD_NONCE_SIZE);
		seal(key, v[k].ad, slice(v[k].text, size), v[k].dst, v[k].mark);
	}
}

int aead_open(const struct secret *key, struct slice ad, struct slice sealed,
	      const uint8_t mark[static AEAD_MARK_SIZE], uint8_t *dst)
{
	enum verdict v = fast_open(key, ad, sealed, mark, dst);
	int r = v == DONE ? 0 : -1;

	if (v == NOT_DONE)
		r = crypto_aead_xchacha20poly1305_ietf_decrypt_detached(
			dst, NULL, sealed.p, sealed.n, mark + AEAD_NONCE_SIZE,
			ad.p, ad.n, mark, secret_bytes(key));
	if (r == 0)
		return 0;
	sodium_memzero(dst, sealed.n);
	return -EBADMSG;
}
