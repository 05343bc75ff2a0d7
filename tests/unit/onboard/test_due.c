/* test_due.c - when a drive commits by itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "onboard/due.h"

#define S   1000ull /* ms */
#define NOW (100000 * S)

static const struct due_rules rules = { .idle_ms = 30 * S,
					.max_age_ms = 600 * S,
					.dirty_bytes = 1u << 30 };

/* Changed an hour after the last commit, and just now. */
static struct due_facts busy(void)
{
	return (struct due_facts){ .now_ms = NOW,
				   .dirty_since_ms = NOW - 60 * S,
				   .changed_ms = NOW,
				   .dirty_bytes = 4096,
				   .taken_ms = NOW - 3600 * S,
				   .ended_ms = NOW - 3599 * S,
				   .cost_ms = S / 100 };
}

static void it_is_quiet_when_nothing_has_changed_since(void **state)
{
	struct due_facts f = busy();

	(void)state;
	assert_false(due_now(&f, &rules));
	f.changed_ms = NOW - rules.idle_ms + 1;
	assert_false(due_now(&f, &rules));
	f.changed_ms = NOW - rules.idle_ms;
	assert_true(due_now(&f, &rules));
	f.changed_ms = NOW + 5; /* while it was being asked */
	assert_false(due_now(&f, &rules));
}

static void no_change_waits_longer_than_its_age(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.dirty_since_ms = NOW - rules.max_age_ms;
	assert_true(due_now(&f, &rules));
	f.ended_ms = NOW - S; /* however dear the last one was */
	f.cost_ms = 3000 * S;
	assert_true(due_now(&f, &rules));
}

static void what_a_commit_has_is_not_old_any_more(void **state)
{
	struct due_facts f = busy();

	(void)state;
	/* it was never clean since, for changes went on */
	f.dirty_since_ms = NOW - 7200 * S;
	f.taken_ms = NOW - rules.max_age_ms + 1;
	f.ended_ms = NOW - rules.max_age_ms + S;
	assert_false(due_now(&f, &rules));
	f.taken_ms--;
	assert_true(due_now(&f, &rules));
}

static void much_does_not_wait(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.dirty_bytes = rules.dirty_bytes;
	f.ended_ms = NOW;
	f.cost_ms = 100 * S;
	assert_true(due_now(&f, &rules));
}

/* Else writers would wait for a quiet that only they can bring. */
static void half_of_what_the_cache_may_hold_does_not_wait(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.room_bytes = 144u << 20;
	f.dirty_bytes = f.room_bytes / 2 - 1;
	assert_false(due_for_room(&f));
	assert_false(due_now(&f, &rules));
	f.dirty_bytes++;
	f.ended_ms = NOW;
	f.cost_ms = 100 * S;
	assert_true(due_for_room(&f));
	assert_true(due_now(&f, &rules));
}

static void who_waits_for_room_waits_for_no_quiet(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.room_bytes = 160u << 20;
	f.dirty_bytes = f.room_bytes /
			DUE_WANTED_PART; /* the rest is promised, or on its way out */
	f.wanted_ms = NOW - 20;
	assert_true(due_now(&f, &rules));
	f.wanted_ms = NOW - DUE_WANTED_MS; /* he has got it, or has gone */
	assert_false(due_now(&f, &rules));
	f.wanted_ms = NOW + 5; /* while it was being asked */
	assert_true(due_now(&f, &rules));
	f.dirty_bytes--; /* next to nothing would come of it */
	assert_false(due_now(&f, &rules));
}

static void a_commit_that_made_no_room_is_not_made_again_at_once(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.room_bytes = 160u << 20;
	f.dirty_bytes = 120u << 20; /* of an open file without a name */
	f.wanted_ms = NOW;
	assert_true(due_in_vain(f.room_bytes, 90000));
	assert_false(due_in_vain(f.room_bytes, f.room_bytes / DUE_WANTED_PART));
	f.vain_ms = NOW - DUE_VAIN_MS + 1;
	assert_false(due_now(&f, &rules));
	f.changed_ms = NOW - rules.idle_ms; /* what else there is does not wait */
	assert_true(due_now(&f, &rules));
	f.changed_ms = NOW;
	f.vain_ms--;
	assert_true(due_now(&f, &rules));
}

static void commits_take_a_tenth_of_the_time_at_most(void **state)
{
	struct due_facts f = busy();

	(void)state;
	f.changed_ms = NOW - rules.idle_ms;
	f.cost_ms = 20 * S;
	f.ended_ms = NOW - DUE_PAUSE * f.cost_ms + 1;
	f.taken_ms = f.ended_ms - f.cost_ms;
	assert_false(due_now(&f, &rules));
	f.ended_ms--;
	assert_true(due_now(&f, &rules));
	assert_int_equal(DUE_PAUSE, 9);
}

static void the_first_one_of_a_mount_waits_for_no_other(void **state)
{
	struct due_facts f = { .now_ms = NOW, .changed_ms = NOW - rules.idle_ms };

	(void)state;
	assert_true(due_now(&f, &rules));
	f.changed_ms++;
	assert_false(due_now(&f, &rules));
}

static void a_run_that_cannot_go_on_gives_way_once_it_keeps_more_than_is_free(void **state)
{
	const struct due_stand sure = { .now_ms = NOW,
					.moved_ms = NOW - DUE_QUIET_MS,
					.kept_bytes = 9u << 20,
					.free_bytes = 9u << 20,
					.few_answer = true };
	struct due_stand s = sure;

	(void)state;
	assert_true(due_gives_way(&s));
	s.free_bytes++;
	assert_false(due_gives_way(&s));
	s = sure;
	s.few_answer = false; /* they may be slow, but room will come */
	assert_false(due_gives_way(&s));
	s = sure;
	s.moved_ms++;
	assert_false(due_gives_way(&s));
	s.moved_ms = NOW + 1; /* by another thread, just now */
	assert_false(due_gives_way(&s));
	s = sure;
	s.free_bytes = 0;
	s.kept_bytes = DUE_KEPT_MIN - 1; /* hardly worth a run */
	assert_false(due_gives_way(&s));
	s.kept_bytes++;
	assert_true(due_gives_way(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_quiet_when_nothing_has_changed_since),
		cmocka_unit_test(no_change_waits_longer_than_its_age),
		cmocka_unit_test(what_a_commit_has_is_not_old_any_more),
		cmocka_unit_test(much_does_not_wait),
		cmocka_unit_test(half_of_what_the_cache_may_hold_does_not_wait),
		cmocka_unit_test(who_waits_for_room_waits_for_no_quiet),
		cmocka_unit_test(a_commit_that_made_no_room_is_not_made_again_at_once),
		cmocka_unit_test(commits_take_a_tenth_of_the_time_at_most),
		cmocka_unit_test(the_first_one_of_a_mount_waits_for_no_other),
		cmocka_unit_test(
			a_run_that_cannot_go_on_gives_way_once_it_keeps_more_than_is_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
