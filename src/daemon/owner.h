/*
 * owner.h - the owner's key, for the commands that move money
 *
 * Opened with a passphrase, used, and wiped before the command ends: the daemon
 * never has it.  It is the words' first key (crypto/purse.h), or one that was
 * imported: then the file `wallet-key` holds it, wrapped (crypto/wrap.h) under
 * secret_derive(entropy, "imported wallet") with the drive's id, so that whatever
 * passphrase opens the words opens it too.
 *
 * Threading: one thread.
 */
#ifndef DAEMON_OWNER_H
#define DAEMON_OWNER_H

#include <stdbool.h>

#include "base/util.h"
#include "chain/address.h"

struct buf;
struct cli;
struct drive;
struct err;
struct eth_tx;
struct keys;
struct secret;

#define OWNER_KEY_FILE "wallet-key"

struct owner {
	struct secret *entropy; /* of the words; guarded memory, as all here */
	struct secret *key;
	struct secret *remover; /* the removal key */
	struct keys *keys;      /* the drive's */
	struct address address;
	bool imported;
};

/* Of a drive that is being made, from its words. */
must_check int owner_from_entropy(const struct secret *entropy, struct owner *ret);

/*
 * Ask for the passphrase (--passfile, --extpass, the terminal) and open.
 * -EKEYREJECTED; -EUCLEAN: it is not the payer that the config names; and those
 * of passphrase_read().
 */
must_check int owner_open(const struct cli *cli, struct drive *d,
			  struct owner *ret, struct err *reterr);

/* The same, whoever is to pay: to import the key of who does. */
must_check int owner_open_any(const struct cli *cli, struct drive *d,
			      struct owner *ret, struct err *reterr);
void owner_fini(struct owner *o); /* wipes */

/* For struct sender_params; ctx is the owner. */
must_check int owner_sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw);

/*
 * From now on another key pays: `imported`, or with NULL that of the words.  `o`
 * has it then; the config's payer is the caller's to change.
 */
must_check int owner_import(struct owner *o, struct drive *d,
			    const struct secret *imported, struct err *reterr);

#define _cleanup_owner_ _cleanup_(owner_fini)

#endif
