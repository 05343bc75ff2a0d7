/*
 * car.h - CARv1 writer
 *
 * Spec: https://ipld.io/specs/transport/car/carv1/; vectors:
 * tests/vectors/ipfs/car.json.
 *
 *   offset  size  field
 *   0       v     n, length of the header, multiformats varint
 *   v       n     DAG-CBOR {"roots": [CID], "version": 1}
 *   ...           sections: varint length | CID | block
 *
 * A section of length 0 ends the CAR (Filecoin pieces are padded with zeros);
 * what follows it is not looked at.  With one 36-byte root the header is
 * CAR_HEADER_SIZE bytes, so that it can be written when all else is.
 *
 * Offsets and lengths of a section (struct place) are those of the whole
 * section, its length varint included.
 *
 * Threading: a writer belongs to one thread.  Errors: -EMSGSIZE over a limit
 * below, and what the callback returns.
 */
#ifndef DAG_CAR_H
#define DAG_CAR_H

#include "base/slice.h"
#include "base/util.h"
#include "dag/cid.h"

struct buf;

#define CAR_HEADER_SIZE 59 /* one 36-byte root */
#define CAR_HEADER_MAX  65536
#define CAR_BLOCK_MAX   (2u << 20) /* bytes; gateways refuse more */

struct car_section {
	uint64_t off;       /* of the section, from the start of the CAR */
	uint32_t len;       /* of the section, length varint included */
	uint32_t block_off; /* of the block, from the start of the section */
};

/* Append a header with one root. */
must_check int car_header_encode(const struct cid *root, struct buf *b);

/*
 * Append a section's frame: length varint and CID.  The block's bytes follow.
 */
must_check int car_frame_encode(const struct cid *cid, size_t n_block,
				struct buf *b);

/* Receives the bytes of the CAR in order; negative ends the writing. */
typedef int (*car_write_cb)(void *ctx, struct slice bytes);

struct car_writer {
	uint64_t off; /* bytes written so far */
	/* private to car.c */
	car_write_cb cb;
	void *ctx;
};

void car_writer_init(struct car_writer *w, car_write_cb cb, void *ctx);

/* The block's bytes go to the callback as they are: two calls a section. */
must_check int car_writer_append(struct car_writer *w, const struct cid *cid,
				 struct slice block, struct car_section *ret);

#endif
