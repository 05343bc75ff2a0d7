/*
 * retain.h - which commits stay in the list of retained ones
 *
 * All of the last day, then the last of each day for 30 days, then the last of
 * each 30 days.  A pure function of the times, so every device thins alike.
 */
#ifndef ONBOARD_RETAIN_H
#define ONBOARD_RETAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `times` are seconds, oldest first; ret_keep[i] says whether commit i stays at
 * the time `now`.  The newest always does.
 */
void retain_choose(const uint64_t *times, size_t n, uint64_t now, bool *ret_keep);

/*
 * A clock that is set wrong may not thin what cannot come back.  How far the time
 * of day is ahead of the time since boot is known from the mount on; what it gets
 * ahead of that is believed after a day.  All zero: not set yet.
 */
struct retain_clock {
	bool set, ahead;
	int64_t believed; /* time of day less time since boot, s */
	int64_t now;      /* if it is ahead: the same, not believed yet */
	uint64_t since;   /* boot time of that */
};

/* The time that is good for retain_choose(), never after `real`; both in seconds,
 * of CLOCK_REALTIME and CLOCK_BOOTTIME. */
uint64_t retain_now(struct retain_clock *k, uint64_t real, uint64_t boot);

#endif
