/* drive_lock.c - one process at a time works on a drive */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "daemon/drive.h"
#include "daemon/mounts.h"

#define DYING_MS   30000 /* one that has ended, but for its last threads */
#define LEAVING_MS 60000 /* one whose mount is gone: it writes what it has */
#define STEP_MS    10
#define SAY_MS     1000 /* a wait that a person notices is explained */
#define TEXT_MAX   (PATH_MAX + 96) /* bytes of the lock file, with NUL */

/* Behind the pid, once that process has mounted the drive; then the device, a space,
 * the mountpoint. */
#define MOUNTED " mounted "

/* Who has the lock, as the lock file says. */
struct holder {
	long pid;                       /* -1: unknown */
	char device[MOUNTS_DEVICE_MAX]; /* empty: not mounted, or not known as what */
	char mountpoint[PATH_MAX];
};

static int open_lock(const struct drive *d, int flags)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", d->dir, DRIVE_LOCK_FILE) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

static struct holder read_holder(int fd)
{
	char text[TEXT_MAX] = "", *end = text;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	struct holder h = { .pid = n > 0 ? strtol(text, &end, 10) : 0 };

	if (h.pid <= 0)
		h.pid = -1;
	if (h.pid > 0 && strncmp(end, MOUNTED, strlen(MOUNTED)) == 0) {
		char *dev = end + strlen(MOUNTED), *at = strchr(dev, ' ');

		text[n - 1] = '\0'; /* the newline; a path may have others */
		if (!at)
			return h;
		*at++ = '\0';
		text_copy(h.device, sizeof(h.device), dev);
		text_copy(h.mountpoint, sizeof(h.mountpoint), at);
	}
	return h;
}

/* at: NULL, not mounted yet. */
static int write_holder(int fd, const struct mounts_entry *at)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%ld%s%s%s%s\n", (long)getpid(),
			 at ? MOUNTED : "", at ? at->device : "", at ? " " : "",
			 at ? at->mountpoint : "");

	if ((size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	if (ftruncate(fd, 0) < 0)
		return -errno;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -EIO;
}

/*
 * A daemon keeps its lock until its last thread is gone, which takes a moment after
 * the mount has died, and seconds where others have all the processors.  Is `pid` on
 * that way?
 */
static bool is_dying(long pid)
{
	char path[48], stat[512];
	_cleanup_close_ int fd = -1;
	const char *state;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return n == 0 || errno == ESRCH;
	stat[n] = '\0';
	state = strrchr(stat, ')'); /* behind the name, whatever that is */
	return state && state[1] && (state[2] == 'Z' || state[2] == 'X');
}

/*
 * Milliseconds that this holder is worth waiting for, 0: it is at work.  One that
 * had mounted the drive, and whose mount has gone (umount(8) does not wait for the
 * daemon), is about to end.
 */
static int worth_waiting(struct holder h)
{
	int r;

	if (is_dying(h.pid))
		return DYING_MS;
	r = h.device[0] ? mounts_shows(h.pid, h.device, h.mountpoint) : 1;
	/* it has no mounts to show any more: it has begun to die since */
	if (r == -ENOENT || r == -ESRCH || r == -EINVAL)
		return DYING_MS;
	return r == 0 ? LEAVING_MS : 0;
}

/* 0 or -errno of fcntl(2); waits for a holder that is ending. */
static int take_lock(const struct drive *d, int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int ms = 0;; ms += STEP_MS) {
		struct holder h;

		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		h = read_holder(fd);
		if (ms >= worth_waiting(h))
			return -EAGAIN;
		if (ms == SAY_MS)
			(void)fprintf(stderr,
				      "Waiting for process %ld to end its last mount of drive '%s'.\n",
				      h.pid, d->name);
		(void)poll(NULL, 0, STEP_MS); /* a pause */
	}
}

int drive_lock(struct drive *d, struct err *reterr)
{
	_cleanup_close_ int fd = open_lock(d, O_RDWR | O_CREAT);
	long holder;
	int r;

	if (fd < 0)
		return err_set(reterr, fd, "%.160s/lock: %s", d->dir, err_str(fd));
	r = take_lock(d, fd);
	if (r < 0) {
		if (r != -EAGAIN)
			return err_set(reterr, r, "%.160s/lock: %s", d->dir,
				       err_str(r));
		holder = read_holder(fd).pid;
		if (holder < 0)
			return err_set(reterr, -ENOTUNIQ,
				       "drive '%.64s' is in use by another process",
				       d->name);
		return err_set(reterr, -ENOTUNIQ,
			       "drive '%.64s' is in use by process %ld; fildrive umount --drive %.64s ends it",
			       d->name, holder, d->name);
	}
	r = write_holder(fd, NULL);
	if (r < 0)
		return err_set(reterr, r, "%.160s/lock: cannot write the pid",
			       d->dir);
	d->lock_fd = fd;
	fd = -1;
	return 0;
}

int drive_lock_mounted(const struct drive *d, const char *mountpoint)
{
	_cleanup_(mounts_entry_fini) struct mounts_entry at = { .drive = NULL };
	int r = mounts_find(mountpoint, &at);

	return r < 0 ? r : write_holder(d->lock_fd, &at);
}

long drive_lock_holder(const struct drive *d)
{
	_cleanup_close_ int fd = open_lock(d, O_RDONLY);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &whole) < 0)
		return -1;
	return whole.l_type == F_UNLCK ? 0 : read_holder(fd).pid;
}
