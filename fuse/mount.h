/*
 * mount.h - /dev/fuse to a place in the tree and back
 *
 * mount(2) where we may, else fusermount3, which hands the device over through
 * a socket (_FUSE_COMMFD).  libfuse can do that too; here so that a person gets
 * the reason of a failure in words, and so that the device is ours (wire.h).
 *
 * Threading: any thread.
 */
#ifndef FUSE_MOUNT_H
#define FUSE_MOUNT_H

#include <stdbool.h>

#include "base/util.h"

struct err;
struct opts;

/*
 * Mounts at `path` (absolute) and hands out the device, close-on-exec.  Errors
 * as session_new() has them.
 */
must_check int mount_attach(const char *path, const struct opts *o, int *ret_fd,
			    struct err *reterr);

/* MS_* that the mount at `path` has now; MS_DIRSYNC cannot be seen. */
must_check int mount_flags(const char *path, unsigned long *ret);

/* Give the mount at `path` these flags (MS_*) and no others. */
must_check int mount_again(const char *path, unsigned long flags,
			   struct err *reterr);

/*
 * Let the kernel read ahead so far, best effort: INIT can only lower its 128 KiB,
 * and only root may raise them.  Call after INIT; sends no request to the mount.
 */
void mount_read_ahead(const char *path, unsigned kib);

/* Is the mount of this device gone? */
bool mount_gone(int fd);

/*
 * Unmount; the kernel writes back what it holds.  -EBUSY: a program has a file or
 * its working directory there; `lazy` takes it out of the tree all the same.  Other
 * -errno, which are logged: it could not be done.
 */
must_check int mount_detach(const char *path, bool lazy);

#endif
