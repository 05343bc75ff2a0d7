/*
 * ops.h - the handlers that libfuse calls, by what they are about
 *
 * names.c  lookup, mknod, mkdir, symlink, link, unlink, rmdir, rename, create
 *          (and O_TMPFILE), readlink
 * inode.c  forget, getattr, setattr, statfs
 * bytes.c  open, read, write, fsync, fallocate, lseek, copy_file_range
 * dir.c    opendir, readdir, readdirplus, fsyncdir
 * xattr.c  extended attributes and what ACLs do when they are set
 *
 * Not here on purpose: access (the kernel checks with default_permissions),
 * flush (ENOSYS: there is nothing to do, and the kernel does not ask again),
 * locks (the kernel keeps them itself), ioctl, poll, bmap.
 *
 * Threading: workers; each handler answers its request exactly once, now or,
 * parked, later.
 */
#ifndef FUSE_OPS_H
#define FUSE_OPS_H

#include "base/util.h"
#include "fuse/op.h"

struct acl;

void ops_names(struct fuse_lowlevel_ops *ops);
void ops_inode(struct fuse_lowlevel_ops *ops);
void ops_bytes(struct fuse_lowlevel_ops *ops);
void ops_dir(struct fuse_lowlevel_ops *ops);
void ops_xattr(struct fuse_lowlevel_ops *ops);

/*
 * An ACL of ino: 1 and *ret, or 0 if there is none.  -EINPROGRESS as the cache
 * has it; -EIO if what is stored is no ACL.  `name` is ACL_ACCESS or
 * ACL_DEFAULT.
 */
must_check int ops_get_acl(struct op *op, uint64_t ino, const char *name,
			   struct acl *ret);

/* Clear suid and sgid where the caller may not keep them; for changes of content
 * that come without the kernel's own flag. */
must_check int ops_kill_suid(struct op *op, uint64_t ino);

/*
 * Clear sgid of a file without group execution if the caller is not in its
 * group, as the kernel does on its own file systems.  Sets who.mode_changed.  Of
 * an inode that was just changed, so never -EINPROGRESS.
 */
must_check int ops_kill_sgid(struct op *op, uint64_t ino);

/*
 * Suid or sgid went away by a change of content.  The kernel leaves that to us
 * (HANDLE_KILLPRIV_V2) and does not look at the mode again: who asks for nothing
 * else, stat -c %a or execve(2), would see the old bits until the attributes time
 * out.  Before the reply, so that who has written does not see them.
 */
void ops_mode_changed(struct op *op, uint64_t ino);

#endif
