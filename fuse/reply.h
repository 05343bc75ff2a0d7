/*
 * reply.h - what the kernel gets to hear
 *
 * The only place where our errors become those that a POSIX caller may see, and
 * where attributes of the cache become those of FUSE.  Every function uses up
 * the request.  Call without locks: a reply may wake the caller at once.
 *
 * Threading: any thread.
 */
#ifndef FUSE_REPLY_H
#define FUSE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/util.h"

struct cache_attr;
struct cache_statfs;
struct fuse_file_info;
struct op;

#define REPLY_TIMEOUT_S \
 3600.0                     /* of names and attributes: nobody but this
				  mount changes the drive */
#define REPLY_BLKSIZE 65536 /* st_blksize: stdio's buffers */

/* -errno of ours to the (positive) errno of a system call. */
must_check int reply_errno(int code);

void reply_err(struct op *op, int code); /* code: 0 or -errno */
void reply_none(struct op *op);          /* requests without an answer */

/*
 * The rest returns 0, so that an op ends with `return reply_x(…)`.  An entry
 * carries the reference that the cache added; it is given back if the kernel
 * no longer wants the answer.
 */
int reply_ok(struct op *op);
int reply_entry(struct op *op, const struct cache_attr *a);
int reply_no_entry(struct op *op); /* ENOENT, which the kernel may remember */
int reply_create(struct op *op, const struct cache_attr *a);
/*
 * An open, with the flags in `fi`.  `accessed`: reading it moves the time of access;
 * where one is due the kernel does not keep what it has, for who reads from its
 * memory is not seen here.  -errno: nothing was replied.
 */
must_check int reply_open(struct op *op, struct fuse_file_info *fi, bool accessed);
int reply_attr(struct op *op, const struct cache_attr *a);
int reply_statx(struct op *op, const struct cache_attr *a); /* wire.h */
int reply_buf(struct op *op, const void *p, size_t n);
int reply_size(struct op *op, size_t n);  /* of an xattr */
int reply_write(struct op *op, size_t n); /* bytes written or copied */
int reply_lseek(struct op *op, uint64_t off);
int reply_target(struct op *op, const char *target);
int reply_statfs(struct op *op, const struct cache_statfs *st);

#endif
