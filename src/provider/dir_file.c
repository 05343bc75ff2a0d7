#include "provider/dir_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

#define HEX_ID (2 * PROVIDER_ID_SIZE)

void dir_hex(const uint8_t *p, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		ret[2 * i] = digits[p[i] >> 4];
		ret[2 * i + 1] = digits[p[i] & 15];
	}
	ret[2 * n] = '\0';
}

/* n bytes of lower-case digits; false if there are not so many. */
static bool dir_unhex(const char *s, size_t n, uint8_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *hi, *lo;

	for (size_t i = 0; i < n; i++) {
		hi = s[2 * i] ? strchr(digits, s[2 * i]) : NULL;
		lo = hi && s[2 * i + 1] ? strchr(digits, s[2 * i + 1]) : NULL;
		if (!lo)
			return false;
		ret[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return true;
}

int dir_write_all(int fd, const void *p, size_t n)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = write(fd, (const char *)p + done, n - done);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		done += (size_t)r;
	}
	return 0;
}

int64_t dir_read_at(int fd, void *p, size_t n, uint64_t off)
{
	size_t done = 0;
	ssize_t r;

	while (done < n) {
		r = pread(fd, (char *)p + done, n - done, (off_t)(off + done));
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

int dir_open_regular(int fd, const char *name)
{
	_cleanup_close_ int f = openat(fd, name,
				       O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
					       O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	if (f < 0)
		return errno == ELOOP || errno == ENXIO ? -EUCLEAN : -errno;
	if (fstat(f, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EUCLEAN;
	r = f;
	f = -1;
	return r;
}

int dir_part_name(char ret[static DIR_PART_SIZE])
{
	uint8_t rnd[8];

	if (getrandom(rnd, sizeof(rnd), 0) != (ssize_t)sizeof(rnd))
		return -EIO;
	memcpy(ret, DIR_PART, strlen(DIR_PART));
	dir_hex(rnd, sizeof(rnd), ret + strlen(DIR_PART));
	return 0;
}

/*
 * Give the finished file `part` of folder `fd` its name in folder `to` if no
 * file has it yet.  link(2) is atomic everywhere, NFS too; where there are no
 * hard links (vfat) there is renameat2(2).  -EEXIST if the name is taken.
 * `part` is gone afterwards.
 */
static int name_once(int fd, const char *part, int to, const char *name)
{
	int r = 0;

	if (linkat(fd, part, to, name, 0) < 0)
		r = -errno;
	if (r == -EPERM || r == -EOPNOTSUPP || r == -ENOSYS || r == -EMLINK) {
		r = syscall(SYS_renameat2, fd, part, to, name, RENAME_NOREPLACE) < 0 ?
			    -errno :
			    0;
		if (r == 0)
			return fsync(to) < 0 ? -errno : 0;
	}
	(void)unlinkat(fd, part, 0); /* a rest is dropped later */
	/* Who took it may have been killed before the sync. */
	if ((r == 0 || r == -EEXIST) && fsync(to) < 0)
		r = -errno;
	return r;
}

int dir_file_once(int fd, int to, const char *name, struct slice content)
{
	_cleanup_close_ int f = -1;
	char part[DIR_PART_SIZE];
	int r;

	r = dir_part_name(part);
	if (r < 0)
		return r;
	f = openat(fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (f < 0)
		return -errno;
	r = dir_write_all(f, content.p, content.n);
	if (r == 0 && fsync(f) < 0)
		r = -errno;
	if (r == 0)
		return name_once(fd, part, to, name);
	(void)unlinkat(fd, part, 0); /* a rest is dropped later */
	return r;
}

int dir_marker_parse(struct slice text, uint8_t ret[static PROVIDER_ID_SIZE])
{
	const size_t head = strlen(DIR_MARKER_HEAD);

	if (text.n < head + HEX_ID ||
	    !slice_eq(slice(text.p, head), slice_str(DIR_MARKER_HEAD)) ||
	    !dir_unhex((const char *)text.p + head, PROVIDER_ID_SIZE, ret))
		return -EUCLEAN;
	return 0;
}

void dir_marker_text(const uint8_t id[static PROVIDER_ID_SIZE],
		     char ret[static DIR_MARKER_SIZE])
{
	memcpy(ret, DIR_MARKER_HEAD, strlen(DIR_MARKER_HEAD));
	dir_hex(id, PROVIDER_ID_SIZE, ret + strlen(DIR_MARKER_HEAD));
	ret[DIR_MARKER_SIZE - 1] = '\n';
}

int dir_marker_read(int fd, uint8_t ret[static PROVIDER_ID_SIZE])
{
	_cleanup_close_ int f = dir_open_regular(fd, DIR_MARKER);
	char text[DIR_MARKER_SIZE];
	int64_t n;

	if (f < 0)
		return f;
	n = dir_read_at(f, text, sizeof(text), 0);
	if (n < 0)
		return (int)n;
	return dir_marker_parse(slice(text, (size_t)n), ret);
}

int dir_marker_write(int fd)
{
	char text[DIR_MARKER_SIZE];
	uint8_t id[PROVIDER_ID_SIZE];
	int r;

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return -EIO;
	dir_marker_text(id, text);
	r = dir_file_once(fd, fd, DIR_MARKER, slice(text, sizeof(text)));
	return r == -EEXIST ? 0 : r;
}
