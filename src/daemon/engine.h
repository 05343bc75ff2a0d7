/*
 * engine.h - what the daemon needs from onboarding and retrieval
 *
 * The daemon mounts a drive with or without an engine.  Without one nothing
 * leaves the machine and nothing is ever absent.  An engine brings the stores:
 * it is the cache's source, it is told of changes, it says how far it is.
 * Only engine files (engine_*.c) know src/onboard, src/retrieve, src/provider
 * and src/ledger; daemon.c knows this table.
 *
 * The order of a life:
 *
 *   open                        main thread, before the cache opens
 *   source                      for cache_open()
 *   start(cache)                main thread, cache open, loop running
 *   dirtied, full               any thread
 *   kick, sync, …               loop thread
 *   status, verify, gc          any thread but the loop (they wait for the
 *                               disk); over before stop
 *   halt                        main thread: nobody waits for a store any more,
 *                               verify and gc end soon; before stop
 *   stop                        main thread: end what is under way (it resumes
 *                               at the next mount); may wait for the loop;
 *                               afterwards no thread of it touches the cache
 *                               and every sync has had its callback.  False: a
 *                               store hangs, and threads in it are left behind:
 *                               the loop and the drive's io stay until the
 *                               process ends, which should be soon
 *   close                       main thread, after the cache has closed and the
 *                               loop has ended, which is not freed yet; the
 *                               databases are closed in any case
 *
 * Errors: -errno, with a sentence in reterr.
 */
#ifndef DAEMON_ENGINE_H
#define DAEMON_ENGINE_H

#include <stdbool.h>

#include "base/list.h"
#include "base/util.h"
#include "daemon/config.h"
#include "ledger/ledger.h"

struct cache;
struct cadence;
struct drive;
struct engine;
struct engine_sync;
struct err;
struct ledger_spend;
struct piece_cid;
struct loop;
struct snapshot;
struct source;

#define ENGINE_TEXT_MAX   320
#define ENGINE_ERRORS_MAX 8

#define ENGINE_GIVEN_MAX 4

/* How its proofs stood when they were asked for last.  Times: seconds since 1970,
 * 0: never, or none is due. */
struct engine_proof {
	char state[24];         /* "proven", "late", …; "": not known */
	char name[64];          /* of who holds the copies */
	uint64_t provider, set; /* numbers of the registry, of the data set */
	uint64_t asked, last, deadline;
	char text[160];
	char warning[ENGINE_TEXT_MAX]; /* what is wrong with it; "": nothing */
	char refused[ENGINE_TEXT_MAX]; /* why it is not replaced; "": no matter */
};

/* Who held copies here once, and may still have to be paid. */
struct engine_given {
	char name[64];
	uint64_t provider, set, time;
	char why[ENGINE_TEXT_MAX];
};

/* How one store stands. */
struct engine_store {
	char url[CONFIG_URL_MAX];
	char state[32]; /* "ok", "away", "not answering", "not asked yet" */
	struct ledger_holding held;
	char error[ENGINE_TEXT_MAX]; /* the last one; "": none */
	struct engine_proof proof;
	size_t n_given; /* the newest ones */
	struct engine_given given[ENGINE_GIVEN_MAX];
};

/* What `status` says beyond the cache.  Only what was checked (I10). */
struct engine_status {
	uint64_t queued_pieces, queued_bytes;       /* sealed, waiting */
	uint64_t uploading_pieces, uploading_bytes; /* on their way */
	uint64_t fetched_bytes;                     /* since the mount */
	uint64_t commit_sequence;                   /* of the newest claimed
						       head; 0: none yet */
	int64_t commit_time; /* of that commit, seconds since 1970 */
	bool fenced;         /* another device has the head: no more commits */
	size_t n_stores;
	struct engine_store stores[CONFIG_STORES_MAX];
	size_t n_errors;
	char errors[ENGINE_ERRORS_MAX][ENGINE_TEXT_MAX]; /* newest first */
};

struct engine_sum {
	uint64_t pieces, bytes;
};

#define ENGINE_GC_NETWORK 35 /* pieces of one removal at a provider */

/* Of a piece that is to be removed by its owner. */
struct engine_gc_piece {
	char cid[80]; /* its CID, as text */
	uint64_t size;
};

struct engine_gc_store {
	char url[CONFIG_URL_MAX];
	bool network;
	uint64_t set;           /* data set; 0: none, or no network */
	struct engine_sum dead; /* that it holds */
	struct engine_sum left; /* condemned, and not gone there */
	struct engine_gc_piece removals[ENGINE_GC_NETWORK]; /* of those, what its
					owner may have removed now */
	size_t n_removals;
};

/* What nobody needs (onboard/onboard.h, struct onboard_gc). */
struct engine_gc {
	bool remove;
	unsigned network;
	uint64_t forget_before;

	uint64_t sequence; /* of the newest commit that is published */
	uint64_t commits, forgotten;
	struct engine_sum dead, paid, batch, old, sparse, condemned;
	uint64_t short_of; /* pieces that have not got their copies */
	size_t n_stores;
	struct engine_gc_store stores[CONFIG_STORES_MAX];
};

/* Caller-owned until `done`: callback law of cache/source.h, on the loop. */
struct engine_sync {
	/* stage: "sealing", "uploading", "publishing"; total 0: unknown */
	void (*progress)(struct engine_sync *s, const char *stage,
			 uint64_t done, uint64_t total);
	void (*done)(struct engine_sync *s, int status, const char *reason);

	struct list node; /* private to the engine */
	void *impl;
};

struct engine_ops {
	int (*open)(const struct drive *drive, struct loop *loop,
		    struct engine **ret, struct err *reterr);
	struct source *(*source)(struct engine *e);
	/* read_only: nothing will ever be committed from here */
	int (*start)(struct engine *e, struct cache *cache, bool read_only,
		     struct err *reterr);
	void (*dirtied)(struct engine *e);
	/* Any thread: writers wait for room (cache_params.full). */
	void (*full)(struct engine *e);
	void (*status)(struct engine *e, struct cache *cache,
		       struct engine_status *ret);

	/* Any thread: how often to commit by itself (daemon/cadence.h). */
	void (*pace)(struct engine *e, const struct cadence *pace);

	/* Any thread: what stores waited for may be there now. */
	void (*retry)(struct engine *e);

	/* Any thread: what was paid to providers, for ledger_spends(). */
	int (*spends)(struct engine *e,
		      int (*cb)(void *ctx, const struct ledger_spend *s),
		      void *ctx);

	/* Do not wait for idle time: begin a commit now. */
	void (*kick)(struct engine *e);

	/* Commit now, and call back when all of it is at the stores. */
	int (*sync)(struct engine *e, struct engine_sync *s);
	void (*sync_cancel)(struct engine *e, struct engine_sync *s);

	/* The retained commits, oldest first; the callback copies and returns. */
	int (*snapshots)(struct engine *e,
			 int (*cb)(void *ctx, const struct snapshot *s), void *ctx);

	/*
	 * Read pieces back from every store that should hold them.  Blocks: on
	 * a thread of the caller's.  The number of faults, or -errno;
	 * -ECANCELED once progress returns anything but 0.
	 */
	int (*verify)(struct engine *e, unsigned percent,
		      void (*found)(void *ctx, const char *sentence),
		      int (*progress)(void *ctx, uint64_t done, uint64_t total),
		      void *ctx, struct err *reterr);

	/*
	 * Look for pieces that nobody needs, and have them removed.  Blocks, as
	 * verify; errors of onboard_gc().
	 */
	int (*gc)(struct engine *e, struct engine_gc *g,
		  int (*progress)(void *ctx, const char *stage, uint64_t done,
				  uint64_t total),
		  void *ctx, struct err *reterr);

	/*
	 * The owner is about to ask for a removal from that data set, which is
	 * paid once its first piece is gone there; or that was `refused`.  As
	 * gc_removed.  1: it may have been asked for before; -ENOENT: no slot has it.
	 */
	int (*gc_asked)(struct engine *e, uint64_t data_set,
			const struct piece_cid *first,
			const struct ledger_spend *s, bool refused);

	/* The owner has had something removed (and paid, if `paid` is not NULL),
	 * or data set `ended` (0: none), which was given up: look whether it is
	 * gone.  Any thread that may wait. */
	int (*gc_removed)(struct engine *e, const struct ledger_spend *paid,
			  uint64_t ended);
	void (*halt)(struct engine *e);
	bool (*stop)(struct engine *e);
	void (*close)(struct engine *e);
};

/* The engine of this build; NULL: local only. */
const struct engine_ops *engine_default(void);

#endif
