#include "net/fan.h"

#include "base/thread.h"

struct fan {
	struct lock lock;
	size_t next, n; /* lock: lock */
	size_t failed;  /* lock: lock; the first index that did */
	int status;     /* lock: lock */
	int (*one)(void *ctx, size_t i);
	void *ctx;
};

static void *work(void *arg)
{
	struct fan *f = arg;
	size_t i;
	int r;

	lock_take(&f->lock);
	while (f->next < f->n) {
		i = f->next++;
		lock_drop(&f->lock);
		r = f->one(f->ctx, i);
		lock_take(&f->lock);
		if (r < 0 && i < f->failed) {
			f->failed = i;
			f->status = r;
		}
	}
	lock_drop(&f->lock);
	return NULL;
}

int fan_out(size_t n, unsigned width, int (*one)(void *ctx, size_t i), void *ctx)
{
	struct fan f = { .n = n, .failed = n, .one = one, .ctx = ctx };
	pthread_t threads[FAN_WIDTH_MAX];
	size_t n_threads = 0;

	lock_init(&f.lock);
	width = MIN(width, FAN_WIDTH_MAX);
	while (n_threads + 1 < MIN(n, width) &&
	       pthread_create(&threads[n_threads], NULL, work, &f) == 0)
		n_threads++;
	(void)work(&f);
	for (size_t i = 0; i < n_threads; i++)
		(void)pthread_join(threads[i], NULL); /* ours */
	lock_fini(&f.lock);
	return f.status;
}
