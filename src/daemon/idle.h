/*
 * idle.h - locking a drive that nobody uses (`lock_after` of the config)
 *
 * Looks now and then whether programs have asked for anything since the last look;
 * when they have not for `after_ms`, `over` is called, once.  What the kernel
 * serves from its own cache is not seen here.
 *
 * Threading: the loop's; idle_new() before it runs, idle_free() once it has ended.
 * Time in which the machine sleeps counts.
 */
#ifndef DAEMON_IDLE_H
#define DAEMON_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct idle;
struct loop;

struct idle_params {
	struct loop *loop;
	uint64_t after_ms;
	/* Requests so far; false: not the time to ask. */
	bool (*requests)(void *ctx, uint64_t *ret);
	void (*over)(void *ctx);
	void *ctx;
};

must_check int idle_new(const struct idle_params *p, struct idle **ret);
void idle_free(struct idle *i); /* NULL is fine */

#endif
