/*
 * verb_umount.c - fildrive umount: nothing acknowledged is lost, no upload is
 * waited for
 *
 * The daemon is asked first to say when it has ended, then the kernel to
 * unmount, which ends the daemon.  A mount whose daemon does not listen to us
 * (dead, or another user's) is unmounted all the same.  One that lives and does not
 * answer (its machine is busy, or somebody has stopped it) is waited for afterwards.
 */
#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/drive.h"
#include "daemon/exits.h"
#include "daemon/mounts.h"
#include "daemon/verbs.h"
#include "net/json.h"

#define UNLOCK_MS 10000
#define HELD_MS   5000 /* a mount that ends takes less, as a rule */
/*
 * Who looks at every mount in passing (df, an indexer) is gone in a moment: a second,
 * which is counted in looks, since a busy machine may have time for one in as long.
 */
#define BUSY_LOOKS    50
#define BUSY_PAUSE_MS 20

static const struct cli_option options[] = {
	CLI_DRIVE,
	{ "lazy", 'z', false, NULL,
	  "out of sight at once, gone when its last file is closed" },
	CLI_END,
};

/* The answer to "status": 1: the daemon behind our socket is the one of this mount; 0:
 * it is not; or as client_recv(). */
static int is_ours(struct client_conn *c, const char *mountpoint,
		   int timeout_ms, long *ret_pid)
{
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *at = NULL;
	int r = client_recv(c, timeout_ms, &status);

	if (r < 0)
		return r;
	if (answer_end(status, NULL) != 0)
		return 0;
	at = answer_mountpoint(status);
	*ret_pid = (long)json_integer_value(json_object_get(status, "pid"));
	return at && strcmp(at, mountpoint) == 0;
}

/*
 * By its mountpoint, or through its own daemon: names alone are not unique, other
 * users and homes may have a drive of the same name.
 */
static int find(const struct cli *cli, struct mounts_entry *ret)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *at = NULL;
	const char *name = verbs_drive(cli);
	int r;

	if (cli->n_args) {
		r = mounts_absolute(cli->args[0], &at);
		if (r == 0)
			r = mounts_find(at, ret);
		if (r < 0)
			return exits_say(EXITS_MOUNTPOINT,
					 "no drive is mounted at %s", cli->args[0]);
		return 0;
	}
	r = client_connect(name, &c, NULL);
	if (r == 0)
		r = client_status(c, &status);
	if (r == -ETIMEDOUT)
		return exits_say(EXITS_MOUNTPOINT,
				 "the daemon of drive '%s' does not answer; it is unmounted all the same by its mountpoint",
				 name);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is not mounted (a dead mount is named by its mountpoint)",
				 name);
	ret->mountpoint = answer_mountpoint(status);
	ret->drive = strdup(name);
	return ret->mountpoint && ret->drive ? 0 :
					       exits_err(-ENOMEM, NULL, "umount");
}

/*
 * Registered for the end, so that the answer cannot be missed.  *ret_pid 0: it has not
 * said yet whose daemon it is.
 */
static struct client_conn *enlist(const struct mounts_entry *m, long *ret_pid)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *line = NULL;
	int r;

	if (client_connect(m->drive, &c, NULL) < 0 ||
	    client_send(c, json_pack("{s:s}", "verb", "status")) < 0 ||
	    client_send(c, json_pack("{s:s}", "verb", "umount")) < 0)
		return NULL;
	r = is_ours(c, m->mountpoint, CLIENT_WAIT_MS, ret_pid);
	if (r == -ETIMEDOUT)
		return steal(&c);
	if (r <= 0)
		return NULL;
	r = client_recv(c, CLIENT_WAIT_MS, &line);
	return r == 0 || r == -ETIMEDOUT ? steal(&c) : NULL;
}

/* The mount is gone, and its daemon may have to write yet.  False: it is not its. */
static bool wait_for_word(struct client_conn *c, const char *mountpoint, long *ret_pid)
{
	(void)fprintf(stderr,
		      "%s is unmounted; waiting for its daemon, which does not answer.\n",
		      mountpoint);
	/* It may be too far on the way to its end to say more than that. */
	return is_ours(c, mountpoint, -1, ret_pid) != 0 || !*ret_pid;
}

/*
 * A mount has a copy in each mount namespace that was made meanwhile (a container, a
 * service with folders of its own), and its daemon serves it until the last one is gone.
 */
static bool is_held(const struct mounts_entry *m)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *status = NULL;

	if (client_connect(m->drive, &c, NULL) < 0 || client_status(c, &status) < 0 ||
	    !json_is_true(json_object_get(status, "mounted")))
		return false;
	(void)fprintf(stderr,
		      "%s is unmounted here; a container or a service still has it. Waiting for its end;\n"
		      "fildrive lock --drive %s takes it away.\n",
		      m->mountpoint, m->drive);
	return true;
}

static int wait_for_end(struct client_conn *c, const struct mounts_entry *m)
{
	bool held = false;

	for (;;) {
		_cleanup_json_ json_t *line = NULL;
		struct err why = { "" };
		int r = client_recv(c, held ? -1 : HELD_MS, &line);

		if (r == -ETIMEDOUT) {
			held = is_held(m);
			continue;
		}
		if (r < 0)
			return exits_say(
				EXITS_DIRTY,
				"the daemon ended without saying that all is on disk; see its log, and fildrive fsck");
		r = answer_end(line, &why);
		if (r <= 0)
			return r ? exits_err(r, &why, "umount") : EXITS_OK;
	}
}

/* The last words come a moment before the end, which is when the lock goes. */
static void wait_for_unlock(const char *name, long pid)
{
	_cleanup_drive_ struct drive *d = NULL;

	if (drive_open(name, &d, NULL) < 0)
		return; /* all was said already */
	for (int ms = 0; ms < UNLOCK_MS && drive_lock_holder(d) == pid; ms++)
		(void)poll(NULL, 0, 1); /* a pause */
}

static int unmount(const char *mountpoint, bool lazy, struct err *reterr)
{
	unsigned looks = 0;
	int r;

	while ((r = mounts_unmount(mountpoint, lazy, reterr)) == -EBUSY &&
	       ++looks < BUSY_LOOKS)
		(void)poll(NULL, 0, BUSY_PAUSE_MS); /* a pause */
	return r;
}

static int run(const struct cli *cli)
{
	_cleanup_(mounts_entry_fini) struct mounts_entry m = { .drive = NULL };
	_cleanup_client_ struct client_conn *c = NULL;
	bool lazy = cli_flag(cli, "lazy");
	long pid = 0;
	struct err why = { "" };
	int r = find(cli, &m);

	if (r)
		return r;
	assert(m.mountpoint && m.drive);
	c = enlist(&m, &pid);
	r = unmount(m.mountpoint, lazy, &why);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT, "%s",
				 why.text[0] ? why.text : err_str(r));
	if (!c || lazy)
		return EXITS_OK;
	if (!pid && !wait_for_word(c, m.mountpoint, &pid))
		return EXITS_OK;
	r = wait_for_end(c, &m);
	wait_for_unlock(m.drive, pid);
	best_effort(client_wait_end(c, UNLOCK_MS)); /* all was said already */
	return r;
}

const struct cli_verb verb_umount = {
	.name = "umount",
	.args = "[MOUNTPOINT]",
	.max_args = 1,
	.summary = "unmount a drive; returns when all changes are on the local disk",
	.details = "Does not wait for uploads: they go on at the next mount. To have all at\n"
		   "the stores first: fildrive sync --wait.",
	.options = options,
	.run = run,
};
