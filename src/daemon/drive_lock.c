/* drive_lock.c - one process at a time works on a drive */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "daemon/drive.h"
#include "daemon/lock_text.h"
#include "daemon/mounts.h"
#include "daemon/proc_text.h"

#define DYING_MS   30000 /* one that has ended, but for its last threads */
#define LEAVING_MS 60000 /* one whose mount is gone: it writes what it has */
#define WRITING_MS 1000  /* one that has not written yet who it is */
#define STEP_MS    10
#define SAY_MS     1000 /* a wait that a person notices is explained */

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

static void read_holder(int fd, struct lock_text *ret)
{
	char text[LOCK_TEXT_MAX] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	*ret = lock_text_read(text, n > 0 ? (size_t)n : 0);
}

/* at: NULL, not mounted yet. */
static int write_holder(int fd, const struct mounts_entry *at)
{
	struct lock_text h = { .pid = (long)getpid() };
	char text[LOCK_TEXT_MAX];
	int n;

	if (at) {
		if (strlen(at->mountpoint) >= sizeof(h.mountpoint))
			return -ENAMETOOLONG;
		text_copy(h.device, sizeof(h.device), at->device);
		text_copy(h.mountpoint, sizeof(h.mountpoint), at->mountpoint);
	}
	n = lock_text_make(&h, text);
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
	ssize_t n;
	char state;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid); /* fits */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, stat, sizeof(stat) - 1);
	if (n <= 0)
		return n == 0 || errno == ESRCH;
	stat[n] = '\0';
	state = proc_state(stat);
	return state == 'Z' || state == 'X';
}

/*
 * Milliseconds that this holder is worth waiting for, 0: it is at work.  Who it is may
 * be about to be written, or cannot be read, and is never known then.  One that had
 * mounted the drive, and whose mount has gone (umount(8) does not wait for the
 * daemon), is about to end.
 */
static int worth_waiting(const struct lock_text *h)
{
	int r;

	if (h->pid < 0)
		return WRITING_MS;
	if (is_dying(h->pid))
		return DYING_MS;
	r = h->device[0] ? mounts_shows(h->pid, h->device, h->mountpoint) : 1;
	/* it has no mounts to show any more: it has begun to die since */
	if (r == -ENOENT || r == -ESRCH || r == -EINVAL)
		return DYING_MS;
	return r == 0 ? LEAVING_MS : 0;
}

/* 0 or -errno of fcntl(2), -EAGAIN with the holder; waits for one that is ending. */
static int take_lock(const struct drive *d, int fd, long *ret_holder)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct lock_text h;

	for (int ms = 0;; ms += STEP_MS) {
		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		read_holder(fd, &h);
		*ret_holder = h.pid;
		if (ms >= worth_waiting(&h))
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
	long holder = -1;
	int r;

	if (fd < 0)
		return err_set(reterr, fd, "%.160s/lock: %s", d->dir, err_str(fd));
	r = take_lock(d, fd, &holder);
	if (r < 0) {
		if (r != -EAGAIN)
			return err_set(reterr, r, "%.160s/lock: %s", d->dir,
				       err_str(r));
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
	struct lock_text h;

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &whole) < 0)
		return -1;
	if (whole.l_type == F_UNLCK)
		return 0;
	read_holder(fd, &h);
	return h.pid;
}
