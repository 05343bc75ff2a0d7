/* pdp.c - life of a slot, its requests, and what they read */
#include "provider/pdp.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "chain/eip712.h"
#include "crypto/commp.h"
#include "net/work.h"
#include "provider/pdp_impl.h"

static struct pdp *pdp_of(struct provider *p)
{
	return container_of(p, struct pdp, provider);
}

uint64_t pdp_now_s(void)
{
	return (uint64_t)time(NULL);
}

uint64_t pdp_poll_ms(const struct pdp *d)
{
	return d->p.poll_ms ? d->p.poll_ms : PDP_POLL_MS;
}

int pdp_sleep(struct pdp_job *j, uint64_t ms)
{
	uint64_t until = monotonic_ms() + ms;
	struct pdp *d = j->d;

	lock_take(&d->lock);
	while (!req_cancelled(j->req) && monotonic_ms() < until)
		(void)cond_wait_until_ms(&d->cond, &d->lock, until);
	lock_drop(&d->lock);
	return req_cancelled(j->req) ? -ECANCELED : 0;
}

int pdp_chain_error(struct pdp_job *j, int r, const struct err *e)
{
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	return err_set(&j->req->err, -EREMOTEIO, "%s: %s", j->d->name,
		       e->text[0] ? e->text : err_str(r));
}

/* Where the word of the chain itself is asked for, a contradiction is said. */
static int read_error(struct pdp_job *j, int r, const struct err *e)
{
	if (r == -EBADMSG)
		return err_set(&j->req->err, r, "%s: %s", j->d->name, e->text);
	return pdp_chain_error(j, r, e);
}

int pdp_curio_error(struct pdp_job *j, int r)
{
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	return err_set(&j->req->err, -EREMOTEIO, "%s: %s", j->d->name,
		       j->op.err.text[0] ? j->op.err.text : err_str(r));
}

struct pdp_slot pdp_slot_get(struct pdp *d)
{
	struct pdp_slot s;

	lock_take(&d->lock);
	s = d->slot;
	lock_drop(&d->lock);
	return s;
}

int pdp_curio(struct pdp_job *j, const char *url, struct curio **ret)
{
	struct curio_params cp = {
		.http = j->d->p.http,
		.url = url,
		.local = j->d->p.local,
		.up_rate = j->d->p.up_rate,
		.down_rate = j->d->p.down_rate,
	};
	struct err e = { 0 };
	int r;

	r = curio_new(&cp, ret, &e);
	return r < 0 ? pdp_chain_error(j, r, &e) : 0;
}

int pdp_open_url(struct pdp_job *j, const char *url)
{
	curio_free(j->curio);
	j->curio = NULL;
	return pdp_curio(j, url, &j->curio);
}

/* Which provider it is; -EREMOTEIO if none is chosen yet. */
static int pdp_chosen(struct pdp_job *j, struct pdp_slot *ret)
{
	int r = 0;

	*ret = pdp_slot_get(j->d);
	if (!ret->chosen) {
		r = pdp_attach(j);
		*ret = pdp_slot_get(j->d);
	}
	return r;
}

int pdp_open(struct pdp_job *j, struct pdp_slot *ret)
{
	bool mute;
	int r = pdp_chosen(j, ret);

	if (r < 0)
		return r;
	lock_take(&j->d->lock);
	mute = monotonic_ms() < j->d->mute_until_ms;
	lock_drop(&j->d->lock);
	if (mute)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: %s did not answer a moment ago", j->d->name,
			       ret->name);
	return pdp_open_url(j, ret->url);
}

/* ---- verbs that read ---- */

static int do_get(struct pdp_job *j)
{
	struct provider_req *req = j->req;
	struct pdp_slot s;
	int r;

	r = pdp_open(j, &s);
	if (r < 0)
		return r == -EREMOTEIO ? pdp_get_given(j, r) : r;
	r = curio_get(j->curio, &j->op, &req->cid, req->off, req->n, req->dst,
		      &req->ret_n);
	if (r == -ENOENT)
		r = err_set(&req->err, r, "%s: %s does not have the piece",
			    j->d->name, s.name);
	else if (r < 0)
		r = pdp_curio_error(j, r);
	return r == -ENOENT || r == -EREMOTEIO ? pdp_get_given(j, r) : r;
}

static int do_stat(struct pdp_job *j)
{
	struct pdp_slot s;
	int r;

	r = pdp_open(j, &s);
	if (r < 0)
		return r;
	r = curio_stat(j->curio, &j->op, &j->req->cid, &j->req->ret_size);
	if (r == -ENOENT)
		return err_set(&j->req->err, r, "%s: %s does not have the piece",
			       j->d->name, s.name);
	return r < 0 ? pdp_curio_error(j, r) : 0;
}

static int on_piece(void *ctx, uint64_t id, const struct piece_cid *cid)
{
	struct pdp_job *j = ctx;
	struct commp_sum sum;
	int r;

	(void)id;
	if (req_cancelled(j->req))
		return -ECANCELED;
	r = piece_cid_parse(piece_cid_slice(cid), &sum);
	return r < 0 ? r : j->req->found(j->req, cid, sum.raw_size);
}

static int do_list(struct pdp_job *j)
{
	struct pdp_slot s;
	struct err e = { 0 };
	int r;

	r = pdp_chosen(j, &s);
	if (r < 0 || !s.data_set)
		return r;
	r = foc_pieces(j->foc, s.data_set, on_piece, j, &e);
	return r < 0 && e.text[0] ? read_error(j, r, &e) : r;
}

/* The session key cannot remove: was it done by who can? */
static int do_remove(struct pdp_job *j)
{
	struct pdp_slot s;
	struct err e = { 0 };
	uint64_t id;
	int r;

	r = pdp_open(j, &s);
	if (r < 0)
		return r;
	if (!s.data_set)
		return -ENOENT;
	r = foc_find(j->foc, s.data_set, &j->req->cid, 1, &id, &e);
	if (r == -ENOENT) /* with all of its set */
		return r;
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	if (id == FOC_NO_PIECE)
		return 0;
	return err_set(&j->req->err, -EACCES,
		       "%s: removing a piece takes the passphrase: fildrive gc",
		       j->d->name);
}

/* The chain says which piece a nonce has added. */
static int do_head(struct pdp_job *j)
{
	struct provider_req *req = j->req;
	struct view_nonce v;
	struct piece_cid cid;
	struct err e = { 0 };
	int r;

	r = foc_nonce(j->foc, u256_from_be(req->head_name), &v, &e);
	if (r < 0)
		return read_error(j, r, &e);
	pdp_alive(j);
	if (!v.used)
		return -ENOENT;
	if (v.next_piece_id == 0)
		return err_set(&req->err, -EBADMSG,
			       "%s: a head's number was used for something else",
			       j->d->name);
	r = foc_piece_cid(j->foc, v.data_set_id, v.next_piece_id - 1, &cid, &e);
	if (r == -ENOENT || r == -ENOEXEC) /* removed, or with all of its set */
		return err_set(&req->err, -ENODATA,
			       "%s: the piece of a head has been removed",
			       j->d->name);
	if (r < 0)
		return read_error(j, r, &e);
	return buf_append(req->ret_head, piece_cid_slice(&cid));
}

/* ---- requests ---- */

static int (*const verbs[PROVIDER_NX])(struct pdp_job *j) = {
	[PROVIDER_PUT] = pdp_put,       [PROVIDER_VERIFY] = pdp_verify,
	[PROVIDER_COMMIT] = pdp_commit, [PROVIDER_GET] = do_get,
	[PROVIDER_STAT] = do_stat,      [PROVIDER_LIST] = do_list,
	[PROVIDER_REMOVE] = do_remove,  [PROVIDER_CLAIM] = pdp_claim,
	[PROVIDER_HEAD] = do_head,      [PROVIDER_ATTACH] = pdp_attach,
	[PROVIDER_PROOF] = pdp_proof,   [PROVIDER_REPLACE] = pdp_replace,
};

static void job_run(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);
	struct pdp_job *j = req->impl;

	req->status = req_cancelled(req) ? -ECANCELED :
		      verbs[req->verb]   ? verbs[req->verb](j) :
					   -EOPNOTSUPP;
	/* What a stop cut short is no error of the store's. */
	if (req->status < 0 && req_cancelled(req))
		req->status = -ECANCELED;
	if (req->status < 0)
		err_set(&req->err, 0, "%s: %s", j->d->name, err_str(req->status));
}

static void job_free(struct pdp_job *j)
{
	curio_free(j->curio);
	curio_op_fini(&j->op);
	foc_free(j->foc);
	free(j);
}

static void job_done(struct work_item *w)
{
	struct provider_req *req = container_of(w, struct provider_req, work);
	struct pdp_job *j = req->impl;
	struct pdp *d = j->d;

	lock_take(&d->lock);
	req->impl = NULL; /* nobody cancels what is over */
	lock_drop(&d->lock);
	job_free(j);
	req->done(req, req->status);
}

static int pdp_start(struct provider *p, struct provider_req *req)
{
	struct pdp *d = pdp_of(p);
	struct pdp_job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	r = foc_fork(d->p.foc, &j->foc);
	if (r < 0) {
		free(j);
		return r;
	}
	j->d = d;
	j->req = req;
	curio_op_init(&j->op);
	j->op.moved = &req->moved;
	lock_take(&d->lock);
	req->impl = j;
	lock_drop(&d->lock);
	req->work.run = job_run;
	req->work.done = job_done;
	work_submit(d->work, &req->work);
	return 0;
}

static void pdp_cancel(struct provider *p, struct provider_req *req)
{
	struct pdp *d = pdp_of(p);
	struct pdp_job *j;

	lock_take(&d->lock);
	j = req->impl;
	if (j) {
		curio_cancel(&j->op);
		foc_stop(j->foc);
	}
	cond_wake_all(&d->cond);
	lock_drop(&d->lock);
}

/* ---- life ---- */

static void pdp_free(struct provider *p)
{
	struct pdp *d = pdp_of(p);

	work_free(d->work);
	pdp_group_leave(d->p.group, d->p.slot);
	provider_fini(p);
	cond_fini(&d->cond);
	lock_fini(&d->lock);
	lock_fini(&d->attaching);
	free(d);
}

static const uint8_t *pdp_id(struct provider *p)
{
	return pdp_of(p)->ident;
}

static const char *pdp_name(struct provider *p)
{
	return pdp_of(p)->name;
}

static const struct provider_ops pdp_ops = {
	.start = pdp_start,
	.cancel = pdp_cancel,
	.free = pdp_free,
	.id = pdp_id,
	.name = pdp_name,
};

bool pdp_is(const struct provider *p)
{
	return p->ops == &pdp_ops;
}

void pdp_status(struct provider *p, struct pdp_status *ret)
{
	struct pdp_slot s = pdp_slot_get(pdp_of(p));

	*ret = (struct pdp_status){ .chosen = s.chosen,
				    .provider = s.provider,
				    .data_set = s.data_set };
	text_copy(ret->name, sizeof(ret->name), s.name);
	text_copy(ret->url, sizeof(ret->url), s.url);
	text_copy(ret->location, sizeof(ret->location), s.location);
}

/* Those that were given up: not to be chosen again for a while. */
static int on_shunned(void *ctx, const char *key, struct slice value)
{
	struct pdp *d = ctx;
	struct u256 id, since;
	uint64_t n, at;

	if (u256_from_text(slice_str(key + strlen(PDP_NOTE_SHUN)), &id) < 0 ||
	    u256_from_text(value, &since) < 0 || u256_to_u64(id, &n) < 0 ||
	    u256_to_u64(since, &at) < 0)
		return 0; /* only a preference */
	if (pdp_now_s() < at || pdp_now_s() - at < PDP_SHUN_S)
		pdp_group_shun(d->p.group, n);
	return 0;
}

/* What earlier runs knew. */
static int remember(struct pdp *d, struct err *reterr)
{
	struct pdp_slot s = { 0 };
	int r;

	r = d->notes.each(d->notes.ctx, PDP_NOTE_SHUN, on_shunned, d);
	if (r == 0)
		r = pdp_slot_load(d, &s);
	if (r == -ENOENT && !d->p.set)
		return 0;
	if (r == -ENOENT) {
		s = *d->p.set;
		r = pdp_slot_save(d, &s);
		pdp_ident(d, &s, d->ident);
		d->ident_known = true;
	}
	if (r < 0)
		return err_set(reterr, r, "%s: what it is cannot be read: %s",
			       d->name, err_str(r));
	d->slot = s;
	pdp_group_take(d->p.group, d->p.slot, &s);
	foc_seen(d->p.foc, s.seen);
	return 0;
}

int pdp_new(const struct provider_params *p, struct provider **ret, struct err *reterr)
{
	const struct pdp_params *pp = p->pdp;
	const struct network *net;
	struct pdp *d;
	int r = 0;

	if (!pp || !p->notes)
		return err_set(reterr, -EINVAL,
			       "store %s needs a wallet's drive around it", p->url);
	net = foc_network(pp->foc);
	if (pp->slot >= PDP_SLOTS_MAX)
		return -EINVAL;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	lock_init(&d->attaching);
	lock_init(&d->lock);
	cond_init(&d->cond);
	/* Only what is stored can take so long. */
	provider_init(&d->provider, &pdp_ops,
		      pp->session ? MAX(p->silence_ms, PDP_SILENCE_MS) :
				    p->silence_ms);
	d->provider.size_min = CURIO_RAW_MIN;
	d->provider.size_max = CURIO_RAW_MAX;
	d->provider.network = net->chain_id;
	d->provider.parks = true;
	d->provider.metered = true;
	d->p = *pp;
	d->notes = *p->notes;
	d->create = p->create;
	d->n_given = UINT_MAX;
	d->payer = foc_payer(pp->foc);
	d->chain_id = net->chain_id;
	memcpy(d->drive_id, pp->drive_id, sizeof(d->drive_id));
	eip712_separator_fwss(net->chain_id, net->fwss, d->separator);
	(void)snprintf(d->name, sizeof(d->name), "%s#%u", net->name, pp->slot); /* fits */
	if (p->id) {
		memcpy(d->ident, p->id, PROVIDER_ID_SIZE);
		d->ident_known = true;
	}
	if (pp->session)
		r = address_of_key(pp->session, &d->signer);
	if (r == 0)
		r = remember(d, reterr);
	d->p.set = NULL; /* the caller's */
	if (r == 0)
		r = work_new(p->loop, PDP_THREADS, &d->work);
	if (r < 0) {
		pdp_free(&d->provider);
		return r;
	}
	*ret = &d->provider;
	return 0;
}
