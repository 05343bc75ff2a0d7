/* recover_heads.c - what the head registers of the stores say */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "net/fan.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "retrieve/finder.h"

static void store_note(struct recover_store *s, int status, const char *why)
{
	s->status = status;
	text_copy(s->why, sizeof(s->why), why[0] ? why : err_str(status));
}

struct asked {
	int status;
	struct err err;
};

struct asking {
	struct finder *d;
	struct asked v[RECOVER_STORES_MAX];
};

/* Stores of one network have one register: the first of them is asked. */
static size_t register_of(const struct finder *d, size_t i)
{
	uint64_t network = d->p->stores[i]->network;

	for (size_t k = 0; network && k < i; k++)
		if (d->p->stores[k]->network == network)
			return k;
	return i;
}

static bool has_answered(int status)
{
	return status == 0 || status == -ENOENT || status == -ENODATA;
}

/* The next of a network is asked where one says nothing. */
static int ask_head(void *ctx, size_t i)
{
	struct asking *a = ctx;
	struct finder *d = a->d;

	if (register_of(d, i) != i)
		return 0;
	a->v[i].status = -EREMOTEIO;
	for (size_t k = i; k < d->f->n_stores; k++) {
		if (register_of(d, k) != i || has_answered(a->v[i].status))
			continue;
		a->v[i].err.text[0] = '\0';
		a->v[i].status = head_newest(d->p->stores[k], d->p->keys, 0,
					     &d->f->stores[i].sequence,
					     &d->heads[i], &a->v[i].err);
	}
	return 0;
}

/* The same for one sequence. */
static int read_head(const struct finder *d, size_t i, uint64_t h,
		     struct piece_cid *ret)
{
	int r = -EREMOTEIO;

	for (size_t k = i; k < d->f->n_stores && !has_answered(r); k++)
		if (register_of(d, k) == i)
			r = head_read(d->p->stores[k], d->p->keys, h, ret, d->err);
	return r;
}

int finder_ask_heads(struct finder *d)
{
	struct recover_found *f = d->f;
	struct asking a = { .d = d };
	size_t answered = 0;
	int status = -EREMOTEIO;

	best_effort(fan_out(f->n_stores, RECOVER_STORES_MAX, ask_head, &a)); /* each
									has its status */
	for (size_t i = 0; i < f->n_stores; i++) {
		struct recover_store *s = &f->stores[i];
		size_t at = register_of(d, i);
		const struct err *e = &a.v[at].err;
		int r = a.v[at].status;

		s->sequence = f->stores[at].sequence;
		d->heads[i] = d->heads[at];
		if (r == -ENOMEM)
			return r;
		answered += has_answered(r);
		if (r == -ENOENT)
			store_note(s, r, "it has no commit of this drive");
		else if (r < 0)
			store_note(s, r, e->text);
		if (r == 0 || r == -ENODATA) /* then another may know it */
			f->newest = MAX(f->newest, s->sequence);
		else if (r != -ENOENT)
			err_set(d->err, r, "%s", e->text);
		if (r == -EBADMSG) /* no word on what is there can be trusted */
			status = r;
	}
	if (f->newest) {
		d->err->text[0] = '\0';
		return 0;
	}
	if (!answered)
		return err_set(d->err, status, "no store answers");
	d->err->text[0] = '\0';
	return err_set(d->err, -ENOENT,
		       "no store has a commit of this drive: are these its words, and its stores?");
}

/* What each store says of head h.  -ENOENT: none of them knows it. */
static int heads_at(struct finder *d, uint64_t h, struct piece_cid *at, bool *has)
{
	int r, status = -ENOENT;

	for (size_t i = 0; i < d->f->n_stores; i++) {
		has[i] = d->f->stores[i].sequence == h && d->heads[i].n;
		at[i] = d->heads[i];
		if (d->f->stores[i].sequence == h && !has[i])
			status = -ENODATA;
		if (d->f->stores[i].sequence <= h)
			continue;
		if (register_of(d, i) != i) {
			at[i] = at[register_of(d, i)];
			has[i] = has[register_of(d, i)];
			continue;
		}
		r = read_head(d, i, h, &at[i]);
		has[i] = r == 0;
		status = r < 0 ? r : status;
	}
	for (size_t i = 0; i < d->f->n_stores; i++)
		if (has[i])
			return 0;
	return status;
}

int finder_head_of(struct finder *d, uint64_t h, struct piece_cid *ret)
{
	struct piece_cid at[RECOVER_STORES_MAX];
	bool has[RECOVER_STORES_MAX];
	struct recover_found *f = d->f;
	size_t n, best = 0;
	int r;

	r = heads_at(d, h, at, has);
	if (r < 0)
		return r;
	for (size_t i = 0; i < f->n_stores; i++) {
		n = 0;
		for (size_t k = 0; has[i] && k < f->n_stores; k++)
			n += has[k] && piece_cid_eq(&at[k], &at[i]);
		if (n > f->n_claims) {
			f->n_claims = n;
			best = i;
		}
	}
	*ret = at[best];
	d->named = 0;
	for (size_t i = 0; i < f->n_stores; i++) {
		if (has[i] && piece_cid_eq(&at[i], ret))
			d->named |= 1u << i;
		f->stores[i].other_head = has[i] && !piece_cid_eq(&at[i], ret);
		f->contested |= f->stores[i].other_head;
	}
	return 0;
}

int finder_drop_liars(struct finder *d)
{
	struct recover_found *f = d->f;
	char why[RECOVER_WHY_MAX];

	(void)snprintf(why, sizeof(why),
		       "what it shows as commit %" PRIu64
		       " is another commit: an old head under a new number",
		       f->sequence); /* fits */
	f->newest = f->n_claims = 0;
	f->contested = false;
	for (size_t i = 0; i < f->n_stores; i++) {
		struct recover_store *s = &f->stores[i];

		if (d->named & 1u << i) {
			store_note(s, -EBADMSG, why);
			s->sequence = 0;
			d->heads[i].n = 0;
		}
		s->other_head = false;
		f->newest = MAX(f->newest, s->sequence);
	}
	return f->newest ? 0 : -EBADMSG;
}
