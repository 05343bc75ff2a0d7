/*
 * retry.h - requests that wait for something absent
 *
 * An op that got -EINPROGRESS is parked: it moves to the heap, its miss is
 * fetched, and a few threads of this queue run it again when the fetch ends,
 * until it succeeds, its deadline passes (-ETIMEDOUT), its caller is
 * interrupted (-EINTR), or the queue stops (-EIO).  Waiting for room has no
 * deadline here: the cache ends it with -ENOSPC.
 *
 *              cache_fetch()            callback            run()
 *   (stack) ----> FETCHING ----------------> READY ----------> answered
 *                   |  ^                       |
 *       interrupt:  |  '------ -EINPROGRESS ---'
 *       cancelled by a retry thread, the callback still comes
 *
 * While a thread of ours is inside cache_fetch() or cache_fetch_cancel() the op
 * is held: a callback in that time only leaves it READY, and the holder queues
 * it.  So no op is freed under a call on its fetch.
 *
 * The callbacks of the cache and of libfuse (interrupt) only queue and wake.
 *
 * Threading: any thread; retry_free() by the owner when no worker runs.
 */
#ifndef FUSE_RETRY_H
#define FUSE_RETRY_H

#include <stdint.h>

#include "base/util.h"

struct cache;
struct op;
struct retry;

struct retry_params {
	struct cache *cache;
	unsigned n_threads;
	unsigned timeout_ms; /* of what is absent; room: full_timeout_ms */
	uint64_t bytes_max;  /* of all parked ops together */
};

must_check int retry_new(const struct retry_params *p, struct retry **ret);

/*
 * 0: the op was copied and will be answered; the caller forgets about it.
 * -errno: it was not, the caller answers.  -ENOMEM past bytes_max.
 */
must_check int retry_park(struct retry *q, struct op *op);

/* Cancel and answer all that is parked; from now on retry_park() gives -EIO. */
void retry_stop(struct retry *q);

void retry_free(struct retry *q); /* stops; waits until all is answered */

struct retry_stats {
	uint64_t parked, parked_bytes, parked_total, timeouts;
};
void retry_stats(struct retry *q, struct retry_stats *ret);

#endif
