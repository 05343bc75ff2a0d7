/*
 * fetch.h - groups of neighbouring blocks, from the store that answers first
 *
 * A group is asked for at the store that rank.h puts first.  The next one is asked
 *
 *   - when the first gives an error, or a block that does not verify (I4);
 *   - when it is late and the next is said to hold the piece, too.  The first answer
 *     that verifies wins, and the other request is called off.  Bytes asked for twice
 *     are at most a twentieth of all.
 *
 * All groups of a call are under way at once.
 */
#ifndef RETRIEVE_FETCH_H
#define RETRIEVE_FETCH_H

#include "retrieve/internal.h"

#define HEDGE_FIRST (4u << 20) /* bytes that may be asked for twice at first */
#define HEDGE_MOST  (8u << 20)
#define HEDGE_SHARE 20 /* one byte of so many */

/* Blocks of one piece, ascending, and the range that has them all. */
struct group {
	struct want **w;
	size_t n;
	uint64_t off, end;
};

/*
 * Settles what can be settled: the status of wants that it leaves alone stays
 * -EINPROGRESS.  `*away`: a store that may have some of it could not be reached.
 * Fails only for what is no store's fault (-ENOMEM, -ECANCELED, the ledger).
 */
must_check int groups_fetch(struct retrieve *r, const struct group *v, size_t n,
			    struct stop *stop, bool *away, struct err *reterr);

/* block.c: take one section apart, verify, open. */
must_check int want_open(struct retrieve *r, struct want *w, struct slice section);

#endif
