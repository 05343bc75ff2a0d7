/* verb_gc.c - fildrive gc: remove from the stores what nothing needs any more */
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/client.h"
#include "daemon/engine.h"
#include "daemon/exits.h"
#include "daemon/gc_paid.h"
#include "daemon/progress.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "daemon/wallet.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "dry-run", 'n', false, NULL,
	  "say what would be removed, and remove nothing" },
	{ "yes", 'y', false, NULL, "remove without asking" },
	{ "forget-before", 0, false, "N",
	  "give up the snapshots of commits before N, too" },
	CLI_JSON,
	{ "quiet", 'q', false, NULL, "no progress" },
	{ "all", 'a', false, NULL,
	  "also what costs more to remove than it saves in a year" },
	WALLET_MAX_GAS,
	CLI_PASSFILE,
	CLI_EXTPASS,
	CLI_END,
};

static uint64_t num(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* "12 pieces, 3.4 GiB" */
static void say_sum(const json_t *o, const char *key, const char *fmt)
{
	const json_t *sum = json_object_get(o, key);
	char size[UNITS_TEXT_MAX], what[UNITS_TEXT_MAX + 40];

	if (!num(sum, "pieces"))
		return;
	units_say_size(num(sum, "bytes"), size);
	(void)snprintf(what, sizeof(what), "%llu %s, %s",
		       (unsigned long long)num(sum, "pieces"),
		       units_noun(num(sum, "pieces"), "piece", "pieces"),
		       size); /* fits */
	exits_out("%s: %s.\n", fmt, what);
}

static bool is_network(const json_t *store)
{
	return json_is_true(json_object_get(store, "network"));
}

static void say_stores(const json_t *found, const char *key, bool networks)
{
	const json_t *s;
	char size[UNITS_TEXT_MAX];
	size_t i;

	json_array_foreach(json_object_get(found, "stores"), i, s)
	{
		const json_t *sum = json_object_get(s, key);

		if (!num(sum, "pieces") || (is_network(s) && !networks))
			continue;
		units_say_size(num(sum, "bytes"), size);
		exits_out("  ");
		exits_store(stdout, text(s, "url"));
		exits_out(": %llu %s, %s\n", (unsigned long long)num(sum, "pieces"),
			  units_noun(num(sum, "pieces"), "piece", "pieces"), size);
	}
}

static uint64_t pieces(const json_t *found, const char *key)
{
	return num(json_object_get(found, key), "pieces");
}

/* Condemned, and not gone. */
static uint64_t left(const json_t *found, bool networks)
{
	const json_t *s;
	uint64_t n = 0;
	size_t i;

	json_array_foreach(json_object_get(found, "stores"), i, s)
		n += is_network(s) && !networks ? 0 : pieces(s, "left");
	return n;
}

static void say_found(const json_t *found)
{
	exits_out("Commits kept: %llu.\n",
		  (unsigned long long)num(found, "commits"));
	if (num(found, "forgotten"))
		exits_out("Snapshots given up: %llu.\n",
			  (unsigned long long)num(found, "forgotten"));
	say_sum(found, "dead", "Needed by nothing");
	say_stores(found, "dead", true);
	if (left(found, true)) {
		exits_out("Given up before, and still to be removed:\n");
		say_stores(found, "left", true);
	}
	say_sum(found, "only_snapshots", "Needed by snapshots alone");
	say_sum(found, "mostly_dead", "Less than half needed, kept whole");
}

static int ask(const struct cli *cli)
{
	char line[16] = "";

	if (cli_flag(cli, "yes"))
		return EXITS_OK;
	if (!isatty(STDIN_FILENO))
		return exits_say(
			EXITS_USAGE,
			"nothing is removed without a yes: give --yes where nobody can be asked");
	exits_out("Remove? It cannot be brought back. [y/N] ");
	(void)fflush(stdout); /* found at the end */
	if (!fgets(line, sizeof(line), stdin) || (line[0] != 'y' && line[0] != 'Y'))
		return exits_say(EXITS_USAGE, "nothing was removed");
	return EXITS_OK;
}

/*
 * One look, or one removal.  Each on a connection of its own: in between a person
 * thinks, or the chain is waited for, and the daemon lets go of who is idle.
 */
static int call(const struct cli *cli, bool remove, unsigned network,
		uint64_t before, json_t **ret)
{
	_cleanup_client_ struct client_conn *c = NULL;
	struct err why = { "" };
	struct progress bar;
	int r;

	if (client_connect(verbs_drive(cli), &c, NULL) < 0)
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is not mounted; fildrive mount --drive %s MOUNTPOINT",
				 verbs_drive(cli), verbs_drive(cli));
	progress_init(&bar, cli_flag(cli, "quiet") || cli_flag(cli, "json"));
	r = client_call(c,
			json_pack("{s:s, s:b, s:I, s:I}", "verb", "gc", "remove",
				  remove, "network", (json_int_t)network,
				  "forget_before", (json_int_t)before),
			-1, progress_line, &bar, ret, &why);
	progress_fini(&bar);
	return r < 0 ? exits_err(r, &why, "gc") : EXITS_OK;
}

static int say_json(const json_t *found)
{
	char *text_of = json_dumps(found, JSON_INDENT(2));

	if (!text_of)
		return exits_err(-ENOMEM, NULL, "gc");
	exits_out("%s\n", text_of);
	free(text_of);
	return EXITS_OK;
}

static int say_done(const json_t *found, const json_t *done)
{
	say_sum(done, "condemned", "Given up");
	if (!left(done, false)) {
		exits_out(pieces(done, "condemned") || left(found, false) ?
				  "All of it is removed.\n" :
				  "No piece is removed.\n");
		return EXITS_OK;
	}
	exits_out("Still to be removed, when the store answers:\n");
	say_stores(done, "left", false);
	return EXITS_OK;
}

/* Folders only. */
static int free_of_charge(const struct cli *cli, const json_t *found, uint64_t before)
{
	_cleanup_json_ json_t *done = NULL;
	int r;

	if (pieces(found, "dead") == pieces(found, "paid") &&
	    !num(found, "forgotten") && !left(found, false)) {
		exits_out("There is nothing to remove.\n");
		return EXITS_OK;
	}
	r = ask(cli);
	if (r == 0)
		r = call(cli, true, 0, before, &done);
	return r ? r : say_done(found, done);
}

/* What is on a network its owner has removed; folders go along. */
static int paid(const struct cli *cli, const json_t *found, uint64_t before)
{
	_cleanup_json_ json_t *done = NULL;
	struct gc_paid *p = NULL;
	unsigned network = 0;
	bool any;
	int r;

	r = gc_paid_open(cli, found, cli_flag(cli, "dry-run"), &p);
	if (r)
		return r;
	r = gc_paid_plan(p, &network, &any);
	if (r || cli_flag(cli, "dry-run")) {
		gc_paid_free(p);
		return r;
	}
	if (!any) {
		gc_paid_free(p);
		return free_of_charge(cli, found, before);
	}
	r = gc_paid_go(p);
	if (r == 0)
		r = call(cli, true, network, before, &done);
	if (r == 0) {
		say_sum(done, "condemned", "Given up");
		r = gc_paid_do(p, done);
	}
	gc_paid_free(p);
	return r;
}

static int gc(const struct cli *cli, uint64_t before)
{
	_cleanup_json_ json_t *found = NULL;
	int r = call(cli, false, ENGINE_GC_NETWORK, before, &found);

	if (r)
		return r;
	if (cli_flag(cli, "json"))
		return say_json(found);
	say_found(found);
	if (gc_paid_is_needed(found))
		return paid(cli, found, before);
	return cli_flag(cli, "dry-run") ? EXITS_OK :
					  free_of_charge(cli, found, before);
}

static int run(const struct cli *cli)
{
	const char *text_of = cli_get(cli, "forget-before");
	uint64_t before = 0;

	if (text_of && (units_number(text_of, &before) < 0 || before > INT64_MAX))
		return exits_say(EXITS_USAGE,
				 "gc: --forget-before wants the number of a commit");
	return gc(cli, before);
}

const struct cli_verb verb_gc = {
	.name = "gc",
	.args = "",
	.summary = "remove from the stores what nothing needs any more",
	.details = "Pieces that no commit and no snapshot needs are removed, after a look through all\n"
		   "of them. Snapshots keep what was deleted: all commits of a day, then one a day\n"
		   "for a month, then one in 30 days. --json looks, and removes nothing.",
	.options = options,
	.run = run,
};
