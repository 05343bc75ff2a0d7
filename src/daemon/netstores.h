/*
 * netstores.h - the slots of a filecoin:// store: one network, one wallet
 *
 * A store filecoin://network?copies=n of the config is n stores of the ledger, the
 * URL with "#0", "#1", … behind it; each is a struct provider (provider/pdp.h) with
 * notes of its own in ledger.db.  This holds what they share: HTTP, the connection to
 * the chain, who has which provider.
 *
 * Without a ledger (a drive that is being recovered, a snapshot) nothing is known, and
 * nothing can be stored: each data set of the drive that the chain knows is a slot
 * to read from, with notes in memory.  More of them may be there than the URL asks
 * for: of providers that were given up, or of a drive that kept more copies.  Which of
 * them become slots of the new ledger is the caller's choice (recovery.h).
 *
 * Threading: new before loop_start(); the rest on the main thread.
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
struct pdp_set;
struct provider;
struct secret;

#define NETSTORES_SUFFIX 4 /* bytes that "#n" and NUL need at most */

struct netstores_params {
	struct loop *loop;
	struct ledger *ledger;   /* NULL: netstores_find() in place of slots */
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

/* ---- without a ledger ---- */

struct netstores_find {
	size_t max; /* so many are taken, the best; up to PDP_SLOTS_MAX */
	/* An endpoint that cannot be counted on (chain/foc.h: foc_check()). */
	void (*warn)(void *ctx, const char *endpoint, const char *why);
	void *ctx;

	size_t n;      /* found and taken */
	size_t n_left; /* found, with no room for them */
};

/*
 * Waits for the chain: the loop runs.  Once.  -ENOENT: the payer has no data set of
 * this drive; -EBADMSG: the endpoints contradict each other; errors of foc.h.
 */
must_check int netstores_find(struct netstores *n, struct netstores_find *p,
			      struct err *reterr);

/* The i-th, best first (provider/pdp.h). */
const struct pdp_set *netstores_set(const struct netstores *n, size_t i);

/* To read from. */
must_check int netstores_open(struct netstores *n, size_t i,
			      struct provider **ret, struct err *reterr);

/* Store `id` of the ledger is that data set from now on, nothing chosen anew. */
must_check int netstores_keep(const struct netstores *n, size_t i,
			      struct ledger *l, uint64_t id);

/* The slot that is store `id` has given it up: it may still be read from. */
must_check int netstores_give_up(const struct netstores *n, size_t i,
				 struct ledger *l, uint64_t id, const char *why);

struct foc *netstores_foc(const struct netstores *n);

/*
 * In two steps: nobody waits in a slot any more, and the loop runs (or never did);
 * then, when it has ended, and the slots are gone.  NULL is fine.
 */
void netstores_shut(struct netstores *n);
void netstores_free(struct netstores *n);

#endif
