/*
 * wire.h - what libfuse 3.14 does not pass on
 *
 * The session owns the device, so requests and the answer to INIT go through
 * here, in place, before and after libfuse.  linux/fuse.h has the layouts.
 *
 *   INIT (26)      the answer gets flags that the kernel offered and that
 *                  libfuse leaves out: FUSE_HANDLE_KILLPRIV_V2 (no getxattr of
 *                  security.capability before each write), FUSE_SETXATTR_EXT,
 *                  FUSE_PARALLEL_DIROPS (which it knows, but does not say).
 *   SETATTR (4)    valid & FATTR_KILL_SUIDGID           -> OP_KILL_SUID
 *   WRITE (16)     write_flags & FUSE_WRITE_KILL_SUIDGID -> OP_KILL_SUID
 *   SETXATTR (21)  16-byte struct fuse_setxattr_in; setxattr_flags &
 *                  FUSE_SETXATTR_ACL_KILL_SGID -> OP_KILL_SGID; then cut down
 *                  to the 8 bytes that libfuse expects
 *   TMPFILE (51)   has the form of CREATE (35) and becomes one, OP_TMPFILE
 *
 * Everything that does not have the expected length is left as it is.
 *
 * Threading: wire_request() any thread, each with its own buffer; the INIT
 * exchange is over before there is a second request.
 */
#ifndef FUSE_WIRE_H
#define FUSE_WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct iovec;

struct wire {
	uint32_t offered;     /* flags of the INIT request */
	uint64_t init_unique; /* of the INIT request */
	atomic_bool answered; /* INIT was */
	bool setxattr_ext;
};

struct wire_kind {
	uint64_t unique; /* of the request, which an answer has to name */
	unsigned flags;  /* enum op_flags */
	bool heavy;      /* moves many bytes: may take long */
	bool changes;    /* something on the drive */
};

/* Look at the n bytes of a request; returns how many it has afterwards. */
size_t wire_request(struct wire *w, uint8_t *p, size_t n, struct wire_kind *ret);

/* Look at an answer before it is written. */
void wire_reply(struct wire *w, const struct iovec *iov, int count);

#endif
