/*
 * killat.c - kill -9 at the n-th durable write of one file (LD_PRELOAD)
 *
 * Around each transaction of a database in WAL mode there are two moments: before
 * the first byte of it is written to the log, when all that was done on the
 * strength of the last one is done and nothing of it is written down; and after
 * its fdatasync(2), when it is written down and nothing was done about it yet.
 * Both are counted, of the file whose name ends with KILLAT_NAME, in a file of
 * two numbers that the test maps as well:
 *
 *   offset  size  field
 *   0       8     left: at the moment that makes it 0 the process ends; 0: never
 *   8       8     seen: moments so far, whoever they ended
 *
 * The file is KILLAT_FILE.  Numbers have the machine's byte order.  A moment is one
 * with the file's flock(2) held, and who dies of it holds that to his end: so a test
 * that has it knows whether the last moment was taken.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

struct count {
	int64_t left, seen; /* with the lock */
};

static struct count *count;
static const char *name, *file;
static atomic_bool written; /* since the last fdatasync */
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int);

/* What the process calls under the names of the C library. */
int our_fdatasync(int fd) __asm__("fdatasync");
ssize_t our_pwrite(int fd, const void *p, size_t n, off_t off) __asm__("pwrite64");

__attribute__((constructor)) static void begin(void)
{
	void *at = MAP_FAILED;
	int fd;

	*(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
	*(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
	file = getenv("KILLAT_FILE");
	name = getenv("KILLAT_NAME");
	if (!file || !name)
		return;
	fd = open(file, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		at = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
			  MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd); /* it stays mapped */
	if (at != MAP_FAILED)
		count = at;
}

static bool is_it(int fd)
{
	char link[32], path[4096];
	size_t want;
	ssize_t n;

	if (!count)
		return false;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd); /* fits */
	n = readlink(link, path, sizeof(path));
	want = strlen(name);
	return n > 0 && (size_t)n >= want &&
	       memcmp(path + (size_t)n - want, name, want) == 0;
}

static void moment(void)
{
	int fd = open(file, O_RDWR | O_CLOEXEC); /* a lock for each thread */

	if (fd < 0)
		abort();
	while (flock(fd, LOCK_EX) < 0)
		if (errno != EINTR)
			abort();
	count->seen++;
	if (count->left > 0 && --count->left == 0) {
		(void)kill(getpid(), SIGKILL);
		for (;;)
			(void)pause(); /* until that has arrived */
	}
	(void)close(fd);
}

ssize_t our_pwrite(int fd, const void *p, size_t n, off_t off)
{
	if (is_it(fd) && !atomic_exchange(&written, true))
		moment();
	return real_pwrite(fd, p, n, off);
}

int our_fdatasync(int fd)
{
	int r = real_fdatasync(fd);

	if (is_it(fd)) {
		atomic_store(&written, false);
		moment();
	}
	return r;
}
