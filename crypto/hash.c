#include "crypto/hash.h"

#include <assert.h>
#include <blake2.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "crypto/secret.h"

struct sha256 {
	EVP_MD_CTX *ctx;
};

int sha256_new(struct sha256 **ret)
{
	struct sha256 *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
		sha256_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return 0;
}

void sha256_update(struct sha256 *h, struct slice s)
{
	int r = EVP_DigestUpdate(h->ctx, s.p, s.n);

	assert(r == 1); /* fails only on a context that was not initialised */
}

void sha256_final(struct sha256 *h, uint8_t ret[static HASH_SIZE])
{
	int r = EVP_DigestFinal_ex(h->ctx, ret, NULL);

	assert(r == 1); /* likewise */
}

void sha256_reset(struct sha256 *h)
{
	int r = EVP_DigestInit_ex(h->ctx, NULL, NULL);

	assert(r == 1); /* the same digest again allocates nothing */
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_once(struct slice s, uint8_t ret[static HASH_SIZE])
{
	/* libcrypto's one-shot digest without an allocation a call. */
	static _Thread_local EVP_MD_CTX *ctx;
	int r;

	if (!ctx)
		ctx = EVP_MD_CTX_new();
	r = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	    EVP_DigestUpdate(ctx, s.p, s.n) == 1 &&
	    EVP_DigestFinal_ex(ctx, ret, NULL) == 1;
	assert(r);
}

int hash_keyed(const struct secret *key, const struct slice *parts,
	       size_t n_parts, uint8_t ret[static HASH_SIZE])
{
	blake2b_state s;
	int r;

	r = blake2b_init_key(&s, HASH_SIZE, secret_bytes(key), SECRET_SIZE);
	for (size_t i = 0; i < n_parts && r == 0; i++)
		r = blake2b_update(&s, parts[i].p, parts[i].n);
	if (r == 0)
		r = blake2b_final(&s, ret, HASH_SIZE);
	sodium_memzero(&s, sizeof(s));
	return r == 0 ? 0 : -EIO;
}

int hash_blake2b(struct slice s, uint8_t ret[static HASH_SIZE])
{
	return blake2b(ret, s.p, NULL, HASH_SIZE, s.n, 0) == 0 ? 0 : -EIO;
}
