/*
 * rlp.h - Recursive Length Prefix, in which Ethereum writes transactions
 *
 *   first byte   what follows
 *   00 … 7f      nothing: the byte is its own string
 *   80 … b7      a string of 0 to 55 bytes
 *   b8 … bf      the length in 1 to 8 bytes, big-endian; a string of 56 or more
 *   c0 … f7      a list whose items take 0 to 55 bytes
 *   f8 … ff      the length in 1 to 8 bytes; a list of 56 or more
 *
 * Spec: https://ethereum.org/en/developers/docs/data-structures-and-encoding/rlp/.
 * A number is a string without leading zeros; 0 is the empty one.
 *
 * The reader takes the one canonical spelling of each value only.  Its errors
 * are the cursor's: sticky, -EPROTO.
 *
 * Threading: stateless.
 */
#ifndef CHAIN_RLP_H
#define CHAIN_RLP_H

#include <stdbool.h>

#include "base/cursor.h"
#include "base/slice.h"
#include "base/util.h"
#include "chain/u256.h"

struct buf;

/* Append a string, a number, a list of items that are written already. */
must_check int rlp_put_bytes(struct buf *b, struct slice s);
must_check int rlp_put_u256(struct buf *b, struct u256 v);
must_check int rlp_put_u64(struct buf *b, uint64_t v);
must_check int rlp_put_list(struct buf *b, struct slice items);

/* The next item is a list.  False at the end. */
bool rlp_is_list(const struct cursor *c);

/* The next item; empty or 0 after an error.  Slices borrow from the input. */
struct slice rlp_get_bytes(struct cursor *c);
struct u256 rlp_get_u256(struct cursor *c);
uint64_t rlp_get_u64(struct cursor *c);

/* A list's items.  Check the cursor of each level: an inner one does not tell. */
struct cursor rlp_get_list(struct cursor *c);

#endif
