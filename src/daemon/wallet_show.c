/*
 * wallet_show.c - fildrive wallet, and wallet history
 *
 * Everything shown was read from the chain just now (I10); no passphrase is
 * needed for it.  The history is sealed in the drive directory: a passphrase, or
 * the daemon of a mounted drive, opens it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chain/amount.h"
#include "chain/cost.h"
#include "chain/pay.h"
#include "daemon/cli.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/txlog.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"
#include "daemon/wallet_verbs.h"
#include "net/json.h"

#define SETS_MAX 64 /* shown; more are counted */
#define RAIL_MAX 1024

struct set {
	struct view_data_set view;
	struct u256 rate; /* an epoch; 0: its rail is over */
};

struct shown {
	struct wallet w;
	struct set sets[SETS_MAX];
	size_t n_sets, n_all;
	uint64_t session_until; /* seconds since 1970 */
	struct u256 month;
	uint64_t days;
	bool mounted;
	char waiting[320]; /* what has to arrive still; "": nothing, or not known */
};

/* ---- what the chain says ---- */

static int on_set(void *ctx, const struct view_data_set *s)
{
	struct shown *sh = ctx;

	if (sh->n_all++ < SETS_MAX)
		sh->sets[sh->n_sets++].view = *s;
	return 0;
}

static int rate_of(struct shown *sh, struct set *s)
{
	_cleanup_buf_ struct buf data = { 0 }, answer = { 0 };
	struct pay_rail rail;
	int r;

	buf_init(&data, 64);
	buf_init(&answer, RAIL_MAX);
	r = pay_rail(s->view.pdp_rail_id, &data);
	if (r == 0)
		r = contract_call(foc_rpc(sh->w.foc), sh->w.at.pay,
				  buf_slice(&data), &answer, NULL, &sh->w.err);
	if (r == -ENOEXEC) { /* finalized */
		sh->w.err.text[0] = '\0';
		return 0;
	}
	if (r == 0)
		r = pay_rail_answer(buf_slice(&answer), &rail);
	if (r == 0)
		s->rate = rail.rate;
	return r;
}

static int read_all(struct shown *sh)
{
	struct wallet *w = &sh->w;
	uint64_t create = 0, add = 0;
	int r = wallet_read(w);

	if (r)
		return r;
	r = foc_data_sets(w->foc, on_set, sh, &w->err);
	for (size_t i = 0; r == 0 && i < sh->n_sets; i++)
		r = rate_of(sh, &sh->sets[i]);
	if (r == 0 && !address_is_none(w->drive->config.signer))
		r = foc_session(w->foc, w->drive->config.signer, &create, &add,
				&w->err);
	sh->session_until = MIN(create, add);
	if (r == 0)
		r = cost_month(w->purse.account.lockup_rate, &sh->month);
	sh->days = money_runway_days(&w->purse.account, w->purse.epoch);
	return r < 0 ? exits_err(r, &w->err, "asking the chain") : EXITS_OK;
}

/* ---- for people ---- */

static void say_sets(const struct shown *sh)
{
	for (size_t i = 0; i < sh->n_sets; i++) {
		const struct set *s = &sh->sets[i];
		struct u256 month = U256_ZERO;

		best_effort(cost_month(s->rate, &month)); /* 0 is shown */
		exits_out("Data set:  %" PRIu64 " at provider %" PRIu64
			  ", rail %" PRIu64 ", %s a month%s\n",
			  s->view.data_set_id, s->view.provider_id,
			  s->view.pdp_rail_id, wallet_usdfc(month, true).text,
			  s->view.pdp_end_epoch ? ", ended" : "");
	}
	if (sh->n_all > sh->n_sets)
		exits_out("Data set:  and %zu more\n", sh->n_all - sh->n_sets);
}

static void say_account(const struct shown *sh)
{
	const struct foc_purse *p = &sh->w.purse;
	const struct pay_approvals *a = &p->approvals;
	struct u256 rate = U256_ZERO, used = U256_ZERO;

	exits_out("Deposit:   %s, of which %s can be withdrawn\n",
		  wallet_usdfc(p->account.funds, false).text,
		  wallet_usdfc(p->account.available, false).text);
	if (a->approved) {
		best_effort(cost_month(a->rate_allowance, &rate)); /* 0 is shown */
		best_effort(cost_month(a->rate_usage, &used)); /* likewise */
		exits_out("Allowed:   %s a month, used %s; locked up to %s, used %s\n",
			  wallet_usdfc(rate, false).text,
			  wallet_usdfc(used, true).text,
			  wallet_usdfc(a->lockup_allowance, false).text,
			  wallet_usdfc(a->lockup_usage, true).text);
	} else {
		exits_out("Allowed:   nothing yet\n");
	}
	if (sh->days == MONEY_NO_END)
		exits_out("Runway:    nothing is being paid\n");
	else
		exits_out("Runway:    %" PRIu64 " days, at %s a month\n",
			  sh->days, wallet_usdfc(sh->month, true).text);
}

static void say(const struct shown *sh)
{
	const struct wallet *w = &sh->w;
	char who[ADDRESS_TEXT_MAX], fil[ADDRESS_FIL_MAX], date[UNITS_TEXT_MAX];

	address_text(w->drive->config.payer, who);
	address_fil(w->drive->config.payer, w->url.net.testnet, fil);
	exits_out("Wallet:    %s on %s\n           %s\n", who, w->url.net.name, fil);
	exits_out("Holds:     %s and %s\n", wallet_fil(w, w->purse.fil, false).text,
		  wallet_usdfc(w->purse.usdfc, false).text);
	say_account(sh);
	if (u256_is_zero(w->drive->config.budget))
		exits_out("Budget:    none: nothing may be spent\n");
	else
		exits_out("Budget:    %s a month\n",
			  wallet_usdfc(w->drive->config.budget, false).text);
	say_sets(sh);
	units_say_date((int64_t)sh->session_until, date);
	if (sh->session_until > (uint64_t)time(NULL))
		exits_out("Session:   key %" PRIu64 " may create and add until %s\n",
			  w->drive->config.session, date);
	else
		exits_out("Session:   no key may sign%s\n",
			  u256_is_zero(w->purse.account.funds) ?
				  " yet" :
				  ": fildrive wallet session renew");
	if (sh->waiting[0])
		exits_out("Next:      %s\n", sh->waiting);
	else if (!sh->mounted && u256_is_zero(w->purse.account.funds))
		exits_out("Next:      what init said to send is deposited by the mounted drive; or\n"
			  "           fildrive wallet fund AMOUNT\n");
}

/* The daemon of a mounted drive knows what it waits for. */
static void ask_daemon(struct shown *sh)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *status = NULL;
	const json_t *text;

	if (client_connect(verbs_drive(sh->w.cli), &c, NULL) < 0 ||
	    client_call(c, json_pack("{s:s}", "verb", "status"), CLIENT_WAIT_MS,
			NULL, NULL, &status, NULL) < 0)
		return;
	sh->mounted = true;
	text = json_object_get(json_object_get(status, "wallet"), "waiting");
	if (json_is_string(text))
		text_copy(sh->waiting, sizeof(sh->waiting), json_string_value(text));
}

/* ---- for programs ---- */

static json_t *sum_json(struct u256 v)
{
	char text[AMOUNT_TEXT_MAX];

	amount_text(v, text);
	return json_string(text);
}

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

static json_t *sets_json(const struct shown *sh)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (size_t i = 0; r == 0 && i < sh->n_sets; i++) {
		const struct set *s = &sh->sets[i];
		struct u256 month = U256_ZERO;
		json_t *o = json_object();

		best_effort(cost_month(s->rate, &month)); /* 0 is shown */
		r |= put(o, "id", json_integer((json_int_t)s->view.data_set_id));
		r |= put(o, "provider",
			 json_integer((json_int_t)s->view.provider_id));
		r |= put(o, "rail", json_integer((json_int_t)s->view.pdp_rail_id));
		r |= put(o, "month", sum_json(month));
		r |= put(o, "ended", json_boolean(s->view.pdp_end_epoch != 0));
		r |= json_array_append_new(a, o);
	}
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static json_t *shown_json(const struct shown *sh)
{
	const struct wallet *w = &sh->w;
	const struct pay_approvals *a = &w->purse.approvals;
	char who[ADDRESS_TEXT_MAX], fil[ADDRESS_FIL_MAX];
	json_t *o = json_object();
	int r = o ? 0 : -1;

	address_text(w->drive->config.payer, who);
	address_fil(w->drive->config.payer, w->url.net.testnet, fil);
	r |= put(o, "network", json_string(w->url.net.name));
	r |= put(o, "address", json_string(who));
	r |= put(o, "fil_address", json_string(fil));
	r |= put(o, "fil", sum_json(w->purse.fil));
	r |= put(o, "usdfc", sum_json(w->purse.usdfc));
	r |= put(o, "deposit", sum_json(w->purse.account.funds));
	r |= put(o, "available", sum_json(w->purse.account.available));
	r |= put(o, "month", sum_json(sh->month));
	r |= put(o, "runway_days",
		 sh->days == MONEY_NO_END ? json_null() :
					    json_integer((json_int_t)sh->days));
	r |= put(o, "budget", sum_json(w->drive->config.budget));
	r |= put(o, "allowed", json_boolean(a->approved));
	r |= put(o, "rate_allowance", sum_json(a->rate_allowance));
	r |= put(o, "rate_used", sum_json(a->rate_usage));
	r |= put(o, "lockup_allowance", sum_json(a->lockup_allowance));
	r |= put(o, "lockup_used", sum_json(a->lockup_usage));
	r |= put(o, "session", json_integer((json_int_t)w->drive->config.session));
	r |= put(o, "session_until",
		 sh->session_until ? json_integer((json_int_t)sh->session_until) :
				     json_null());
	r |= put(o, "waiting",
		 sh->waiting[0] ? json_string(sh->waiting) : json_null());
	r |= put(o, "data_sets", sets_json(sh));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

static int print_json(json_t *o)
{
	char *dump = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	json_decref(o); /* it was given to us */
	if (!dump)
		return exits_err(-ENOMEM, NULL, "wallet");
	exits_out("%s\n", dump);
	free(dump);
	return EXITS_OK;
}

int wallet_show(const struct cli *cli)
{
	struct shown *sh = calloc(1, sizeof(*sh));
	int r;

	if (!sh)
		return exits_err(-ENOMEM, NULL, "wallet");
	r = wallet_open(cli, &sh->w);
	if (r == 0)
		r = read_all(sh);
	if (r == 0)
		ask_daemon(sh);
	if (r == 0 && cli_flag(cli, "json"))
		r = print_json(shown_json(sh));
	else if (r == 0)
		say(sh);
	wallet_close(&sh->w);
	free(sh);
	return r;
}
