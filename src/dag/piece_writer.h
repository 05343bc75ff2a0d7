/*
 * piece_writer.h - one piece streamed to a file, named while it is written
 *
 * The caller seals blocks and hands them over in the order of the piece
 * (piece.h): leaves in reading order, then nodes bottom-up, then perhaps a
 * commit.  The writer frames them, tells where each landed, gathers the two
 * indexes, writes each behind what it lists, and computes the commitment in the
 * same pass.
 *
 *   LEAVES ─first node─► NODES ─commit─► COMMIT ─finish─► done
 *      └──────── any of these may be skipped ──────┘
 *
 * A piece is whole when piece_writer_finish() returns, and durable: it has
 * synced the file (not its name).  Until then the file has no trailer, and
 * every reader refuses it; throw it away and begin again.
 *
 * The bytes gather in spans of 1 MiB, and a whole one is hashed and written apart:
 * on other threads, if the caller has some (struct piece_spec), so that it can go on
 * with the next, up to PIECE_SPANS ahead.  An error of such a span comes with a
 * later call, with that of finish at the latest.
 *
 * Memory: 80 bytes a block for the index, some 5 MiB, and 1 MiB a span under way.
 * Threading: a writer belongs to one thread; finish and add block on disk I/O.  With
 * `fork` the file is written from the threads of that, several at a time.
 */
#ifndef DAG_PIECE_WRITER_H
#define DAG_PIECE_WRITER_H

#include "crypto/link.h"
#include "crypto/piece_cid.h"
#include "dag/piece.h"
#include "dag/trailer.h"
#include "dag/xindex.h"

struct io_file;
struct keys;
struct piece_writer;
struct secret;

#define PIECE_SPANS 8 /* under way at most */

struct piece_spec {
	uint64_t piece; /* ordinal */
	enum piece_kind kind;
	uint64_t size_min;   /* of the stores; the filler makes up for it */
	uint64_t size_max;   /* 0 = PIECE_SIZE_MAX */
	uint64_t commit_max; /* bytes of the record that will come; or 0 */
	/* borrowed for the writer's life */
	const struct keys *keys;          /* seal the trailer */
	const struct secret *convergence; /* seals the indexes */

	/*
	 * Call run(arg) soon on some other thread, once.  At most PIECE_SPANS are
	 * asked for and not begun yet.  NULL: the writer does all by itself.
	 */
	void (*fork)(void *ctx, void (*run)(void *arg), void *arg);
	void *fork_ctx;
};

/* A sealed block and what the index shall say of it. */
struct piece_block {
	struct slice block; /* as seal_block() made it */
	uint8_t digest[PIECE_DIGEST_SIZE];
	uint8_t key[LINK_KEY_SIZE];
	enum xindex_kind kind; /* XINDEX_LEAF: a leaf; all else are nodes */
	enum link_codec codec;
};

struct piece_result {
	struct piece_cid cid; /* v2 */
	uint64_t raw_size;
	uint64_t n_leaves;
	uint64_t n_nodes;
};

/*
 * Empties `f` (borrowed for the writer's life) and writes the header.
 * -EINVAL if the spec's numbers cannot be met.
 */
must_check int piece_writer_new(struct io_file *f, const struct piece_spec *spec,
				struct piece_writer **ret);
/* Waits for the spans under way.  NULL is fine. */
void piece_writer_free(struct piece_writer *w);

/*
 * Append a block.  The digest is trusted: seal_block() has just computed it.
 *
 * -EFBIG     the finished piece could pass size_max: nothing was written,
 *            finish this piece and begin another
 * -EMSGSIZE  a block over PIECE_BLOCK_MAX
 * others     from the file; then every later call returns that error
 */
must_check int piece_writer_add(struct piece_writer *w,
				const struct piece_block *b, struct place *ret);

/*
 * Append the sealed commit (commit.h).  Nothing but finish may follow.
 * -EFBIG  larger than spec.commit_max said, and no room
 */
must_check int piece_writer_commit(struct piece_writer *w, struct slice record,
				   const uint8_t digest[static PIECE_DIGEST_SIZE],
				   uint64_t sequence);

/*
 * Indexes if still due, filler, trailer, fdatasync.  `previous` is the newest
 * head that is known (sequence 0: none).  After it only free.
 */
must_check int piece_writer_finish(struct piece_writer *w, int64_t time_s,
				   const struct trailer_head *previous,
				   struct piece_result *ret);

/* Bytes so far. */
uint64_t piece_writer_size(const struct piece_writer *w);

/*
 * At most so many bytes would the piece have, finished, after one more block of
 * `n_block` bytes (0 = none), the commit of the spec included.
 */
uint64_t piece_writer_bound(const struct piece_writer *w, size_t n_block);

static inline void piece_writer_freep(struct piece_writer **w)
{
	piece_writer_free(*w);
}
#define _cleanup_piece_writer_ _cleanup_(piece_writer_freep)

#endif
