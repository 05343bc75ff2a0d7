/*
 * purse.h - the wallet that the recovery words open, and imported keys
 *
 *   words ── PBKDF2-HMAC-SHA512, 2048 rounds, salt "mnemonic" (BIP-39)
 *     └── seed, 64 bytes ── BIP-32 ── m/44'/60'/0'/0
 *           ├── /0  PURSE_OWNER     pays; opened by commands that move money
 *           ├── /1  PURSE_DAEMON    session key: may create and add, no more
 *           └── /2  PURSE_REMOVER   session key: may remove and end, for minutes
 *
 * The path is the one of every Ethereum wallet (BIP-44), so the words show the
 * same first address there.  The drive's keys (keys.h) grow on another branch:
 * neither leads to the other.
 *
 * Everything lives in guarded memory (secret.h).
 * Threading: immutable once made; may be used from any thread.
 */
#ifndef CRYPTO_PURSE_H
#define CRYPTO_PURSE_H

#include "base/slice.h"
#include "base/util.h"

struct err;
struct purse;
struct secret;

#define PURSE_TEXT_MAX 67 /* "0x", 64 digits, NUL */

enum purse_use {
	PURSE_OWNER,
	PURSE_DAEMON,
	PURSE_REMOVER,
	PURSE_NX
};

/* Some milliseconds.  -ENOMEM, -EIO. */
must_check int purse_from_entropy(const struct secret *entropy, struct purse **ret);

/*
 * Of any sentence of BIP-39, also of 12 words, with the passphrase that some
 * wallets add (none: empty).  One space stands between the words, in lower
 * case; they are not looked up.  -EINVAL: over 1 KiB.  -ENOMEM, -EIO.
 */
must_check int purse_from_sentence(struct slice words, struct slice passphrase,
				   struct purse **ret);

void purse_free(struct purse *p); /* wipes; NULL is fine */

/* -ENOMEM, -EIO. */
must_check int purse_key(const struct purse *p, enum purse_use use,
			 struct secret **ret);

/*
 * A key as other wallets export it: 64 hexadecimal digits, with or without 0x
 * and a line's end.  The caller wipes the text.
 *
 * -EINVAL, with the reason (and never the key) in `reterr`; -ENOMEM
 */
must_check int purse_import(struct slice text, struct secret **ret,
			    struct err *reterr);

/* The text of one key, for a person; the caller wipes it. */
void purse_export(const struct secret *key, char ret[static PURSE_TEXT_MAX]);

static inline void purse_freep(struct purse **p)
{
	purse_free(*p);
}

#define _cleanup_purse_ _cleanup_(purse_freep)

#endif
