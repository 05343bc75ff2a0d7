/*
 * behind.c - the disk begins with what is written before somebody waits for it
 *
 * The kernel keeps what is written in memory until much has gathered, seconds have
 * passed, or somebody asks for a sync, who then waits for all of it, with a disk
 * that did nothing meanwhile.  Whoever writes a lot through the cache writes new
 * slots, one after the other, which no later write takes back: a segment that has
 * BEHIND_BYTES of them more is told to the disk.
 *
 * On a thread of its own: a disk that has enough to do makes whoever tells it more
 * wait, and a writer shall not wait before there is too much in memory.
 */
#include "cache/internal.h"

#include "base/io.h"

#define BEHIND_BYTES (8u << 20)
#define BEHIND_SLOTS (BEHIND_BYTES / CACHE_BLOCK)

void behind_wrote(struct cache *c, struct segment *s, uint32_t slot, uint32_t n)
{
	struct segs *g = &c->segs;

	s->behind_from = s->n_behind ? MIN(s->behind_from, slot) : slot;
	s->behind_to = s->n_behind ? MAX(s->behind_to, slot + n) : slot + n;
	s->n_behind += n;
	if (s->n_behind < BEHIND_SLOTS || g->behind_seg)
		return;
	g->behind_seg = s->number;
	cond_wake_one(&g->behind);
}

/* Called and left with the lock. */
static void tell(struct cache *c, uint32_t number) REQUIRES(c->segs.lock)
{
	struct segment *s = seg_by_number(c, number);
	uint32_t from, to;

	if (!s || s->n_behind < BEHIND_SLOTS) /* synced, or gone */
		return;
	from = s->behind_from;
	to = s->behind_to;
	s->n_behind = 0;
	s->in_use++;
	lock_drop(&c->segs.lock);
	io_begin_sync(s->file, seg_slots_off(s, from),
		      (uint64_t)(to - from) * CACHE_BLOCK);
	lock_take(&c->segs.lock);
	s->in_use--;
}

static void *behind_main(void *arg)
{
	struct cache *c = arg;
	struct segs *g = &c->segs;

	lock_take(&c->segs.lock);
	while (!g->behind_stop) {
		uint32_t number = g->behind_seg;

		if (!number) {
			cond_wait(&g->behind, &c->segs.lock);
			continue;
		}
		g->behind_seg = 0;
		tell(c, number);
	}
	lock_drop(&c->segs.lock);
	return NULL;
}

int behind_start(struct cache *c)
{
	int r = pthread_create(&c->segs.behind_thread, NULL, behind_main, c);

	c->segs.behind_runs = r == 0;
	return -r;
}

void behind_stop(struct cache *c)
{
	struct segs *g = &c->segs;

	if (!g->behind_runs)
		return;
	lock_take(&c->segs.lock);
	g->behind_stop = true;
	cond_wake_one(&g->behind);
	lock_drop(&c->segs.lock);
	(void)pthread_join(g->behind_thread, NULL); /* it is ours and joinable */
	g->behind_runs = false;
}
