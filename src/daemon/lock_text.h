/*
 * lock_text.h - what stands in a drive's lock file: who has the lock
 *
 *   4711                               at work
 *   4711 mounted 0:52 /mnt/my drive    has mounted the drive there
 *
 * and a newline.  The mountpoint goes to the end and may have any bytes but NUL,
 * newlines, too.  The file may be older than its holder, or half written: it is for messages,
 * and for how long to wait, never for who may go on.
 *
 * Threading: any, values.
 */
#ifndef DAEMON_LOCK_TEXT_H
#define DAEMON_LOCK_TEXT_H

#include <limits.h>
#include <stddef.h>

#include "base/util.h"
#include "daemon/proc_text.h"

#define LOCK_TEXT_MAX (PATH_MAX + 96) /* bytes of the file, with NUL */

struct lock_text {
	long pid;                     /* -1: unknown */
	char device[PROC_DEVICE_MAX]; /* empty: not mounted, or not known as what */
	char mountpoint[PATH_MAX];
};

/* The n bytes of a file, with a NUL behind them; never fails. */
struct lock_text lock_text_read(const char *text, size_t n);

/* The bytes of a file, their number. */
must_check int lock_text_make(const struct lock_text *h,
			      char ret[static LOCK_TEXT_MAX]);

#endif
