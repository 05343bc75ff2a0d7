/*
 * mounts.h - which drives are mounted where, as the kernel has it
 *
 * Threading: any.
 */
#ifndef DAEMON_MOUNTS_H
#define DAEMON_MOUNTS_H

#include <stdbool.h>

#include "base/util.h"
#include "daemon/proc_text.h"

struct err;

struct mounts_entry {
	char *mountpoint;
	char *drive;
	char device[PROC_DEVICE_MAX]; /* "major:minor": as long as a mount of it
					   stands, no other has it */
};

void mounts_entry_fini(struct mounts_entry *e);

/*
 * The topmost mount of a drive at `mountpoint`.  Never touches the mountpoint,
 * which may be dead.  -ENOENT: there is none.
 */
must_check int mounts_find(const char *mountpoint, struct mounts_entry *ret);

/*
 * 1: in the mount namespace of process `pid` this device of a drive is mounted at
 * `mountpoint`; 0: it is not, or was moved; -errno: that cannot be told.  The number
 * alone says little: the kernel gives that of a mount that has gone to the next one.
 */
must_check int mounts_shows(long pid, const char *device, const char *mountpoint);

/* An absolute path without looking at what is mounted there. */
must_check int mounts_absolute(const char *path, char **ret);

/*
 * Unmount: umount2(2) for root, else fusermount3.  lazy: out of sight at once,
 * gone when the last file is closed.
 * -EBUSY, -EPERM, -ENOENT (no fusermount3), with what to do in `reterr`.
 */
must_check int mounts_unmount(const char *mountpoint, bool lazy, struct err *reterr);

#endif
