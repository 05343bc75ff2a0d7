/*
 * retry.h - how long to wait before the next try
 *
 * Exponential backoff with jitter: the nth wait is between half and all of
 * base · 2^n, at most `max_ms`, so that many clients of one store do not come
 * back in step.  A Retry-After that is longer wins.
 *
 *   struct retry t = { .policy = &policy };
 *   do {
 *           r = attempt(…);
 *           if (r == 0 || retry_next(&t, r, retry_after_s, &wait_ms) < 0)
 *                   break;
 *           … a timer of wait_ms …
 *   }
 *
 * Threading: a struct retry belongs to one thread; a policy is constant.
 */
#ifndef NET_RETRY_H
#define NET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct retry_policy {
	uint64_t base_ms;  /* the first wait, at least 1 */
	uint64_t max_ms;   /* the longest wait of our own */
	unsigned tries;    /* attempts in all; 0: no limit */
	uint64_t total_ms; /* from the first failure; 0: no limit */

	/* Both or none, for tests: the clock and the dice. */
	uint64_t (*now_ms)(void *ctx);
	uint64_t (*random)(void *ctx);
	void *ctx;
};

/* Zeroed but for the policy; so again after a success. */
struct retry {
	const struct retry_policy *policy;
	unsigned n;        /* failures so far */
	uint64_t first_ms; /* when the first was */
};

/* Can the same request succeed later?  (A store away or busy, a deadline.) */
bool retry_worthwhile(int err);

/*
 * After an attempt that failed with `err`: 0 and how long to wait, or `err`
 * itself if trying again is of no use, or tries or time are used up.
 * `retry_after_s` is what the server asked for, 0 for nothing.
 */
must_check int retry_next(struct retry *r, int err, uint64_t retry_after_s,
			  uint64_t *ret_wait_ms);

#endif
