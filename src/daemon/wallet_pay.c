/* wallet_pay.c - fildrive wallet fund, withdraw, session */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chain/pay.h"
#include "chain/session_key.h"
#include "daemon/cli.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/paystore.h"
#include "daemon/units.h"
#include "daemon/wallet.h"
#include "daemon/wallet_verbs.h"

#define DATA_MAX (16u << 10)
#define PERMIT_S 3600
#define SUGGEST  (100ull << 30) /* bytes, for a budget to begin with */
#define SESSION_OK \
 (30ull * 86400) /* s; a session key that lasts so long stays */

/* ---- fund ---- */

static int budget_of(struct wallet *w, struct u256 *ret)
{
	const char *given = cli_get(w->cli, "budget");
	unsigned copies = paystore_copies(&w->drive->config);
	struct u256 suggested;

	if (given)
		return wallet_amount(given, "USDFC", ret);
	*ret = w->drive->config.budget;
	if (!u256_is_zero(*ret))
		return EXITS_OK;
	if (money_budget(&w->prices, SUGGEST, copies, &suggested) < 0)
		suggested = u256(1);
	return exits_say(EXITS_FUNDS,
			 "there is no budget yet: say with --budget what a month may cost (100 GiB at %u providers: about %s)",
			 copies, wallet_usdfc(suggested, true).text);
}

static int check_sums(struct wallet *w, struct u256 amount)
{
	struct err why = { "" };

	if (money_check_deposit(&w->purse.account, amount,
				w->drive->config.deposit_cap, &why) < 0)
		return exits_say(EXITS_FUNDS,
				 "%s; fildrive config deposit_cap raises it",
				 why.text);
	if (u256_cmp(w->purse.usdfc, amount) >= 0)
		return EXITS_OK;
	return exits_say(EXITS_FUNDS,
			 "the wallet has %s: send it the rest first (fildrive wallet shows the address; what came within the last minute is not seen yet)",
			 wallet_usdfc(w->purse.usdfc, false).text);
}

/* Let the daemon's key sign, unless it may for long enough. */
static int plan_session(struct wallet *w, uint64_t n, struct address *signer)
{
	uint64_t create = 0, add = 0;
	char date[UNITS_TEXT_MAX], text[160];
	int r = wallet_signer(w, n, signer);

	if (r)
		return r;
	r = foc_session(w->foc, *signer, &create, &add, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the session key");
	if (MIN(create, add) >= (uint64_t)time(NULL) + SESSION_OK)
		return EXITS_OK;
	units_say_date((int64_t)((uint64_t)time(NULL) + WALLET_SESSION_S), date);
	(void)snprintf(text, sizeof(text),
		       "let session key %llu create data sets and add pieces until %.10s",
		       (unsigned long long)n, date); /* cut is fine */
	return wallet_plan_login(w, *signer, WALLET_SESSION_S, wallet_daemon_ops,
				 ARRAY_LEN(wallet_daemon_ops), text);
}

static int plan_deposit(struct wallet *w, struct u256 amount, struct u256 budget)
{
	struct buf data = { 0 };
	struct money_allow allow;
	int r;

	w->err.text[0] = '\0';
	buf_init(&data, DATA_MAX);
	r = money_allow(&w->prices, budget,
			money_sets(paystore_copies(&w->drive->config)), &allow);
	if (r == 0)
		r = wallet_pay_data(w->foc, &w->owner, &w->at, amount,
				    (uint64_t)time(NULL) + PERMIT_S, &allow,
				    &data, &w->err);
	if (u256_is_zero(amount))
		return wallet_plan(w, "allow", w->at.pay, r, &data, budget,
				   "allow the storage service to spend %s a month",
				   wallet_usdfc(budget, true).text);
	return wallet_plan(
		w, "fund", w->at.pay, r, &data, amount,
		"deposit %s, and allow the storage service to spend %s a month",
		wallet_usdfc(amount, true).text, wallet_usdfc(budget, true).text);
}

/* Before anything is sent that follows from it. */
static int keep(struct wallet *w, const struct config *changed)
{
	int r = drive_replace_config(w->drive, changed);

	if (r < 0)
		return exits_err(r, NULL, "writing the config");
	w->drive->config = *changed;
	return EXITS_OK;
}

/* Whoever is told of an error tries again, and this is done: it would be paid twice. */
static int say_after(struct wallet *w)
{
	uint64_t days;

	if (wallet_read(w)) {
		exits_out("It is done all the same; fildrive wallet shows the deposit later.\n");
		return EXITS_OK;
	}
	days = money_runway_days(&w->purse.account, w->purse.epoch);
	exits_out("Deposit: %s", wallet_usdfc(w->purse.account.funds, false).text);
	if (days == MONEY_NO_END)
		exits_out("; nothing is being paid from it yet.\n");
	else
		exits_out("; at the present rate it lasts %llu days.\n",
			  (unsigned long long)days);
	return EXITS_OK;
}

static int fund(struct wallet *w, struct u256 amount)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	struct u256 budget = U256_ZERO;
	struct address signer;
	bool done = false;
	int r;

	if (!c)
		return exits_err(-ENOMEM, NULL, "wallet");
	r = wallet_unlock(w);
	if (r == 0)
		r = wallet_resume(w, "fund", amount, &done);
	if (r == 0 && done && !u256_is_zero(amount)) {
		exits_out("It was this deposit: it is not made again.\n");
		return say_after(w);
	}
	if (r == 0)
		r = wallet_read(w);
	if (r == 0)
		r = budget_of(w, &budget);
	if (r == 0)
		r = check_sums(w, amount);
	if (r == 0)
		r = plan_session(w, w->drive->config.session, &signer);
	if (r == 0)
		r = plan_deposit(w, amount, budget);
	if (r)
		return r;
	exits_out("Of the wallet's %s and %s:\n",
		  wallet_usdfc(w->purse.usdfc, false).text,
		  wallet_fil(w, w->purse.fil, false).text);
	r = wallet_ask(w);
	if (r)
		return r;
	*c = w->drive->config;
	c->budget = budget;
	c->payer = w->owner.address;
	c->signer = signer;
	r = keep(w, c);
	if (r == 0)
		r = wallet_send(w, SIZE_MAX);
	return r ? r : say_after(w);
}

int wallet_fund(const struct cli *cli, const char *text)
{
	_cleanup_wallet_ struct wallet w = { .cli = cli };
	struct u256 amount;
	int r = wallet_amount(text, "USDFC", &amount);

	if (r == 0)
		r = wallet_open(cli, &w);
	return r ? r : fund(&w, amount);
}

/* ---- withdraw ---- */

static int withdraw(struct wallet *w, const char *text, struct u256 amount)
{
	bool all = strcmp(text, "all") == 0, done = false;
	struct buf data = { 0 };
	int r;

	r = wallet_unlock(w);
	if (r == 0)
		r = wallet_resume(w, "withdraw", amount, &done);
	if (r == 0 && done && !all) {
		exits_out("It was this withdrawal: it is not made again.\n");
		return say_after(w);
	}
	if (r == 0)
		r = wallet_read(w);
	if (r)
		return r;
	if (all)
		amount = w->purse.account.available;
	if (u256_is_zero(amount))
		return exits_say(EXITS_FUNDS, "there is nothing to withdraw");
	if (u256_cmp(amount, w->purse.account.available) > 0)
		return exits_say(
			EXITS_FUNDS,
			"of the deposit, %s can be withdrawn; the rest is locked for what is stored",
			wallet_usdfc(w->purse.account.available, false).text);
	buf_init(&data, DATA_MAX);
	r = pay_withdraw(w->at.usdfc, amount, &data);
	r = wallet_plan(w, "withdraw", w->at.pay, r, &data, amount,
			"withdraw %s from the deposit into the wallet",
			wallet_usdfc(amount, false).text);
	if (r == 0 && w->purse.account.funded_until != PAY_NEVER)
		exits_out("What is stored is paid from the deposit; it will last less long.\n");
	if (r == 0)
		r = wallet_ask(w);
	if (r == 0)
		r = wallet_send(w, SIZE_MAX);
	return r ? r : say_after(w);
}

int wallet_withdraw(const struct cli *cli, const char *text)
{
	_cleanup_wallet_ struct wallet w = { .cli = cli };
	struct u256 amount = U256_ZERO;
	int r = EXITS_OK;

	if (strcmp(text, "all") != 0)
		r = wallet_amount(text, "USDFC", &amount);
	if (r == 0)
		r = wallet_open(cli, &w);
	return r ? r : withdraw(&w, text, amount);
}

/* ---- session ---- */

static int plan_revoke(struct wallet *w, uint64_t n)
{
	struct buf data = { 0 };
	struct address signer;
	int r = wallet_signer(w, n, &signer);

	if (r)
		return r;
	buf_init(&data, DATA_MAX);
	r = session_key_revoke(signer, wallet_daemon_ops,
			       ARRAY_LEN(wallet_daemon_ops),
			       slice_str(WALLET_ORIGIN), &data);
	return wallet_plan(w, "revoke", w->at.sessions, r, &data, U256_ZERO,
			   "take from session key %llu what it may sign",
			   (unsigned long long)n);
}

/*
 * A new key, and the old one means nothing any more.  A daemon that runs has the
 * old one until the next mount: then the same key gets more time.
 */
static int renew(struct wallet *w)
{
	_cleanup_free_ struct config *c = malloc(sizeof(*c));
	uint64_t n = w->drive->config.session;
	bool in_use = drive_lock_holder(w->drive) != 0;
	char date[UNITS_TEXT_MAX], text[160];
	int r;

	if (!c)
		return exits_err(-ENOMEM, NULL, "wallet");
	*c = w->drive->config;
	c->session = in_use ? n : n + 1;
	if (c->session > CONFIG_SESSION_MAX)
		return exits_say(EXITS_CONFIG, "session keys are used up");
	r = wallet_signer(w, c->session, &c->signer);
	if (r)
		return r;
	units_say_date((int64_t)((uint64_t)time(NULL) + WALLET_SESSION_S), date);
	(void)snprintf(text, sizeof(text),
		       "let session key %llu create data sets and add pieces until %.10s",
		       (unsigned long long)c->session, date); /* cut is fine */
	r = wallet_plan_login(w, c->signer, WALLET_SESSION_S, wallet_daemon_ops,
			      ARRAY_LEN(wallet_daemon_ops), text);
	if (r == 0 && !in_use)
		r = plan_revoke(w, n);
	if (r)
		return r;
	if (in_use)
		exits_out("The drive is in use: its key stays, and gets more time.\n");
	r = wallet_ask(w);
	if (r == 0)
		r = wallet_send(w, 1);
	if (r == 0) /* a kill before this: the next renewal takes it again */
		r = keep(w, c);
	return r ? r : wallet_send(w, SIZE_MAX);
}

static int show_session(struct wallet *w)
{
	uint64_t create = 0, add = 0, until, now = (uint64_t)time(NULL);
	char date[UNITS_TEXT_MAX], who[ADDRESS_TEXT_MAX];
	const struct config *c = &w->drive->config;
	int r;

	if (address_is_none(c->signer)) {
		exits_out("No session key may sign yet: fildrive wallet fund\n");
		return EXITS_OK;
	}
	r = foc_session(w->foc, c->signer, &create, &add, &w->err);
	if (r < 0)
		return exits_err(r, &w->err, "the session key");
	until = MIN(create, add);
	address_text(c->signer, who);
	units_say_date((int64_t)until, date);
	if (until <= now)
		exits_out("Session key %llu (%s) may sign nothing.\n",
			  (unsigned long long)c->session, who);
	else
		exits_out("Session key %llu (%s) may create and add until %s.\n",
			  (unsigned long long)c->session, who, date);
	return EXITS_OK;
}

int wallet_session(const struct cli *cli, const char *what)
{
	_cleanup_wallet_ struct wallet w = { .cli = cli };
	bool done, is_renew = what && strcmp(what, "renew") == 0;
	int r;

	if (what && !is_renew && strcmp(what, "revoke") != 0)
		return exits_say(EXITS_USAGE,
				 "wallet session: renew, revoke, or nothing");
	r = wallet_open(cli, &w);
	if (r || !what)
		return r ? r : show_session(&w);
	r = wallet_unlock(&w);
	if (r == 0)
		r = wallet_resume(&w, "", U256_ZERO, &done);
	if (r == 0)
		r = wallet_read(&w);
	if (r || is_renew)
		return r ? r : renew(&w);
	r = plan_revoke(&w, w.drive->config.session);
	if (r == 0)
		r = wallet_ask(&w);
	return r ? r : wallet_send(&w, SIZE_MAX);
}
