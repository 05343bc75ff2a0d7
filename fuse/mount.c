#include "fuse/mount.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/err.h"
#include "base/log.h"
#include "fuse/opts.h"

#define FUSERMOUNT "fusermount3"

static int check_place(const char *path, mode_t *ret, struct err *reterr)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		int r = -errno;

		if (r == -ENOTCONN)
			return err_set(reterr, r,
				       "%s: a dead mount is in the way; remove it with: umount -l %s",
				       path, path);
		if (r == -ENOENT)
			return err_set(reterr, r,
				       "%s: no such mountpoint; make it with: mkdir -p %s",
				       path, path);
		return err_set(reterr, r, "%s: %s", path, err_str(r));
	}
	if (!S_ISDIR(st.st_mode))
		return err_set(reterr, -ENOTDIR,
			       "%s: the mountpoint is not a directory", path);
	*ret = st.st_mode;
	return 0;
}

static int open_device(int *ret, struct err *reterr)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	int r = -errno;

	if (fd >= 0) {
		*ret = fd;
		return 0;
	}
	if (r == -ENOENT || r == -ENODEV || r == -ENXIO)
		return err_set(reterr, -ENODEV,
			       "no /dev/fuse: load the module with: modprobe fuse (in a container: --device /dev/fuse)");
	return r; /* -EACCES, -EPERM: fusermount3 may do better */
}

/* Commas would end the option, for the kernel as for fusermount3. */
static int put_name(char *dst, size_t max, const char *name)
{
	size_t n = 0;

	for (; *name; name++) {
		if (n + 3 > max)
			return -ENAMETOOLONG;
		if (*name == ',' || *name == '\\')
			dst[n++] = '\\';
		dst[n++] = *name;
	}
	dst[n] = '\0';
	return 0;
}

static int mount_direct(const char *path, mode_t mode, const struct opts *o,
			int *ret_fd, struct err *reterr)
{
	_cleanup_close_ int fd = -1;
	char data[256], type[OPTS_NAME_MAX + 8], limit[32] = "";
	int r = open_device(&fd, reterr);

	if (r < 0)
		return r;
	if (o->max_read)
		(void)snprintf(limit, sizeof(limit), ",max_read=%u", o->max_read);
	(void)snprintf(
		data, sizeof(data),
		"fd=%d,rootmode=%o,user_id=%u,group_id=%u,default_permissions%s%s",
		fd, (unsigned)(mode & S_IFMT), getuid(), getgid(),
		o->allow_other || o->allow_root ? ",allow_other" : "", limit);
	(void)snprintf(type, sizeof(type), "fuse.%s", o->subtype);
	if (mount(o->fsname, path, type, o->flags, data) < 0)
		return -errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* ---- fusermount3 ---- */

static int spawn(const char *const argv[], int comm, pid_t *ret)
{
	posix_spawn_file_actions_t actions;
	char env[32];
	const char *const environment[] = { env, "PATH=/usr/local/bin:/usr/bin:/bin",
					    "LC_ALL=C", NULL };
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0)
		return r;
	(void)snprintf(env, sizeof(env), "_FUSE_COMMFD=%d", comm);
	/* A descriptor given to itself loses close-on-exec. */
	if (comm >= 0)
		r = -posix_spawn_file_actions_adddup2(&actions, comm, comm);
	if (r == 0) {
		union {
			const char *const *in;
			char *const *out;
		} a = { argv }, e = { environment };

		r = -posix_spawnp(ret, FUSERMOUNT, &actions, NULL, a.out, e.out);
	}
	(void)posix_spawn_file_actions_destroy(&actions); /* cannot fail */
	return r;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* The device that fusermount3 opened; -EPERM if it sent none. */
static int receive_fd(int sock, int *ret)
{
	union {
		struct cmsghdr align;
		char p[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.p,
		.msg_controllen = sizeof(control.p),
	};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPERM;
	memcpy(ret, CMSG_DATA(c), sizeof(int));
	return 0;
}

static int options_text(const struct opts *o, char *dst, size_t max)
{
	char fsname[2 * OPTS_NAME_MAX], subtype[2 * OPTS_NAME_MAX], limit[32] = "";
	int n;

	if (put_name(fsname, sizeof(fsname), o->fsname) < 0 ||
	    put_name(subtype, sizeof(subtype), o->subtype) < 0)
		return -ENAMETOOLONG;
	if (o->max_read)
		(void)snprintf(limit, sizeof(limit), ",max_read=%u", o->max_read);
	n = snprintf(dst, max,
		     "%s,%s,%s%s%s%s,default_permissions%s%s,fsname=%s,subtype=%s",
		     o->flags & MS_RDONLY ? "ro" : "rw",
		     o->flags & MS_NOSUID ? "nosuid" : "suid",
		     o->flags & MS_NODEV ? "nodev" : "dev",
		     o->flags & MS_NOEXEC ? ",noexec" : "",
		     o->flags & MS_NOATIME ? ",noatime" : "",
		     o->flags & MS_SYNCHRONOUS ? ",sync" : "",
		     o->allow_other || o->allow_root ? ",allow_other" : "",
		     limit, fsname, subtype);
	return n < 0 || (size_t)n >= max ? -ENAMETOOLONG : 0;
}

static int mount_helper(const char *path, const struct opts *o, int *ret_fd,
			struct err *reterr)
{
	char text[5 * OPTS_NAME_MAX];
	const char *const argv[] = { FUSERMOUNT, "-o", text, "--", path, NULL };
	int socks[2], fd = -1, r, exited;
	pid_t pid = 0;

	r = options_text(o, text, sizeof(text));
	if (r < 0)
		return err_set(reterr, r, "fsname or subtype too long");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks) < 0)
		return err_set(reterr, -errno, "socketpair: %s", err_str(-errno));
	r = spawn(argv, socks[0], &pid);
	(void)close(socks[0]); /* the child has its own */
	if (r < 0) {
		(void)close(socks[1]); /* nothing in it */
		return err_set(reterr, r, "%s: %s; install fuse3, or mount as root",
			       FUSERMOUNT, err_str(r));
	}
	r = receive_fd(socks[1], &fd);
	(void)close(socks[1]); /* nothing more comes */
	exited = wait_for(pid);
	if (r < 0 || exited < 0) {
		if (fd >= 0)
			(void)close(fd); /* ends the mount, if there is one */
		return err_set(reterr, -EPERM,
			       "%s: %s refused to mount here (its reason is above)",
			       path, FUSERMOUNT);
	}
	*ret_fd = fd;
	return 0;
}

int mount_attach(const char *path, const struct opts *o, int *ret_fd,
		 struct err *reterr)
{
	mode_t mode = 0;
	int r = check_place(path, &mode, reterr);

	if (r < 0)
		return r;
	r = mount_direct(path, mode, o, ret_fd, reterr);
	if (r == -EPERM || r == -EACCES)
		return mount_helper(path, o, ret_fd, reterr);
	return r < 0 ? err_set(reterr, r, "mount %s: %s", path, err_str(r)) : 0;
}

int mount_flags(const char *path, unsigned long *ret)
{
	static const struct {
		unsigned long st, ms;
	} bits[] = {
		{ ST_RDONLY, MS_RDONLY },
		{ ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },
		{ ST_NOEXEC, MS_NOEXEC },
		{ ST_NOATIME, MS_NOATIME },
		{ ST_NODIRATIME, MS_NODIRATIME },
		{ ST_RELATIME, MS_RELATIME },
		{ ST_SYNCHRONOUS, MS_SYNCHRONOUS },
	};
	struct statvfs st;

	if (statvfs(path, &st) < 0)
		return -errno;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		if (st.f_flag & bits[i].st)
			*ret |= bits[i].ms;
	if (!(*ret & (MS_NOATIME | MS_RELATIME)))
		*ret |= MS_STRICTATIME; /* as the kernel has it */
	return 0;
}

int mount_again(const char *path, unsigned long flags, struct err *reterr)
{
	int r;

	if (mount(NULL, path, NULL, MS_REMOUNT | flags, NULL) == 0)
		return 0;
	r = -errno;
	if (r == -EBUSY)
		return err_set(reterr, r,
			       "%s: a file there is open for writing", path);
	return err_set(reterr, r,
		       r == -EPERM ? "%s: only root may remount" : "%s: %s",
		       path, err_str(r));
}

void mount_read_ahead(const char *path, unsigned kib)
{
	_cleanup_close_ int fd = -1;
	char name[64], value[16];
	struct statx st;
	int n;

	/* DONT_SYNC: the attributes themselves do not matter. */
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &st) < 0)
		return;
	(void)snprintf(name, sizeof(name), "/sys/class/bdi/%u:%u/read_ahead_kb",
		       st.stx_dev_major, st.stx_dev_minor);
	fd = open(name, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(value, sizeof(value), "%u", kib);
	best_effort(write(fd, value, (size_t)n)); /* slower, not wrong */
}

bool mount_gone(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLNVAL);
}

int mount_detach(const char *path, bool lazy)
{
	const char *const argv[] = { FUSERMOUNT, "-u", lazy ? "-z" : "-q",
				     "-q",       "--", path,
				     NULL };
	pid_t pid;
	int r;

	if (umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EINVAL || errno == ENOENT)
		return 0; /* somebody was faster */
	if (errno == EBUSY)
		return -EBUSY;
	if (errno != EPERM)
		return log_err(-errno, "umount %s", path);
	r = spawn(argv, -1, &pid);
	if (r == 0)
		r = wait_for(pid);
	/* It does not say why; being busy is what can be done something about. */
	if (r == -EPERM && !lazy)
		return -EBUSY;
	return r < 0 ? log_err(r, "%s -u %s", FUSERMOUNT, path) : 0;
}
