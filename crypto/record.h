/*
 * record.h - sealed records: commit, trailer, head (docs/format.md 4 and 5)
 *
 * Small things that are found by place or name, not by a link, are sealed with
 * XChaCha20-Poly1305 under a key derived from the words, with a random nonce.
 * The associated data says what it is and whose, so that one record cannot
 * stand in for another.
 *
 *   offset  size  field
 *   0       24    nonce
 *   24      16    tag
 *   40      4     n, length of the body, LE                  } encrypted
 *   44      n     body                                       }
 *   44+n    p     zeros up to record_size(n)                 }
 *
 *   offset  size  field of the associated data
 *   0       8     magic, zero padded: "commit", "trailer", ...
 *   8       4     version, LE
 *   12      16    drive id
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_RECORD_H
#define CRYPTO_RECORD_H

#include "base/slice.h"
#include "base/util.h"

struct buf;
struct secret;

#define RECORD_OVERHEAD 44 /* bytes: mark and length */
#define RECORD_BODY_MIN 256
#define RECORD_BODY_MAX (1u << 20)
#define RECORD_AD_SIZE  28
#define RECORD_DRIVE_ID 16

/* What a record is: one constant of these beside each record's own format. */
struct record_kind {
	char magic[8];
	uint32_t version;
};

/* Bytes of the record of a body of n: 44 + max(256, Padmé(n)). */
size_t record_size(size_t n);

/* Appended to `ret`.  -EMSGSIZE over RECORD_BODY_MAX or ret's maximum. */
must_check int record_seal(const struct secret *key, const struct record_kind *kind,
			   const uint8_t drive_id[static RECORD_DRIVE_ID],
			   struct slice body, struct buf *ret);

/*
 * The body is appended to `ret`; on failure `ret` is as it was.
 *
 * -EBADMSG   changed, of another kind or version, of another drive, or not ours
 * -EPROTO    authentic, but of a form that we do not write
 * -EMSGSIZE  over RECORD_BODY_MAX or ret's maximum
 */
must_check int record_open(const struct secret *key, const struct record_kind *kind,
			   const uint8_t drive_id[static RECORD_DRIVE_ID],
			   struct slice sealed, struct buf *ret);

#endif
