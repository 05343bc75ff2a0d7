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

#endif
