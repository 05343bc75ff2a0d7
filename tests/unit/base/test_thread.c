/* test_thread.c - properties of threads of the background */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>

#include "base/thread.h"

static int cores_of_this_thread(void)
{
	cpu_set_t set;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return CPU_COUNT(&set);
}

static void in_background(void *(*run)(void *))
{
	pthread_t id;

	assert_int_equal(pthread_create(&id, NULL, run, NULL), 0);
	assert_int_equal(pthread_join(id, NULL), 0);
}

static void *makes_way(void *arg)
{
	int all = cores_of_this_thread(), less = all > 1 ? all - 1 : 1;

	thread_background();
	do { /* unless this machine lets 200 ms pass in between */
		thread_foreground();
		thread_background_turn();
	} while (cores_of_this_thread() != less);
	do
		thread_background_turn();
	while (cores_of_this_thread() != all);
	return arg;
}

static void the_background_leaves_a_core_to_who_works_and_takes_it_back(void **state)
{
	int all = cores_of_this_thread();

	(void)state;
	in_background(makes_way);
	assert_int_equal(cores_of_this_thread(), all);
}

static void *joins(void *arg)
{
	thread_background();
	return arg;
}

/* Those that have ended are not asked any more: valgrind and ASan would tell. */
static void threads_come_and_go(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++)
		in_background(joins);
	in_background(makes_way);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_background_leaves_a_core_to_who_works_and_takes_it_back),
		cmocka_unit_test(threads_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
