#include "daemon/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "base/err.h"

#define SAID_MAX 512 /* bytes of fusermount3's complaint */

void mounts_entry_fini(struct mounts_entry *e)
{
	free(steal(&e->mountpoint));
	free(steal(&e->drive));
}

int mounts_find(const char *mountpoint, struct mounts_entry *ret)
{
	_cleanup_(mounts_entry_fini) struct mounts_entry found = { .drive = NULL };
	_cleanup_free_ char *line = NULL;
	FILE *f = fopen("/proc/self/mountinfo", "re");
	size_t room = 0;
	int r = 0;

	if (!f)
		return -errno;
	while (r == 0 && getline(&line, &room, f) > 0) {
		struct proc_mount m;

		if (!proc_mount(line, &m) || strcmp(m.at, mountpoint) != 0)
			continue;
		mounts_entry_fini(&found); /* later lines are mounted on top */
		found.mountpoint = strdup(m.at);
		found.drive = strdup(m.drive);
		text_copy(found.device, sizeof(found.device), m.device);
		if (!found.mountpoint || !found.drive)
			r = -ENOMEM;
	}
	(void)fclose(f); /* only read */
	if (r < 0)
		return r;
	if (!found.mountpoint)
		return -ENOENT;
	*ret = found;
	found = (struct mounts_entry){ .mountpoint = NULL };
	return 0;
}

int mounts_shows(long pid, const char *device, const char *mountpoint)
{
	_cleanup_free_ char *line = NULL;
	struct proc_mount m;
	char path[40];
	size_t room = 0;
	int found = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/mountinfo", pid); /* fits */
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (!found && getline(&line, &room, f) > 0)
		found = proc_mount(line, &m) && strcmp(m.device, device) == 0 &&
			strcmp(m.at, mountpoint) == 0;
	if (ferror(f))
		found = -EIO;
	(void)fclose(f); /* only read */
	return found;
}

int mounts_absolute(const char *path, char **ret)
{
	_cleanup_free_ char *parent = NULL, *copy = strdup(path);
	char *last;
	size_t n;

	if (!copy)
		return -ENOMEM;
	n = strlen(copy);
	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	last = strrchr(copy, '/');
	if (last == copy && n > 1) {
		*ret = steal(&copy); /* "/name" */
		return 0;
	}
	if (last)
		*last++ = '\0';
	else
		last = copy;
	if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || !last[0]) {
		*ret = realpath(path, NULL);
		return *ret ? 0 : -errno;
	}
	parent = realpath(last == copy ? "." : copy, NULL);
	if (!parent)
		return -errno;
	if (asprintf(ret, "%s/%s", parent[1] ? parent : "", last) < 0)
		*ret = NULL;
	return *ret ? 0 : -ENOMEM;
}

/* ---- unmounting ---- */

static int busy(const char *mountpoint, struct err *reterr)
{
	return err_set(reterr, -EBUSY,
		       "%.120s is busy: a program has a file or its working directory there (see fuser -vm); end it, or umount --lazy",
		       mountpoint);
}

static int spawn_fusermount(char *const *argv, int err_fd, pid_t *ret)
{
	char lc[] = "LC_ALL=C", path[] = "PATH=/usr/bin:/bin:/usr/local/bin";
	char *env[] = { lc, path, NULL };
	posix_spawn_file_actions_t fa;
	int r = posix_spawn_file_actions_init(&fa);

	if (r)
		return -r;
	r = posix_spawn_file_actions_adddup2(&fa, err_fd, STDERR_FILENO);
	if (r == 0)
		r = posix_spawnp(ret, argv[0], &fa, NULL, argv, env);
	(void)posix_spawn_file_actions_destroy(&fa); /* never fails on Linux */
	return -r;
}

static int by_fusermount(const char *mountpoint, bool lazy, struct err *reterr)
{
	char prog[] = "fusermount3", u[] = "-u", z[] = "-uz", dashes[] = "--";
	_cleanup_free_ char *at = strdup(mountpoint);
	char *argv[] = { prog, lazy ? z : u, dashes, at, NULL };
	_cleanup_close_ int in = -1;
	char said[SAID_MAX] = "";
	size_t n = 0;
	int fds[2], status = 0, r;
	pid_t pid = 0;

	if (!at)
		return -ENOMEM;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	r = spawn_fusermount(argv, fds[1], &pid);
	(void)close(fds[1]); /* so that its end is the end of file */
	if (r < 0)
		return err_set(reterr, r, "cannot run fusermount3: %s", err_str(r));
	while (n < sizeof(said) - 1) {
		ssize_t got = read(in, said + n, sizeof(said) - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	said[strcspn(said, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (strstr(said, "busy"))
		return busy(mountpoint, reterr);
	return err_set(reterr, -EPERM, "%s", said[0] ? said : "fusermount3 failed");
}

int mounts_unmount(const char *mountpoint, bool lazy, struct err *reterr)
{
	if (geteuid() != 0)
		return by_fusermount(mountpoint, lazy, reterr);
	if (umount2(mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
		return 0;
	if (errno == EBUSY)
		return busy(mountpoint, reterr);
	return err_set(reterr, -errno, "%.160s: %s", mountpoint, err_str(errno));
}
