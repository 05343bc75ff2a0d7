/*
 * datasets.h - the drive's data sets at providers, for gc and destroy
 *
 * What only their owner may do, with the removal key: have pieces removed, and have
 * a data set ended.  A provider is asked, who sends the transaction.  What was asked
 * for is looked up on chain: asked twice it is done, and paid, once.
 *
 * Threading: one thread, that of a command.
 */
#ifndef DAEMON_DATASETS_H
#define DAEMON_DATASETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"
#include "chain/foc.h"
#include "chain/u256.h"
#include "chain/view.h"
#include "crypto/piece_cid.h"
#include "daemon/wallet.h"

#define DATASETS_REMOVER_S 3600 /* that the removal key may act for the owner */

struct dataset {
	struct view_data_set view;
	struct foc_provider provider;
	bool answers; /* the provider does */
};

/* Those on chain that carry the drive's id, ended ones too (pdp_end_epoch).  An exit
 * code; of the callback -errno. */
must_check int datasets_find(struct wallet *w,
			     int (*cb)(void *ctx, const struct view_data_set *s),
			     void *ctx);

/* The provider of s->view, and whether it answers. */
void dataset_look(struct wallet *w, struct dataset *s);

/* Let the removal key do this for an hour: a plan.  An exit code. */
must_check int datasets_plan_login(struct wallet *w, const enum eip712_type *ops,
				   size_t n_ops, const char *text);

/* End it by a transaction of the owner's own: a plan.  An exit code. */
must_check int dataset_plan_own(struct wallet *w, const struct dataset *s);

/* Have the provider end it; waits until the chain has.  -errno, in words. */
must_check int dataset_end(struct wallet *w, const struct dataset *s,
			   struct err *why);

/* What a removal was paid with. */
struct dataset_removed {
	size_t n; /* pieces that are scheduled for removal now; 0: all were before */
	struct u256 fee;
	uint8_t ref[32]; /* what it was paid for: a hash of what was signed */
	struct piece_cid first; /* of them */
};

/* Told before the provider is asked: with an error it is not. */
typedef int (*dataset_asking)(void *ctx, const struct dataset_removed *what,
			      struct err *why);

/*
 * Have the provider remove pieces (FOC_AUTH_REMOVALS_MAX at most) with the next
 * proof; waits until the chain has taken that down.  Those that it has already, or
 * that are gone, are left out.
 *
 * -EAGAIN     as many wait already as the provider takes until then
 * -ETIMEDOUT  the chain has not taken it down yet; it may do so
 */
must_check int dataset_remove(struct wallet *w, const struct dataset *s,
			      const struct piece_cid *cids, size_t n,
			      dataset_asking asking, void *ctx,
			      struct dataset_removed *ret, struct err *why);

#endif
