/*
 * progress.h - one line on a terminal that says how far something is
 *
 * Threading: one thread.
 */
#ifndef DAEMON_PROGRESS_H
#define DAEMON_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/util.h"

struct progress {
	bool shown; /* stderr is a terminal */
	bool dirty; /* the line has something */
};

void progress_init(struct progress *p, bool quiet);

/* For client_call(): {"stage": …, "done": bytes, "total": bytes}. */
void progress_line(void *ctx, const json_t *line);
void progress_wipe(struct progress *p); /* the line, for other text */
void progress_fini(struct progress *p); /* likewise */

#endif
