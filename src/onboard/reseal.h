/*
 * reseal.h - pieces that are lost: what was in them is sealed anew, or named
 *
 *   the outbox file is gone, cut or damaged ─┐
 *   a store has lost its copy ───────────────┴─► piece LOST, unless another store
 *                                                 is said to have it
 *   packer: walk the tree ─► what hangs on lost blocks is dirty again ─► commit
 *                            (cache_redirty(): never evicted till then)
 *
 * A block that is here in the clear goes into a new piece.  What is left of a damaged
 * piece is read block by block.  A chunk that is nowhere any more keeps its old
 * link (the piece may be found again) and is named in the ledger; where only a
 * part of a chunk is here, the whole file stays as the last commit had it (keep.h),
 * and its local bytes stay dirty: nothing is ever filled with zeros, and no other
 * file has to wait.
 *
 * Threading: reseal_outbox() and reseal_lose() from any thread; the rest is the packer's.
 */
#ifndef ONBOARD_RESEAL_H
#define ONBOARD_RESEAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct cache_snap_inode;
struct link;
struct onboard;
struct run;

/*
 * The outbox could not give the piece whole.  Look at its file: 0 it is sound, or a store
 * has the piece; 1 the piece is lost.
 */
must_check int reseal_outbox(struct onboard *o, uint64_t ordinal);

/* A store has lost its copy, or has it damaged: 1 if that was the last one. */
must_check int reseal_lose(struct onboard *o, uint64_t ordinal);

/* Is there a loss that no commit has answered for? */
bool reseal_is_due(struct onboard *o);

/* A sentence for each file that is known to have lost something (what is not
 * loaded here: lost.h); returns their number. */
must_check int reseal_tell(struct onboard *o,
			   void (*found)(void *ctx, const char *sentence),
			   void *ctx);

/* ---- of a run (run.h) ---- */

/* Before the snapshot: sets run->losses and run->mending, and makes dirty. */
must_check int reseal_begin(struct run *r);

/* Is the block of the link only in lost pieces?  1, 0. */
must_check int reseal_is_lost(const struct run *r, const struct link *l);

/* May some of that piece still be read somewhere?  1, 0. */
must_check int reseal_may_read(const struct run *r, const struct link *l);

/* An error that says «nowhere», not «not now». */
bool reseal_is_gone(int status);

/* `n` bytes of an inode are lost; `l`, if there is one, still names them. */
must_check int reseal_note(struct run *r, uint64_t ino, uint64_t n,
			   const struct link *l);

/* Does the new commit still link into the lost piece? */
bool reseal_is_linked(const struct run *r, uint64_t ordinal, uint64_t live);

/* After the commit is in the ledger: what is lost, for people. */
must_check int reseal_end(struct run *r);

void reseal_fini(struct run *r);

#endif
