/*
 * foc.h - one payer on one network: what Filecoin Onchain Cloud knows of it
 *
 * Everything that is read from the chain, as functions that wait.  What money and
 * the fate of data are decided by (balances, nonces, data sets, which piece is
 * live) is asked of every endpoint (chain/rpc_agree.h): one that lies is noticed,
 * and then the answer is -EBADMSG.  The rest is one endpoint's word.  Whoever acted
 * on what stood in a block says so with foc_seen(): what is agreed on is never of an
 * older one.
 *
 * A handle is cheap; foc_fork() gives one more onto the same connection and caches,
 * that can be stopped on its own: one for each job that may be called off.
 *
 *   0           answered
 *   -ENOEXEC    the contract reverted, reterr says why
 *   -EBADMSG    endpoints disagree
 *   -ESTALE     they are all behind a block that was seen
 *   -ENOENT     no such data set, piece, provider
 *   -ECANCELED  foc_stop()
 * and those of rpc.h and contracts.h.  A callback that returns < 0 ends its walk
 * with that.
 *
 * Amounts are units of 10^-18, times epochs of 30 s unless it says seconds.
 *
 * Threading: any thread that may wait, never the loop's.
 */
#ifndef CHAIN_FOC_H
#define CHAIN_FOC_H

#include <stdbool.h>

#include "base/err.h"
#include "chain/contracts.h"
#include "chain/network.h"
#include "chain/pay.h"
#include "chain/u256.h"
#include "chain/view.h"
#include "crypto/piece_cid.h"

struct foc;
struct http;
struct loop;
struct rpc;

#define FOC_CACHE_MS  3600000 /* prices and contracts hold for an hour */
#define FOC_NAME_MAX  129     /* bytes with NUL; longer names are cut */
#define FOC_URL_MAX   257     /* bytes with NUL */
#define FOC_IDS_MAX   512     /* approved or endorsed providers */
#define FOC_SETS_PAGE 50      /* data sets of one call */

struct foc_params {
	struct loop *loop;
	struct http *http;
	const struct network_url *url; /* copied */
	struct address payer;          /* none: not known yet */
};

/* Nothing is sent yet.  On the loop's thread, or before loop_start(). */
must_check int foc_new(const struct foc_params *p, struct foc **ret,
		       struct err *reterr);

/* The last of all handles ends the connection.  Nobody may be in a call of `f`.
 * The last one not on the loop's thread while the loop runs (rpc_free()). */
void foc_free(struct foc *f);

must_check int foc_fork(struct foc *f, struct foc **ret);

/* Calls of this handle end, those to come at once. */
void foc_stop(struct foc *f);

struct rpc *foc_rpc(struct foc *f);
const struct network *foc_network(const struct foc *f);
struct address foc_payer(const struct foc *f);

/* ---- the network ---- */

/* Cached for an hour.  The chain's id is right, else -EPERM. */
must_check int foc_contracts(struct foc *f, struct contracts_known *ret,
			     struct err *reterr);
must_check int foc_prices(struct foc *f, struct view_price_list *ret,
			  struct err *reterr);

/* Of which block the last answer was that all endpoints were asked for; 0: none.
 * Of this handle, which one thread uses then. */
uint64_t foc_block(const struct foc *f);

/* A block that the caller relies on: nothing older counts from now on. */
void foc_seen(struct foc *f, uint64_t epoch);

/*
 * Which endpoints cannot be counted on: `tell` is called for each that is away, of
 * another chain, behind, or ahead of the clock, and for all of them (`name` is the
 * network's) if the newest block is FOC_OLD_S old.  0 if those that are left agree about the payer's balance.
 */
#define FOC_OLD_S 900
must_check int foc_check(struct foc *f,
			 void (*tell)(void *ctx, const char *name, const char *why),
			 void *ctx, struct err *reterr);

enum foc_receipt {
	FOC_RECEIPT_NONE, /* not on chain, or not yet */
	FOC_RECEIPT_GOOD,
	FOC_RECEIPT_FAILED, /* on chain, and it did nothing */
};

must_check int foc_receipt(struct foc *f, const uint8_t tx[static 32],
			   enum foc_receipt *ret, struct err *reterr);

/* ---- the payer ---- */

struct foc_purse {
	struct u256 fil;   /* of the wallet, for gas */
	struct u256 usdfc; /* of the wallet, not deposited */
	struct pay_info account;
	struct pay_approvals approvals; /* of FWSS */
	uint64_t epoch; /* the block that account and approvals are as of */
};

must_check int foc_purse(struct foc *f, struct foc_purse *ret, struct err *reterr);

/* Unix seconds until which a session key may act for the payer; 0: never. */
must_check int foc_session(struct foc *f, struct address signer,
			   uint64_t *ret_create_until, uint64_t *ret_add_until,
			   struct err *reterr);

/* What became of a number that was signed. */
must_check int foc_nonce(struct foc *f, struct u256 nonce,
			 struct view_nonce *ret, struct err *reterr);

/* ---- data sets ---- */

/* Of the payer: all that are not deleted, ended ones too. */
must_check int foc_data_sets(struct foc *f,
			     int (*cb)(void *ctx, const struct view_data_set *),
			     void *ctx, struct err *reterr);
must_check int foc_data_set(struct foc *f, uint64_t set,
			    struct view_data_set *ret, struct err *reterr);
must_check int foc_metadata(struct foc *f, uint64_t set,
			    int (*cb)(void *ctx, struct slice key, struct slice value),
			    void *ctx, struct err *reterr);

/* Live ones by id, without those that are scheduled for removal. */
must_check int foc_pieces(struct foc *f, uint64_t set,
			  int (*cb)(void *ctx, uint64_t id,
				    const struct piece_cid *cid),
			  void *ctx, struct err *reterr);

/*
 * Under which id each of many pieces is live in a set, those that are scheduled for
 * removal not counted; FOC_NO_PIECE: under none.
 */
#define FOC_NO_PIECE UINT64_MAX
must_check int foc_find(struct foc *f, uint64_t set, const struct piece_cid *cids,
			size_t n, uint64_t *ret, struct err *reterr);
must_check int foc_piece_cid(struct foc *f, uint64_t set, uint64_t piece,
			     struct piece_cid *ret, struct err *reterr);
must_check int foc_leaves(struct foc *f, uint64_t set, uint64_t *ret,
			  struct err *reterr);

struct foc_proving {
	bool live;           /* false: deleted; the rest is zeros */
	uint64_t head;       /* the block that the rest is as of */
	uint64_t activation; /* 0: proving has not begun */
	uint64_t deadline; /* of the current period; 0: proving does not run */
	uint64_t last_proven; /* epoch of the last proof, at first the creation's */
	uint64_t period;      /* epochs of one period */
	bool proven_this_period;
	bool proven_last_period; /* true too if there was none */
};

/* It is late if `deadline` < `head` and this period is not proven. */
must_check int foc_proving(struct foc *f, uint64_t set, struct foc_proving *ret,
			   struct err *reterr);

/* ---- providers ---- */

/* Everything but id and addresses is the text of strangers, made printable. */
struct foc_provider {
	uint64_t id;
	struct address service_provider;
	struct address payee; /* is signed when a data set is created */
	bool active;          /* it sells PDP */
	bool approved;        /* by FWSS */
	bool endorsed;
	bool usable;   /* active, with terms that make sense */
	char why[128]; /* not usable: why */
	char name[FOC_NAME_MAX];
	char url[FOC_URL_MAX]; /* serviceURL */
	char location[FOC_NAME_MAX];
	uint64_t min_piece_bytes, max_piece_bytes; /* raw */
	bool ipni_ipfs;
};

/* Those that FWSS approved, in its order. */
must_check int foc_providers(struct foc *f,
			     int (*cb)(void *ctx, const struct foc_provider *),
			     void *ctx, struct err *reterr);

/* Any; `approved` and `endorsed` are filled in as well. */
must_check int foc_provider(struct foc *f, uint64_t id,
			    struct foc_provider *ret, struct err *reterr);

static inline void foc_freep(struct foc **f)
{
	foc_free(*f);
}

#define _cleanup_foc_ _cleanup_(foc_freep)

#endif
