/* test_loop.c - the loop and its workers */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/thread.h"
#include "net/loop.h"
#include "net/work.h"

#define N_ITEMS 500

struct fixture {
	struct loop *loop;
	struct lock lock;
	struct cond cond;
	int order[N_ITEMS];
	int n;
	int ticks;
	struct loop_timer *timer;
};

struct task {
	struct loop_task t;
	struct fixture *f;
	int v;
};

struct item {
	struct work_item w;
	struct fixture *f;
	atomic_int runs;
	bool on_loop_in_run, on_loop_in_done;
	int nice, policy; /* of the thread that ran it */
};

static void note(struct loop_task *t)
{
	struct task *k = container_of(t, struct task, t);

	assert_true(loop_is_here(k->f->loop));
	k->f->order[k->f->n++] = k->v;
}

static void tasks_run_once_and_in_order_before_the_loop_ends(void **state)
{
	static struct task tasks[N_ITEMS];
	struct fixture f = { 0 };

	(void)state;
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(loop_start(f.loop), 0);
	for (int i = 0; i < N_ITEMS; i++) {
		tasks[i] = (struct task){ { .run = note }, &f, i };
		loop_post(f.loop, &tasks[i].t);
	}
	loop_stop(f.loop);
	loop_free(f.loop);
	assert_int_equal(f.n, N_ITEMS);
	for (int i = 0; i < N_ITEMS; i++)
		assert_int_equal(f.order[i], i);
}

static void item_run(struct work_item *w)
{
	struct item *it = container_of(w, struct item, w);

	it->on_loop_in_run = loop_is_here(it->f->loop);
	it->nice = getpriority(PRIO_PROCESS, 0); /* the thread's own */
	it->policy = sched_getscheduler(0);
	atomic_fetch_add(&it->runs, 1);
}

static void item_done(struct work_item *w)
{
	struct item *it = container_of(w, struct item, w);
	struct fixture *f = it->f;

	it->on_loop_in_done = loop_is_here(f->loop);
	lock_take(&f->lock);
	f->n++;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

static void work_runs_off_the_loop_and_returns_through_it(void **state)
{
	static struct item items[N_ITEMS];
	struct fixture f = { 0 };
	struct work *w;

	(void)state;
	lock_init(&f.lock);
	cond_init(&f.cond);
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(loop_start(f.loop), 0);
	assert_int_equal(work_new(f.loop, 4, &w), 0);
	for (int i = 0; i < N_ITEMS; i++) {
		items[i].w = (struct work_item){ .run = item_run, .done = item_done };
		items[i].f = &f;
		work_submit(w, &items[i].w);
	}
	lock_take(&f.lock);
	while (f.n < N_ITEMS)
		cond_wait(&f.cond, &f.lock);
	lock_drop(&f.lock);
	work_free(w);
	loop_stop(f.loop);
	loop_free(f.loop);
	for (int i = 0; i < N_ITEMS; i++) {
		assert_int_equal(items[i].runs, 1);
		assert_false(items[i].on_loop_in_run);
		assert_true(items[i].on_loop_in_done);
	}
}

static void tick(void *ctx)
{
	struct fixture *f = ctx;

	lock_take(&f->lock);
	if (++f->ticks == 3)
		loop_timer_stop(f->timer);
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
}

static void workers_are_nicer_than_the_process_however_nice_that_is(void **state)
{
	static struct item it;
	struct fixture f = { 0 };
	int own = getpriority(PRIO_PROCESS, 0);
	struct work *w;

	(void)state;
	for (int more = 0; more < 3; more++) {
		/* what has no room to be nicer is as nice as can be */
		own = MIN(own + more, 19);
		assert_int_equal(setpriority(PRIO_PROCESS, 0, own), 0);
		it = (struct item){ .w = { .run = item_run }, .f = &f };
		assert_int_equal(loop_new(&f.loop), 0);
		assert_int_equal(loop_start(f.loop), 0);
		assert_int_equal(work_new(f.loop, 1, &w), 0);
		work_submit(w, &it.w);
		work_free(w);
		loop_stop(f.loop);
		loop_free(f.loop);
		assert_int_equal(it.runs, 1);
		assert_int_equal(it.nice, MIN(own + BACKGROUND_NICE, 19));
		assert_int_equal(it.policy, SCHED_BATCH);
	}
}

static void a_timer_repeats_until_it_is_stopped(void **state)
{
	struct fixture f = { 0 };

	(void)state;
	lock_init(&f.lock);
	cond_init(&f.cond);
	assert_int_equal(loop_new(&f.loop), 0);
	assert_int_equal(loop_timer_new(f.loop, tick, &f, &f.timer), 0);
	loop_timer_start(f.timer, 1, 1);
	assert_int_equal(loop_start(f.loop), 0);
	lock_take(&f.lock);
	while (f.ticks < 3)
		cond_wait(&f.cond, &f.lock);
	lock_drop(&f.lock);
	loop_stop(f.loop);
	loop_timer_free(f.timer);
	loop_free(f.loop);
	assert_int_equal(f.ticks, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tasks_run_once_and_in_order_before_the_loop_ends),
		cmocka_unit_test(work_runs_off_the_loop_and_returns_through_it),
		cmocka_unit_test(
			workers_are_nicer_than_the_process_however_nice_that_is),
		cmocka_unit_test(a_timer_repeats_until_it_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
