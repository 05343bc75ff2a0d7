/*
 * syncer.h - fsyncs of all callers, one group commit for each batch
 *
 * cache_sync() blocks for a disk flush or two.  One thread calls it for all that
 * have asked since the last call, so that neither a worker nor another caller
 * stands still.
 *
 * Threading: syncer_add() from any thread.
 */
#ifndef FUSE_SYNCER_H
#define FUSE_SYNCER_H

#include "base/util.h"

struct cache;
struct op;
struct syncer;

must_check int syncer_new(struct cache *c, struct syncer **ret);

/*
 * 0: will be answered, by the syncer's thread, when all that completed before is
 * durable, or with the error of cache_sync().  *op is copied.  -ENOMEM: it is still the
 * caller's to answer.
 */
must_check int syncer_add(struct syncer *s, const struct op *op);

void syncer_free(struct syncer *s); /* answers all first; NULL is fine */

#endif
