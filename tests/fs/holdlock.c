/*
 * holdlock.c - a process that waits before it takes a flock(2) (LD_PRELOAD)
 *
 * It makes the file HOLDLOCK_FILE.waits, and goes on when HOLDLOCK_FILE is there:
 * what others do between two steps of it is the test's to say.
 */
#include <dlfcn.h>
#include <fcntl.h>
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
