/*
 * pdp_drive.c - one signed add on its way to the chain
 *
 * The nonce decides.  What the provider says is only why to go on waiting, to send
 * the same bytes again, or to stop and say what is wrong.
 */
#include <errno.h>
#include <stdio.h>

#include "chain/amount.h"
#include "chain/revert.h"
#include "provider/pdp_impl.h"

#define TROUBLE_MAX 5 /* looks at the chain in a row that fail */
#define BLIND_MAX   2 /* times that it is sent without an answer */
#define ENOENT_FREE 3 /* refusals for a missing piece without a pause */
#define UNKNOWN_SET "Data set not found" /* Curio's words */

/* ---- landed ---- */

int pdp_has_set(struct pdp_job *j, uint64_t data_set)
{
	struct pdp *d = j->d;
	struct pdp_slot s = pdp_slot_get(d);
	int r;

	s.data_set = data_set;
	s.seen = MAX(s.seen, foc_block(j->foc));
	r = pdp_slot_save(d, &s);
	if (r < 0)
		return r;
	lock_take(&d->lock);
	d->slot = s;
	lock_drop(&d->lock);
	pdp_group_take(d->p.group, d->p.slot, &s);
	return 0;
}

static int write_books(struct pdp_job *j, const struct pdp_add *a)
{
	struct pdp *d = j->d;
	struct provider_spend s = { .amount = a->amount, .data_set = a->data_set };

	if (!d->notes.spent)
		return 0;
	u256_to_be(a->nonce, s.ref);
	(void)snprintf(s.text, sizeof(s.text),
		       "%s: %s%zu piece%s added to data set %llu", d->name,
		       a->create ? "data set created, " : "", a->n,
		       a->n == 1 ? "" : "s", (unsigned long long)a->data_set); /* cut */
	return d->notes.spent(d->notes.ctx, &s);
}

/* Slots of one network claim a head by the same number: the set may be another's. */
static int is_our_set(struct pdp_job *j, const struct pdp_add *a, uint64_t data_set)
{
	struct view_data_set set;
	struct err e = { 0 };
	int r;

	if (!a->create)
		return data_set == a->data_set;
	r = foc_data_set(j->foc, data_set, &set, &e);
	if (r == -ENOENT) /* created, and gone since */
		return 1;
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	return u256_eq(set.client_data_set_id, a->client);
}

/* The pieces that the nonce has added are ours: of a claim they may be another's. */
static int is_ours(struct pdp_job *j, const struct pdp_add *a,
		   const struct view_nonce *v)
{
	struct piece_cid cid;
	struct err e = { 0 };
	int r;

	if (v->next_piece_id < a->n)
		return 0;
	r = is_our_set(j, a, v->data_set_id);
	if (r <= 0)
		return r;
	r = foc_piece_cid(j->foc, v->data_set_id, v->next_piece_id - 1, &cid, &e);
	if (r == -ENOENT || r == -ENOEXEC) /* added, and gone since */
		return 1;
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	return piece_cid_eq(&cid, &a->cids[a->n - 1]);
}

/* Repeated after a crash at any point of it: all of it may be done twice. */
static int landed(struct pdp_job *j, struct pdp_add *a, const struct view_nonce *v)
{
	uint64_t block = foc_block(j->foc);
	int r;

	r = is_ours(j, a, v);
	if (r < 0)
		return r;
	if (r == 0) {
		r = pdp_add_drop(j->d, a);
		return r < 0 ? r : -EEXIST;
	}
	a->data_set = v->data_set_id;
	foc_seen(j->foc, block);
	r = write_books(j, a);
	if (r == 0 && pdp_add_is_ours(j->d, a)) /* not of who was given up */
		r = pdp_has_set(j, v->data_set_id);
	if (r < 0)
		return r;
	a->state = PDP_ADD_LANDED;
	a->landed = block;
	r = pdp_add_save(j->d, a);
	pdp_group_forget(j->d->p.group);
	return r < 0 ? r : 1;
}

int pdp_look(struct pdp_job *j, struct pdp_add *a)
{
	struct view_nonce v;
	struct err e = { 0 };
	int r;

	r = foc_nonce(j->foc, a->nonce, &v, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	pdp_alive(j);
	return v.used ? landed(j, a, &v) : 0;
}

/* ---- refused ---- */

/* It is known not to be on its way: durable, with a pause that doubles. */
static int refused(struct pdp_job *j, struct pdp_add *a, unsigned free)
{
	uint64_t pause = PDP_PAUSE_FIRST_S;

	a->refused = true;
	a->has_tx = false;
	a->state = PDP_ADD_SIGNED;
	a->tries++;
	for (uint64_t i = free; i < a->tries && pause < PDP_PAUSE_MAX_S; i++)
		pause *= 2;
	a->next = a->tries <= free ? 0 : pdp_now_s() + MIN(pause, PDP_PAUSE_MAX_S);
	pdp_group_forget(j->d->p.group);
	return pdp_add_save(j->d, a);
}

static int say_refused(struct pdp_job *j, struct pdp_add *a, const char *why)
{
	struct pdp_slot s = pdp_slot_get(j->d);
	int r = refused(j, a, 0);

	return r < 0 ? r :
		       err_set(&j->req->err, -EREMOTEIO, "%s: %s refuses: %s",
			       j->d->name, s.name, why);
}

/* A piece is not there (any more): it can be put again. */
static int say_missing(struct pdp_job *j, struct pdp_add *a)
{
	int r = refused(j, a, ENOENT_FREE);

	return r < 0 ? r :
		       err_set(&j->req->err, -ENOENT,
			       "%s: a piece is not parked there any more",
			       j->d->name);
}

/* The set cannot be added to ever again. */
static int say_ended(struct pdp_job *j, struct pdp_add *a, const char *why)
{
	struct pdp *d = j->d;

	lock_take(&d->lock);
	d->attached_until_ms = 0; /* look at it anew */
	lock_drop(&d->lock);
	return say_refused(j, a, why);
}

/*
 * The chain has the set, and its provider has yet to see that: it follows some
 * epochs behind, and a first COMMIT ends before.
 */
static int say_unknown(struct pdp_job *j, struct pdp_add *a)
{
	a->refused = true;
	a->has_tx = false;
	a->state = PDP_ADD_SIGNED;
	a->unknown = true;
	return pdp_add_save(j->d, a);
}

int pdp_post_failed(struct pdp_job *j, struct pdp_add *a, int r)
{
	const struct curio_op *op = &j->op;
	struct revert why;
	bool reverts;

	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	reverts = revert_read_text(slice_str(op->said), &why);
	if (reverts && why.kind == REVERT_USED)
		return 0;
	if (reverts && why.kind == REVERT_ENDED)
		return say_ended(j, a, why.text);
	if (reverts)
		return say_refused(j, a, why.text);
	if (op->status == 429) {
		a->refused = true;
		a->next = pdp_now_s() + (op->retry_after_s ? op->retry_after_s : 10);
		r = pdp_add_save(j->d, a);
		return r < 0 ? r : pdp_curio_error(j, -EAGAIN);
	}
	if (op->status == 409)
		return say_ended(j, a, "the data set is terminated");
	if (op->status == 400 && strstr(op->said, "not found"))
		return say_missing(j, a);
	if (op->status == 404 && !a->create && strstr(op->said, UNKNOWN_SET))
		return say_unknown(j, a);
	if (op->status >= 400 && op->status < 500 && op->status != 408)
		return say_refused(j, a, op->said[0] ? op->said : op->err.text);
	return 0;
}

/* ---- sent ---- */

/*
 * Does the provider know the set by now?  1, 0.  Asked by a look at a transaction
 * that is none: who posts to what is not there too often is locked out.
 */
static int is_known(struct pdp_job *j, const struct pdp_add *a)
{
	static const uint8_t none[CURIO_HASH_SIZE];
	struct curio_tx tx;
	int r;

	r = curio_added(j->curio, &j->op, a->data_set, none, &tx);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	return r == 0 || !strstr(j->op.said, UNKNOWN_SET);
}

static int post(struct pdp_job *j, struct pdp_add *a, uint64_t head)
{
	uint64_t now = pdp_now_s();
	const struct network *net = foc_network(j->foc);
	int r;

	if (a->next > now && a->next - now <= PDP_PAUSE_MAX_S)
		return err_set(&j->req->err, -EREMOTEIO,
			       "%s: the provider refused an add; it is asked again in %llu s",
			       j->d->name, (unsigned long long)(a->next - now));
	if (a->unknown) {
		r = is_known(j, a);
		if (r <= 0)
			return r;
		a->unknown = false;
	}
	if (!a->posted || a->refused) {
		r = pdp_fetch(j, a);
		if (r == -ENOENT)
			return say_missing(j, a);
		if (r < 0)
			return r;
	}
	a->state = PDP_ADD_SIGNED;
	a->posted = MAX(head, 1);
	a->refused = false;
	a->has_tx = false;
	r = pdp_add_save(j->d, a); /* before anybody sees it */
	if (r < 0)
		return r;
	r = a->create ? curio_create(j->curio, &j->op, net->fwss.b,
				     buf_slice(&a->extra), a->cids, a->n, a->tx) :
			curio_add(j->curio, &j->op, a->data_set,
				  buf_slice(&a->extra), a->cids, a->n, a->tx);
	if (r < 0)
		return pdp_post_failed(j, a, r);
	pdp_alive(j);
	a->state = PDP_ADD_SENT;
	a->has_tx = true;
	return pdp_add_save(j->d, a);
}

static int say_failed(struct pdp_job *j, struct pdp_add *a,
		      const uint8_t tx[static CURIO_HASH_SIZE])
{
	char text[CURIO_HASH_SIZE * 2 + 3];
	int r;

	(void)snprintf(text, sizeof(text), "0x%02x%02x%02x%02x…", tx[0], tx[1],
		       tx[2], tx[3]); /* fits */
	r = refused(j, a, 0);
	return r < 0 ? r :
		       err_set(&j->req->err, -EREMOTEIO,
			       "%s: transaction %s failed on chain: nothing was added",
			       j->d->name, text);
}

/* 1: it is on its way; 0: there is no trace of it. */
static int trace(struct pdp_job *j, struct pdp_add *a)
{
	enum foc_receipt receipt;
	struct curio_tx tx;
	struct err e = { 0 };
	int r;

	r = a->create ? curio_created(j->curio, &j->op, a->tx, &tx) :
			curio_added(j->curio, &j->op, a->data_set, a->tx, &tx);
	if (r == -ECANCELED || r == -ENOMEM)
		return r;
	if (r < 0)
		return 0;
	pdp_alive(j);
	if (tx.state == CURIO_TX_WAITING || tx.state == CURIO_TX_DONE)
		return 1;
	if (tx.state != CURIO_TX_REVERTED)
		return 0;
	/* The chain has to say so, too. */
	r = foc_receipt(j->foc, tx.replaced ? tx.hash : a->tx, &receipt, &e);
	if (r < 0)
		return pdp_chain_error(j, r, &e);
	if (receipt != FOC_RECEIPT_FAILED)
		return 0;
	return say_failed(j, a, tx.replaced ? tx.hash : a->tx);
}

/* The chain does not have it at `head`.  0: wait. */
static int step(struct pdp_job *j, struct pdp_add *a, uint64_t head)
{
	int r = 0;

	if (!a->posted || a->refused)
		return post(j, a, head);
	if (a->has_tx)
		r = trace(j, a);
	if (r < 0)
		return r;
	/* A provider may go on calling pending what the chain has lost. */
	if (head < a->posted + (r ? PDP_STUCK_EPOCHS : PDP_LOST_EPOCHS))
		return 0;
	return post(j, a, head); /* the same bytes: they count once */
}

int pdp_nudge(struct pdp_job *j, struct pdp_add *a)
{
	uint64_t head = foc_block(j->foc);
	struct pdp_slot s = pdp_slot_get(j->d);
	int r;

	r = pdp_open_url(j, s.url);
	if (r == 0)
		r = step(j, a, head);
	if (r == -EREMOTEIO || r == -ENOENT) {
		j->req->err.text[0] = '\0';
		r = 0;
	}
	return r;
}

/* 1: landed. */
static int turn(struct pdp_job *j, struct pdp_add *a)
{
	int r = pdp_look(j, a);

	return r != 0 ? r : step(j, a, foc_block(j->foc));
}

int pdp_drive(struct pdp_job *j, struct pdp_add *a)
{
	uint64_t until = monotonic_ms() + PDP_LAND_MS;
	unsigned trouble = 0, blind = 0;
	uint64_t posted;
	int r;

	for (;;) {
		posted = a->posted;
		r = turn(j, a);
		if (r == 1)
			return 0;
		/* What was posted is waited for though a look fails now and then. */
		if (r < 0 && (r != -EREMOTEIO || a->refused || !a->posted ||
			      ++trouble > TROUBLE_MAX))
			return r;
		if (r == 0)
			trouble = 0;
		/* Sent twice without an answer: nobody is there. */
		if (posted != a->posted && !a->has_tx && !a->refused &&
		    ++blind == BLIND_MAX)
			return pdp_curio_error(j, -EREMOTEIO);
		j->req->err.text[0] = '\0';
		if (monotonic_ms() > until)
			break;
		r = pdp_sleep(j, posted == a->posted ? pdp_poll_ms(j->d) :
						       pdp_poll_ms(j->d) / 4);
		if (r < 0)
			return r;
	}
	return err_set(&j->req->err, -EREMOTEIO,
		       "%s: an add of %zu pieces is not on chain after %d minutes; it goes on",
		       j->d->name, a->n, PDP_LAND_MS / 60000);
}
