#include "daemon/lock_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOUNTED " mounted "

struct lock_text lock_text_read(const char *text, size_t n)
{
	struct lock_text h = { .pid = -1 };
	const char *dev, *at;
	char *end = NULL;
	long pid = strtol(text, &end, 10);

	if (pid <= 0 || pid > INT_MAX)
		return h;
	h.pid = pid;
	if (strncmp(end, MOUNTED, strlen(MOUNTED)) != 0)
		return h;
	dev = end + strlen(MOUNTED);
	at = strchr(dev, ' ');
	if (!at || at == dev || (size_t)(at - dev) >= sizeof(h.device))
		return h;
	memcpy(h.device, dev, (size_t)(at - dev));
	text_copy(h.mountpoint, sizeof(h.mountpoint), at + 1);
	n -= (size_t)(at + 1 - text);
	/* the newline at the end; a path may have others */
	if (n > 0 && n <= sizeof(h.mountpoint) && h.mountpoint[n - 1] == '\n')
		h.mountpoint[n - 1] = '\0';
	return h;
}

int lock_text_make(const struct lock_text *h, char ret[static LOCK_TEXT_MAX])
{
	bool at = h->device[0];

	return snprintf(ret, LOCK_TEXT_MAX, "%ld%s%s%s%s\n", h->pid,
			at ? MOUNTED : "", at ? h->device : "", at ? " " : "",
			at ? h->mountpoint : ""); /* fits */
}
