/*
 * verb_status.c - fildrive status: what is where
 *
 * The daemon knows; without one only what stands in the open is said, and what
 * is not known is called unknown (I10).
 */
#include <poll.h>
#include <stdio.h>

#include "base/err.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"
#include "net/json.h"

#define WATCH_MS 1000

static const struct cli_option options[] = {
	CLI_DRIVE,
	CLI_JSON,
	{ "watch", 'w', false, NULL, "say it again every second, until Ctrl-C" },
	CLI_END,
};

/* ---- without a daemon ---- */

static json_t *unmounted(const struct drive *d)
{
	json_t *stores = json_array(), *o;
	long holder = drive_lock_holder(d);

	for (uint64_t i = 0; stores && i < d->config.n_stores; i++)
		if (json_array_append_new(stores,
					  json_pack("{s:o, s:s}", "url",
						    json_text(d->config.stores[i]),
						    "state", "not asked")) < 0) {
			json_decref(stores);
			return NULL;
		}
	o = json_pack("{s:s, s:o, s:b, s:I, s:o, s:[], s:[]}", "drive", d->name,
		      "directory", json_text(d->dir), "mounted", 0, "copies",
		      (json_int_t)d->config.copies, "stores", stores,
		      "warnings", "errors");
	if (o && holder && json_object_set_new(o, "pid", json_integer(holder)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

/* ---- asking ---- */

static int ask(struct client_conn *c, json_t **ret, struct err *why)
{
	return client_call(c, json_pack("{s:s}", "verb", "status"),
			   CLIENT_WAIT_MS, NULL, NULL, ret, why);
}

/* What the daemon cannot know, since passwd works beside it. */
static void add_weak(const struct cli *cli, json_t *status)
{
	_cleanup_drive_ struct drive *d = NULL;
	json_t *warnings = json_object_get(status, "warnings");
	struct err why = { "" };

	if (drive_open(verbs_drive(cli), &d, NULL) == 0 &&
	    drive_warn_weak(d->name, buf_slice(&d->keys_file), &why))
		best_effort(json_array_append_new(warnings, json_text(why.text)));
}

static int get(const struct cli *cli, struct client_conn **c, json_t **ret)
{
	_cleanup_drive_ struct drive *d = NULL;
	struct err why = { "" };
	int r = 0;

	if (!*c)
		r = client_connect(verbs_drive(cli), c, &why);
	if (r == 0) {
		r = ask(*c, ret, &why);
		if (r == 0) {
			add_weak(cli, *ret);
			return EXITS_OK;
		}
		client_close(steal(c));
		if (r != -ECONNRESET)
			return exits_err(r, &why, "status");
	} else if (r != -ENOENT && r != -ECONNREFUSED && r != -EINVAL) {
		return exits_err(r, &why, "status");
	}
	r = verbs_open(cli, &d);
	if (r)
		return r;
	*ret = unmounted(d);
	add_weak(cli, *ret);
	return *ret ? EXITS_OK : exits_err(-ENOMEM, NULL, "status");
}

static int show(const struct cli *cli, struct client_conn **c)
{
	_cleanup_json_ json_t *o = NULL;
	char *dump;
	int r = get(cli, c, &o);

	if (r)
		return r;
	if (!cli_flag(cli, "json")) {
		if (cli_flag(cli, "watch") && isatty(STDOUT_FILENO))
			exits_out("\033[H\033[J");
		answer_say_status(o);
		return EXITS_OK;
	}
	(void)json_object_del(o, "ok"); /* of the protocol; absent is fine */
	dump = json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER);
	if (!dump)
		return exits_err(-ENOMEM, NULL, "status");
	exits_out("%s\n", dump);
	free(dump);
	return EXITS_OK;
}

static int run(const struct cli *cli)
{
	_cleanup_client_ struct client_conn *c = NULL;
	int r = show(cli, &c);

	while (r == 0 && cli_flag(cli, "watch")) {
		if (fflush(stdout) != 0)
			break;                 /* the reader has gone */
		(void)poll(NULL, 0, WATCH_MS); /* a pause */
		r = show(cli, &c);
	}
	return r;
}

const struct cli_verb verb_status = {
	.name = "status",
	.args = "",
	.summary = "say what is dirty, on its way, and held where",
	.details = "Works on a drive that is not mounted too, and says so.",
	.options = options,
	.run = run,
};
