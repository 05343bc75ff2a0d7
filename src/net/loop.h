/*
 * loop.h - the one event loop: libuv on a thread of its own
 *
 * State machines, timers, curl transfers and the control socket live on this
 * thread.  It never blocks, never syncs a file and never hashes more than
 * 64 KiB: such work goes to net/work.h and its result comes back here.
 *
 * Threading: loop_post() from any thread; everything else that takes a loop on
 * the loop's own thread unless it says otherwise.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/util.h"

struct loop;
struct loop_timer;
struct uv_loop_s;

/* Caller-owned; valid until `run` is called.  May be posted again from there. */
struct loop_task {
	void (*run)(struct loop_task *t);

	struct list node; /* private to loop.c */
};

must_check int loop_new(struct loop **ret);

/* Start the thread.  Any thread, once. */
must_check int loop_start(struct loop *l);

/*
 * Run what was posted before, then end the thread and wait for it.  Any other
 * thread, once.  Timers that are still running are stopped.
 */
void loop_stop(struct loop *l);
void loop_free(struct loop *l); /* after loop_stop, or never started */

/* Run `t` on the loop, in the order of posting.  Any thread. */
void loop_post(struct loop *l, struct loop_task *t);

bool loop_is_here(const struct loop *l); /* is this the loop's thread? */

/* A timer that calls `fire` on the loop.  Loop thread, or before loop_start. */
must_check int loop_timer_new(struct loop *l, void (*fire)(void *ctx),
			      void *ctx, struct loop_timer **ret);
void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms);
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine */

/* For the rooms that include uv.h: net and daemon. */
struct uv_loop_s *loop_uv(struct loop *l);

#endif
