/*
 * gc_fees.h - fees of removals that a provider was asked for, until they are paid
 *
 * The owner's command asks a provider to remove pieces, and may be over, or killed,
 * long before the provider's transaction is on chain.  So what it is about to ask for
 * is a note of the ledger, under the first of these pieces: a piece is removed from a
 * data set once, with all that were asked for in one go.  When the store's shipper has
 * seen that it is gone there (onboard/remove.c) the fee was paid, and is in the books.
 *
 *   note 0, "removal/" store in 16 hex digits "-" piece CID
 *
 *   offset  size  field
 *   0       8     store, LE
 *   8       8     time, seconds since 1970, LE
 *   16      32    amount, units of the token, big-endian
 *   48      32    what it was paid for (ledger_spend.ref)
 *   80      1     c, length of the CID
 *   81      c     piece CID, binary
 *           ...   text, for people
 *
 * Threading: any that may wait for the disk.  Errors: those of ledger.h.
 */
#ifndef DAEMON_GC_FEES_H
#define DAEMON_GC_FEES_H

#include <stdint.h>

#include "base/util.h"

struct ledger;
struct ledger_spend;
struct piece_cid;

/* `s` is going to be asked for; before the provider is.  1: it may have been before. */
must_check int gc_fees_ask(struct ledger *l, uint64_t store,
			   const struct piece_cid *first,
			   const struct ledger_spend *s);

/* The provider has refused. */
must_check int gc_fees_forget(struct ledger *l, uint64_t store,
			      const struct piece_cid *first);

/* What has been paid since is in the books: before anybody reads them. */
must_check int gc_fees_settle(struct ledger *l);

#endif
