/*
 * pack.h - the pieces of one commit while they are written
 *
 *   leaf ─► sealed on a worker, some beside each other ─► known already? link to
 *           it : append
 *   node ─► sealed here        ─► likewise
 *
 * Blocks are deduplicated inside the drive by the digest of the sealed block:
 * against the open piece, and against those that are READY or HELD (never against
 * one that is condemned or lost).  A piece that is full is finished, named, recorded in the
 * ledger and synced; then the next begins.
 *
 * Threading: one thread (the packer); sealing of leaves fans out to workers, and so
 * do the hash of the piece and the writing of its file.
 */
#ifndef ONBOARD_PACK_H
#define ONBOARD_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "crypto/link.h"
#include "dag/sealer.h"
#include "dag/trailer.h"
#include "dag/xindex.h"
#include "onboard/internal.h"

struct pack;

/* What becomes of a leaf: called in the order of pack_leaf(). */
typedef int (*pack_leaf_cb)(void *ctx, const struct link *leaf, uint32_t size);

must_check int pack_new(struct onboard *o, struct pack **ret);

/* Drops the piece that is open; finished ones stay (they are found again). */
void pack_free(struct pack *p);

/* The run is given up: what it has finished goes as well (fill.h). */
must_check int pack_take_back(struct pack *p);

/*
 * Room for a leaf of n bytes, which go to SEAL_HEAD_SIZE in it: it is sealed where
 * it stands.  Heap: for pack_leaf() or free().  NULL: no memory.
 */
uint8_t *pack_leaf_room(const struct pack *p, uint32_t n);

/*
 * The n bytes in `room` (taken over also on failure) as a leaf.  `cb` is called
 * from this or a later call, pack_drain() at the latest.
 */
must_check int pack_leaf(struct pack *p, uint8_t *room, uint32_t n,
			 pack_leaf_cb cb, void *ctx);
must_check int pack_drain(struct pack *p);

/* From now on nodes: closes a piece of many leaves, keeps a small one. */
must_check int pack_begin_nodes(struct pack *p);

/* The sealer for the DAG's builders; `kind` of what is built with it next. */
struct sealer *pack_sealer(struct pack *p, enum xindex_kind kind);

/* Any opened bytes as a sealed block: a node or an xattr set. */
must_check int pack_block(struct pack *p, enum link_codec codec,
			  enum xindex_kind kind, struct slice body,
			  struct link *ret);

/*
 * Which pieces hold the blocks that are linked from here on?  The commit has to
 * name those of the catalogue, since the catalogue names all others.
 */
void pack_track(struct pack *p);
const uint64_t *pack_tracked(const struct pack *p, size_t *ret_n);

/* Room for the commit in the open piece, and which ordinal it has. */
must_check int pack_head_piece(struct pack *p, uint64_t *ret_ordinal);

/* The commit, and the end of the head piece. */
must_check int pack_commit(struct pack *p, struct slice record,
			   const uint8_t digest[static 32], uint64_t sequence,
			   const struct trailer_head *previous);

static inline void pack_freep(struct pack **p)
{
	pack_free(*p);
}

#define _cleanup_pack_ _cleanup_(pack_freep)

#endif
