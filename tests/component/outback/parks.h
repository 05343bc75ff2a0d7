/*
 * parks.h - folders that behave as storage providers of a chain do
 *
 * What is put is parked, and served only once a COMMIT or a claim has kept it;
 * all stores of one network share a head register, and a COMMIT or claim fetches from
 * the others what was not put; every transaction counts.  A
 * store has a holder, number 100 + i at first, whose proofs can be asked for and who
 * can be replaced, by number 200 + i, ….
 */
#ifndef OUTBACK_PARKS_H
#define OUTBACK_PARKS_H

#include "base/thread.h"
#include "provider/provider.h"

#define PARKS_STORES  4
#define PARKS_MAX     512
#define PARKS_NETWORK 31415926u

struct parks_store {
	bool plain; /* set before it is installed: it stays a folder */
	struct provider *p;
	const struct provider_ops *real;
	struct loop *loop;
	struct piece_cid parked[PARKS_MAX], kept[PARKS_MAX];
	size_t n_parked, n_kept;
	unsigned n_commits, n_claims; /* transactions that were paid for */
	unsigned n_puts, n_fetched;   /* pieces that came that way */
	bool no_fetch;                /* it fetches nothing from others */
	bool refuse;                  /* COMMIT and claim fail: away */
	unsigned n_refused;           /* so many did */
	bool forget; /* once: what is parked is gone at the next COMMIT */

	/* Who holds the copies now, and what of it goes wrong. */
	struct provider_proof proof; /* state 0: PROOF says that it is good */
	unsigned n_looks;            /* at its proofs */
	bool gone;                   /* nothing of it answers; the chain does */
	bool removes;                /* the owner has signed for it */
	bool lies;   /* what it serves is not what it was given */
	bool shifts; /* it lies to readers alone; who reads back gets it right */
	bool rotten;     /* so does who reads back all of it, not who samples */
	unsigned n_full; /* pieces that were read back whole, as asked for */
	int no_replace;  /* REPLACE is answered with this; 0: it is done */
	bool late_replace;   /* done, and its answer is lost, each time */
	bool unchosen;       /* it was replaced, and not attached since */
	unsigned n_replaced; /* it is the n-th one after the first */
	struct piece_cid given[PARKS_MAX]; /* at the one that was given up */
	size_t n_given;
	bool given_gone;              /* that one does not serve any more */
	uint8_t id[PROVIDER_ID_SIZE]; /* of the n-th */
};

struct parks {
	struct lock lock;
	struct parks_store store[PARKS_STORES]; /* lock: lock; so is the rest */
	struct {
		uint8_t name[KEYS_HEAD_NAME_SIZE];
		struct piece_cid cid;
		bool lost; /* the data set that it was added to is no more */
	} head[PARKS_MAX];
	size_t n_heads;
};

struct parks *parks_new(void);
void parks_free(struct parks *n);

/* Provider `i`, a folder, becomes one of these; before it is asked anything. */
void parks_install(struct parks *n, size_t i, struct provider *p, struct loop *loop);

/* From now on store `i` removes what it is asked to: its owner has signed for it. */
void parks_let_remove(struct parks *n, size_t i);

/* Heads of which it is no longer known which piece they were. */
size_t parks_lost_heads(struct parks *n);

#endif
