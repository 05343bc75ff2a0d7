/*
 * engine_gc.h - for engine.c: pieces that nobody needs, in the words of engine.h
 *
 * Threading: any thread that may wait.
 */
#ifndef DAEMON_ENGINE_GC_H
#define DAEMON_ENGINE_GC_H

#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct engine_gc;
struct err;
struct ledger;
struct onboard;
struct provider;

/* Of the engine; borrowed. */
struct engine_gc_of {
	struct onboard *onboard;
	struct ledger *ledger;
	struct provider *const *providers;
	const uint64_t *ids;
	char *const *urls;
	size_t n;
	unsigned copies;
};

must_check int engine_gc_run(const struct engine_gc_of *of, struct engine_gc *g,
			     int (*progress)(void *ctx, const char *stage,
					     uint64_t done, uint64_t total),
			     void *ctx, struct err *reterr);

#endif
