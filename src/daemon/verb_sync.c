/* verb_sync.c - fildrive sync: to the local disk, or to the stores */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/thread.h"
#include "daemon/client.h"
#include "daemon/exits.h"
#include "daemon/progress.h"
#include "daemon/verbs.h"

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "wait", 'w', false, NULL, "return when all is at the stores" },
	{ "local", 'l', false, NULL, "only make it durable on this machine" },
	{ "quiet", 'q', false, NULL, "no progress bar, no word on stores" },
	CLI_END,
};

#define LOOK_FIRST_MS 4000 /* after so long it is asked what is waited for */
#define LOOK_MS       1000 /* and so often from then on */

/* A sync that goes on. */
struct waiting {
	const char *drive;
	struct progress bar;
	bool quiet;
	uint64_t look_ms; /* when the stores are looked at next */
	json_t *said;     /* by URL: the last state that was told */
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void say_store(struct waiting *w, const json_t *store)
{
	const char *url = text_of(store, "url"), *state = text_of(store, "state");
	const char *error = text_of(store, "error");
	const char *was = text_of(w->said, url);

	/* Whoever has not been missed need not be welcomed. */
	if (strcmp(was, state) == 0 || (!was[0] && strcmp(state, "away") != 0 &&
					strcmp(state, "not answering") != 0))
		return;
	/* Without memory for it, it is said again. */
	(void)json_object_set_new(w->said, url, json_string(state));
	progress_wipe(&w->bar);
	(void)fprintf(stderr, "fildrive: sync waits; store ");
	exits_store(stderr, url);
	(void)fprintf(stderr, ": %s", state);
	if (error[0])
		(void)fprintf(stderr, " (%s)", error);
	(void)fprintf(stderr, "\n");
}

/* What `status` says of each store, once for each change. */
static void say_stores(struct waiting *w)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *status = NULL;
	const json_t *stores;

	/* A daemon that cannot be asked will end the sync, and that be said. */
	if (client_connect(w->drive, &c, NULL) < 0 || client_status(c, &status) < 0)
		return;
	stores = json_object_get(status, "stores");
	for (size_t i = 0; i < json_array_size(stores); i++)
		say_store(w, json_array_get(stores, i));
}

static void on_progress(void *ctx, const json_t *line)
{
	struct waiting *w = ctx;

	if (!w->quiet && monotonic_ms() >= w->look_ms) {
		say_stores(w);
		w->look_ms = monotonic_ms() + LOOK_MS;
	}
	progress_line(&w->bar, line);
}

static int run(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *result = NULL;
	bool wait = cli_flag(cli, "wait"), local = cli_flag(cli, "local");
	struct waiting w = { .drive = verbs_drive(cli),
			     .quiet = cli_flag(cli, "quiet"),
			     .look_ms = monotonic_ms() + LOOK_FIRST_MS };
	struct err why = { "" };
	int r;

	if (wait && local)
		return exits_say(EXITS_USAGE,
				 "sync: --wait and --local exclude each other");
	r = client_connect(w.drive, &c, NULL);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is not mounted; fildrive mount --drive %s MOUNTPOINT",
				 w.drive, w.drive);
	w.said = json_object();
	progress_init(&w.bar, w.quiet);
	r = client_call(c,
			json_pack("{s:s, s:b, s:b}", "verb", "sync", "wait",
				  wait, "local", local),
			-1, on_progress, &w, &result, &why);
	progress_fini(&w.bar);
	json_decref(w.said);
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
