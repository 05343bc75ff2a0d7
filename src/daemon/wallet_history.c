/*
 * wallet_history.c - fildrive wallet history
 *
 * The daemon of a mounted drive tells; else a passphrase opens the log and the
 * ledger.
 */
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "crypto/keys.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/gc_fees.h"
#include "daemon/history.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "daemon/wallet_verbs.h"
#include "ledger/ledger.h"

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int print(const struct cli *cli, json_t *list)
{
	const json_t *one;
	size_t i;

	if (cli_flag(cli, "json")) {
		char *text = json_dumps(list, JSON_INDENT(2));

		if (!text)
			return exits_err(-ENOMEM, NULL, "wallet history");
		exits_out("%s\n", text);
		free(text);
		return EXITS_OK;
	}
	if (json_array_size(list) == 0)
		exits_out("Nothing has been sent or paid.\n");
	json_array_foreach(list, i, one)
	{
		char date[UNITS_TEXT_MAX];

		units_say_date(json_integer_value(json_object_get(one, "time")),
			       date);
		exits_out("%s  %s: %s (%s USDFC)\n", date, text_of(one, "state"),
			  text_of(one, "text"), text_of(one, "amount"));
		if (text_of(one, "hash")[0])
			exits_out("                     %s\n", text_of(one, "hash"));
	}
	return EXITS_OK;
}

static int from_disk(const struct cli *cli, json_t *list)
{
	_cleanup_drive_ struct drive *d = NULL;
	struct ledger_params lp = { .io = NULL };
	struct ledger *l = NULL;
	struct err why = { "" };
	int r = verbs_open_alone(cli, &d);

	if (r)
		return r;
	lp.io = d->io;
	lp.key = keys_secret(d->keys, KEYS_DB);
	memcpy(lp.drive_id, keys_drive_id(d->keys), sizeof(lp.drive_id));
	r = history_txs(d, d->keys, list, &why);
	if (r == 0)
		r = ledger_open(&lp, &l, &why);
	if (r == 0)
		best_effort(gc_fees_settle(l)); /* as the daemon does */
	if (r == 0)
		r = ledger_spends(l, 0, history_spend, list);
	ledger_close(l);
	if (r == 0)
		r = history_sort(list);
	return r < 0 ? exits_err(r, &why, "wallet history") : EXITS_OK;
}

int wallet_history(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *result = NULL;
	_cleanup_json_ json_t *list = NULL;
	struct err why = { "" };
	int r = client_connect(verbs_drive(cli), &c, NULL);

	if (r == 0) {
		r = client_call(c, json_pack("{s:s}", "verb", "history"),
				CLIENT_WAIT_MS, NULL, NULL, &result, &why);
		return r < 0 ? exits_err(r, &why, "wallet history") :
			       print(cli, json_object_get(result, "history"));
	}
	list = json_array();
	if (!list)
		return exits_err(-ENOMEM, NULL, "wallet history");
	r = from_disk(cli, list);
	return r ? r : print(cli, list);
}
