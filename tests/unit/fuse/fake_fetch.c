/* fake_fetch.c - absent parts of the fake cache, until they arrive */
#include "fake_cache.h"

#include <assert.h>

#include "base/err.h"
#include "fake_table.h"

int cache_fetch(struct cache *c, struct cache_fetch *f)
{
	lock_take(&c->lock);
	f->deadline_ms = f->timeout_ms ? monotonic_ms() + f->timeout_ms : UINT64_MAX;
	list_push(&c->fetches, &f->node);
	cond_wake_all(&c->wake);
	lock_drop(&c->lock);
	return 0;
}

static bool under_way(struct cache *c, struct cache_fetch *f)
{
	list_foreach(i, &c->fetches)
		if (i == &f->node)
			return true;
	return false;
}

void cache_fetch_cancel(struct cache *c, struct cache_fetch *w)
{
	bool mine;

	lock_take(&c->lock);
	mine = under_way(c, w);
	if (mine)
		list_del(&w->node);
	lock_drop(&c->lock);
	if (mine)
		w->done(w, -ECANCELED);
}

static void end_one(struct cache *c, struct cache_fetch *f, int status)
	REQUIRES(c->lock)
{
	list_del(&f->node);
	if (status == 0)
		c->i[f->miss.ino].absent = false;
	lock_drop(&c->lock);
	f->done(f, status);
	lock_take(&c->lock);
}

void fake_arrive(struct cache *c, int status)
{
	lock_take(&c->lock);
	while (!list_empty(&c->fetches))
		end_one(c, list_first(&c->fetches, struct cache_fetch, node),
			status);
	lock_drop(&c->lock);
}

static struct cache_fetch *overdue(struct cache *c)
{
	list_foreach(i, &c->fetches) {
		struct cache_fetch *f = container_of(i, struct cache_fetch, node);

		if (f->deadline_ms <= monotonic_ms())
			return f;
	}
	return NULL;
}

void *fake_timer(void *arg)
{
	struct cache *c = arg;

	lock_take(&c->lock);
	while (!c->stopping) {
		struct cache_fetch *f = overdue(c);
		struct timespec t;

		if (f) {
			end_one(c, f, -ETIMEDOUT);
			continue;
		}
		assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
		t.tv_nsec += 10000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		if (list_empty(&c->fetches))
			cond_wait(&c->wake, &c->lock);
		else
			(void)cond_wait_until(&c->wake, &c->lock, &t);
	}
	lock_drop(&c->lock);
	return NULL;
}

unsigned fake_n_fetches(struct cache *c)
{
	unsigned n = 0;

	lock_take(&c->lock);
	list_foreach(i, &c->fetches)
		n++;
	lock_drop(&c->lock);
	return n;
}
