/*
 * piece_reader.h - from the last bytes of a piece to all of it
 *
 * The caller fetches ranges, from a file, a store or a network, and hands them
 * over as slices; nothing here waits.  Whatever is returned was verified: the
 * trailer and the commit are authentic and belong to this drive and to a piece
 * of this size, and a block is the one that its link names.
 *
 *   tail = last PIECE_TAIL_SIZE bytes
 *   piece_tail_parse(tail, size) → trailer
 *   piece_tail_range(tail, size, commit's place) ? it is there : fetch it
 *   piece_commit_parse(section) → commit
 *   piece_index_new(trailer, leaves or nodes)
 *   while (piece_index_want(x, &place)) piece_index_feed(x, fetch(place))
 *   piece_index_view(x) → every block with its key
 *
 * Threading: pure functions; a struct piece_index belongs to one thread.
 */
#ifndef DAG_PIECE_READER_H
#define DAG_PIECE_READER_H

#include "crypto/link.h"
#include "dag/piece.h"
#include "dag/trailer.h"
#include "dag/xindex.h"

struct buf;
struct commit;
struct keys;
struct piece_index;

#define PIECE_TAIL_SIZE (256u << 10) /* bytes; mounts most drives at once */

/*
 * `tail` is the end of a piece of `raw_size` bytes: at least
 * TRAILER_SECTION_SIZE of it, or all.
 *
 * -EBADMSG  cut, grown, changed, of another drive, or not a piece of ours
 * -EPROTO   authentic, but of a form that we do not write
 */
must_check int piece_tail_parse(struct slice tail, uint64_t raw_size,
				const struct keys *keys, struct trailer *ret);

/* 1 and the bytes if the tail holds [off, off + len) of the piece, else 0. */
must_check int piece_tail_range(struct slice tail, uint64_t raw_size,
				uint64_t off, uint64_t len, struct slice *ret);

/*
 * The commit, from its section.  -ENOENT if the piece has none; -EBADMSG if it
 * is not the one that the trailer names; else as commit_open().
 */
must_check int piece_commit_parse(struct slice section, const struct trailer *t,
				  const struct keys *keys, struct commit **ret);

/*
 * Append to `ret_body` what the link's block opens to.  Identity links have no
 * section: -EINVAL.  Errors as seal_open(); -EBADMSG also for what is no section.
 */
must_check int piece_block_open(struct slice section, const struct link *link,
				size_t max_body, struct buf *ret_body);

/* ---- an index, section by section */

enum piece_index_of {
	PIECE_LEAVES,
	PIECE_NODES
};

/* -ENOENT if the piece has no such blocks. */
must_check int piece_index_new(const struct trailer *t, enum piece_index_of of,
			       struct piece_index **ret);
void piece_index_free(struct piece_index *x); /* NULL is fine */

/* The section that is needed next; false: complete, or failed. */
bool piece_index_want(const struct piece_index *x, struct place *ret);

/*
 * The section that was wanted.  After -EBADMSG (a wrong block) it is still
 * wanted: ask another store.  Any other error is final.
 */
must_check int piece_index_feed(struct piece_index *x, struct slice section);

/* Borrowed from `x`.  -EINPROGRESS while sections are wanted. */
must_check int piece_index_view(const struct piece_index *x,
				struct xindex_view *ret);

static inline void piece_index_freep(struct piece_index **x)
{
	piece_index_free(*x);
}
#define _cleanup_piece_index_ _cleanup_(piece_index_freep)

#endif
