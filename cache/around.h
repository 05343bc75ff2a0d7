/*
 * around.h - which small reads are worth reading what lies around them
 *
 * A read of a few slots somewhere is a request to the disk, which takes about as
 * long as one for 32 slots in a row, and a third of one for 256.  Who reads here
 * and there in a database or an image comes back to where he was.  So segments are
 * divided into windows of 32 slots (128 KiB), and what is read says which of them
 * the disk is to bring into the kernel's memory:
 *
 *   - The second small read of a window brings it.  Where more than half of two
 *     (four, eight) neighbouring windows were read, they come together.
 *   - The first one brings the 8 windows that it is in as long as that pays: there
 *     is a stock of 64 windows, brought windows are taken from it, and each window
 *     that is read after it was brought adds 8 to it.
 *
 * Both hold for a round of 8192 small reads; then all is forgotten.  That bounds
 * the price, on any disk and in any time: second reads of a window are rare where
 * much is read once, and first reads bring 8 MiB a round, and 1 MiB for each window
 * that was of use.  Reads in order are larger than a small one; the kernel's own
 * read-ahead is for them.
 *
 * A slot's mark lies in another part of the segment, 40 bytes for each slot.  The
 * first small read among the 1,638 slots that have their marks in the same 64 KiB
 * brings these, while it waits for its slot: 1 % of a segment at most.
 *
 * Pure: it touches no file.  Threading: one thread at a time.
 */
#ifndef CACHE_AROUND_H
#define CACHE_AROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

#define AROUND_MARKS (64u << 10) /* bytes of marks that come together */

/* Of all segments; zeroed to begin with. */
struct around {
	uint64_t small_reads;
	uint64_t round;
	uint32_t stock; /* windows */
};

/* Of one; zeroed to begin with. */
struct around_seg {
	uint8_t *windows; /* and behind them the parts of marks */
	uint32_t n_slots;
	uint64_t round;
};

must_check int around_init(struct around_seg *s, uint32_t n_slots); /* -ENOMEM */
void around_fini(struct around_seg *s);

/*
 * These slots were read now.  How many around them are to be brought (0: none),
 * from *ret_slot on.
 */
uint32_t around_read(struct around *a, struct around_seg *s, uint32_t slot,
		     uint32_t n, uint32_t *ret_slot);

/*
 * This slot will be read now, with so many others, and its mark is in the part-th
 * AROUND_MARKS of the file.  True, once a round: bring all of the part.
 */
bool around_marks(struct around *a, struct around_seg *s, uint32_t n, uint32_t part);

#endif
