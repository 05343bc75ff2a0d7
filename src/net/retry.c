#include "net/retry.h"

#include <assert.h>
#include <errno.h>
#include <sys/random.h>

#include "base/thread.h"

bool retry_worthwhile(int err)
{
	switch (err) {
	case -EREMOTEIO:
	case -ETIMEDOUT:
	case -EAGAIN: return true;
	default: return false;
	}
}

static uint64_t now_of(const struct retry_policy *p)
{
	return p->now_ms ? p->now_ms(p->ctx) : monotonic_ms();
}

static uint64_t random_of(const struct retry_policy *p)
{
	uint64_t v = 0;

	if (p->random)
		return p->random(p->ctx);
	/* At worst no jitter. */
	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != (ssize_t)sizeof(v))
		return 0;
	return v;
}

int retry_next(struct retry *r, int err, uint64_t retry_after_s, uint64_t *ret_wait_ms)
{
	const struct retry_policy *p = r->policy;
	uint64_t now, wait, after_ms;

	assert(err < 0 && p->base_ms > 0);
	if (!retry_worthwhile(err))
		return err;
	now = now_of(p);
	if (r->n == 0)
		r->first_ms = now;
	wait = p->base_ms;
	for (unsigned i = 0; i < r->n && wait < p->max_ms; i++)
		wait *= 2; /* below 2 · max_ms */
	wait = MIN(wait, MAX(p->max_ms, p->base_ms));
	wait = wait / 2 + random_of(p) % (wait - wait / 2 + 1);
	if (__builtin_mul_overflow(retry_after_s, 1000, &after_ms))
		after_ms = UINT64_MAX / 2;
	wait = MAX(wait, after_ms);
	if (r->n < UINT32_MAX)
		r->n++;
	if (p->tries && r->n >= p->tries)
		return err;
	/* A wait that ends behind the deadline is for nothing. */
	if (p->total_ms && now - r->first_ms + wait > p->total_ms)
		return err;
	*ret_wait_ms = wait;
	return 0;
}
