/*
 * dir_impl.h - what dir_build.c, dir_large.c and dir_memo.c share (internal to
 * src/dag)
 *
 * Threading: belongs to one thread.
 */
#ifndef DAG_DIR_IMPL_H
#define DAG_DIR_IMPL_H

#include "base/buf.h"
#include "crypto/shorthash.h"
#include "dag/dir_rec.h"
#include "dag/file.h"
#include "dag/hamt.h"
#include "dag/unixfs.h"

struct dag_profile;
struct dir_large;
struct err;
struct sealer;

struct dir_builder {
	const struct dag_profile *p;
	struct sealer *sealer;
	struct err *err;
	struct unixfs meta;
	struct buf body;
	struct dir_recs recs;
	uint64_t link_bytes;     /* of all links, as dir_size counts them */
	uint64_t ext_bytes;      /* of all keys and Attr fields, inside Data */
	struct dir_large *large; /* NULL: all at once */
};

/* ---- shards (dir_build.c) ---- */

/* A shard's children, and the bytes of their names. */
struct dir_shard {
	struct unixfs_child *c;
	uint8_t *names;
	size_t n, n_names;
	uint8_t field[HAMT_BITS_BYTES];
};
/* Zeroed: empty. */
void dir_shard_fini(struct dir_shard *s);
must_check int dir_shard_init(struct dir_shard *s, size_t max_children);
void dir_shard_add_sub(const struct dir_builder *b, struct dir_shard *s,
		       unsigned index, const struct dag_root *sub);
void dir_shard_add_entry(const struct dir_builder *b, struct dir_shard *s,
			 unsigned index, const uint8_t *rec);
must_check int dir_shard_seal(struct dir_builder *b, const struct dir_shard *s,
			      bool root, struct dag_root *ret);

/* Sort b->recs by the hash of round 0.  -EEXIST */
must_check int dir_sort(struct dir_builder *b);
size_t dir_bucket_size(const struct dir_builder *b, const struct dir_entry *e,
		       size_t n, unsigned level);
must_check int dir_build_shard(struct dir_builder *b, struct dir_entry *e,
			       size_t n, unsigned level, struct dag_root *ret);

/* Of all that is in b->recs.  */
must_check int dir_build_all(struct dir_builder *b, struct dag_root *ret);
bool dir_is_basic(const struct dir_builder *b);

/* ---- a part at a time (dir_large.c) ---- */

#define DIR_LARGE_BITS   8
#define DIR_LARGE_FANOUT (1u << DIR_LARGE_BITS) /* of the root shard */

struct dir_memo {
	struct dir_memo_top {
		uint8_t sum[SHORTHASH_SIZE];
		uint64_t n;          /* entries */
		struct dag_root sub; /* if they are more than one */
	} tops[DIR_LARGE_FANOUT];
};

void dir_large_free(struct dir_large *l); /* NULL is fine */
void dir_large_added(struct dir_builder *b);
must_check int dir_large_finish(struct dir_builder *b, struct dag_root *ret);

#endif
