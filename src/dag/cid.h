/*
 * cid.h - content identifiers, strict
 *
 * Spec: https://github.com/multiformats/cid; vectors: tests/vectors/ipfs/cids.json.
 *
 *   binary v0: 12 20 digest[32]                       codec dag-pb, sha2-256
 *   binary v1: 01 varint(codec) varint(hash) varint(n) digest[n]
 *   text v0:   base58btc without prefix, 46 characters, "Qm…"
 *   text v1:   one multibase character, then the digits (multibase.h)
 *
 * A struct cid is a value: compare with cid_eq(), copy by assignment.
 *
 * Refused everywhere: other versions, varints that are not minimal, a digest
 * whose length is not natural for sha2-256 or blake2b-256, identity over 128
 * bytes, other hashes under 20 or over 128 bytes.
 *
 * Threading: stateless.  Errors: -EPROTO for a wrong form, -EMSGSIZE for an
 * identity that is too long.
 */
#ifndef DAG_CID_H
#define DAG_CID_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct cursor;
struct link;

#define CID_DIGEST_MAX 128
#define CID_BYTES_MAX  (1 + 9 + 9 + 2 + CID_DIGEST_MAX)
#define CID_TEXT_MAX   304 /* with NUL: base16 of the longest */

enum {
	CID_RAW = 0x55,
	CID_DAGPB = 0x70,

	CID_IDENTITY = 0x00,
	CID_SHA2_256 = 0x12,
	CID_BLAKE2B_256 = 0xb220
};

struct cid {
	uint8_t version;  /* 0 or 1 */
	uint8_t n_digest; /* bytes */
	uint64_t codec;
	uint64_t hash; /* multihash code */
	uint8_t digest[CID_DIGEST_MAX];
};

/* v1, sha2-256. */
struct cid cid_v1(uint64_t codec, const uint8_t digest[static 32]);

/* v1, identity; `bytes` has at most CID_DIGEST_MAX bytes. */
struct cid cid_identity(uint64_t codec, struct slice bytes);

/* v1, sha2-256 of `block`. */
struct cid cid_of(uint64_t codec, struct slice block);

/* Read one self-delimiting CID; the cursor fails (-EPROTO) on a wrong form. */
void cid_read(struct cursor *c, struct cid *ret);

/* The CID must fill `s`. */
must_check int cid_parse(struct slice s, struct cid *ret);

/* Binary form; returns its length. */
size_t cid_bytes(const struct cid *c, uint8_t ret[static CID_BYTES_MAX]);
size_t cid_size(const struct cid *c); /* that length alone */

/* base32, or base58btc for v0, with NUL. */
void cid_text(const struct cid *c, char ret[static CID_TEXT_MAX]);

/* In a multibase of choice: 'b', 'f', 'k', 'z' or 'u' (v1 only). */
void cid_text_base(const struct cid *c, char base, char ret[static CID_TEXT_MAX]);

/* Any accepted multibase, or v0. */
must_check int cid_from_text(struct slice text, struct cid *ret);

bool cid_eq(const struct cid *a, const struct cid *b);

/*
 * Does `block` hash to `c`?  0; -EBADMSG if it does not; -EOPNOTSUPP for a hash
 * other than sha2-256, blake2b-256 and identity.
 */
must_check int cid_verify(const struct cid *c, struct slice block);

/*
 * The link that a CID names: LINK_IDENTITY, or LINK_SEALED (key and place
 * zeroed) if `sealed`, else LINK_PLAIN.  -EOPNOTSUPP unless the codec is raw or
 * dag-pb and the hash sha2-256, identity or, for plain links, blake2b-256.
 */
must_check int cid_to_link(const struct cid *c, bool sealed, struct link *ret);

#endif
