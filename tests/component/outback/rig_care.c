/* rig_care.c - what an owner asks of a drive now and then: gc and verify */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "base/thread.h"

struct onboard_gc device_gc_with(struct device *d, struct onboard_gc g)
{
	struct err e = { "" };

	if (onboard_gc(d->onboard, &g, no_progress, NULL, &e) < 0)
		fail_msg("gc: %s", e.text);
	return g;
}

struct onboard_gc device_gc(struct device *d, uint64_t before)
{
	return device_gc_with(d, (struct onboard_gc){ .remove = true,
						      .forget_before = before });
}

uint64_t device_left_at(struct device *d, size_t i)
{
	uint64_t pieces = 0, bytes = 0;

	ok(ledger_condemned(d->ledger, d->ids[i], &pieces, &bytes));
	return pieces;
}

void device_until_left(struct device *d, size_t i, uint64_t want)
{
	uint64_t end = monotonic_ms() + RIG_WAIT_MS;

	while (device_left_at(d, i) != want) {
		assert_true(monotonic_ms() < end);
		assert_int_equal(usleep(10000), 0); /* others are at work */
	}
}

static void on_fault(void *ctx, const char *sentence)
{
	char *all = ctx;

	print_message("# fault: %s\n", sentence);
	if (all)
		(void)snprintf(all + strlen(all), FAULTS_MAX - strlen(all),
			       "%s\n", sentence); /* cut is fine */
}

int device_verify(struct device *d, char *faults)
{
	struct err e = { "" };

	if (faults)
		faults[0] = '\0';
	return onboard_verify(d->onboard, 100, on_fault, NULL, faults, &e);
}
