/*
 * dir.h - directories: builder (basic or HAMT) and node reader
 *
 * Builder: entries in any order; the shape follows from the final set of
 * entries alone (profile.h), never from their history.  HAMT rules: hamt.h.
 * In the sealed profile, names whose 64 hash bits are all equal share a bucket
 * at the deepest level, and past HAMT_BUCKET_MAX of them get a second round of
 * levels; a plain profile refuses them by name.
 *
 * Memory: a copy of each entry: about 110 bytes + name + attr (sealed), or what
 * dir_builder_set_large() allows.  Blocks go to the sealer one by one.
 *
 * Reader: dir_node_parse() checks the opened bytes of one node and an iterator
 * yields entries and sub-shards; the caller fetches sub-shards and drives the
 * traversal (list everything, or follow dir_node_find() down).
 *
 *   level = 0; body = root
 *   loop: dir_node_parse(body, sealed, level, &n)
 *         dir_node_find(&n, name, &item): 0 absent, 1 item
 *         item.is_subshard: body = fetch(item.link) or -EINPROGRESS, level++
 *
 * Threading: a builder belongs to one thread.  Errors: -ENOMEM, -EPROTO for a
 * wrong form, and whatever the sealer returns.
 */
#ifndef DAG_DIR_H
#define DAG_DIR_H

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"
#include "dag/file.h"
#include "dag/unixfs.h"

struct buf;
struct cursor;
struct dag_profile;
struct dir_builder;
struct dir_memo;
struct err;
struct sealer;
struct shorthash_key;

#define DIR_NAME_MAX 255 /* bytes that we write; readers take any */

must_check int dir_builder_new(const struct dag_profile *p,
			       struct sealer *sealer, struct dir_builder **ret);
void dir_builder_free(struct dir_builder *b); /* NULL is fine */

/* Mode and mtime in the root node; drives keep both in Attr instead. */
void dir_builder_set_meta(struct dir_builder *b, const struct unixfs *meta);

/*
 * Copies all.  `tsize` as the entry's builder returned it; `attr` is an encoded
 * Attr (sealed profile; attr.h), else empty.
 *
 * -EINVAL  name empty, ".", "..", with '/' or NUL, over DIR_NAME_MAX bytes, or
 *          a link that does not fit the profile
 */
must_check int dir_builder_add(struct dir_builder *b, struct slice name,
			       const struct link *link, uint64_t tsize,
			       struct slice attr);

/*
 * Sealed profile, before the first entry: build in parts that keep `max_bytes` of
 * entries, or 1/256 of them, at a time.  The nodes are the same.  The caller
 * goes over all entries as often as finish says so, the same ones each time:
 *
 *	do {
 *		each entry, or each of dir_builder_places():
 *			if (dir_builder_wants(b, name, id, place, changed))
 *				dir_builder_add(b, name, ...)
 *		r = dir_builder_finish(b, &root, &err);
 *	} while (r == 1);
 *
 * `old` is the memo of another build, or NULL: what it says of a part of the root
 * is taken as it is where the names and their `id`s are the same and no entry is
 * `changed`: its link, tsize or attr differ from that build's.  `key` is random
 * and the same for both.  Borrowed until the builder is freed.
 */
must_check int dir_builder_set_large(struct dir_builder *b, uint64_t max_bytes,
				     const struct shorthash_key *key,
				     const struct dir_memo *old);

/* Only after dir_builder_set_large(), for every entry of every round.  `place` is
 * where the caller finds it again; several may have the same. */
bool dir_builder_wants(struct dir_builder *b, struct slice name, uint64_t id,
		       uint64_t place, bool changed);

/*
 * When finish has returned 1: where the entries are that it wants, ascending, each
 * place once, until the next call of finish.  0: they are too many, or there are
 * too many to know where, so go over all entries.  Memory: 9 bytes an entry, 18 MiB
 * at most, while a memo is compared.
 */
size_t dir_builder_places(const struct dir_builder *b, const uint64_t **ret);

/* After finish: what the next build may know, about 70 KiB; NULL for a directory
 * that is small. */
must_check int dir_builder_memo(const struct dir_builder *b, struct dir_memo **ret);
void dir_memo_free(struct dir_memo *m); /* NULL is fine */

/*
 * To be kept with the key that it was made with; of use only for the directory with
 * this root.  Of each of the 256 buckets of the root shard:
 *
 *   size  field
 *   v     n, entries in it (LEB128, as all of variable size)
 *   16    if n > 0: sum of names and ids
 *   v     if n > 1: link of the shard (crypto/link.h)
 *   v v   if n > 1: its size and tsize (struct dag_root)
 *
 * -EMSGSIZE  over the maximum of `b`;  DIR_MEMO_MAX is always enough
 * -EPROTO    a wrong form
 */
#define DIR_MEMO_MAX (256 * (3 * 10 + 16 + LINK_ENCODED_MAX)) /* bytes */
must_check int dir_memo_encode(const struct dir_memo *m, struct buf *b);
must_check int dir_memo_decode(struct cursor *c, struct dir_memo **ret);

/*
 * Sort, decide, seal; ret->size is 0.  After it only free.  1: go over the entries
 * again (only after dir_builder_set_large()).
 *
 * -EEXIST    a name twice
 * -ENOTSUP   plain profile: two names whose hashes are equal
 * -EMSGSIZE  names with equal hashes that do not fit one block
 * -EUCLEAN   the entries were not the same each time
 */
must_check int dir_builder_finish(struct dir_builder *b, struct dag_root *ret,
				  struct err *reterr);

static inline void dir_builder_freep(struct dir_builder **b)
{
	dir_builder_free(*b);
}
#define _cleanup_dir_builder_ _cleanup_(dir_builder_freep)

/* One opened node. */
struct dir_node {
	struct unixfs_node node;
	unsigned level;    /* of a shard: 0 is the root */
	unsigned fanout;   /* of a shard; 0: basic directory */
	unsigned n_digits; /* of a shard: hex digits before each name */
	uint8_t bits[128]; /* of a shard: the bitfield, right-aligned */
};

struct dir_item {
	struct slice name; /* empty for a sub-shard */
	struct link link;  /* LINK_NONE: a hash that we do not know; see cid */
	struct slice cid;  /* as it stands in the node */
	uint64_t tsize;
	struct slice attr; /* sealed; empty for a sub-shard */
	unsigned index;    /* bucket, in a shard */
	bool is_subshard;
};

struct dir_iter {
	const struct dir_node *dir;
	struct unixfs_iter it;
};

/*
 * `body` is opened and verified.  `level` counts shards from the root.  Checks
 * names, the order of buckets, that the bitfield and the buckets agree, that
 * each entry stands in the bucket of its hash, and that a sealed sub-shard is not empty.
 *
 * -ENOTDIR   a file or symlink
 * -EPROTO    a wrong form, or a shard below the last hash bit
 */
must_check int dir_node_parse(struct slice body, bool sealed, unsigned level,
			      struct dir_node *ret);

/* Wire order: by name in a basic directory, by bucket in a shard. */
void dir_iter_init(struct dir_iter *it, const struct dir_node *dir);

/* 1 and an item, 0 at the end. */
must_check int dir_next(struct dir_iter *it, struct dir_item *ret);

/* 1: the entry, or the sub-shard in which it would be; 0: absent. */
must_check int dir_node_find(const struct dir_node *dir, struct slice name,
			     struct dir_item *ret);

/*
 * The buckets on the way from the root shard to one below it.  Who goes through all
 * of a directory asks it for each entry: otherwise one shard, linked from each bucket
 * of a few others, would be gone through 256^7 times.  Shards of one directory have
 * one fanout.
 */
#define DIR_WAY_MAX 16
struct dir_way {
	unsigned from; /* levels above are not known */
	unsigned depth;
	uint16_t at[DIR_WAY_MAX];
};

/* Does it lead to this name, which stands in `d`? */
bool dir_way_leads_to(const struct dir_way *w, const struct dir_node *d,
		      struct slice name);

/*
 * A name that may stand in a directory: not empty, not "." or "..", without
 * '/' and NUL.
 */
bool dir_name_valid(struct slice name);

/* The target of an opened symlink node; -EPROTO if it is none. */
must_check int symlink_parse(struct slice body, bool sealed,
			     struct slice *ret_target);

#endif
