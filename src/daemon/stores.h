/*
 * stores.h - is this URL fit to be a store of a drive?
 *
 * Checked when a drive is made and when its config is changed, so that a typing
 * error shows now and not at the first upload.  Only what every store of a kind
 * has in common is checked here; talking to it is src/provider's.
 *
 *   dir:///abs/path   a folder, which is made if its parent is there; not the
 *                     drive directory, not in it, and not around it
 *
 * Threading: any.
 */
#ifndef DAEMON_STORES_H
#define DAEMON_STORES_H

#include "base/util.h"

struct config;
struct err;

/*
 * All stores of `c` for the drive in `drive_dir` (which need not exist yet).
 * -EINVAL, -ENOENT, … with the store and the reason in `reterr`.
 */
must_check int stores_check(const struct config *c, const char *drive_dir,
			    struct err *reterr);

#endif
