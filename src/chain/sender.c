#include "chain/sender.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "chain/sender_impl.h"
#include "crypto/keccak.h"

#define CONFIRMATIONS 5
#define POLL_MS       6000
#define STUCK_MS      600000
#define RESEND_MS     60000

/* ---- questions ---- */

int sender_ask(struct sender *s, struct sender_tx *tx, struct rpc_call *call)
{
	int r;

	if (atomic_load(&tx->cancelled))
		return -ECANCELED;
	call->deadline_ms = SENDER_CALL_MS;
	lock_take(&s->lock);
	tx->call = call;
	lock_drop(&s->lock);
	/* Set before we were seen: it was not told to the call. */
	if (atomic_load(&tx->cancelled))
		rpc_cancel(s->p.rpc, call);
	r = rpc_wait(s->p.rpc, call);
	lock_take(&s->lock);
	tx->call = NULL;
	lock_drop(&s->lock);
	return r;
}

int sender_each(struct sender *s, struct sender_tx *tx, const char *method,
		const char *params, enum rpc_want want, struct rpc_each **ret)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	int r;

	if (atomic_load(&tx->cancelled))
		return -ECANCELED;
	r = rpc_each_new(&e);
	if (r < 0)
		return r;
	e->method = method;
	e->params = params;
	e->want = want;
	e->deadline_ms = SENDER_CALL_MS;
	lock_take(&s->lock);
	tx->each = e;
	lock_drop(&s->lock);
	if (atomic_load(&tx->cancelled))
		rpc_each_cancel(s->p.rpc, e);
	r = rpc_each_wait(s->p.rpc, e);
	lock_take(&s->lock);
	tx->each = NULL;
	lock_drop(&s->lock);
	if (r < 0)
		return r;
	*ret = steal(&e);
	return 0;
}

void sender_cancel(struct sender *s, struct sender_tx *tx)
{
	atomic_store(&tx->cancelled, true);
	lock_take(&s->lock);
	if (tx->call)
		rpc_cancel(s->p.rpc, tx->call);
	if (tx->each)
		rpc_each_cancel(s->p.rpc, tx->each);
	cond_wake_all(&s->cond);
	lock_drop(&s->lock);
}

/* ---- what is held ---- */

static void held_free(struct sender_held *h)
{
	if (!h)
		return;
	for (unsigned i = 0; i < h->n; i++)
		buf_fini(&h->attempts[i].raw);
	free(h);
}

static struct sender_held *find(struct sender *s, uint64_t intent) REQUIRES(s->lock)
{
	list_foreach(n, &s->held) {
		struct sender_held *h = container_of(n, struct sender_held, node);

		if (h->intent == intent)
			return h;
	}
	return NULL;
}

static bool same_but_fees(const struct eth_tx *a, const struct eth_tx *b)
{
	return a->nonce == b->nonce && address_eq(a->to, b->to) &&
	       u256_eq(a->value, b->value) && slice_eq(a->data, b->data);
}

int sender_add(struct sender *s, struct sender_held *h, struct slice raw)
{
	struct sender_attempt *a = &h->attempts[h->n];
	struct address from;
	int r;

	if (h->n == SENDER_ATTEMPTS_MAX)
		return -EUCLEAN;
	buf_init(&a->raw, ETH_TX_MAX);
	r = buf_append(&a->raw, raw);
	if (r == 0)
		r = eth_tx_parse(buf_slice(&a->raw), &a->tx, &from);
	keccak_once(buf_slice(&a->raw), a->hash);
	if (r == 0 && (!address_eq(from, s->p.from) || a->tx.chain_id != s->p.chain_id ||
		       (h->n && !same_but_fees(&h->attempts[0].tx, &a->tx))))
		r = -EUCLEAN;
	if (r < 0) {
		buf_fini(&a->raw);
		return r == -EPROTO || r == -EBADMSG ? -EUCLEAN : r;
	}
	h->n++;
	return 0;
}

size_t sender_open(struct sender *s, uint64_t *ret, size_t n)
{
	size_t i = 0;

	lock_take(&s->lock);
	list_foreach(node, &s->held) {
		if (i < n)
			ret[i] = container_of(node, struct sender_held, node)->intent;
		i++;
	}
	lock_drop(&s->lock);
	return i;
}

/* ---- nonces ---- */

/* The next that no node and no row of ours has. */
static int next_nonce(struct sender *s, struct sender_tx *tx, uint64_t *ret)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	uint64_t lo = UINT64_MAX, hi = 0, v, open = 0;
	char who[ADDRESS_TEXT_MAX], params[80];
	int r;

	address_text(s->p.from, who);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"pending\"]", who); /* fits */
	r = sender_each(s, tx, "eth_getTransactionCount", params, RPC_NUMBER, &e);
	if (r < 0)
		return r;
	r = -EREMOTEIO;
	for (unsigned i = 0; i < e->n; i++) {
		if (e->status[i] == 0 && json_hex_u64(e->calls[i].result, &v) == 0) {
			lo = MIN(lo, v);
			hi = MAX(hi, v);
			r = 0;
		} else if (e->status[i] < 0) {
			err_set(&tx->err, r, "%s", e->calls[i].err.text);
		}
	}
	if (r < 0)
		return r;
	if (hi - lo > SENDER_OPEN_MAX)
		return err_set(&tx->err, -EBADMSG,
			       "the endpoints disagree about our next nonce: %llu and %llu",
			       (unsigned long long)lo, (unsigned long long)hi);
	lock_take(&s->lock);
	list_foreach(n, &s->held) {
		struct sender_held *h = container_of(n, struct sender_held, node);

		if (h->n) {
			hi = MAX(hi, h->attempts[0].tx.nonce + 1);
			open++;
		}
	}
	lock_drop(&s->lock);
	if (open >= SENDER_OPEN_MAX)
		return err_set(&tx->err, -EAGAIN,
			       "%llu transactions wait to be mined",
			       (unsigned long long)open);
	*ret = hi;
	return 0;
}

/* One at a time from here until it is persisted. */
static int begin_allocating(struct sender *s, struct sender_tx *tx)
{
	int r = 0;

	lock_take(&s->lock);
	while (s->allocating && r == 0) {
		if (atomic_load(&tx->cancelled))
			r = -ECANCELED;
		else if (tx->until_ms && monotonic_ms() >= tx->until_ms)
			r = -ETIMEDOUT;
		else
			(void)cond_wait_until_ms(&s->cond, &s->lock,
						 monotonic_ms() + 1000); /* looked at above */
	}
	if (r == 0)
		s->allocating = true;
	lock_drop(&s->lock);
	return r;
}

static void end_allocating(struct sender *s)
{
	lock_take(&s->lock);
	s->allocating = false;
	cond_wake_all(&s->cond);
	lock_drop(&s->lock);
}

/* The first attempt: from here on the intent is open. */
static int begin(struct sender *s, struct sender_tx *tx)
{
	struct eth_tx etx = { .chain_id = 0 };
	int r;

	r = sender_prepare(s, tx, &etx);
	if (r < 0)
		return r;
	r = begin_allocating(s, tx);
	if (r < 0)
		return r;
	r = next_nonce(s, tx, &etx.nonce);
	if (r == 0)
		r = sender_commit(s, tx, tx->held, &etx);
	end_allocating(s);
	return r;
}

/* ---- the watch ---- */

static int settle(struct sender *s, struct sender_tx *tx)
{
	int r;

	r = s->p.settled(s->p.ctx, tx->intent, &tx->outcome);
	if (r < 0) {
		tx->outcome.end = SENDER_OPEN;
		return err_set(&tx->err, r,
			       "the end of a transaction cannot be written down: %s",
			       err_str(r));
	}
	lock_take(&s->lock);
	list_del(&tx->held->node);
	lock_drop(&s->lock);
	held_free(tx->held);
	tx->held = NULL;
	tx->err.text[0] = '\0';
	if (tx->outcome.end == SENDER_MINED)
		return 0;
	return err_set(&tx->err,
		       tx->outcome.end == SENDER_REVERTED ? -ENOEXEC : -ESTALE,
		       "%s", tx->outcome.err.text);
}

static int settle_mined(struct sender *s, struct sender_tx *tx,
			const struct sender_sight *sight)
{
	struct sender_outcome *o = &tx->outcome;

	*o = (struct sender_outcome){ .block = sight->block,
				      .gas_used = sight->gas_used };
	o->end = sight->reverted ? SENDER_REVERTED : SENDER_MINED;
	memcpy(o->hash, sight->mined->hash, sizeof(o->hash));
	if (u256_mul(u256(sight->gas_used), sight->gas_price, &o->fee) < 0)
		o->fee = U256_MAX; /* a node's nonsense: not less than that */
	if (sight->reverted)
		sender_why(s, tx, sight->mined, sight->block, &o->err);
	return settle(s, tx);
}

static int settle_displaced(struct sender *s, struct sender_tx *tx)
{
	struct sender_outcome *o = &tx->outcome;
	unsigned long long nonce = tx->held->attempts[0].tx.nonce;

	*o = (struct sender_outcome){ .end = SENDER_DISPLACED };
	err_set(&o->err, -ESTALE,
		"another program has used nonce %llu of this wallet: the transaction had no effect",
		nonce);
	return settle(s, tx);
}

static bool is_late(const struct sender_tx *tx)
{
	return tx->until_ms && monotonic_ms() >= tx->until_ms;
}

static int wait_a_while(struct sender *s, struct sender_tx *tx)
{
	uint64_t until = monotonic_ms() + s->p.poll_ms;

	if (tx->until_ms)
		until = MIN(until, tx->until_ms);
	lock_take(&s->lock);
	while (!atomic_load(&tx->cancelled) && monotonic_ms() < until)
		(void)cond_wait_until_ms(&s->cond, &s->lock, until); /* the loop looks */
	lock_drop(&s->lock);
	return atomic_load(&tx->cancelled) ? -ECANCELED : 0;
}

/* It is in no block: send it again, or pay more. */
static void push(struct sender *s, struct sender_tx *tx,
		 const struct sender_sight *sight)
{
	struct sender_held *h = tx->held;
	uint64_t now = monotonic_ms();

	if (h->paid_ms == 0) /* of an earlier run: when is not known */
		h->paid_ms = now;
	if (!sight->known &&
	    (h->sent_ms == 0 || now - h->sent_ms >= s->p.resend_ms)) {
		sender_broadcast(s, tx);
		return;
	}
	if (!sight->known || now - h->paid_ms < s->p.stuck_ms)
		return;
	h->paid_ms = now; /* whether it can be paid or not */
	if (h->n < SENDER_ATTEMPTS_MAX && sender_replace(s, tx) == 0)
		sender_broadcast(s, tx);
}

static int watch(struct sender *s, struct sender_tx *tx)
{
	struct sender_sight sight;
	uint64_t used_since = 0;
	bool late;
	int r;

	for (;;) {
		/* The deadline ends what was looked at since: most of the time may
		   have passed while we were stopped, and it was mined. */
		late = is_late(tx);
		r = sender_look(s, tx, &sight);
		if (r == -ECANCELED)
			return r;
		if (r < 0)
			tx->trouble = r;
		if (r == 0 && sight.disputed) {
			tx->trouble = -EBADMSG;
			text_copy(tx->err.text, sizeof(tx->err.text),
				  "the endpoints contradict each other about a transaction");
		} else if (r == 0 && sight.mined) {
			used_since = 0;
			tx->trouble = 0;
			atomic_store(&tx->state, SENDER_IN_BLOCK);
			atomic_store(&tx->depth, sight.depth);
			if (sight.depth >= s->p.confirmations)
				return settle_mined(s, tx, &sight);
		} else if (r == 0) {
			atomic_store(&tx->state, SENDER_SENT);
			/* Receipts come later than nonces: not at once. */
			if (!sight.used)
				used_since = 0;
			else if (used_since == 0)
				used_since = sight.head;
			else if (sight.head >= used_since + s->p.confirmations)
				return settle_displaced(s, tx);
			if (!sight.used)
				push(s, tx, &sight);
		}
		if (late)
			return tx->trouble ? tx->trouble : -ETIMEDOUT;
		r = wait_a_while(s, tx);
		if (r < 0)
			return r;
	}
}

/* ---- running ---- */

static int claim(struct sender *s, struct sender_tx *tx)
{
	struct sender_held *fresh = calloc(1, sizeof(*fresh));
	int r = 0;

	if (!fresh)
		return -ENOMEM;
	lock_take(&s->lock);
	tx->held = find(s, tx->intent);
	if (!tx->held) {
		fresh->intent = tx->intent;
		list_push(&s->held, &fresh->node);
		tx->held = steal(&fresh);
	} else if (tx->held->running) {
		tx->held = NULL;
		r = -EALREADY;
	}
	if (tx->held)
		tx->held->running = true;
	lock_drop(&s->lock);
	free(fresh);
	return r;
}

/* What was not persisted is forgotten. */
static void unclaim(struct sender *s, struct sender_tx *tx)
{
	struct sender_held *h = tx->held;

	if (!h)
		return;
	lock_take(&s->lock);
	h->running = false;
	if (h->n == 0)
		list_del(&h->node);
	lock_drop(&s->lock);
	if (h->n == 0)
		held_free(h);
	tx->held = NULL;
}

int sender_run(struct sender *s, struct sender_tx *tx)
{
	int r;

	tx->err.text[0] = '\0';
	tx->outcome = (struct sender_outcome){ .end = SENDER_OPEN };
	tx->trouble = 0;
	tx->until_ms = tx->deadline_ms ? monotonic_ms() + tx->deadline_ms : 0;
	atomic_store(&tx->state, SENDER_PREPARING);
	atomic_store(&tx->depth, 0);
	r = claim(s, tx);
	if (r < 0)
		return err_set(&tx->err, r, "%s", err_str(r));
	if (tx->held->n == 0) {
		r = begin(s, tx);
		if (r == 0)
			sender_broadcast(s, tx);
	}
	if (r == 0)
		r = watch(s, tx);
	unclaim(s, tx);
	return r < 0 ? err_set(&tx->err, r, "%s", err_str(r)) : r;
}

/* ---- life ---- */

static int adopt(struct sender *s, const struct sender_row *row)
{
	struct sender_held *h;
	int r;

	lock_take(&s->lock);
	h = find(s, row->intent);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (h) {
			h->intent = row->intent;
			list_push(&s->held, &h->node);
		}
	}
	r = h ? sender_add(s, h, row->raw) : -ENOMEM;
	lock_drop(&s->lock);
	return r;
}

int sender_new(const struct sender_params *p, const struct sender_row *rows,
	       size_t n_rows, struct sender **ret, struct err *reterr)
{
	struct sender *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->p = *p;
	s->p.confirmations = p->confirmations ? p->confirmations : CONFIRMATIONS;
	s->p.poll_ms = p->poll_ms ? p->poll_ms : POLL_MS;
	s->p.stuck_ms = p->stuck_ms ? p->stuck_ms : STUCK_MS;
	s->p.resend_ms = p->resend_ms ? p->resend_ms : RESEND_MS;
	lock_init(&s->lock);
	cond_init(&s->cond);
	list_init(&s->held);
	for (size_t i = 0; i < n_rows; i++) {
		r = adopt(s, &rows[i]);
		if (r < 0) {
			err_set(reterr, r,
				"a transaction that was written down is not one of this wallet: %s",
				err_str(r));
			sender_free(s);
			return r;
		}
	}
	*ret = s;
	return 0;
}

void sender_free(struct sender *s)
{
	if (!s)
		return;
	list_foreach_safe(n, &s->held) {
		struct sender_held *h = container_of(n, struct sender_held, node);

		assert(!h->running);
		held_free(h);
	}
	cond_fini(&s->cond);
	lock_fini(&s->lock);
	free(s);
}
