/*
 * test_io_sync.c - what a folder says is durable was asked of the disk
 *
 * Only a power cut would tell else: what was not synced is read back from memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"

/* What happened: "f" a file is synced, "d" a folder, "n" a file gets its name; of the
 * last sync, what. */
static struct {
	char log[16];
	size_t n;
	unsigned n_syncs, fails_at; /* this sync, with EIO; 0: none */
	struct stat last;
} seen;

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_renameat(int from, const char *a, int to, const char *b);
int __wrap_renameat(int from, const char *a, int to, const char *b);

static void note(char what)
{
	assert_true(seen.n + 1 < sizeof(seen.log));
	seen.log[seen.n++] = what;
}

static int sync_with(int (*call)(int fd), int fd)
{
	assert_int_equal(fstat(fd, &seen.last), 0);
	note(S_ISDIR(seen.last.st_mode) ? 'd' : 'f');
	if (++seen.n_syncs == seen.fails_at) {
		errno = EIO;
		return -1;
	}
	return call(fd);
}

int __wrap_fsync(int fd)
{
	return sync_with(__real_fsync, fd);
}

int __wrap_fdatasync(int fd)
{
	return sync_with(__real_fdatasync, fd);
}

int __wrap_renameat(int from, const char *a, int to, const char *b)
{
	note('n');
	return __real_renameat(from, a, to, b);
}

static void begin(unsigned fails_at)
{
	memset(&seen, 0, sizeof(seen));
	seen.fails_at = fails_at;
}

struct folder {
	char path[40];
	struct io *io;
};

static int set_up(void **state)
{
	static struct folder f;

	(void)snprintf(f.path, sizeof(f.path), "/tmp/fildrive-sync-XXXXXX");
	*state = &f;
	if (!mkdtemp(f.path))
		return -1;
	return io_dir_new(f.path, &f.io);
}

static int tear_down(void **state)
{
	const struct folder *f = *state;

	io_free(f->io);
	return rmdir(f->path);
}

/* That path, and nothing else, was synced last. */
static void is_last(const struct folder *f, const char *name)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", f->path, name);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_ino, seen.last.st_ino);
}

static void a_file_is_synced_when_it_says_so(void **state)
{
	const struct folder *f = *state;
	struct io_file *file;

	assert_int_equal(io_open(f->io, "a", O_RDWR | O_CREAT, &file), 0);
	assert_int_equal(io_pwrite(file, "bytes", 5, 0), 0);
	begin(0);
	assert_int_equal(io_datasync(file), 0);
	assert_string_equal(seen.log, "f");
	is_last(f, "a");
	begin(1);
	assert_int_equal(io_datasync(file), -EIO);
	io_close(file);
	assert_int_equal(io_unlink(f->io, "a"), 0);
}

static void a_folder_is_synced_when_it_says_so(void **state)
{
	const struct folder *f = *state;
	char below[64];

	assert_int_equal(io_mkdir(f->io, "below"), 0);
	begin(0);
	assert_int_equal(io_syncdir(f->io, "."), 0);
	assert_string_equal(seen.log, "d");
	is_last(f, ".");
	assert_int_equal(io_syncdir(f->io, "below"), 0);
	is_last(f, "below");
	begin(1);
	assert_int_equal(io_syncdir(f->io, "below"), -EIO);
	(void)snprintf(below, sizeof(below), "%s/below", f->path);
	assert_int_equal(rmdir(below), 0);
}

static void a_replaced_file_has_its_bytes_before_its_name_and_then_keeps_it(void **state)
{
	const struct folder *f = *state;

	begin(0);
	assert_int_equal(io_replace(f->io, ".", "a", slice("old", 3)), 0);
	assert_string_equal(seen.log, "fnd");
	begin(1);
	assert_int_equal(io_replace(f->io, ".", "a", slice("newer", 5)), -EIO);
	assert_string_equal(seen.log, "f"); /* it is still the old one */
	begin(2);
	assert_int_equal(io_replace(f->io, ".", "a", slice("newer", 5)), -EIO);
	assert_string_equal(seen.log, "fnd");
	assert_int_equal(io_unlink(f->io, "a"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_synced_when_it_says_so),
		cmocka_unit_test(a_folder_is_synced_when_it_says_so),
		cmocka_unit_test(
			a_replaced_file_has_its_bytes_before_its_name_and_then_keeps_it),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
