/* test_mount_wait.c - reads of what is not here, on a mount */
#include "mounted.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/thread.h"
#include "base/util.h"

static void a_read_waits_for_absent_bytes_and_nobody_else_does(void **state)
{
	struct fixture *f = *state;
	struct reader r[40] = { 0 };
	struct session_stats st;
	char path[64];

	mount_it(f);
	absent_file(f, path, sizeof(path));
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		r[i].path = path;
		assert_int_equal(pthread_create(&r[i].id, NULL, read_main, &r[i]),
				 0);
	}
	wait_for_fetches(f->c, ARRAY_LEN(r));
	put(at(f, "warm"), "warm", 0644); /* while forty wait */
	expect(at(f, "warm"), "warm");
	session_stats(f->s, &st);
	assert_int_equal(st.parked, ARRAY_LEN(r));
	fake_arrive(f->c, 0);
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		assert_int_equal(pthread_join(r[i].id, NULL), 0);
		assert_int_equal(r[i].n, 10);
		assert_string_equal(r[i].got, "0123456789");
	}
	session_stats(f->s, &st);
	assert_int_equal(st.parked_total, ARRAY_LEN(r));
	assert_int_equal(st.timeouts, 0);
}

#define PATH_ROOM 64

static void one_waits(struct fixture *f, struct reader *r,
		      char path[static PATH_ROOM])
{
	absent_file(f, path, PATH_ROOM);
	r->path = path;
	assert_int_equal(pthread_create(&r->id, NULL, read_main, r), 0);
	wait_for_fetches(f->c, 1);
}

static void a_failed_fetch_is_an_io_error(void **state)
{
	struct fixture *f = *state;
	struct reader r = { 0 };
	char path[PATH_ROOM];

	mount_it(f);
	one_waits(f, &r, path);
	fake_arrive(f->c, -EREMOTEIO);
	assert_int_equal(pthread_join(r.id, NULL), 0);
	assert_int_equal(r.n, -1);
	assert_int_equal(r.err, EIO);
}

static void a_read_past_its_deadline_is_an_io_error(void **state)
{
	struct fixture *f = *state;
	struct session_stats st;
	struct reader r = { 0 };
	char path[64];

	f->timeout_ms = 50;
	mount_it(f);
	absent_file(f, path, sizeof(path));
	r.path = path;
	(void)read_main(&r);
	assert_int_equal(r.n, -1);
	assert_int_equal(r.err, EIO);
	do { /* the answer comes a moment before the books are closed */
		session_stats(f->s, &st);
	} while (st.parked > 0);
	assert_int_equal(st.timeouts, 1);
	assert_int_equal(st.parked_bytes, 0);
}

static int read_cold(const char *path)
{
	struct reader r = { .path = path };

	(void)read_main(&r);
	return 0;
}

static void a_waiting_read_can_be_killed(void **state)
{
	struct fixture *f = *state;
	char path[64];
	uint64_t start;
	int status;
	pid_t pid;

	mount_it(f);
	absent_file(f, path, sizeof(path));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(read_cold(path));
	wait_for_fetches(f->c, 1);
	start = monotonic_ms();
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(monotonic_ms() - start < f->timeout_ms / 2);
	assert_true(WIFSIGNALED(status));
	wait_for_fetches(f->c, 0);
}

static void a_stop_answers_what_waits(void **state)
{
	struct fixture *f = *state;
	struct reader r = { 0 };
	char path[PATH_ROOM];

	mount_it(f);
	one_waits(f, &r, path);
	stop(f);
	assert_int_equal(pthread_join(r.id, NULL), 0);
	assert_int_equal(r.n, -1);
	assert_int_equal(fake_n_fetches(f->c), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_mount(a_read_waits_for_absent_bytes_and_nobody_else_does),
		with_mount(a_failed_fetch_is_an_io_error),
		with_mount(a_read_past_its_deadline_is_an_io_error),
		with_mount(a_waiting_read_can_be_killed),
		with_mount(a_stop_answers_what_waits),
	};
	int r = no_mounts();

	return r < 0 ? cmocka_run_group_tests_name("mount-wait", tests, NULL, NULL) :
		       r;
}
