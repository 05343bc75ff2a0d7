/*
 * mark.h - which pieces anything still needs
 *
 * Needed is every piece that holds a block which can be reached from
 *
 *   - a commit that can still be mounted, and is not to be forgotten: root directory, inode table, sets of
 *     extended attributes, the list of retained commits and the catalogue that its
 *     record names, and the record itself: so that recover can go back to it
 *   - commits that are built and not published yet
 *   - an inode that this drive directory has (also one that is open and has no name
 *     any more, or that has changed since)
 *
 * Links say in which piece a block is.  Where that piece is not whole any more, the
 * index of blocks says where it was sealed anew; where nobody knows, no piece whose
 * blocks are unknown here can be called dead.
 *
 * Of a piece that is LOST a damaged file may be at a store, whose sound blocks are
 * still good.  It is needed while any link names it, also where the block was sealed
 * anew: who recovers has no index that says where.
 *
 * Nodes are read (from the ledger's cache, the outbox, a store), leaves are not.
 * What cannot be read ends it: below it may be anything.  Marks only grow, so a
 * second run reads what is new since the first.
 *
 * Memory: 56 bytes a piece, 43 to 64 bytes a node that was read up to
 * MARK_SEEN_MAX (past it nodes that several commits share are read for each of
 * them), 96 bytes a node that waits to be read up to MARK_TODO_MAX.
 *
 * Threading: one thread at a time, which may wait.
 */
#ifndef ONBOARD_MARK_H
#define ONBOARD_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "ledger/ledger.h"

struct err;
struct mark;
struct onboard;

#define MARK_SEEN_MAX (1u << 21)
#define MARK_TODO_MAX (1u << 21)

struct mark_piece {
	uint64_t ordinal, size, seq;
	uint64_t cid_end; /* last bytes of its CID */
	uint64_t used; /* bytes that the newest commit needs, or more; not over
			  `size` */
	enum ledger_piece_state state;
	bool outbox, indexed;
	bool live; /* somebody needs it; of a LOST one: or may */
};

struct mark_stats {
	uint64_t commits, nodes; /* read */
	uint64_t unresolved; /* links into nowhere: only indexed pieces can be
				dead */
	uint64_t astray; /* links to what is lost, it is not known in which piece:
			    none that is lost can be dead */
};

/* Called now and then; anything but 0 ends the run with -ECANCELED. */
typedef int (*mark_progress)(void *ctx, uint64_t nodes);

/* Published commits before `forget_before` do not count, but for the newest. */
must_check int mark_new(struct onboard *o, uint64_t forget_before,
			mark_progress progress, void *ctx, struct mark **ret);
void mark_free(struct mark *m); /* NULL is fine */

/*
 * Everything that commits need.  With `inodes`, on the packer thread between two
 * commits, also what inodes need: then all is marked.
 *
 * -EREMOTEIO  a store that has something of it is away
 * -EMSGSIZE   over MARK_TODO_MAX
 * any other: a node is damaged; in words
 */
must_check int mark_run(struct mark *m, bool inodes, struct err *reterr);

/* Ascending by ordinal; the pieces there were when mark_new() was called. */
const struct mark_piece *mark_pieces(const struct mark *m, size_t *ret_n);
struct mark_stats mark_stats(const struct mark *m);

static inline void mark_freep(struct mark **m)
{
	mark_free(*m);
}
#define _cleanup_mark_ _cleanup_(mark_freep)

#endif
