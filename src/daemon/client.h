/*
 * client.h - the control socket, the command's side (control.h)
 *
 * Threading: one thread.
 */
#ifndef DAEMON_CLIENT_H
#define DAEMON_CLIENT_H

#include "base/util.h"
#include "net/json.h"

struct client_conn;
struct err;

#define CLIENT_LINE_MAX \
 (4u << 20)                  /* bytes that a daemon may answer in a line */
#define CLIENT_WAIT_MS 30000 /* for an answer that should be at once */

/* -ENOENT or -ECONNREFUSED: no daemon; in `reterr` why it could not be asked. */
must_check int client_connect(const char *drive, struct client_conn **ret,
			      struct err *reterr);
void client_close(struct client_conn *c); /* NULL is fine */

/* Takes `request`. */
must_check int client_send(struct client_conn *c, json_t *request);

/*
 * The next line, an object that is the caller's.  timeout_ms < 0: for ever.
 * -ETIMEDOUT, -ECONNRESET (the daemon ended), and what answer_read() says.
 */
must_check int client_recv(struct client_conn *c, int timeout_ms, json_t **ret);

/*
 * Send, hand progress lines to `progress` (may be NULL), return the final line
 * if it says ok.  Else the daemon's errno, and its reason in `reterr`.
 */
must_check int client_call(struct client_conn *c, json_t *request, int timeout_ms,
			   void (*progress)(void *ctx, const json_t *p),
			   void *ctx, json_t **ret, struct err *reterr);

/*
 * Until the daemon's process has ended, of which nothing is left then.  -ETIMEDOUT;
 * other -errno: that cannot be told.
 */
must_check int client_wait_end(struct client_conn *c, int timeout_ms);

/* What the daemon says of itself. */
must_check int client_status(struct client_conn *c, json_t **ret);

static inline void client_closep(struct client_conn **c)
{
	client_close(*c);
}

#define _cleanup_client_ _cleanup_(client_closep)

#endif
