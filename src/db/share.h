/*
 * share.h - what the connections to one database share in this process
 *
 * SQLite's locks, the wal-index (in heap memory instead of a -shm file: only
 * one process ever has the database open) and the account of the WAL's space.
 *
 * The registry of shares is the one global here: SQLite opens connections
 * separately and they must find each other by (io, name).
 *
 * Threading: any thread; `lock` guards all but the wal-index's content, which
 * SQLite guards with the locks it takes here.
 */
#ifndef DB_SHARE_H
#define DB_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/thread.h"
#include "base/util.h"

struct io;

#define SHARE_SLOTS      8 /* SQLITE_SHM_NLOCK */
#define SHARE_SLOT_WRITE 0

/* SQLite's ladder; PENDING is not needed, nobody starves in WAL mode. */
enum share_level {
	SHARE_NONE,
	SHARE_SHARED,
	SHARE_RESERVED,
	SHARE_EXCLUSIVE
};

struct share {
	struct list node; /* of the registry */
	const struct io *io;
	char *name;
	unsigned refs; /* registry lock */
	struct lock lock;

	/* lock: the file's locks */
	unsigned n_shared;
	bool reserved, exclusive;

	/* lock: slots of the wal-index, -1 is exclusive, else how many share */
	int slots[SHARE_SLOTS];
	bool looked_at;     /* who has SHARE_SLOT_WRITE is no writer */
	struct cond looked; /* not any more */
	void **regions;
	size_t n_regions;

	/* lock: bytes of the WAL file on disk */
	bool wal_is_new;        /* its name is not durable yet */
	uint64_t wal_used;      /* end of the last frame written */
	uint64_t wal_done;      /* frames before this are in the database */
	uint64_t wal_turn;      /* counts restarts of the WAL */
	uint64_t wal_commit;    /* last commit written, a frame number */
	uint64_t wal_synced;    /* last commit known durable */
	uint64_t wal_allocated; /* blocks in front of this are ours */
	uint64_t wal_written;   /* the file reaches to here at least */
};

/*
 * Find or make the share of (io, name).  Opening is serial: the registry stays
 * locked until share_opened(), so that one connection recovers the WAL and the
 * next finds it done.  -ENOMEM (then it is not locked).
 */
must_check int share_get(const struct io *io, const char *name, struct share **ret);
void share_opened(void);

/* Closing is serial too: closing locks the registry, put unlocks it. */
void share_closing(void);
void share_put(struct share *sh);

/* Move from one level to another; -EBUSY. */
must_check int share_lock(struct share *sh, enum share_level from,
			  enum share_level to);
void share_unlock(struct share *sh, enum share_level from, enum share_level to);
bool share_is_reserved(struct share *sh);

/*
 * Slots first..first+n-1, shared or exclusive.  What the caller holds itself is
 * the caller's knowledge.  -EBUSY, and nothing is taken.
 *
 * SHARE_SLOT_WRITE is also taken by who reads: if the wal-index's head is just being
 * written, it is looked at again in the writer's place, for some microseconds (if the
 * reader is not stopped there).  Who `writes` waits for that: refused would be the
 * only writer that there is, right after its COMMIT.
 */
must_check int share_slots_take(struct share *sh, unsigned first, unsigned n,
				bool exclusive, bool writes);
void share_slots_drop(struct share *sh, unsigned first, unsigned n, bool exclusive);

/* Region i of `size` bytes; *ret is NULL if it is absent and not `make`. */
must_check int share_region(struct share *sh, unsigned i, size_t size,
			    bool make, void **ret);

#endif
