/*
 * seen_close.c - preloaded, shows the thread sanitizer what libuv closes
 *
 * libuv closes descriptors by syscall(SYS_close), which the sanitizer does not
 * see: when another thread gets the number, its use is reported as a race with
 * what the loop did with it before.  Here it becomes close().  tests/run.sh
 * preloads this; nothing else is changed.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...)
{
	long (*next)(long, ...);
	long a[6];
	va_list args;

	va_start(args, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_close)
		return close((int)a[0]);

	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
