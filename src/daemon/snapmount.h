/*
 * snapmount.h - a temporary drive that shows one commit, read only
 *
 * It stands beside the drive, as <home>/.<drive>.<N>-XXXXXX/, is filled from the
 * stores and needs nothing of the drive but config and keys: so a snapshot can
 * be mounted while the drive is.  It goes with the mount; what a crash left is
 * swept by the next one.
 *
 * Threading: one thread.
 */
#ifndef DAEMON_SNAPMOUNT_H
#define DAEMON_SNAPMOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct drive;
struct err;

/*
 * `d` is open and unlocked (drive_unlock()); its keys are taken over, also on
 * failure.  -ENOENT: no such commit.
 * The result is closed by snapmount_close(), which removes its folder.
 * `*ret_left`, also on failure: as recovery_close() says.
 */
must_check int snapmount_open(struct drive *d, uint64_t sequence, struct drive **ret,
			      bool *ret_left, struct err *reterr);
void snapmount_close(struct drive *d); /* NULL is fine */

/* As drive_leave(); its folder goes all the same. */
void snapmount_leave(struct drive *d);

static inline void snapmount_closep(struct drive **d)
{
	snapmount_close(*d);
}

#endif
