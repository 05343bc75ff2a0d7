/*
 * due.h - is it time for a commit that nobody has asked for?
 *
 *   the oldest change that no commit has is max_age_ms old        yes
 *   so much is dirty that it should not wait                      yes
 *   half of what the cache may hold is dirty                      yes
 *   writers wait for room, and a 64th of that is dirty            yes
 *   commits would take more than a tenth of the packer's time     no
 *   nothing has changed for idle_ms                               yes
 *
 * A commit sends again each shard of a folder that has changed since the last one.
 * So while a large folder is filled or emptied, a second commit costs nearly as much
 * as the first: the quiet is waited for, and who makes dear commits waits longer.
 * Neither goes past max_age_ms.  What is dirty cannot be evicted: with a cache
 * smaller than what is written writers would wait for a quiet that only they can
 * bring, so its size counts, whatever the rules say.
 *
 * And is one that is under way to be given up?  Its snapshot keeps what has been
 * dropped since.  While too few stores answer, nothing comes on and the outbox is
 * full, that may be for days, and who removes files from a full drive gets nothing
 * for it.  So the run gives way once it keeps more than is free: what is free can be
 * written anyway, and a run that keeps little is not packed twice for that.
 *
 * Threading: any; pure.
 */
#ifndef ONBOARD_DUE_H
#define ONBOARD_DUE_H

#include <stdbool.h>
#include <stdint.h>

#define DUE_PAUSE       9    /* times what the last one took: a tenth at most */
#define DUE_WANTED_MS   1000 /* who looked for room so lately still waits */
#define DUE_WANTED_PART 64   /* less would be mostly the commit's own folders */
#define DUE_VAIN_MS     30000 /* between two commits for room that makes none */
#define DUE_QUIET_MS    10000 /* no byte moved for so long: nothing comes on */
#define DUE_KEPT_MIN    (1u << 20) /* bytes; for less no run gives way */

struct due_facts {
	uint64_t now_ms;         /* of one clock, as all times here */
	uint64_t dirty_since_ms; /* 0: not known */
	uint64_t changed_ms;     /* the newest change */
	uint64_t dirty_bytes;
	uint64_t room_bytes; /* that may be dirty, at most */
	uint64_t wanted_ms;  /* a writer looked for room in vain; 0: none has */
	uint64_t vain_ms; /* a commit for room made next to none; 0: none such */
	/* The last commit; 0 if there was none. */
	uint64_t taken_ms; /* its instant, or a little before */
	uint64_t ended_ms;
	uint64_t cost_ms; /* CPU time of the packer */
};

struct due_rules {
	uint64_t idle_ms, max_age_ms;
	uint64_t dirty_bytes;
};

/*
 * Is it time because the cache is about to be full of what is dirty?  Then a commit
 * before that is not published does not matter either: its bytes do not come back.
 */
bool due_for_room(const struct due_facts *f);

/*
 * A commit that was due for room sealed so much.  Was it in vain?  There are dirty
 * bytes that no commit makes clean: damaged ones, those of open files without a name.
 */
bool due_in_vain(uint64_t room_bytes, uint64_t sealed_bytes);

/* How a run stands that waits for room in the outbox. */
struct due_stand {
	uint64_t now_ms;
	uint64_t moved_ms;   /* a byte went to a store, or came back, last */
	uint64_t kept_bytes; /* dropped since, and kept for the snapshot */
	uint64_t free_bytes; /* that can be written at once */
	bool few_answer;     /* stores; fewer than it takes copies */
};

/* Is it to be given up, so that what it keeps is free? */
bool due_gives_way(const struct due_stand *s);

/* There is something dirty. */
bool due_now(const struct due_facts *f, const struct due_rules *r);

#endif
