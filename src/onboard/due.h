/*
 * due.h - is it time for a commit that nobody has asked for?
 *
 *   the oldest change that no commit has is max_age_ms old        yes
 *   so much is dirty that it should not wait                      yes
 *   commits would take more than a tenth of the packer's time     no
 *   nothing has changed for idle_ms                               yes
 *
 * A commit sends again each shard of a folder that has changed since the last one.
 * So while a large folder is filled or emptied, a second commit costs nearly as much
 * as the first: the quiet is waited for, and who makes dear commits waits longer.
 * Neither goes past max_age_ms.
 *
 * Threading: any; pure.
 */
#ifndef ONBOARD_DUE_H
#define ONBOARD_DUE_H

#include <stdbool.h>
#include <stdint.h>

#define DUE_PAUSE 9 /* times what the last one took: a tenth at most */

struct due_facts {
	uint64_t now_ms;         /* of one clock, as all times here */
	uint64_t dirty_since_ms; /* 0: not known */
	uint64_t changed_ms;     /* the newest change */
	uint64_t dirty_bytes;
	/* The last commit; 0 if there was none. */
	uint64_t taken_ms; /* its instant, or a little before */
	uint64_t ended_ms;
	uint64_t cost_ms; /* CPU time of the packer */
};

struct due_rules {
	uint64_t idle_ms, max_age_ms;
	uint64_t dirty_bytes;
};

/* There is something dirty. */
bool due_now(const struct due_facts *f, const struct due_rules *r);

#endif
