/* test_jobs.c - what the packer does for commands: one thing at a time */
#include "rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "onboard/internal.h"

#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

/* Two commands at a time: one that was killed is still at work when the next begins. */
struct pair {
	struct pack_job first, second;
	struct device *d;
	pthread_t other;
	int status;
	atomic_bool waits, over, done;
};

static int waits(void *ctx, const char *stage, uint64_t done, uint64_t total)
{
	struct pair *p = ctx;

	(void)stage;
	(void)done;
	(void)total;
	atomic_store(&p->waits, true);
	return 0;
}

static void *ask_for_second(void *arg)
{
	struct pair *p = arg;

	p->status = onboard_job(p->d->onboard, &p->second, waits, p);
	atomic_store(&p->over, true);
	return NULL;
}

/* Goes on when the second waits, or has ended. */
static int run_first(struct pack_job *j)
{
	struct pair *p = container_of(j, struct pair, first);

	if (pthread_create(&p->other, NULL, ask_for_second, p) != 0)
		return -EAGAIN;
	while (!atomic_load(&p->waits) && !atomic_load(&p->over))
		(void)usleep(1000); /* a pause */
	return 0;
}

static int run_second(struct pack_job *j)
{
	atomic_store(&container_of(j, struct pair, second)->done, true);
	return 0;
}

static void a_second_one_waits_for_the_first(void **state)
{
	struct device a;
	struct pair p = { .d = &a,
			  .first = { .run = run_first },
			  .second = { .run = run_second } };

	device_init(&a, *state, "a", 1, 1);
	device_start(&a);
	ok(onboard_job(a.onboard, &p.first, no_progress, NULL));
	assert_int_equal(pthread_join(p.other, NULL), 0);
	ok(p.status);
	assert_true(atomic_load(&p.done));
	device_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_second_one_waits_for_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
