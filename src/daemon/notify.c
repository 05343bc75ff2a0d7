#include "daemon/notify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/util.h"

void notify_systemd(const char *state)
{
	const char *to = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	size_t n = to ? strlen(to) : 0;

	if (n < 2 || n >= sizeof(a.sun_path) || (to[0] != '/' && to[0] != '@'))
		return;
	memcpy(a.sun_path, to, n);
	if (to[0] == '@')
		a.sun_path[0] = '\0'; /* the abstract name space */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
		     (const struct sockaddr *)&a,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)); /* best effort */
}
