/*
 * link.h - how one sealed block names another (docs/format.md section 1)
 *
 * A link is (CID, key, place).  The CID is kept as codec and sha2-256 digest of
 * the sealed block, or, for nodes of at most 128 bytes, as the bytes themselves
 * (an identity CID), which needs neither key nor place.  The place is a hint
 * that saves an index look-up; it is always verified by the digest.
 *
 * Whoever holds a link can open what it names and all below it: it is a
 * capability, and stands only inside ciphertext, in the encrypted databases
 * and in memory.  Rooms that need not look inside pass the encoded form on.
 *
 *   offset  size  encoded form
 *   0       1     kind: 0 none, 1 sealed, 2 identity
 *   1       1     codec: 0x55 raw, 0x70 dag-pb; 0 for none
 *   sealed:
 *   2       32    sha2-256 of the sealed block
 *   34      32    key
 *   66      8     piece ordinal, LE; 0 = place unknown
 *   74      8     offset of the CAR section in the piece, LE
 *   82      4     length of the CAR section, LE
 *   identity:
 *   2       1     n, at most 128
 *   3       n     the bytes
 *   plain:
 *   2       32    sha2-256 of the block itself
 *
 * A plain link is what `publish` makes and what foreign UnixFS nodes hold: no
 * key, no place.  A sealed drive never contains one.
 */
#ifndef CRYPTO_LINK_H
#define CRYPTO_LINK_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct buf;
struct cursor;

#define LINK_DIGEST_SIZE 32
#define LINK_KEY_SIZE    32
#define LINK_INLINE_MAX  128 /* bytes; the limit of identity CIDs */
#define LINK_ENCODED_MAX (3 + LINK_INLINE_MAX)

enum link_kind {
	LINK_NONE = 0,
	LINK_SEALED = 1,
	LINK_IDENTITY = 2,
	LINK_PLAIN = 3
};
enum link_codec {
	LINK_RAW = 0x55,
	LINK_DAGPB = 0x70
};

struct place {
	uint64_t piece; /* ordinal; 0 = unknown */
	uint64_t off;   /* of the CAR section, bytes */
	uint32_t len;   /* of the CAR section, bytes */
};

struct link {
	enum link_kind kind;
	enum link_codec codec;
	uint8_t digest[LINK_DIGEST_SIZE]; /* sealed, plain */
	uint8_t key[LINK_KEY_SIZE];       /* sealed */
	struct place place;               /* sealed */
	uint8_t n_inline;                 /* identity */
	uint8_t bytes[LINK_INLINE_MAX];   /* identity */
};

must_check int link_encode(const struct link *l, struct buf *b);

/* -EPROTO if it has another form.  Reads exactly one link. */
must_check int link_decode(struct cursor *c, struct link *ret);

/* Same kind, codec, digest or bytes, and key; the place does not count. */
bool link_same(const struct link *a, const struct link *b);

#endif
