#include "daemon/snapmount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/err.h"
#include "base/io.h"
#include "base/path.h"
#include "crypto/keys.h"
#include "daemon/drive.h"
#include "daemon/recovery.h"
#include "daemon/tree.h"
#include "dag/commit.h"
#include "retrieve/recover.h"

/* Folders of snapshots whose daemon is gone: nobody holds their lock. */
static void sweep(const char *home, const char *drive)
{
	_cleanup_free_ char *prefix = NULL;
	struct dirent *e;
	DIR *dir = opendir(home);

	if (!dir || asprintf(&prefix, ".%s.", drive) < 0)
		prefix = NULL;
	while (prefix && (e = readdir(dir))) { // NOLINT(concurrency-mt-unsafe)
		_cleanup_free_ char *path = NULL;
		_cleanup_close_ int fd = -1;

		if (strncmp(e->d_name, prefix, strlen(prefix)) != 0 ||
		    !strchr(e->d_name + strlen(prefix), '-') ||
		    asprintf(&path, "%s/%s", home, e->d_name) < 0)
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			best_effort(tree_remove(path)); /* the next one again */
	}
	if (dir)
		(void)closedir(dir); /* nothing to lose */
}

static int make_folder(struct drive *s, const char *drive, uint64_t sequence,
		       struct err *reterr)
{
	_cleanup_free_ char *home = NULL;
	int r;

	r = path_home(&home);
	if (r < 0)
		return r;
	sweep(home, drive);
	if (asprintf(&s->name, "%.40s.%" PRIu64, drive, sequence) < 0) {
		s->name = NULL;
		return -ENOMEM;
	}
	if (asprintf(&s->dir, "%s/.%s-XXXXXX", home, s->name) < 0) {
		s->dir = NULL;
		return -ENOMEM;
	}
	if (!mkdtemp(s->dir)) {
		r = err_set(reterr, -errno, "%.160s: %s", s->dir, err_str(errno));
		free(s->dir);
		s->dir = NULL;
		return r;
	}
	s->lock_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock_fd < 0 || flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return io_dir_new(s->dir, &s->io);
}

static int fill_from(struct recovery *rec, int r, struct drive *s,
		     uint64_t sequence, struct err *reterr)
{
	struct cache_params p;

	if (r == -ENOENT || (r == 0 && recovery_found(rec)->sequence != sequence))
		return err_set(reterr, -ENOENT,
			       "the stores have no commit %" PRIu64
			       "; see fildrive snapshots",
			       sequence);
	if (r < 0)
		return r;
	r = recovery_settle(rec, &s->config, RECOVERY_AS_IS, reterr);
	if (r < 0)
		return r;
	drive_cache_params(s, &p);
	return recovery_fill(rec, &p, reterr);
}

static int fill(struct drive *s, uint64_t sequence, bool *ret_left, struct err *reterr)
{
	struct recovery *rec = NULL;
	int r;

	r = recovery_open(&s->config, s->keys, sequence + 1, NULL, &rec, reterr);
	r = fill_from(rec, r, s, sequence, reterr);
	recovery_close(rec, ret_left);
	return r;
}

int snapmount_open(struct drive *d, uint64_t sequence, struct drive **ret,
		   bool *ret_left, struct err *reterr)
{
	struct drive *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->lock_fd = -1;
	buf_init(&s->keys_file, 1);
	s->config = d->config;
	s->keys = steal(&d->keys);
	r = make_folder(s, d->name, sequence, reterr);
	if (r == 0)
		r = fill(s, sequence, ret_left, reterr);
	if (r < 0) {
		snapmount_close(s);
		return err_set(reterr, r, "snapshot %" PRIu64 ": %s", sequence,
			       err_str(r));
	}
	*ret = s;
	return 0;
}

void snapmount_close(struct drive *d)
{
	if (!d)
		return;
	if (d->dir)
		best_effort(tree_remove(d->dir)); /* else the next sweep */
	drive_close(d);
}

void snapmount_leave(struct drive *d)
{
	if (!d)
		return;
	if (d->dir)
		best_effort(tree_remove(d->dir)); /* else the next sweep */
	drive_leave(d);
}
