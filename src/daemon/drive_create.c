/*
 * drive_create.c - making a drive, so that a crash leaves all of it or nothing
 *
 * Everything is built in .<name>.tmp, synced, and renamed.  Names of drives do
 * not begin with a dot, so that what a crash left behind is never taken for a
 * drive; the next init removes it.
 */
#include "daemon/drive.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "crypto/keys.h"
#include "crypto/slot.h"
#include "daemon/passphrase.h"
#include "daemon/tree.h"

static const char *env(const char *name)
{
	return getenv(name); /* NOLINT(concurrency-mt-unsafe): one thread */
}

void drive_kdf_cost(struct slot_cost *ret)
{
	const char *mem = env("FILDRIVE_KDF_MEM_KIB"),
		   *ops = env("FILDRIVE_KDF_OPS");

	*ret = slot_cost_default;
	if (mem && mem[0])
		ret->mem_bytes = strtoull(mem, NULL, 10) << 10;
	if (ops && ops[0])
		ret->passes = strtoull(ops, NULL, 10);
}

bool drive_warn_weak(const char *drive, struct slice keys_file, struct err *ret)
{
	struct slot_cost cost;
	int n;

	drive_kdf_cost(&cost);
	n = slot_n_weak(keys_file, &cost, NULL);
	if (n <= 0)
		return false;
	err_set(ret, 0,
		"%d passphrase%s of drive '%.64s' %s easier to guess from a stolen key file than a new one would be: fildrive passwd --drive %.64s, with the same one if you like",
		n, n == 1 ? "" : "s", drive, n == 1 ? "is" : "are", drive);
	return true;
}

/* What is being made: removed again unless `done`. */
struct building {
	char *tmp;
	int fd; /* of the directory, flock(2)ed against a second init */
	bool done;
};

static void building_fini(struct building *b)
{
	if (b->fd >= 0 && !b->done)
		best_effort(tree_remove(b->tmp)); /* the next init again */
	if (b->fd >= 0)
		(void)close(b->fd);
	free(b->tmp);
}

static int building_init(struct building *b, const char *home, const char *name,
			 struct err *reterr)
{
	int r;

	if (asprintf(&b->tmp, "%s/.%s.tmp", home, name) < 0) {
		b->tmp = NULL;
		return -ENOMEM;
	}
	for (int round = 0; round < 2; round++) {
		if (mkdir(b->tmp, 0700) == 0)
			break;
		if (errno != EEXIST || round)
			return err_set(reterr, -errno, "%.160s: %s", b->tmp,
				       err_str(errno));
		b->fd = open(b->tmp,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (b->fd >= 0 && flock(b->fd, LOCK_EX | LOCK_NB) < 0) {
			(void)close(b->fd);
			b->fd = -1;
			return err_set(reterr, -ENOTUNIQ,
				       "drive '%.64s' is being made by another process",
				       name);
		}
		r = tree_remove(b->tmp); /* left behind by a crash */
		if (b->fd >= 0)
			(void)close(b->fd);
		b->fd = -1;
		if (r < 0)
			return err_set(reterr, r, "removing %.160s: %s", b->tmp,
				       err_str(r));
	}
	b->fd = open(b->tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (b->fd < 0 || flock(b->fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(reterr, -errno, "%.160s: %s", b->tmp, err_str(errno));
	return 0;
}

static int taken(const char *name, const char *dir, struct err *reterr)
{
	return err_set(reterr, -EEXIST,
		       "drive '%.64s' exists already (%.120s); choose another --drive",
		       name, dir);
}

int drive_check_free(const char *name, struct err *reterr)
{
	_cleanup_free_ char *dir = NULL;
	struct stat st;
	int r = path_drive_dir(name, &dir);

	if (r == -EINVAL)
		return err_set(reterr, r,
			       "'%.64s' is no name for a drive: 1 to 64 of A-Z a-z 0-9 . _ -",
			       name);
	if (r < 0)
		return r;
	if (lstat(dir, &st) == 0)
		return taken(name, dir, reterr);
	return errno == ENOENT ? 0 : -errno;
}

/* The files, in a directory of their own. */
static int fill(const struct drive_new *n, struct drive *d, struct err *reterr)
{
	struct cache_params params;
	struct slot_cost cost;
	int r;

	drive_kdf_cost(&cost);
	r = slot_create(n->entropy, passphrase_slice(n->passphrase), &cost,
			&d->keys_file, reterr);
	if (r < 0)
		return r;
	r = keys_from_entropy(n->entropy, &d->keys);
	if (r < 0)
		return r;
	r = drive_replace_keys(d, buf_slice(&d->keys_file));
	if (r < 0)
		return r;
	r = drive_replace_config(d, n->config);
	if (r < 0)
		return r;
	d->config = *n->config;
	drive_cache_params(d, &params);
	r = n->format(n->ctx, &params, d->keys, reterr);
	if (r < 0)
		return r;
	return io_syncdir(d->io, ".");
}

static int sync_dir(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int drive_create(const struct drive_new *n, struct err *reterr)
{
	_cleanup_(building_fini) struct building b = { .fd = -1 };
	_cleanup_free_ char *home = NULL, *dir = NULL;
	_cleanup_drive_ struct drive *d = calloc(1, sizeof(*d));
	int r = drive_check_free(n->name, reterr);

	if (r < 0)
		return r;
	if (!d)
		return -ENOMEM;
	d->lock_fd = -1;
	buf_init(&d->keys_file, SLOT_FILE_SIZE);

	r = path_home(&home);
	if (r == 0)
		r = path_drive_dir(n->name, &dir);
	if (r == 0)
		r = path_make_dirs(home);
	if (r < 0)
		return err_set(reterr, r, "%.160s: %s", home ? home : "$HOME",
			       err_str(r));
	r = drive_check_home(reterr);
	if (r < 0)
		return r;
	r = building_init(&b, home, n->name, reterr);
	if (r < 0)
		return r;
	r = io_dir_new(b.tmp, &d->io);
	if (r == 0)
		r = fill(n, d, reterr);
	if (r < 0)
		return err_set(reterr, r, "making drive '%.64s': %s", n->name,
			       err_str(r));

	if (renameat2(AT_FDCWD, b.tmp, AT_FDCWD, dir, RENAME_NOREPLACE) < 0)
		return errno == EEXIST ? taken(n->name, dir, reterr) :
					 err_set(reterr, -errno, "%.160s: %s",
						 dir, err_str(errno));
	b.done = true;
	r = sync_dir(home);
	if (r < 0)
		return err_set(reterr, r, "%.160s: %s", home, err_str(r));
	return 0;
}
