/* test_mount.c - files, folders, modes and what comes with them, on a mount */
#include "mounted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Run in a child, as a user without privilege; exit status is the result. */
static int as_user(int (*f)(const char *path), const char *path)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(1234) < 0 || setuid(1234) < 0)
			_exit(99);
		_exit(f(path));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* ---- files ---- */

static void files_are_written_read_renamed_and_removed(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	mount_it(f);
	put(at(f, "a"), "hello", 0644);
	expect(at(f, "a"), "hello");
	put(at(f, "a"), "bye", 0644); /* O_TRUNC */
	expect(at(f, "a"), "bye");
	assert_int_equal(mkdir(at(f, "d"), 0755), 0);
	assert_int_equal(rename(at(f, "a"), at(f, "d/b")), 0);
	assert_int_equal(access(at(f, "a"), F_OK), -1);
	assert_int_equal(errno, ENOENT);
	expect(at(f, "d/b"), "bye");
	assert_int_equal(rmdir(at(f, "d")), -1);
	assert_int_equal(errno, ENOTEMPTY);
	assert_int_equal(symlink("d/b", at(f, "l")), 0);
	expect(at(f, "l"), "bye");
	assert_int_equal(link(at(f, "d/b"), at(f, "h")), 0);
	assert_int_equal(stat(at(f, "h"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_size, 3);
	assert_int_equal(unlink(at(f, "d/b")), 0);
	assert_int_equal(rmdir(at(f, "d")), 0);
	expect(at(f, "h"), "bye");
}

static void an_unlinked_open_file_stays_until_it_is_closed(void **state)
{
	struct fixture *f = *state;
	char got[8] = "";
	int fd;

	mount_it(f);
	put(at(f, "a"), "text", 0644);
	fd = open(at(f, "a"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(unlink(at(f, "a")), 0);
	assert_int_equal(pread(fd, got, 4, 0), 4);
	assert_string_equal(got, "text");
	assert_int_equal(pwrite(fd, "more", 4, 4), 4);
	assert_int_equal(close(fd), 0);
}

static void a_tmpfile_gets_its_name_when_it_is_linked(void **state)
{
	struct fixture *f = *state;
	char self[64];
	int fd;

	mount_it(f);
	fd = open(f->dir, O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "tmp", 3), 3);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	assert_int_equal(
		linkat(AT_FDCWD, self, AT_FDCWD, at(f, "t"), AT_SYMLINK_FOLLOW), 0);
	assert_int_equal(close(fd), 0);
	expect(at(f, "t"), "tmp");
	assert_int_equal(mode_of(at(f, "t")), 0600);
}

static void appends_of_two_files_do_not_overwrite_each_other(void **state)
{
	struct fixture *f = *state;
	int a, b;

	mount_it(f);
	a = open(at(f, "log"), O_CREAT | O_WRONLY | O_APPEND, 0644);
	b = open(at(f, "log"), O_WRONLY | O_APPEND);
	assert_true(a >= 0 && b >= 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(write(a, "a", 1), 1);
		assert_int_equal(write(b, "b", 1), 1);
	}
	assert_int_equal(close(a), 0);
	assert_int_equal(close(b), 0);
	expect(at(f, "log"), "abababababababababab");
}

static void names_and_sizes_have_their_limits(void **state)
{
	struct fixture *f = *state;
	char name[258];
	int fd;

	mount_it(f);
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	put(at(f, name), "x", 0644);
	expect(at(f, name), "x");
	name[255] = 'n';
	name[256] = '\0';
	assert_int_equal(open(at(f, name), O_CREAT | O_WRONLY, 0644), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	fd = open(at(f, "big"), O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (1ll << 53) + 1), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(pwrite(fd, "x", 1, 1ll << 53), -1);
	assert_int_equal(errno, EFBIG);
	assert_int_equal(close(fd), 0);
}

/* ---- directories ---- */

static void a_listing_is_complete_and_references_are_given_back(void **state)
{
	struct fixture *f = *state;
	bool seen[300] = { false };
	struct dirent *e;
	unsigned dots = 0;
	char name[16];
	DIR *d;

	mount_it(f);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "f%03d", i);
		put(at(f, name), "", 0644);
	}
	d = opendir(f->dir);
	assert_non_null(d);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while ((e = readdir(d))) {
		struct stat st;

		if (e->d_name[0] == '.') {
			dots++;
			continue;
		}
		int i = (int)strtol(e->d_name + 1, NULL, 10);

		assert_false(seen[i]);
		seen[i] = true;
		assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
	}
	assert_int_equal(closedir(d), 0);
	assert_int_equal(dots, 2);
	for (int i = 0; i < 300; i++)
		assert_true(seen[i]);

	/* Dropping its caches makes the kernel forget all it looked up. */
	assert_true(fake_n_refs(f->c) >= 300);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "f%03d", i);
		assert_int_equal(unlink(at(f, name)), 0);
	}
	for (int i = 0; i < 6000 && fake_n_refs(f->c) > 0; i++)
		(void)poll(NULL, 0, 10);
	assert_int_equal(fake_n_refs(f->c), 0);
}

static void a_listing_goes_on_while_names_come_and_go(void **state)
{
	struct fixture *f = *state;
	unsigned n = 0;
	char name[16];
	struct dirent *e;
	DIR *d;

	mount_it(f);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "old%03d", i);
		put(at(f, name), "", 0644);
	}
	d = opendir(f->dir);
	assert_non_null(d);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "old", 3) != 0)
			continue;
		n++;
		assert_int_equal(unlink(at(f, e->d_name)), 0);
		if (n % 10 == 0) {
			(void)snprintf(name, sizeof(name), "new%03u", n);
			put(at(f, name), "", 0644);
		}
	}
	assert_int_equal(closedir(d), 0);
	assert_int_equal(n, 200);
}

/* ---- modes ---- */

static int append_byte(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	return fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1;
}

static int cut_short(const char *path)
{
	return truncate(path, 1) == 0 ? 0 : 1;
}

static void writing_takes_suid_from_others_and_leaves_it_to_root(void **state)
{
	struct fixture *f = *state;

	mount_it(f);
	put(at(f, "f"), "prog", 0644);
	assert_int_equal(chmod(at(f, "f"), 06777), 0);
	assert_int_equal(append_byte(at(f, "f")), 0);
	assert_int_equal(mode_of(at(f, "f")), 06777);
	assert_int_equal(as_user(append_byte, at(f, "f")), 0);
	assert_int_equal(mode_of(at(f, "f")), 0777);

	assert_int_equal(chmod(at(f, "f"), 06777), 0);
	assert_int_equal(as_user(cut_short, at(f, "f")), 0);
	assert_int_equal(mode_of(at(f, "f")), 0777);

	assert_int_equal(chmod(at(f, "f"), 06777), 0);
	assert_int_equal(chown(at(f, "f"), 5, 6), 0);
	assert_int_equal(mode_of(at(f, "f")), 0777);
}

static void new_files_get_the_umask_and_the_group_of_a_setgid_parent(void **state)
{
	struct fixture *f = *state;
	mode_t old = umask(027);
	struct stat st;

	mount_it(f);
	put(at(f, "f"), "", 0666);
	assert_int_equal(mode_of(at(f, "f")), 0640);
	assert_int_equal(mkdir(at(f, "d"), 0777), 0);
	assert_int_equal(mode_of(at(f, "d")), 0750);
	assert_int_equal(chown(at(f, "d"), 0, 77), 0);
	assert_int_equal(chmod(at(f, "d"), 02750), 0);
	assert_int_equal(mkdir(at(f, "d/e"), 0777), 0);
	assert_int_equal(stat(at(f, "d/e"), &st), 0);
	assert_int_equal(st.st_gid, 77);
	assert_int_equal(st.st_mode & 07777, 02750);
	put(at(f, "d/e/f"), "", 0666);
	assert_int_equal(stat(at(f, "d/e/f"), &st), 0);
	assert_int_equal(st.st_gid, 77);
	assert_int_equal(st.st_mode & 07777, 0640);
	(void)umask(old);
}

/* u::rwx u:1234:r-x g::r-x m::rwx o::--- */
static const uint8_t acl_value[] = {
	2, 0,    0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,   5,
	0, 0xd2, 4,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16,  0,
	7, 0,    255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255,
};

static int list_it(const char *path)
{
	DIR *d = opendir(path);

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
	return d && readdir(d) ? 0 : 1;
}

static void acls_are_inherited_and_follow_chmod(void **state)
{
	const char *dflt = "system.posix_acl_default";
	const char *access_acl = "system.posix_acl_access";
	struct fixture *f = *state;
	uint8_t got[256];

	mount_it(f);
	assert_int_equal(mkdir(at(f, "d"), 0700), 0);
	assert_int_equal(as_user(list_it, at(f, "d")), 1);
	assert_int_equal(setxattr(at(f, "d"), access_acl, acl_value,
				  sizeof(acl_value), 0),
			 0);
	assert_int_equal(mode_of(at(f, "d")), 0770); /* the mask */
	assert_int_equal(as_user(list_it, at(f, "d")), 0);
	assert_int_equal(
		setxattr(at(f, "d"), dflt, acl_value, sizeof(acl_value), 0), 0);
	put(at(f, "d/f"), "", 0640);
	assert_int_equal(mode_of(at(f, "d/f")), 0640);
	assert_int_equal(getxattr(at(f, "d/f"), access_acl, got, sizeof(got)),
			 sizeof(acl_value));
	assert_int_equal(getxattr(at(f, "d/f"), dflt, got, sizeof(got)), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(mkdir(at(f, "d/e"), 0777), 0);
	assert_int_equal(mode_of(at(f, "d/e")), 0770);
	assert_int_equal(getxattr(at(f, "d/e"), dflt, got, sizeof(got)),
			 sizeof(acl_value));
	assert_memory_equal(got, acl_value, sizeof(acl_value));

	assert_int_equal(chmod(at(f, "d"), 0700), 0);
	assert_int_equal(getxattr(at(f, "d"), access_acl, got, sizeof(got)),
			 sizeof(acl_value));
	assert_int_equal(got[4 + 8 * 3 + 2], 0); /* mask::--- */
	assert_int_equal(as_user(list_it, at(f, "d")), 1);
	assert_int_equal(removexattr(at(f, "d"), access_acl), 0);
	assert_int_equal(
		setxattr(at(f, "d/f"), dflt, acl_value, sizeof(acl_value), 0), -1);
	assert_int_equal(errno, EACCES);
}

static void xattrs_are_kept_and_ours_only_answer(void **state)
{
	struct fixture *f = *state;
	char got[256] = "";
	ssize_t n;

	mount_it(f);
	put(at(f, "f"), "", 0644);
	assert_int_equal(setxattr(at(f, "f"), "user.a", "1", 1, XATTR_CREATE), 0);
	assert_int_equal(setxattr(at(f, "f"), "user.a", "1", 1, XATTR_CREATE), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(setxattr(at(f, "f"), "user.b", "", 0, 0), 0);
	n = listxattr(at(f, "f"), got, sizeof(got));
	assert_int_equal(n, 14);
	assert_memory_equal(got, "user.a\0user.b\0", 14);
	assert_int_equal(listxattr(at(f, "f"), got, 13), -1);
	assert_int_equal(errno, ERANGE);
	assert_int_equal(getxattr(at(f, "f"), "user.a", got, sizeof(got)), 1);
	assert_int_equal(removexattr(at(f, "f"), "user.a"), 0);
	assert_int_equal(getxattr(at(f, "f"), "user.a", got, sizeof(got)), -1);
	assert_int_equal(errno, ENODATA);

	n = getxattr(at(f, "f"), "user.fildrive.state", got, sizeof(got));
	assert_int_equal(n, 5);
	assert_memory_equal(got, "local", 5);
	assert_int_equal(getxattr(at(f, "f"), "user.fildrive.copies", got, 0), 1);
	assert_int_equal(getxattr(at(f, "f"), "user.fildrive.cid", got, 9), -1);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(setxattr(at(f, "f"), "user.fildrive.state", "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
}

static void times_are_set_to_the_nanosecond(void **state)
{
	const struct timespec v[2] = { { 1000000000, 123456789 },
				       { 0, UTIME_OMIT } };
	struct fixture *f = *state;
	struct stat before, after;

	mount_it(f);
	put(at(f, "f"), "", 0644);
	assert_int_equal(stat(at(f, "f"), &before), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(f, "f"), v, 0), 0);
	assert_int_equal(stat(at(f, "f"), &after), 0);
	assert_int_equal(after.st_atim.tv_sec, 1000000000);
	assert_int_equal(after.st_atim.tv_nsec, 123456789);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

/* ---- together ---- */

static void fsync_reaches_the_cache_and_flush_does_not(void **state)
{
	struct fixture *f = *state;
	int fd, d;

	mount_it(f);
	fd = open(at(f, "f"), O_CREAT | O_WRONLY, 0644);
	d = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0 && d >= 0);
	assert_int_equal(fake_n_syncs(f->c), 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(fake_n_syncs(f->c), 1);
	assert_int_equal(fsync(d), 0);
	assert_int_equal(fake_n_syncs(f->c), 2);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(d), 0);
	assert_int_equal(fake_n_syncs(f->c), 2);
}

static void an_fsync_that_failed_is_told(void **state)
{
	struct fixture *f = *state;
	int fd, d;

	mount_it(f);
	fd = open(at(f, "f"), O_CREAT | O_WRONLY, 0644);
	d = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0 && d >= 0);
	fake_sync_fails(f->c, -EIO);
	assert_int_equal(fsync(fd), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(fdatasync(fd), -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(fsync(d), -1);
	assert_int_equal(errno, EIO);
	fake_sync_fails(f->c, 0);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(d), 0);
}

/* Four threads each; more than a leader can do alone. */
static void *hammer_main(void *arg)
{
	const char *dir = arg;
	char path[64], text[64];

	for (int i = 0; i < 200; i++) {
		(void)snprintf(path, sizeof(path), "%s/h%lx", dir,
			       (unsigned long)pthread_self());
		(void)snprintf(text, sizeof(text), "%d", i);
		put(path, text, 0644);
		expect(path, text);
		assert_int_equal(unlink(path), 0);
	}
	return NULL;
}

static void many_callers_are_served_at_once(void **state)
{
	struct fixture *f = *state;
	pthread_t id[4];

	mount_it(f);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&id[i], NULL, hammer_main, f->dir),
				 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(id[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_mount(files_are_written_read_renamed_and_removed),
		with_mount(an_unlinked_open_file_stays_until_it_is_closed),
		with_mount(a_tmpfile_gets_its_name_when_it_is_linked),
		with_mount(appends_of_two_files_do_not_overwrite_each_other),
		with_mount(names_and_sizes_have_their_limits),
		with_mount(a_listing_is_complete_and_references_are_given_back),
		with_mount(a_listing_goes_on_while_names_come_and_go),
		with_mount(writing_takes_suid_from_others_and_leaves_it_to_root),
		with_mount(new_files_get_the_umask_and_the_group_of_a_setgid_parent),
		with_mount(acls_are_inherited_and_follow_chmod),
		with_mount(xattrs_are_kept_and_ours_only_answer),
		with_mount(times_are_set_to_the_nanosecond),
		with_mount(fsync_reaches_the_cache_and_flush_does_not),
		with_mount(an_fsync_that_failed_is_told),
		with_mount(many_callers_are_served_at_once),
	};
	int r = no_mounts();

	return r < 0 ? cmocka_run_group_tests_name("mount", tests, NULL, NULL) : r;
}
