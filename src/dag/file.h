/*
 * file.h - files as balanced UnixFS DAGs: builder and node reader
 *
 * Builder: leaves in order, `file_links` of the profile to a node, all leaves
 * at the same depth; one leaf alone is the root, and no bytes are one empty
 * leaf.  The last node of each level may have a single child.
 *
 * Holes (sealed profile) link a zero leaf.  The zero leaf and the node of each
 * level that has nothing but zero leaves below it are sealed once and linked
 * again, so an 8 TiB hole costs a few nodes.  A file that is nothing but one
 * hole leaf keeps a node above it, since a leaf cannot say that it is a hole.
 * In a plain profile a hole is zeros.
 *
 * Memory: at most depth × file_links children of about 330 bytes, whatever the
 * size of the file; 4 levels address an exbibyte.
 *
 * Reader: pure functions on the opened bytes of one node.  The caller drives
 * the traversal, compares each child with file_child_check() and stops at
 * FILE_DEPTH_MAX, so that a hostile DAG can neither loop nor make reads and
 * size disagree.  Uneven depth, inner nodes that also carry bytes and children
 * of any size are read.
 *
 * Threading: a builder belongs to one thread.  Errors: -ENOMEM, -EFBIG past
 * 2^63-1 bytes, -EPROTO for a wrong form, and whatever the sealer returns.
 */
#ifndef DAG_FILE_H
#define DAG_FILE_H

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"
#include "dag/unixfs.h"

struct dag_profile;
struct file_builder;
struct sealer;

#define FILE_DEPTH_MAX 32 /* nodes from the root to a leaf */

/* What a builder leaves behind. */
struct dag_root {
	struct link link;
	uint64_t size;  /* files: content bytes */
	uint64_t tsize; /* opened bytes of the whole DAG */
};

must_check int file_builder_new(const struct dag_profile *p,
				struct sealer *sealer, struct file_builder **ret);
void file_builder_free(struct file_builder *b); /* NULL is fine */

/* Seal `chunk` as the next leaf.  All but the last have chunk_bytes bytes. */
must_check int file_builder_add(struct file_builder *b, struct slice chunk);

/*
 * The next leaf, sealed before: just now by another thread, or a leaf of an
 * older DAG.  `size` is its content, 1 to chunk_bytes bytes; profile with raw
 * leaves only.
 */
must_check int file_builder_add_leaf(struct file_builder *b,
				     const struct link *leaf, uint64_t size);

/*
 * `n` bytes of hole.  Like leaves it begins on a chunk; unless it ends the
 * file, n is a multiple of chunk_bytes.  0 is fine.
 */
must_check int file_builder_add_hole(struct file_builder *b, uint64_t n);

/* Seal what is open.  After it only free. */
must_check int file_builder_finish(struct file_builder *b, struct dag_root *ret);

static inline void file_builder_freep(struct file_builder **b)
{
	file_builder_free(*b);
}
#define _cleanup_file_builder_ _cleanup_(file_builder_freep)

/* One opened node. */
struct file_node {
	struct unixfs_node node; /* of a dag-pb node */
	bool is_leaf;            /* raw: only `bytes` */
	struct slice bytes;      /* content in this node, before its children */
	uint64_t size;           /* content bytes: these and all below */
};

struct file_child {
	struct link link;
	struct slice cid; /* as it stands in the node; for foreign hashes */
	uint64_t off;     /* of its first byte in this node's content */
	uint64_t size;
	uint64_t tsize;
	bool hole;
};

struct file_iter {
	struct unixfs_iter it;
	uint64_t off;
};

/*
 * `body` is opened and verified; `codec` as the link says.  -EPROTO if it is no
 * file, sizes do not add up or overflow, or a link has a name.
 */
must_check int file_node_parse(struct slice body, enum link_codec codec,
			       bool sealed, struct file_node *ret);

/* Children in order. */
void file_iter_init(struct file_iter *it, const struct file_node *n);
must_check int file_iter_next(struct file_iter *it, struct file_child *ret);

/*
 * The child that holds content byte `off` of this node: 1; 0 if the byte is in
 * `n->bytes` or past the end.
 */
must_check int file_node_find(const struct file_node *n, uint64_t off,
			      struct file_child *ret);

/* -EPROTO unless the opened child is as long as its parent said. */
must_check int file_child_check(const struct file_child *c,
				const struct file_node *opened);

#endif
