/*
 * bip32.h - trees of secp256k1 keys that grow from one seed
 *
 * A node is a secret key and a chain code of 32 bytes; its child i is their
 * HMAC-SHA512 over i and the node's key: the public one, or the secret one
 * where i is hardened.  Who has a node has all below it; from a child that is
 * not hardened and its parent's chain code the parent can be computed.
 * Spec: https://github.com/bitcoin/bips/blob/master/bip-0032.mediawiki.
 *
 * Nodes live in guarded memory (secret.h).
 * Threading: immutable once made; may be used from any thread.
 */
#ifndef CRYPTO_BIP32_H
#define CRYPTO_BIP32_H

#include "base/util.h"

struct bip32;
struct secret;

#define BIP32_HARD       0x80000000u /* an index with this bit is hardened */
#define BIP32_CHAIN_SIZE 32          /* bytes */
#define BIP32_SEED_MIN   16          /* bytes */
#define BIP32_SEED_MAX   64

/*
 * The root.  -EINVAL: a seed out of bounds, or (1 of 2^127) of no valid key.
 * -ENOMEM, -EIO.
 */
must_check int bip32_root(const uint8_t *seed, size_t n_seed, struct bip32 **ret);

/* -EINVAL (1 of 2^127): the index has no child; take the next.  -ENOMEM, -EIO. */
must_check int bip32_child(const struct bip32 *parent, uint32_t index,
			   struct bip32 **ret);

/* One child after another along `path`. */
must_check int bip32_descend(const struct bip32 *root, const uint32_t *path,
			     size_t n_path, struct bip32 **ret);

/* A copy of its key.  -ENOMEM. */
must_check int bip32_key(const struct bip32 *node, struct secret **ret);

/* For crypto/ and its tests: the chain code, as secret as the node. */
const uint8_t *bip32_chain(const struct bip32 *node);

void bip32_free(struct bip32 *node); /* wipes; NULL is fine */

static inline void bip32_freep(struct bip32 **node)
{
	bip32_free(*node);
}

#define _cleanup_bip32_ _cleanup_(bip32_freep)

#endif
