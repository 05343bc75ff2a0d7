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

/* The config that --store, --copies and --cache-size ask for, checked alone. */
must_check int newdrive_config(const struct cli *cli, struct config *ret,
			       struct err *why);

#endif
