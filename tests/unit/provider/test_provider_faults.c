/*
 * test_provider_faults.c - kill -9 in a put; full and read-only file systems
 *
 * The mounts live in a mount namespace of this process and go with it.  Where
 * neither root nor a user namespace is to be had, those two cases are skipped.
 */
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIG       (12u << 20)
#define N_KILLS   16
#define KILLS_MAX 400 /* on a machine that is slow to begin */

/* In a process of its own: puts one piece, says so before and after. */
static void putter(struct fixture *f, const struct piece_cid *cid, int out)
{
	threads_start(f);
	if (simple(f->p, PROVIDER_ATTACH, NULL) < 0 ||
	    write(out, "a", 1) != 1 || put(f->p, f, "big", cid, BIG) < 0)
		_exit(1);
	_exit(0);
}

/* Kill it `us` after it has begun.  Was it in the middle? */
static bool kill_in_put(struct fixture *f, const struct piece_cid *cid, unsigned us)
{
	int out[2], status;
	pid_t pid;
	char c;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		putter(f, cid, out[1]);
	assert_int_equal(read(out[0], &c, 1), 1);
	(void)usleep(us); /* the moment to be tested */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) ||
		    (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	assert_int_equal(close(out[0]), 0);
	assert_int_equal(close(out[1]), 0);
	return WIFSIGNALED(status);
}

static void a_put_that_is_killed_leaves_a_whole_piece_or_none(void **state)
{
	struct fixture f = { .p = NULL };
	struct piece_cid cid;
	unsigned rests = 0, killed = 0;
	char path[2 * PATH_SIZE];
	struct stat st;

	(void)state;
	folders_make(&f);
	cid = make_piece(&f, "big", 3, BIG);
	piece_path(&f, &cid, path);
	for (unsigned i = 0; i < N_KILLS || (rests == 0 && i < KILLS_MAX); i++) {
		killed += kill_in_put(&f, &cid, i * 400);
		if (stat(path, &st) == 0) {
			assert_int_equal(st.st_size, BIG);
			assert_int_equal(unlink(path), 0);
		}
		rests = count_names(f.store, ".part-");
	}
	assert_true(killed > 0);
	assert_true(rests > 0); /* or it never was in the middle */
	threads_start(&f);
	assert_int_equal(count_list(f.p), 0);
	assert_int_equal(put(f.p, &f, "big", &cid, BIG), 0);
	assert_int_equal(simple(f.p, PROVIDER_VERIFY, &cid), 0);
	threads_stop(&f);
	folders_remove(&f);
}

static void mount_store(struct fixture *f)
{
	assert_int_equal(mount("fildrive-test", f->store, "tmpfs", 0, "size=1m"), 0);
}

static void a_full_store_says_so_and_keeps_no_rest(void **state)
{
	struct fixture *f = *state;
	struct piece_cid small, large;

	mount_store(f);
	small = make_piece(f, "small", 1, 100000);
	large = make_piece(f, "large", 2, 2u << 20);
	assert_int_equal(put(f->p, f, "small", &small, 100000), 0);
	assert_int_equal(put(f->p, f, "large", &large, 2u << 20), -ENOSPC);
	assert_int_equal(size_at(f->p, &large), -ENOENT);
	assert_int_equal(count_names(f->store, ".part-"), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &small), 0);
	assert_int_equal(umount(f->store), 0);
	/* the stick is pulled out: away, and nothing is written under it */
	assert_int_equal(put(f->p, f, "small", &small, 100000), -EREMOTEIO);
	assert_int_equal(count_names(f->store, ""), 0);
}

static void a_read_only_store_serves_and_takes_nothing(void **state)
{
	struct fixture *f = *state;
	struct provider_req claim = { .verb = PROVIDER_CLAIM,
				      .head = slice_str("x") };
	struct piece_cid a, b;

	mount_store(f);
	a = make_piece(f, "a", 1, 100000);
	b = make_piece(f, "b", 2, 100000);
	assert_int_equal(put(f->p, f, "a", &a, 100000), 0);
	assert_int_equal(mount(NULL, f->store, NULL, MS_REMOUNT | MS_RDONLY, NULL),
			 0);
	assert_int_equal(simple(f->p, PROVIDER_ATTACH, NULL), 0);
	assert_int_equal(simple(f->p, PROVIDER_VERIFY, &a), 0);
	assert_int_equal(put(f->p, f, "a", &a, 100000), 0); /* there already */
	assert_int_equal(put(f->p, f, "b", &b, 100000), -EROFS);
	assert_int_equal(provider_call(f->p, &claim), -EROFS);
	assert_int_equal(simple(f->p, PROVIDER_REMOVE, &a), -EROFS);
	assert_int_equal(umount(f->store), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static int tell_kernel(const char *path, const char *text)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, n) == (ssize_t)n ? 0 : -errno;
	(void)close(fd); /* written */
	return r;
}

/* Of a new user namespace: who is nobody there may not make a file. */
static int map_to_itself(unsigned uid, unsigned gid)
{
	char user[64], group[64];

	(void)snprintf(user, sizeof(user), "%u %u 1", uid, uid);   /* fits */
	(void)snprintf(group, sizeof(group), "%u %u 1", gid, gid); /* fits */
	if (tell_kernel("/proc/self/setgroups", "deny") < 0 ||
	    tell_kernel("/proc/self/gid_map", group) < 0)
		return -1;
	return tell_kernel("/proc/self/uid_map", user);
}

/* With an argument the cases that mount something: meson takes cmocka's skip()
 * for a failure, so that what may be skipped is a run of its own. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_that_is_killed_leaves_a_whole_piece_or_none),
	};
	const struct CMUnitTest mounted[] = {
		CASE(a_full_store_says_so_and_keeps_no_rest),
		CASE(a_read_only_store_serves_and_takes_nothing),
	};
	unsigned uid = geteuid(), gid = getegid();
	int flags = uid == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER;

	(void)argv;
	if (argc == 1)
		return cmocka_run_group_tests(tests, NULL, NULL);
	/* EINVAL: our root is no mount point, as in a chroot */
	if (unshare(flags) < 0 || (uid && map_to_itself(uid, gid) < 0) ||
	    (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 && errno != EINVAL))
		return printf("1..0 # SKIP this machine gives no namespace to "
			      "mount in\n") < 0;
	return cmocka_run_group_tests(mounted, NULL, NULL);
}
