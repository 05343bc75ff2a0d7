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
 *   STATX (52)     struct fuse_getattr_in and 8 bytes more (flags, mask): cut
 *                  off, it is a GETATTR (3), OP_STATX, whose answer is a struct
 *                  wire_statx_out.  From Linux 6.6 on (protocol 7.39), asked for
 *                  the time of birth only, once for each inode that it knows
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

/* ---- FUSE_STATX, which the headers of Linux 6.1 do not know ---- */

#define WIRE_STATX 52

struct wire_time {
	int64_t s;
	uint32_t ns;
	int32_t spare;
};

/*
 *   offset  size  field
 *   0       8     seconds that all of it may be kept; 24 bytes of zeros
 *   32      4     mask: which fields are filled in, as STATX_* of statx(2)
 *   36      28    blksize, attributes (none), nlink, uid, gid, mode
 *   64      32    ino, size, blocks (of 512 bytes), attributes_mask
 *   96      64    atime, btime, ctime, mtime: each 8 seconds, 4 nanoseconds
 *   160     16    rdev and dev, each major, minor
 *   176     112   zeros
 */
struct wire_statx_out {
	uint64_t valid_s;
	uint32_t valid_ns, flags;
	uint64_t spare[2];

	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare1;
	uint64_t ino, size, blocks, attributes_mask;
	struct wire_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t spare2[14];
};

_Static_assert(sizeof(struct wire_statx_out) == 288, "linux/fuse.h, 7.39");
_Static_assert(offsetof(struct wire_statx_out, mask) == 32, "likewise");
_Static_assert(offsetof(struct wire_statx_out, ino) == 64, "likewise");
_Static_assert(offsetof(struct wire_statx_out, rdev_major) == 160, "likewise");

/* ---- passing through ---- */

/* Look at the n bytes of a request; returns how many it has afterwards. */
size_t wire_request(struct wire *w, uint8_t *p, size_t n, struct wire_kind *ret);

/* Look at an answer before it is written. */
void wire_reply(struct wire *w, const struct iovec *iov, int count);

#endif
