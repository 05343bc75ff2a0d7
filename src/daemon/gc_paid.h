/*
 * gc_paid.h - for verb_gc.c: what only the owner may have removed at providers
 *
 *   gc_paid_open()   passphrase, chain, the drive's data sets; what it would cost
 *   gc_paid_plan()   transactions, said and asked; the removal key may act
 *   gc_paid_do()     pieces that the daemon has condemned, and data sets in which
 *                    this drive has nothing any more
 *
 * A piece is only removed after the daemon has condemned it and published a commit
 * without it.  A data set is only ended if no slot uses it, every piece has all of
 * its copies elsewhere, and the newest commit was not claimed in it.
 *
 * Killed anywhere, the next run goes on: the chain says what is done.
 *
 * All return an exit code and have said what went wrong.  Threading: one thread.
 */
#ifndef DAEMON_GC_PAID_H
#define DAEMON_GC_PAID_H

#include <jansson.h>
#include <stdbool.h>

#include "base/util.h"

struct cli;
struct gc_paid;

/* Is there a store of a network?  `found` is what the daemon found. */
bool gc_paid_is_needed(const json_t *found);

/* `dry`: nothing but the price is asked for, and no passphrase. */
must_check int gc_paid_open(const struct cli *cli, const json_t *found,
			    bool dry, struct gc_paid **ret);
void gc_paid_free(struct gc_paid *p); /* wipes; NULL is fine */

/* Says what it would do and what that costs.  *ret_pieces: how many pieces are to
 * be condemned at networks; *ret_any: is there anything for the owner to do? */
must_check int gc_paid_plan(struct gc_paid *p, unsigned *ret_pieces, bool *ret_any);

/* Ask, and let the removal key act. */
must_check int gc_paid_go(struct gc_paid *p);

/* `done`: what the daemon has condemned. */
must_check int gc_paid_do(struct gc_paid *p, const json_t *done);

#endif
