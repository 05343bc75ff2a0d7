/*
 * answer.h - what a daemon answers, as commands read it (control.h has the lines)
 *
 * The daemon is ours, of whatever version; or something else of our own user that
 * sits at the socket: what it says is read in bounded memory, and what is not there
 * is not believed.
 *
 * Threading: any, values.
 */
#ifndef DAEMON_ANSWER_H
#define DAEMON_ANSWER_H

#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"
#include "net/json.h"

struct err;

/* Members and elements of a line: none that a daemon sends is below 16 bytes a value
 * in 4 MiB. */
#define ANSWER_VALUES_MAX (1u << 18)

/* A line into an object, the caller's.  What json_read() says; -EPROTO: no object. */
must_check int answer_read(struct slice line, json_t **ret);

/*
 * 1: it is progress, and more will come; 0: ok; else the daemon's errno, and its reason
 * in `reterr`, where there always is one.  -EPROTO: it says neither ok nor a number.
 */
must_check int answer_end(const json_t *line, struct err *reterr);

/* A number that has to be there, from 0 on, or -EPROTO. */
must_check int answer_count(const json_t *line, const char *key, uint64_t *ret);

/* Of a status: where that daemon is mounted; heap, NULL: it does not say. */
char *answer_mountpoint(const json_t *status);

/* A status for people, on stdout. */
void answer_say_status(const json_t *status);

#endif
