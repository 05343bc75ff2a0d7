#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/thread.h"

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	struct lock lock;
	struct list tasks; /* lock: lock */
	bool stopping;     /* lock: lock */
	bool started;
	pthread_t thread;
	pthread_t self; /* as the thread itself has it; see running */
	atomic_bool running;
};

struct loop_timer {
	uv_timer_t uv;
	void (*fire)(void *ctx);
	void *ctx;
};

static void loop_run_tasks(struct loop *l)
{
	struct loop_task *t;
	struct list now;

	list_init(&now);
	lock_take(&l->lock);
	list_splice(&now, &l->tasks);
	lock_drop(&l->lock);
	while (!list_empty(&now)) {
		t = list_first(&now, struct loop_task, node);
		list_del(&t->node);
		t->run(t);
	}
}

static void close_handle(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void on_wake(uv_async_t *a)
{
	struct loop *l = container_of(a, struct loop, wake);
	bool stop;

	loop_run_tasks(l);
	lock_take(&l->lock);
	stop = l->stopping && list_empty(&l->tasks);
	lock_drop(&l->lock);
	if (stop)
		uv_stop(&l->uv);
}

int loop_new(struct loop **ret)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l);
		return r;
	}
	r = uv_async_init(&l->uv, &l->wake, on_wake);
	if (r < 0) {
		(void)uv_loop_close(&l->uv); /* holds no handle yet */
		free(l);
		return r;
	}
	lock_init(&l->lock);
	list_init(&l->tasks);
	*ret = l;
	return 0;
}

static void *loop_thread(void *arg)
{
	struct loop *l = arg;

	l->self = pthread_self();
	atomic_store(&l->running, true);
	(void)uv_run(&l->uv, UV_RUN_DEFAULT); /* says whether handles are left */
	atomic_store(&l->running, false);
	return NULL;
}

int loop_start(struct loop *l)
{
	int r = pthread_create(&l->thread, NULL, loop_thread, l);

	if (r)
		return -r;
	l->started = true;
	return 0;
}

void loop_post(struct loop *l, struct loop_task *t)
{
	lock_take(&l->lock);
	list_push(&l->tasks, &t->node);
	lock_drop(&l->lock);
	(void)uv_async_send(&l->wake); /* fails only on a closed handle */
}

void loop_stop(struct loop *l)
{
	if (!l->started)
		return;
	lock_take(&l->lock);
	l->stopping = true;
	lock_drop(&l->lock);
	(void)uv_async_send(&l->wake);       /* likewise */
	(void)pthread_join(l->thread, NULL); /* ours, joined once */
	l->started = false;
}

void loop_free(struct loop *l)
{
	int r;

	if (!l)
		return;
	assert(!l->started);
	loop_run_tasks(l); /* what was posted last frees itself */
	uv_walk(&l->uv, close_handle, NULL);
	(void)uv_run(&l->uv, UV_RUN_DEFAULT); /* runs the close callbacks */
	r = uv_loop_close(&l->uv);
	assert(r == 0); /* a handle outlived its loop */
	lock_fini(&l->lock);
	free(l);
}

bool loop_is_here(const struct loop *l)
{
	return atomic_load(&l->running) && pthread_equal(l->self, pthread_self());
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}

static void on_timer(uv_timer_t *t)
{
	struct loop_timer *lt = container_of(t, struct loop_timer, uv);

	lt->fire(lt->ctx);
}

int loop_timer_new(struct loop *l, void (*fire)(void *ctx), void *ctx,
		   struct loop_timer **ret)
{
	struct loop_timer *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	r = uv_timer_init(&l->uv, &t->uv);
	if (r < 0) {
		free(t);
		return r;
	}
	t->fire = fire;
	t->ctx = ctx;
	*ret = t;
	return 0;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
	int r = uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);

	assert(r == 0); /* fails only on a closing handle */
}

void loop_timer_stop(struct loop_timer *t)
{
	(void)uv_timer_stop(&t->uv); /* cannot fail */
}

static void timer_closed(uv_handle_t *h)
{
	free(container_of(h, struct loop_timer, uv));
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, timer_closed);
}
