#include "crypto/kept.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>
#include <zstd.h>

struct kept {
	EVP_MD_CTX *sha256;
	ZSTD_CCtx *zstd_c;
	ZSTD_DCtx *zstd_d;
	uint8_t *scratch;
};

static pthread_once_t kept_once = PTHREAD_ONCE_INIT;
static pthread_key_t kept_key;
static int kept_key_made;
static EVP_MD *kept_md;
static EVP_CIPHER *kept_cipher;
static EVP_MAC *kept_mac;

static void kept_free(void *p)
{
	struct kept *k = p;

	EVP_MD_CTX_free(k->sha256);
	(void)ZSTD_freeCCtx(k->zstd_c); /* cannot fail */
	(void)ZSTD_freeDCtx(k->zstd_d); /* cannot fail */
	if (k->scratch)
		sodium_memzero(k->scratch, KEPT_SCRATCH_SIZE);
	free(k->scratch);
	free(k);
}

static void kept_setup(void)
{
	kept_key_made = pthread_key_create(&kept_key, kept_free) == 0;
	kept_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	kept_cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	kept_mac = EVP_MAC_fetch(NULL, "BLAKE2BMAC", NULL);
}

static struct kept *kept(void)
{
	struct kept *k;

	(void)pthread_once(&kept_once, kept_setup); /* cannot fail */
	if (!kept_key_made)
		return NULL;
	k = pthread_getspecific(kept_key);
	if (k)
		return k;
	k = calloc(1, sizeof(*k));
	if (k && pthread_setspecific(kept_key, k) != 0) {
		free(k);
		return NULL;
	}
	return k;
}

EVP_MD_CTX *kept_sha256(void)
{
	struct kept *k = kept();

	if (!k || !kept_md)
		return NULL;
	if (!k->sha256)
		k->sha256 = EVP_MD_CTX_new();
	if (!k->sha256 || EVP_DigestInit_ex2(k->sha256, kept_md, NULL) != 1)
		return NULL;
	return k->sha256;
}

ZSTD_CCtx *kept_zstd_c(void)
{
	struct kept *k = kept();

	if (k && !k->zstd_c)
		k->zstd_c = ZSTD_createCCtx();
	return k ? k->zstd_c : NULL;
}

ZSTD_DCtx *kept_zstd_d(void)
{
	struct kept *k = kept();

	if (k && !k->zstd_d)
		k->zstd_d = ZSTD_createDCtx();
	return k ? k->zstd_d : NULL;
}

uint8_t *kept_scratch(void)
{
	struct kept *k = kept();

	if (k && !k->scratch)
		k->scratch = malloc(KEPT_SCRATCH_SIZE);
	return k ? k->scratch : NULL;
}

const EVP_CIPHER *kept_chacha20_poly1305(void)
{
	(void)pthread_once(&kept_once, kept_setup); /* cannot fail */
	return kept_cipher;
}

EVP_MAC *kept_blake2b_mac(void)
{
	(void)pthread_once(&kept_once, kept_setup); /* cannot fail */
	return kept_mac;
}
