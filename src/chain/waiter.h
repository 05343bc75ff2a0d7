/*
 * waiter.h - a thread waits for one `done` on the loop (internal to chain)
 *
 *   struct waiter w;
 *
 *   waiter_init(&w);
 *   r = waiter_fini(&w, x_start(…));     the callback: waiter_over(&w, status)
 */
#ifndef CHAIN_WAITER_H
#define CHAIN_WAITER_H

#include <stdbool.h>

#include "base/thread.h"

struct waiter {
	struct lock lock;
	struct cond cond;
	bool over;  /* lock: lock */
	int status; /* lock: lock */
};

static inline void waiter_init(struct waiter *w)
{
	*w = (struct waiter){ .status = 0 };
	lock_init(&w->lock);
	cond_init(&w->cond);
}

static inline void waiter_over(struct waiter *w, int status)
{
	lock_take(&w->lock);
	w->over = true;
	w->status = status;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

/* `r` is what the start returned: if it began, wait for its status. */
static inline int waiter_fini(struct waiter *w, int r)
{
	if (r == 0) {
		lock_take(&w->lock);
		while (!w->over)
			cond_wait(&w->cond, &w->lock);
		r = w->status;
		lock_drop(&w->lock);
	}
	cond_fini(&w->cond);
	lock_fini(&w->lock);
	return r;
}

#endif
