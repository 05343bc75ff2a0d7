/*
 * attr.h - what stat(2) and the extended attributes say about one inode
 *
 * A directory's node carries an Attr for every child (field 1204 of its UnixFS
 * Data), the commit one for the root, the inode table one for every file with
 * more than one name (docs/format.md section 3).  Canonical form: field.h.
 *
 *   field  type    meaning
 *   1      u64     inode number
 *   2      u32     st_mode, with the S_IFMT bits
 *   3, 4   u32     uid, gid
 *   5      u64     size, bytes
 *   6, 7   sint64, u32 ns   mtime
 *   8, 9   the same         ctime
 *   10, 11 the same         btime
 *   12, 13 the same         atime
 *   14     u32     nlink
 *   15     u64     rdev: major << 32 | minor
 *   16     repeated Xattr {1 name, 2 value}, ascending by name; at most
 *          ATTR_XATTRS_INLINE bytes of names and values together
 *   17     Ref {1 CID, 2 key, 3 place}: a sealed raw block that holds a larger
 *          set; place = three varints: piece ordinal, offset, length
 *   18     1 = shared: this entry only names the inode {1, 2, 18}; the
 *          inode table has the truth
 *
 * The empty message is the Attr of what has none (sub-shards): mode is 0.
 * The block of field 17 is a message of field 16 only.
 *
 * Threading: pure functions.  Slices borrow from the input.
 */
#ifndef DAG_ATTR_H
#define DAG_ATTR_H

#include "crypto/link.h"

struct buf;

#define ATTR_XATTRS_INLINE   256        /* bytes of names and values */
#define ATTR_XATTR_NAME_MAX  255        /* bytes; Linux' limit */
#define ATTR_XATTR_VALUE_MAX (64 << 10) /* bytes; Linux' limit */
#define ATTR_XATTRS_MAX      (1u << 20) /* bytes of a set, encoded: one block */
#define ATTR_ENCODED_MAX     4096       /* bytes of an Attr, more are refused */

struct attr_time {
	int64_t s;
	uint32_t ns; /* below 1,000,000,000 */
};

struct attr {
	uint64_t ino;
	uint32_t mode; /* with S_IFMT; 0 = no attributes at all */
	uint32_t uid;
	uint32_t gid;
	uint64_t size;
	struct attr_time mtime;
	struct attr_time ctime;
	struct attr_time btime;
	struct attr_time atime;
	uint32_t nlink;
	uint64_t rdev; /* major << 32 | minor */
	/* A set as attr_xattrs_encode() makes it; empty if xattr_link is used. */
	struct slice xattrs;
	struct link xattr_link; /* LINK_NONE, or a sealed raw block */
	bool shared;
};

struct attr_xattr {
	struct slice name;
	struct slice value;
};

/* Private to attr.c. */
struct attr_iter {
	struct slice rest;
	struct slice last; /* name of the one before */
	int err;
};

/*
 * Append the canonical form.
 *
 * -EINVAL    a time, mode or xattr_link that the format cannot hold
 * -EMSGSIZE  more than ATTR_XATTRS_INLINE bytes of xattrs, or buf's maximum
 * -EPROTO    a->xattrs is not what attr_xattrs_encode() makes
 */
must_check int attr_encode(const struct attr *a, struct buf *b);

/* -EPROTO unless `s` is canonical; ret->xattrs borrows from `s`. */
must_check int attr_decode(struct slice s, struct attr *ret);

/*
 * Append a set of extended attributes, for attr.xattrs or for the block that
 * attr.xattr_link names.  `x` ascends by name (slice_cmp).
 *
 * -EINVAL    a name that is empty, has a NUL, comes twice or out of order
 * -EMSGSIZE  over a maximum, or buf's
 */
must_check int attr_xattrs_encode(const struct attr_xattr *x, size_t n,
				  struct buf *b);

/*
 * Walk a set: returns 1 and fills *ret, 0 at the end, -EPROTO if the set is not
 * canonical (then nothing follows).
 */
struct attr_iter attr_xattrs(struct slice set);
must_check int attr_xattrs_next(struct attr_iter *it, struct attr_xattr *ret);

/* Bytes of names and values together, to choose between 16 and 17; -EPROTO. */
must_check int attr_xattrs_size(struct slice set, size_t *ret);

#endif
