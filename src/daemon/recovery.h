/*
 * recovery.h - local databases of a drive, filled from its stores
 *
 * recover makes a drive directory out of words and stores; mount --snapshot a
 * temporary one.  Both look at the stores, and write a ledger and a cache that
 * know the commit and have loaded nothing else of it.
 *
 * A folder is one place to look at.  On a network every data set of the drive that the
 * chain knows is one, however many copies the URL asks for: a drive may have kept
 * more, what a provider that was given up holds may be nowhere else, and one whose
 * service has ended may still serve.  They are told apart when a commit was found
 * (recovery_settle()): the best become the slots of the drive's config, and are written
 * to; the others are noted as given up, which are read from when nobody else has a
 * piece, and which `gc` ends.
 *
 * Threading: one thread; brings its own loop.
 */
#ifndef DAEMON_RECOVERY_H
#define DAEMON_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct cache_params;
struct config;
struct err;
struct keys;
struct recover_found;
struct recovery;
struct rejoin;
struct salvage;

/* A sentence for people that is no error; NULL: nobody listens. */
typedef void (*recovery_warn)(const char *text);

/*
 * Look for the newest commit, or with `before` the newest below it, at the
 * stores of `c`; on a network as a reader of its payer.  *ret is set as soon as a
 * store answered, also on failure: see recovery_found().  Errors of recover_find()
 * (retrieve/recover.h), and:
 *
 * A folder that does not answer is waited for until half of the stores have, and
 * HURRY_MS; longer, up to its store_timeout or 10 s, only if what they have is not
 * complete.
 *
 * -ENOENT     the payer has no data set of this drive
 * -EBADMSG    endpoints of a network contradict each other (recovery_found() is NULL)
 */
must_check int recovery_open(const struct config *c, const struct keys *k,
			     uint64_t before, recovery_warn warn,
			     struct recovery **ret, struct err *reterr);

/* NULL is fine.  `*ret_left` becomes true if a thread still hangs in a store: then the
 * process has to end without destructors, which such a thread could run into. */
void recovery_close(struct recovery *r, bool *ret_left);

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
				recovery_warn warn, struct recovery **ret,
				struct err *reterr);

/* What salvage found, its report too; zeros after recovery_open(). */
const struct salvage *recovery_salvaged(const struct recovery *r);

/* What was found, for people; NULL if nothing could be looked at. */
const struct recover_found *recovery_found(const struct recovery *r);

/* Some store could not be asked: what was not found may be there. */
bool recovery_partial(const struct recovery *r);

/* Place i of found->stores, for people: the URL, or provider and data set.  And why
 * it does not answer; "": it does. */
const char *recovery_place(const struct recovery *r, size_t i);
const char *recovery_place_error(const struct recovery *r, size_t i);

/* -EOPNOTSUPP, in words: the drive asks for a newer writer than this program.
 * Reading is allowed: what recovery_fill() makes can be mounted read only. */
must_check int recovery_may_write(const struct recovery *r, struct err *reterr);

#define RECOVERY_AS_IS UINT64_MAX /* for `copies`: the URL stays as it is */

/*
 * Which places the drive goes on with, for a config with the stores of the one that
 * was looked with.  Where a network's URL does not say copies=, it gets as many as
 * `copies` leave beside the other stores, or as the commit says if that is 0; with
 * folders beside it no fewer than there are data sets, up to the default.
 */
must_check int recovery_settle(struct recovery *r, struct config *c,
			       uint64_t copies, struct err *reterr);

/* Payer's session key and budget, from the chain (rejoin.h); without a network there
 * is nothing to do. */
must_check int recovery_wallet(struct recovery *r, struct config *c,
			       struct rejoin *ret, struct err *reterr);

/* Databases in the empty directory of `p`, after recovery_settle(). */
must_check int recovery_fill(struct recovery *r, const struct cache_params *p,
			     struct err *reterr);

#endif
