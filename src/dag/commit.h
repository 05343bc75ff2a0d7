/*
 * commit.h - one instant of the whole drive, and the chain of them
 *
 * A commit is a sealed record (crypto/record.h) under KEYS_COMMIT, magic
 * "commit", version 1.  It stands in a CAR section of a piece, named by the
 * sha2-256 of the record, which the next commit repeats: the chain of commits
 * is a history that nobody can change unseen.  The body is one message in the
 * canonical form of field.h:
 *
 *   field  type     meaning
 *   1      u32      min_reader: formats that a reader has to know
 *   2      u32      min_writer: formats that a writer has to know
 *   3      u64      sequence h, from 1
 *   4      32 B     sha2-256 of the parent's record; none if h = 1
 *   5, 6   sint64, u32 ns   time
 *   7      u24      writer tag, drawn anew by each init and recover
 *   8      bytes    name of the device, for people: at most 64 bytes
 *   9      Link     root directory
 *   10     Attr     of the root directory (attr.h)
 *   11     Link     inode table; none without hard links
 *   12     u64      first inode number never given out, nor reserved
 *   13     u64      number of inodes, for statfs
 *   14     u64      bytes of all files, for statfs
 *   15     u40      counter of the writer's pieces: the next to be used
 *   16     u32      epoch of the convergence secret, from 1
 *   17     72 B     convergence secret, wrapped (crypto/wrap.h) under
 *                   KEYS_COMMIT with the associated data "convergence" and the
 *                   epoch as 4 bytes LE
 *   18     repeated Piece: new since the parent
 *   19     Link     catalogue of all pieces
 *   20     Link     retained commits
 *   21     Settings
 *
 *   Link      an encoded link (crypto/link.h): sealed, or identity
 *   Piece     { 1 ordinal u64, 2 piece CID v2, 3 kind: 1 data, 2 metadata };
 *             ascending by ordinal; the size is in the CID
 *   Settings  { 1 compress: 1 nodes, 2 all, 2 copies: 1 to 16 }
 *
 * The piece that carries the commit is not in its list (its CID is not known
 * then): the next commit lists it, and the head register names it meanwhile.
 *
 * Inode numbers: field 12 is a reservation.  A writer that publishes N may give
 * out numbers below N without publishing; one that recovers begins at N.  So
 * numbers are never used twice, whatever a lost device gave out.
 *
 * A reader looks at field 1 before anything else and refuses what it does not
 * know; fields after 21 are skipped.
 *
 * Threading: a struct commit is immutable once opened.
 */
#ifndef DAG_COMMIT_H
#define DAG_COMMIT_H

#include "crypto/link.h"
#include "crypto/piece_cid.h"
#include "crypto/record.h"
#include "dag/attr.h"
#include "dag/piece.h"

struct buf;
struct commit;
struct keys;
struct secret;

#define COMMIT_FORMAT     1  /* what this code reads and writes */
#define COMMIT_DEVICE_MAX 64 /* bytes */
#define COMMIT_COPIES_MAX 16
#define COMMIT_BODY_MAX   RECORD_BODY_MAX /* bytes: some 17,000 pieces */
#define COMMIT_RECORD_MAX (RECORD_BODY_MAX + RECORD_OVERHEAD)

enum commit_compress {
	COMMIT_COMPRESS_NODES = 1, /* metadata only: the default */
	COMMIT_COMPRESS_ALL = 2
};

struct commit_piece {
	uint64_t ordinal;
	struct piece_cid cid; /* v2 */
	uint64_t size; /* bytes; decoder: from the CID; encoder: ignored */
	enum piece_kind kind;
};

/* What a commit says, but for the convergence secret. */
struct commit_info {
	uint32_t min_reader;
	uint32_t min_writer;
	uint64_t sequence;
	uint8_t parent[PIECE_DIGEST_SIZE]; /* zeros if sequence is 1 */
	struct attr_time time;
	uint32_t writer;     /* tag, 1 to PIECE_WRITER_MAX */
	struct slice device; /* UTF-8 by convention, bytes in fact */
	struct link root;    /* dag-pb; sealed or identity */
	struct attr root_attr;
	struct link inode_table; /* dag-pb, or LINK_NONE */
	uint64_t ino_next;       /* first number not reserved */
	uint64_t n_inodes;
	uint64_t n_bytes;
	uint64_t piece_next; /* counter part of an ordinal */
	uint32_t epoch;      /* of the convergence secret, from 1 */
	const struct commit_piece *pieces;
	size_t n_pieces;
	struct link catalogue; /* or LINK_NONE */
	struct link retained;  /* or LINK_NONE */
	enum commit_compress compress;
	uint32_t copies;
};

/*
 * Append the sealed record to `b` and return its name.
 *
 * -EINVAL    what commit_open() would refuse
 * -EMSGSIZE  a body over COMMIT_BODY_MAX, or the buffer's maximum
 */
must_check int commit_seal(const struct commit_info *info,
			   const struct secret *convergence,
			   const struct keys *keys, struct buf *b,
			   uint8_t ret_digest[static PIECE_DIGEST_SIZE]);

/*
 * -EBADMSG     changed, no commit, or of another drive
 * -EPROTO      authentic, but of a form that we do not write
 * -EOPNOTSUPP  min_reader asks for a newer version of this program
 * -EMSGSIZE    over COMMIT_RECORD_MAX
 */
must_check int commit_open(struct slice record, const struct keys *keys,
			   struct commit **ret);
void commit_free(struct commit *c); /* NULL is fine */

/* Borrowed: lives as long as `c`. */
const struct commit_info *commit_info(const struct commit *c);

/* The secret with which new blocks are sealed; borrowed. */
const struct secret *commit_convergence(const struct commit *c);

/* sha2-256 of the record: what the next commit calls its parent. */
const uint8_t *commit_digest(const struct commit *c);

/* 0, or -EOPNOTSUPP: this program may read the drive, but not add to it. */
must_check int commit_may_write(const struct commit_info *info);

static inline void commit_freep(struct commit **c)
{
	commit_free(*c);
}
#define _cleanup_commit_ _cleanup_(commit_freep)

#endif
