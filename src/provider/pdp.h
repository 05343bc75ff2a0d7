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
#include "chain/foc.h"
#include "chain/u256.h"
#include "crypto/keys.h"

struct err;
struct http;
struct pdp_group;
struct provider;
struct provider_notes;
struct secret;

#define PDP_SLOTS_MAX 16 /* of one group */

/*
 * What the slots of a drive on one network share: who has which provider, and
 * what the purse held a moment ago.
 */
must_check int pdp_group_new(struct pdp_group **ret);
void pdp_group_free(struct pdp_group *g); /* after its slots */

/* This provider is not to be chosen for a month (it failed us). */
void pdp_group_shun(struct pdp_group *g, uint64_t provider);

/* A provider, and the data set there. */
struct pdp_slot {
	bool chosen;
	uint64_t provider;
	struct address payee;
	uint64_t data_set;  /* 0: not created yet */
	struct u256 client; /* clientDataSetId */
	bool client_known;
	uint64_t min, max; /* bytes of a piece */
	uint64_t since;    /* seconds since 1970 */
	uint64_t seen;     /* epoch of the last landing */
	char url[FOC_URL_MAX];
	char name[FOC_NAME_MAX];
	char location[FOC_NAME_MAX];
};

/* A data set of the drive, as the chain knows it. */
struct pdp_own {
	struct view_data_set set;
	uint64_t leaves;
};

/*
 * All data sets of the payer that carry the drive's id, by their metadata, which
 * every endpoint is asked for: those that go on before those that ended, the
 * fullest first.  `wanted` (NULL: all) leaves out what need not be looked into.
 * *ret is the caller's to free (NULL if there is none); errors of foc.h.
 */
must_check int pdp_own_sets(struct foc *f,
			    const uint8_t drive_id[static KEYS_DRIVE_ID_SIZE],
			    bool (*wanted)(void *ctx, const struct view_data_set *s),
			    void *ctx, struct pdp_own **ret, size_t *ret_n,
			    struct err *reterr);

/* One of them, with what the registry says of its provider. */
struct pdp_set {
	bool ended; /* its service ends, or has ended */
	uint64_t leaves;
	struct pdp_slot slot;
	char why[128]; /* the provider cannot be reached: why; "": it can */
};

must_check int pdp_own_set(struct foc *f, const struct pdp_own *o,
			   struct pdp_set *ret, struct err *reterr);

/* To the notes of a slot: this provider was given up, and may still serve. */
must_check int pdp_note_given(const struct provider_notes *notes, uint64_t provider);

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
	/* What a slot without notes is: this data set, and no other.  NULL: it
	 * finds or chooses one.  Read by provider_new() alone. */
	const struct pdp_slot *set;
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
