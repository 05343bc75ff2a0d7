/*
 * work.h - niced threads for what the loop may not do
 *
 * Sealing, hashing and file I/O run here; the result returns through the loop.
 * An item is caller-owned and valid until its `done`, which is called exactly
 * once, on the loop thread (or, with done == NULL, never: `run` is then the
 * end of the item's life).
 *
 * Threading: work_submit() from any thread.  Items run in the order of
 * submission, several at a time.
 */
#ifndef NET_WORK_H
#define NET_WORK_H

#include "base/list.h"
#include "base/util.h"
#include "net/loop.h"

struct work;

struct work_item {
	void (*run)(struct work_item *w);  /* on a worker */
	void (*done)(struct work_item *w); /* on the loop; may be NULL */

	/* private to work.c */
	struct list node;
	struct work *pool;
	struct loop_task task;
};

/* n_threads 0: one a core, at least 2.  Nice value 10. */
must_check int work_new(struct loop *l, unsigned n_threads, struct work **ret);

/* Finishes everything that was submitted, then joins the threads. */
void work_free(struct work *w);

void work_submit(struct work *w, struct work_item *item);

#endif
