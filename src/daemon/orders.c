#include "daemon/orders.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "chain/eth_tx.h"
#include "chain/foc.h"
#include "chain/money.h"
#include "chain/sender.h"
#include "chain/session_key.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "daemon/config.h"
#include "daemon/drive.h"
#include "daemon/txlog.h"
#include "daemon/wallet.h"

/*
 * Gas of contract calls on Filecoin: tens of millions of units for such.  A wallet
 * that holds nothing yet cannot have them estimated.
 */
#define GAS_LOGIN   200000000ull
#define GAS_FUND    500000000ull
#define FEE_LEAST   100000000ull /* attoFIL for a unit */
#define FEE_MOST    700000000ull /* half a FIL for both */
#define FEE_TIMES   10 /* the price may grow so much until they are sent */
#define PRIORITY    200000ull
#define DATA_MAX    (16u << 10)
#define PERMIT_S    (365ull * 86400)
#define DEVNET_POLL 200

/* ---- terms ---- */

int orders_terms(const struct view_price_list *p, uint64_t bytes, unsigned copies,
		 unsigned months, struct u256 budget, struct orders_terms *ret)
{
	const struct u256 step = u256(100000000000000000u); /* 0.1 USDFC */
	struct orders_terms t = { .budget = budget };
	struct money_quote q;
	struct u256 sum;
	int r = 0;

	if (u256_is_zero(budget))
		r = money_budget(p, bytes, copies, &t.budget);
	if (r == 0)
		r = money_quote(p, bytes, copies, 0, MONEY_COMMIT_MAX_MS, &q);
	if (r == 0)
		r = u256_mul(t.budget, u256(months), &sum);
	if (r == 0)
		r = u256_add(sum, q.lockup, &sum);
	if (r == 0)
		r = u256_add(sum, q.fees, &sum);
	if (r == 0)
		r = u256_div(sum, step, &sum, NULL);
	if (r == 0)
		r = u256_mul(u256_add_capped(sum, u256(1)), step, &t.deposit);
	if (r == 0)
		*ret = t;
	return r;
}

/* ---- signing ---- */

struct orders_stop {
	struct foc *foc;
	struct lock lock;
	bool stopped;          /* lock: lock */
	struct rpc_call *call; /* lock: lock; what is asked now */
	struct sender *sender; /* lock: lock; what is sent now */
	struct sender_tx *tx;  /* lock: lock */
};

int orders_stop_new(struct foc *f, struct orders_stop **ret)
{
	struct orders_stop *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->foc = f;
	lock_init(&s->lock);
	*ret = s;
	return 0;
}

void orders_stop_free(struct orders_stop *s)
{
	if (!s)
		return;
	lock_fini(&s->lock);
	free(s);
}

void orders_stop(struct orders_stop *s)
{
	lock_take(&s->lock);
	s->stopped = true;
	if (s->call)
		rpc_cancel(foc_rpc(s->foc), s->call);
	if (s->sender)
		sender_cancel(s->sender, s->tx);
	lock_drop(&s->lock);
}

/* From now on `stop` reaches it; -ECANCELED: it has been. */
static int enter(struct orders_stop *stop, struct rpc_call *call,
		 struct sender *s, struct sender_tx *tx)
{
	bool stopped;

	if (!stop)
		return 0;
	lock_take(&stop->lock);
	stopped = stop->stopped;
	if (!stopped) {
		stop->call = call;
		stop->sender = s;
		stop->tx = tx;
	}
	lock_drop(&stop->lock);
	return stopped ? -ECANCELED : 0;
}

static void leave(struct orders_stop *stop)
{
	if (!stop)
		return;
	lock_take(&stop->lock);
	stop->call = NULL;
	stop->sender = NULL;
	stop->tx = NULL;
	lock_drop(&stop->lock);
}

static int ask_number(struct foc *f, struct orders_stop *stop, const char *method,
		      const char *params, struct u256 *ret, struct err *reterr)
{
	_cleanup_rpc_call_ struct rpc_call call = { .method = method,
						    .params = params,
						    .want = RPC_NUMBER };
	uint8_t be[U256_SIZE];
	int r = enter(stop, &call, NULL, NULL);

	if (r == 0) {
		r = rpc_wait(foc_rpc(f), &call);
		leave(stop);
	}

	if (r == 0)
		r = json_hex_number(call.result, be, sizeof(be));
	if (r < 0)
		return err_set(reterr, r, "%s",
			       call.err.text[0] ? call.err.text : err_str(r));
	*ret = u256_from_be(be);
	return 0;
}

static int ask_nonce(struct foc *f, struct orders_stop *stop,
		     struct address who, uint64_t *ret, struct err *reterr)
{
	char text[ADDRESS_TEXT_MAX], params[80];
	struct u256 v;
	int r;

	address_text(who, text);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"pending\"]", text); /* fits */
	r = ask_number(f, stop, "eth_getTransactionCount", params, &v, reterr);
	return r < 0 ? r : u256_to_u64(v, ret);
}

static int fee_of(struct foc *f, struct eth_tx *tx, struct err *reterr)
{
	struct u256 price, max;
	int r = ask_number(f, NULL, "eth_gasPrice", "[]", &price, reterr);

	if (r < 0)
		return r;
	if (u256_cmp(price, u256(FEE_MOST / 2)) > 0)
		return err_set(reterr, -EDQUOT,
			       "gas costs much just now, and nothing is signed in advance");
	r = u256_mul(price, u256(FEE_TIMES), &max);
	if (r < 0)
		return r;
	if (u256_cmp(max, u256(FEE_LEAST)) < 0)
		max = u256(FEE_LEAST);
	tx->max_fee = u256_min(max, u256(FEE_MOST));
	tx->max_priority_fee = u256(PRIORITY);
	return 0;
}

/* Both have `tx`'s chain, nonce and fees; the nonce grows. */
static int sign_one(struct txlog *log, const struct owner *o, struct eth_tx *tx,
		    const char *what, const char *text, struct u256 amount,
		    struct u256 *fil)
{
	_cleanup_buf_ struct buf raw = { 0 };
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct txlog_tx *row = NULL;
	int r;

	buf_init(&raw, ETH_TX_MAX);
	r = eth_tx_sign(tx, o->key, &raw, hash);
	if (r == 0)
		r = txlog_new(log, what, text, amount, &row);
	if (r < 0)
		return r;
	assert(row); /* or r said why not */
	row->state = TXLOG_ARMED;
	r = u256_mul(tx->max_fee, u256(tx->gas_limit), &row->needs_fil);
	if (r == 0)
		r = txlog_add_raw(row, buf_slice(&raw));
	if (r == 0)
		r = txlog_write(log, row);
	if (r < 0)
		return r;
	*fil = u256_add_capped(*fil, row->needs_fil);
	tx->nonce++;
	return 0;
}

static int login_data(const struct owner *o, uint64_t n, struct buf *ret)
{
	_cleanup_secret_ struct secret *key = NULL;
	struct address signer = ADDRESS_NONE;
	int r;

	r = session_key(o->keys, n, &key);
	if (r == 0)
		r = address_of_key(key, &signer);
	return r < 0 ? r :
		       session_key_login(
			       signer, (uint64_t)time(NULL) + WALLET_SESSION_S,
			       wallet_daemon_ops, ARRAY_LEN(wallet_daemon_ops),
			       slice_str(WALLET_ORIGIN), ret);
}

int orders_sign(const struct drive *d, const struct owner *o, struct foc *f,
		const struct contracts_known *at,
		const struct view_price_list *prices, unsigned copies,
		struct orders_terms *terms, struct err *reterr)
{
	_cleanup_txlog_ struct txlog *log = NULL;
	_cleanup_buf_ struct buf login = { 0 }, fund = { 0 };
	struct eth_tx tx = { .chain_id = foc_network(f)->chain_id };
	struct money_allow allow;
	struct u256 fil = U256_ZERO;
	char text[2 * TXLOG_TEXT_MAX];
	int r;

	buf_init(&login, DATA_MAX);
	buf_init(&fund, DATA_MAX);
	r = fee_of(f, &tx, reterr);
	if (r == 0)
		r = ask_nonce(f, NULL, o->address, &tx.nonce, reterr);
	if (r == 0)
		r = login_data(o, d->config.session, &login);
	if (r == 0)
		r = money_allow(prices, terms->budget, money_sets(copies), &allow);
	if (r == 0)
		r = wallet_pay_data(f, o, at, terms->deposit,
				    (uint64_t)time(NULL) + PERMIT_S, &allow,
				    &fund, reterr);
	if (r == 0)
		r = txlog_open(d, o->keys, TXLOG_WAIT_MS, &log, reterr);
	if (r < 0)
		return r;
	tx.to = at->sessions;
	tx.gas_limit = GAS_LOGIN;
	tx.data = buf_slice(&login);
	(void)snprintf(text, sizeof(text),
		       "let session key %llu create data sets and add pieces",
		       (unsigned long long)d->config.session); /* fits */
	r = sign_one(log, o, &tx, "login", text, U256_ZERO, &fil);
	if (r < 0)
		return r;
	tx.to = at->pay;
	tx.gas_limit = GAS_FUND;
	tx.data = buf_slice(&fund);
	(void)snprintf(text, sizeof(text),
		       "deposit %s, and allow the storage service to spend %s a month",
		       wallet_usdfc(terms->deposit, true).text,
		       wallet_usdfc(terms->budget, true).text); /* fits */
	r = sign_one(log, o, &tx, "fund", text, terms->deposit, &fil);
	if (r == 0)
		terms->fil = fil;
	return r;
}

/* ---- sending ---- */

struct run {
	struct txlog *log;
};

/* The key is elsewhere: what is stuck stays until a command takes it on. */
static int on_sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	(void)ctx;
	(void)tx;
	(void)ret_raw;
	return -ENOKEY;
}

static int on_persist(void *ctx, const struct sender_row *row)
{
	(void)ctx;
	(void)row;
	return -ENOKEY; /* never: nothing is signed */
}

static int on_settled(void *ctx, uint64_t intent, const struct sender_outcome *o)
{
	const struct run *run = ctx;
	struct txlog_tx *tx = txlog_find(run->log, intent);
	int r;

	if (!tx)
		return -EUCLEAN;
	tx->state = TXLOG_OVER;
	tx->outcome = *o;
	/* What a command began, the next one will ask about. */
	tx->told = !u256_is_zero(tx->needs_fil);
	r = txlog_write(run->log, tx);
	if (r < 0)
		tx->state = TXLOG_OPEN;
	return r;
}

/* Are the nonces of what is armed those that come next? */
static int nonces_fit(struct txlog *log, struct foc *f,
		      struct orders_stop *stop, bool *ret, struct err *reterr)
{
	uint64_t next = 0;
	int r = ask_nonce(f, stop, foc_payer(f), &next, reterr);

	*ret = true;
	for (struct txlog_tx *t = NULL;
	     r == 0 && (t = txlog_in(log, TXLOG_ARMED, t));) {
		struct address from;
		struct eth_tx tx;

		r = eth_tx_parse(buf_slice(&t->raw[0]), &tx, &from);
		if (r == 0 &&
		    (tx.nonce != next++ || !address_eq(from, foc_payer(f)) ||
		     tx.chain_id != foc_network(f)->chain_id))
			*ret = false;
	}
	return r;
}

static int run_open(struct txlog *log, struct foc *f, uint64_t wait_ms,
		    struct orders_stop *stop, struct err *reterr)
{
	_cleanup_free_ struct sender_row *rows = NULL;
	struct run run = { log };
	struct sender_params p = { .rpc = foc_rpc(f),
				   .chain_id = foc_network(f)->chain_id,
				   .from = foc_payer(f),
				   .ctx = &run,
				   .sign = on_sign,
				   .persist = on_persist,
				   .settled = on_settled };
	uint64_t intents[SENDER_OPEN_MAX];
	struct sender *s = NULL;
	size_t n = 0;
	int r;

	if (strcmp(foc_network(f)->name, "devnet") == 0)
		p.poll_ms = DEVNET_POLL;
	r = txlog_rows(log, &rows, &n);
	if (r == 0)
		r = sender_new(&p, rows, n, &s, reterr);
	if (r < 0)
		return r;
	n = MIN(sender_open(s, intents, ARRAY_LEN(intents)), ARRAY_LEN(intents));
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct txlog_tx *t = txlog_find(log, intents[i]);
		struct sender_tx tx = { .intent = intents[i],
					.deadline_ms = wait_ms };

		r = enter(stop, NULL, s, &tx);
		if (r < 0)
			break;
		r = sender_run(s, &tx);
		leave(stop);
		if (tx.outcome.end == SENDER_MINED)
			log_info("wallet: done: %s", t ? t->text : "");
		else if (tx.outcome.end != SENDER_OPEN)
			log_warn("wallet: %s: %s", t ? t->text : "", tx.err.text);
		if (r < 0)
			err_set(reterr, r, "%s", tx.err.text);
	}
	sender_free(s);
	return r;
}

/* From here on they may be sent. */
static int release(struct txlog *log)
{
	struct txlog_tx *t;

	while ((t = txlog_in(log, TXLOG_ARMED, NULL))) {
		int r;

		t->state = TXLOG_OPEN;
		r = txlog_write(log, t);
		if (r < 0) {
			t->state = TXLOG_ARMED;
			return r;
		}
	}
	return 0;
}

int orders_run(const struct drive *d, const struct keys *k, struct foc *f,
	       const struct foc_purse *purse, uint64_t wait_ms,
	       struct orders_stop *stop, struct orders_wait *ret, struct err *reterr)
{
	_cleanup_txlog_ struct txlog *log = NULL;
	struct orders_wait w = { .armed = false };
	bool fit = false;
	int r = txlog_open(d, k, 0, &log, reterr);

	if (r < 0)
		return r;
	for (struct txlog_tx *t = NULL; (t = txlog_in(log, TXLOG_ARMED, t));) {
		w.armed = true;
		w.need_fil = u256_add_capped(w.need_fil, t->needs_fil);
		w.need_usdfc = u256_add_capped(w.need_usdfc, t->amount);
	}
	w.sent = txlog_in(log, TXLOG_OPEN, NULL) != NULL;
	*ret = w;
	if (w.armed && !w.sent) {
		r = nonces_fit(log, f, stop, &fit, reterr);
		if (r < 0)
			return r;
		ret->stale = !fit;
		if (!fit || u256_cmp(purse->fil, w.need_fil) < 0 ||
		    u256_cmp(purse->usdfc, w.need_usdfc) < 0)
			return 0;
		log_info("wallet: the funds have arrived: depositing");
		r = release(log);
		if (r < 0)
			return r;
		ret->sent = true;
	}
	return ret->sent ? run_open(log, f, wait_ms, stop, reterr) : 0;
}
