#include "net/work.h"

#include <errno.h>
#include <pthread.h>

#include "base/thread.h"

#define WORK_THREADS_MAX 64

struct work {
	struct loop *loop;
	struct lock lock;
	struct cond cond;
	struct list items; /* lock: lock */
	bool stopping;     /* lock: lock */
	unsigned n;
	pthread_t threads[WORK_THREADS_MAX];
};

static void on_done(struct loop_task *t)
{
	struct work_item *w = container_of(t, struct work_item, task);

	w->done(w);
}

static struct work_item *work_next(struct work *w)
{
	struct work_item *item = NULL;

	lock_take(&w->lock);
	while (list_empty(&w->items) && !w->stopping)
		cond_wait(&w->cond, &w->lock);
	if (!list_empty(&w->items)) {
		item = list_first(&w->items, struct work_item, node);
		list_del(&item->node);
	}
	lock_drop(&w->lock);
	return item;
}

static void *work_thread(void *arg)
{
	struct work *w = arg;
	struct work_item *item;
	bool back;

	thread_background();
	for (;;) {
		item = work_next(w);
		if (!item)
			return NULL;
		thread_background_turn();
		back = item->done != NULL;
		item->run(item);
		if (back)
			loop_post(w->loop, &item->task);
	}
}

int work_new(struct loop *l, unsigned n_threads, struct work **ret)
{
	struct work *w = calloc(1, sizeof(*w));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	int r = 0;

	if (!w)
		return -ENOMEM;
	if (!n_threads)
		n_threads = cores > 2 ? (unsigned)cores : 2;
	w->loop = l;
	lock_init(&w->lock);
	cond_init(&w->cond);
	list_init(&w->items);
	for (; w->n < MIN(n_threads, WORK_THREADS_MAX) && r == 0; w->n++)
		r = -pthread_create(&w->threads[w->n], NULL, work_thread, w);
	if (r < 0) {
		w->n--;
		work_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void work_free(struct work *w)
{
	if (!w)
		return;
	lock_take(&w->lock);
	w->stopping = true;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		(void)pthread_join(w->threads[i], NULL); /* ours */
	cond_fini(&w->cond);
	lock_fini(&w->lock);
	free(w);
}

void work_submit(struct work *w, struct work_item *item)
{
	item->pool = w;
	item->task.run = on_done;
	lock_take(&w->lock);
	list_push(&w->items, &item->node);
	cond_wake_one(&w->cond);
	lock_drop(&w->lock);
}
