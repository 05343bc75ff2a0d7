/*
 * holdlock.c - a process that waits at some of its steps (LD_PRELOAD)
 *
 * Before it takes a flock(2) it makes the file HOLDLOCK_FILE.waits, and goes on when
 * HOLDLOCK_FILE is there: what others do between two steps of it is the test's to
 * say.  With HOLDTHREADS_MS new threads run, and the first thread, if it made one,
 * waits for so long.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int our_flock(int fd, int how) __asm__("flock");

int our_flock(int fd, int how)
{
	int (*real)(int, int);
	const char *go = getenv("HOLDLOCK_FILE");
	char waits[4096];
	int mark;

	*(void **)&real = dlsym(RTLD_NEXT, "flock");
	if (!go)
		return real(fd, how);
	(void)snprintf(waits, sizeof(waits), "%s.waits", go); /* fits */
	mark = open(waits, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (mark >= 0)
		(void)close(mark); /* empty */
	while (access(go, F_OK) != 0)
		(void)usleep(10000); /* the test goes on meanwhile */
	return real(fd, how);
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
