/*
 * test_outback_nomem.c - a commit on its way out while allocations fail
 *
 * The nth allocation of any thread fails while a sync is under way; it says so
 * or succeeds, and the next one succeeds.  In the end all of it comes back.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "helper/nomem.h"

#define MIB (1u << 20)

/* Something new, large and small, for the next commit. */
static void change(struct device *d, unsigned i)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "dir/file %u", i);
	f_fill(d, name, 0, 70000 + i, i);
	f_fill(d, "big", (i % 3) * (uint64_t)MIB, 5000, i);
	f_xattr(d, name, "user.n", name, strlen(name));
}

static void a_commit_survives_no_memory_anywhere(void **state)
{
	struct rig *r = *state;
	struct device a;
	unsigned n_hits = 0;
	bool hit = true;

	device_init(&a, r, "a", 1, 1);
	device_start(&a);
	f_mkdir(&a, "dir");
	f_fill(&a, "big", 0, 3 * MIB, 1);
	/* a few hundred; the first of them one by one */
	for (long n = 0; hit; n += n < 30 ? 1 : 1 + n / 15) {
		int rc;

		change(&a, (unsigned)n);
		nomem_arm(NOMEM_PROCESS, n);
		rc = device_sync(&a);
		hit = nomem_disarm();
		if (rc < 0 && (!hit || rc != -ENOMEM))
			fail_msg("allocation %ld: %s", n, err_str(rc));
		n_hits += hit;
		ok(device_sync(&a));
		assert_true(n < 100000);
	}
	assert_true(n_hits > 30);
	comes_back_after_loss(&a, r, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_commit_survives_no_memory_anywhere,
						rig_set_up, rig_tear_down),
	};

	log_level_set(LOG_LEVEL_ERROR - 1); /* faults are announced loudly */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
