/*
 * watch.h - proofs are watched, and who gives none is replaced
 *
 * Each shipper asks its store now and then how its proofs stand (PROOF), puts that
 * to judge.h, and replaces a storage provider that is not worth its place:
 *
 *   note «replacing» ─► REPLACE ─► ledger_store_reset ─► ATTACH chooses another
 *                          └─ refused (the budget, nobody else): it stays, and is
 *                             said; asked again with the next look
 *
 * From the reset on the store is an empty one: what the drive has is put there from
 * the outbox, or pulled from another store.  A piece that was nowhere else is pulled
 * from the provider that was given up, as long as it serves; then it is lost
 * (reseal.h).  What was given up stays on chain and is paid for until `gc` ends it:
 * it is remembered here.
 *
 * What is known is a note of the ledger, for status, and for the next start.
 *
 * Threading: watch_turn() on the shipper's thread; the readers from any thread but
 * the loop's.
 */
#ifndef ONBOARD_WATCH_H
#define ONBOARD_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "ledger/ledger.h"
#include "onboard/judge.h"
#include "provider/provider.h"

struct onboard;
struct shipper;

struct watch {
	uint64_t asked_s; /* seconds; last answer to PROOF; 0: none yet */
	struct provider_proof proof;
	enum judge_verdict verdict;
	char why[JUDGE_TEXT_MAX]; /* "": it is fine */
	char refused[JUDGE_TEXT_MAX]; /* it is to be replaced, and why that cannot be;
				       "": nothing stands in the way */
	uint64_t away_s;              /* for which it has been asked in vain */
	uint32_t wrong; /* times that a piece came back wrong, or not at all */
	bool replacing; /* REPLACE is under way */
};

/* Who held copies once; its data set still costs until it is ended. */
struct watch_given {
	uint64_t time_s;
	uint64_t provider, set;
	char name[PROVIDER_PROOF_NAME_MAX];
	char why[JUDGE_TEXT_MAX];
};

#define WATCH_GIVEN "given/" /* keys of notes; then time-set, in hex */

/* What was noted of a store.  -ENOENT: nothing; -EUCLEAN. */
must_check int watch_read(struct ledger *l, uint64_t store, struct watch *ret);

/* Whom this store gave up, oldest first. */
must_check int watch_given(struct ledger *l, uint64_t store,
			   int (*cb)(void *ctx, const struct watch_given *g),
			   void *ctx);

/* One more of them, of a store that is not open: recovery knows it from the chain. */
must_check int watch_give(struct ledger *l, uint64_t store,
			  const struct watch_given *g);

/* The data set of one that was given up is ended, and is named no more. */
must_check int watch_ended(struct ledger *l, uint64_t store, uint64_t set);

/* Is a commit due for a store that was replaced, even if nothing has changed? */
bool watch_renews(struct onboard *o);

/*
 * Ask, judge, replace, if it is time.  -EINPROGRESS: it is being replaced, and
 * nothing else is to be asked of it until that is over; -ECANCELED; else 0, or an
 * error of the ledger.
 */
must_check int watch_turn(struct shipper *s);

/*
 * A piece was read back from it in vain, or well, while it was the `generation` that
 * it is: the placement's new state.  It was in state `was`, and `doubted` or not, when
 * the reading began.  0: kept; 1: nothing was changed, for meanwhile it has been
 * replaced, or somebody else looked and did not find the piece, was served it wrong,
 * or removes it.
 */
unsigned watch_generation(struct shipper *s);
must_check int watch_place(struct shipper *s, unsigned generation,
			   enum ledger_placement_state was, bool doubted,
			   const struct ledger_placement *p);

/*
 * It gave a piece back wrong, or did not have it: to us, who read it back, or to a
 * reader.  It is judged soon.  Any thread.
 */
void watch_wrong(struct shipper *s);

#endif
