/*
 * recovery.h - local databases of a drive, filled from its stores
 *
 * recover makes a drive directory out of words and stores; mount --snapshot a
 * temporary one.  Both look at the stores, and write a ledger and a cache that
 * know the commit and have loaded nothing else of it.
 *
 * Threading: one thread; brings its own loop.
 */
#ifndef DAEMON_RECOVERY_H
#define DAEMON_RECOVERY_H

#include <stdint.h>

#include "base/util.h"

struct cache_params;
struct config;
struct err;
struct keys;
struct recover_found;
struct recovery;
struct salvage;

/*
 * Look for the newest commit, or with `before` the newest below it, at the
 * stores of `c`.  *ret is set as soon as a store answered, also on failure: see
 * recovery_found().  Errors of recover_find() (retrieve/recover.h).
 */
must_check int recovery_open(const struct config *c, const struct keys *k,
			     uint64_t before, struct recovery **ret,
			     struct err *reterr);
void recovery_close(struct recovery *r); /* NULL is fine */

/*
 * The end of a command: close, and return `status`.  If a thread still hangs in a
 * store that does not answer, the process ends here with this exit status, without
 * the destructors that such a thread could run into.
 */
must_check int recovery_leave(struct recovery *r, int status);

/*
 * The same for a drive whose metadata, or whose head register, is damaged:
 * everything that the pieces still tell (retrieve/salvage.h).  recovery_fill()
 * then puts something in the place of what is lost.
 */
must_check int recovery_salvage(const struct config *c, const struct keys *k,
				struct recovery **ret, struct err *reterr);

/* What salvage found, its report too; zeros after recovery_open(). */
const struct salvage *recovery_salvaged(const struct recovery *r);

/* What was found, for people; NULL if nothing could be looked at. */
const struct recover_found *recovery_found(const struct recovery *r);

/* -EOPNOTSUPP, in words: the drive asks for a newer writer than this program.
 * Reading is allowed: what recovery_fill() makes can be mounted read only. */
must_check int recovery_may_write(const struct recovery *r, struct err *reterr);

/* Databases in the empty directory of `p`. */
must_check int recovery_fill(struct recovery *r, const struct cache_params *p,
			     struct err *reterr);

static inline void recovery_closep(struct recovery **r)
{
	recovery_close(*r);
}

#define _cleanup_recovery_ _cleanup_(recovery_closep)

#endif
