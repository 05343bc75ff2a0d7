/* pdp_impl.h - between the files of pdp.h */
#ifndef PROVIDER_PDP_IMPL_H
#define PROVIDER_PDP_IMPL_H

#include <limits.h>

#include "base/buf.h"
#include "base/thread.h"
#include "chain/cost.h"
#include "chain/foc.h"
#include "net/json.h"
#include "provider/curio.h"
#include "provider/internal.h"
#include "provider/pdp.h"

#define PDP_THREADS       8
#define PDP_SILENCE_MS    330000 /* a provider may take 5 min to send */
#define PDP_POLL_MS       4000
#define PDP_FRESH_MS      30000 /* what was asked for ATTACH holds so long */
#define PDP_MUTE_MS       60000 /* a reader's, of a provider that did not answer */
#define PDP_PARK_MS       600000 /* after an upload, until it is parked */
#define PDP_LAND_MS       900000 /* a COMMIT waits so long for the chain */
#define PDP_PULL_MS       600000 /* from another provider; more for large ones */
#define PDP_NO_PULL_MS    3600000 /* after one that failed */
#define PDP_LOST_EPOCHS   10      /* without a trace, and it is sent again */
#define PDP_STUCK_EPOCHS  60 /* likewise, though the provider calls it pending */
#define PDP_FINAL_EPOCHS  10 /* under so many a landing stays */
#define PDP_DEAD_EPOCHS   30 /* refused, and nothing came of it for so long */
#define PDP_DEAD_S        86400 /* a DEAD one is watched so long */
#define PDP_SHUN_S        (30 * 86400)
#define PDP_PAUSE_FIRST_S 2 /* after a refusal, doubling */
#define PDP_PAUSE_MAX_S   3600
#define PDP_NOTE_SLOT     "slot" /* struct pdp_slot */
#define PDP_NOTE_ADD      "add/"
#define PDP_NOTE_SHUN     "given-up/"
#define PDP_SOURCE        "fildrive"

#define PDP_GIVEN_MAX PDP_SLOTS_MAX /* as many as recovery looks at */

/* Who was given up, and may still serve. */
struct pdp_given {
	char url[FOC_URL_MAX];
};

struct pdp {
	struct provider provider;
	struct pdp_params p;
	struct provider_notes notes;
	struct address payer, signer;
	uint64_t chain_id;
	uint8_t separator[32]; /* of FWSS */
	uint8_t drive_id[KEYS_DRIVE_ID_SIZE];
	bool create; /* choose a provider if there is none */
	char name[96];
	struct work *work;

	struct lock attaching;
	struct lock lock;
	struct cond cond;     /* somebody was called off, or has done adding */
	bool adding;          /* lock: lock; a COMMIT or CLAIM, one at a time */
	struct pdp_slot slot; /* lock: lock */
	bool ident_known;     /* lock: lock */
	uint8_t ident[PROVIDER_ID_SIZE]; /* lock: lock; constant once known */
	uint64_t attached_until_ms;      /* lock: lock */
	uint64_t mute_until_ms; /* lock: lock; a reader does not wait for it again */
	struct pdp_given given[PDP_GIVEN_MAX]; /* lock: lock */
	unsigned n_given; /* lock: lock; UINT_MAX: not read from the notes yet */
	struct piece_cid here[PROVIDER_COMMIT_MAX]; /* lock: lock; a ring: seen
		to be parked there not long ago */
	size_t n_here;             /* lock: lock; since the start */
	uint64_t no_pull_until_ms; /* lock: lock */
};

/* One request under way. */
struct pdp_job {
	struct pdp *d;
	struct provider_req *req;
	struct foc *foc; /* stopped with the job */
	struct curio_op op;
	struct curio *curio; /* of the slot's provider, once known */
};

/* ---- pdp.c ---- */

/* A sign of life: somebody answered. */
static inline void pdp_alive(struct pdp_job *j)
{
	atomic_fetch_add(&j->req->moved, 1);
}

/* -ECANCELED if it is called off before or meanwhile. */
must_check int pdp_sleep(struct pdp_job *j, uint64_t ms);
uint64_t pdp_poll_ms(const struct pdp *d);
uint64_t pdp_now_s(void);

/*
 * What a chain's or a provider's error is for the caller: the reason goes to
 * req->err, and what the vtable gives another meaning becomes -EREMOTEIO.
 */
must_check int pdp_chain_error(struct pdp_job *j, int r, const struct err *e);
must_check int pdp_curio_error(struct pdp_job *j, int r);

struct pdp_slot pdp_slot_get(struct pdp *d);

/* Which provider it is, and its server; -EREMOTEIO if none is chosen yet. */
must_check int pdp_open(struct pdp_job *j, struct pdp_slot *ret);
must_check int pdp_open_url(struct pdp_job *j, const char *url);
must_check int pdp_curio(struct pdp_job *j, const char *url, struct curio **ret);

/* ---- pdp_note.c ---- */

enum pdp_add_state {
	PDP_ADD_SIGNED = 1,
	PDP_ADD_SENT = 2,
	PDP_ADD_LANDED = 3,
	PDP_ADD_DEAD = 4,
};

struct pdp_add {
	enum pdp_add_state state;
	struct u256 nonce;
	bool create;
	bool has_tx;
	bool refused; /* the last POST was refused: nothing is on its way */
	bool unknown; /* for its provider does not know the set yet; not in the note */
	uint64_t provider, data_set; /* data_set 0: it creates one */
	struct u256 client;
	struct u256 amount; /* fees */
	uint64_t time;      /* seconds since 1970, of signing */
	uint64_t posted;    /* epoch of the last POST; 0: never */
	uint64_t landed;    /* epoch in which it was seen */
	uint64_t next;      /* seconds since 1970: not posted before */
	uint64_t tries;     /* that were refused */
	uint8_t tx[CURIO_HASH_SIZE];
	struct piece_cid cids[PROVIDER_COMMIT_MAX];
	size_t n;
	struct buf extra;
};

void pdp_add_init(struct pdp_add *a);
void pdp_add_fini(struct pdp_add *a);
void pdp_add_freep(struct pdp_add **a);
#define _cleanup_pdp_add_ _cleanup_(pdp_add_freep)

/* Durable when it returns.  -EUCLEAN: a note without sense. */
must_check int pdp_add_save(struct pdp *d, const struct pdp_add *a);
must_check int pdp_add_load(struct pdp *d, struct u256 nonce, struct pdp_add *ret);
must_check int pdp_add_drop(struct pdp *d, const struct pdp_add *a);
must_check int pdp_adds(struct pdp *d, int (*cb)(void *ctx, struct pdp_add *a),
			void *ctx);
must_check int pdp_slot_save(struct pdp *d, const struct pdp_slot *s);
must_check int pdp_slot_load(struct pdp *d, struct pdp_slot *ret); /* -ENOENT */

/* ---- pdp_group.c ---- */

/* The slot's choice; another slot cannot have the same provider or payee. */
void pdp_group_take(struct pdp_group *g, unsigned slot, const struct pdp_slot *s);
void pdp_group_leave(struct pdp_group *g, unsigned slot);
bool pdp_group_has_provider(struct pdp_group *g, unsigned but,
			    uint64_t provider, struct address payee);
bool pdp_group_has_set(struct pdp_group *g, unsigned but, uint64_t data_set);
bool pdp_group_has_place(struct pdp_group *g, unsigned but, const char *location);
/* Where the other slots' pieces are served: up to PDP_SLOTS_MAX. */
size_t pdp_group_urls(struct pdp_group *g, unsigned but, char (*ret)[FOC_URL_MAX]);
bool pdp_group_shuns(struct pdp_group *g, uint64_t provider);
/* One slot chooses at a time. */
void pdp_group_lock(struct pdp_group *g);
void pdp_group_unlock(struct pdp_group *g);

/* Asked again if it is older than `age_ms`. */
must_check int pdp_group_purse(struct pdp_group *g, struct foc *f, uint64_t age_ms,
			       struct foc_purse *ret, struct err *e);
must_check int pdp_group_session(struct pdp_group *g, struct foc *f,
				 struct address signer, uint64_t age_ms,
				 uint64_t *ret_create, uint64_t *ret_add,
				 struct err *e);
void pdp_group_forget(struct pdp_group *g); /* the purse, the session */

/* ---- pdp_own.c ---- */

void pdp_slot_fill(struct pdp_slot *s, const struct foc_provider *p);

/* ---- pdp_money.c ---- */

/*
 * May this be signed?  The fees, or -EREMOTEIO with what is missing in words and
 * figures.  `age_ms` as above.
 */
must_check int pdp_afford(struct pdp_job *j, const struct cost_plan *plan,
			  uint64_t age_ms, struct u256 *ret_fees);

/* ---- pdp_choose.c, pdp_attach.c ---- */

must_check int pdp_choose(struct pdp_job *j, struct pdp_slot *ret);
/* Is there another than provider `but`, that answers?  -EREMOTEIO in words. */
must_check int pdp_spare(struct pdp_job *j, uint64_t but);
must_check int pdp_attach(struct pdp_job *j);
/* Which store a slot with this data set is. */
void pdp_ident(const struct pdp *d, const struct pdp_slot *s,
	       uint8_t ret[static PROVIDER_ID_SIZE]);

/* ---- pdp_add.c, pdp_drive.c, pdp_piece.c ---- */

must_check int pdp_commit(struct pdp_job *j);
must_check int pdp_claim(struct pdp_job *j);

/* Was it signed for the store that the slot is now? */
bool pdp_add_is_ours(struct pdp *d, const struct pdp_add *a);
/* One at a time may add, or change what is added to. */
must_check int pdp_begin(struct pdp_job *j);
void pdp_end(struct pdp_job *j);

/* What became of notes while nobody looked.  Does not wait. */
must_check int pdp_settle(struct pdp_job *j);

/*
 * Send it, again if need be, and wait until it has landed.
 * -ENOENT: a piece is not parked.  -EREMOTEIO: not landed, the reason is in
 * req->err.  -EEXIST: another add has used its nonce.
 */
must_check int pdp_drive(struct pdp_job *j, struct pdp_add *a);
/* It is on chain, and is LANDED now: 1; not: 0.  -EEXIST as above. */
must_check int pdp_look(struct pdp_job *j, struct pdp_add *a);
/*
 * It had landed and came undone: sent again once there is no trace of it.  Does not
 * wait, and what the provider says against it is for the next time.
 */
must_check int pdp_nudge(struct pdp_job *j, struct pdp_add *a);
/* The slot's data set is this one, created by an add of ours. */
must_check int pdp_has_set(struct pdp_job *j, uint64_t data_set);

must_check int pdp_put(struct pdp_job *j);

/*
 * A POST failed.  0: it may have been carried out all the same, wait and see; else
 * it was not, and why.
 */
must_check int pdp_post_failed(struct pdp_job *j, struct pdp_add *a, int r);

/* ---- pdp_pull.c ---- */

/*
 * Before an add is handed in: those of its pieces that the provider does not have
 * are fetched by it from the providers of other slots, under the authorization of
 * this very add.  0: it may be handed in; -ENOENT: pieces have to be put.
 */
must_check int pdp_fetch(struct pdp_job *j, struct pdp_add *a);
/* The provider was seen to have it parked. */
void pdp_is_here(struct pdp *d, const struct piece_cid *cid);
/* Busy (-EAGAIN): 0 if it was waited for. */
must_check int pdp_rest(struct pdp_job *j, int r);

/* ---- pdp_watch.c ---- */

must_check int pdp_proof(struct pdp_job *j);
must_check int pdp_replace(struct pdp_job *j);
/* The state, and what follows from it, of a set with these figures. */
void pdp_proof_of(const struct foc_proving *v, uint64_t now_s,
		  struct provider_proof *ret);
/* GET from those that were given up; `status`, if none of them has it. */
must_check int pdp_get_given(struct pdp_job *j, int status);

must_check int pdp_verify(struct pdp_job *j);

#endif
