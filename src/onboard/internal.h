/* internal.h - what the files of src/onboard share */
#ifndef ONBOARD_INTERNAL_H
#define ONBOARD_INTERNAL_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/thread.h"
#include "ledger/ledger.h"
#include "onboard/onboard.h"
#include "onboard/retain.h"
#include "onboard/watch.h"

struct left;
struct provider_req;

struct shipper {
	struct onboard *o;
	struct onboard_store store;
	size_t index;
	pthread_t thread;
	bool started;
	bool away;          /* lock: o->lock */
	bool unrecorded;    /* its own: ident not in the ledger yet */
	uint64_t budget_ms; /* its own; when `budget` was counted last; 0: never */
	uint64_t budget;    /* its own; bytes that may be read back now */
	atomic_bool rescan; /* look through what is held, too */
	uint64_t held_from; /* its own; and it goes on with this one; 0: with the first,
			       if there is a reason */
	uint64_t again_ms; /* its own; that is done again then, since a held piece
			      has to wait; 0: none has */
	atomic_bool removing;   /* look for what is to be removed */
	uint64_t not_before_ms; /* lock: o->lock */
	unsigned failures;      /* lock: o->lock; in a row */
	uint64_t said_ms; /* its own; when the ledger last heard that it answers */
	struct provider_req *req; /* lock: o->lock; under way */
	uint64_t busy_piece;      /* lock: o->lock; 0: none */
	uint64_t busy_bytes;      /* lock: o->lock; of that piece */
	uint64_t looked_ms;       /* its own: the register was read */
	uint64_t heads_given;     /* lock: o->lock; claimed here up to this */
	uint64_t foreign; /* lock: o->lock; a sequence that another device has
			     claimed here; 0: none */
	char deferred[ONBOARD_TEXT_MAX]; /* its thread: said of a piece that waits */
	char headless[ONBOARD_TEXT_MAX];  /* likewise, of a head that fails */
	char went_back[ONBOARD_TEXT_MAX]; /* lock: o->lock; what is said about
					     it; empty: it has not */
	bool silent;     /* its own: failed since it does not answer */
	bool no_heads;   /* its own: heads cannot be read, a database of ours is
			  damaged */
	unsigned broken; /* lock: o->lock; turns in a row that such damage has
			    ended, or kept from publishing */
	uint64_t pulling;     /* lock: o->lock; into the outbox; 0: none */
	unsigned generation;  /* lock: o->lock; counts up when it is replaced */
	atomic_bool answered; /* since the last look at its proofs */
	atomic_uint wrong;    /* pieces came back wrong, not in `watch` yet */
	struct watch watch;   /* its own, as are those below */
	bool watch_loaded, gave_up; /* there is one that it gave up */
	uint64_t watch_due_ms, watch_asked_ms, watched_ms, away_ms;
	unsigned n_parked;  /* its own: put since the last COMMIT */
	uint64_t parked_ms; /* its own: the first of them */
};

/* How the run ended that tickets up to this one were for. */
struct pack_run {
	uint64_t ticket, seq;
	int status;
	struct err why;
};
#define PACK_RUNS 16

/* What has to be done between two commits. */
struct pack_job {
	int (*run)(struct pack_job *j);
	struct onboard *o;
	bool running, over; /* lock: o->lock */
	int status;         /* lock: o->lock until it is over */
};

/* The last commit that was made since the start: due.h. */
struct pack_last {
	uint64_t taken_ms, ended_ms, cost_ms, vain_ms;
};

struct onboard {
	struct onboard_params p;
	struct lock outbox;  /* above the ledger's: a piece's copies are counted
			       and its state and file changed in one go */
	struct lock publish; /* above the ledger's: claims are counted and the
				head's state set in one go */
	struct lock lock;
	struct cond cond;
	bool stopping;      /* lock: lock */
	bool kick;          /* lock: lock; something for the shippers */
	uint64_t requested; /* lock: lock; newest ticket */
	uint64_t packed;    /* lock: lock; tickets up to this are in a commit */
	uint64_t packed_seq;             /* lock: lock; that commit */
	struct pack_run runs[PACK_RUNS]; /* lock: lock; the last ones, a ring */
	uint64_t n_runs;                 /* lock: lock; since the start */
	struct pack_job *job; /* lock: lock; for the packer thread; NULL: none */
	bool pack_waits;      /* lock: lock; for bytes that only a store has */
	uint64_t claimed;     /* lock: lock; newest sequence that is claimed */
	bool superseded;      /* lock: lock */
	bool split_why;       /* lock: lock; stats.why is about the claims */
	uint64_t dirtied_ms;  /* lock: lock; first change after all was clean */
	uint64_t moved;       /* packer thread; onboard_moves() */
	uint64_t moved_ms;    /* packer thread; when it changed last */
	struct pack_last last; /* packer thread */
	bool for_room;         /* packer thread; why a commit is due: due.h */
	uint64_t room_bytes;   /* packer thread; likewise */
	bool gave_way; /* packer thread; the last run did, and none was begun since */
	struct onboard_stats stats; /* lock: lock */
	atomic_bool stop;           /* the same as stopping, for loops */
	atomic_bool sweep;          /* pieces are gone: forget their blocks */
	pthread_t packer;
	bool packer_started;
	struct memos *memos;       /* packer thread */
	struct retain_clock clock; /* packer thread, once it runs */
	struct left *left; /* lock: lock; damaged files that the last run had
				to leave (keep.h), the first of them */
	size_t n_left, n_left_all; /* lock: lock; in `left`, and of all */
	struct shipper shippers[ONBOARD_STORES_MAX];
};

/* run.c: one commit, from snapshot to adoption.  Packer thread.  `asked`: by
 * somebody, and not of its own accord.  1: what is dirty has to stay so for now;
 * -ECANCELED with `gave_way`: nothing was done, and it is to be tried again. */
must_check int run_commit(struct onboard *o, bool asked, struct err *reterr);

/* How the clocks stand, for what is thinned later. */
void run_clock(struct onboard *o);

/* Adoption that a crash may have undone.  Before anything else. */
must_check int run_replay(struct onboard *o);

/* ship.c */
void *ship_thread(void *arg);

/*
 * Nothing will be published any more until somebody sees to the drive directory: a
 * database of ours is damaged where every store that answers needs it.  Says so.
 */
bool ship_is_broken(const struct onboard *o, struct err *reterr) REQUIRES(&o->lock);

/* A call of this shipper's store that a stop may cut short. */
must_check int ship_call(struct shipper *s, struct provider_req *req);
/* The placement of a piece at this store, without an error. */
must_check int ship_place(struct shipper *s, uint64_t piece,
			  enum ledger_placement_state state);
/* The same, and how often it has failed here stays known. */
must_check int ship_move(struct shipper *s, uint64_t piece,
			 enum ledger_placement_state state);
/* Do others take its place? */
bool ship_is_away(const struct onboard *o, size_t i) REQUIRES(&o->lock);
/* Do fewer stores answer than it takes copies? */
bool ship_few_answer(const struct onboard *o) REQUIRES(&o->lock);

/* Who has a piece: filled by spread_add(), a callback of ledger_placements(). */
struct spread {
	enum ledger_placement_state state[ONBOARD_STORES_MAX]; /* 0: none */
	const struct onboard *o;
};
int spread_add(void *ctx, const struct ledger_placement *p);
bool spread_counts(enum ledger_placement_state s); /* is it there? */

/* It is to be put there, though it could be fetched from elsewhere. */
must_check int ship_put_after_all(struct shipper *s, uint64_t piece);

/* Should store `me` hold the piece? */
bool ship_is_mine(struct onboard *o, const struct ledger_piece *p,
		  const struct spread *s, size_t me);

/* park.c: does this store claim heads of its network?  True without one. */
bool park_claims(struct shipper *s);

/* May it claim this head piece now?  On a network there are enough copies with that. */
must_check int park_may_claim(struct shipper *s, uint64_t ordinal, bool *ret);

/* How a piece that is not at this store gets there. */
enum park_way {
	PARK_PUT,
	PARK_WAIT, /* another store of the network gets it first */
	PARK_PULL, /* the COMMIT fetches it from another one of the network */
};
must_check int park_way(struct shipper *s, const struct ledger_piece *p,
			const struct spread *sp, enum park_way *ret);

/* A piece was put at a store that parks, or will be fetched. */
must_check int park_piece(struct shipper *s, uint64_t ordinal);

/*
 * Commit what is parked here, if it is time; `more`: there is still something to
 * put; `waits`: something will be.  1: it did something; 0: nothing to do now.
 */
must_check int park_commit(struct shipper *s, bool more, bool waits, struct err *e);

/* Copies of a head piece that a claim will keep: 0 or 1 a network. */
must_check int park_count(struct onboard *o, uint64_t ordinal, unsigned *ret);

/* The claim of a head has kept its piece here, or found that it is not there. */
must_check int park_claimed(struct shipper *s, uint64_t piece, bool kept);

/*
 * pull.c: the file of `p` in the outbox, whole and checked; `p` is read again.
 * 1: it was pulled for this call; 0: it is there anyway.  -EREMOTEIO, -ENOENT,
 * -EBADMSG: no other store can give it now.
 */
must_check int pull_piece(struct shipper *s, struct ledger_piece *p);

/* remove.c: what is condemned goes from this store, a few pieces a turn.  1: it did
 * something; 0: there is nothing to do now. */
must_check int remove_turn(struct shipper *s, struct err *e);

/* onboard.c: run `j` on the packer thread, between two commits; waits, for others that
 * came before as well.  -ECANCELED, also when `progress` says so before it has begun. */
must_check int onboard_job(struct onboard *o, struct pack_job *j,
			   int (*progress)(void *ctx, const char *stage,
					   uint64_t done, uint64_t total),
			   void *ctx);

/* learn.c: the blocks of a piece of another device, which this store has just
 * given back whole, become known. */
must_check int learn_blocks(struct shipper *s, const struct ledger_piece *p);

/* outbox.c: after a crash, rows and files agree again. */
must_check int outbox_recover(struct onboard *o);
void outbox_account(struct onboard *o); /* its bytes, to the cache */

/* Has the outbox room for one more piece? */
must_check int outbox_has_room(struct onboard *o, bool *ret);

/*
 * A finished piece that no commit has, of a run that was given up, goes as if it had
 * never been: nothing links into it.  1, or 0: it stays, since a store has it, is
 * being given it, or may have a part of it.
 */
must_check int outbox_take_back(struct onboard *o, uint64_t ordinal);

/* How many stores should have it: one more of a metadata piece. */
unsigned outbox_copies(const struct onboard *o, const struct ledger_piece *p);

/* Its file is in the outbox, or no more; the state is what it is. */
must_check int outbox_set(struct onboard *o, uint64_t ordinal, bool outbox);

/* I2: HELD when enough copies were read back, and the file goes with the last
 * one that is wanted. */
must_check int outbox_settle(struct onboard *o, uint64_t ordinal);

/*
 * What was held before it was pulled goes again at once: else a drive that is
 * filled into several stores would stand in the outbox while one is away.
 */
must_check int outbox_unpull(struct onboard *o, uint64_t ordinal);

/*
 * publish.c: give this store the heads that it has missed, claim here every head
 * whose pieces are held, in order, and count.  -EINPROGRESS: one waits for its
 * pieces or for other stores; -ESTALE: superseded; else an error of this store.
 */
must_check int publish_heads(struct shipper *s, struct err *reterr);

/* This device has lost the head: it publishes no more, and says so for good. */
void publish_superseded(struct onboard *o, const struct err *e);

/* heads.c: is the register ahead of us?  At first sight of a store, and now and
 * then. */
must_check int heads_look(struct shipper *s, struct err *e);

/*
 * Is `cid` commit h?  A store cannot make a head, but show one of the old ones as if
 * it were new, which would stop every device.  What it names tells: by the ledger if
 * that was ours, else at whichever store has it.  -EBADMSG: it is an old one; 0 also
 * if nobody can say.
 */
must_check int heads_check(struct shipper *s, uint64_t h,
			   const struct piece_cid *cid, struct err *e);

/*
 * This store has head h now, or had it already: an older state of it will show
 * (heads.c).
 */
must_check int heads_seen(struct shipper *s, uint64_t h);

/* Before head h is claimed: does the store still have h - 1, which it had?  0, or
 * -EINPROGRESS: it has not, and that was seen to. */
must_check int heads_still(struct shipper *s, uint64_t h, struct err *e);

/* Give it the heads up to `want` that it has missed; UINT64_MAX: all that are
 * published. */
must_check int heads_give(struct shipper *s, uint64_t want, struct err *e);

/* Packer thread: have the calls under way moved bytes, to or from stores, since it
 * was asked last?  Then the cache's writers hear of it. */
void onboard_moves(struct onboard *o) REQUIRES(&o->lock);

/* Wake everybody to look again. */
void onboard_kick(struct onboard *o);

#endif
