#include "onboard/retain.h"

#define DAY   86400u
#define MONTH (30 * DAY)
#define SLACK 3600 /* seconds that a clock may be put forward by the way */

/* Commits of one period thin to the last of them. */
static uint64_t period_of(uint64_t time, uint64_t now)
{
	uint64_t age = now > time ? now - time : 0;

	if (age < DAY)
		return 0; /* each for itself */
	return age < MONTH ? DAY : MONTH;
}

void retain_choose(const uint64_t *times, size_t n, uint64_t now, bool *ret_keep)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t p = period_of(times[i], now);

		ret_keep[i] = i + 1 == n || p == 0 ||
			      times[i] / p != times[i + 1] / p;
	}
}

uint64_t retain_now(struct retain_clock *k, uint64_t real, uint64_t boot)
{
	int64_t now = (int64_t)(real - boot);

	if (!k->set || now <= k->believed + SLACK) {
		*k = (struct retain_clock){ .set = true, .believed = now };
		return real;
	}
	if (!k->ahead || now > k->now + SLACK || now < k->now - SLACK) {
		k->ahead = true;
		k->now = now;
		k->since = boot;
	}
	if (boot - k->since >= DAY) {
		*k = (struct retain_clock){ .set = true, .believed = now };
		return real;
	}
	return boot + (uint64_t)k->believed;
}
