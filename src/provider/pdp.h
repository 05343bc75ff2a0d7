/*
 * pdp.h - one slot of a drive on Filecoin: a storage provider and a data set
 *
 * A store filecoin://network?copies=n has n slots, each a struct provider of its
 * own.  A slot chooses one storage provider and keeps to it: pieces are uploaded
 * there (PUT: parked), and one signed authorization makes the provider add up to 40
 * of them to the slot's data set (COMMIT; what another slot has need not be put, the
 * provider fetches it from there).  From then on they are paid for and proven.
 * docs/filecoin.md draws all of it.
 *
 * An add is a note before it is sent, and its nonce decides what became of it:
 *
 *   (none) ──sign, note──► SIGNED ──POST──► SENT ──on chain──► LANDED ──10 epochs──► (none)
 *                            ▲  │             │ lost, failed      │
 *                            │  └─refused─┐   │                   │ reorganised
 *                            └────────────┴◄──┴───────────────────┘
 *
 *   SIGNED  the authorization is durable here, and may be known to the provider
 *   SENT    the provider named a transaction
 *   LANDED  the chain has used the nonce: paid, once, whatever is sent again
 *   DEAD    refused for good while its pieces are wanted otherwise; watched for a
 *           day, in case it lands all the same
 *
 * The same pieces are not signed for a second time while the first may land: the
 * same bytes are sent again, which the contracts carry out once.
 *
 * VERIFIED means: the piece is live in our data set, says the chain (every
 * endpoint); the provider serves it in its full size; and the bytes served equal
 * the local file in samples (the last 256 KiB, four ranges of 64 KiB at random; all
 * of a piece up to 4 MiB).  Without the file, pieces up to 4 MiB and those asked
 * for with PROVIDER_FULL are read back whole and hashed; of others the samples are
 * only seen to be served: that they are right the provider proves to the chain, day
 * by day.
 *
 * Money (I8): nothing is signed that goes past the budget, the allowances on chain
 * or the deposit; the refusal is a sentence with figures.
 *
 * Threading: the verbs run on threads of the slot's own.  pdp_group_… from any.
 */
#ifndef PROVIDER_PDP_H
#define PROVIDER_PDP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"
#include "crypto/keys.h"

struct foc;
struct http;
struct pdp_group;
struct provider;
struct secret;

/*
 * What the slots of a drive on one network share: who has which provider, and
 * what the purse held a moment ago.
 */
must_check int pdp_group_new(struct pdp_group **ret);
void pdp_group_free(struct pdp_group *g); /* after its slots */

/* This provider is not to be chosen for a month (it failed us). */
void pdp_group_shun(struct pdp_group *g, uint64_t provider);

struct pdp_params {
	struct http *http;            /* borrowed, as all below */
	struct foc *foc;              /* of all slots; a fork a request */
	struct pdp_group *group;      /* of all slots */
	unsigned slot;                /* from 0 */
	const struct secret *session; /* signs; NULL: nothing can be added */
	const uint8_t *drive_id;      /* KEYS_DRIVE_ID_SIZE, public */
	struct u256 budget;           /* units a month; 0: nothing is spent */
	bool ipfs_indexing;           /* tells the world the CIDs of blocks */
	bool local;                   /* http to private addresses: a devnet */
	uint64_t up_rate, down_rate;  /* bytes a second; 0: no limit */
	unsigned poll_ms;             /* between two looks; 0: 4000 */
};

/* How a slot stands, for status. */
struct pdp_status {
	bool chosen;
	uint64_t provider;
	uint64_t data_set; /* 0: none yet */
	char name[129];    /* the provider's, printable */
	char url[257];
	char location[129];
};

/* `p` is a slot.  From memory. */
void pdp_status(struct provider *p, struct pdp_status *ret);
bool pdp_is(const struct provider *p);

#endif
