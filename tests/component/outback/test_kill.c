/*
 * test_kill.c - onboarding is killed again and again, and goes on
 *
 * A child mounts the drive and onboards; it gets SIGKILL after a time that
 * grows from run to run, in the end faster, until one run comes to its end.  So every persisted
 * state is met sooner or later; the order of the cuts follows from the machine.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>

#define MIB      (1u << 20)
#define STEP_US  7000
#define FIRST    5   /* runs that are over before the drive is open */
#define FINE     50  /* runs, each a step longer than the one before */
#define RUNS_MAX 100 /* the last has an hour */

/* In the child: 0 when the commit is claimed. */
static int child(struct device *d)
{
	int r;

	device_open(d);
	device_start(d);
	r = device_sync(d);
	device_close(d);
	return r == 0 ? 0 : 1;
}

/* True if the child came to its end; it ends the test if that was a failure. */
static unsigned kill_until_done(struct device *d)
{
	long us = 50;

	for (unsigned i = 1; i < RUNS_MAX; i++) {
		us += i <= FIRST ? us : i <= FINE ? STEP_US : us / 5;
		if (device_lives_through(d, child, us))
			return i;
	}
	fail_msg("no run came to its end");
	return 0;
}

static void killed_at_any_time_everything_arrives_and_nothing_twice(void **state)
{
	struct rig *r = *state;
	struct device a;
	char name[32], *want;
	unsigned runs;

	device_init(&a, r, "a", 2, 2);
	a.piece_target = 4 * MIB;
	f_mkdir(&a, "d");
	for (int i = 0; i < 12; i++) {
		(void)snprintf(name, sizeof(name), "d/f%d", i);
		f_fill(&a, name, 0, MIB + 100, (uint64_t)i);
		f_link(&a, name, name + 2);
	}
	want = tree_text(&a);
	device_close(&a);
	runs = kill_until_done(&a);
	print_message("# %u kills, %llu bytes\n", runs - 1,
		      (unsigned long long)store_bytes(r, "s0"));
	assert_true(runs > 3);
	assert_in_range(store_bytes(r, "s0"), 12 * MIB, 14 * MIB);
	assert_int_equal(store_bytes(r, "s0"), store_bytes(r, "s1"));

	/* Once more, with a change in the middle of it. */
	device_open(&a);
	f_fill(&a, "d/f3", 5000, 4096, 77);
	f_fill(&a, "d/new", 0, 3 * MIB, 78);
	free(want);
	want = tree_text(&a);
	device_close(&a);
	runs = kill_until_done(&a);
	print_message("# %u kills, %llu bytes\n", runs - 1,
		      (unsigned long long)store_bytes(r, "s0"));
	assert_in_range(store_bytes(r, "s0"), 15 * MIB, 20 * MIB);

	rig_remove(r, "a");
	recovers_as(r, "b", 2, want);
	free(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			killed_at_any_time_everything_arrives_and_nothing_twice,
			rig_set_up, rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
