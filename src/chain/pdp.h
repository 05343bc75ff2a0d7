/*
 * pdp.h - PDPVerifier, the contract that holds data sets to their proofs
 *
 * A data set is an ordered set of pieces; ids are never used again.  Piece CIDs
 * are v2, binary.  Most getters revert with DataSetNotLive() for a set that was
 * deleted (revert.h); data_set_live never does.  Times are epochs of 30 s.
 * Conventions: call.h.
 */
#ifndef CHAIN_PDP_H
#define CHAIN_PDP_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;

#define PDP_PIECES_PAGE 100 /* pieces to ask for at once */

struct pdp_piece {
	uint64_t id;
	struct slice cid; /* borrowed */
};

/*
 * Answered by one of call_answer_…: data_set_live (bool); data_set_leaf_count (u64;
 * a leaf is 32 bytes of the padded piece); find_piece_ids, scheduled_removals
 * (ids); last_proven_epoch (epoch; the creation's at first).
 *
 * active_pieces_by_cursor begins at a piece id: go on at the last one + 1.
 * delete_data_set is a transaction, of anybody once a set is abandoned.
 */
must_check int pdp_data_set_live(uint64_t data_set, struct buf *ret);
must_check int pdp_active_pieces_by_cursor(uint64_t data_set, uint64_t start_piece,
					   uint64_t limit, struct buf *ret);
must_check int pdp_find_piece_ids(uint64_t data_set, struct slice cid,
				  uint64_t start_piece, uint64_t limit,
				  struct buf *ret);
must_check int pdp_piece_cid(uint64_t data_set, uint64_t piece, struct buf *ret);
must_check int pdp_data_set_leaf_count(uint64_t data_set, struct buf *ret);
must_check int pdp_scheduled_removals(uint64_t data_set, struct buf *ret);
must_check int pdp_last_proven_epoch(uint64_t data_set, struct buf *ret);
must_check int pdp_storage_provider(uint64_t data_set, struct buf *ret);
must_check int pdp_delete_data_set(uint64_t data_set, struct slice extra,
				   struct buf *ret);

/* Of both lists of pieces.  -EMSGSIZE: more than `cap`. */
must_check int pdp_pieces_answer(struct slice answer, struct pdp_piece *ret,
				 size_t cap, size_t *ret_n, bool *ret_more);
/* Borrows from the answer. */
must_check int pdp_piece_cid_answer(struct slice answer, struct slice *ret);
/* `ret_proposed`: who is to take over, or none. */
must_check int pdp_storage_provider_answer(struct slice answer, struct address *ret,
					   struct address *ret_proposed);

#endif
