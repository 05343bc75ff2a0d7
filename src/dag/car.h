/*
 * car.h - CARv1 writer and reader
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
 * Readers do not verify blocks against CIDs: cid_verify().
 *
 * Threading: a writer or reader belongs to one thread.  Errors: -EPROTO for a
 * wrong form, -EMSGSIZE over a limit below, and what the callback returns.
 */
#ifndef DAG_CAR_H
#define DAG_CAR_H

#include "base/cursor.h"
#include "base/slice.h"
#include "base/util.h"
#include "dag/cid.h"

struct buf;

#define CAR_HEADER_SIZE 59 /* one 36-byte root */
#define CAR_HEADER_MAX  65536
#define CAR_ROOTS_MAX   256
#define CAR_BLOCK_MAX   (2u << 20) /* bytes; gateways refuse more */
#define CAR_SECTION_MAX (CAR_BLOCK_MAX + CID_BYTES_MAX)

struct car_section {
	uint64_t off;       /* of the section, from the start of the CAR */
	uint32_t len;       /* of the section, length varint included */
	uint32_t block_off; /* of the block, from the start of the section */
};

/* Append a header with one root. */
must_check int car_header_encode(const struct cid *root, struct buf *b);

/* Bytes of a section. */
uint64_t car_section_size(const struct cid *cid, size_t n_block);

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
must_check int car_writer_header(struct car_writer *w, const struct cid *root);

/* The block's bytes go to the callback as they are: two calls a section. */
must_check int car_writer_append(struct car_writer *w, const struct cid *cid,
				 struct slice block, struct car_section *ret);

struct car_header {
	uint32_t n_roots;
	struct cid root; /* the first; valid if n_roots > 0 */
};

/* Reading what is in memory: blocks borrow from the cursor's bytes. */
must_check int car_read_header(struct cursor *c, struct car_header *ret);

/* 1 and a section; 0 at the end.  ret_sect->off is left 0. */
must_check int car_read_section(struct cursor *c, struct cid *ret_cid,
				struct slice *ret_block,
				struct car_section *ret_sect);

/* Up to n bytes; 0 at the end; -errno. */
typedef int64_t (*car_read_cb)(void *ctx, void *p, size_t n);

struct car_reader;

/* Reads the header at once. */
must_check int car_reader_new(car_read_cb cb, void *ctx,
			      struct car_header *ret_header,
			      struct car_reader **ret);
void car_reader_free(struct car_reader *r); /* NULL is fine */

/*
 * 1 and a section; 0 at the end.  `*ret_block` is valid until the next call.
 * Memory: one section.  -EPROTO if the stream ends inside a section.
 */
must_check int car_reader_next(struct car_reader *r, struct cid *ret_cid,
			       struct slice *ret_block,
			       struct car_section *ret_sect);

static inline void car_reader_freep(struct car_reader **r)
{
	car_reader_free(*r);
}
#define _cleanup_car_reader_ _cleanup_(car_reader_freep)

#endif
