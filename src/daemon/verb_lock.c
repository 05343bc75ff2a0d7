/*
 * verb_lock.c - fildrive lock: the keys leave the memory of this machine
 *
 * The daemon is told to end at once: what was acknowledged goes to the local disk,
 * what the kernel has cached is dropped, the mount goes although it may be busy,
 * and the process ends; nothing that holds a key is left.  A drive's snapshots are
 * mounts with the same keys, and go with it.
 *
 * Which daemons there are is what the drive directories say: the lock of each, and
 * for snapshots their temporary folders (snapmount.h).
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/path.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/verbs.h"

#define GONE_MS 10000 /* from the last words to the end of the process */

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "all", 'a', false, NULL, "every drive of this user, and every snapshot" },
	CLI_END,
};

/* What a folder of the home is named, and what its daemon is asked by. */
struct held {
	char drive[NAME_MAX + 1]; /* whose keys they are */
	char name[NAME_MAX + 1];  /* of the socket: the drive, or drive.N */
	bool snapshot;
};

/* NAME/ is a drive, .NAME.N-XXXXXX/ shows commit N of one. */
static bool parse(const char *folder, struct held *ret)
{
	char *end;

	*ret = (struct held){ .snapshot = folder[0] == '.' };
	text_copy(ret->name, sizeof(ret->name), folder + ret->snapshot);
	if (ret->snapshot) {
		end = strrchr(ret->name, '-');
		if (!end)
			return false;
		*end = '\0';
	}
	text_copy(ret->drive, sizeof(ret->drive), ret->name);
	if (ret->snapshot) {
		end = strrchr(ret->drive, '.');
		if (!end)
			return false;
		*end = '\0';
	}
	return path_check_name(ret->drive) == 0;
}

/* 0, or an exit code that was said. */
static int end_daemon(struct client_conn *c, const char *name)
{
	_cleanup_json_ json_t *ended = NULL;
	struct err why = { "" };
	int r = client_call(c, json_pack("{s:s}", "verb", "lock"), -1, NULL,
			    NULL, &ended, &why);

	if (r < 0)
		return exits_say(EXITS_DIRTY,
				 "drive '%s' has ended without saying that all is on disk (%s); see its log, and fildrive fsck",
				 name, why.text[0] ? why.text : err_str(r));
	r = client_wait_end(c, GONE_MS);
	if (r < 0)
		return exits_say(EXITS_LOCKED,
				 "drive '%s' is unmounted, and all is on disk, but its process has not ended (%s)",
				 name, err_str(r));
	return EXITS_OK;
}

/* Somebody has the lock and does not listen: a command, or another user's. */
static int check_unheld(const struct held *h)
{
	_cleanup_drive_ struct drive *d = NULL;
	long pid;

	if (h->snapshot || drive_open(h->drive, &d, NULL) < 0)
		return EXITS_OK; /* what cannot be opened has no keys */
	pid = drive_lock_holder(d);
	return pid == 0 ?
		       EXITS_OK :
		       exits_say(EXITS_LOCKED,
				 "process %ld works on drive '%s' and has its keys until it ends",
				 pid, h->drive);
}

static int lock_one(const struct held *h, unsigned *n_locked)
{
	_cleanup_client_ struct client_conn *c = NULL;
	struct err why = { "" };
	int r = client_connect(h->name, &c, &why);

	if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR)
		return check_unheld(h);
	if (r < 0)
		return exits_err(r, &why, "lock");
	r = end_daemon(c, h->name);
	if (r == EXITS_OK)
		exits_out("%s '%s' is locked.\n",
			  h->snapshot ? "Snapshot" : "Drive", h->name);
	*n_locked += r == EXITS_OK;
	return r;
}

/* Of one drive, NULL: of all.  All are tried; the first failure is returned. */
static int lock_all(const char *drive, unsigned *n_locked)
{
	_cleanup_free_ char *home = NULL;
	struct dirent *e;
	int first = EXITS_OK, r = path_home(&home);
	DIR *dir;

	if (r < 0)
		return exits_err(r, NULL, "lock");
	dir = opendir(home);
	if (!dir)
		return errno == ENOENT ? EXITS_OK : exits_err(-errno, NULL, home);
	while ((e = readdir(dir))) { // NOLINT(concurrency-mt-unsafe): own stream
		struct held h;

		if (!parse(e->d_name, &h) || (drive && strcmp(drive, h.drive) != 0))
			continue;
		r = lock_one(&h, n_locked);
		first = first ? first : r;
	}
	(void)closedir(dir); /* only read */
	return first;
}

static int run(const struct cli *cli)
{
	bool all = cli_flag(cli, "all");
	unsigned n_locked = 0;
	int r;

	if (all && cli_get(cli, "drive") && !cli_value(cli, "drive")->from_env)
		return exits_say(EXITS_USAGE,
				 "lock: --all and --drive exclude each other");
	if (!all) {
		_cleanup_drive_ struct drive *d = NULL;

		r = verbs_open(cli, &d); /* a name that is none is no success */
		if (r)
			return r;
	}
	r = lock_all(all ? NULL : verbs_drive(cli), &n_locked);
	if (r == EXITS_OK && n_locked == 0)
		exits_out("Nothing is mounted: nothing to lock.\n");
	return r;
}

const struct cli_verb verb_lock = {
	.name = "lock",
	.args = "",
	.summary = "end a mount at once, busy or not: no key stays in memory",
	.details = "What was written is on the local disk first; uploads go on at the next mount.\n"
		   "Programs with open files get errors. To unlock: fildrive mount.",
	.options = options,
	.run = run,
};
