/*
 * control.h - the control socket, daemon's side
 *
 * A stream socket of mode 0600 at path_socket(); only our own user and root get
 * in (SO_PEERCRED).  Both sides send one JSON object a line.  A client sends
 * requests, one after the other:
 *
 *   {"verb": "status"}
 *   {"verb": "sync", "wait": true}
 *
 * and gets for each any number of progress lines and one final line:
 *
 *   {"progress": {"stage": "uploading", "done": 3, "total": 10}}
 *   {"ok": true, ...}      or     {"ok": false, "errno": 28, "error": "..."}
 *
 * Bounds: CONTROL_CLIENTS_MAX clients (more are turned away), requests of
 * CONTROL_REQUEST_MAX bytes, CONTROL_PENDING_MAX bytes that a client has not
 * read yet, CONTROL_IDLE_MS without a request.  A client over a bound is closed;
 * none can make the loop wait.  One that was stopped while it waits for an answer
 * is over none: where it reads no lines of progress, none are sent, and it gets its
 * last one when it goes on.
 *
 * Threading: control_new() before the loop runs; everything else on the loop.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

#include <jansson.h>
#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

struct control;
struct control_call;
struct err;
struct loop;

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_REQUEST_MAX 4096       /* bytes of one line */
#define CONTROL_PENDING_MAX (1u << 20) /* bytes */
#define CONTROL_PROGRESS_MAX \
 (64u << 10) /* bytes that wait: no more lines of progress */
#define CONTROL_IDLE_MS   60000
#define CONTROL_LINGER_MS 2000 /* for last words at the end */

/*
 * One verb.  `start` gets the request (borrowed until it returns) and ends the
 * call with control_done(), from inside `start` or later.
 */
struct control_verb {
	const char *name;
	void (*start)(void *ctx, struct control_call *call, const json_t *request);
};

/*
 * Listen, in a folder into which nobody else may write.  `verbs` ends with a row without name and stays valid.  An old socket
 * at `path` is replaced: the caller holds the drive's lock.
 */
must_check int control_new(struct loop *loop, const char *path,
			   const struct control_verb *verbs, void *ctx,
			   struct control **ret, struct err *reterr);

/*
 * Take no more requests, close who has no call, and the others once their last
 * line is written (at most CONTROL_LINGER_MS); then remove the socket and call
 * `done` on the loop.
 */
void control_stop(struct control *c, void (*done)(void *ctx), void *ctx);
void control_free(struct control *c); /* after `done`, or the loop never ran */

/* Takes the reference to `progress`, also when the client has gone, or does not read. */
void control_progress(struct control_call *call, json_t *progress);

/*
 * The final line.  err 0: `result` (an object, or NULL) with "ok" added; else
 * the reason.  Takes `result`; the call is gone afterwards.
 */
void control_done(struct control_call *call, int err, const char *reason,
		  json_t *result);

/* Has the client left?  Then a long call may as well end. */
bool control_gone(const struct control_call *call);

/*
 * A request line into an object with a string "verb".  -EPROTO with the reason,
 * -EMSGSIZE, -ENOMEM.  The result is the caller's to json_decref().
 */
must_check int control_parse(struct slice line, json_t **ret, struct err *reterr);

#endif
