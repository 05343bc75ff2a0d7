/* sender_send.c - what a transaction may cost, and its way to the nodes */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#include "base/log.h"
#include "chain/sender_impl.h"

#define GAS_MAX      10000000000u /* units of a block */
#define PRIORITY_MIN 100000u /* attoFIL for a unit, if nobody knows better */

static void trouble(struct sender_tx *tx, int r, const char *why)
{
	tx->trouble = r;
	text_copy(tx->err.text, sizeof(tx->err.text), why);
}

/* ---- what nodes say ---- */

enum said {
	SAID_TAKEN, /* it has it, or the nonce is used: the chain will tell */
	SAID_FUNDS,
	SAID_FEE,
	SAID_NO,
};

static bool says(const char *message, const char *const *words)
{
	for (; *words; words++)
		if (strcasestr(message, *words))
			return true;
	return false;
}

static enum said said_of(const char *message)
{
	static const char *const taken[] = { "already known",
					     "already in mpool",
					     "already imported",
					     "already exists",
					     "known transaction",
					     "nonce too low",
					     "nonce is too low",
					     "minimum expected nonce",
					     "lower than the current nonce",
					     NULL };
	static const char *const funds[] = { "insufficient funds",
					     "not enough funds",
					     "insufficient balance",
					     "SysErrInsufficientFunds", NULL };
	static const char *const fee[] = {
		"underpriced", "fee cap too low", "less than block base fee",
		"gas premium", "replace by fee",  "max fee per gas",
		NULL
	};

	if (says(message, taken))
		return SAID_TAKEN;
	if (says(message, funds))
		return SAID_FUNDS;
	return says(message, fee) ? SAID_FEE : SAID_NO;
}

/* ---- fees ---- */

static int number_of(const json_t *v, struct u256 *ret)
{
	uint8_t be[U256_SIZE];
	int r;

	r = json_hex_number(v, be, sizeof(be));
	if (r == 0)
		*ret = u256_from_be(be);
	return r;
}

static int ask_number(struct sender *s, struct sender_tx *tx,
		      const char *method, const char *params, struct u256 *ret)
{
	_cleanup_rpc_call_ struct rpc_call call = { .method = method,
						    .params = params,
						    .want = RPC_NUMBER };
	int r;

	r = sender_ask(s, tx, &call);
	if (r == 0)
		r = number_of(call.result, ret);
	if (r == -EBADE && said_of(call.error.message) == SAID_FUNDS)
		r = -ENOSPC;
	if (r == -ENOEXEC)
		sender_revert_text(&call.error, &tx->err);
	return r < 0 ? err_set(&tx->err, r, "%s",
			       call.err.text[0] ? call.err.text : err_str(r)) :
		       0;
}

/* The base fee of the next block, and what half of the last paid on top. */
static int ask_base(struct sender *s, struct sender_tx *tx,
		    struct u256 *ret_base, struct u256 *ret_reward)
{
	_cleanup_rpc_call_ struct rpc_call call = {
		.method = "eth_feeHistory",
		.params = "[\"0x1\",\"latest\",[50]]",
		.want = RPC_OBJECT,
	};
	const json_t *base, *reward;
	int r;

	r = sender_ask(s, tx, &call);
	if (r < 0)
		return err_set(&tx->err, r, "%s", call.err.text);
	base = json_object_get(call.result, "baseFeePerGas");
	reward = json_array_get(
		json_array_get(json_object_get(call.result, "reward"), 0), 0);
	if (json_array_size(base) == 0 ||
	    number_of(json_array_get(base, json_array_size(base) - 1), ret_base) < 0)
		return err_set(&tx->err, -EPROTO,
			       "%s: it does not say what gas costs",
			       rpc_endpoint_name(s->p.rpc, call.endpoint));
	if (number_of(reward, ret_reward) < 0)
		*ret_reward = u256(PRIORITY_MIN);
	return 0;
}

static int ask_priority(struct sender *s, struct sender_tx *tx,
			struct u256 reward, struct u256 *ret)
{
	struct err kept = tx->err;
	int r;

	r = ask_number(s, tx, "eth_maxPriorityFeePerGas", "[]", ret);
	if (r == -ECANCELED)
		return r;
	if (r < 0) { /* not every node has it */
		tx->err = kept;
		*ret = u256_is_zero(reward) ? u256(PRIORITY_MIN) : reward;
	}
	return 0;
}

static int over(struct sender_tx *tx, const char *what, struct u256 has,
		struct u256 may)
{
	char a[U256_TEXT_MAX], b[U256_TEXT_MAX];

	u256_text(has, a);
	u256_text(may, b);
	return err_set(&tx->err, -EDQUOT,
		       "%s is %s attoFIL, and %s are allowed", what, a, b);
}

/* Fees for a transaction of so much gas; `least` is what it paid before. */
static int price(struct sender *s, struct sender_tx *tx, struct eth_tx *etx,
		 const struct eth_tx *least)
{
	struct u256 base = U256_ZERO, reward = U256_ZERO, priority = U256_ZERO;
	struct u256 max, cost;
	int r;

	r = ask_base(s, tx, &base, &reward);
	if (r == 0)
		r = ask_priority(s, tx, reward, &priority);
	if (r < 0)
		return r;
	if (u256_cmp(base, s->p.max_fee) >= 0)
		return over(tx, "the network's fee for a unit of gas", base,
			    s->p.max_fee);
	max = u256_add_capped(u256_add_capped(base, base), priority);
	if (least) {
		struct u256 more;

		/* Nodes want a quarter more of both. */
		r = u256_muldiv(least->max_priority_fee, u256(5), u256(4), &more);
		if (r < 0)
			return r;
		more = u256_add_capped(more, u256(1));
		priority = u256_cmp(priority, more) < 0 ? more : priority;
		r = u256_muldiv(least->max_fee, u256(5), u256(4), &more);
		if (r < 0)
			return r;
		more = u256_add_capped(more, u256(1));
		max = u256_cmp(max, more) < 0 ? more : max;
		if (u256_cmp(max, s->p.max_fee) > 0)
			return over(tx, "a fee that would replace a stuck transaction",
				    max, s->p.max_fee);
	}
	max = u256_min(max, s->p.max_fee);
	etx->max_fee = max;
	etx->max_priority_fee = u256_min(priority, max);
	r = u256_mul(max, u256(etx->gas_limit), &cost);
	if (r < 0 || u256_cmp(cost, s->p.max_cost) > 0)
		return over(tx, "the gas of this transaction",
			    r < 0 ? U256_MAX : cost, s->p.max_cost);
	return 0;
}

/* ---- preparing ---- */

int sender_call_params(struct sender *s, const struct eth_tx *etx,
		       const char *block, char **ret)
{
	_cleanup_buf_ struct buf b = { 0 };
	char value[U256_HEX_MAX];
	int r;

	buf_init(&b, 2 * ETH_TX_DATA_MAX + 512);
	u256_hex(etx->value, value);
	r = buf_printf(&b, "[{\"from\":\"");
	if (r == 0)
		r = json_put_hex(&b, slice(s->p.from.b, ADDRESS_SIZE));
	if (r == 0)
		r = buf_printf(&b, "\",\"to\":\"");
	if (r == 0)
		r = json_put_hex(&b, slice(etx->to.b, ADDRESS_SIZE));
	if (r == 0)
		r = buf_printf(&b, "\",\"value\":\"%s\",\"data\":\"", value);
	if (r == 0)
		r = json_put_hex(&b, etx->data);
	if (r == 0)
		r = block ? buf_printf(&b, "\"},\"%s\"]", block) :
			    buf_printf(&b, "\"}]");
	if (r == 0)
		r = buf_u8(&b, 0);
	if (r < 0)
		return r;
	*ret = (char *)b.p;
	b = (struct buf){ 0 };
	return 0;
}

static int estimate(struct sender *s, struct sender_tx *tx,
		    const struct eth_tx *etx, uint64_t *ret)
{
	_cleanup_free_ char *params = NULL;
	struct u256 gas;
	uint64_t n;
	int r;

	r = sender_call_params(s, etx, NULL, &params);
	if (r == 0)
		r = ask_number(s, tx, "eth_estimateGas", params, &gas);
	if (r < 0)
		return r;
	if (u256_to_u64(gas, &n) < 0 || n > GAS_MAX)
		return err_set(&tx->err, -EPROTO,
			       "a node estimates more gas than fits into a block");
	*ret = MIN(n + n / 4, GAS_MAX);
	return 0;
}

static int check_balance(struct sender *s, struct sender_tx *tx,
			 const struct eth_tx *etx)
{
	char who[ADDRESS_TEXT_MAX], params[80], has[U256_TEXT_MAX],
		needs[U256_TEXT_MAX];
	struct u256 balance, cost;
	int r;

	address_text(s->p.from, who);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"latest\"]", who); /* fits */
	r = ask_number(s, tx, "eth_getBalance", params, &balance);
	if (r < 0)
		return r;
	r = u256_mul(etx->max_fee, u256(etx->gas_limit), &cost);
	if (r < 0)
		return r;
	cost = u256_add_capped(cost, etx->value);
	if (u256_cmp(balance, cost) >= 0)
		return 0;
	u256_text(balance, has);
	u256_text(cost, needs);
	return err_set(&tx->err, -ENOSPC,
		       "%s has %s attoFIL, and up to %s are needed", who, has,
		       needs);
}

int sender_prepare(struct sender *s, struct sender_tx *tx, struct eth_tx *ret)
{
	struct eth_tx etx = { .chain_id = s->p.chain_id,
			      .to = tx->to,
			      .value = tx->value,
			      .data = tx->data };
	int r;

	if (tx->data.n > ETH_TX_DATA_MAX)
		return err_set(&tx->err, -EMSGSIZE, "too much calldata");
	r = estimate(s, tx, &etx, &etx.gas_limit);
	if (r == 0)
		r = price(s, tx, &etx, NULL);
	if (r < 0)
		return r;
	*ret = etx;
	return check_balance(s, tx, &etx);
}

int sender_estimate(struct sender *s, struct sender_tx *tx, struct u256 *ret_cost)
{
	struct eth_tx etx = { .gas_limit = 0 };
	int r, over;

	tx->err.text[0] = '\0';
	r = sender_prepare(s, tx, &etx);
	if (r == 0 || (r == -ENOSPC && etx.gas_limit)) {
		over = u256_mul(etx.max_fee, u256(etx.gas_limit), ret_cost);
		r = over < 0 ? over : r;
	}
	return r < 0 ? err_set(&tx->err, r, "%s", err_str(r)) : 0;
}

/* ---- signing ---- */

static bool is_what_was_asked(const struct eth_tx *a, const struct eth_tx *b)
{
	return a->chain_id == b->chain_id && a->nonce == b->nonce &&
	       a->gas_limit == b->gas_limit && u256_eq(a->max_fee, b->max_fee) &&
	       u256_eq(a->max_priority_fee, b->max_priority_fee) &&
	       address_eq(a->to, b->to) && u256_eq(a->value, b->value) &&
	       slice_eq(a->data, b->data);
}

static void drop_last(struct sender *s, struct sender_held *h)
{
	lock_take(&s->lock);
	buf_fini(&h->attempts[--h->n].raw);
	lock_drop(&s->lock);
}

int sender_commit(struct sender *s, struct sender_tx *tx, struct sender_held *h,
		  const struct eth_tx *etx)
{
	_cleanup_buf_ struct buf raw = { 0 };
	struct sender_row row = { .intent = h->intent };
	const struct sender_attempt *a;
	int r;

	if (atomic_load(&tx->cancelled))
		return -ECANCELED;
	buf_init(&raw, ETH_TX_MAX);
	r = s->p.sign(s->p.ctx, etx, &raw);
	if (r < 0)
		return err_set(&tx->err, r, "the transaction cannot be signed: %s",
			       err_str(r));
	lock_take(&s->lock);
	r = sender_add(s, h, buf_slice(&raw));
	lock_drop(&s->lock);
	if (r == -EUCLEAN)
		return err_set(&tx->err, -EKEYREJECTED,
			       "what was signed is not by this wallet's key");
	if (r < 0)
		return r;
	a = &h->attempts[h->n - 1];
	if (!is_what_was_asked(&a->tx, etx)) {
		drop_last(s, h);
		return err_set(&tx->err, -EKEYREJECTED,
			       "what was signed is not what was asked for");
	}
	row.raw = buf_slice(&a->raw);
	r = s->p.persist(s->p.ctx, &row);
	if (r < 0) {
		drop_last(s, h);
		return err_set(&tx->err, r,
			       "a transaction cannot be written down: %s",
			       err_str(r));
	}
	h->paid_ms = monotonic_ms();
	return 0;
}

/* ---- sending ---- */

static int trouble_of(int status, const struct rpc_call *call)
{
	if (status != -EBADE && status != -ENOEXEC)
		return status;
	switch (said_of(call->error.message)) {
	case SAID_TAKEN: return 0;
	case SAID_FUNDS: return -ENOSPC;
	case SAID_FEE: return -EDQUOT;
	case SAID_NO:
	default: return status;
	}
}

void sender_broadcast(struct sender *s, struct sender_tx *tx)
{
	struct sender_held *h = tx->held;
	const struct sender_attempt *a = &h->attempts[h->n - 1];
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	bool taken = false;
	int r;

	buf_init(&b, 2 * ETH_TX_MAX + 16);
	r = buf_printf(&b, "[\"");
	if (r == 0)
		r = json_put_hex(&b, buf_slice(&a->raw));
	if (r == 0)
		r = buf_append(&b, slice("\"]", 3));
	if (r == 0)
		r = sender_each(s, tx, "eth_sendRawTransaction",
				(const char *)b.p, RPC_ANY, &e);
	if (r < 0) {
		if (r != -ECANCELED)
			trouble(tx, r, err_str(r));
		return;
	}
	assert(e); /* or r said why not */
	for (unsigned i = 0; i < e->n; i++) {
		r = e->status[i] ? trouble_of(e->status[i], &e->calls[i]) : 0;
		if (r == 0)
			taken = true;
		else if (!taken && r != -ECANCELED)
			trouble(tx, r, e->calls[i].err.text);
	}
	if (!taken)
		return;
	tx->trouble = 0;
	tx->err.text[0] = '\0';
	h->sent_ms = monotonic_ms();
	atomic_store(&tx->state, SENDER_SENT);
}

int sender_replace(struct sender *s, struct sender_tx *tx)
{
	const struct eth_tx *old = &tx->held->attempts[tx->held->n - 1].tx;
	struct eth_tx etx = *old;
	int r;

	tx->err.text[0] = '\0';
	r = price(s, tx, &etx, old);
	if (r == 0)
		r = sender_commit(s, tx, tx->held, &etx);
	if (r < 0 && r != -ECANCELED) {
		tx->trouble = r;
		log_warn("a stuck transaction is not replaced: %s", tx->err.text);
	}
	return r;
}
