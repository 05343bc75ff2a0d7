/*
 * fill.h - the piece that is being filled, and which blocks need not go into it
 *
 *   fill_find()  is the block in the open piece, or in one that may be linked?
 *   fill_add()   else append it; a piece that is full ends, the next begins.  It
 *                is full when it has its bytes or its blocks (onboard.h)
 *   fill_end()   trailer, sync, ledger: from here on the piece counts
 *
 * A piece waits for room in the outbox before it begins.  The writer's spans go to
 * workers.
 *
 * Threading: one thread (the packer); the lock is for what workers do.
 * Errors: -errno; -ECANCELED when the drive stops while there is no room, or the run
 * gives way to those who need the room that its snapshot keeps (due.h): then
 * onboard->gave_way is set.
 * Memory: 170 to 185 bytes a block of the open piece, with what the writer has, and
 * so at most 100 MiB.
 */
#ifndef ONBOARD_FILL_H
#define ONBOARD_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "base/util.h"
#include "crypto/link.h"
#include "dag/piece_writer.h"
#include "net/work.h"

struct fill;
struct io_file;
struct ledger_block;
struct onboard;
struct secret;

/* What the writer of a piece wants done on a worker. */
struct forked {
	struct work_item work;
	struct fill *fill;
	void (*run)(void *arg);
	void *arg;
	bool busy; /* lock: fill->lock */
};

struct fill {
	struct onboard *o;
	const struct secret *convergence;
	struct piece_writer *w; /* NULL: no piece is open */
	uint64_t ordinal;       /* of the open piece */

	/* private to fill.c */
	struct io_file *f;
	bool nodes; /* the open piece has left its leaves behind */
	struct ledger_block *blocks;
	size_t n_blocks, cap_blocks;
	uint64_t *ended; /* ordinals of the pieces that it has ended */
	size_t n_ended, cap_ended;
	/* Number of a block, from 1 on; open addressing on the digest.  The ledger
	 * knows the blocks of pieces that are finished. */
	uint32_t *seen;
	size_t cap_seen;
	struct lock lock;
	struct forked forked[PIECE_SPANS];
};

/* Both are borrowed until fill_fini(). */
void fill_init(struct fill *p, struct onboard *o, const struct secret *convergence);

/* Drops the piece that is open, its file too.  A zeroed one is fine. */
void fill_fini(struct fill *p);

/* 1: it is at *ret and may be linked; 0: it has to be added. */
must_check int fill_find(struct fill *p, const uint8_t *digest, struct place *ret);
must_check int fill_add(struct fill *p, const struct piece_block *b,
			struct place *ret);

/* Open a piece where none is; may wait for room in the outbox. */
must_check int fill_begin(struct fill *p, enum piece_kind kind);

/* End the open piece, if there is one.  `previous`: the newest head, or NULL. */
must_check int fill_end(struct fill *p, const struct trailer_head *previous);

/*
 * The run is given up: the pieces that it has ended go, but for those that a store
 * has begun to get, and those in front of them, into which they may link.  For the
 * next run finds their blocks anyway, and stores would be given what may be needed
 * by nobody any more.
 */
must_check int fill_take_back(struct fill *p);

#endif
