/* pdp_add.c - COMMIT and CLAIM: what is signed, and what was signed before */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "chain/foc_auth.h"
#include "provider/pdp_impl.h"

#define AFFORD_MS 5000 /* how old the purse's state may be */

/* ---- one at a time ---- */

static int begin(struct pdp_job *j, bool wait)
{
	struct pdp *d = j->d;
	int r = 0;

	lock_take(&d->lock);
	while (d->adding && wait && !req_cancelled(j->req))
		cond_wait(&d->cond, &d->lock);
	if (req_cancelled(j->req))
		r = -ECANCELED;
	else if (d->adding)
		r = -EAGAIN;
	else
		d->adding = true;
	lock_drop(&d->lock);
	return r;
}

static void end(struct pdp_job *j)
{
	struct pdp *d = j->d;

	lock_take(&d->lock);
	d->adding = false;
	cond_wake_all(&d->cond);
	lock_drop(&d->lock);
}

int pdp_begin(struct pdp_job *j)
{
	return begin(j, true);
}

void pdp_end(struct pdp_job *j)
{
	end(j);
}

bool pdp_add_is_ours(struct pdp *d, const struct pdp_add *a)
{
	return u256_eq(a->client, pdp_slot_get(d).client);
}

/* ---- signing ---- */

static int random_nonce(struct u256 *ret)
{
	uint8_t be[U256_SIZE];

	if (getrandom(be, sizeof(be), 0) != (ssize_t)sizeof(be))
		return -EIO;
	*ret = u256_from_be(be);
	return 0;
}

static int plan_of(struct pdp_job *j, const struct pdp_add *a, struct cost_plan *ret)
{
	struct err e = { 0 };
	int r = 0;

	*ret = (struct cost_plan){ .create = a->create, .n_pieces = a->n, .n_adds = 1 };
	if (!a->create)
		r = foc_leaves(j->foc, a->data_set, &ret->have_leaves, &e);
	for (size_t i = 0; i < a->n; i++)
		ret->add_leaves += cost_leaves(&a->cids[i]);
	return r < 0 ? pdp_chain_error(j, r, &e) : 0;
}

static int sign(struct pdp_job *j, const struct pdp_slot *s, struct pdp_add *a)
{
	struct pdp *d = j->d;
	const struct foc_auth auth = { .key = d->p.session };
	struct eip712_piece pieces[PROVIDER_COMMIT_MAX] = { 0 };
	char drive[2 * KEYS_DRIVE_ID_SIZE + 1];
	struct eip712_entry entries[3] = {
		{ slice_str("source"), slice_str(PDP_SOURCE) },
		{ slice_str("drive"), slice_str(drive) },
		{ slice_str("withIPFSIndexing"), SLICE_NONE },
	};
	struct foc_auth signer = auth;
	struct err e = { 0 };
	int r;

	for (size_t i = 0; i < KEYS_DRIVE_ID_SIZE; i++)
		(void)snprintf(drive + 2 * i, 3, "%02x", d->drive_id[i]); /* fits */
	entries[1].value = slice_str(drive);
	memcpy(signer.separator, d->separator, sizeof(signer.separator));
	for (size_t i = 0; i < a->n; i++)
		pieces[i].cid = piece_cid_slice(&a->cids[i]);
	const struct foc_auth_create create = {
		.payer = d->payer,
		.payee = s->payee,
		.client_data_set_id = s->client,
		.entries = entries,
		.n_entries = d->p.ipfs_indexing ? 3 : 2,
	};
	const struct foc_auth_add add = {
		.client_data_set_id = s->client,
		.nonce = a->nonce,
		.pieces = pieces,
		.n_pieces = a->n,
	};

	r = a->create ?
		    foc_auth_create_and_add(&signer, &create, &add, &a->extra, &e) :
		    foc_auth_add(&signer, &add, &a->extra, &e);
	return r < 0 ? pdp_chain_error(j, r, &e) : 0;
}

/*
 * The clientDataSetId of the slot may be in use though no note says so: a ledger
 * from a backup.
 */
static int adopt_set(struct pdp_job *j, struct pdp_slot *s)
{
	struct view_nonce v;
	struct err e = { 0 };
	int r;

	if (s->data_set)
		return 0;
	r = foc_nonce(j->foc, s->client, &v, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	if (!v.used)
		return 0;
	r = pdp_has_set(j, v.data_set_id);
	*s = pdp_slot_get(j->d);
	return r;
}

/* Sign these, durably noted, and bring it to the chain. */
static int add_new(struct pdp_job *j, struct pdp_add *a)
{
	struct pdp_slot s = pdp_slot_get(j->d);
	struct cost_plan plan;
	int r;

	r = adopt_set(j, &s);
	if (r < 0)
		return r;
	a->state = PDP_ADD_SIGNED;
	a->create = s.data_set == 0;
	a->provider = s.provider;
	a->data_set = s.data_set;
	a->client = s.client;
	a->time = pdp_now_s();
	r = plan_of(j, a, &plan);
	if (r == 0)
		r = pdp_afford(j, &plan, AFFORD_MS, &a->amount);
	if (r == 0)
		r = sign(j, &s, a);
	if (r == 0)
		r = pdp_add_save(j->d, a);
	return r < 0 ? r : pdp_drive(j, a);
}

/* ---- what was signed before ---- */

struct batch {
	struct pdp_job *j;
	const struct piece_cid *cids;
	size_t n;
	bool done[PROVIDER_COMMIT_MAX];
	uint64_t ids[PROVIDER_COMMIT_MAX];
};

/* Marks what is in the add; how many of the add's pieces are in the batch. */
static size_t overlap(struct batch *b, const struct pdp_add *a, bool mark)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		for (size_t k = 0; k < a->n; k++) {
			if (!piece_cid_eq(&b->cids[i], &a->cids[k]))
				continue;
			n++;
			b->done[i] |= mark;
			break;
		}
	}
	return n;
}

static int bury(struct pdp_job *j, struct pdp_add *a)
{
	a->state = PDP_ADD_DEAD;
	a->time = pdp_now_s();
	return pdp_add_save(j->d, a);
}

/* Is it still on chain?  If not, it is on its way again; if for good, forgotten. */
static int settle_landed(struct pdp_job *j, struct pdp_add *a)
{
	struct view_nonce v;
	struct err e = { 0 };
	int r;

	r = foc_nonce(j->foc, a->nonce, &v, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	if (v.used && foc_block(j->foc) >= a->landed + PDP_FINAL_EPOCHS)
		return pdp_add_drop(j->d, a);
	if (v.used)
		return 0;
	/* The chain was reorganised, and it is not there any more. */
	if (a->create && pdp_slot_get(j->d).data_set == a->data_set) {
		r = pdp_has_set(j, 0);
		if (r < 0)
			return r;
	}
	a->data_set = a->create ? 0 : a->data_set;
	a->state = a->has_tx ? PDP_ADD_SENT : PDP_ADD_SIGNED;
	a->posted = MAX(foc_block(j->foc), 1);
	return pdp_add_save(j->d, a);
}

/*
 * An add that was never carried out, or is not known to have been.  It has to come
 * to its end before any of its pieces is signed for anew.
 */
static int on_before(void *ctx, struct pdp_add *a)
{
	struct batch *b = ctx;
	struct pdp_job *j = b->j;
	struct pdp_slot s = pdp_slot_get(j->d);
	size_t n = overlap(b, a, false);
	int r;

	if (!pdp_add_is_ours(j->d, a))
		return 0; /* of who was given up */
	if (a->state == PDP_ADD_LANDED && n) {
		r = settle_landed(j, a);
		if (r < 0)
			return r;
	}
	if (a->state == PDP_ADD_LANDED) {
		(void)overlap(b, a, true);
		return 0;
	}
	if (a->state == PDP_ADD_DEAD || (n == 0 && !(a->create && !s.data_set)))
		return 0;
	/* A set that was created otherwise: this one is refused for ever. */
	if (a->create && s.data_set && a->refused)
		return bury(j, a);
	r = pdp_drive(j, a);
	if (r == 0) {
		(void)overlap(b, a, true);
		return 0;
	}
	if (r == -EEXIST)
		return 0; /* a claim that somebody else won: gone */
	if (r == -ENOENT && n < a->n) {
		/* Some of its pieces are not wanted any more, and not there. */
		j->req->err.text[0] = '\0';
		return bury(j, a);
	}
	return r;
}

/* ---- COMMIT ---- */

static int mark_live(struct batch *b)
{
	struct pdp_slot s = pdp_slot_get(b->j->d);
	struct err e = { 0 };
	int r;

	if (!s.data_set)
		return 0;
	r = foc_find(b->j->foc, s.data_set, b->cids, b->n, b->ids, &e);
	if (r < 0)
		return pdp_chain_error(b->j, r, &e);
	pdp_alive(b->j);
	for (size_t i = 0; i < b->n; i++)
		b->done[i] |= b->ids[i] != FOC_NO_PIECE;
	return 0;
}

/* The rest, each once. */
static void rest_of(const struct batch *b, struct pdp_add *a)
{
	bool twice;

	for (size_t i = 0; i < b->n; i++) {
		twice = b->done[i];
		for (size_t k = 0; k < a->n && !twice; k++)
			twice = piece_cid_eq(&a->cids[k], &b->cids[i]);
		if (!twice)
			a->cids[a->n++] = b->cids[i];
	}
}

static int commit(struct pdp_job *j, struct batch *b)
{
	_cleanup_pdp_add_ struct pdp_add *a = malloc(sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	pdp_add_init(a);
	r = pdp_adds(j->d, on_before, b);
	if (r == 0)
		r = mark_live(b);
	if (r < 0)
		return r;
	rest_of(b, a);
	if (a->n == 0)
		return 0;
	r = random_nonce(&a->nonce);
	return r < 0 ? r : add_new(j, a);
}

int pdp_commit(struct pdp_job *j)
{
	struct provider_req *req = j->req;
	_cleanup_free_ struct batch *b = calloc(1, sizeof(*b));
	struct pdp_slot s;
	int r;

	if (!b)
		return -ENOMEM;
	if (req->n_cids > PROVIDER_COMMIT_MAX)
		return -EINVAL;
	if (req->n_cids == 0)
		return 0;
	*b = (struct batch){ .j = j, .cids = req->cids, .n = req->n_cids };
	r = pdp_attach(j);
	if (r == 0)
		r = pdp_open(j, &s);
	if (r == 0)
		r = begin(j, true);
	if (r < 0)
		return r;
	r = commit(j, b);
	end(j);
	return r;
}

/* ---- CLAIM ---- */

/* Others that must end first: who creates the data set. */
static int on_creating(void *ctx, struct pdp_add *a)
{
	struct pdp_job *j = ctx;
	int r;

	if (!a->create || pdp_slot_get(j->d).data_set ||
	    a->state == PDP_ADD_DEAD || a->state == PDP_ADD_LANDED ||
	    u256_eq(a->nonce, u256_from_be(j->req->head_name)))
		return 0;
	r = pdp_drive(j, a);
	return r == -EEXIST ? 0 : r;
}

/*
 * 1: the number is free for us; 0: it is ours, for this piece; -EEXIST.  An earlier
 * try of ours for another piece goes on until the chain has decided: the number is
 * good once, so the two cannot both be paid.
 */
static int claimed_before(struct pdp_job *j, struct pdp_add *a)
{
	int r = pdp_add_load(j->d, a->nonce, a);
	bool same;

	if (r == -ENOENT)
		return 1;
	if (r < 0)
		return r;
	same = a->n == 1 && piece_cid_eq(&a->cids[0], &j->req->cid);
	if (!pdp_add_is_ours(j->d, a) && a->state != PDP_ADD_LANDED) {
		r = pdp_look(j, a);
		/* Not there: signed anew for who is here now, and good once. */
		return r < 0 ? r : r == 0 ? 1 : same ? 0 : -EEXIST;
	}
	if (a->state == PDP_ADD_LANDED)
		return same ? 0 : -EEXIST;
	if (!same && (a->refused || !a->posted))
		return 1; /* its note is written over */
	r = pdp_drive(j, a);
	if (r == 0)
		return same ? 0 : -EEXIST;
	return r == -ENOENT && !same ? 1 : r;
}

static int is_used(struct pdp_job *j, struct u256 nonce)
{
	struct view_nonce v;
	struct err e = { 0 };
	int r;

	r = foc_nonce(j->foc, nonce, &v, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	return v.used ? -EEXIST : 0;
}

static int claim(struct pdp_job *j)
{
	_cleanup_pdp_add_ struct pdp_add *a = malloc(sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	pdp_add_init(a);
	a->nonce = u256_from_be(j->req->head_name);
	r = claimed_before(j, a);
	if (r != 1)
		return r;
	r = is_used(j, a->nonce);
	if (r == 0)
		r = pdp_adds(j->d, on_creating, j);
	if (r < 0)
		return r;
	pdp_add_fini(a);
	pdp_add_init(a);
	a->nonce = u256_from_be(j->req->head_name);
	a->cids[0] = j->req->cid;
	a->n = 1;
	return add_new(j, a);
}

int pdp_claim(struct pdp_job *j)
{
	struct pdp_slot s;
	int r;

	r = pdp_attach(j);
	if (r == 0)
		r = pdp_open(j, &s);
	if (r == 0)
		r = begin(j, true);
	if (r < 0)
		return r;
	r = claim(j);
	end(j);
	return r;
}

/* ---- notes that nobody asks about ---- */

static int on_settle(void *ctx, struct pdp_add *a)
{
	struct pdp_job *j = ctx;
	uint64_t now = pdp_now_s();
	int r;

	if (a->state == PDP_ADD_LANDED)
		return settle_landed(j, a);
	r = pdp_look(j, a);
	if (r == 0 && a->state != PDP_ADD_DEAD && !pdp_add_is_ours(j->d, a))
		return bury(j, a); /* undone by the chain since it was given up */
	if (r == 0 && a->landed && a->state != PDP_ADD_DEAD)
		return pdp_nudge(j, a);
	if (r == 0 && a->state == PDP_ADD_DEAD &&
	    (now < a->time || now - a->time > PDP_DEAD_S))
		return pdp_add_drop(j->d, a);
	return r == -EEXIST ? 0 : MIN(r, 0);
}

int pdp_settle(struct pdp_job *j)
{
	int r = begin(j, false);

	if (r == -EAGAIN)
		return 0; /* who adds looks at them */
	if (r < 0)
		return r;
	r = pdp_adds(j->d, on_settle, j);
	end(j);
	return r;
}
