#include "daemon/idle.h"

#include <errno.h>
#include <time.h>

#include "net/loop.h"

#define LOOK_MIN_MS 100
#define LOOK_MAX_MS 30000

struct idle {
	struct idle_params p;
	struct loop_timer *timer;
	uint64_t seen;     /* requests at the last look */
	uint64_t since_ms; /* when they were first as many; now_ms() */
};

/* A clock that goes on while the machine sleeps. */
static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void look(void *ctx)
{
	struct idle *i = ctx;
	uint64_t now = now_ms(), n;

	if (!i->p.requests(i->p.ctx, &n)) {
		i->since_ms = now;
		return;
	}
	if (n != i->seen) {
		i->seen = n;
		i->since_ms = now;
	} else if (now - i->since_ms >= i->p.after_ms) {
		loop_timer_stop(i->timer);
		i->p.over(i->p.ctx);
	}
}

int idle_new(const struct idle_params *p, struct idle **ret)
{
	_cleanup_free_ struct idle *i = calloc(1, sizeof(*i));
	uint64_t every = MAX(LOOK_MIN_MS, MIN(LOOK_MAX_MS, p->after_ms / 4));
	int r;

	if (!i)
		return -ENOMEM;
	i->p = *p;
	i->since_ms = now_ms();
	r = loop_timer_new(p->loop, look, i, &i->timer);
	if (r < 0)
		return r;
	loop_timer_start(i->timer, every, every);
	*ret = steal(&i);
	return 0;
}

void idle_free(struct idle *i)
{
	if (!i)
		return;
	loop_timer_free(i->timer);
	free(i);
}
