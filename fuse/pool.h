/*
 * pool.h - the threads that read requests from the device and serve them
 *
 * The price of a FUSE operation is waking threads, not the work.  So one thread
 * at a time, the leader, reads requests and serves them itself, one after the
 * other, and no other thread wakes for them.  Before it sleeps it looks again
 * and again for a short time (20 to 60 us, by how long the next request took to
 * come lately), because who got an answer often asks again at once.  Longer
 * spins lost: on two cores they take from the caller what they save.
 *
 * Spinning pays only while the caller has a core of its own.  Where caller and
 * leader share one, or others want it, the caller waits for the spin to end, and
 * sleeping at once is the fastest way to hand the core over.  So spins that bring
 * nothing, and those in which the core went to somebody else, cost trust; without
 * it the leader sleeps at once for the next 64 to 1024 requests, and then tries
 * again.
 *
 * Others are needed when a request takes long:
 *   - serving something heavy while more waits in the device, the leader hands
 *     the lead on first (pool_share());
 *   - the standby looks every millisecond (every four, where no leader was
 *     stuck lately) whether the leader is stuck in one request, and then takes
 *     over.  When the leader has been asleep for 50 such looks the standby sleeps
 *     too, and an idle mount costs nothing.
 *
 *            lead free, or leader stuck                 handed on, or taken
 *   FOLLOWER -------> STANDBY --------------> LEADER ------------------> FOLLOWER
 *            one at a time                     reads, serves     (after serving)
 *
 * Two leaders for a moment (a stuck one that comes back) do no harm: a read
 * hands each request out once.
 *
 * Threading: as the functions say.
 */
#ifndef FUSE_POOL_H
#define FUSE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct op_room;
struct pool;
struct pool_worker;

#define POOL_THREADS_MAX 64
#define POOL_REQUEST_MAX ((1u << 20) + 8192) /* bytes: max_write and headers */

struct pool_params {
	int fd; /* of the device; made non-blocking */
	unsigned n_threads;
	/* Serve one request of n bytes; on a worker. */
	void (*serve)(void *ctx, struct pool_worker *w, uint8_t *p, size_t n);
	void *ctx;
};

must_check int pool_new(const struct pool_params *p, struct pool **ret);

/* From serve(): this one may take long, let somebody else read. */
void pool_share(struct pool_worker *w);

struct pool *pool_of(struct pool_worker *w);

/* Blocks until the connection ended or pool_stop(): 0 or -errno.  One thread. */
must_check int pool_wait(struct pool *p);

/* Workers end after what they serve.  Any thread, also serve(); any time. */
void pool_stop(struct pool *p, int status);

uint64_t pool_requests(struct pool *p); /* served so far; any thread */

void pool_free(struct pool *p); /* stops and joins; NULL is fine */

#endif
