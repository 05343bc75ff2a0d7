/*
 * commp.h - the piece commitment of Filecoin, computed while bytes stream by
 *
 * The payload is padded with zeros to 127 * 2^k bytes, every 127 bytes are
 * spread over four 32-byte leaves of 254 bits, and a binary tree is built with
 * parent = SHA-256(left, right), the two top bits of the last byte cleared.
 * Spec: FRC-0069, and https://spec.filecoin.io/#section-systems.filecoin_files.piece
 * Vectors: tests/vectors/commp/.
 *
 * Whole subtrees of 64 KiB are expanded and reduced at once, so that
 * several hashes run beside each other (pairhash.h).
 *
 * Threading: a struct commp belongs to one thread.
 */
#ifndef CRYPTO_COMMP_H
#define CRYPTO_COMMP_H

#include "base/slice.h"
#include "base/util.h"

struct commp;

#define COMMP_SIZE       32
#define COMMP_HEIGHT_MIN 2
#define COMMP_HEIGHT_MAX 50 /* what the contracts accept */

/* The result, which a piece CID v2 carries (piece_cid.h). */
struct commp_sum {
	uint8_t root[COMMP_SIZE];
	uint64_t raw_size; /* bytes */
	uint64_t padding;  /* bytes of zeros up to 127 * 2^(height - 2) */
	uint8_t height;    /* 2^height leaves of 32 bytes */
};

must_check int commp_new(struct commp **ret); /* -ENOMEM */
void commp_update(struct commp *c, struct slice s);

/*
 * A span is a subtree that can be reduced apart, on another thread: its root by
 * commp_span(), which is stateless, and that in its turn by commp_add_span() where
 * an update with its bytes would have been.  Before it only whole spans have come.
 */
#define COMMP_SPAN ((size_t)16 * 512 * 127) /* bytes: 254 pages */
must_check int commp_span(const uint8_t span[static COMMP_SPAN],
			  uint8_t ret[static COMMP_SIZE]); /* -ENOMEM */
void commp_add_span(struct commp *c, const uint8_t root[static COMMP_SIZE]);

/* The sum of all updates; afterwards `c` is as new. */
void commp_final(struct commp *c, struct commp_sum *ret);
void commp_free(struct commp *c); /* NULL is fine */

static inline void commp_freep(struct commp **c)
{
	commp_free(*c);
}

#define _cleanup_commp_ _cleanup_(commp_freep)

#endif
