/*
 * opts.h - -o options of the mount
 *
 * What every FUSE program takes, and what fstab may add.  Commas inside of a
 * value are escaped with a backslash, as mount.fuse wants it.
 *
 *   ro rw  suid nosuid  dev nodev  exec noexec  sync async dirsync
 *   noatime relatime atime (as relatime) strictatime
 *   diratime nodiratime                          flags of mount(2)
 *   allow_other allow_root                       who may look
 *   default_permissions                          always on
 *   fsname=NAME subtype=NAME                     what df and mount show
 *   max_read=BYTES                               4096 to 1 MiB
 *   writeback_cache                              session.h
 *   debug                                        libfuse logs every request
 *   defaults auto noauto user nouser users _netdev nofail x-…  for fstab: ignored
 *
 * nosuid and nodev are the default, also for root; and noatime, see docs/posix.md.
 */
#ifndef FUSE_OPTS_H
#define FUSE_OPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct err;

#define OPTS_NAME_MAX 256 /* bytes of fsname and subtype, terminated */

struct opts {
	unsigned long flags; /* MS_* */
	bool allow_other, allow_root, writeback_cache, debug;
	unsigned max_read; /* 0: not limited */
	char fsname[OPTS_NAME_MAX];
	char subtype[OPTS_NAME_MAX];
};

/*
 * `text` may be NULL.  The defaults of `ret` are set first; fsname stays empty
 * if it is not given.  -EINVAL with a sentence that names the option.
 */
must_check int opts_parse(const char *text, struct opts *ret, struct err *reterr);

/*
 * For a mount that stands and has the flags `now` (MS_*): those that it is to have,
 * which are the same but for what `text` says.  What mount(8) repeats from
 * /proc/mounts is taken.  -EINVAL also for what cannot change any more.
 */
must_check int opts_parse_again(const char *text, unsigned long now,
				unsigned long *ret, struct err *reterr);

#endif
