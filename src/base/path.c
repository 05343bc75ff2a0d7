#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES 64

int path_check_name(const char *drive)
{
	static const char ok[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strlen(drive);

	if (n == 0 || n > NAME_MAX_BYTES || drive[0] == '.' || strspn(drive, ok) != n)
		return -EINVAL;
	return 0;
}

static const char *env(const char *name)
{
	const char *v = getenv(name); // NOLINT(concurrency-mt-unsafe): read only

	return v && v[0] ? v : NULL;
}

/* $HOME, else the password file's word. */
static int home_of_user(char **ret)
{
	const char *home = env("HOME");
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (!home) {
		if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) || !found)
			return -ENOENT;
		home = pw.pw_dir;
	}
	*ret = strdup(home);
	return *ret ? 0 : -ENOMEM;
}

int path_home(char **ret)
{
	const char *data = env("XDG_DATA_HOME");
	const char *own = env("FILDRIVE_HOME");
	_cleanup_free_ char *home = NULL;
	int r;

	if (own) {
		*ret = strdup(own);
		return *ret ? 0 : -ENOMEM;
	}
	if (data)
		return asprintf(ret, "%s/fildrive", data) < 0 ? -ENOMEM : 0;
	r = home_of_user(&home);
	if (r < 0)
		return r;
	return asprintf(ret, "%s/.local/share/fildrive", home) < 0 ? -ENOMEM : 0;
}

int path_drive_dir(const char *drive, char **ret)
{
	_cleanup_free_ char *home = NULL;
	int r;

	r = path_check_name(drive);
	if (r < 0)
		return r;
	r = path_home(&home);
	if (r < 0)
		return r;
	return asprintf(ret, "%s/%s", home, drive) < 0 ? -ENOMEM : 0;
}

int path_socket(const char *drive, char **ret)
{
	const char *run = env("XDG_RUNTIME_DIR");
	_cleanup_free_ char *dir = NULL;
	int r;

	r = path_drive_dir(drive, &dir);
	if (r < 0)
		return r;
	if (env("FILDRIVE_HOME"))
		r = asprintf(ret, "%s.sock", dir);
	else if (run)
		r = asprintf(ret, "%s/fildrive/%s.sock", run, drive);
	else
		r = asprintf(ret, "%s/sock", dir);
	return r < 0 ? -ENOMEM : 0;
}

int path_socket_elsewhere(const char *drive, unsigned i, char **ret)
{
	_cleanup_free_ char *dir = NULL;
	int r;

	if (env("FILDRIVE_HOME") || i > 1)
		return -ENOENT;
	r = path_drive_dir(drive, &dir);
	if (r < 0)
		return r;
	if (i == 0)
		r = asprintf(ret, "/run/user/%u/fildrive/%s.sock",
			     (unsigned)geteuid(), drive);
	else
		r = asprintf(ret, "%s/sock", dir);
	return r < 0 ? -ENOMEM : 0;
}

int path_make_dirs(const char *path)
{
	_cleanup_free_ char *p = strdup(path);

	if (!p)
		return -ENOMEM;
	for (char *s = p + 1; *s; s++) {
		if (*s != '/')
			continue;
		*s = '\0';
		if (mkdir(p, 0700) < 0 && errno != EEXIST)
			return -errno;
		*s = '/';
	}
	if (mkdir(p, 0700) < 0 && errno != EEXIST)
		return -errno;
	return 0;
}

int path_check_private(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return -EPERM;
	if (!(st.st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	/* Of root's, /tmp above all, it is as somebody wanted it. */
	if (st.st_uid != geteuid() || st.st_mode & S_ISVTX)
		return -EPERM;
	return fchmod(fd, st.st_mode & 07755) < 0 ? -errno : 0;
}
