/* test_mount_end.c - how a mount begins and ends, busy or not */
#include "mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"

/* ---- a busy end ---- */

/* How a process ends that touches the page. */
static int touch(volatile const char *page)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGBUS, SIG_DFL); /* not cmocka's */
		_exit(page[0] == 's' ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void nothing_of_a_busy_mount_can_be_read_after_its_end(void **state)
{
	struct fixture *f = *state;
	char got[16], *map;
	int fd, dir, status;

	mount_it(f);
	assert_int_equal(mkdir(at(f, "d"), 0755), 0);
	put(at(f, "d/f"), "secret", 0644);
	put(at(f, "d/g"), "secret", 0644);
	expect(at(f, "d/g"), "secret");
	fd = open(at(f, "d/f"), O_RDONLY);
	dir = open(at(f, "d"), O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0 && dir >= 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 6);
	assert_int_equal(touch(map), 0);
	stop(f);
	assert_int_equal(pread(fd, got, sizeof(got), 0), -1);
	assert_int_equal(errno, ENOTCONN);
	status = touch(map);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	assert_int_equal(openat(dir, "g", O_RDONLY), -1);
	assert_int_equal(munmap(map, 4096), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(close(dir), 0);
}

static void what_was_written_to_a_mapping_survives_a_busy_end(void **state)
{
	struct fixture *f = *state;
	char *map;
	int fd;

	mount_it(f);
	put(at(f, "f"), "before", 0644);
	fd = open(at(f, "f"), O_RDWR);
	assert_true(fd >= 0);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	memcpy(map, "behind", 6);
	stop(f);
	assert_int_equal(munmap(map, 4096), 0);
	assert_int_equal(close(fd), 0);
	f->ready = 0;
	mount_it(f);
	expect(at(f, "f"), "behind");
}

/* The folder that waits is locked by who waits. */
static void a_busy_end_does_not_wait_for_a_store(void **state)
{
	struct fixture *f = *state;
	struct reader r = { 0 };
	char path[64];
	int fd;

	mount_it(f);
	put(at(f, "f"), "secret", 0644);
	fd = open(at(f, "f"), O_RDONLY);
	assert_true(fd >= 0);
	absent_file(f, path, sizeof(path));
	r.path = path;
	assert_int_equal(pthread_create(&r.id, NULL, read_main, &r), 0);
	wait_for_fetches(f->c, 1);
	stop(f);
	assert_int_equal(pthread_join(r.id, NULL), 0);
	assert_int_equal(r.n, -1);
	assert_int_equal(close(fd), 0);
}
/* ---- life ---- */

static void an_unmount_from_outside_ends_the_session(void **state)
{
	struct fixture *f = *state;
	struct statvfs v;

	mount_it(f);
	assert_int_equal(statvfs(f->dir, &v), 0);
	assert_int_equal(v.f_bfree, 500);
	assert_int_equal(v.f_namemax, 255);
	put(at(f, "f"), "x", 0644);
	assert_int_equal(umount2(f->dir, 0), 0);
	assert_int_equal(session_wait(f->s), 0);
}

static void a_read_only_mount_takes_no_writes(void **state)
{
	struct fixture *f = *state;

	f->opts = "ro";
	mount_it(f);
	assert_int_equal(mkdir(at(f, "d"), 0755), -1);
	assert_int_equal(errno, EROFS);
}

static void a_mountpoint_that_is_none_is_named(void **state)
{
	struct fixture *f = *state;
	struct session_params p = { .cache = f->c, .mountpoint = at(f, "no") };
	struct session *s = NULL;
	struct err e = { { 0 } };

	assert_int_equal(session_new(&p, &s, &e), -ENOENT);
	assert_non_null(strstr(e.text, "no such mountpoint"));
	p.mountpoint = "/dev/null";
	e = (struct err){ { 0 } };
	assert_int_equal(session_new(&p, &s, &e), -ENOTDIR);
	assert_non_null(strstr(e.text, "not a directory"));
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_mount(nothing_of_a_busy_mount_can_be_read_after_its_end),
		with_mount(what_was_written_to_a_mapping_survives_a_busy_end),
		with_mount(a_busy_end_does_not_wait_for_a_store),
		with_mount(an_unmount_from_outside_ends_the_session),
		with_mount(a_read_only_mount_takes_no_writes),
		with_mount(a_mountpoint_that_is_none_is_named),
	};
	int r = no_mounts();

	return r < 0 ? cmocka_run_group_tests_name("mount-end", tests, NULL, NULL) :
		       r;
}
