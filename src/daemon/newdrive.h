/*
 * newdrive.h - what init and recover ask alike
 *
 * Threading: one thread, at start.
 */
#ifndef DAEMON_NEWDRIVE_H
#define DAEMON_NEWDRIVE_H

#include "base/util.h"

struct cli;
struct config;
struct err;

/*
 * The config that --store, --copies, --cache-size, --budget and --payer ask for, as far
 * as the verb has them; checked alone.  -EINVAL, with a sentence in *why.
 */
must_check int newdrive_config(const struct cli *cli, struct config *ret,
			       struct err *why);

#endif
