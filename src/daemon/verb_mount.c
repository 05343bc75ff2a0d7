/*
 * verb_mount.c - fildrive mount, and the helper of mount(8)
 *
 * The command forks first.  The child asks for the passphrase while it still has
 * the terminal, locks and opens the drive, and mounts; the parent waits on a
 * pipe and leaves with the child's word: the mount is usable, or the exit code
 * of what went wrong, which the child has printed.  Keys never pass a fork.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/daemon.h"
#include "daemon/drive.h"
#include "daemon/engine.h"
#include "daemon/exits.h"
#include "daemon/mountopt.h"
#include "daemon/mounts.h"
#include "daemon/notify.h"
#include "daemon/passphrase.h"
#include "daemon/snapmount.h"
#include "daemon/units.h"
#include "daemon/verbs.h"
#include "fuse/session.h"

enum {
	MOUNT_USAGE = 1, /* of mount(8) */
	MOUNT_FAILED = 32
};

static const struct cli_option options[] = {
	CLI_DRIVE,
	CLI_PASSFILE,
	CLI_EXTPASS,
	{ "options", 'o', true, "OPTS", "mount options, with commas" },
	{ "snapshot", 0, false, "N", "show commit N, read only" },
	{ "foreground", 'f', false, NULL, "stay in the foreground, log to stderr" },
	{ "verbose", 'v', false, NULL, "log more" },
	CLI_END,
};

struct mounting {
	const char *drive;
	struct passphrase_from from;
	struct mountopt opt;
	const char *mountpoint;
	const struct drive *locked; /* NULL: a snapshot is shown */
	bool foreground;
	bool read_only;
	bool left;         /* threads hang in a store */
	uint64_t snapshot; /* 0: the drive itself */
	int ready_fd;      /* the parent's pipe; -1: foreground */
};

/* ---- the parent ---- */

/* One byte: the exit code.  None: the child died.  Unless the drive is mounted now,
 * there is no child any more on return: whoever tries again meets nobody. */
static int wait_for_child(int fd, pid_t pid)
{
	unsigned char code = 0;
	int status = 0;
	ssize_t n;

	do {
		n = read(fd, &code, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 1 && code == EXITS_OK)
		return code;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return exits_say(EXITS_GENERIC, "lost the daemon");
	if (n == 1)
		return code;
	if (WIFSIGNALED(status))
		return exits_say(EXITS_GENERIC,
				 "the daemon was ended by signal %d before the mount",
				 WTERMSIG(status));
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXITS_GENERIC;
}

/* ---- the child ---- */

/* Out of the terminal's sight; what stdio had is gone. */
static int detach(void)
{
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return -errno;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (dup2(null, fd) < 0)
			return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

static int on_ready(void *ctx)
{
	struct mounting *m = ctx;
	unsigned char code = EXITS_OK;
	int fd = m->ready_fd;

	/* What cannot be noted is not waited for. */
	if (m->locked)
		best_effort(drive_lock_mounted(m->locked, m->mountpoint));
	notify_systemd("READY=1");
	if (fd < 0)
		return 0;
	log_to_syslog("fildrive");
	if (detach() < 0)
		log_warn("cannot leave the terminal");
	m->ready_fd = -1;
	/* SIGPIPE is ignored: a parent that was interrupted shows as EPIPE. */
	if (write(fd, &code, 1) != 1)
		return -EPIPE;
	(void)close(fd); /* a pipe */
	return 0;
}

static int exit_of_part(enum daemon_part part, int r)
{
	int code = (int)exits_of(r);

	if (part != DAEMON_SESSION || code != EXITS_GENERIC)
		return code;
	switch (r) {
	case -ENODEV:
	case -EPERM:
	case -EACCES: return EXITS_FUSE;
	case -EINVAL: return EXITS_USAGE;
	default: return EXITS_MOUNTPOINT;
	}
}

/* The drive itself, alone; or a temporary one that shows a snapshot. */
static int unlock(struct mounting *m, struct drive *d, struct drive **ret_shown)
{
	struct err why = { "" };
	int code, r = 0;

	if (!m->opt.snapshot[0])
		r = drive_lock(d, &why);
	if (r < 0)
		return exits_err(r, &why, "locking the drive");
	m->locked = m->opt.snapshot[0] ? NULL : d;
	r = drive_unlock(d, &m->from, NULL, &why);
	if (r < 0) {
		code = (int)exits_of(r);
		return exits_say(code == EXITS_GENERIC ? EXITS_PASSWORD : code,
				 "%s", why.text[0] ? why.text : err_str(r));
	}
	if (!m->opt.snapshot[0])
		return 0;
	m->read_only = true;
	r = snapmount_open(d, m->snapshot, ret_shown, &m->left, &why);
	return r < 0 ? exits_err(r, &why, "opening the snapshot") : 0;
}

static int serve(struct mounting *m)
{
	_cleanup_(snapmount_closep) struct drive *shown = NULL;
	_cleanup_drive_ struct drive *d = NULL;
	struct daemon_params p = {
		.mountpoint = m->mountpoint,
		.opts = m->opt.rest[0] ? m->opt.rest : NULL,
		.engine = engine_default(),
		.ready = on_ready,
		.ctx = m,
	};
	enum daemon_part part = DAEMON_CONTROL;
	struct err why = { "" };
	bool left = false;
	int r = verbs_prepare();

	if (r)
		return r;
	r = drive_open(m->drive, &d, &why);
	if (r < 0)
		return exits_say(r == -ENOSPC || r == -EIO ? (int)exits_of(r) :
							     EXITS_CONFIG,
				 "%s", why.text[0] ? why.text : err_str(r));
	if (m->opt.has_cache_size)
		d->config.cache_size = m->opt.cache_size;
	r = unlock(m, d, &shown);
	if (r)
		return r;
	if (!m->foreground && setsid() < 0)
		return exits_err(-errno, NULL, "leaving the terminal");
	p.drive = shown ? shown : d;
	p.read_only = m->read_only;
	r = daemon_run(&p, &part, &left, &why);
	m->left |= left;
	notify_systemd("STOPPING=1");
	if (m->left) {
		snapmount_leave(steal(&shown));
		drive_leave(steal(&d));
	}
	if (r == 0)
		return EXITS_OK;
	if (m->ready_fd < 0 && !m->foreground) {
		log_line(LOG_LEVEL_ERROR, "%s", why.text); /* stderr has gone */
		return exit_of_part(part, r);
	}
	return exits_say(exit_of_part(part, r), "%s%s", why.text,
			 r == -EUCLEAN ? "; fildrive fsck says what helps" : "");
}

static int in_background(struct mounting *m)
{
	_cleanup_close_ int in = -1;
	unsigned char code;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return exits_err(-errno, NULL, "starting the daemon");
	in = fds[0];
	(void)fflush(NULL); /* or both print it */
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		(void)close(fds[1]); /* a pipe */
		return exits_err(r, NULL, "starting the daemon");
	}
	if (pid > 0) {
		(void)close(fds[1]); /* its end has to be the child's alone */
		return wait_for_child(in, pid);
	}
	(void)close(in); /* the parent's */
	in = -1;
	m->ready_fd = fds[1];
	code = (unsigned char)serve(m);
	if (m->ready_fd >= 0 && write(m->ready_fd, &code, 1) != 1)
		code = EXITS_GENERIC; /* the parent has gone: nobody to tell */
	return code;
}

/* ---- both ways in ---- */

/* Absolute, and fit to mount on; the reason is said. */
static int check_mountpoint(const char *path, char **ret)
{
	_cleanup_(mounts_entry_fini) struct mounts_entry there = { .drive = NULL };
	struct stat st;
	int r = mounts_absolute(path, ret);

	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT, "mountpoint %s: %s", path,
				 err_str(r));
	if (mounts_find(*ret, &there) == 0) {
		if (stat(*ret, &st) < 0 && errno == ENOTCONN)
			return exits_say(EXITS_MOUNTPOINT,
					 "%s has a dead mount on it; fildrive umount %s removes it",
					 path, path);
		return exits_say(EXITS_MOUNTPOINT,
				 "drive '%s' is mounted at %s already",
				 there.drive, path);
	}
	if (stat(*ret, &st) < 0)
		return exits_say(EXITS_MOUNTPOINT, "mountpoint %s: %s", path,
				 err_str(errno));
	if (!S_ISDIR(st.st_mode))
		return exits_say(EXITS_MOUNTPOINT,
				 "mountpoint %s: not a folder", path);
	return 0;
}

/* Of a daemon that cannot be asked: no, and then it refuses changes itself. */
static bool was_mounted_read_only(const char *drive, const char *mountpoint)
{
	_cleanup_client_ struct client_conn *c = NULL;
	_cleanup_json_ json_t *status = NULL;
	_cleanup_free_ char *at = NULL;

	if (client_connect(drive, &c, NULL) < 0 || client_status(c, &status) < 0)
		return false;
	at = answer_mountpoint(status);
	return at && strcmp(at, mountpoint) == 0 &&
	       json_is_true(json_object_get(status, "read_only"));
}

/* As the flags are, but for what was asked; no passphrase is needed for that. */
static int remount(const struct mounting *m, const char *path)
{
	_cleanup_(mounts_entry_fini) struct mounts_entry there = { .drive = NULL };
	_cleanup_free_ char *at = NULL;
	struct err why = { "" };
	int r = mounts_absolute(path, &at);

	if (r == 0)
		r = mounts_find(at, &there);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT, "no drive is mounted at %s",
				 path);
	r = session_remount(at, m->opt.rest,
			    was_mounted_read_only(there.drive, at), &why);
	if (r == -EINVAL)
		return exits_say(EXITS_USAGE, "%s", why.text);
	if (r == -EPERM)
		return exits_say(EXITS_FUSE, "%s", why.text);
	if (r < 0)
		return exits_say(EXITS_MOUNTPOINT, "%s", why.text);
	return EXITS_OK;
}

static int mount_drive(struct mounting *m, const char *path)
{
	_cleanup_free_ char *at = NULL, *real = NULL;
	struct err why = { "" };
	int r;

	if (m->opt.remount)
		return remount(m, path);
	r = session_check_opts(m->opt.rest, &m->read_only, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	r = check_mountpoint(path, &at);
	if (r)
		return r;
	real = realpath(at, NULL);
	m->mountpoint = real ? real : at;
	if (m->opt.verbose)
		log_level_set(LOG_LEVEL_DEBUG);
	m->ready_fd = -1;
	r = m->foreground ? serve(m) : in_background(m);
	if (m->left) {
		(void)fflush(NULL); /* nobody reads what is left */
		_exit(r); /* other threads are at work: no destructors */
	}
	return r;
}

static int add_options(struct mounting *m, const struct cli_value *v)
{
	struct err why = { "" };

	for (int i = 0; i < v->n; i++)
		if (mountopt_parse(v->v[i], &m->opt, &why) < 0)
			return exits_say(EXITS_USAGE, "%s", why.text);
	return 0;
}

/* -o overrides nothing that stands on the command line itself. */
static void fill_from_options(struct mounting *m)
{
	if (!m->from.passfile && !m->from.extpass) {
		if (m->opt.passfile[0])
			m->from.passfile = m->opt.passfile;
		else if (m->opt.extpass[0])
			m->from.extpass = m->opt.extpass;
	}
	if (!m->drive)
		m->drive = m->opt.drive[0] ? m->opt.drive : CLI_DRIVE_DEFAULT;
	m->foreground |= m->opt.foreground;
}

/* --snapshot or -o snapshot=N. */
static int snapshot_from_options(struct mounting *m, const char *given)
{
	if (given)
		text_copy(m->opt.snapshot, sizeof(m->opt.snapshot), given);
	if (m->opt.snapshot[0] &&
	    (units_number(m->opt.snapshot, &m->snapshot) < 0 || m->snapshot == 0))
		return exits_say(
			EXITS_USAGE,
			"--snapshot wants the number of a commit; see fildrive snapshots");
	return 0;
}

static int run(const struct cli *cli)
{
	_cleanup_free_ struct mounting *m = calloc(1, sizeof(*m));
	struct err why = { "" };
	int r;

	if (!m)
		return exits_err(-ENOMEM, NULL, "mount");
	r = add_options(m, cli_value(cli, "options"));
	if (r)
		return r;
	m->from.prompt = "Passphrase";
	r = passphrase_from_cli(cli, "passfile", "extpass", &m->from, &why);
	if (r < 0)
		return exits_say(EXITS_USAGE, "%s", why.text);
	m->drive = cli_get(cli, "drive");
	m->foreground = cli_flag(cli, "foreground");
	m->opt.verbose |= cli_flag(cli, "verbose");
	fill_from_options(m);
	r = snapshot_from_options(m, cli_get(cli, "snapshot"));
	return r ? r : mount_drive(m, cli->args[0]);
}

const struct cli_verb verb_mount = {
	.name = "mount",
	.args = "MOUNTPOINT",
	.min_args = 1,
	.max_args = 1,
	.summary = "mount a drive; returns when it is usable",
	.details = "Ended by fildrive umount, fusermount3 -u, or SIGTERM, each of which writes\n"
		   "what was acknowledged to the local disk first.",
	.options = options,
	.run = run,
};

/* ---- mount(8): mount.fildrive DRIVE MOUNTPOINT [-sfnv] [-N ns] [-t type] [-o opts] ---- */

int verbs_mount_helper(int argc, char **argv)
{
	_cleanup_free_ struct mounting *m = calloc(1, sizeof(*m));
	struct err why = { "" };
	const char *words[2] = { NULL, NULL };
	int n = 0, r;

	if (!m)
		return MOUNT_FAILED;
	/*
	 * suid and dev are what mount(8) means when it says neither, and for FUSE
	 * they have to be said; nosuid behind them wins.
	 */
	if (geteuid() == 0 && mountopt_parse("suid,dev", &m->opt, &why) < 0)
		return exits_say(MOUNT_USAGE, "%s", why.text);
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
			r = mountopt_parse(argv[++i], &m->opt, &why);
			if (r < 0)
				return exits_say(MOUNT_USAGE, "%s", why.text);
		} else if (strcmp(argv[i], "-t") == 0 || strcmp(argv[i], "-N") == 0) {
			i++; /* of mount(8), means nothing here */
		} else if (argv[i][0] == '-') {
			if (strspn(argv[i] + 1, "sfnv") != strlen(argv[i]) - 1)
				return exits_say(MOUNT_USAGE,
						 "unknown option %s", argv[i]);
			if (strchr(argv[i], 'f'))
				return EXITS_OK; /* mount -f: only pretend */
		} else if (n < 2) {
			words[n++] = argv[i];
		} else {
			n = 3;
		}
	}
	if (n != 2)
		return exits_say(MOUNT_USAGE,
				 "usage: mount.fildrive DRIVE MOUNTPOINT [-o OPTIONS]");
	if (strncmp(words[0], "fildrive:", 9) == 0)
		words[0] += 9; /* as mount(8) shows it */
	if (!m->opt.drive[0])
		m->drive = words[0];
	m->from.prompt = "Passphrase";
	fill_from_options(m);
	if (snapshot_from_options(m, NULL))
		return MOUNT_USAGE;
	m->foreground = false;
	r = mount_drive(m, words[1]);
	if (r == EXITS_OK)
		return EXITS_OK;
	return r == EXITS_USAGE ? MOUNT_USAGE : MOUNT_FAILED;
}
