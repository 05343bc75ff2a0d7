/*
 * pdp_watch.c - PROOF and REPLACE: how the proofs of a slot stand, and giving it up
 *
 * The chain says what a provider has proven; the provider is not asked.  Periods of
 * proving end at deadline, deadline - period, …; each wants a proof within it:
 *
 *      activation         E = end of the period         E + period:
 *          │              of the last proof  │          missing from here on
 *          ├───────────────┼──────────────────┼──────────────────┼──► epochs
 *                       ▲ last proof
 *
 * Before the first proof the activation stands for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "provider/pdp_impl.h"

#define EPOCH_S 30
#define SPARE_LEAVES \
 32768 /* what a new slot must afford, of a set that is gone */

/* ---- PROOF ---- */

/* Epochs before and after now: a chain whose clock runs otherwise keeps its order. */
static uint64_t time_of(uint64_t epoch, uint64_t head, uint64_t now)
{
	uint64_t ago = head > epoch ? (head - epoch) * EPOCH_S : 0;
	uint64_t in = epoch > head ? (epoch - head) * EPOCH_S : 0;

	return now > ago ? now - ago + in : 1;
}

void pdp_proof_of(const struct foc_proving *v, uint64_t now,
		  struct provider_proof *ret)
{
	uint64_t last = MAX(v->last_proven, v->activation), end, missing;

	ret->state = PROVIDER_PROOF_NONE;
	if (!v->live) {
		ret->state = PROVIDER_PROOF_GONE;
		return;
	}
	if (!v->activation || !v->deadline || !v->period)
		return;
	end = last < v->deadline ?
		      v->deadline - (v->deadline - last) / v->period * v->period :
		      last;
	missing = end + v->period;
	ret->period_s = v->period * EPOCH_S;
	ret->deadline_s = time_of(v->deadline, v->head, now);
	if (v->last_proven > v->activation)
		ret->last_s = time_of(v->last_proven, v->head, now);
	if (v->head <= missing) {
		ret->state = ret->last_s ? PROVIDER_PROOF_GOOD : PROVIDER_PROOF_NONE;
		return;
	}
	ret->missing_s = time_of(missing, v->head, now);
	ret->state = v->head - missing <= v->period ? PROVIDER_PROOF_LATE :
						      PROVIDER_PROOF_FAULTED;
}

/* What it does not do any more may be for want of money. */
static int ask_paid(struct pdp_job *j, uint64_t head, struct provider_proof *ret)
{
	struct foc_purse purse;
	struct err e = { 0 };
	int r;

	r = pdp_group_purse(j->d->p.group, j->foc, PDP_FRESH_MS, &purse, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	ret->unpaid = purse.account.funded_until < head;
	return 0;
}

static int ask_set(struct pdp_job *j, const struct pdp_slot *s,
		   struct provider_proof *ret)
{
	struct view_data_set v;
	struct foc_proving proving = { 0 };
	struct err e = { 0 };
	int r;

	r = foc_data_set(j->foc, s->data_set, &v, &e);
	if (r == -ENOENT) {
		ret->state = PROVIDER_PROOF_GONE;
		return 0;
	}
	if (r == 0)
		r = foc_proving(j->foc, s->data_set, &proving, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	pdp_proof_of(&proving, pdp_now_s(), ret);
	if (ret->state != PROVIDER_PROOF_GONE && v.pdp_end_epoch) {
		ret->state = PROVIDER_PROOF_ENDED;
		(void)snprintf(ret->text, sizeof(ret->text),
			       "its service ends with epoch %" PRIu64,
			       v.pdp_end_epoch); /* fits */
	}
	return ask_paid(j, proving.head, ret);
}

int pdp_proof(struct pdp_job *j)
{
	struct provider_proof *ret = &j->req->ret_proof;
	struct pdp_slot s = pdp_slot_get(j->d);

	*ret = (struct provider_proof){ .state = PROVIDER_PROOF_NONE };
	if (!s.chosen)
		return 0;
	ret->provider = s.provider;
	ret->set = s.data_set;
	text_copy(ret->name, sizeof(ret->name), s.name);
	return s.data_set ? ask_set(j, &s, ret) : 0;
}

/* ---- REPLACE ---- */

/* Another set of this size, besides all that is paid for now. */
static int may_afford(struct pdp_job *j, const struct pdp_slot *s)
{
	struct cost_plan plan = { .create = true, .n_pieces = 1, .n_adds = 1 };
	struct err e = { 0 };
	struct u256 fees;
	int r = -ENOENT;

	if (s->data_set)
		r = foc_leaves(j->foc, s->data_set, &plan.add_leaves, &e);
	if (r < 0 || plan.add_leaves < SPARE_LEAVES)
		plan.add_leaves = SPARE_LEAVES;
	r = pdp_afford(j, &plan, 0, &fees);
	return r == -EREMOTEIO ? -EDQUOT : r;
}

/* An authorization for who is given up: it may still land, and is not sent again. */
static int on_add(void *ctx, struct pdp_add *a)
{
	struct pdp *d = ctx;

	if (a->state == PDP_ADD_LANDED || a->state == PDP_ADD_DEAD)
		return 0;
	a->state = PDP_ADD_DEAD;
	a->time = pdp_now_s();
	return pdp_add_save(d, a);
}

static int give_up(struct pdp_job *j, const struct pdp_slot *s)
{
	struct pdp *d = j->d;
	int r;

	r = pdp_note_given(&d->notes, s->provider);
	if (r == 0)
		r = pdp_adds(d, on_add, d);
	/* Last: until then it is not given up. */
	return r < 0 ? r : d->notes.drop(d->notes.ctx, PDP_NOTE_SLOT);
}

/* From here on it is a new store: its id, its number on chain, its provider. */
static void begin_anew(struct pdp *d)
{
	lock_take(&d->lock);
	d->slot = (struct pdp_slot){ 0 };
	d->ident_known = false;
	d->attached_until_ms = 0;
	d->create = true;
	d->n_given = UINT_MAX; /* to be read again */
	lock_drop(&d->lock);
	pdp_group_leave(d->p.group, d->p.slot);
}

static int replace(struct pdp_job *j)
{
	struct pdp_slot s = pdp_slot_get(j->d);
	int r;

	if (!s.chosen) {
		begin_anew(j->d);
		return 0;
	}
	r = pdp_spare(j, s.provider);
	if (r == 0)
		r = may_afford(j, &s);
	if (r == -EREMOTEIO) /* nothing was done: nobody need wonder */
		r = -ENODEV;
	if (r == 0)
		r = give_up(j, &s);
	if (r < 0)
		return r;
	pdp_group_shun(j->d->p.group, s.provider);
	begin_anew(j->d);
	return 0;
}

int pdp_replace(struct pdp_job *j)
{
	struct pdp *d = j->d;
	int r;

	r = pdp_begin(j);
	if (r < 0)
		return r;
	lock_take(&d->attaching);
	r = replace(j);
	lock_drop(&d->attaching);
	pdp_end(j);
	return r;
}

/* ---- who was given up still serves, as a rule ---- */

struct given {
	uint64_t id[PDP_GIVEN_MAX];
	size_t n;
};

static int on_given(void *ctx, const char *key, struct slice value)
{
	struct given *g = ctx;
	struct u256 id;
	uint64_t n;

	(void)value;
	if (u256_from_text(slice_str(key + strlen(PDP_NOTE_SHUN)), &id) == 0 &&
	    u256_to_u64(id, &n) == 0 && g->n < PDP_GIVEN_MAX)
		g->id[g->n++] = n;
	return 0;
}

/* Their addresses, from the registry, once. */
static int know_given(struct pdp_job *j)
{
	struct pdp *d = j->d;
	struct given g = { .n = 0 };
	struct pdp_given *list;
	unsigned n = 0;
	bool known;
	int r;

	lock_take(&d->lock);
	known = d->n_given != UINT_MAX;
	lock_drop(&d->lock);
	if (known)
		return 0;
	r = d->notes.each(d->notes.ctx, PDP_NOTE_SHUN, on_given, &g);
	if (r < 0)
		return r;
	list = calloc(PDP_GIVEN_MAX, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < g.n; i++) {
		struct foc_provider p;
		struct err e = { 0 };

		r = foc_provider(j->foc, g.id[i], &p, &e);
		if (r == -ECANCELED || r == -ENOMEM)
			break;
		if (r == 0 && p.url[0])
			text_copy(list[n++].url, sizeof(list[0].url), p.url);
	}
	if (r == -ECANCELED || r == -ENOMEM) {
		free(list);
		return r;
	}
	lock_take(&d->lock);
	memcpy(d->given, list, sizeof(d->given));
	d->n_given = n;
	lock_drop(&d->lock);
	free(list);
	return 0;
}

int pdp_get_given(struct pdp_job *j, int status)
{
	struct provider_req *req = j->req;
	char url[FOC_URL_MAX];
	unsigned n;
	int r;

	r = know_given(j);
	if (r < 0)
		return r;
	for (unsigned i = 0;; i++) {
		lock_take(&j->d->lock);
		n = j->d->n_given == UINT_MAX ? 0 : j->d->n_given;
		if (i < n)
			text_copy(url, sizeof(url), j->d->given[i].url);
		lock_drop(&j->d->lock);
		if (i >= n)
			return status;
		if (pdp_open_url(j, url) < 0)
			continue;
		r = curio_get(j->curio, &j->op, &req->cid, req->off, req->n,
			      req->dst, &req->ret_n);
		if (r == 0)
			req->err.text[0] = '\0';
		if (r == 0 || r == -ECANCELED || r == -ENOMEM)
			return r;
	}
}
