#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "base/thread.h"

struct io_dir {
	struct io io;
	int fd;
};

struct io_dir_file {
	struct io_file file;
	int fd;
};

static const struct io_ops io_dir_ops;
static const struct io_file_ops io_dir_file_ops;

static int dir_fd(struct io *io)
{
	return container_of(io, struct io_dir, io)->fd;
}

static int file_fd(struct io_file *f)
{
	return container_of(f, struct io_dir_file, file)->fd;
}

/* openat2(2): never through a symlink, never out of the directory. */
static int open_beneath(int dir, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	long r = syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return r < 0 ? -errno : (int)r;
}

int io_dir_new(const char *path, struct io **ret)
{
	_cleanup_close_ int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct io_dir *d;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid())
		return -EPERM;
	if ((st.st_mode & 077) && fchmod(fd, 0700) < 0)
		return -errno;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->io.ops = &io_dir_ops;
	d->fd = fd;
	fd = -1;
	*ret = &d->io;
	return 0;
}

static void io_dir_free(struct io *io)
{
	struct io_dir *d = container_of(io, struct io_dir, io);

	(void)close(d->fd); /* a directory: nothing to lose */
	free(d);
}

static int io_dir_open(struct io *io, const char *name, int flags,
		       struct io_file **ret)
{
	_cleanup_close_ int fd = open_beneath(dir_fd(io), name, flags, 0600);
	struct io_dir_file *f;

	if (fd < 0)
		return fd;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->file.ops = &io_dir_file_ops;
	f->fd = fd;
	fd = -1;
	*ret = &f->file;
	return 0;
}

/*
 * A file system that is mounted so discards what a file held, and 256 MiB of that
 * in one go keep the disk from anything else for 30 ms.
 */
#define GIVE_BACK ((off_t)1 << 20)

/*
 * No name, and no other handle: nobody can see it, nor will.  A lease is only to be
 * had then; it is not kept, because who breaks it is told to by a signal.
 */
static bool nobody_sees(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_nlink == 0 &&
	       fcntl(fd, F_SETLEASE, F_WRLCK) == 0 &&
	       fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

int io_unlink_at(int dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size > GIVE_BACK)
		fd = open_beneath(dir, name, O_RDWR, 0);
	if (unlinkat(dir, name, 0) < 0)
		return -errno;
	if (fd < 0 || !nobody_sees(fd))
		return 0;
	for (off_t end = st.st_size; end > GIVE_BACK;) {
		end -= GIVE_BACK;
		if (ftruncate(fd, end) < 0)
			break; /* the rest goes with the handle */
	}
	return 0;
}

static int io_dir_unlink(struct io *io, const char *name)
{
	return io_unlink_at(dir_fd(io), name);
}

static int io_dir_rename(struct io *io, const char *from, const char *to)
{
	return renameat(dir_fd(io), from, dir_fd(io), to) < 0 ? -errno : 0;
}

static int io_dir_mkdir(struct io *io, const char *name)
{
	return mkdirat(dir_fd(io), name, 0700) < 0 ? -errno : 0;
}

static int io_dir_syncdir(struct io *io, const char *name)
{
	_cleanup_close_ int fd =
		open_beneath(dir_fd(io), name, O_DIRECTORY | O_RDONLY, 0);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? -errno : 0;
}

static int io_dir_list(struct io *io, const char *name, io_list_cb cb, void *ctx)
{
	int fd = open_beneath(dir_fd(io), name, O_DIRECTORY | O_RDONLY, 0);
	struct dirent *e;
	DIR *dir;
	int r = 0;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		(void)close(fd); /* a directory: nothing to lose */
		return r;
	}
	for (;;) {
		errno = 0;
		e = readdir(dir); // NOLINT(concurrency-mt-unsafe): own stream
		if (!e) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = cb(ctx, e->d_name);
		if (r)
			break;
	}
	(void)closedir(dir); /* a directory: nothing to lose */
	return r;
}

static int io_dir_space(struct io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	struct statvfs s;

	if (fstatvfs(dir_fd(io), &s) < 0)
		return -errno;
	*ret_free = (uint64_t)s.f_bavail * s.f_frsize;
	*ret_total = (uint64_t)s.f_blocks * s.f_frsize;
	return 0;
}

static void io_dir_file_close(struct io_file *f)
{
	struct io_dir_file *df = container_of(f, struct io_dir_file, file);

	(void)close(df->fd); /* io_datasync() is where durability is decided */
	free(df);
}

static int64_t io_dir_file_pread(struct io_file *f, void *p, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = pread(file_fd(f), (char *)p + done, n - done,
			  (off_t)(off + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (int64_t)done;
}

static int io_dir_file_pwrite(struct io_file *f, const void *p, size_t n,
			      uint64_t off)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = pwrite(file_fd(f), (const char *)p + done, n - done,
			   (off_t)(off + done));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

static int io_dir_file_datasync(struct io_file *f)
{
	return fdatasync(file_fd(f)) < 0 ? -errno : 0;
}

static void io_dir_file_begin_sync(struct io_file *f, uint64_t off, uint64_t n)
{
	const struct io_dir_file *df = container_of(f, struct io_dir_file, file);

	/* what fails now fails in the datasync, which is told of it */
	(void)sync_file_range(df->fd, (off64_t)off, (off64_t)n,
			      SYNC_FILE_RANGE_WRITE);
}

int io_sync_range(int fd, uint64_t off, uint64_t n, unsigned how)
{
	if (sync_file_range(fd, (off64_t)off, (off64_t)n, how) == 0 ||
	    errno == ENOSYS || errno == EINVAL || errno == ESPIPE)
		return 0;
	return -errno;
}

int io_write_out_fd(int fd, uint64_t off, uint64_t n)
{
	int r = 0;

	for (uint64_t k; n && r == 0; off += k, n -= k) {
		unsigned how = SYNC_FILE_RANGE_WRITE;

		k = n;
		if (thread_foreground_busy()) {
			how |= SYNC_FILE_RANGE_WAIT_AFTER;
			k = MIN(n, IO_CALM);
		}
		r = io_sync_range(fd, off, k, how);
	}
	return r;
}

static int io_dir_file_write_out(struct io_file *f, uint64_t off, uint64_t n)
{
	return io_write_out_fd(file_fd(f), off, n);
}

static void io_dir_file_begin_read(struct io_file *f, uint64_t off, uint64_t n)
{
	const struct io_dir_file *df = container_of(f, struct io_dir_file, file);

	/* a hint, and whoever reads is told what is wrong */
	(void)posix_fadvise(df->fd, (off_t)off, (off_t)n, POSIX_FADV_WILLNEED);
}

static void io_dir_file_no_ahead(struct io_file *f)
{
	(void)posix_fadvise(file_fd(f), 0, 0, POSIX_FADV_RANDOM); /* advice */
}

static int io_dir_file_truncate(struct io_file *f, uint64_t size)
{
	return ftruncate(file_fd(f), (off_t)size) < 0 ? -errno : 0;
}

static int io_dir_file_allocate(struct io_file *f, int mode, uint64_t off, uint64_t n)
{
	while (fallocate(file_fd(f), mode, (off_t)off, (off_t)n) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int io_dir_file_size(struct io_file *f, uint64_t *ret)
{
	struct stat st;

	if (fstat(file_fd(f), &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_size;
	return 0;
}

static int io_dir_file_allocated(struct io_file *f, uint64_t *ret)
{
	struct stat st;

	if (fstat(file_fd(f), &st) < 0)
		return -errno;
	*ret = (uint64_t)st.st_blocks * 512;
	return 0;
}

static const struct io_ops io_dir_ops = {
	.open = io_dir_open,
	.unlink = io_dir_unlink,
	.rename = io_dir_rename,
	.mkdir = io_dir_mkdir,
	.syncdir = io_dir_syncdir,
	.list = io_dir_list,
	.space = io_dir_space,
	.free = io_dir_free,
};

static const struct io_file_ops io_dir_file_ops = {
	.close = io_dir_file_close,
	.pread = io_dir_file_pread,
	.pwrite = io_dir_file_pwrite,
	.datasync = io_dir_file_datasync,
	.begin_sync = io_dir_file_begin_sync,
	.write_out = io_dir_file_write_out,
	.begin_read = io_dir_file_begin_read,
	.no_ahead = io_dir_file_no_ahead,
	.truncate = io_dir_file_truncate,
	.allocate = io_dir_file_allocate,
	.size = io_dir_file_size,
	.allocated = io_dir_file_allocated,
};

void io_free(struct io *io)
{
	if (io)
		io->ops->free(io);
}

int io_open(struct io *io, const char *name, int flags, struct io_file **ret)
{
	return io->ops->open(io, name, flags, ret);
}

void io_close(struct io_file *f)
{
	if (f)
		f->ops->close(f);
}

int64_t io_pread(struct io_file *f, void *p, size_t n, uint64_t off)
{
	return f->ops->pread(f, p, n, off);
}

int io_pwrite(struct io_file *f, const void *p, size_t n, uint64_t off)
{
	return f->ops->pwrite(f, p, n, off);
}

int io_datasync(struct io_file *f)
{
	return f->ops->datasync(f);
}

void io_begin_sync(struct io_file *f, uint64_t off, uint64_t n)
{
	if (f->ops->begin_sync)
		f->ops->begin_sync(f, off, n);
}

int io_write_out(struct io_file *f, uint64_t off, uint64_t n)
{
	return f->ops->write_out ? f->ops->write_out(f, off, n) : 0;
}

void io_begin_read(struct io_file *f, uint64_t off, uint64_t n)
{
	if (f->ops->begin_read)
		f->ops->begin_read(f, off, n);
}

void io_no_ahead(struct io_file *f)
{
	if (f->ops->no_ahead)
		f->ops->no_ahead(f);
}

int io_truncate(struct io_file *f, uint64_t size)
{
	return f->ops->truncate(f, size);
}

int io_allocate(struct io_file *f, int mode, uint64_t off, uint64_t n)
{
	return f->ops->allocate(f, mode, off, n);
}

int io_size(struct io_file *f, uint64_t *ret)
{
	return f->ops->size(f, ret);
}

int io_allocated(struct io_file *f, uint64_t *ret)
{
	return f->ops->allocated(f, ret);
}

int io_unlink(struct io *io, const char *name)
{
	return io->ops->unlink(io, name);
}

int io_rename(struct io *io, const char *from, const char *to)
{
	return io->ops->rename(io, from, to);
}

int io_mkdir(struct io *io, const char *name)
{
	return io->ops->mkdir(io, name);
}

int io_syncdir(struct io *io, const char *name)
{
	return io->ops->syncdir(io, name);
}

int io_list(struct io *io, const char *name, io_list_cb cb, void *ctx)
{
	return io->ops->list(io, name, cb, ctx);
}

int io_space(struct io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	return io->ops->space(io, ret_free, ret_total);
}

int io_replace(struct io *io, const char *dir, const char *name, struct slice content)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	char tmp[256];
	int r;

	r = snprintf(tmp, sizeof(tmp), "%s.tmp", name);
	if (r < 0 || (size_t)r >= sizeof(tmp))
		return -ENAMETOOLONG;
	r = io_open(io, tmp, O_RDWR | O_CREAT | O_TRUNC, &f);
	if (r < 0)
		return r;
	r = io_pwrite(f, content.p, content.n, 0);
	if (r == 0)
		r = io_datasync(f);
	if (r == 0)
		r = io_rename(io, tmp, name);
	if (r == 0)
		r = io_syncdir(io, dir);
	if (r < 0)
		best_effort(io_unlink(io, tmp)); /* it is only a rest */
	return r;
}

int io_slurp(struct io *io, const char *name, struct buf *b)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	uint64_t size;
	uint8_t *p;
	int64_t n;
	int r;

	r = io_open(io, name, O_RDONLY, &f);
	if (r < 0)
		return r;
	r = io_size(f, &size);
	if (r < 0)
		return r;
	r = buf_grow(b, size, &p);
	if (r < 0)
		return r;
	n = io_pread(f, p, size, 0);
	if (n < 0)
		return (int)n;
	b->n -= size - (size_t)n;
	return 0;
}
