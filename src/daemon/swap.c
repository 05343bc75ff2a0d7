#include "daemon/swap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "daemon/proc_text.h"

#define DEPTH_MAX 8 /* of devices on devices */

/* The first line of a file below the root, without its newline.  -errno. */
static int read_line(const char *root, const char *path, char *dst, size_t size)
{
	_cleanup_free_ char *whole = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (asprintf(&whole, "%s%s", root, path) < 0) {
		whole = NULL;
		return -ENOMEM;
	}
	fd = open(whole, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, dst, size - 1);
	if (n < 0)
		return -errno;
	dst[n] = '\0';
	dst[strcspn(dst, "\n")] = '\0';
	return 0;
}

/* Of block device `name`, its file `what`. */
static bool attribute(const char *root, const char *name, const char *what,
		      char *dst, size_t size)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "/sys/class/block/%s/%s", name, what);

	return n > 0 && (size_t)n < sizeof(path) &&
	       read_line(root, path, dst, size) == 0;
}

static const char *base(const char *path)
{
	const char *last = strrchr(path, '/');

	return last ? last + 1 : path;
}

static bool is_safe(const char *root, const char *name, unsigned depth);

/* Made of others: safe if each of them is, and there is one. */
static bool are_slaves_safe(const char *root, const char *name, unsigned depth)
{
	char path[PATH_MAX];
	unsigned n_safe = 0, n_all = 0;
	struct dirent *e;
	DIR *dir;
	int n = snprintf(path, sizeof(path), "%s/sys/class/block/%s/slaves",
			 root, name);

	dir = n > 0 && (size_t)n < sizeof(path) ? opendir(path) : NULL;
	while (dir && (e = readdir(dir))) { // NOLINT(concurrency-mt-unsafe)
		if (e->d_name[0] == '.')
			continue;
		n_all++;
		n_safe += is_safe(root, e->d_name, depth + 1);
	}
	if (dir)
		(void)closedir(dir); /* only read */
	return n_all && n_safe == n_all;
}

/* Does nothing of block device `name` reach a disk in the clear? */
static bool is_safe(const char *root, const char *name, unsigned depth)
{
	char text[PATH_MAX];

	if (depth > DEPTH_MAX)
		return false;
	if (attribute(root, name, "dm/uuid", text, sizeof(text)) &&
	    strncmp(text, "CRYPT-", 6) == 0)
		return true;
	if (strncmp(name, "zram", 4) == 0)
		return !attribute(root, name, "backing_dev", text, sizeof(text)) ||
		       strcmp(text, "none") == 0 ||
		       is_safe(root, base(text), depth + 1);
	return are_slaves_safe(root, name, depth);
}

/* The block device below the file system that a swap file lies on. */
static bool device_of_file(const char *root, const char *path, char *dst, size_t size)
{
	char link[PATH_MAX], target[PATH_MAX];
	struct stat st;
	ssize_t n;

	/* Not of a file that is encrypted below its file system (fscrypt), whose
	 * swap is plain; and of btrfs, which has no device, nothing is known. */
	if (stat(path, &st) < 0)
		return false;
	n = snprintf(link, sizeof(link), "%s/sys/dev/block/%u:%u", root,
		     major(st.st_dev), minor(st.st_dev));
	if (n < 0 || (size_t)n >= sizeof(link))
		return false;
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	text_copy(dst, size, base(target));
	return true;
}

static bool is_area_safe(const char *root, const char *path, const char *type)
{
	char real[PATH_MAX], name[NAME_MAX + 1];

	if (strcmp(type, "file") == 0)
		return device_of_file(root, path, name, sizeof(name)) &&
		       is_safe(root, name, 0);
	/* /dev/mapper/swap is a link to /dev/dm-1 */
	return is_safe(root, base(realpath(path, real) ? real : path), 0);
}

int swap_plain(const char *root, char *dst, size_t size)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	size_t room = 0, used = 0;
	int n_plain = 0;
	FILE *f;

	dst[0] = '\0';
	if (asprintf(&path, "%s/proc/swaps", root) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : -errno;
	while (getline(&line, &room, f) > 0) {
		char *at, *type;

		if (!proc_swap(line, &at, &type) || is_area_safe(root, at, type))
			continue;
		text_copy(dst + used, size - used, n_plain++ ? ", " : "");
		used += strlen(dst + used);
		text_copy(dst + used, size - used, at);
		used += strlen(dst + used);
	}
	(void)fclose(f); /* only read */
	return n_plain;
}
