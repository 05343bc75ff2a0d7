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

#define SETS_MAX      256 /* of ours that are looked into */
#define CANDIDATE_MAX 128
#define PINGS         6              /* that answer, and the fastest is taken */
#define PIECE_WANTED  (320ull << 20) /* bytes: the drive's larger pieces */

/* ---- the drive's own data sets ---- */

struct own {
	struct view_data_set set;
	uint64_t leaves;
};

struct owned {
	struct pdp_job *j;
	struct own list[SETS_MAX];
	size_t n;
};

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct owned *o = ctx;

	pdp_alive(o->j);
	if (o->n < SETS_MAX && address_eq(s->payer, o->j->d->payer) &&
	    !pdp_group_shuns(o->j->d->p.group, s->provider_id) &&
	    !pdp_group_has_set(o->j->d->p.group, o->j->d->p.slot, s->data_set_id))
		o->list[o->n++].set = *s;
	return 0;
}

struct meta {
	char drive[2 * KEYS_DRIVE_ID_SIZE + 1];
	bool source, is_ours;
};

static void drive_text(const struct pdp *d,
		       char ret[static 2 * KEYS_DRIVE_ID_SIZE + 1])
{
	for (size_t i = 0; i < KEYS_DRIVE_ID_SIZE; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", d->drive_id[i]); /* fits */
}

static int on_meta(void *ctx, struct slice key, struct slice value)
{
	struct meta *m = ctx;

	if (slice_eq(key, slice_str("source")))
		m->source = slice_eq(value, slice_str(PDP_SOURCE));
	if (slice_eq(key, slice_str("drive")))
		m->is_ours = slice_eq(value, slice_str(m->drive));
	return 0;
}

static int is_ours(struct pdp_job *j, uint64_t set, bool *ret, struct err *e)
{
	struct meta m = { 0 };
	int r;

	drive_text(j->d, m.drive);
	r = foc_metadata(j->foc, set, on_meta, &m, e);
	pdp_alive(j);
	*ret = m.source && m.is_ours;
	return r;
}

static bool is_better(const struct own *a, const struct own *b)
{
	bool a_ended = a->set.pdp_end_epoch, b_ended = b->set.pdp_end_epoch;

	if (a_ended != b_ended)
		return b_ended;
	if (a->leaves != b->leaves)
		return a->leaves > b->leaves;
	return a->set.data_set_id < b->set.data_set_id;
}

/* Of the list, the best that is this drive's. */
static int best_of(struct owned *o, struct own *ret, bool *ret_found, struct err *e)
{
	struct pdp_job *j = o->j;
	bool ours = false;
	int r;

	*ret_found = false;
	for (size_t i = 0; i < o->n; i++) {
		struct own *x = &o->list[i];

		/* To read from; what is written needs one that goes on. */
		if (x->set.pdp_end_epoch && j->d->p.session)
			continue;
		r = is_ours(j, x->set.data_set_id, &ours, e);
		if (r == -ENOEXEC || (r == 0 && !ours))
			continue;
		if (r == 0)
			r = foc_leaves(j->foc, x->set.data_set_id, &x->leaves, e);
		if (r == -ENOEXEC) /* deleted meanwhile */
			continue;
		if (r < 0)
			return r;
		if (!*ret_found || is_better(x, ret))
			*ret = *x;
		*ret_found = true;
	}
	return 0;
}

static void fill(struct pdp_slot *s, const struct foc_provider *p)
{
	s->chosen = true;
	s->provider = p->id;
	s->payee = p->payee;
	s->min = p->min_piece_bytes;
	s->max = p->max_piece_bytes;
	s->since = pdp_now_s();
	text_copy(s->url, sizeof(s->url), p->url);
	text_copy(s->name, sizeof(s->name), p->name);
	text_copy(s->location, sizeof(s->location), p->location);
}

/* 1: found. */
static int find_own(struct pdp_job *j, struct pdp_slot *ret)
{
	_cleanup_free_ struct owned *o = calloc(1, sizeof(*o));
	struct foc_provider p;
	struct err e = { 0 };
	struct own best = { 0 };
	bool found = false;
	int r;

	if (!o)
		return -ENOMEM;
	o->j = j;
	r = foc_data_sets(j->foc, on_set, o, &e);
	if (r == 0)
		r = best_of(o, &best, &found, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	if (!found)
		return 0;
	r = foc_provider(j->foc, best.set.provider_id, &p, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	if (!p.url[0])
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the provider of data set %llu cannot be reached: %s",
			       j->d->name,
			       (unsigned long long)best.set.data_set_id, p.why);
	*ret = (struct pdp_slot){ .data_set = best.set.data_set_id,
				  .client = best.set.client_data_set_id,
				  .client_known = true };
	fill(ret, &p);
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
	fill(ret, &best->p);
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
