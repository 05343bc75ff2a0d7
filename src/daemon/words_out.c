#include "daemon/words_out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/slice.h"
#include "crypto/words.h"
#include "daemon/passphrase.h"

#define COLUMNS    4
#define SCREEN_MAX 2048 /* bytes of the table */

int words_out_check(const char *path, struct err *reterr)
{
	struct stat st;

	if (!path) {
		if (isatty(STDOUT_FILENO))
			return 0;
		return err_set(reterr, -ENOTTY,
			       "the recovery words would not go to a terminal: give --words-out FILE");
	}
	if (lstat(path, &st) == 0)
		return err_set(reterr, -EEXIST,
			       "%.160s exists: the recovery words go to a new file",
			       path);
	return errno == ENOENT ?
		       0 :
		       err_set(reterr, -errno, "%.160s: %s", path, err_str(errno));
}

static int write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	_cleanup_close_ int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int words_out_file(const struct secret *entropy, const char *path, struct err *reterr)
{
	_cleanup_close_ int fd = open(
		path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	char *room = NULL;
	size_t n;
	int r;

	if (fd < 0)
		return err_set(reterr, -errno, "%.160s: %s", path, err_str(errno));
	r = passphrase_room(WORDS_TEXT_MAX + 1, &room);
	if (r == 0) {
		words_write(entropy, room);
		n = strlen(room);
		room[n++] = '\n';
		r = write_all(fd, room, n);
		passphrase_wipe(room, WORDS_TEXT_MAX + 1);
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0)
		r = sync_parent(path);
	if (r < 0) {
		(void)unlink(path); /* half a list is worse than none */
		return err_set(reterr, r, "%.160s: %s", path, err_str(r));
	}
	return 0;
}

/* Down the columns, as one reads a list. */
static size_t table(char *words, char *dst)
{
	const char *list[WORDS_N];
	char *save = NULL;
	size_t n = 0, rows = WORDS_N / COLUMNS;

	for (size_t i = 0; i < WORDS_N; i++)
		list[i] = strtok_r(i ? NULL : words, " ", &save);
	for (size_t row = 0; row < rows; row++)
		for (size_t c = 0; c < COLUMNS; c++) {
			size_t i = c * rows + row;

			n += (size_t)snprintf(dst + n, SCREEN_MAX - n,
					      "  %2zu. %-9s%s", i + 1, list[i],
					      c + 1 == COLUMNS ? "\n" : "");
		}
	return n; /* 24 * 16 bytes at most */
}

int words_out_terminal(const struct secret *entropy)
{
	static const char before[] =
		"\nThese 24 words are the drive: whoever has them can read all of it, and\n"
		"without them nobody can bring it back when this machine is lost.\n"
		"Write them on paper, in this order. They are not shown again.\n\n";
	static const char after[] =
		"\nNever type them anywhere but into fildrive.\n\n";
	char *words = NULL, *screen = NULL;
	size_t n;
	int r = passphrase_room(WORDS_TEXT_MAX, &words);

	if (r < 0)
		return r;
	r = passphrase_room(SCREEN_MAX, &screen);
	if (r == 0) {
		words_write(entropy, words);
		n = table(words, screen);
		(void)fflush(stdout); /* main() looks at its error */
		r = write_all(STDOUT_FILENO, before, sizeof(before) - 1);
		if (r == 0)
			r = write_all(STDOUT_FILENO, screen, n);
		if (r == 0)
			r = write_all(STDOUT_FILENO, after, sizeof(after) - 1);
		passphrase_wipe(screen, SCREEN_MAX);
	}
	passphrase_wipe(words, WORDS_TEXT_MAX);
	return r;
}

int words_out_read(const char *path, struct secret **ret, struct err *reterr)
{
	_cleanup_close_ int own = -1;
	char *room = NULL;
	size_t n = 0;
	int fd = STDIN_FILENO, r;

	if (strcmp(path, "-") != 0) {
		own = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (own < 0)
			return err_set(reterr, -errno, "%.160s: %s", path,
				       err_str(errno));
		passphrase_warn_open(own, "file of recovery words", path);
		fd = own;
	}
	r = passphrase_room(WORDS_INPUT_MAX, &room);
	if (r < 0)
		return r;
	while (n < WORDS_INPUT_MAX) {
		ssize_t got = read(fd, room + n, WORDS_INPUT_MAX - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = err_set(reterr, -errno, "%.160s: %s", path,
				    err_str(errno));
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (r == 0)
		r = words_parse(slice(room, n), ret, reterr);
	passphrase_wipe(room, WORDS_INPUT_MAX);
	return r;
}
