/*
 * onboard.h - out: the drive becomes pieces, the pieces reach their stores
 *
 *   cache ─snapshot─► plan ─► leaves ─► nodes ─► commit ─► outbox     (packer)
 *   outbox ─put, read back─► stores ─enough copies─► head claimed     (shippers)
 *
 * A commit is one instant of the whole tree (I3); writers go on meanwhile.  The
 * cache calls a part clean only when every block below its link is durable in
 * the outbox; an outbox file goes only when `copies` stores have given the piece
 * back verified (I2).  A head is claimed only when every piece that it needs is
 * held, so that a visible head is complete.
 *
 * Everything between is persisted in the ledger: after a kill -9 at any point
 * the next mount goes on from there, does nothing twice and loses nothing.
 *
 * A store that hangs holds nobody but itself: each shipper asks its own, heads
 * are counted, and what a commit needs from a store that is away it waits for.  One
 * that cannot go on for want of stores, and keeps room that writers lack, is called
 * off and made anew when they answer (due.h); who waits for it waits on.
 *
 * Threading: one packer thread, one shipper thread a store.  All functions here
 * from any thread; none of them waits for a store but onboard_wait() and
 * onboard_verify().
 */
#ifndef ONBOARD_ONBOARD_H
#define ONBOARD_ONBOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct buf;
struct cache;
struct dir_item;
struct err;
struct io;
struct keys;
struct ledger;
struct link;
struct onboard;
struct piece_cid;
struct provider;
struct work;

#define ONBOARD_STORES_MAX 16

struct onboard_store {
	uint64_t id; /* the ledger's */
	struct provider *provider;
};

/* Nodes of older commits, which may have to be fetched; they block. */
struct onboard_nodes {
	int (*body)(void *ctx, const struct link *l, struct buf *ret,
		    struct err *reterr);
	int (*list)(void *ctx, const struct link *dir,
		    int (*cb)(void *ctx, const struct dir_item *item),
		    void *cb_ctx, struct err *reterr);
	void *ctx;
};

struct onboard_params {
	struct cache *cache;
	struct ledger *ledger;
	struct io *io; /* drive directory: the outbox */
	const struct keys *keys;
	struct work *work; /* sealing */
	struct onboard_nodes nodes;
	const struct onboard_store *stores; /* copied; in order of preference */
	size_t n_stores;
	unsigned copies;
	bool compress_all;
	const char *device; /* for people; borrowed */

	/* When to commit by itself; whichever comes first, once dirty. */
	unsigned idle_ms;      /* no change for so long */
	unsigned max_age_ms;   /* the oldest change is so old; 0: 600 s */
	uint64_t dirty_bytes;  /* 0: 256 MiB */
	bool manual;           /* only when asked */
	uint64_t outbox_max;   /* bytes; packing pauses above; 0: 2 GiB */
	uint64_t piece_target; /* bytes of a data piece; 0: 256 MiB */
	uint32_t piece_blocks; /* of any piece; 0: 524288, which is the most */
	size_t results_max;    /* links of a commit in memory; 0: 32768 */
	/* Storage providers that do not prove, or do not answer (watch.h). */
	unsigned watch_ms;     /* between two looks; 0: 30 min */
	uint64_t watch_away_s; /* without an answer; 0: 24 h */
	unsigned away_ms; /* silent for so long, others take its place; 0: 10 s */
	uint32_t watch_wrong;  /* times that pieces came back wrong; 0: 3 */
	uint64_t readback_day; /* bytes a day that are read back of a store that
				  is metered, of pieces that it is only said to
				  have; 0: 256 MiB */
};

/* Prepares; onboard_start() begins to work. */
must_check int onboard_new(const struct onboard_params *p, struct onboard **ret,
			   struct err *reterr);
must_check int onboard_start(struct onboard *o);

/*
 * Stops soon, wherever it is; the next start goes on from there.  A store that
 * does not answer may hold it up as long as any call (provider.h), unless there
 * was a provider_stop() before.
 */
void onboard_free(struct onboard *o);

/* Tell the packer that something changed, so that it looks at its clock. */
void onboard_dirtied(struct onboard *o);

/* Writers wait for room in the cache: the packer looks whether it can make some. */
void onboard_full(struct onboard *o);

/*
 * A reader was served a piece by this store wrong, or not at all, and the ledger has
 * that copy in doubt: it is read back whole, and counts against the store (watch.h).
 * Any thread but the loop's.
 */
void onboard_doubted(struct onboard *o, uint64_t store, uint64_t piece);

/* Change idle_ms and max_age_ms of the parameters; 0 as there. */
void onboard_pace(struct onboard *o, unsigned idle_ms, unsigned max_age_ms);

/* What stores waited for may be there now: those that failed are asked at once. */
void onboard_retry(struct onboard *o);

/*
 * Ask for a commit of everything completed until now.  The ticket is passed to
 * onboard_wait().
 */
uint64_t onboard_request(struct onboard *o);

/*
 * Wait until that commit is held by `copies` stores and its head is claimed:
 * 0.  -ETIMEDOUT after `timeout_ms`; -ESTALE if another device has taken over;
 * -EUCLEAN if a damaged database of the drive directory keeps every store from
 * going on; any other: the reason why the commit could not be made, in words.
 */
must_check int onboard_wait(struct onboard *o, uint64_t ticket,
			    unsigned timeout_ms, struct err *reterr);

/* The same without waiting: 0 done, -EINPROGRESS, or the failure. */
must_check int onboard_poll(struct onboard *o, uint64_t ticket, struct err *reterr);

/*
 * How many files the newest commit has not as they are, since they are damaged on
 * this disk (keep.h); `reterr` says so, and names one.
 */
uint64_t onboard_left(struct onboard *o, struct err *reterr);

/* A sentence for each of them, for the first 1,000; returns their number. */
must_check int onboard_left_tell(struct onboard *o,
				 void (*found)(void *ctx, const char *sentence),
				 void *ctx);

/*
 * Does the commit of that ticket wait for nothing but a store that has given no
 * sign of life for `ms`?  Then `reterr` names it.  Between two steps of another
 * store it may seem so for a moment: ask for some seconds.
 */
bool onboard_stuck(struct onboard *o, uint64_t ticket, uint64_t ms,
		   struct err *reterr);

#define ONBOARD_TEXT_MAX 384 /* bytes of a sentence, with NUL */

enum onboard_phase {
	ONBOARD_IDLE,     /* nothing to do */
	ONBOARD_WAITING,  /* dirty, but not yet time */
	ONBOARD_PACKING,  /* sealing a commit */
	ONBOARD_PAUSED,   /* the outbox is full, or too few stores answer */
	ONBOARD_SHIPPING, /* pieces are on their way */
	ONBOARD_STOPPED,  /* superseded: see why */
};

struct onboard_stats {
	enum onboard_phase phase;
	uint64_t sequence;              /* newest commit that was claimed */
	uint64_t sequence_time;         /* seconds since 1970 */
	uint64_t built;                 /* newest commit in the outbox */
	uint64_t pack_done, pack_total; /* bytes of the run under way */
	uint64_t ship_done, ship_total; /* bytes of the outbox, by copies */
	uint64_t uploading_pieces, uploading_bytes; /* at a store right now */
	uint64_t sealed_bytes, deduped_bytes;       /* since start */
	char why[ONBOARD_TEXT_MAX]; /* what stands in the way; empty: nothing */
	char went_back[ONBOARD_TEXT_MAX]; /* which store has shown an older state
					     of itself since the start; likewise */
};
void onboard_stats(struct onboard *o, struct onboard_stats *ret);

/*
 * Read pieces back from every store that should hold them: `percent` of them,
 * at least one.  What is missing or damaged is placed again from another copy.
 * Of what is nowhere any more the packer seals anew what is here (one run of it is
 * waited for), and each file that has lost something is named, in folders that were
 * never opened here too: all of their nodes are read then.  So is each file that is
 * damaged here and therefore not in the commits as it is.
 * `found` gets a sentence for each fault; `progress` ends it by anything but 0,
 * between two pieces or folders: -ECANCELED.  Blocks; returns the number of faults.
 */
must_check int onboard_verify(struct onboard *o, unsigned percent,
			      void (*found)(void *ctx, const char *sentence),
			      int (*progress)(void *ctx, uint64_t done,
					      uint64_t total),
			      void *ctx, struct err *reterr);

/* ---- pieces that nobody needs ---- */

struct onboard_gc_sum {
	uint64_t pieces, bytes;
};

struct onboard_gc {
	bool remove;      /* condemn what is dead; else nothing is changed */
	unsigned network; /* of pieces that a store of a network holds condemn so
			     many, the largest, with those that wait; their owner
			     has to ask for the removal (provider.h) */
	uint64_t forget_before; /* snapshots of commits before this one are given
				   up, but for the newest commit; 0: none */

	uint64_t forgotten;         /* snapshots that go with `forget_before` */
	uint64_t commits, nodes;    /* that were looked through */
	struct onboard_gc_sum dead; /* not needed by anybody */
	struct onboard_gc_sum paid; /* of those, at a store of a network */
	struct onboard_gc_sum batch; /* of those, what `network` chooses */
	struct onboard_gc_sum old; /* needed by snapshots, and by nothing else */
	struct onboard_gc_sum sparse; /* the newest commit needs less than half;
					 as long as it needs any, all stays */
	struct onboard_gc_sum condemned;                /* this time */
	struct onboard_gc_sum at[ONBOARD_STORES_MAX];   /* dead, by store */
	struct onboard_gc_sum left[ONBOARD_STORES_MAX]; /* condemned, now or
							   before, and not gone */
};

/*
 * Look which pieces nobody needs (mark.h), and with `remove` condemn them, make a
 * commit without them, publish it, and have folders remove them: what crashes in
 * between is gone on with at the next start.  Where a store is away, or its owner
 * has to ask, they wait (`left`).  `progress` ends it by anything but 0:
 * -ECANCELED, and what was condemned stays so.  Blocks.
 *
 * -EBUSY  lost pieces are being mended
 * -ESTALE another device has taken over
 * and those of mark_run()
 */
must_check int onboard_gc(struct onboard *o, struct onboard_gc *g,
			  int (*progress)(void *ctx, const char *stage,
					  uint64_t done, uint64_t total),
			  void *ctx, struct err *reterr);

/* Have every store look again whether what is condemned is gone there. */
void onboard_gc_look(struct onboard *o);

/* What is condemned, and may be removed from store `id` now, in the order of
 * ordinals. */
must_check int onboard_gc_left(struct onboard *o, uint64_t id,
			       int (*cb)(void *ctx, const struct piece_cid *cid,
					 uint64_t size),
			       void *ctx);

#endif
