/* verb_snapshots.c - fildrive snapshots: the commits that are kept */
#include <stdio.h>

#include "base/err.h"
#include "crypto/keys.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/snaplist.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "ledger/ledger.h"
#include "retrieve/snapshot.h"

static const struct cli_option options[] = {
	CLI_DRIVE, CLI_JSON, CLI_PASSFILE, CLI_EXTPASS, CLI_END,
};

static void print_one(const json_t *one)
{
	const char *device = json_string_value(json_object_get(one, "device"));
	const json_t *inodes = json_object_get(one, "inodes");
	char date[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX];

	units_say_date(json_integer_value(json_object_get(one, "time")), date);
	exits_out("%8lld  %s  %s",
		  (long long)json_integer_value(json_object_get(one, "sequence")),
		  date, device ? device : "");
	if (json_is_integer(inodes)) {
		units_say_size((uint64_t)json_integer_value(
				       json_object_get(one, "bytes")),
			       size);
		exits_out("  %lld %s, %s", (long long)json_integer_value(inodes),
			  units_noun((uint64_t)json_integer_value(inodes),
				     "folder", "files and folders"),
			  size);
	}
	exits_out("%s\n", json_is_true(json_object_get(one, "published")) ?
				  "" :
				  "  (not at the stores yet)");
}

static int print(const struct cli *cli, const json_t *list)
{
	const json_t *one;
	size_t i;

	if (cli_flag(cli, "json")) {
		char *text = json_dumps(list, JSON_INDENT(2));

		if (!text)
			return exits_err(-ENOMEM, NULL, "snapshots");
		exits_out("%s\n", text);
		free(text);
		return EXITS_OK;
	}
	if (json_array_size(list) == 0)
		exits_out("No commit has been made yet.\n");
	json_array_foreach(list, i, one) print_one(one);
	return EXITS_OK;
}

/* The drive is not mounted: the ledger tells. */
static int from_ledger(const struct cli *cli, json_t *list)
{
	_cleanup_drive_ struct drive *d = NULL;
	struct ledger_params lp = { .io = NULL };
	struct ledger *l = NULL;
	struct err why = { "" };
	int r;

	r = verbs_prepare();
	if (r == 0)
		r = verbs_open_alone(cli, &d);
	if (r)
		return r;
	lp.io = d->io;
	lp.key = keys_secret(d->keys, KEYS_DB);
	memcpy(lp.drive_id, keys_drive_id(d->keys), sizeof(lp.drive_id));
	r = ledger_open(&lp, &l, &why);
	if (r == 0)
		r = snapshot_list(l, snaplist_add, list);
	ledger_close(l);
	return r < 0 ? exits_err(r, &why, "snapshots") : EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *result = NULL;
	_cleanup_json_ json_t *list = NULL;
	struct err why = { "" };
	int r;

	r = client_connect(verbs_drive(cli), &c, NULL);
	if (r == 0) {
		r = client_call(c, json_pack("{s:s}", "verb", "snapshots"),
				CLIENT_WAIT_MS, NULL, NULL, &result, &why);
		return r < 0 ? exits_err(r, &why, "snapshots") :
			       print(cli, json_object_get(result, "snapshots"));
	}
	list = json_array();
	if (!list)
		return exits_err(-ENOMEM, NULL, "snapshots");
	r = from_ledger(cli, list);
	return r ? r : print(cli, list);
}

const struct cli_verb verb_snapshots = {
	.name = "snapshots",
	.args = "",
	.summary = "list the commits that are kept",
	.details = "mount --snapshot N shows one, read only.",
	.options = options,
	.run = run,
};
