/*
 * piece.h - the frame of a piece (docs/format.md section 5)
 *
 * A piece is one CARv1 file of sealed blocks, named by its piece CID v2.  From
 * outside every block is raw.  The one root is an identity CID that names the
 * format: a hash would list all our users in the public indexers.
 *
 *   offset  size  content
 *   0       36    CAR header, the same in every piece
 *   36      ..    leaves, in reading order
 *           ..    index of the leaves          } left out where there
 *           ..    nodes, bottom-up, root last  } is nothing to say
 *           ..    index of the nodes           }
 *           ..    commit                       }
 *           ..    filler, random bytes         }
 *   n-594   594   trailer
 *
 * Each of them is made of CAR sections:
 *
 *   offset  size  field of a section
 *   0       v     varint: 36 + n
 *   v       4     01 55 12 20: CID version 1, raw, sha2-256, 32 bytes
 *   v+4     32    digest of the block
 *   v+36    n     block
 *
 * A place (crypto/link.h) is the offset and the length of a section.
 * Spec: https://ipld.io/specs/transport/car/carv1/
 * Threading: pure functions.
 */
#ifndef DAG_PIECE_H
#define DAG_PIECE_H

#include "base/slice.h"
#include "base/util.h"

#define PIECE_SIZE_MIN     127        /* bytes; less has no commitment */
#define PIECE_SIZE_MAX     1065353216 /* bytes; what providers take */
#define PIECE_HEADER_SIZE  36
#define PIECE_DIGEST_SIZE  32
#define PIECE_CID_SIZE     (4 + PIECE_DIGEST_SIZE)
#define PIECE_BLOCK_MAX    (2u << 20) /* bytes; gateways accept no more */
#define PIECE_HEAD_MAX     (4 + PIECE_CID_SIZE)
#define PIECE_COUNTER_BITS 40
#define PIECE_WRITER_MAX   0xffffffu
#define PIECE_COUNTER_MAX  ((1ull << PIECE_COUNTER_BITS) - 1)

/* What a piece carries: metadata dies young, so the two are kept apart. */
enum piece_kind {
	PIECE_DATA = 1, /* leaves, and perhaps the nodes above them */
	PIECE_META = 2  /* nodes only */
};

extern const uint8_t piece_header[PIECE_HEADER_SIZE];

/* Ordinal of piece `counter` of the writer with this tag; neither is 0. */
static inline uint64_t piece_ordinal(uint32_t writer, uint64_t counter)
{
	return (uint64_t)writer << PIECE_COUNTER_BITS | counter;
}

/* Bytes of the section of a block of n bytes. */
uint64_t piece_section_size(uint64_t n);

/* Write what stands in front of a block of n bytes; returns its length. */
size_t piece_section_head(const uint8_t digest[static PIECE_DIGEST_SIZE],
			  size_t n, uint8_t ret[static PIECE_HEAD_MAX]);

/*
 * Take one section apart, which has to fill `section` exactly.  The block is
 * NOT verified: seal_open() does that, or piece_section_verify().
 *
 * -EPROTO    not a section of a raw block
 * -EMSGSIZE  a block over PIECE_BLOCK_MAX
 */
must_check int piece_section_parse(struct slice section,
				   uint8_t ret_digest[static PIECE_DIGEST_SIZE],
				   struct slice *ret_block);

/*
 * The same, and hash the block.  `digest` is the one that is wanted; NULL takes
 * the one that the section claims.  -EBADMSG if it is another block.
 */
must_check int piece_section_verify(struct slice section, const uint8_t *digest,
				    struct slice *ret_block);

#endif
