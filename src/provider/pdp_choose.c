/*
 * pdp_choose.c - which storage provider a slot has
 *
 * First the drive's own data sets, found on chain by their metadata: after a
 * recovery, and when the ledger was lost.  The one with the most pieces counts; of
 * those that ended only for reading.
 *
 * Else a new provider: of those that FWSS approved, not another slot's (nor with its
 * payee), not one that failed us; endorsed ones first, then those in a place that
 * no other slot has, then the fastest of the first few that answer.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "provider/pdp_impl.h"

#define CANDIDATE_MAX 128
#define PINGS         6              /* that answer, and the fastest is taken */
#define PIECE_WANTED  (320ull << 20) /* bytes: the drive's larger pieces */

/* ---- the drive's own data sets ---- */

/* To read from, those that ended too; what is written needs one that goes on. */
static bool is_wanted(void *ctx, const struct view_data_set *s)
{
	struct pdp_job *j = ctx;
	struct pdp_group *g = j->d->p.group;

	pdp_alive(j);
	return !(s->pdp_end_epoch && j->d->p.session) &&
	       !pdp_group_shuns(g, s->provider_id) &&
	       !pdp_group_has_set(g, j->d->p.slot, s->data_set_id);
}

/* 1: found. */
static int find_own(struct pdp_job *j, struct pdp_slot *ret)
{
	_cleanup_free_ struct pdp_own *list = NULL;
	struct err e = { 0 };
	struct pdp_set set = { .ended = false };
	size_t n = 0;
	int r;

	r = pdp_own_sets(j->foc, j->d->drive_id, is_wanted, j, &list, &n, &e);
	if (r == 0 && n)
		r = pdp_own_set(j->foc, &list[0], &set, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	if (n == 0)
		return 0;
	if (set.why[0])
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the provider of data set %llu cannot be reached: %s",
			       j->d->name,
			       (unsigned long long)set.slot.data_set, set.why);
	*ret = set.slot;
	return 1;
}

/* ---- a new provider ---- */

struct candidate {
	struct foc_provider p;
	bool alone; /* no other slot is in its place */
	uint64_t latency_ms;
};

struct candidates {
	struct pdp_job *j;
	struct candidate list[CANDIDATE_MAX];
	size_t n;
	size_t n_seen;
	uint64_t but; /* not this one; 0: any */
};

static int on_provider(void *ctx, const struct foc_provider *p)
{
	struct candidates *c = ctx;
	struct pdp *d = c->j->d;

	pdp_alive(c->j);
	c->n_seen++;
	if (!p->usable || p->id == c->but || c->n == CANDIDATE_MAX ||
	    p->max_piece_bytes < PIECE_WANTED ||
	    (d->p.ipfs_indexing && !p->ipni_ipfs) ||
	    pdp_group_shuns(d->p.group, p->id) ||
	    pdp_group_has_provider(d->p.group, d->p.slot, p->id, p->payee))
		return 0;
	c->list[c->n].p = *p;
	c->list[c->n].alone =
		!pdp_group_has_place(d->p.group, d->p.slot, p->location);
	c->n++;
	return 0;
}

/* A class: each is tried before any of the next. */
static unsigned class_of(const struct candidate *c)
{
	return (c->p.endorsed ? 0u : 4u) + (c->alone ? 0u : 2u) +
	       (c->p.min_piece_bytes > CURIO_RAW_MIN);
}

static int ping(struct pdp_job *j, struct candidate *c)
{
	uint64_t began;
	int r;

	r = pdp_open_url(j, c->p.url);
	if (r < 0) {
		j->req->err.text[0] = '\0'; /* there are others */
		return r;
	}
	began = monotonic_ms();
	r = curio_ping(j->curio, &j->op);
	c->latency_ms = monotonic_ms() - began;
	pdp_alive(j);
	return r;
}

/* The fastest that answers of the first class in which one does; or NULL. */
static int first_class(struct pdp_job *j, struct candidates *c,
		       struct candidate **ret)
{
	unsigned answered;
	int r;

	*ret = NULL;
	for (unsigned class = 0; class < 8 && !*ret; class ++) {
		answered = 0;
		for (size_t i = 0; i < c->n && answered < PINGS; i++) {
			if (class_of(&c->list[i]) != class)
				continue;
			r = ping(j, &c->list[i]);
			if (r == -ECANCELED || r == -ENOMEM)
				return r;
			if (r < 0)
				continue;
			answered++;
			if (!*ret || c->list[i].latency_ms < (*ret)->latency_ms)
				*ret = &c->list[i];
		}
	}
	return 0;
}

static int random_u256(struct u256 *ret)
{
	uint8_t be[U256_SIZE];

	if (getrandom(be, sizeof(be), 0) != (ssize_t)sizeof(be))
		return -EIO;
	*ret = u256_from_be(be);
	return 0;
}

static int best_new(struct pdp_job *j, struct candidates *c, struct candidate **ret)
{
	struct err e = { 0 };
	int r;

	c->j = j;
	r = foc_providers(j->foc, on_provider, c, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	r = first_class(j, c, ret);
	if (r < 0)
		return r;
	if (!*ret)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: no storage provider for this copy: of %zu approved ones %zu would do, and none of them answers",
			       j->d->name, c->n_seen, c->n);
	return 0;
}

int pdp_spare(struct pdp_job *j, uint64_t but)
{
	_cleanup_free_ struct candidates *c = calloc(1, sizeof(*c));
	struct candidate *best = NULL;

	if (!c)
		return -ENOMEM;
	c->but = but;
	return best_new(j, c, &best);
}

static int choose_new(struct pdp_job *j, struct pdp_slot *ret)
{
	_cleanup_free_ struct candidates *c = calloc(1, sizeof(*c));
	struct candidate *best = NULL;
	int r;

	if (!c)
		return -ENOMEM;
	r = best_new(j, c, &best);
	if (r < 0)
		return r;
	assert(best); /* or r said why not */
	/* Its number stays, whichever provider it is used at in the end. */
	*ret = pdp_slot_get(j->d);
	ret->data_set = 0;
	if (!ret->client_known) {
		r = random_u256(&ret->client);
		if (r < 0)
			return r;
		ret->client_known = true;
	}
	pdp_slot_fill(ret, &best->p);
	return 0;
}

int pdp_choose(struct pdp_job *j, struct pdp_slot *ret)
{
	struct pdp *d = j->d;
	int r;

	pdp_group_lock(d->p.group);
	r = find_own(j, ret);
	if (r == 0 && !d->create && !pdp_slot_get(d).client_known)
		r = err_set(&j->req->err, -EREMOTEIO,
			    "%s: this wallet has no data set of this drive there",
			    d->name);
	if (r == 0)
		r = choose_new(j, ret);
	if (r >= 0)
		pdp_group_take(d->p.group, d->p.slot, ret);
	pdp_group_unlock(d->p.group);
	return r < 0 ? r : 0;
}
