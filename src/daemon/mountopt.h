/*
 * mountopt.h - the string behind -o
 *
 * Takes out what is ours, drops what only mount(8) and systemd read in fstab
 * (noauto, x-systemd.…), and hands the rest on to fuse/session.h, which refuses
 * what it does not know: a misspelt `ro` must not mount read-write.  A comma in
 * a value is written \, and a backslash \\.
 *
 * Threading: values.
 */
#ifndef DAEMON_MOUNTOPT_H
#define DAEMON_MOUNTOPT_H

#include <stdbool.h>

#include "base/util.h"

struct err;

#define MOUNTOPT_VALUE_MAX 4096 /* bytes, with NUL */

struct mountopt {
	char drive[MOUNTOPT_VALUE_MAX]; /* "": not given; so below */
	char passfile[MOUNTOPT_VALUE_MAX];
	char extpass[MOUNTOPT_VALUE_MAX];
	char snapshot[MOUNTOPT_VALUE_MAX];
	uint64_t cache_size; /* bytes */
	bool has_cache_size;
	bool foreground;
	bool verbose;
	bool remount; /* change the flags of a mount that stands */
	char rest[MOUNTOPT_VALUE_MAX]; /* "ro,allow_other", for the session */
};

/*
 * Adds what `text` says to *ret, which was zeroed before the first call.
 * -EINVAL with the option's name in `reterr`.
 */
must_check int mountopt_parse(const char *text, struct mountopt *ret,
			      struct err *reterr);

#endif
