#include "mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static void on_ready(void *ctx)
{
	struct fixture *f = ctx;

	f->ready++;
}

void mount_it(struct fixture *f)
{
	struct session_params p = {
		.cache = f->c,
		.mountpoint = f->dir,
		.drive = "test",
		.opts = f->opts,
		.fetch_timeout_ms = f->timeout_ms,
		.ready = on_ready,
		.ctx = f,
	};
	struct err e = { { 0 } };
	struct stat st;

	assert_int_equal(session_new(&p, &f->s, &e), 0);
	assert_int_equal(session_run_threads(f->s, &e), 0);
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_ino, 1);
	while (atomic_load(&f->ready) == 0) /* the kernel goes on before it is said */
		(void)poll(NULL, 0, 1);
	assert_int_equal(f->ready, 1);
}

/* In the folder of the run, whose end takes every mount in it along. */
static void new_dir(char ret[static FIXTURE_DIR_MAX])
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(ret, FIXTURE_DIR_MAX, "%s/fd-XXXXXX", tmp ? tmp : "/tmp");

	assert_in_range(n, 0, FIXTURE_DIR_MAX - 1);
	assert_non_null(mkdtemp(ret));
}

int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	new_dir(f->dir);
	f->c = fake_new();
	f->timeout_ms = 120000;
	f->opts = "allow_other,suid,dev";
	*state = f;
	return 0;
}

int tear_down(void **state)
{
	struct fixture *f = *state;

	session_free(f->s);
	fake_free(f->c);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

const char *at(const struct fixture *f, const char *name)
{
	static char path[2][512];
	static int i;

	i = !i;
	(void)snprintf(path[i], sizeof(path[i]), "%s/%s", f->dir, name);
	return path[i];
}

void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

void expect(const char *path, const char *text)
{
	char got[256] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	assert_int_equal(close(fd), 0);
	assert_string_equal(got, text);
}

void stop(struct fixture *f)
{
	session_stop(f->s);
	assert_int_equal(session_wait(f->s), 0);
	session_free(f->s);
	f->s = NULL;
}

static int try_mount(int fd, const char *dir)
{
	char data[80];

	(void)snprintf(data, sizeof(data),
		       "fd=%d,rootmode=40000,user_id=0,group_id=0", fd); /* fits */
	if (mount("probe", dir, "fuse", MS_NOSUID | MS_NODEV, data) < 0)
		return -errno;
	return umount2(dir, MNT_DETACH) < 0 ? -errno : 0;
}

int no_mounts(void)
{
	char dir[FIXTURE_DIR_MAX];
	int fd, r;

	if (geteuid() != 0)
		return printf("1..0 # SKIP this user is not root\n") < 0;
	fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return printf("1..0 # SKIP this machine has no /dev/fuse to use\n") <
		       0;
	new_dir(dir);
	r = try_mount(fd, dir);
	(void)rmdir(dir); /* empty */
	(void)close(fd);  /* only asked */
	if (r == -EPERM)
		return printf("1..0 # SKIP this machine lets nobody mount\n") < 0;
	return -1;
}

void *read_main(void *reader)
{
	struct reader *r = reader;
	int fd = open(r->path, O_RDONLY | O_DIRECT); /* no read-ahead */

	assert_true(fd >= 0);
	r->n = read(fd, r->got, sizeof(r->got));
	r->err = errno;
	assert_int_equal(close(fd), 0);
	return NULL;
}

void absent_file(struct fixture *f, char *path, size_t max)
{
	struct stat st;

	(void)snprintf(path, max, "%s", at(f, "cold"));
	put(path, "0123456789", 0644);
	assert_int_equal(stat(path, &st), 0);
	fake_absent(f->c, st.st_ino);
}

void wait_for_fetches(struct cache *c, unsigned n)
{
	for (int i = 0; i < 24000 && fake_n_fetches(c) < n; i++)
		(void)poll(NULL, 0, 5);
	assert_int_equal(fake_n_fetches(c), n);
}
