/*
 * holdlock.c - a process that waits at some of its steps (LD_PRELOAD)
 *
 * Before it takes a flock(2) it makes the file HOLDLOCK_FILE.waits, and goes on when
 * HOLDLOCK_FILE is there: what others do between two steps of it is the test's to
 * say.  With HOLDTHREADS_MS new threads run, and the first thread, if it made one,
 * waits for so long.  With HOLDPAUSE_FILE each pause, a poll(2) of nothing, begins with
 * the file HOLDPAUSE_FILE.waits, and ends when HOLDPAUSE_FILE is there; both go.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct waits {
	char path[4096];
};

static struct waits wait_for(const char *go)
{
	struct waits w;
	int mark;

	(void)snprintf(w.path, sizeof(w.path), "%s.waits", go); /* fits */
	mark = open(w.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (mark >= 0)
		(void)close(mark); /* empty */
	while (access(go, F_OK) != 0)
		(void)usleep(10000); /* the test goes on meanwhile */
	return w;
}

int our_flock(int fd, int how) __asm__("flock");

int our_flock(int fd, int how)
{
	int (*real)(int, int);
	const char *go = getenv("HOLDLOCK_FILE");

	*(void **)&real = dlsym(RTLD_NEXT, "flock");
	if (go)
		(void)wait_for(go);
	return real(fd, how);
}

int our_poll(struct pollfd *p, nfds_t n, int ms) __asm__("poll");

int our_poll(struct pollfd *p, nfds_t n, int ms)
{
	int (*real)(struct pollfd *, nfds_t, int);
	const char *go = getenv("HOLDPAUSE_FILE");
	struct waits w;

	*(void **)&real = dlsym(RTLD_NEXT, "poll");
	if (!go || p)
		return real(p, n, ms);
	w = wait_for(go);
	(void)unlink(w.path); /* first: the next pause makes it again */
	(void)unlink(go);
	return 0;
}

int our_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *),
	       void *arg) __asm__("pthread_create");

int our_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	const char *ms = getenv("HOLDTHREADS_MS");
	int r;

	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	r = real(t, a, run, arg);
	if (ms && gettid() == getpid())
		(void)usleep((unsigned)strtoul(ms, NULL, 10) * 1000);
	return r;
}
