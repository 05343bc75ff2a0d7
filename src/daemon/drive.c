#include "daemon/drive.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "crypto/keys.h"
#include "crypto/slot.h"
#include "daemon/passphrase.h"

#define DYING_MS      3000 /* a daemon that was killed is waited for so long */
#define DYING_STEP_MS 10

static int no_such_drive(const char *name, const char *dir, struct err *reterr)
{
	return err_set(reterr, -ENOENT,
		       "no drive '%.64s' (looked for %.100s); make one: fildrive init --drive %.64s --store URL",
		       name, dir, name);
}

static int read_config(struct drive *d, struct err *reterr)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = io_slurp(d->io, CONFIG_FILE, &text);
	if (r == -ENOENT)
		return err_set(reterr, r,
			       "%.160s is no drive directory: it has no config",
			       d->dir);
	if (r < 0)
		return err_set(reterr, r, "%.160s/config: %s", d->dir, err_str(r));
	return config_parse(buf_slice(&text), &d->config, reterr);
}

int drive_open(const char *name, struct drive **ret, struct err *reterr)
{
	_cleanup_drive_ struct drive *d = calloc(1, sizeof(*d));
	struct stat st;
	int r;

	if (!d)
		return -ENOMEM;
	d->lock_fd = -1;
	buf_init(&d->keys_file, SLOT_FILE_SIZE);
	r = path_drive_dir(name, &d->dir);
	if (r == -EINVAL)
		return err_set(reterr, r,
			       "'%.64s' is no name for a drive: 1 to 64 of A-Z a-z 0-9 . _ -",
			       name);
	if (r < 0)
		return r;
	d->name = strdup(name);
	if (!d->name)
		return -ENOMEM;
	if (stat(d->dir, &st) < 0 && errno == ENOENT)
		return no_such_drive(name, d->dir, reterr);
	r = io_dir_new(d->dir, &d->io);
	if (r < 0)
		return err_set(reterr, r, "%.160s: %s", d->dir, err_str(r));
	r = read_config(d, reterr);
	if (r < 0)
		return r;
	r = io_slurp(d->io, DRIVE_KEYS_FILE, &d->keys_file);
	if (r < 0)
		return err_set(reterr, r, "%.160s/keys: %s", d->dir, err_str(r));
	*ret = steal(&d);
	return 0;
}

void drive_close(struct drive *d)
{
	if (!d)
		return;
	keys_free(d->keys);
	buf_fini(&d->keys_file);
	io_free(d->io);
	if (d->lock_fd >= 0)
		(void)close(d->lock_fd); /* and the lock is gone */
	free(d->dir);
	free(d->name);
	free(d);
}

void drive_leave(struct drive *d)
{
	if (!d)
		return;
	keys_free(d->keys);
	d->keys = NULL;
	if (d->lock_fd >= 0)
		(void)close(d->lock_fd); /* and the lock is gone */
	d->lock_fd = -1;
}

/* ---- the lock ---- */

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

static long read_pid(int fd)
{
	char text[24] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid = n > 0 ? strtol(text, NULL, 10) : 0;

	return pid > 0 ? pid : -1;
}

/*
 * A killed daemon keeps its lock until its last thread is gone, which takes a
 * moment after the mount has died.  Is `pid` on that way?
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

/* 0 or -errno of fcntl(2); waits for a holder that is dying. */
static int take_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	for (int ms = 0;; ms += DYING_STEP_MS) {
		if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (ms >= DYING_MS || !is_dying(read_pid(fd)))
			return -EAGAIN;
		(void)poll(NULL, 0, DYING_STEP_MS); /* a pause */
	}
}

int drive_lock(struct drive *d, struct err *reterr)
{
	_cleanup_close_ int fd = open_lock(d, O_RDWR | O_CREAT);
	char pid[24];
	long holder;
	int n, r;

	if (fd < 0)
		return err_set(reterr, fd, "%.160s/lock: %s", d->dir, err_str(fd));
	r = take_lock(fd);
	if (r < 0) {
		if (r != -EAGAIN)
			return err_set(reterr, r, "%.160s/lock: %s", d->dir,
				       err_str(r));
		holder = read_pid(fd);
		if (holder < 0)
			return err_set(reterr, -ENOTUNIQ,
				       "drive '%.64s' is in use by another process",
				       d->name);
		return err_set(reterr, -ENOTUNIQ,
			       "drive '%.64s' is in use by process %ld; fildrive umount --drive %.64s ends it",
			       d->name, holder, d->name);
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return err_set(reterr, -EIO,
			       "%.160s/lock: cannot write the pid", d->dir);
	d->lock_fd = fd;
	fd = -1;
	return 0;
}

long drive_lock_holder(const struct drive *d)
{
	_cleanup_close_ int fd = open_lock(d, O_RDONLY);
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fd == -ENOENT)
		return 0;
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &whole) < 0)
		return -1;
	return whole.l_type == F_UNLCK ? 0 : read_pid(fd);
}

/* ---- keys ---- */

int drive_unlock(struct drive *d, const struct passphrase_from *from,
		 struct passphrase **ret_used, struct err *reterr)
{
	int tries = passphrase_asks(from) ? PASSPHRASE_TRIES : 1;
	int r;

	for (;;) {
		_cleanup_passphrase_ struct passphrase *p = NULL;

		r = passphrase_read(from, &p, reterr);
		if (r < 0)
			return r;
		r = slot_open(buf_slice(&d->keys_file), passphrase_slice(p),
			      &d->keys, reterr);
		if (r == 0 && ret_used)
			*ret_used = steal(&p);
		if (r != -EKEYREJECTED || --tries == 0)
			return r;
		(void)fprintf(stderr, "Wrong passphrase, try again.\n");
		if (reterr)
			reterr->text[0] = '\0';
	}
}

void drive_cache_params(const struct drive *d, struct cache_params *ret)
{
	*ret = (struct cache_params){
		.io = d->io,
		.key = keys_secret(d->keys, KEYS_DB),
		.segment_key = keys_secret(d->keys, KEYS_SEGMENT),
		.max_bytes = d->config.cache_size,
		.reserve_free_bytes = d->config.reserve_free,
		.outbox_floor_bytes = 2 * DRIVE_PIECE_TARGET,
		.commit_interval_ms = (unsigned)d->config.commit_interval,
		.full_timeout_ms = (unsigned)d->config.full_timeout,
	};
	memcpy(ret->drive_id, keys_drive_id(d->keys), sizeof(ret->drive_id));
}

int drive_replace_keys(struct drive *d, struct slice file)
{
	return io_replace(d->io, ".", DRIVE_KEYS_FILE, file);
}

int drive_replace_config(struct drive *d, const struct config *c)
{
	_cleanup_buf_ struct buf text = { 0 };
	int r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = config_write(c, &text);
	if (r < 0)
		return r;
	return io_replace(d->io, ".", CONFIG_FILE, buf_slice(&text));
}
