/*
 * test_again.c - a commit that has to be made again, since a piece is lost each time
 *
 * The ledger's last word on a commit stands here, and says so as often as a case wants.
 */
#include "rig.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/log.h"

#define RUNS_MAX 9 /* of one commit */

int __real_ledger_head_add(struct ledger *l, const struct ledger_head *h,
			   const uint64_t *ordinals, size_t n_ordinals, uint64_t gen,
			   const struct ledger_adopt *adopt, size_t n_adopt);
int __wrap_ledger_head_add(struct ledger *l, const struct ledger_head *h,
			   const uint64_t *ordinals, size_t n_ordinals, uint64_t gen,
			   const struct ledger_adopt *adopt, size_t n_adopt);

static atomic_uint lost_in, n_runs; /* so many more runs; all of them */

int __wrap_ledger_head_add(struct ledger *l, const struct ledger_head *h,
			   const uint64_t *ordinals, size_t n_ordinals, uint64_t gen,
			   const struct ledger_adopt *adopt, size_t n_adopt)
{
	atomic_fetch_add(&n_runs, 1);
	if (atomic_load(&lost_in)) {
		atomic_fetch_sub(&lost_in, 1);
		return -EAGAIN;
	}
	return __real_ledger_head_add(l, h, ordinals, n_ordinals, gen, adopt,
				      n_adopt);
}

static int sync_losing(struct device *d, unsigned n, struct err *e)
{
	*e = (struct err){ "" };
	atomic_store(&n_runs, 0);
	atomic_store(&lost_in, n);
	return onboard_wait(d->onboard, onboard_request(d->onboard), RIG_WAIT_MS, e);
}

static void a_commit_is_made_again_so_often_and_then_says_why_not(void **state)
{
	struct rig *r = *state;
	struct device a;
	struct err e;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_fill(&a, "f", 0, 200000, 1);
	ok(sync_losing(&a, RUNS_MAX - 1, &e));
	assert_int_equal(atomic_load(&n_runs), RUNS_MAX);
	f_fill(&a, "g", 0, 300000, 2);
	assert_int_equal(sync_losing(&a, RUNS_MAX, &e), -EAGAIN);
	assert_non_null(strstr(e.text, "pieces are lost meanwhile"));
	ok(sync_losing(&a, 0, &e));
	comes_back_after_loss(&a, r, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_commit_is_made_again_so_often_and_then_says_why_not,
			rig_set_up, rig_tear_down),
	};

	log_level_set(LOG_LEVEL_ERROR - 1); /* it is said, and here */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
