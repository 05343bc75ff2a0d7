/*
 * keys.h - what a drive's 24 words stand for (docs/format.md section 7)
 *
 *   entropy (256 bits, the words)
 *     ├── "drive"  the drive secret ── one subkey for each use below
 *     └── (BIP-39) the wallet; nothing here leads to it
 *
 * All arrows are secret_derive() and cannot be walked back: who has the drive
 * secret (the daemon) has neither the words nor the purse.  The convergence
 * secret is not here: it is random, lives in the commits and can be rotated
 * (secret_new_random()).
 *
 * Threading: immutable once made; may be used from any thread.
 */
#ifndef CRYPTO_KEYS_H
#define CRYPTO_KEYS_H

#include "base/util.h"

struct keys;
struct secret;

#define KEYS_DRIVE_ID_SIZE  16
#define KEYS_HEAD_NAME_SIZE 32

/* One subkey for each purpose; the labels stand in keys.c. */
enum keys_use {
	KEYS_COMMIT,    /* seals commits */
	KEYS_TRAILER,   /* seals the trailers of pieces */
	KEYS_HEAD,      /* PRF: names in the head register */
	KEYS_HEAD_SEAL, /* seals what stands in the head register */
	KEYS_DB,        /* pages of the local databases */
	KEYS_SEGMENT,   /* slots of the local segments */
	KEYS_NX
};

/* -ENOMEM, -EIO. */
must_check int keys_from_entropy(const struct secret *entropy, struct keys **ret);
void keys_free(struct keys *k); /* wipes; NULL is fine */

/* secret_locked() of all of them. */
must_check int keys_locked(const struct keys *k);

/* Public: names the drive in associated data.  KEYS_DRIVE_ID_SIZE bytes. */
const uint8_t *keys_drive_id(const struct keys *k);

/* Borrowed: lives as long as `k`. */
const struct secret *keys_secret(const struct keys *k, enum keys_use use);

/*
 * The name of head `sequence` in the head register: PRF(head key, network,
 * sequence).  `network` keeps the registers of two chains apart (a chain id);
 * 0 for stores that are no chain.
 */
must_check int keys_head_name(const struct keys *k, uint64_t network,
			      uint64_t sequence,
			      uint8_t ret[static KEYS_HEAD_NAME_SIZE]);

/* For slot.c only: the drive secret, and the keys that grow from it. */
must_check int keys_from_drive_secret(const struct secret *drive, struct keys **ret);
const struct secret *keys_drive_secret(const struct keys *k);

static inline void keys_freep(struct keys **k)
{
	keys_free(*k);
}

#define _cleanup_keys_ _cleanup_(keys_freep)

#endif
