/* test_thread.c - properties of threads of the background, and of time they wait */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <stdlib.h>

#include "base/thread.h"

#include "helper/jump.h"

#define ROUND_MS 60000

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

/* Whenever it went on, it looked again, until it had waited for all of its rounds. */
static void of_a_round_in_which_the_process_stood_its_length_counts(void **state)
{
	uint64_t last = monotonic_ms();
	unsigned n_looks = 0;

	(void)state;
	for (uint64_t ms = 0; ms < 10 * ROUND_MS;
	     ms += monotonic_waited_ms(&last, ROUND_MS)) {
		n_looks++;
		jump_s(JUMP_DAY);
	}
	assert_int_equal(n_looks, 10);
}

static void what_was_waited_counts_once(void **state)
{
	uint64_t began = monotonic_ms(), last = began, sum = 0;

	(void)state;
	while (sum < 20) {
		sum += monotonic_waited_ms(&last, UINT64_MAX);
		assert_int_equal(sum, last - began);
		assert_true(last <= monotonic_ms());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_background_leaves_a_core_to_who_works_and_takes_it_back),
		cmocka_unit_test(threads_come_and_go),
		cmocka_unit_test(
			of_a_round_in_which_the_process_stood_its_length_counts),
		cmocka_unit_test(what_was_waited_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
