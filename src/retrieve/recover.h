/*
 * recover.h - from the words and the stores to a drive (I6)
 *
 *   recover_find   head register of every store ─► newest head piece ─► its
 *                  trailer, commit, catalogue, retained commits; what is
 *                  missing.  Writes nothing.
 *   recover_into   a fresh ledger: pieces, placements, heads, secret
 *   recover_format a cache that loads everything when it is asked for
 *
 * Seconds, whatever the drive's size: it reads the head piece (its CommP is
 * checked), the catalogue and the list of retained commits, never file content.
 * Time grows with the number of pieces, not with their bytes.
 *
 * Stores may disagree: one was away when the newest head was claimed, or was put
 * back to an older state.  The newest head wins, and found->stores says which
 * store knew what, so that the caller can name it.  A rollback of every store
 * at once cannot be seen on a bare machine: show sequence, time and device.
 *
 * Two devices may have claimed one sequence.  The commit that most stores name is
 * taken, of two that equally many name the one of the store that comes first;
 * other_head marks the others, so that a person can choose by naming another
 * store first.  One that no more than half of the stores name, and that nobody
 * contests, was perhaps never published: it goes into the ledger as BUILT, and is
 * claimed at the other stores before the next commit stands on it (P5).
 *
 * A newest commit that does not open, or whose root, inode table or catalogue
 * cannot be read, is an error that says so; then `before` goes back: sequence
 * h - 1 and so on.  What the next commit of this device gets is a sequence above
 * the newest claimed one all the same (LEDGER_HEAD_SEEN).
 *
 * Threading: blocking calls, from any thread but the loop.  A struct
 * recover_found belongs to one thread.
 */
#ifndef RETRIEVE_RECOVER_H
#define RETRIEVE_RECOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "crypto/piece_cid.h"
#include "dag/commit.h"
#include "dag/piece.h"
#include "dag/trailer.h"

struct buf;
struct cache_attr;
struct cache_params;
struct err;
struct keys;
struct ledger;
struct provider;
struct recover_found;

#define RECOVER_STORES_MAX 16
#define RECOVER_WHY_MAX    256 /* bytes of a reason in words */

struct recover_params {
	const struct keys *keys;
	struct provider *const *stores; /* after PROVIDER_ATTACH; borrowed until
					   recover_into() */
	size_t n_stores;
	uint64_t before; /* 0: the newest; else the newest below this */
};

/* What one store had to say. */
struct recover_store {
	int status;        /* 0; -ENOENT: no head; else it cannot be used */
	uint64_t sequence; /* newest head claimed here; 0 none */
	uint64_t n_pieces; /* pieces listed here */
	bool other_head;   /* the sequence found names another piece here: of
			    another device, at the same time */
	bool head_whole; /* its copy of the head piece has the CommP of its name */
	bool head_damaged; /* its copy of the head piece is not what the CID says */
	char why[RECOVER_WHY_MAX]; /* status in words */
};

/* A piece of the drive, as catalogue and commit list it. */
struct recover_piece {
	uint64_t ordinal;
	struct piece_cid cid;
	uint64_t size; /* bytes */
	enum piece_kind kind;
	uint32_t stores; /* bit i: store i lists it with this size; 0: missing */
};

/* A commit that may be mounted read only (snapshot.h). */
struct recover_commit {
	uint64_t sequence;
	uint64_t time; /* seconds since 1970 */
	uint8_t *body; /* ledger/head_info.h */
	size_t n_body;
};

struct recover_found {
	uint64_t sequence;     /* of the commit that was found */
	uint64_t newest;       /* newest sequence claimed at any store */
	struct commit *commit; /* commit_info(): time, device, root … */
	uint8_t commit_hash[PIECE_DIGEST_SIZE]; /* of its record at the stores;
						   salvage may have changed
						   what `commit` says */
	struct piece_cid head;                  /* the piece that carries it */
	size_t n_claims; /* stores whose register names that piece; 0: unknown */
	bool contested;  /* a store has other_head */
	uint64_t head_size;     /* bytes */
	struct trailer trailer; /* of the head piece */
	bool head_verified;     /* a store's copy has the CommP of its name */
	struct recover_store stores[RECOVER_STORES_MAX];
	size_t n_stores;
	struct recover_piece *pieces; /* ascending by ordinal; the head's too */
	size_t n_pieces;
	size_t n_missing; /* at no store: files in them cannot be read */
	uint64_t missing_bytes;
	struct recover_commit *retained; /* ascending by sequence, without the
					    commit itself */
	size_t n_retained;
	uint8_t *root_xattrs; /* a set as attr.h encodes it */
	size_t n_root_xattrs;
};

/*
 * Look, and change nothing.  On failure *ret is still set when the stores
 * answered (its commit may be NULL): sequence, newest and stores tell what was
 * seen; free it in any case.
 *
 * -ENOENT     no store has a head of this drive: other words, another store, or
 *             a drive that never published
 * -EREMOTEIO  no store answers
 * -EBADMSG    no store can say what is there (its endpoints contradict each other);
 *             or the commit, or metadata needed to mount it, is damaged at every
 *             store; `before = found->sequence` may find an older one
 * -ENODATA    the same, missing
 * -EOPNOTSUPP the commit needs a newer program to be read; one that needs it to
 *             be written on is found: commit_may_write()
 */
must_check int recover_find(const struct recover_params *p,
			    struct recover_found **ret, struct err *reterr);
void recover_found_free(struct recover_found *f); /* NULL is fine */

/*
 * Fill a ledger that was just made: ledger_format() with
 * commit_convergence(f->commit) and the commit's epoch, then ledger_open() and
 * ledger_stores_set().  It gets every piece (where a store lists one there is a
 * placement in state STORED: it counts as a copy only after the shipper has read
 * it back), the retained commits and this one as CLAIMED heads (but see above),
 * LEDGER_HEAD_SEEN, LEDGER_BASE, LEDGER_MIN_WRITER.  `store_ids[i]` is the ledger's id of
 * params.stores[i]; 0: it is none of the drive's stores any more, and was only read
 * from.  Not one transaction: a ledger that it failed on is to be
 * thrown away.
 */
must_check int recover_into(const struct recover_found *f, struct ledger *l,
			    const uint64_t *store_ids, struct err *reterr);

/* An empty local drive whose root is the commit's, extended attributes too. */
must_check int recover_format(const struct recover_found *f,
			      const struct cache_params *p, struct err *reterr);

static inline void recover_found_freep(struct recover_found **f)
{
	recover_found_free(*f);
}
#define _cleanup_recover_found_ _cleanup_(recover_found_freep)

#endif
