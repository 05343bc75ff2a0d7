/* main.c - fildrive, and mount.fildrive: see verbs.h */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/heap.h"
#include "daemon/verbs.h"

/*
 * Whoever starts a program may have closed its standard files (sh's <&-, some
 * supervisors).  The next file opened would get such a number: a database that
 * messages are printed into, or a loop whose end libuv asserts not to be there.
 */
static int open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	if (open_standard_files() < 0)
		return 1; /* and nowhere to say why */
	heap_settle();
	return verbs_main(argc, argv);
}
