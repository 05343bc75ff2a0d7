/*
 * head_info.h - what is kept of a commit: the body of a ledger_head
 *
 * Enough to mount it read only, to build the next commit on it, and to list it
 * among the retained ones.
 *
 *   encoded links (crypto/link.h) of root, inode table and catalogue, one behind
 *   the other; then varint and bytes of the root's Attr (dag/attr.h); then
 *   varint and bytes of the device's name; then, if the commit counted them,
 *   varints of its inodes (not 0) and of the bytes of its files
 */
#ifndef LEDGER_HEAD_INFO_H
#define LEDGER_HEAD_INFO_H

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"

struct buf;

struct head_info {
	struct link root;
	struct link inode_table; /* LINK_NONE: no hard links */
	struct link catalogue;
	struct slice root_attr; /* encoded; borrowed */
	struct slice device;    /* borrowed */
	uint64_t n_inodes;      /* 0: not counted */
	uint64_t n_bytes;       /* of all files */
};

must_check int head_info_encode(const struct head_info *h, struct buf *b);

/* Slices borrow from `s`.  -EPROTO. */
must_check int head_info_decode(struct slice s, struct head_info *ret);

#endif
