/*
 * around.c - reads that come back to a place bring its neighbours
 *
 * A read of a few slots somewhere is a request to the disk, which takes about as
 * long as one for 32 slots in a row.  Who reads here and there in a database or an
 * image comes back to where he was.  So segments are divided into windows of
 * 32 slots (128 KiB), and the second small read of a window brings all of it into
 * the kernel's memory, if it is one of ROUND small reads that the first was of.
 *
 * Where more than half of two (four, eight) neighbouring windows were read, they come
 * together.
 *
 * The round is what bounds the price, on any disk and in any time: of a file that
 * is small beside ROUND windows (1 GiB) most of what is brought is read, and of one
 * of 10 GiB, read all over, 5 % of the reads bring a window.  Reads in order are
 * larger than a small one; the kernel's own read-ahead is for them.
 */
#include "cache/internal.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW 32u   /* slots */
#define GROUP  8u    /* windows */
#define SMALL  4u    /* slots, at most */
#define ROUND  8192u /* small reads */

enum {
	NEVER_READ,
	READ_ONCE,
	BROUGHT,
};

static uint32_t windows_of(uint32_t n_slots)
{
	return (n_slots + WINDOW - 1) / WINDOW;
}

uint8_t *around_new(uint32_t n_slots)
{
	return calloc(windows_of(n_slots), 1);
}

/* Windows of the group of n that w is in, of which one was read. */
static uint32_t touched(const struct segment *s, uint32_t w, uint32_t n)
{
	uint32_t at = w / n * n, k = 0;

	for (uint32_t i = at; i < at + n && i < windows_of(s->n_slots); i++)
		k += s->near[i] != NEVER_READ;
	return k;
}

uint32_t around_read(struct segs *g, struct segment *s, uint32_t slot,
		     uint32_t n, uint32_t *ret_slot)
{
	uint32_t w = slot / WINDOW, group = 1, end;
	uint64_t round;

	if (n > SMALL)
		return 0;
	round = g->small_reads++ / ROUND;
	if (s->near_round != round) {
		s->near_round = round;
		memset(s->near, NEVER_READ, windows_of(s->n_slots));
	}
	if (s->near[w] == BROUGHT || s->near[w]++ == NEVER_READ)
		return 0;
	while (group < GROUP && touched(s, w, 2 * group) > group)
		group *= 2;
	w = w / group * group;
	end = MIN(w + group, windows_of(s->n_slots));
	memset(s->near + w, BROUGHT, end - w);
	*ret_slot = w * WINDOW;
	return MIN(end * WINDOW, s->n_slots) - w * WINDOW;
}
