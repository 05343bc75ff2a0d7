#include "fuse/ops.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "fuse/dirent.h"
#include "fuse/reply.h"
#include "fuse/syncer.h"

/* fh of a directory that was opened with O_NOATIME. */
#define FH_NOATIME 1u

static int run_opendir(struct op *op)
{
	struct fuse_file_info fi = { .cache_readdir = 1 };

	if (op->flags & O_NOATIME)
		fi.fh = FH_NOATIME;
	return reply_open(op, &fi, op->env->diratime && fi.fh != FH_NOATIME);
}

/* As with open: nothing hangs on an open directory, positions are stable. */
static void ll_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_opendir);

	op.ino = ino;
	op.flags = fi->flags;
	if (op.env->no_opendir)
		(void)fuse_reply_err(req, ENOSYS); /* the kernel's to judge */
	else
		op_start(&op);
}

static int add_name(void *ctx, struct slice name, const struct cache_attr *a,
		    uint64_t pos)
{
	struct dirent_pack *d = ctx;

	return !dirent_add(d, name, a, pos + DIRENT_POS_FIRST, true);
}

/* "." and "..", as far as they are still to come.  1: full. */
static int add_dots(struct op *op, struct dirent_pack *d)
{
	struct cache_attr a = { .ino = op->ino, .mode = S_IFDIR };
	int r;

	if (op->off < 1 && !dirent_add(d, slice_str("."), &a, 1, false))
		return 1;
	if (op->off >= 2)
		return 0;
	r = cache_parent(op->env->cache, &op->who, op->ino, &a.ino);
	if (r < 0)
		return r;
	return !dirent_add(d, slice_str(".."), &a, 2, false);
}

static void ref_one(void *ctx, uint64_t ino)
{
	struct op *op = ctx;

	cache_ref(op->env->cache, ino, 1);
}

static void unref_one(void *ctx, uint64_t ino)
{
	struct op *op = ctx;

	cache_forget(op->env->cache, ino, 1);
}

static int run_readdir(struct op *op)
{
	struct dirent_pack d = {
		.p = op->room->p,
		.max = op->n,
		.plus = op->flags,
		.timeout_s = REPLY_TIMEOUT_S,
	};
	uint64_t pos = op->off < DIRENT_POS_FIRST ? 0 : op->off - DIRENT_POS_FIRST;
	int r = add_dots(op, &d);
	size_t n_dots = d.n;

	if (r == 0)
		r = cache_readdir(op->env->cache, &op->who, op->ino, pos,
				  add_name, &d);
	/* What came before a fault is a good answer; the next call meets it. */
	if (r < 0 && d.n == n_dots)
		return r;
	if (r > 0 && d.n == 0)
		return -EINVAL; /* a buffer too small for one name */

	if (op->env->diratime && op->off2 != FH_NOATIME)
		cache_accessed(op->env->cache, op->ino, op->env->strict);
	dirent_refs(&d, ref_one, op);
	if (fuse_reply_buf(op->req, (const char *)d.p, d.n) < 0)
		dirent_refs(&d, unref_one, op);
	return 0;
}

/* Replies: entries, none at the end | err(ENOTDIR, EINTR, EIO) */
static void start(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		  uint64_t fh, bool plus)
{
	struct op op = op_new(req, run_readdir);

	op.ino = ino;
	op.off = (uint64_t)off;
	op.n = MIN(size, op.room->n);
	op.flags = plus;
	op.off2 = fh;
	op_start(&op);
}

static void ll_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	start(req, ino, size, off, fi->fh, false);
}

static void ll_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
			   off_t off, struct fuse_file_info *fi)
{
	start(req, ino, size, off, fi->fh, true);
}

static void ll_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
			struct fuse_file_info *fi)
{
	struct op op = op_new(req, NULL);
	int r = syncer_add(op.env->syncer, &op);

	(void)ino;
	(void)datasync;
	(void)fi;
	if (r < 0)
		reply_err(&op, r);
}

void ops_dir(struct fuse_lowlevel_ops *ops)
{
	ops->opendir = ll_opendir;
	ops->readdir = ll_readdir;
	ops->readdirplus = ll_readdirplus;
	ops->fsyncdir = ll_fsyncdir;
}
