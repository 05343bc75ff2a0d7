/*
 * fetch.h - what fetch.c (who waits) and place.c (where it goes) share
 */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H

#include <stdatomic.h>

#include "base/buf.h"
#include "cache/internal.h"

#define FETCH_CHUNK       (1ull << 20) /* bytes of a file in one job */
#define FETCH_RUN         (64u << 20)  /* bytes of entries placed at a time */
#define FETCH_ENTRIES_MAX (256u << 20) /* bytes of them, with the last one */
#define FETCH_LINK_MAX    256          /* bytes; more than LINK_ENCODED_MAX */
#define N_TRANSIENTS      16

struct job {
	struct source_req req;
	struct fetch_state *f;
	struct list node;    /* f->jobs; lock: f->lock, as all below */
	struct list waiters; /* struct cache_fetch */
	uint8_t *link;
	uint8_t *bytes; /* of [req.off, req.off + req.n), the source's until done */
	struct have {
		uint16_t bytes; /* that have come */
		bool data;      /* some of them are no hole */
	} * have;               /* by block */
	struct buf entries;     /* or holes: offset and length of each, le64 */
	size_t n_entries;       /* of a directory, that are not placed yet */
	bool begun;             /* some of a directory's are */
	_Atomic uint64_t heard_ms; /* of a directory: the last entry came, or later
				    * by what it was stopped since; 0: none */
	int status;
	bool started, delivered, cancelled;
	bool placed; /* it was here when its turn came */
	bool late;   /* somebody's time was over, and that was logged */
	/* Somebody has waited for it; also of read-ahead. */
	atomic_bool joined;
};

struct want {
	enum source_kind kind;
	uint64_t ino, off, n;
	uint8_t link[FETCH_LINK_MAX];
	size_t n_link;
};

struct failure {
	enum source_kind kind;
	uint64_t ino, off;
	int status;
	uint64_t until_ms;
};

/* Fetched bytes that found no room in data/: the waiting reader takes them. */
struct transient {
	uint64_t ino, off, n;
	uint8_t *bytes, *link;
	size_t n_link;
};

struct fetch_state {
	struct cache *c;
	uint64_t look_ms; /* by when the thread looks; 0: nobody waits; lock: lock */
	uint64_t full_ms; /* when bytes found no room last; c->lock */
	uint64_t said_ms; /* when writers last waited, and it was said; 0: never */
	struct lock lock; /* below c->lock */
	struct cond cond;
	struct list jobs, room, done;
	size_t n_jobs;
	struct cache_miss ahead[32];
	size_t n_ahead;
	struct failure failures[64];
	size_t next_failure;
	struct transient transients[N_TRANSIENTS]; /* lock: c->lock */
	size_t next_transient;                     /* lock: c->lock */
	bool stop;
	pthread_t thread;
};

must_check int entry_encode(struct buf *b, const struct source_entry *e);

/* Put what has come where it belongs.  Without locks, on the fetcher. */
must_check int fetch_place(struct cache *c, struct job *j);
/*
 * The entries of a directory that have come, on the source's thread: nobody else's
 * fetch waits for them.  `last`: they are all.
 */
must_check int fetch_place_dir(struct cache *c, struct job *j, bool last);
/* The inode table's row of one inode. */
must_check int fetch_place_inode(struct cache *c, struct job *j);
/* Has somebody else brought all of it in meanwhile? */
bool fetch_is_here(struct cache *c, const struct job *j);
void transient_free(struct transient *t);

#endif
