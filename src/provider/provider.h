/*
 * provider.h - one vtable for whatever stores pieces
 *
 * A provider holds pieces under their piece CID v2 and a head register under
 * names that only the drive's keys can compute.  It sees nothing else.  There is
 * `dir` (a folder, a USB stick, an NFS share), and `pdp` (provider/pdp.h: a storage
 * provider of Filecoin, paid on chain); `s3` fits the same verbs.
 *
 * Two ways to store.  In a folder a PUT is durable when it returns.  A store
 * that `parks` takes the bytes, and keeps them only once a COMMIT has named
 * them; each COMMIT costs, so one names many.
 *
 * Two kinds of head register.  In a folder each store has its own, of files with
 * sealed contents.  Stores of one `network` (a chain) share one: a claim names
 * the head piece itself, commits it in the same step, and counts at all of them.
 *
 * A request is a caller-owned struct that stays valid until its `done`.  Law of
 * callbacks: if provider_start() returns an error, `done` is never called;
 * otherwise exactly once, on the loop thread, never from inside the start.
 * The struct is zeroed by the caller: a cancel may come before the start, and
 * counts.
 *
 * provider_call() is for threads that may wait, but not for ever: a store that
 * hangs holds nobody but itself.  The call ends when the store has given no sign
 * of life (an answer to anybody, a byte moved) for `limit_ms`, when it is called
 * off, or after provider_stop(): its caller's struct and buffers are free then,
 * since what the provider sees is a copy (call.c).  Only `src` is shared, and
 * must live until provider_free() has said that nothing is left.  A call that
 * was left may still take effect much later: PUT and CLAIM may be repeated, and
 * what they do twice they do once.
 *
 * A store that has its copies proven to others (storage providers, on a chain) says
 * by PROOF how that stands.  When whoever holds its copies does that no more,
 * REPLACE gives up on them, and the next ATTACH chooses another: from then on it
 * is a new store with a new id(), which has nothing.  What it gave up is not ended
 * by that, and may still be read by GET for as long as it answers.  REPLACE does
 * nothing where nothing was chosen yet, so that it may be repeated after a crash.
 *
 * Errors:
 *   -EREMOTEIO     the store is away (folder not there, no network, no answer in
 *                  time): try later
 *   -ENOENT        it is here, and does not have this piece or head
 *   -EACCES        REMOVE: its owner has not asked for it yet
 *   -EEXIST        a head is claimed already
 *   -EBADMSG       what it holds is not what the CID says; HEAD, LIST: those that are
 *                  asked for what it holds contradict each other
 *   -ENOSPC        the store is full
 *   -ENODATA       HEAD: claimed, and the piece that it named is known no more
 *   -EOPNOTSUPP    PROOF, REPLACE: nobody proves anything here; it is read back
 *   -EDQUOT        REPLACE: another would go past what may be spent
 *   -ENODEV        REPLACE: there is no other
 *   -ECANCELED     called off
 * Any other is the store's own; req->err says it in words.
 *
 * Threading: provider_start() and provider_call() from any thread (a call never
 * from the loop); provider_cancel() from any thread as long as the struct lives:
 * before the start, while the request runs, or when it is over.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/thread.h"
#include "base/util.h"
#include "chain/u256.h"
#include "crypto/keys.h"
#include "crypto/piece_cid.h"
#include "net/work.h"

struct buf;
struct io;
struct loop;
struct pdp_params;
struct provider;

#define PROVIDER_ID_SIZE    16   /* bytes: what tells two stores apart */
#define PROVIDER_HEAD_MAX   4096 /* bytes of one sealed head */
#define PROVIDER_URL_MAX    4096 /* bytes */
#define PROVIDER_COMMIT_MAX 40   /* pieces of one COMMIT */
#define PROVIDER_FULL       1    /* for n of VERIFY: all of the piece */

enum provider_verb {
	PROVIDER_PUT, /* cid, src, src_name, size: store the piece, durably (or
			 park it) */
	PROVIDER_COMMIT, /* cids, n_cids: keep what is parked; where nothing is
			    parked there is nothing to do.  What another store
			    of the network has is fetched from there.
			    -ENOENT: one of them is not parked there (any more),
			    and could not be fetched: it has to be put */
	PROVIDER_VERIFY, /* cid: read all of it back and recompute the CID.  A
			    store on a chain may be content with samples: see
			    pdp.h; it compares them with src, src_name, size
			    if they are given, and reads all if n is
			    PROVIDER_FULL */
	PROVIDER_GET,    /* cid, off, n, dst → ret_n: bytes of the piece */
	PROVIDER_STAT,   /* cid → ret_size */
	PROVIDER_LIST,   /* found(): every piece here */
	PROVIDER_REMOVE, /* cid; on a network only its owner can have it removed: 0 if
			    that has happened, else -EACCES */
	PROVIDER_CLAIM, /* head_name, head: succeeds once for a name, for ever;
			   on a network: head_name, cid (which is parked) */
	PROVIDER_HEAD,  /* head_name → ret_head (appended); on a network the
			   bytes of the piece's CID.  -ENODATA: it is claimed,
			   and what it named has been removed */
	PROVIDER_BLOCK, /* block, n, dst → ret_n: one block by its digest, which
			   the caller verifies (gateway.h); others than gateways:
			   -EOPNOTSUPP */
	PROVIDER_ATTACH, /* is it there, and the one that it was?  → ret_free */
	PROVIDER_PROOF,   /* → ret_proof; answers also while it is away */
	PROVIDER_REPLACE, /* choose another at the next ATTACH */
	PROVIDER_NX
};

enum provider_proof_state {
	PROVIDER_PROOF_NONE = 1,    /* nothing that had to be proven yet */
	PROVIDER_PROOF_GOOD = 2,    /* the last one that was due came */
	PROVIDER_PROOF_LATE = 3,    /* one is missing */
	PROVIDER_PROOF_FAULTED = 4, /* more than one in a row is missing */
	PROVIDER_PROOF_ENDED = 5,   /* the service ends, or has ended */
	PROVIDER_PROOF_GONE = 6,    /* what it held is there no more */
	PROVIDER_PROOF_NX
};

#define PROVIDER_PROOF_NAME_MAX 64  /* bytes with NUL */
#define PROVIDER_PROOF_TEXT_MAX 160 /* bytes with NUL */

/* Times are seconds since 1970. */
struct provider_proof {
	enum provider_proof_state state;
	bool unpaid; /* it has not got its money: what it does not do now is not
			its fault */
	uint64_t last_s;     /* last proof; 0: none yet */
	uint64_t deadline_s; /* of the next one; 0: none is due */
	uint64_t missing_s;  /* since when one is missing; 0: none is */
	uint64_t period_s;   /* from one proof to the next; 0: not known */
	uint64_t provider; /* its number in the registry; 0: none was chosen */
	uint64_t set;      /* number of the data set; 0: there is none yet */
	char name[PROVIDER_PROOF_NAME_MAX]; /* of who holds the copies; "": nobody */
	char text[PROVIDER_PROOF_TEXT_MAX]; /* a sentence for people; "": none */
};

struct provider_req {
	enum provider_verb verb;
	struct piece_cid cid;
	const struct piece_cid *cids; /* COMMIT: borrowed */
	size_t n_cids;                /* up to PROVIDER_COMMIT_MAX */
	unsigned limit_ms; /* provider_call(): silence that ends it, of this call
			      alone; 0, or more than the store's: that */
	struct io *src;    /* PUT, VERIFY: the piece is this file; borrowed */
	const char *src_name; /* borrowed */
	uint64_t size;        /* PUT, VERIFY: of the piece, bytes */
	bool replace; /* PUT: also over one of that size: it is damaged */
	uint64_t off;
	size_t n;
	uint8_t *dst;      /* GET, BLOCK: n bytes, borrowed */
	uint8_t block[32]; /* BLOCK: sha2-256 */
	uint8_t head_name[KEYS_HEAD_NAME_SIZE];
	struct slice head;    /* CLAIM: borrowed */
	struct buf *ret_head; /* HEAD: borrowed */
	int (*found)(struct provider_req *req, const struct piece_cid *cid,
		     uint64_t size); /* LIST; on another thread */
	void *ctx;                   /* the caller's */
	void (*done)(struct provider_req *req, int status);

	size_t ret_n;
	uint64_t ret_size;
	uint64_t ret_free;               /* bytes that may still be stored */
	struct provider_proof ret_proof; /* PROOF */
	_Atomic(uint64_t) moved; /* bytes so far, of PUT and VERIFY; of others
				    any count that shows life */
	struct err err;

	/* private to src/provider */
	atomic_bool cancelled;
	struct provider *provider;
	struct work_item work;
	int status;
	void *impl;
};

struct provider_ops {
	int (*start)(struct provider *p, struct provider_req *req);
	void (*cancel)(struct provider *p, struct provider_req *req);
	void (*free)(struct provider *p);
	const uint8_t *(*id)(struct provider *p);
	const char *(*name)(struct provider *p);
};

struct provider {
	const struct provider_ops *ops;
	char *url;
	uint64_t size_min, size_max; /* of a piece, bytes */
	uint64_t network; /* chain id; 0: a head register of its own */
	bool parks;       /* PUT parks, COMMIT keeps */
	bool metered;     /* reading costs time or money: not all of it is read
			 back soon after a recover */

	/* private to call.c */
	unsigned silence_ms; /* lock: lock */
	struct lock lock;
	struct cond cond;
	bool stopped; /* lock: lock */
	bool silent;  /* lock: lock; a call ran into its limit, and nothing was
			      heard since */
	unsigned n_open; /* lock: lock; calls without an answer */
	unsigned n_left; /* lock: lock; of them, without a caller */
	unsigned n_hung; /* lock: lock; of those, left for their silence */
	uint64_t heard_ms; /* lock: lock; last sign of life, or first question; later
			      by the time in which no caller looked */
	uint64_t looked_ms; /* lock: lock; a caller did */
	uint64_t probe_ms;  /* lock: lock; silent: not asked before this */
};

/* For the kinds of providers: `p` is the head of their struct. */
void provider_init(struct provider *p, const struct provider_ops *ops,
		   unsigned silence_ms);
void provider_fini(struct provider *p);

/* What was paid, in units of the token. */
struct provider_spend {
	uint8_t ref[32]; /* what for: the number that was signed */
	struct u256 amount;
	uint64_t data_set;
	char text[160];
};

/*
 * What a provider has to remember across restarts (a job that costs money, a
 * number that must not be used twice): small values by name, of this store alone,
 * durable when `set` or `drop` returns 0.  Any thread but the loop's.
 */
struct provider_notes {
	int (*get)(void *ctx, const char *key, struct buf *ret); /* -ENOENT */
	int (*set)(void *ctx, const char *key, struct slice value);
	int (*drop)(void *ctx, const char *key); /* 0 also if there is none */
	/* Those whose key begins with `prefix`; `cb` may change notes. */
	int (*each)(void *ctx, const char *prefix,
		    int (*cb)(void *cb_ctx, const char *key, struct slice value),
		    void *cb_ctx);
	/* Money was spent; once for a `ref`, a second time changes nothing.
	 * NULL: nobody keeps books. */
	int (*spent)(void *ctx, const struct provider_spend *s);
	void *ctx;
};

#define PROVIDER_NOTE_KEY_MAX 128         /* bytes, with NUL */
#define PROVIDER_NOTE_MAX     (64u << 10) /* bytes of a value */

struct provider_params {
	const char *url;
	struct loop *loop;
	/*
	 * The id that this store had when it was first used, or NULL if it is
	 * new to us: an id that differs (an empty mount point, another stick)
	 * is «away», never written to.
	 */
	const uint8_t *id;
	bool create;         /* a folder that is no store yet becomes one */
	unsigned silence_ms; /* limit of calls; 0: 30000 */
	const struct provider_notes *notes; /* borrowed; dir needs none */
	const struct pdp_params *pdp; /* what filecoin:// needs; else NULL */
};

/*
 * -EINVAL  the URL has a form or a scheme that we do not know
 * Does not touch the store: PROVIDER_ATTACH does.
 */
must_check int provider_new(const struct provider_params *p,
			    struct provider **ret, struct err *reterr);

/*
 * Nobody may be in provider_call() of it.  Waits up to 2 s for calls that were
 * left (not at all for a store that is silent).  False: some are still with the
 * provider; it stays, and the loop and what PUT reads from have to stay, too,
 * until the process ends.
 */
bool provider_free(struct provider *p);

/* Every call ends with -ECANCELED, those to come, too.  Before an end that must
 * not wait for a store. */
void provider_stop(struct provider *p);

/* Wait until no call is under way.  False after `ms`. */
must_check bool provider_settle(struct provider *p, unsigned ms);

/* Another limit (provider_params.silence_ms), for calls under way as well. */
void provider_patience(struct provider *p, unsigned ms);

/* For how long somebody has been waiting for a sign of life; 0: nobody is. */
uint64_t provider_silence_ms(struct provider *p);

must_check int provider_start(struct provider *p, struct provider_req *req);
void provider_cancel(struct provider *p, struct provider_req *req);

/* Ask and wait, see above; `done` is not used. */
must_check int provider_call(struct provider *p, struct provider_req *req);

/* After a first successful PROVIDER_ATTACH: what tells this store from others. */
const uint8_t *provider_id(struct provider *p);

/* Short, for people: the URL without what is obvious. */
const char *provider_name(struct provider *p);

/*
 * A URL that init accepts, in its canonical form (heap string): dir:///abs/path
 * (percent-encoded bytes are decoded by provider_new; a trailing slash goes), or
 * filecoin://… (chain/network.h).
 */
must_check int provider_url_check(const char *url, char **ret, struct err *reterr);

static inline void provider_freep(struct provider **p)
{
	(void)provider_free(*p); /* what is left is left */
}

#define _cleanup_provider_ _cleanup_(provider_freep)

#endif
