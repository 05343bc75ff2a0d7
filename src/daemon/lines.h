/*
 * lines.h - bytes from a socket, cut into lines, in bounded memory
 *
 *   lines_init(&l, max);
 *   r = lines_feed(&l, bytes);            -EMSGSIZE: over max without an end
 *   while (lines_next(&l, &line)) ...     borrowed until the next feed
 *
 * Threading: one thread.
 */
#ifndef DAEMON_LINES_H
#define DAEMON_LINES_H

#include <stdbool.h>

#include "base/buf.h"

struct lines {
	struct buf buf;
	size_t at; /* what lines_next() has given out */
};

void lines_init(struct lines *l, size_t max); /* max: of a line, and of all */
void lines_fini(struct lines *l);

/* -EMSGSIZE when more than `max` bytes wait; -ENOMEM. */
must_check int lines_feed(struct lines *l, struct slice s);

/* The next whole line, without its newline; false if there is none yet. */
bool lines_next(struct lines *l, struct slice *ret);

#endif
