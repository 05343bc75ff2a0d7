/*
 * unixfs.h - UnixFS nodes: the Data message, and links with their extensions
 *
 * Spec: https://specs.ipfs.tech/unixfs/; extension fields: docs/format.md.
 *
 *   field  type      name            in
 *   1      varint    Type            all
 *   2      bytes     Data            file: content; symlink: target; shard: bitfield
 *   3      varint    filesize        file
 *   4      varint*   blocksizes      file: one a link (packed is read too)
 *   5      varint    hashType        shard: 0x22
 *   6      varint    fanout          shard
 *   7      varint    mode            optional
 *   8      message   mtime           optional { 1: int64 s; 2: fixed32 ns }
 *   1201   bytes     x_keys          sealed, with links: 32 bytes a link in wire
 *                                    order; zeros for identity links
 *   1202   bytes     x_places        sealed, with links: runs, below
 *   1203   bytes     x_holes         sealed files with a hole: bit i%8 of byte i/8
 *                                    is set if child i is a hole; ⌈links/8⌉ bytes
 *   1204   bytes*    Attr            sealed directories and shards: one a link,
 *                                    empty for sub-shards
 *
 *   x_places is a sequence of runs of protobuf varints; Σ n = links:
 *     n, ordinal, offset, n × length   blocks that lie back to back in piece
 *                                      `ordinal`, the first at `offset`
 *     n, 0                             n links without a place
 *   Offset and length are those of the CAR section (struct place).
 *
 * A sealed node is refused when x_keys, x_places or the number of Attr does not
 * match its links.  A plain node's decoder skips all unknown fields, so the
 * extensions cost nothing in other readers.
 *
 * The decoder allocates nothing.  Slices borrow from the block.
 * Threading: stateless.  Errors: -EPROTO for a wrong form, -EMSGSIZE.
 */
#ifndef DAG_UNIXFS_H
#define DAG_UNIXFS_H

#include "base/cursor.h"
#include "base/slice.h"
#include "crypto/link.h"
#include "dag/dagpb.h"

struct buf;
struct dag_profile;

enum unixfs_type {
	UNIXFS_RAW = 0, /* deprecated; read as a file */
	UNIXFS_DIRECTORY = 1,
	UNIXFS_FILE = 2,
	UNIXFS_METADATA = 3, /* reserved; refused */
	UNIXFS_SYMLINK = 4,
	UNIXFS_SHARD = 5
};

#define UNIXFS_MURMUR3 0x22

/* The Data message. */
struct unixfs {
	enum unixfs_type type;
	bool has_data;
	bool has_filesize;
	bool has_mode;
	bool has_mtime;
	struct slice data;
	uint64_t filesize;
	uint64_t hash_type; /* 0 if absent */
	uint64_t fanout;    /* 0 if absent */
	uint32_t mode;
	uint32_t mtime_ns;
	int64_t mtime_s;

	/* set by the decoder, ignored by the encoder */
	uint32_t n_sizes;
	uint32_t n_attrs;
	struct slice keys, places, holes; /* p == NULL: absent */
	struct slice message;
};

/* A link of a node with all that the node says of it. */
struct unixfs_child {
	struct slice name;
	struct link link; /* decoder: LINK_NONE for a hash that we do not know */
	struct slice cid;  /* decoder only: as it stands in the block */
	uint64_t tsize;    /* opened bytes of the DAG below; a hint */
	uint64_t size;     /* files: content bytes */
	bool hole;         /* files, sealed */
	struct slice attr; /* directories and shards, sealed */
};

struct unixfs_node {
	struct dagpb pb;
	struct unixfs fs;
	bool sealed;
};

struct unixfs_iter {
	const struct unixfs_node *node;
	struct cursor links;
	struct cursor sizes;  /* over the message */
	struct cursor packed; /* inside a packed field 4 */
	struct cursor attrs;  /* over the message */
	struct cursor places;
	uint64_t run_left; /* links left in the run of places */
	struct place run;
	uint32_t i;
};

/* Parse a dag-pb block and check that all counts agree. */
must_check int unixfs_node_parse(struct slice block, bool sealed,
				 struct unixfs_node *ret);

/* Walk the links in wire order.  `node` stays valid as long as `it`. */
void unixfs_iter_init(struct unixfs_iter *it, const struct unixfs_node *node);

/* 1 and a child; 0 at the end; after unixfs_node_parse() it does not fail. */
must_check int unixfs_next(struct unixfs_iter *it, struct unixfs_child *ret);

/*
 * Append the block of a node: links in the order given (the caller has sorted
 * them by name), then Data.  For files `children[i].size` become blocksizes.
 * Extension fields are written if the profile is sealed.
 */
must_check int unixfs_node_encode(const struct dag_profile *p,
				  const struct unixfs *fs,
				  const struct unixfs_child *children, size_t n,
				  struct buf *b);

/* A symlink's block: `target` in Data, no links. */
must_check int unixfs_symlink_encode(struct slice target, struct buf *b);

/* Bytes of the x_places field with its tag; what dir_basic_max leaves out. */
must_check int unixfs_places_size(const struct unixfs_child *children, size_t n,
				  size_t *ret);

#endif
