#include "crypto/bip32.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include "crypto/secp_context.h"
#include "crypto/secret.h"

#define COMPRESSED_SIZE 33 /* bytes of a public key */

struct bip32 {
	uint8_t key[SECRET_SIZE];
	uint8_t chain[BIP32_CHAIN_SIZE];
};

/* What is copied about on the way to a child; wiped as a whole. */
struct step {
	uint8_t message[COMPRESSED_SIZE + 4];
	uint8_t digest[SECRET_SIZE + BIP32_CHAIN_SIZE];
};

static void wipe(struct step *s)
{
	sodium_memzero(s, sizeof(*s));
}

#define _cleanup_wipe_ _cleanup_(wipe)

static int hmac(const void *key, size_t n_key, const uint8_t *message, size_t n,
		uint8_t ret[static SECRET_SIZE + BIP32_CHAIN_SIZE])
{
	if (!HMAC(EVP_sha512(), key, (int)n_key, message, n, ret, NULL))
		return -ENOMEM;
	return 0;
}

int bip32_root(const uint8_t *seed, size_t n_seed, struct bip32 **ret)
{
	static const char label[] = "Bitcoin seed";
	_cleanup_bip32_ struct bip32 *node = NULL;
	_cleanup_wipe_ struct step s = { 0 };
	int r;

	if (n_seed < BIP32_SEED_MIN || n_seed > BIP32_SEED_MAX)
		return -EINVAL;
	node = sodium_malloc(sizeof(*node));
	if (!node)
		return -ENOMEM;
	r = hmac(label, sizeof(label) - 1, seed, n_seed, s.digest);
	if (r < 0)
		return r;
	memcpy(node->key, s.digest, SECRET_SIZE);
	memcpy(node->chain, s.digest + SECRET_SIZE, BIP32_CHAIN_SIZE);
	if (!secp256k1_ec_seckey_verify(secp256k1_context_static, node->key))
		return -EINVAL;
	*ret = steal(&node);
	return 0;
}

static int put_public(const secp256k1_context *c, const struct bip32 *node,
		      uint8_t ret[static COMPRESSED_SIZE])
{
	size_t n = COMPRESSED_SIZE;
	secp256k1_pubkey public;

	if (!secp256k1_ec_pubkey_create(c, &public, node->key) ||
	    !secp256k1_ec_pubkey_serialize(c, ret, &n, &public,
					   SECP256K1_EC_COMPRESSED))
		return -EINVAL;
	return 0;
}

int bip32_child(const struct bip32 *parent, uint32_t index, struct bip32 **ret)
{
	_cleanup_secp_context_ secp256k1_context *c = NULL;
	_cleanup_bip32_ struct bip32 *node = NULL;
	_cleanup_wipe_ struct step s = { 0 };
	int r;

	r = secp_context(&c);
	if (r < 0)
		return r;
	node = sodium_malloc(sizeof(*node));
	if (!node)
		return -ENOMEM;

	/* 0x00 and the secret key, or the public key. */
	if (index & BIP32_HARD)
		memcpy(s.message + 1, parent->key, SECRET_SIZE);
	else
		r = put_public(c, parent, s.message);
	for (size_t i = 0; i < 4; i++)
		s.message[COMPRESSED_SIZE + i] = (uint8_t)(index >> (24 - 8 * i));
	if (r == 0)
		r = hmac(parent->chain, BIP32_CHAIN_SIZE, s.message,
			 sizeof(s.message), s.digest);
	if (r < 0)
		return r;
	memcpy(node->key, parent->key, SECRET_SIZE);
	memcpy(node->chain, s.digest + SECRET_SIZE, BIP32_CHAIN_SIZE);
	if (!secp256k1_ec_seckey_tweak_add(c, node->key, s.digest))
		return -EINVAL;
	*ret = steal(&node);
	return 0;
}

int bip32_descend(const struct bip32 *root, const uint32_t *path, size_t n_path,
		  struct bip32 **ret)
{
	_cleanup_bip32_ struct bip32 *at = NULL;
	int r;

	if (!n_path)
		return -EINVAL;
	for (size_t i = 0; i < n_path; i++) {
		struct bip32 *next = NULL;

		r = bip32_child(at ? at : root, path[i], &next);
		if (r < 0)
			return r;
		bip32_free(at);
		at = next;
	}
	*ret = steal(&at);
	return 0;
}

int bip32_key(const struct bip32 *node, struct secret **ret)
{
	return secret_new(node->key, ret);
}

const uint8_t *bip32_chain(const struct bip32 *node)
{
	return node->chain;
}

void bip32_free(struct bip32 *node)
{
	sodium_free(node); /* wipes; NULL is fine */
}
