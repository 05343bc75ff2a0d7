/*
 * netstores.h - the slots of a filecoin:// store: one network, one wallet
 *
 * A store filecoin://network?copies=n of the config is n stores of the ledger, the
 * URL with "#0", "#1", … behind it; each is a struct provider (provider/pdp.h) with
 * notes of its own in ledger.db.  This holds what they share: HTTP, the connection to
 * the chain, who has which provider.
 *
 * Threading: new before loop_start(); netstores_slot() on the main thread.
 */
#ifndef DAEMON_NETSTORES_H
#define DAEMON_NETSTORES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct drive;
struct err;
struct foc;
struct ledger;
struct loop;
struct netstores;
struct provider;
struct secret;

#define NETSTORES_SUFFIX 4 /* bytes that "#n" and NUL need at most */

struct netstores_params {
	struct loop *loop;
	struct ledger *ledger;
	const char *url;         /* as in the config */
	struct address payer;    /* none: nothing can be stored or found */
	struct secret *session;  /* taken over in any case; NULL: read only */
	const uint8_t *drive_id; /* KEYS_DRIVE_ID_SIZE bytes; borrowed */
	struct u256 budget;      /* units a month; 0: nothing is spent */
	bool ipfs_indexing;
	uint64_t up_rate, down_rate; /* bytes a second; 0: no limit */
	unsigned silence_ms;         /* provider.h; 0: its default */
};

bool netstores_is(const char *url); /* filecoin://… */

/* Slots that a URL asks for; -EINVAL with the reason. */
must_check int netstores_count(const char *url, unsigned *ret, struct err *reterr);

/* "url#n", in the heap. */
must_check int netstores_name(const char *url, unsigned slot, char **ret);

/*
 * What the drive's config says of its wallet: payer, session, budget, ipfs_indexing,
 * up_rate, down_rate, by their names; what is not there has no limit, or no wallet.
 */
must_check int netstores_params_of(const struct drive *d,
				   struct netstores_params *ret,
				   struct err *reterr);

must_check int netstores_new(const struct netstores_params *p,
			     struct netstores **ret, struct err *reterr);

/* The slot's provider, which is store `id` of the ledger. */
must_check int netstores_slot(struct netstores *n, unsigned slot, uint64_t id,
			      struct provider **ret, struct err *reterr);

struct foc *netstores_foc(const struct netstores *n);

/*
 * In two steps: nobody waits in a slot any more, and the loop runs (or never did);
 * then, when it has ended, and the slots are gone.  NULL is fine.
 */
void netstores_shut(struct netstores *n);
void netstores_free(struct netstores *n);

#endif
