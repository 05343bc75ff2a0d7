#include "base/thread.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/list.h"

#define FOREGROUND_MS 200

struct member {
	struct list node;
	pthread_t id;
};

static struct {
	pthread_once_t once;
	struct lock lock;
	struct list members;   /* lock: lock */
	pthread_key_t leaving; /* its destructor: a member's thread ends */
	atomic_bool confined;  /* set under lock */
	_Atomic uint64_t foreground_ms;
} background = { .once = PTHREAD_ONCE_INIT };

/* Some ms old; costs nothing. */
static uint64_t coarse_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* cannot fail */
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_leaving(void *arg)
{
	struct member *m = arg;

	lock_take(&background.lock);
	list_del(&m->node);
	lock_drop(&background.lock);
}

static void background_init(void)
{
	lock_init(&background.lock);
	list_init(&background.members);
	if (pthread_key_create(&background.leaving, on_leaving))
		abort(); /* 1,024 keys, and nobody else has any */
}

/* The cores of the main thread: all, or all but one. */
static void cores(bool confined, cpu_set_t *ret)
{
	int i = 0;

	CPU_ZERO(ret);
	if (sched_getaffinity(getpid(), sizeof(*ret), ret) < 0)
		return; /* over 1,024 cores: they are left alone */
	if (!confined || CPU_COUNT(ret) < 2)
		return;
	while (!CPU_ISSET(i, ret))
		i++;
	CPU_CLR(i, ret);
}

static void confine(bool confined)
{
	cpu_set_t set;

	cores(confined, &set);
	lock_take(&background.lock);
	if (background.confined != confined && CPU_COUNT(&set) > 0) {
		list_foreach(p, &background.members)
			(void)pthread_setaffinity_np(
				container_of(p, struct member, node)->id,
				sizeof(set), &set); /* may be refused */
		background.confined = confined;
	}
	lock_drop(&background.lock);
}

void thread_foreground(void)
{
	atomic_store_explicit(&background.foreground_ms, coarse_ms(),
			      memory_order_relaxed);
}

uint64_t thread_foreground_end(void)
{
	uint64_t last = atomic_load_explicit(&background.foreground_ms,
					     memory_order_relaxed);

	return last ? last + FOREGROUND_MS : 0;
}

bool thread_foreground_busy(void)
{
	return coarse_ms() < thread_foreground_end();
}

void thread_background_turn(void)
{
	bool wanted = thread_foreground_busy();

	if (wanted != background.confined)
		confine(wanted);
}

void thread_background(void)
{
	static _Thread_local struct member me;
	const struct sched_param none = { 0 };
	/* cannot fail: we live.  Not ours: it may come from such a thread. */
	int niced = getpriority(PRIO_PROCESS, (id_t)getpid()) + BACKGROUND_NICE;
	cpu_set_t set;

	(void)setpriority(PRIO_PROCESS, 0, niced); /* the kernel caps it at 19 */
	(void)sched_setscheduler(0, SCHED_BATCH, &none);

	(void)pthread_once(&background.once, background_init);
	me.id = pthread_self();
	lock_take(&background.lock);
	list_push(&background.members, &me.node);
	cores(background.confined, &set);
	if (CPU_COUNT(&set) > 0)
		(void)pthread_setaffinity_np(me.id, sizeof(set), &set);
	lock_drop(&background.lock);
	if (pthread_setspecific(background.leaving, &me))
		on_leaving(&me);
}
