/*
 * piece_cid.h - names of pieces: piece CID v2 (FRC-0069), and v1
 *
 *   offset  size  field of v2
 *   0       1     0x01 CID version
 *   1       1     0x55 raw
 *   2       2     0x91 0x20 fr32-sha256-trunc254-padbintree
 *   4       1     length of what follows
 *   5       v     padding, unsigned LEB128, minimal
 *   5+v     1     height, 2 to 50
 *   6+v     32    root, the two top bits of its last byte clear
 *
 *   offset  size  field of v1
 *   0       1     0x01 CID version
 *   1       3     0x81 0xe2 0x03 fil-commitment-unsealed
 *   4       2     0x92 0x20 sha2-256-trunc254-padded
 *   6       1     0x20 length of the root
 *   7       32    root
 *
 * The text is multibase base32 in lower case without padding ("b...").
 * Threading: values.
 */
#ifndef CRYPTO_PIECE_CID_H
#define CRYPTO_PIECE_CID_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct commp_sum;

#define PIECE_CID_MAX      48 /* bytes */
#define PIECE_CID_TEXT_MAX 80 /* "b", base32 of PIECE_CID_MAX, NUL */

struct piece_cid {
	uint8_t bytes[PIECE_CID_MAX];
	uint8_t n;
};

void piece_cid_v2(const struct commp_sum *sum, struct piece_cid *ret);
void piece_cid_v1(const struct commp_sum *sum, struct piece_cid *ret);

/*
 * A v2 CID back into what it says.  -EPROTO: another prefix, a varint that is
 * not minimal, bytes missing or left over, a height out of range, more padding
 * than bytes, or a root over 254 bits.
 */
must_check int piece_cid_parse(struct slice bytes, struct commp_sum *ret);

static inline struct slice piece_cid_slice(const struct piece_cid *c)
{
	return slice(c->bytes, c->n);
}

static inline bool piece_cid_eq(const struct piece_cid *a, const struct piece_cid *b)
{
	return slice_eq(piece_cid_slice(a), piece_cid_slice(b));
}

/* NUL-terminated. */
void piece_cid_text(const struct piece_cid *c, char ret[static PIECE_CID_TEXT_MAX]);

/*
 * Strict: lower case, no padding, no bits left over, and a v2 CID that
 * piece_cid_parse() accepts.  -EPROTO.
 */
must_check int piece_cid_from_text(struct slice text, struct piece_cid *ret);

#endif
