/*
 * daemon.h - one mounted drive: wiring and life
 *
 *   start   loop, control socket, engine, cache, session; then ready()
 *   serve   until the mount is gone: umount, fusermount3 -u, lock, lock_after,
 *           SIGTERM, SIGINT, SIGHUP
 *   end     session (no request is under way), engine (no upload is), cache
 *           (last group commit), control (says so to who waits), loop
 *
 * What starts in this order ends in the opposite one, also when a start fails
 * half way.  Whoever asked for the umount over the control socket is told the
 * outcome of the last commit.
 *
 * Threading: daemon_run() belongs to the main thread.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/util.h"

struct daemon;
struct drive;
struct engine_ops;
struct engine_status;
struct err;

struct daemon_params {
	struct drive *drive;    /* locked and unlocked (drive.h) */
	const char *mountpoint; /* absolute */
	const char *opts;       /* for the session */
	bool read_only;
	const struct engine_ops *engine; /* NULL: local only */

	/*
	 * The mount is usable; from another thread, once.  An error (nobody
	 * waits any more) ends the daemon.
	 */
	int (*ready)(void *ctx);
	void *ctx;
};

/*
 * Mount and serve until the end.  *ret_part says in which part of the life an
 * error came, for the exit code.  *ret_left: all is on disk and closed, but
 * threads hang in a store that does not answer; they may still read through the
 * drive's io, so let go of its lock and end the process, and free nothing.
 */
enum daemon_part {
	DAEMON_CONTROL, /* loop, signals, control socket */
	DAEMON_CACHE,   /* opening or closing the drive */
	DAEMON_ENGINE,
	DAEMON_SESSION, /* mounting */
};
must_check int daemon_run(const struct daemon_params *p, enum daemon_part *ret_part,
			  bool *ret_left, struct err *reterr);

/*
 * The answer to `status`, an object; loop thread.  NULL without memory.  `engine`
 * NULL: there is none.
 *
 * Members and units: see STATUS in fildrive(1), which is the interface.
 */
json_t *daemon_status(struct daemon *d, const struct engine_status *engine);

#endif
