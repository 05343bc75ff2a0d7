/*
 * exits.h - exit codes, and the one-line errors that come with them
 *
 * The codes are an interface for scripts: they are listed in fildrive(1) and
 * never change their meaning.  `fsck` has the bits of fsck(8) instead, and the
 * mount helper those of mount(8).
 *
 * Threading: any.
 */
#ifndef DAEMON_EXITS_H
#define DAEMON_EXITS_H

#include <stdio.h>

#include "base/util.h"

enum exits {
	EXITS_OK = 0,
	EXITS_GENERIC = 1,
	EXITS_USAGE = 2,
	EXITS_MOUNTPOINT = 10, /* absent, no folder, not mounted, busy */
	EXITS_CONFIG = 11,     /* no such drive, or its config is wrong */
	EXITS_PASSWORD = 12,   /* wrong, or none to be had */
	EXITS_LOCKED = 13,     /* another process has the drive */
	EXITS_OFFLINE = 14,    /* no store could be reached */
	EXITS_FUNDS = 15,      /* no money, or past the user's limits */
	EXITS_DISK_FULL = 16,
	EXITS_INTEGRITY = 17, /* damage, or an older copy put back */
	EXITS_DIRTY = 18, /* something is not yet where it was asked to be */
	EXITS_FUSE = 19,  /* FUSE is not there, or does not let us */
	EXITS_CHECK = 26, /* a check found errors (verify) */
};

/* The code for -errno (err.h). */
enum exits exits_of(int err);

/* Prints "fildrive: text" on stderr and returns `code`. */
int exits_say(int code, const char *fmt, ...) printf_like(2, 3);

/*
 * What a failed call left: the reason if there is one, else `doing` and the
 * meaning of -errno.  Returns exits_of(err).
 */
struct err;
int exits_err(int err, const struct err *reason, const char *doing);

/* stdout, when a full disk or a closed pipe is found at the end of the run. */
void exits_out(const char *fmt, ...) printf_like(1, 2);

/* A store's URL; of a slot of a network without its endpoints, which the config
 * shows. */
void exits_store(FILE *to, const char *url);

#endif
