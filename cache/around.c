#include "cache/around.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 32u   /* slots */
#define GROUP  8u    /* windows */
#define SMALL  4u    /* slots, at most */
#define ROUND  8192u /* small reads */
#define STOCK  64u   /* windows that first reads may bring for nothing */
#define PARTS  16u   /* of marks; more of them come one page at a time */

enum {
	NEVER_READ,
	READ_ONCE,
	BROUGHT,
	WORTH_IT, /* read after it was brought */
};

static uint32_t windows_of(const struct around_seg *s)
{
	return (s->n_slots + WINDOW - 1) / WINDOW;
}

int around_init(struct around_seg *s, uint32_t n_slots)
{
	s->n_slots = n_slots;
	s->windows = calloc(windows_of(s) + PARTS, 1);
	return s->windows ? 0 : -ENOMEM;
}

void around_fini(struct around_seg *s)
{
	free(s->windows);
	s->windows = NULL;
}

/* Forget what was before this round. */
static void keep_round(struct around *a, struct around_seg *s)
{
	uint64_t round = a->small_reads / ROUND + 1;

	if (a->round != round) {
		a->round = round;
		a->stock = STOCK;
	}
	if (s->round != round) {
		s->round = round;
		memset(s->windows, NEVER_READ, windows_of(s) + PARTS);
	}
}

/* Windows of the group of n that w is in, of which one was read. */
static uint32_t touched(const struct around_seg *s, uint32_t w, uint32_t n)
{
	uint32_t at = w / n * n, k = 0;

	for (uint32_t i = at; i < at + n && i < windows_of(s); i++)
		k += s->windows[i] != NEVER_READ;
	return k;
}

/* So many windows, with w, are to come now. */
static uint32_t group_of(const struct around *a, struct around_seg *s, uint32_t w)
{
	uint32_t group = 1;

	if (a->stock >= GROUP)
		return GROUP;
	if (s->windows[w] == READ_ONCE)
		return 0;
	while (group < GROUP && touched(s, w, 2 * group) > group)
		group *= 2;
	return group;
}

uint32_t around_read(struct around *a, struct around_seg *s, uint32_t slot,
		     uint32_t n, uint32_t *ret_slot)
{
	uint32_t w = slot / WINDOW, group, end, fresh = 0;

	if (n > SMALL)
		return 0;
	keep_round(a, s);
	a->small_reads++;
	if (s->windows[w] == BROUGHT)
		a->stock += GROUP;
	if (s->windows[w] >= BROUGHT) {
		s->windows[w] = WORTH_IT;
		return 0;
	}
	s->windows[w]++;
	group = group_of(a, s, w);
	if (group == 0)
		return 0;
	w = w / group * group;
	end = MIN(w + group, windows_of(s));
	for (uint32_t i = w; i < end; i++) {
		fresh += s->windows[i] < BROUGHT;
		s->windows[i] = MAX(s->windows[i], BROUGHT);
	}
	a->stock -= MIN(a->stock, fresh);
	*ret_slot = w * WINDOW;
	return MIN(end * WINDOW, s->n_slots) - w * WINDOW;
}

bool around_marks(struct around *a, struct around_seg *s, uint32_t n, uint32_t part)
{
	uint8_t *asked;

	if (n > SMALL || part >= PARTS)
		return false;
	keep_round(a, s);
	asked = &s->windows[windows_of(s) + part];
	if (*asked)
		return false;
	*asked = 1;
	return true;
}
