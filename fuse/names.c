#include "fuse/ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fuse/acl.h"
#include "fuse/reply.h"

static int run_lookup(struct op *op)
{
	struct cache_attr a;
	int r = cache_lookup(op->env->cache, &op->who, op->ino, op->name, &a);

	if (r == -ENOENT)
		return reply_no_entry(op);
	return r < 0 ? r : reply_entry(op, &a);
}

/* "." and ".." come only for file handles: of any inode, and of a directory. */
static int run_handle(struct op *op)
{
	struct cache_attr a;
	uint64_t ino = op->ino;
	int r = 0;

	if (op->name.n == 2)
		r = cache_parent(op->env->cache, &op->who, op->ino, &ino);
	if (r == 0)
		r = cache_lookup_ino(op->env->cache, &op->who, ino, &a);
	return r < 0 ? r : reply_entry(op, &a);
}

/* Names come from the kernel, which has split them at slashes. */
static int take_name(struct slice *dst, const char *name)
{
	*dst = slice_str(name);
	return dst->n > CACHE_NAME_MAX ? -ENAMETOOLONG : 0;
}

static void start_named(struct op *op, uint64_t parent, const char *name)
{
	int r = take_name(&op->name, name);

	op->ino = parent;
	if (r < 0)
		reply_err(op, r);
	else
		op_start(op);
}

/* Replies: entry (ino 0 for ENOENT) | err(ENOTDIR, ENAMETOOLONG, EIO) */
static void ll_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	bool handle = strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
	struct op op = op_new(req, handle ? run_handle : run_lookup);

	start_named(&op, parent, name);
}

/* What a new inode is born with, and where those bytes live. */
struct birth {
	struct cache_new n;
	struct cache_xattr x[2];
	struct acl acl; /* first the default ACL, then the access ACL */
	uint8_t dflt[ACL_BYTES_MAX], access[ACL_BYTES_MAX];
};

static void add_xattr(struct birth *b, const char *name, const uint8_t *p, size_t n)
{
	b->x[b->n.n_xattrs++] = (struct cache_xattr){ slice_str(name), slice(p, n) };
	b->n.xattrs = b->x;
}

/* Default ACL of the parent, or the umask. */
static int inherit_acl(struct op *op, struct birth *b)
{
	int r;

	if (S_ISLNK(b->n.mode))
		return 0;
	r = ops_get_acl(op, op->ino, ACL_DEFAULT, &b->acl);
	if (r < 0)
		return r;
	if (r == 0) {
		b->n.mode &= ~(op->umask & 0777);
		return 0;
	}
	if (S_ISDIR(b->n.mode))
		add_xattr(b, ACL_DEFAULT, b->dflt, acl_encode(&b->acl, b->dflt));
	if (!acl_inherit(&b->acl, &b->n.mode))
		add_xattr(b, ACL_ACCESS, b->access, acl_encode(&b->acl, b->access));
	return 0;
}

/* Owner, group and mode: umask, set-group-ID parents and default ACLs. */
static int conceive(struct op *op, struct birth *b)
{
	struct cache_attr dir;
	int r = cache_getattr(op->env->cache, &op->who, op->ino, &dir);

	if (r < 0)
		return r;
	b->n = (struct cache_new){
		.mode = op->mode,
		.uid = op->who.uid,
		.gid = op->who.gid,
		.rdev = op->rdev,
		.target = op->data,
	};
	if (dir.mode & S_ISGID) {
		b->n.gid = dir.gid;
		if (S_ISDIR(op->mode))
			b->n.mode |= S_ISGID;
	}
	return inherit_acl(op, b);
}

static int run_mknod(struct op *op)
{
	struct cache_attr a;
	struct birth b;
	int r = conceive(op, &b);

	if (r < 0)
		return r;
	r = cache_mknod(op->env->cache, &op->who, op->ino, op->name, &b.n, &a);
	return r < 0 ? r : reply_entry(op, &a);
}

/* Replies: entry | err(EEXIST, ENOSPC, ENAMETOOLONG, EIO) */
static void ll_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	struct op op = op_new(req, run_mknod);

	op.mode = mode;
	op.rdev = (uint32_t)rdev;
	start_named(&op, parent, name);
}

static void ll_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct op op = op_new(req, run_mknod);

	op.mode = (mode & 07777) | S_IFDIR;
	start_named(&op, parent, name);
}

static void ll_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	struct op op = op_new(req, run_mknod);

	op.mode = S_IFLNK | 0777;
	op.data = slice_str(target);
	if (op.data.n > CACHE_LINK_MAX)
		reply_err(&op, -ENAMETOOLONG);
	else
		start_named(&op, parent, name);
}

static int run_link(struct op *op)
{
	struct cache_attr a;
	int r = cache_link(op->env->cache, &op->who, op->ino2, op->ino,
			   op->name, &a);

	return r < 0 ? r : reply_entry(op, &a);
}

/* Replies: entry, with the attributes in full: the kernel keeps them. */
static void ll_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct op op = op_new(req, run_link);

	op.ino2 = ino;
	start_named(&op, parent, name);
}

static int run_unlink(struct op *op)
{
	int r = cache_unlink(op->env->cache, &op->who, op->ino, op->name);

	return r < 0 ? r : reply_ok(op);
}

static void ll_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct op op = op_new(req, run_unlink);

	start_named(&op, parent, name);
}

static int run_rmdir(struct op *op)
{
	int r = cache_rmdir(op->env->cache, &op->who, op->ino, op->name);

	return r < 0 ? r : reply_ok(op);
}

static void ll_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct op op = op_new(req, run_rmdir);

	start_named(&op, parent, name);
}

static int run_rename(struct op *op)
{
	int r = cache_rename(op->env->cache, &op->who, op->ino, op->name,
			     op->ino2, op->name2, (unsigned)op->flags);

	return r < 0 ? r : reply_ok(op);
}

static void ll_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t newparent, const char *newname, unsigned flags)
{
	struct op op = op_new(req, run_rename);
	int r = take_name(&op.name2, newname);

	op.ino2 = newparent;
	op.flags = (int)flags;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		r = -EINVAL;
	if (r < 0)
		reply_err(&op, r);
	else
		start_named(&op, parent, name);
}

static int run_tmpfile(struct op *op)
{
	struct cache_attr a;
	struct birth b;
	int r = conceive(op, &b);

	if (r < 0)
		return r;
	r = cache_tmpfile(op->env->cache, &op->who, &b.n, &a);
	return r < 0 ? r : reply_create(op, &a);
}

static int run_create(struct op *op)
{
	struct cache_attr a;
	struct birth b;
	int r = conceive(op, &b);

	if (r < 0)
		return r;
	r = cache_mknod(op->env->cache, &op->who, op->ino, op->name, &b.n, &a);
	/* The kernel creates what it believes absent; O_TRUNC of what is there
	 * after all comes as a request of its own. */
	if (r == -EEXIST && !(op->flags & O_EXCL))
		r = cache_lookup(op->env->cache, &op->who, op->ino, op->name, &a);
	return r < 0 ? r : reply_create(op, &a);
}

/* Replies: create | err(EEXIST, ENOSPC, ENAMETOOLONG, EIO) */
static void ll_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_create);

	op.mode = (mode & 07777) | S_IFREG;
	op.flags = fi->flags;
	if (op.kflags & OP_TMPFILE) {
		op.run = run_tmpfile;
		op.ino = parent;
		op_start(&op);
		return;
	}
	start_named(&op, parent, name);
}

static int run_readlink(struct op *op)
{
	char target[CACHE_LINK_MAX + 1];
	size_t n;
	int r = cache_readlink(op->env->cache, &op->who, op->ino,
			       (uint8_t *)target, CACHE_LINK_MAX, &n);

	if (r < 0)
		return r;
	target[n] = '\0';
	if (op->env->atime)
		cache_accessed(op->env->cache, op->ino, op->env->strict);
	return reply_target(op, target);
}

static void ll_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct op op = op_new(req, run_readlink);

	op.ino = ino;
	op_start(&op);
}

void ops_names(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = ll_lookup;
	ops->mknod = ll_mknod;
	ops->mkdir = ll_mkdir;
	ops->symlink = ll_symlink;
	ops->link = ll_link;
	ops->unlink = ll_unlink;
	ops->rmdir = ll_rmdir;
	ops->rename = ll_rename;
	ops->create = ll_create;
	ops->readlink = ll_readlink;
}
