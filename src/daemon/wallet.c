#include "daemon/wallet.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chain/amount.h"
#include "chain/call.h"
#include "chain/fwss.h"
#include "chain/rpc_agree.h"
#include "chain/sender.h"
#include "chain/session_key.h"
#include "crypto/keccak.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "daemon/chainlink.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/paystore.h"
#include "daemon/txlog.h"
#include "daemon/verbs.h"

#define SEND_MS     (15ull * 60 * 1000) /* then it is left to the next run */
#define DEVNET_POLL 200                 /* ms; elsewhere a block takes 30 s */
#define GAS_DEFAULT 500000000000000000u /* 0.5 FIL */
#define FEE_MAX     100000000000u       /* attoFIL for a unit of gas */
#define DATA_MAX    (16u << 10)

const enum eip712_type wallet_daemon_ops[2] = { EIP712_CREATE_DATA_SET,
						EIP712_ADD_PIECES };

/* ---- text ---- */

static struct wallet_sum sum_of(struct u256 v, bool of_cost, const char *coin)
{
	char text[AMOUNT_TEXT_MAX];
	struct wallet_sum s;

	amount_text_short(v, of_cost ? AMOUNT_UP : AMOUNT_DOWN, text);
	(void)snprintf(s.text, sizeof(s.text), "%s %s", text, coin); /* fits */
	return s;
}

struct wallet_sum wallet_usdfc(struct u256 v, bool of_cost)
{
	return sum_of(v, of_cost, "USDFC");
}

struct wallet_sum wallet_fil(const struct wallet *w, struct u256 v, bool of_cost)
{
	return sum_of(v, of_cost, w->url.net.coin);
}

int wallet_amount(const char *text, const char *unit, struct u256 *ret)
{
	struct err why = { "" };

	if (amount_parse(slice_str(text), unit, ret, &why) < 0)
		return exits_say(EXITS_USAGE, "'%.40s': %s", text, why.text);
	return EXITS_OK;
}

/* ---- life ---- */

/* A drive whose first stores cost nothing: the words' key pays. */
static int first_payer(struct wallet *w)
{
	_cleanup_owner_ struct owner o = { .key = NULL };
	struct drive *d = w->drive;
	char who[ADDRESS_TEXT_MAX];
	int r;

	r = owner_open(w->cli, d, &o, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the wallet's key");
	d->config.payer = o.address;
	r = drive_replace_config(d, &d->config);
	if (r < 0)
		return exits_err(r, NULL, "writing the config");
	address_text(o.address, who);
	(void)fprintf(stderr, "This drive's wallet is %s, of its words.\n", who);
	return EXITS_OK;
}

int wallet_open(const struct cli *cli, struct wallet *w)
{
	struct chainlink_params p = { .url = &w->url };
	const char *gas = cli_get(cli, "max-gas");
	int r;

	w->cli = cli;
	w->max_cost = u256(GAS_DEFAULT);
	if (gas && wallet_amount(gas, "FIL", &w->max_cost))
		return EXITS_USAGE;
	r = verbs_prepare();
	if (r)
		return r;
	r = verbs_open(cli, &w->drive);
	if (r)
		return r;
	r = paystore_find(&w->drive->config, &w->url, &w->err);
	if (r < 0)
		return exits_say(EXITS_CONFIG, "%s", w->err.text);
	if (address_is_none(w->drive->config.payer)) {
		r = first_payer(w);
		if (r)
			return r;
	}
	p.payer = w->drive->config.payer;
	r = chainlink_open(&p, &w->link, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the network");
	w->foc = chainlink_foc(w->link);
	return EXITS_OK;
}

void wallet_close(struct wallet *w)
{
	for (size_t i = 0; i < w->n_plans; i++)
		buf_fini(&w->plans[i].data);
	w->n_plans = 0;
	sender_free(w->sender);
	txlog_close(w->log);
	owner_fini(&w->owner);
	chainlink_close(w->link);
	network_url_fini(&w->url);
	drive_close(w->drive);
	w->sender = NULL;
	w->log = NULL;
	w->link = NULL;
	w->drive = NULL;
}

/* ---- the chain ---- */

/*
 * A contract that is paid into, or asked for a signature, is what every endpoint
 * says it is: one that lies could name its own.
 */
static int agree_on(struct wallet *w, int (*ask)(struct buf *ret), struct address want)
{
	_cleanup_rpc_agree_ struct rpc_agree *a = NULL;
	_cleanup_buf_ struct buf data = { 0 }, args = { 0 }, answer = { 0 };
	struct address got;
	int r;

	buf_init(&data, 64);
	buf_init(&args, 512);
	buf_init(&answer, 64);
	r = rpc_agree_new(&a);
	if (r == 0)
		r = ask(&data);
	if (r == 0)
		r = buf_printf(&args, "{\"to\":\"");
	if (r == 0)
		r = json_put_hex(&args, slice(w->at.fwss.b, ADDRESS_SIZE));
	if (r == 0)
		r = buf_printf(&args, "\",\"data\":\"");
	if (r == 0)
		r = json_put_hex(&args, buf_slice(&data));
	if (r == 0)
		r = buf_append(&args, slice("\"}", 3)); /* with its NUL */
	if (r < 0)
		return r;
	a->method = "eth_call";
	a->args = (const char *)args.p;
	a->want = RPC_BYTES;
	a->genesis_s = w->url.net.genesis_s;
	r = rpc_agree_wait(foc_rpc(w->foc), a);
	if (r < 0)
		return err_set(&w->err, r, "%s", a->err.text);
	r = json_hex_bytes(a->result, &answer);
	if (r == 0)
		r = call_answer_address(buf_slice(&answer), &got);
	if (r == 0 && !address_eq(got, want))
		r = -EBADMSG;
	return r < 0 ? err_set(&w->err, r,
			       "the endpoints disagree about the contracts of this network") :
		       0;
}

static int check_contracts(struct wallet *w)
{
	int r;

	r = agree_on(w, fwss_payments, w->at.pay);
	if (r == 0)
		r = agree_on(w, fwss_usdfc, w->at.usdfc);
	if (r == 0)
		r = agree_on(w, fwss_session_key_registry, w->at.sessions);
	return r;
}

int wallet_read(struct wallet *w)
{
	int r;

	w->err.text[0] = '\0';
	r = foc_contracts(w->foc, &w->at, &w->err);
	if (r == 0 && w->unlocked)
		r = check_contracts(w);
	if (r == 0)
		r = foc_prices(w->foc, &w->prices, &w->err);
	if (r == 0)
		r = foc_purse(w->foc, &w->purse, &w->err);
	return r < 0 ? chainlink_err(w->link, r, &w->err, "asking the chain") :
		       EXITS_OK;
}

/* ---- the key ---- */

static int on_sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	struct wallet *w = ctx;

	return owner_sign(&w->owner, tx, ret_raw);
}

static void say_hash(struct slice raw)
{
	uint8_t hash[ETH_TX_HASH_SIZE];
	_cleanup_buf_ struct buf text = { 0 };

	keccak_once(raw, hash);
	buf_init(&text, 80);
	if (json_put_hex(&text, slice(hash, sizeof(hash))) == 0 &&
	    buf_u8(&text, 0) == 0)
		exits_out("  transaction %s, waiting until it is mined\n",
			  (const char *)text.p);
	(void)fflush(stdout); /* what failed is found at the end */
}

static int on_persist(void *ctx, const struct sender_row *row)
{
	struct wallet *w = ctx;
	struct txlog_tx *tx = txlog_find(w->log, row->intent);
	int r;

	if (!tx)
		return -EUCLEAN;
	r = txlog_add_raw(tx, row->raw);
	if (r < 0)
		return r;
	r = txlog_write(w->log, tx);
	if (r < 0)
		buf_fini(&tx->raw[--tx->n_raw]);
	else
		say_hash(row->raw);
	return r;
}

static int on_settled(void *ctx, uint64_t intent, const struct sender_outcome *o)
{
	struct wallet *w = ctx;
	struct txlog_tx *tx = txlog_find(w->log, intent);
	int r;

	if (!tx)
		return -EUCLEAN;
	tx->state = TXLOG_OVER;
	tx->outcome = *o;
	r = txlog_write(w->log, tx);
	if (r < 0)
		tx->state = TXLOG_OPEN;
	return r;
}

int wallet_unlock(struct wallet *w)
{
	_cleanup_free_ struct sender_row *rows = NULL;
	struct sender_params p = {
		.rpc = foc_rpc(w->foc),
		.chain_id = w->url.net.chain_id,
		.max_fee = u256(FEE_MAX),
		.max_cost = w->max_cost,
		.ctx = w,
		.sign = on_sign,
		.persist = on_persist,
		.settled = on_settled,
	};
	size_t n = 0;
	int r;

	w->err.text[0] = '\0';
	if (strcmp(w->url.net.name, "devnet") == 0)
		p.poll_ms = DEVNET_POLL;
	r = owner_open(w->cli, w->drive, &w->owner, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the wallet's key");
	p.from = w->owner.address;
	r = txlog_open(w->drive, w->owner.keys, TXLOG_WAIT_MS, &w->log, &w->err);
	if (r == 0)
		r = txlog_rows(w->log, &rows, &n);
	if (r == 0)
		r = sender_new(&p, rows, n, &w->sender, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the log of transactions");
	w->unlocked = true;
	return EXITS_OK;
}

/* ---- what is under way ---- */

static int told(struct wallet *w, struct txlog_tx *tx)
{
	int r;

	if (fflush(stdout) != 0 || ferror(stdout))
		return exits_say(EXITS_GENERIC, "cannot write to standard output");
	tx->told = true;
	r = txlog_write(w->log, tx);
	return r < 0 ? exits_err(r, NULL, "the log of transactions") : EXITS_OK;
}

static int say_end(struct wallet *w, struct txlog_tx *tx)
{
	if (tx->outcome.end == SENDER_MINED)
		exits_out("Done: %s (gas: %s).\n", tx->text,
			  wallet_fil(w, tx->outcome.fee, true).text);
	else
		exits_out("Failed: %s: %s.\n", tx->text, tx->outcome.err.text);
	return told(w, tx);
}

/* Until it is over.  `stx` has its inputs, unless it is resumed. */
static int run_to_end(struct wallet *w, struct txlog_tx *tx, struct sender_tx *stx)
{
	int r, code;

	stx->intent = tx->intent;
	stx->deadline_ms = SEND_MS;
	r = sender_run(w->sender, stx);
	if (stx->outcome.end != SENDER_OPEN) {
		code = say_end(w, tx);
		return code ? code : (r < 0 ? EXITS_FUNDS : EXITS_OK);
	}
	if (tx->n_raw)
		return exits_say(EXITS_DIRTY,
				 "%s: not mined yet (%s). Nothing is lost: the same command again goes on with it",
				 tx->text, stx->err.text);
	code = r == -EDQUOT || r == -ENOSPC || r == -ENOEXEC ? (int)EXITS_FUNDS :
							       (int)exits_of(r);
	exits_say(code, "%s: not sent: %s", tx->text, stx->err.text);
	txlog_forget(w->log, tx);
	return code;
}

int wallet_resume(struct wallet *w, const char *what, struct u256 amount,
		  bool *ret_done)
{
	struct txlog_tx *tx = NULL, *next;
	int r;

	*ret_done = false;
	for (tx = txlog_next(w->log, NULL); tx; tx = next) {
		struct sender_tx stx = { .intent = 0 };
		bool same = strcmp(tx->what, what) == 0 &&
			    u256_eq(tx->amount, amount);

		next = txlog_next(w->log, tx);
		if (tx->state == TXLOG_ARMED ||
		    (tx->state == TXLOG_OVER && tx->told))
			continue;
		exits_out("Begun before, and not forgotten: %s.\n", tx->text);
		r = tx->state == TXLOG_OPEN ? run_to_end(w, tx, &stx) :
					      say_end(w, tx);
		if (r && tx->state != TXLOG_OVER)
			return r;
		if (same && tx->outcome.end == SENDER_MINED)
			*ret_done = true;
	}
	return EXITS_OK;
}

/* ---- what is to be done ---- */

int wallet_plan(struct wallet *w, const char *what, struct address to, int r,
		struct buf *data, struct u256 amount, const char *fmt, ...)
{
	struct wallet_plan *p = &w->plans[w->n_plans];
	struct sender_tx tx = { .to = to, .deadline_ms = 0 };
	va_list ap;

	if (r == 0 && w->n_plans == WALLET_PLANS_MAX)
		r = -E2BIG;
	if (r < 0) {
		buf_fini(data);
		return exits_err(r, &w->err, "a transaction");
	}
	*p = (struct wallet_plan){ .what = what, .to = to, .amount = amount };
	p->data = *data;
	*data = (struct buf){ 0 };
	va_start(ap, fmt);
	(void)vsnprintf(p->text, sizeof(p->text), fmt, ap); /* cut is fine */
	va_end(ap);
	w->n_plans++;
	tx.data = buf_slice(&p->data);
	r = sender_estimate(w->sender, &tx, &p->gas_fil);
	if (r == -ENOSPC)
		return exits_say(EXITS_FUNDS,
				 "the wallet has %s, and gas may cost %s: send it some (fildrive wallet shows the address)",
				 wallet_fil(w, w->purse.fil, false).text,
				 wallet_fil(w, p->gas_fil, true).text);
	if (r == -EDQUOT)
		return exits_say(EXITS_FUNDS, "%s; --max-gas allows more",
				 tx.err.text);
	if (r == -ENOEXEC)
		return exits_say(EXITS_FUNDS, "the contract refuses: %s",
				 tx.err.text);
	return r < 0 ? exits_err(r, &tx.err, "asking what gas costs") : EXITS_OK;
}

int wallet_ask(struct wallet *w)
{
	struct u256 gas = U256_ZERO;
	char line[16] = "";

	for (size_t i = 0; i < w->n_plans; i++) {
		const struct wallet_plan *p = &w->plans[i];

		exits_out("  %zu. %s (gas: up to %s)\n", i + 1, p->text,
			  wallet_fil(w, p->gas_fil, true).text);
		gas = u256_add_capped(gas, p->gas_fil);
	}
	if (u256_cmp(gas, w->purse.fil) > 0)
		return exits_say(EXITS_FUNDS,
				 "the wallet has %s, and the gas of all may cost %s: send it some first",
				 wallet_fil(w, w->purse.fil, false).text,
				 wallet_fil(w, gas, true).text);
	if (cli_flag(w->cli, "yes"))
		return EXITS_OK;
	if (!isatty(STDIN_FILENO))
		return exits_say(
			EXITS_USAGE,
			"nothing is sent without a yes: give --yes where nobody can be asked");
	exits_out("Send? [y/N] ");
	(void)fflush(stdout); /* found at the end */
	if (!fgets(line, sizeof(line), stdin) || (line[0] != 'y' && line[0] != 'Y'))
		return exits_say(EXITS_USAGE, "nothing was sent");
	return EXITS_OK;
}

/* What init signed for the daemon has the nonces that we take now. */
static int drop_orders(struct wallet *w)
{
	struct txlog_tx *tx;

	while ((tx = txlog_in(w->log, TXLOG_ARMED, NULL))) {
		int r = txlog_drop(w->log, tx);

		if (r < 0)
			return exits_err(r, NULL, "the log of transactions");
	}
	return EXITS_OK;
}

int wallet_send(struct wallet *w, size_t n)
{
	if (drop_orders(w))
		return EXITS_GENERIC;
	for (; n && w->n_sent < w->n_plans; n--) {
		struct wallet_plan *p = &w->plans[w->n_sent++];
		struct sender_tx stx = { .to = p->to, .data = buf_slice(&p->data) };
		struct txlog_tx *tx;
		int r = txlog_new(w->log, p->what, p->text, p->amount, &tx);

		if (r < 0)
			return exits_err(r, NULL, "the log of transactions");
		r = run_to_end(w, tx, &stx);
		if (r)
			return r;
	}
	return EXITS_OK;
}

/* ---- session keys ---- */

int wallet_signer(struct wallet *w, uint64_t n, struct address *ret)
{
	_cleanup_secret_ struct secret *key = NULL;
	int r = session_key(w->owner.keys, n, &key);

	if (r == 0)
		r = address_of_key(key, ret);
	return r < 0 ? exits_err(r, NULL, "the session key") : EXITS_OK;
}

int wallet_plan_login(struct wallet *w, struct address signer, uint64_t seconds,
		      const enum eip712_type *ops, size_t n_ops, const char *text)
{
	struct buf data = { 0 };
	int r;

	buf_init(&data, DATA_MAX);
	r = session_key_login(signer, (uint64_t)time(NULL) + seconds, ops,
			      n_ops, slice_str(WALLET_ORIGIN), &data);
	return wallet_plan(w, "login", w->at.sessions, r, &data, U256_ZERO,
			   "%s", text);
}
