/*
 * passfs.c - a folder seen through FUSE, to be stopped with SIGSTOP
 *
 * usage: passfs FOLDER MOUNTPOINT [FUSE options]
 *
 * What a store on a dead file server looks like: once the process is stopped,
 * every call on MOUNTPOINT hangs.  Nothing is cached, neither attributes nor
 * bytes, so that really every call does.
 *
 * With PASSFS_TRACE=FILE in the environment it writes there what was changed and
 * synced, a line a call, in the words of tests/component/crash/trace.h: what a
 * program does, to be done again elsewhere.
 */
#define FUSE_USE_VERSION 312

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static int root;
static int trace = -1;

/* Paths of FUSE begin with a slash; openat() and the like want none. */
static const char *rel(const char *path)
{
	return path[1] ? path + 1 : ".";
}

static int ret(int r)
{
	return r < 0 ? -errno : 0;
}

/* `r` is the result of the call; what failed has changed nothing.  A line is one
 * write, and longer ones than any path here are cut. */
__attribute__((format(printf, 2, 3))) static int traced(int r, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	if (trace < 0 || r < 0)
		return r;
	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(line) && write(trace, line, (size_t)n) == n)
		return r;
	return -EIO;
}

static void *p_init(struct fuse_conn_info *conn, struct fuse_config *c)
{
	(void)conn;
	c->attr_timeout = c->entry_timeout = c->negative_timeout = 0;
	c->direct_io = 1;
	c->use_ino = 1;
	return NULL;
}

static int p_getattr(const char *path, struct stat *st, struct fuse_file_info *fi)
{
	return ret(fi ? fstat((int)fi->fh, st) :
			fstatat(root, rel(path), st, AT_SYMLINK_NOFOLLOW));
}

static int p_mkdir(const char *path, mode_t mode)
{
	return traced(ret(mkdirat(root, rel(path), mode)), "mkdir %s\n", rel(path));
}

static int p_unlink(const char *path)
{
	return traced(ret(unlinkat(root, rel(path), 0)), "unlink %s\n", rel(path));
}

static int p_rmdir(const char *path)
{
	return traced(ret(unlinkat(root, rel(path), AT_REMOVEDIR)),
		      "rmdir %s\n", rel(path));
}

static int p_rename(const char *from, const char *to, unsigned flags)
{
	return traced(ret((int)syscall(SYS_renameat2, root, rel(from), root,
				       rel(to), flags)),
		      "rename %s %s\n", rel(from), rel(to));
}

static int p_link(const char *from, const char *to)
{
	return traced(ret(linkat(root, rel(from), root, rel(to), 0)),
		      "link %s %s\n", rel(from), rel(to));
}

static int p_truncate(const char *path, off_t n, struct fuse_file_info *fi)
{
	int fd = fi ? (int)fi->fh : openat(root, rel(path), O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : ret(ftruncate(fd, n));

	if (!fi && fd >= 0)
		(void)close(fd);
	return traced(r, "truncate %s %lld\n", rel(path), (long long)n);
}

static int p_chmod(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	(void)fi;
	return ret(fchmodat(root, rel(path), mode, 0));
}

static int p_chown(const char *path, uid_t uid, gid_t gid, struct fuse_file_info *fi)
{
	(void)fi;
	return ret(fchownat(root, rel(path), uid, gid, AT_SYMLINK_NOFOLLOW));
}

static int p_utimens(const char *path, const struct timespec t[2],
		     struct fuse_file_info *fi)
{
	(void)fi;
	return ret(utimensat(root, rel(path), t, AT_SYMLINK_NOFOLLOW));
}

static int p_open(const char *path, struct fuse_file_info *fi)
{
	fi->fh = (uint64_t)openat(root, rel(path), fi->flags & ~O_NOFOLLOW);
	return (int)fi->fh < 0 ? -errno : 0;
}

static int p_create(const char *path, mode_t mode, struct fuse_file_info *fi)
{
	fi->fh = (uint64_t)openat(root, rel(path), fi->flags | O_CREAT, mode);
	return traced((int)fi->fh < 0 ? -errno : 0, "create %s\n", rel(path));
}

static int p_read(const char *path, char *buf, size_t n, off_t off,
		  struct fuse_file_info *fi)
{
	ssize_t r = pread((int)fi->fh, buf, n, off);

	(void)path;
	return r < 0 ? -errno : (int)r;
}

static int p_write(const char *path, const char *buf, size_t n, off_t off,
		   struct fuse_file_info *fi)
{
	ssize_t r = pwrite((int)fi->fh, buf, n, off);

	return traced(r < 0 ? -errno : (int)r, "write %s %lld %zd\n", rel(path),
		      (long long)off, r);
}

static int p_fsync(const char *path, int data, struct fuse_file_info *fi)
{
	return traced(ret(data ? fdatasync((int)fi->fh) : fsync((int)fi->fh)),
		      "sync %s\n", rel(path));
}

static int p_fsyncdir(const char *path, int data, struct fuse_file_info *fi)
{
	(void)data;
	(void)fi;
	return traced(0, "sync %s\n", rel(path));
}

static int p_release(const char *path, struct fuse_file_info *fi)
{
	(void)path;
	return ret(close((int)fi->fh));
}

static int p_statfs(const char *path, struct statvfs *s)
{
	(void)path;
	return ret(fstatvfs(root, s));
}

static int p_readdir(const char *path, void *buf, fuse_fill_dir_t fill, off_t off,
		     struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	int fd = openat(root, rel(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	(void)off;
	(void)fi;
	(void)flags;
	if (!dir)
		return -errno;
	while ((e = readdir(dir))) // NOLINT(concurrency-mt-unsafe): own stream
		if (fill(buf, e->d_name, NULL, 0, 0))
			break;
	return ret(closedir(dir));
}

static const struct fuse_operations ops = {
	.init = p_init,
	.getattr = p_getattr,
	.mkdir = p_mkdir,
	.unlink = p_unlink,
	.rmdir = p_rmdir,
	.rename = p_rename,
	.link = p_link,
	.truncate = p_truncate,
	.chmod = p_chmod,
	.chown = p_chown,
	.utimens = p_utimens,
	.open = p_open,
	.create = p_create,
	.read = p_read,
	.write = p_write,
	.fsync = p_fsync,
	.fsyncdir = p_fsyncdir,
	.release = p_release,
	.statfs = p_statfs,
	.readdir = p_readdir,
};

int main(int argc, char **argv)
{
	const char *path;

	if (argc < 3)
		return 2;
	root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0) {
		perror(argv[1]);
		return 1;
	}
	path = getenv("PASSFS_TRACE"); // NOLINT(concurrency-mt-unsafe): one thread yet
	if (path)
		trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (path && trace < 0) {
		perror(path);
		return 1;
	}
	argv[1] = argv[0];
	/* libfuse forgets the handles of folders that are open at the end: that is no leak
	 * of ours, and none is looked for. */
	_exit(fuse_main(argc - 1, argv + 1, &ops, NULL));
}
