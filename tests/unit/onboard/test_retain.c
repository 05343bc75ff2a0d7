/* test_retain.c - which commits stay, and at what time that is asked */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "onboard/retain.h"

#define DAY  86400u
#define NOW  (20000ull * DAY) /* some midnight */
#define BOOT 5000u

static void old_commits_thin_to_one_a_day_then_one_in_thirty(void **state)
{
	const uint64_t times[] = {
		NOW - 70 * DAY, NOW - 70 * DAY + 60, /* one of 30 days */
		NOW - 3 * DAY,  NOW - 3 * DAY + 60,  /* one day */
		NOW - 2 * DAY,                       /* another */
		NOW - DAY + 1,  NOW - 1,             /* today: all */
	};
	const bool want[] = { false, true, false, true, true, true, true };
	bool keep[ARRAY_LEN(times)];

	(void)state;
	retain_choose(times, ARRAY_LEN(times), NOW, keep);
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		assert_int_equal(keep[i], want[i]);
}

static void a_clock_that_goes_on_is_believed(void **state)
{
	struct retain_clock k = { .set = false };

	(void)state;
	for (uint64_t t = 0; t < 100 * DAY; t += DAY / 3) /* asleep or awake */
		assert_int_equal(retain_now(&k, NOW + t, BOOT + t), NOW + t);
	assert_int_equal(retain_now(&k, NOW + 100 * DAY + 600, BOOT + 100 * DAY),
			 NOW + 100 * DAY + 600); /* put right by the way */
}

static void a_clock_put_forward_is_believed_after_a_day(void **state)
{
	struct retain_clock k = { .set = false };
	const uint64_t jump = 3650ull * DAY;

	(void)state;
	assert_int_equal(retain_now(&k, NOW, BOOT), NOW);
	assert_int_equal(retain_now(&k, NOW + 10 + jump, BOOT + 10), NOW + 10);
	assert_int_equal(retain_now(&k, NOW + DAY + jump, BOOT + DAY), NOW + DAY);
	assert_int_equal(retain_now(&k, NOW + DAY + 10 + jump, BOOT + DAY + 10),
			 NOW + DAY + 10 + jump);
	assert_int_equal(retain_now(&k, NOW + DAY + 20 + jump, BOOT + DAY + 20),
			 NOW + DAY + 20 + jump);
}

static void each_jump_has_its_own_day(void **state)
{
	struct retain_clock k = { .set = false };
	uint64_t t = 0;

	(void)state;
	assert_int_equal(retain_now(&k, NOW, BOOT), NOW);
	for (unsigned n = 1; n <= 10; n++) {
		t += DAY / 2;
		assert_int_equal(retain_now(&k, NOW + t + n * 7 * DAY, BOOT + t),
				 NOW + t);
	}
}

static void a_clock_put_right_again_is_believed_at_once(void **state)
{
	struct retain_clock k = { .set = false };

	(void)state;
	assert_int_equal(retain_now(&k, NOW, BOOT), NOW);
	assert_int_equal(retain_now(&k, NOW + 90 * DAY, BOOT + 10), NOW + 10);
	assert_int_equal(retain_now(&k, NOW + 20, BOOT + 20), NOW + 20);
	/* and put back: less is thinned, never more */
	assert_int_equal(retain_now(&k, NOW - 90 * DAY, BOOT + 30), NOW - 90 * DAY);
	assert_int_equal(retain_now(&k, NOW + 40, BOOT + 40), NOW - 90 * DAY + 10);
	assert_int_equal(retain_now(&k, NOW + DAY + 40, BOOT + DAY + 40),
			 NOW + DAY + 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_commits_thin_to_one_a_day_then_one_in_thirty),
		cmocka_unit_test(a_clock_that_goes_on_is_believed),
		cmocka_unit_test(a_clock_put_forward_is_believed_after_a_day),
		cmocka_unit_test(each_jump_has_its_own_day),
		cmocka_unit_test(a_clock_put_right_again_is_believed_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
