/*
 * clock.c - a process whose clocks a test can set (LD_PRELOAD)
 *
 * CLOCK_FILE holds what is added to its clocks, and may be changed at any time by
 * who maps it too; numbers have the machine's byte order:
 *
 *   offset  size  field
 *   0       8     nanoseconds added to CLOCK_REALTIME, time(2), gettimeofday(2)
 *   8       8     nanoseconds added to CLOCK_MONOTONIC and CLOCK_BOOTTIME
 *
 * Who waits until a time is woken every SLICE_MS, as condition variables may do,
 * and so sees a clock that was set; but a wait without end stays one.  poll(2)
 * ends when that clock says so.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SLICE_MS 100
#define NS       1000000000ll

struct added {
	_Atomic int64_t real, monotonic;
};

static struct added *added;
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *,
			const struct timespec *);
static int (*real_poll)(struct pollfd *, nfds_t, int);
static int (*real_epoll)(int, struct epoll_event *, int, int, const sigset_t *);

/* What the process calls under the names of the C library. */
int our_gettime(clockid_t id, struct timespec *ret) __asm__("clock_gettime");
time_t our_time(time_t *ret) __asm__("time");
int our_gettimeofday(struct timeval *ret, void *zone) __asm__("gettimeofday");
int our_wait(pthread_cond_t *c, pthread_mutex_t *m,
	     const struct timespec *until) __asm__("pthread_cond_timedwait");
int our_poll(struct pollfd *v, nfds_t n, int timeout) __asm__("poll");
int our_epoll(int fd, struct epoll_event *v, int n, int timeout,
	      const sigset_t *mask) __asm__("epoll_pwait");
int our_epoll_wait(int fd, struct epoll_event *v, int n,
		   int timeout) __asm__("epoll_wait");

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("CLOCK_FILE");
	void *at = MAP_FAILED;
	int fd;

	*(void **)&real_wait =
		dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
	if (!real_wait) /* machines that never had the older one */
		*(void **)&real_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
	*(void **)&real_poll = dlsym(RTLD_NEXT, "poll");
	*(void **)&real_epoll = dlsym(RTLD_NEXT, "epoll_pwait");
	if (!path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		at = mmap(NULL, sizeof(*added), PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		(void)close(fd); /* it stays mapped */
	if (at != MAP_FAILED)
		added = at;
}

static int64_t of(clockid_t id)
{
	if (!added)
		return 0;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		return atomic_load(&added->real);
	if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE ||
	    id == CLOCK_BOOTTIME)
		return atomic_load(&added->monotonic);
	return 0;
}

/* Sanitizers ask before begin() was called, so nothing is looked up for this one. */
static int real_gettime(clockid_t id, struct timespec *ret)
{
	return (int)syscall(SYS_clock_gettime, id, ret);
}

int our_gettime(clockid_t id, struct timespec *ret)
{
	int r = real_gettime(id, ret);
	int64_t ns;

	if (r < 0)
		return r;
	ns = ret->tv_sec * NS + ret->tv_nsec + of(id);
	ret->tv_sec = ns / NS;
	ret->tv_nsec = ns % NS;
	return 0;
}

time_t our_time(time_t *ret)
{
	struct timespec t;

	(void)our_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}

int our_gettimeofday(struct timeval *ret, void *zone)
{
	struct timespec t;

	(void)zone;
	(void)our_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	*ret = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}

/* All condition variables here count on the monotonic clock. */
int our_wait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until)
{
	int64_t want = until->tv_sec * NS + until->tv_nsec - of(CLOCK_MONOTONIC);
	struct timespec t;
	int64_t now, end;
	int r;

	(void)real_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	now = t.tv_sec * NS + t.tv_nsec;
	end = want < now ? now : want;
	if (end > now + SLICE_MS * (NS / 1000))
		end = now + SLICE_MS * (NS / 1000);
	t = (struct timespec){ end / NS, end % NS };
	r = real_wait(c, m, &t);
	return r == ETIMEDOUT && end < want ? 0 : r;
}

int our_epoll(int fd, struct epoll_event *v, int n, int timeout, const sigset_t *mask)
{
	return real_epoll(fd, v, n, timeout > SLICE_MS ? SLICE_MS : timeout, mask);
}

int our_epoll_wait(int fd, struct epoll_event *v, int n, int timeout)
{
	return our_epoll(fd, v, n, timeout, NULL);
}

int our_poll(struct pollfd *v, nfds_t n, int timeout)
{
	struct timespec t;
	int64_t end = 0, left;
	int r;

	do {
		(void)our_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
		left = t.tv_sec * 1000ll + t.tv_nsec / 1000000;
		end = end ? end : left + timeout;
		left = timeout < 0 ? SLICE_MS : end > left ? end - left : 0;
		r = real_poll(v, n, left > SLICE_MS ? SLICE_MS : (int)left);
	} while (r == 0 && left > 0);
	return r;
}
