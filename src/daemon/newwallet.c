#include "daemon/newwallet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "chain/foc.h"
#include "crypto/secret.h"
#include "crypto/session.h"
#include "daemon/chainlink.h"
#include "daemon/cli.h"
#include "daemon/config.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/orders.h"
#include "daemon/owner.h"
#include "daemon/paystore.h"
#include "daemon/units.h"
#include "daemon/wallet.h"

#define ASK_MS     10000 /* the network is waited for so long */
#define MONTHS_MAX 120
#define FAUCETS                                                                      \
 "Test coins are free: https://faucet.calibnet.chainsafe-fil.io/funds.html (tFIL)\n" \
 "and https://forest-explorer.chainsafe.dev/faucet/calibnet_usdfc (tUSDFC).\n"

/* ---- before ---- */

int newwallet_keys(struct config *c, const struct secret *entropy, struct err *reterr)
{
	_cleanup_owner_ struct owner o = { .key = NULL };
	_cleanup_secret_ struct secret *key = NULL;
	int r;

	if (!paystore_copies(c))
		return 0;
	r = owner_from_entropy(entropy, &o);
	if (r == 0)
		r = session_key(o.keys, c->session, &key);
	if (r == 0)
		r = address_of_key(key, &c->signer);
	if (r == 0 && address_is_none(c->payer))
		c->payer = o.address;
	return r < 0 ? err_set(reterr, r, "the wallet: %s", err_str(r)) : 0;
}

int newwallet_options(const struct cli *cli, const struct config *c,
		      struct newwallet *ret, struct err *reterr)
{
	const char *size = cli_get(cli, "size"), *months = cli_get(cli, "months");
	struct newwallet w = { .paid = paystore_copies(c) > 0,
			       .bytes = ORDERS_BYTES,
			       .months = ORDERS_MONTHS };
	uint64_t n = w.months;

	if (!w.paid && (size || months || cli_get(cli, "budget")))
		return err_set(reterr, -EINVAL,
			       "--size, --months and --budget are for stores that cost money");
	if (size && units_parse_size(size, &w.bytes) < 0)
		return err_set(reterr, -EINVAL, "--size: '%.64s' is no size", size);
	if (months && (units_number(months, &n) < 0 || n == 0 || n > MONTHS_MAX))
		return err_set(reterr, -EINVAL, "--months wants 1 to %d",
			       MONTHS_MAX);
	w.months = (unsigned)n;
	*ret = w;
	return 0;
}

/* ---- after ---- */

struct offer {
	struct drive *drive;
	struct network_url url;
	struct chainlink *link;
	struct orders_terms terms;
	struct err err;
};

static void offer_fini(struct offer *o)
{
	chainlink_close(o->link);
	network_url_fini(&o->url);
	drive_close(o->drive);
}

static int sign(struct offer *o, const struct secret *entropy,
		const struct newwallet *w)
{
	const struct config *c = &o->drive->config;
	struct chainlink_params p = { .url = &o->url,
				      .payer = c->payer,
				      .limit_ms = ASK_MS };
	_cleanup_owner_ struct owner owner = { .key = NULL };
	struct contracts_known at;
	struct view_price_list prices;
	struct foc *f;
	int r;

	r = chainlink_open(&p, &o->link, &o->err);
	if (r < 0)
		return r;
	f = chainlink_foc(o->link);
	r = foc_contracts(f, &at, &o->err);
	if (r == 0)
		r = foc_prices(f, &prices, &o->err);
	if (r == 0)
		r = orders_terms(&prices, w->bytes, paystore_copies(c),
				 w->months, c->budget, &o->terms);
	if (r == 0)
		r = owner_from_entropy(entropy, &owner);
	if (r == 0)
		r = orders_sign(o->drive, &owner, f, &at, &prices,
				paystore_copies(c), &o->terms, &o->err);
	if (r == -ECANCELED)
		o->err = (struct err){ "it did not answer in time" };
	if (r < 0)
		return r;
	o->drive->config.budget = o->terms.budget;
	return drive_replace_config(o->drive, &o->drive->config);
}

static void say_terms(const struct offer *o, const struct newwallet *w)
{
	const struct wallet coin = { .url = o->url };
	char size[UNITS_TEXT_MAX];

	units_say_size(w->bytes, size);
	exits_out("Send it    %s, for %s at %u providers and %u months,\n"
		  "and        %s, for gas.\n"
		  "When both are there, the mounted drive deposits them and begins to store, at\n"
		  "%s a month at most; until then all stays on this machine.\n",
		  wallet_usdfc(o->terms.deposit, true).text, size,
		  paystore_copies(&o->drive->config), w->months,
		  wallet_fil(&coin, o->terms.fil, true).text,
		  wallet_usdfc(o->terms.budget, true).text);
}

void newwallet_offer(const char *drive, const struct secret *entropy,
		     const struct newwallet *w)
{
	_cleanup_(offer_fini) struct offer o = { .drive = NULL };
	char who[ADDRESS_TEXT_MAX], fil[ADDRESS_FIL_MAX];
	int r;

	if (!w->paid)
		return;
	r = drive_open(drive, &o.drive, &o.err);
	if (r == 0)
		r = paystore_find(&o.drive->config, &o.url, &o.err);
	if (r < 0) {
		exits_err(r, &o.err, "the wallet");
		return;
	}
	address_text(o.drive->config.payer, who);
	address_fil(o.drive->config.payer, o.url.net.testnet, fil);
	exits_out("Its wallet on %s is %s\n           (%s).\n", o.url.net.name,
		  who, fil);
	(void)fflush(stdout); /* found at the end; the network may take its time */
	r = sign(&o, entropy, w);
	if (r == 0)
		say_terms(&o, w);
	else
		exits_out("Send it USDFC and some %s for gas, then:\n"
			  "  fildrive wallet fund AMOUNT --budget AMOUNT\n"
			  "(The network could not be asked what is needed: %s.)\n",
			  o.url.net.coin, o.err.text[0] ? o.err.text : err_str(r));
	if (strcmp(o.url.net.name, "calibration") == 0)
		exits_out(FAUCETS);
}
