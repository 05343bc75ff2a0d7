#include "fuse/syncer.h"

#include "base/list.h"
#include "base/thread.h"
#include "cache/cache.h"
#include "fuse/op.h"
#include "fuse/reply.h"

struct syncer {
	struct cache *cache;
	struct lock lock;
	struct cond wake;
	struct list waiting; /* lock: lock; ops on the heap, by node */
	bool stopping;       /* lock: lock */
	pthread_t id;
};

static void sync_batch(struct syncer *s, struct list *batch)
{
	int r = cache_sync(s->cache);

	list_foreach_safe(i, batch) {
		struct op *op = container_of(i, struct op, node);

		list_del(&op->node);
		reply_err(op, r);
		free(op);
	}
}

static void *syncer_main(void *arg)
{
	struct syncer *s = arg;
	struct list batch;

	list_init(&batch);
	lock_take(&s->lock);
	while (!s->stopping || !list_empty(&s->waiting)) {
		if (list_empty(&s->waiting)) {
			cond_wait(&s->wake, &s->lock);
			continue;
		}
		list_splice(&batch, &s->waiting);
		lock_drop(&s->lock);
		sync_batch(s, &batch);
		lock_take(&s->lock);
	}
	lock_drop(&s->lock);
	return NULL;
}

int syncer_new(struct cache *c, struct syncer **ret)
{
	struct syncer *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->cache = c;
	lock_init(&s->lock);
	cond_init(&s->wake);
	list_init(&s->waiting);
	r = -pthread_create(&s->id, NULL, syncer_main, s);
	if (r < 0) {
		cond_fini(&s->wake);
		lock_fini(&s->lock);
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

int syncer_add(struct syncer *s, const struct op *op)
{
	struct op *o = malloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	*o = *op;
	lock_take(&s->lock);
	list_push(&s->waiting, &o->node);
	cond_wake_one(&s->wake);
	lock_drop(&s->lock);
	return 0;
}

void syncer_free(struct syncer *s)
{
	if (!s)
		return;
	lock_take(&s->lock);
	s->stopping = true;
	cond_wake_one(&s->wake);
	lock_drop(&s->lock);
	(void)pthread_join(s->id, NULL); /* our own id */
	cond_fini(&s->wake);
	lock_fini(&s->lock);
	free(s);
}
