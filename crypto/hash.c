#include "crypto/hash.h"

#include <blake2.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>

#include "crypto/kept.h"
#include "crypto/secret.h"

#define HASH_LONG 4096 /* bytes; measured: the two cross between 1 and 4 KiB */

void sha256_once(struct slice s, uint8_t ret[static HASH_SIZE])
{
	EVP_MD_CTX *ctx = kept_sha256();

	if (ctx && EVP_DigestUpdate(ctx, s.p, s.n) == 1 &&
	    EVP_DigestFinal_ex(ctx, ret, NULL) == 1)
		return;
	/* Without memory for a context: slower, but needs none. */
	(void)crypto_hash_sha256(ret, s.p, s.n); /* cannot fail */
}

/*
 * libcrypto hashes long messages at twice the speed of libb2, but needs a
 * context from the heap, which is not worth it for short ones.
 */
static int keyed_long(const struct secret *key, const struct slice *parts,
		      size_t n_parts, uint8_t ret[static HASH_SIZE])
{
	size_t size = HASH_SIZE, n;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(kept_blake2b_mac());
	int ok;

	ok = ctx && EVP_MAC_init(ctx, secret_bytes(key), SECRET_SIZE, params) == 1;
	for (size_t i = 0; i < n_parts && ok; i++)
		ok = EVP_MAC_update(ctx, parts[i].p, parts[i].n) == 1;
	ok = ok && EVP_MAC_final(ctx, ret, &n, HASH_SIZE) == 1 && n == HASH_SIZE;
	EVP_MAC_CTX_free(ctx); /* wipes the key */
	return ok ? 0 : -ENOMEM;
}

int hash_keyed(const struct secret *key, const struct slice *parts,
	       size_t n_parts, uint8_t ret[static HASH_SIZE])
{
	blake2b_state s;
	size_t total = 0;
	int r;

	for (size_t i = 0; i < n_parts; i++)
		total += parts[i].n;
	if (total >= HASH_LONG && kept_blake2b_mac())
		return keyed_long(key, parts, n_parts, ret);

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
