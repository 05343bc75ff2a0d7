/*
 * bring.c - the disk begins with what will be read soon
 *
 * What lies around small reads and is worth having (around.h) is told to the kernel,
 * which takes some 100 to 500 us to ask the disk for up to 1 MiB.  Whoever reads does
 * not wait for that: it is a thread's, which is told a few places ahead.  When there
 * are more the disk has enough to do, and what is read meanwhile counts for nothing.
 */
#include "cache/internal.h"

#include "base/io.h"

void bring_around(struct cache *c, struct segment *s, uint32_t slot, uint32_t n)
{
	struct segs *g = &c->segs;
	uint32_t at, most;

	if (g->n_brings == BRING_MAX)
		return;
	most = around_read(&g->around, &s->around, slot, n, &at);
	if (most == 0)
		return;
	s->in_use++;
	g->brings[g->n_brings++] = (struct brought){ s, at, most };
	cond_wake_one(&g->bring);
}

static void *bring_main(void *arg)
{
	struct cache *c = arg;
	struct segs *g = &c->segs;

	lock_take(&c->segs.lock);
	while (!g->bring_stop) {
		struct brought b;

		if (g->n_brings == 0) {
			cond_wait(&g->bring, &c->segs.lock);
			continue;
		}
		b = g->brings[--g->n_brings]; /* the newest is awaited first */
		lock_drop(&c->segs.lock);
		io_begin_read(b.s->file, seg_slots_off(b.s, b.slot),
			      (uint64_t)b.n * CACHE_BLOCK);
		lock_take(&c->segs.lock);
		b.s->in_use--;
	}
	lock_drop(&c->segs.lock);
	return NULL;
}

int bring_start(struct cache *c)
{
	int r = pthread_create(&c->segs.bring_thread, NULL, bring_main, c);

	c->segs.bring_runs = r == 0;
	return -r;
}

void bring_stop(struct cache *c)
{
	struct segs *g = &c->segs;

	if (!g->bring_runs)
		return;
	lock_take(&c->segs.lock);
	g->bring_stop = true;
	cond_wake_one(&g->bring);
	lock_drop(&c->segs.lock);
	(void)pthread_join(g->bring_thread, NULL); /* it is ours and joinable */
	g->bring_runs = false;
}
