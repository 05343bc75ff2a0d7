#include "daemon/datasets.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "chain/foc_auth.h"
#include "chain/fwss.h"
#include "crypto/keccak.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "daemon/chainlink.h"
#include "daemon/exits.h"
#include "provider/curio.h"

#define SOURCE    "fildrive"
#define WAIT_MS   600000 /* a provider may take so long to send a transaction */
#define LOOK_MS   6000
#define ROUND_MS  60000 /* a look and a pause never take longer */
#define DEVNET_MS 200
#define DATA_MAX  1024

/* ---- which ---- */

struct find {
	struct wallet *w;
	int (*cb)(void *ctx, const struct view_data_set *s);
	void *ctx;
	char drive_id[2 * KEYS_DRIVE_ID_SIZE + 1];
	bool source, ours; /* of the one that is looked at */
};

static int on_meta(void *ctx, struct slice key, struct slice value)
{
	struct find *f = ctx;

	if (slice_eq(key, slice_str("source")))
		f->source = slice_eq(value, slice_str(SOURCE));
	if (slice_eq(key, slice_str("drive")))
		f->ours = slice_eq(value, slice_str(f->drive_id));
	return 0;
}

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct find *f = ctx;
	int r;

	f->source = f->ours = false;
	r = foc_metadata(f->w->foc, s->data_set_id, on_meta, f, &f->w->err);
	return r < 0 || !f->source || !f->ours ? r : f->cb(f->ctx, s);
}

int datasets_find(struct wallet *w,
		  int (*cb)(void *ctx, const struct view_data_set *s), void *ctx)
{
	const uint8_t *id = keys_drive_id(w->owner.keys);
	struct find f = { .w = w, .cb = cb, .ctx = ctx };
	int r;

	for (size_t i = 0; i < KEYS_DRIVE_ID_SIZE; i++)
		(void)snprintf(f.drive_id + 2 * i, 3, "%02x", id[i]); /* fits */
	r = foc_data_sets(w->foc, on_set, &f, &w->err);
	return r < 0 ? exits_err(r, &w->err, "looking for data sets") : EXITS_OK;
}

static bool is_devnet(const struct wallet *w)
{
	return strcmp(w->url.net.name, "devnet") == 0;
}

static int curio_of(struct wallet *w, const struct dataset *s, struct curio **ret)
{
	struct curio_params p = {
		.http = chainlink_http(w->link),
		.url = s->provider.url,
		.local = is_devnet(w),
	};
	struct err why = { "" };

	return s->provider.usable ? curio_new(&p, ret, &why) : -ENOENT;
}

void dataset_look(struct wallet *w, struct dataset *s)
{
	_cleanup_curio_ struct curio *c = NULL;
	struct err why = { "" };
	struct curio_op op;

	s->answers = false;
	if (foc_provider(w->foc, s->view.provider_id, &s->provider, &why) < 0 ||
	    curio_of(w, s, &c) < 0)
		return;
	curio_op_init(&op);
	s->answers = curio_ping(c, &op) == 0;
	curio_op_fini(&op);
}

/* ---- plans ---- */

int datasets_plan_login(struct wallet *w, const enum eip712_type *ops,
			size_t n_ops, const char *text)
{
	struct address remover;
	int r = address_of_key(w->owner.remover, &remover);

	return r < 0 ? exits_err(r, NULL, "the removal key") :
		       wallet_plan_login(w, remover, DATASETS_REMOVER_S, ops,
					 n_ops, text);
}

int dataset_plan_own(struct wallet *w, const struct dataset *s)
{
	struct buf data = { 0 };
	int r;

	buf_init(&data, DATA_MAX);
	r = fwss_terminate_service(s->view.data_set_id, &data);
	return wallet_plan(w, "terminate", w->at.fwss, r, &data,
			   u256(s->view.data_set_id),
			   "end data set %" PRIu64
			   " by an own transaction: it runs out in 30 days",
			   s->view.data_set_id);
}

/* ---- what a provider does ---- */

static void auth_init(const struct wallet *w, struct foc_auth *ret)
{
	ret->key = w->owner.remover;
	eip712_separator_fwss(w->url.net.chain_id, w->at.fwss, ret->separator);
}

static void pause_a_while(const struct wallet *w)
{
	(void)poll(NULL, 0, is_devnet(w) ? DEVNET_MS : LOOK_MS); /* a pause */
}

/*
 * Has the chain ended it?  Looked at for a while.  Its provider deletes it then: who
 * was stopped, or asks a slow node, may see no more of it than that it is gone.
 */
static int wait_ended(struct wallet *w, uint64_t id)
{
	uint64_t last = monotonic_ms();
	struct view_data_set v;
	struct err why = { "" };
	int r;

	for (uint64_t ms = 0; ms < WAIT_MS;
	     ms += monotonic_waited_ms(&last, ROUND_MS)) {
		r = foc_data_set(w->foc, id, &v, &why);
		if (r == -ENOENT || (r == 0 && v.pdp_end_epoch))
			return 0;
		pause_a_while(w);
	}
	return -ETIMEDOUT;
}

int dataset_end(struct wallet *w, const struct dataset *s, struct err *why)
{
	_cleanup_curio_ struct curio *c = NULL;
	_cleanup_buf_ struct buf extra = { 0 };
	struct foc_auth auth;
	struct curio_op op;
	int r;

	buf_init(&extra, FOC_AUTH_CREATE_MAX);
	auth_init(w, &auth);
	r = foc_auth_terminate(&auth, s->view.data_set_id, &extra);
	if (r == 0)
		r = curio_of(w, s, &c);
	if (r < 0)
		return r;
	curio_op_init(&op);
	r = curio_terminate(c, &op, s->view.data_set_id, buf_slice(&extra));
	if (r < 0)
		err_set(why, r, "%s", op.err.text);
	curio_op_fini(&op);
	return r < 0 ? r : wait_ended(w, s->view.data_set_id);
}

/* Ids under which they are there, and not about to be removed. */
static int ids_of(struct wallet *w, uint64_t set, const struct piece_cid *cids,
		  size_t n, uint64_t *ret, size_t *ret_n,
		  struct piece_cid *ret_first, struct err *why)
{
	uint64_t ids[FOC_AUTH_REMOVALS_MAX];
	int r;

	*ret_n = 0;
	why->text[0] = '\0';
	r = foc_find(w->foc, set, cids, n, ids, why);
	for (size_t i = 0; i < n && r == 0; i++)
		if (ids[i] != FOC_NO_PIECE) {
			if (*ret_n == 0)
				*ret_first = cids[i];
			ret[(*ret_n)++] = ids[i];
		}
	return r;
}

static int wait_scheduled(struct wallet *w, uint64_t set,
			  const struct piece_cid *cids, size_t n, struct err *why)
{
	uint64_t last = monotonic_ms(), ids[FOC_AUTH_REMOVALS_MAX];
	struct piece_cid first;
	size_t left;

	for (uint64_t ms = 0; ms < WAIT_MS;
	     ms += monotonic_waited_ms(&last, ROUND_MS)) {
		if (ids_of(w, set, cids, n, ids, &left, &first, why) == 0 &&
		    left == 0)
			return 0;
		pause_a_while(w);
	}
	return err_set(why, -ETIMEDOUT,
		       "the chain has not taken the removal down yet");
}

int dataset_remove(struct wallet *w, const struct dataset *s,
		   const struct piece_cid *cids, size_t n, dataset_asking asking,
		   void *ctx, struct dataset_removed *ret, struct err *why)
{
	uint64_t set = s->view.data_set_id, ids[FOC_AUTH_REMOVALS_MAX];
	_cleanup_curio_ struct curio *c = NULL;
	_cleanup_buf_ struct buf extra = { 0 };
	uint8_t tx[CURIO_HASH_SIZE];
	struct foc_auth auth;
	struct curio_op op;
	int r;

	assert(n <= FOC_AUTH_REMOVALS_MAX);
	*ret = (struct dataset_removed){ .fee = w->prices.remove_fee };
	r = ids_of(w, set, cids, n, ids, &ret->n, &ret->first, why);
	if (r < 0 || ret->n == 0)
		return r;
	buf_init(&extra, FOC_AUTH_CREATE_MAX);
	auth_init(w, &auth);
	r = foc_auth_remove(&auth, s->view.client_data_set_id, ids, ret->n,
			    &extra, why);
	if (r == 0)
		r = curio_of(w, s, &c);
	if (r < 0)
		return r;
	keccak_once(buf_slice(&extra), ret->ref);
	r = asking(ctx, ret, why);
	if (r < 0)
		return r;
	curio_op_init(&op);
	r = curio_remove(c, &op, set, buf_slice(&extra), ids, ret->n, tx);
	if (r < 0)
		err_set(why, r, "%s", op.err.text);
	curio_op_fini(&op);
	return r < 0 ? r : wait_scheduled(w, set, cids, n, why);
}
