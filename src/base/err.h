/*
 * err.h - the one dialect of errors
 *
 * Functions return 0 or a positive count, and -errno on failure.  Foreign codes
 * are translated once, in the file that owns the library.  What the errno values
 * mean here, beyond POSIX:
 *
 *   EBADMSG       authentication or hash mismatch
 *   EUCLEAN       our own disk state is inconsistent
 *   EPROTO        a peer sent nonsense, or a record has a wrong form
 *   ENOKEY        the drive is locked
 *   EKEYREJECTED  wrong passphrase
 *   ENOSPC        the cache is full of dirty data, or the disk is full
 *   EMSGSIZE      over a declared maximum
 *   ECANCELED     the caller called it off
 *   ETIMEDOUT     a deadline passed
 *   EREMOTEIO     no provider could serve it
 *   EINPROGRESS   absent here: fetch it, then ask again (cache.h)
 *   ESTALE        superseded: another device holds the head
 *   ENOTUNIQ      the drive directory is in use by another process
 *
 * Only fuse/reply.c maps these to what a POSIX caller may see.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>

#include "base/util.h"

/* A reason in words for a person (status, CLI).  Zeroed: no error. */
struct err {
	char text[256];
};

/*
 * Write the reason and return `code`, so that `return err_set(e, r, "…")` reads
 * in one line.  `e` may be NULL.  A reason that is already there is kept: the
 * layer that saw the error first knows it best.
 */
int err_set(struct err *e, int code, const char *fmt, ...) printf_like(3, 4);

/* One short sentence for -errno; thread-safe, never NULL. */
const char *err_str(int code);

#endif
