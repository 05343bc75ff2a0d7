/*
 * dir_rec.h - entries of a directory that is being built (internal to
 * src/dag/dir_*.c)
 *
 * Records in chunks of memory that never move, and an index of (hash, record)
 * that is sorted once it is whole.
 *
 *   record: u8 n, name[n], link_encode(), varint tsize, varint n, attr[n]
 *           (in memory only)
 *
 * Threading: belongs to one thread.
 */
#ifndef DAG_DIR_REC_H
#define DAG_DIR_REC_H

#include "base/buf.h"
#include "dag/unixfs.h"

struct dir_chunk;

struct dir_entry {
	uint64_t hash; /* 0 until somebody sorts for one */
	const uint8_t *rec;
};

struct dir_recs {
	struct dir_chunk *chunks;
	struct dir_entry *v;
	size_t n, cap;
	size_t n_bytes; /* of records and index */
};

/* Zeroed: empty. */
void dir_recs_fini(struct dir_recs *t);

/* Copies all of the child; `body` is a scratch buffer. */
must_check int dir_recs_add(struct dir_recs *t, struct buf *body,
			    const struct unixfs_child *c);

static inline struct slice dir_rec_name(const uint8_t *rec)
{
	return slice(rec + 1, rec[0]);
}

/* Slices borrow from the record. */
void dir_rec_decode(const uint8_t *rec, struct unixfs_child *ret);

/* For qsort(): by name; by hash, then name. */
int dir_entry_cmp_name(const void *a, const void *b);
int dir_entry_cmp_hash(const void *a, const void *b);

#endif
