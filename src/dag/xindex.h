/*
 * xindex.h - the index of a piece: which blocks it holds, and their keys
 *
 * A piece has one index of its leaves and one of its nodes.  Each is the content
 * of a sealed file (1 MiB leaves, so that no section chokes a provider's own
 * indexer), linked from the trailer.  With the recovery words alone one reads
 * trailer, index and every block: that is what salvage does.
 *
 *   offset  size  field, all LE
 *   0       8     magic "fdxindex"
 *   8       4     version, 1
 *   12      4     bytes of an entry, 80
 *   16      8     ordinal of the piece
 *   24      8     n, number of entries
 *   32      80*n  entries
 *
 *   offset  size  field of an entry
 *   0       32    sha2-256 of the sealed block
 *   32      32    key that opens it
 *   64      8     offset of its CAR section in the piece
 *   72      4     length of its CAR section
 *   76      1     what it is, enum xindex_kind
 *   77      1     codec of the opened bytes: 0x55 raw, 0x70 dag-pb
 *   78      2     zero
 *
 * Entries ascend by digest (then by offset).  Order of the piece would need no
 * sorting, but a look-up would read the whole index: up to 250 MiB for a piece
 * of very small files.  Digests are uniform, so entry i of n is found by
 * arithmetic: xindex_guess() is off by about sqrt(n)/2, 900 entries of the
 * largest index, and one leaf of it holds 13,107.  So a stale place costs one
 * leaf of each index that is asked, two at times.  Who wants the order of the
 * piece sorts in memory.
 *
 * Threading: values.
 */
#ifndef DAG_XINDEX_H
#define DAG_XINDEX_H

#include "base/buf.h"
#include "crypto/link.h"

#define XINDEX_HEAD_SIZE  32
#define XINDEX_ENTRY_SIZE 80
#define XINDEX_CHUNK_SIZE (1u << 20) /* bytes; leaves of the sealed file */

/* More blocks of the smallest size (256 + 24, in a section) fill no piece. */
#define XINDEX_N_MAX 3339665u

enum xindex_kind {
	XINDEX_LEAF = 1,    /* content of a file */
	XINDEX_FILE = 2,    /* node of a file */
	XINDEX_DIR = 3,     /* node of a directory, a shard's root too */
	XINDEX_SHARD = 4,   /* node below the root of a sharded directory */
	XINDEX_SYMLINK = 5, /* node of a symlink over 128 bytes */
	XINDEX_XATTRS = 6,  /* a larger set of extended attributes */
	XINDEX_ROOT = 7,    /* root directory of a commit */
	/* All nodes of these three; the last one of a kind is its root. */
	XINDEX_INODES = 8,    /* inode table */
	XINDEX_CATALOGUE = 9, /* catalogue of pieces */
	XINDEX_RETAINED = 10, /* list of retained commits, its raw entries too */
	XINDEX_KIND_NX
};

struct xindex_entry {
	uint8_t digest[LINK_DIGEST_SIZE];
	uint8_t key[LINK_KEY_SIZE];
	uint64_t off;
	uint32_t len;
	enum xindex_kind kind;
	enum link_codec codec;
};

/* ---- writing: entries are gathered, sorted once, and read out in chunks */

struct xindex {
	struct buf rows; /* private to xindex.c */
	uint64_t piece;
	bool sorted;
};

void xindex_init(struct xindex *x, uint64_t piece);
void xindex_fini(struct xindex *x);

/* -EMSGSIZE over XINDEX_N_MAX, -ENOMEM.  Not after xindex_sort(). */
must_check int xindex_add(struct xindex *x, const struct xindex_entry *e);
size_t xindex_n(const struct xindex *x);
void xindex_sort(struct xindex *x);

/* Bytes of the file of n entries; 0 for none, which is no file at all. */
uint64_t xindex_file_size(uint64_t n);

/*
 * Append the bytes [off, off + n) of the file to `b`, fewer at its end.  After
 * xindex_sort().
 */
must_check int xindex_read(const struct xindex *x, uint64_t off, size_t n,
			   struct buf *b);

/* ---- reading */

/*
 * Check the head, the first XINDEX_HEAD_SIZE bytes of a file of `file_size`.
 *
 * -EPROTO      another form, a piece other than `piece`, or a count that does
 *              not fill the file
 * -EOPNOTSUPP  a newer version
 */
must_check int xindex_head_parse(struct slice head, uint64_t file_size,
				 uint64_t piece, uint32_t *ret_n);

/* About where among n entries `digest` stands, below n.  n > 0. */
uint32_t xindex_guess(uint32_t n, const uint8_t digest[static LINK_DIGEST_SIZE]);

/* A whole index in memory, borrowed. */
struct xindex_view {
	struct slice rows;
	uint64_t piece;
	uint64_t piece_size;
	uint32_t n;
};

/* Head, every entry and their order are checked.  Errors as above. */
must_check int xindex_open(struct slice file, uint64_t piece,
			   uint64_t piece_size, struct xindex_view *ret);

/* i < n; the form was checked before. */
void xindex_get(const struct xindex_view *v, uint32_t i, struct xindex_entry *ret);

/* -ENOENT if the piece has no such block. */
must_check int xindex_find(const struct xindex_view *v,
			   const uint8_t digest[static LINK_DIGEST_SIZE],
			   struct xindex_entry *ret);

/* The link that an entry stands for. */
void xindex_link(const struct xindex_entry *e, uint64_t piece, struct link *ret);

#endif
