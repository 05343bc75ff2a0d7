#include "fuse/ops.h"

#include <fcntl.h>
#include <linux/falloc.h>

#include "fuse/reply.h"
#include "fuse/syncer.h"

/*
 * Nothing hangs on an open file: the kernel keeps the inode referenced, writes
 * carry the file's flags, and O_TRUNC comes as a setattr of its own (we do not
 * ask for ATOMIC_O_TRUNC).  ENOSYS tells the kernel to open, with keep_cache,
 * and to close without asking again: two round trips less for each open.  With
 * relatime it has to be asked: opening is where what the kernel has in memory is
 * dropped if a read is to move the time of access.
 */
static int run_open(struct op *op)
{
	struct fuse_file_info fi = { .flags = op->flags };

	return reply_open(op, &fi,
			  op->env->atime && (op->flags & O_ACCMODE) != O_WRONLY &&
				  !(op->flags & O_NOATIME));
}

static void ll_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_open);

	op.ino = ino;
	op.flags = fi->flags;
	if (op.env->no_open)
		(void)fuse_reply_err(req, ENOSYS); /* see reply_err() */
	else
		op_start(&op);
}

static int run_read(struct op *op)
{
	size_t n;
	int r = cache_read(op->env->cache, &op->who, op->ino, op->off,
			   op->room->p, op->n, &n);

	if (r < 0)
		return r;
	if (op->env->atime && !(op->flags & O_NOATIME))
		cache_accessed(op->env->cache, op->ino, op->env->strict);
	return reply_buf(op, op->room->p, n);
}

/* Replies: bytes, fewer only at the end | err(EINTR, EIO) */
static void ll_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_read);

	op.flags = fi->flags;
	op.ino = ino;
	op.off = (uint64_t)off;
	op.n = size;
	if (size > op.room->n)
		reply_err(&op, -EINVAL);
	else
		op_start(&op);
}

static int run_write(struct op *op)
{
	int r = cache_write(op->env->cache, &op->who, op->ino, op->off,
			    op->data, (unsigned)op->flags);

	if (r == 0 && op->who.sgid_kept)
		r = ops_kill_sgid(op, op->ino);
	if (r == 0 && op->who.mode_changed)
		ops_mode_changed(op, op->ino);
	return r < 0 ? r : reply_write(op, op->data.n);
}

static int check_range(uint64_t off, uint64_t n)
{
	return off > CACHE_FILE_MAX || n > CACHE_FILE_MAX - off ? -EFBIG : 0;
}

/* Replies: write | err(EFBIG, ENOSPC, EINTR, EIO) */
static void ll_write(fuse_req_t req, fuse_ino_t ino, const char *buf,
		     size_t size, off_t off, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_write);
	int r = check_range((uint64_t)off, size);

	op.ino = ino;
	op.off = (uint64_t)off;
	op.data = slice(buf, size);
	/* Two files open for appending: the kernel's idea of the end may be
	 * old.  Pages of its cache know where they belong. */
	if (fi->flags & O_APPEND && !fi->writepage)
		op.flags |= CACHE_WRITE_APPEND;
	if (op.kflags & OP_KILL_SUID)
		op.flags |= CACHE_WRITE_KILL_SUID;
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

static void ll_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	struct op op = op_new(req, NULL);
	int r = syncer_add(op.env->syncer, &op);

	(void)ino;
	(void)datasync; /* one group commit takes all */
	(void)fi;
	if (r < 0)
		reply_err(&op, r);
}

static int run_fallocate(struct op *op)
{
	int r = ops_kill_suid(op, op->ino);

	if (r < 0)
		return r;
	r = cache_fallocate(op->env->cache, &op->who, op->ino, op->flags,
			    op->off, op->n);
	return r < 0 ? r : reply_ok(op);
}

/* Replies: ok | err(EOPNOTSUPP, EFBIG, ENOSPC, EIO) */
static void ll_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
			 off_t n, struct fuse_file_info *fi)
{
	const int keep = FALLOC_FL_KEEP_SIZE;
	struct op op = op_new(req, run_fallocate);
	int what = mode & ~keep;
	int r = check_range((uint64_t)off, (uint64_t)n);

	(void)fi;
	op.ino = ino;
	op.off = (uint64_t)off;
	op.n = (uint64_t)n;
	op.flags = mode;
	if (what != 0 && what != FALLOC_FL_ZERO_RANGE &&
	    mode != (FALLOC_FL_PUNCH_HOLE | keep))
		r = -EOPNOTSUPP;
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

static int run_lseek(struct op *op)
{
	uint64_t at;
	int r = cache_lseek(op->env->cache, &op->who, op->ino, op->off,
			    op->flags, &at);

	return r < 0 ? r : reply_lseek(op, at);
}

/* Only SEEK_DATA and SEEK_HOLE get here. */
static void ll_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_lseek);

	(void)fi;
	op.ino = ino;
	op.off = (uint64_t)off;
	op.flags = whence;
	op_start(&op);
}

static int run_copy(struct op *op)
{
	uint64_t n;
	int r = ops_kill_suid(op, op->ino2);

	if (r < 0)
		return r;
	r = cache_copy_range(op->env->cache, &op->who, op->ino, op->off,
			     op->ino2, op->off2, op->n, &n);
	return r < 0 ? r : reply_write(op, n);
}

/* Replies: write (bytes copied) | err(EINVAL, EFBIG, ENOSPC, EIO) */
static void ll_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in,
			       struct fuse_file_info *fi_in, fuse_ino_t out,
			       off_t off_out, struct fuse_file_info *fi_out,
			       size_t n, int flags)
{
	struct op op = op_new(req, run_copy);
	int r;

	(void)fi_in;
	(void)fi_out;
	op.ino = in;
	op.off = (uint64_t)off_in;
	op.ino2 = out;
	op.off2 = (uint64_t)off_out;
	op.n = MIN(n, (uint64_t)1 << 30); /* the reply counts in 32 bits */
	r = flags ? -EINVAL : check_range(op.off2, op.n);
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

void ops_bytes(struct fuse_lowlevel_ops *ops)
{
	ops->open = ll_open;
	ops->read = ll_read;
	ops->write = ll_write;
	ops->fsync = ll_fsync;
	ops->fallocate = ll_fallocate;
	ops->lseek = ll_lseek;
	ops->copy_file_range = ll_copy_file_range;
}
