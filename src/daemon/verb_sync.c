/* verb_sync.c - fildrive sync: to the local disk, or to the stores */
#include <stdio.h>

#include "base/err.h"
#include "daemon/client.h"
#include "daemon/exits.h"
#include "daemon/progress.h"
#include "daemon/verbs.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "wait", 'w', false, NULL, "return when all is at the stores" },
	{ "local", 'l', false, NULL, "only make it durable on this machine" },
	{ "quiet", 'q', false, NULL, "no progress bar" },
	CLI_END,
};

static int run(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *result = NULL;
	bool wait = cli_flag(cli, "wait"), local = cli_flag(cli, "local");
	struct progress bar;
	struct err why = { "" };
	int r;

	if (wait && local)
		return exits_say(EXITS_USAGE,
				 "sync: --wait and --local exclude each other");
	r = client_connect(verbs_drive(cli), &c, NULL);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is not mounted; fildrive mount --drive %s MOUNTPOINT",
				 verbs_drive(cli), verbs_drive(cli));
	progress_init(&bar, cli_flag(cli, "quiet"));
	r = client_call(c,
			json_pack("{s:s, s:b, s:b}", "verb", "sync", "wait",
				  wait, "local", local),
			-1, progress_line, &bar, &result, &why);
	progress_fini(&bar);
	if (r == -ECANCELED && wait)
		return exits_say(EXITS_DIRTY, "%s", why.text);
	return r < 0 ? exits_err(r, &why, "sync") : EXITS_OK;
}

const struct cli_verb verb_sync = {
	.name = "sync",
	.args = "",
	.summary = "make all changes durable, and send them to the stores",
	.details = "Without --wait it returns when everything is durable on this machine and\n"
		   "sending has been asked for; --local does not ask for it. --wait names a store\n"
		   "that does not answer at all, and waits for it no longer. A file that is damaged\n"
		   "on this disk is left behind and named: all else is sent, then it fails.",
	.options = options,
	.run = run,
};
