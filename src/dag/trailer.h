/*
 * trailer.h - the end of a piece, from which all of it is found
 *
 * The trailer is the last CAR section of a piece, so a piece stays a valid CARv1
 * to everybody else.  It has one size, so its section begins at a constant
 * distance from the end: a suffix range of TRAILER_SECTION_SIZE bytes fetches
 * it, and one of 256 KiB most often commit and root as well.
 *
 * The block of the section is a sealed record (crypto/record.h) under
 * KEYS_TRAILER, magic "trailer", version 1, with this body:
 *
 *   offset  size  field, all LE
 *   0       8     ordinal of the piece
 *   8       8     raw size of the piece, bytes, this section included
 *   16      8     h, sequence of the commit in this piece; 0 = none
 *   24      8     time of closing, seconds since 1970, signed
 *   32      1     1 data, 2 metadata
 *   33      7     zero
 *   40      44    commit: place and name; zeros if h = 0
 *   84      86    link of the index of the leaves (crypto/link.h)
 *   170     2     zero
 *   172     86    link of the index of the nodes
 *   258     2     zero
 *   260     8     previous head: its sequence; 0 = none
 *   268     8     previous head: ordinal of its piece
 *   276     32    previous head: sha2-256 of its sealed commit
 *   308     1     previous head: length of its piece CID v2
 *   309     48    previous head: its piece CID v2, zero padded
 *   357     3     zero
 *   360     8     number of leaves listed
 *   368     8     number of nodes listed
 *   376     136   zero
 *
 *   offset  size  field of the commit
 *   0       32    sha2-256 of the sealed commit
 *   32      8     offset of its CAR section in this piece
 *   40      4     length of that section
 *
 * An index that is not there is 86 zeros.  The previous head is the newest that
 * the writer knew when it closed the piece; in a piece with a commit it is the
 * commit's parent.
 *
 * Threading: pure functions.
 */
#ifndef DAG_TRAILER_H
#define DAG_TRAILER_H

#include "crypto/link.h"
#include "crypto/piece_cid.h"
#include "dag/piece.h"

struct buf;
struct keys;

#define TRAILER_BODY_SIZE    512
#define TRAILER_RECORD_SIZE  556 /* with nonce, tag and length */
#define TRAILER_SECTION_SIZE 594 /* with varint and CID */

/* A sealed record inside the piece: its key is derived, so no link. */
struct trailer_record {
	uint8_t digest[PIECE_DIGEST_SIZE];
	uint64_t off; /* of the CAR section */
	uint32_t len; /* of the CAR section; 0 = there is none */
};

/* A head of the drive: commit `sequence` and the piece that carries it. */
struct trailer_head {
	uint64_t sequence; /* 0 = none */
	uint64_t piece;    /* ordinal */
	uint8_t commit[PIECE_DIGEST_SIZE];
	struct piece_cid cid;
};

struct trailer {
	uint64_t piece;    /* ordinal */
	uint64_t raw_size; /* bytes of the piece */
	uint64_t sequence; /* of the commit; 0 = none */
	int64_t time_s;
	enum piece_kind kind;
	struct trailer_record commit;
	struct link leaves; /* index; LINK_NONE = none */
	struct link nodes;  /* index; LINK_NONE = none */
	struct trailer_head previous;
	uint64_t n_leaves;
	uint64_t n_nodes;
};

/*
 * Append the sealed record, TRAILER_RECORD_SIZE bytes, to `b`.
 * -EINVAL: what trailer_open() would refuse.
 */
must_check int trailer_seal(const struct trailer *t, const struct keys *keys,
			    struct buf *b);

/*
 * Open the record of a piece that has `raw_size` bytes.
 *
 * -EBADMSG  changed, of another drive, or of a piece of another size: cut,
 *           grown, or moved to another
 * -EPROTO   authentic, but of a form that we do not write
 */
must_check int trailer_open(struct slice record, uint64_t raw_size,
			    const struct keys *keys, struct trailer *ret);

#endif
