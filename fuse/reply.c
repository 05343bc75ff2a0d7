#include "fuse/reply.h"

#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "fuse/op.h"
#include "fuse/wire.h"

int reply_errno(int code)
{
	switch (-code) {
	case EBADMSG:     /* does not authenticate */
	case EUCLEAN:     /* our own state is inconsistent */
	case EPROTO:      /* a record of wrong form */
	case EREMOTEIO:   /* no provider could serve it */
	case ETIMEDOUT:   /* not in time */
	case EINPROGRESS: /* absent, and nobody can fetch it */
	case ENETDOWN:    /* and what else the network says */
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
	case EPIPE:
	case EMSGSIZE:
	case ENOTUNIQ:
	case EBADF:
	case ENOTTY: return EIO;
	case ECANCELED: return EINTR;
	case ENOKEY:
	case EKEYREJECTED: return EACCES;
	case ESTALE: return EROFS; /* another device has the drive now */
	default: break;
	}
	return code < 0 && code > -1000 ? -code : EIO;
}

static void reply_stat(const struct cache_attr *a, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = a->ino,
		.st_mode = a->mode,
		.st_nlink = a->nlink,
		.st_uid = a->uid,
		.st_gid = a->gid,
		.st_rdev = a->rdev,
		.st_size = (off_t)a->size,
		.st_blksize = REPLY_BLKSIZE,
		.st_blocks = (blkcnt_t)a->blocks,
		.st_atim = a->atime,
		.st_mtim = a->mtime,
		.st_ctim = a->ctime,
	};
}

/* A reply that the kernel refuses was called off, or the mount is gone. */
static int sent(int r)
{
	if (r < 0 && r != -ENOENT && r != -ENODEV && r != -ECONNABORTED)
		best_effort(log_err(r, "fuse: reply")); /* nobody to tell */
	return r;
}

void reply_err(struct op *op, int code)
{
	(void)sent(fuse_reply_err(op->req, code ? reply_errno(code) : 0));
}

void reply_none(struct op *op)
{
	fuse_reply_none(op->req);
}

int reply_ok(struct op *op)
{
	reply_err(op, 0);
	return 0;
}

static struct fuse_entry_param entry_of(const struct cache_attr *a)
{
	struct fuse_entry_param e = {
		.ino = a->ino,
		.generation = 1, /* the cache never gives a number out twice */
		.attr_timeout = REPLY_TIMEOUT_S,
		.entry_timeout = REPLY_TIMEOUT_S,
	};

	reply_stat(a, &e.attr);
	return e;
}

int reply_entry(struct op *op, const struct cache_attr *a)
{
	struct fuse_entry_param e = entry_of(a);
	struct cache *c = op->env->cache;

	if (sent(fuse_reply_entry(op->req, &e)) < 0)
		cache_forget(c, a->ino, 1);
	return 0;
}

int reply_no_entry(struct op *op)
{
	struct fuse_entry_param e = { .entry_timeout = REPLY_TIMEOUT_S };

	(void)sent(fuse_reply_entry(op->req, &e));
	return 0;
}

int reply_create(struct op *op, const struct cache_attr *a)
{
	struct fuse_entry_param e = entry_of(a);
	struct fuse_file_info fi = { .flags = op->flags, .keep_cache = 1 };
	struct cache *c = op->env->cache;

	if (sent(fuse_reply_create(op->req, &e, &fi)) < 0)
		cache_forget(c, a->ino, 1);
	return 0;
}

int reply_open(struct op *op, struct fuse_file_info *fi, bool accessed)
{
	struct cache_attr a;
	int r;

	fi->keep_cache = 1;
	if (accessed) {
		r = cache_getattr(op->env->cache, &op->who, op->ino, &a);
		if (r < 0)
			return r;
		fi->keep_cache = !op->env->strict && !cache_atime_due(&a);
	}
	(void)sent(fuse_reply_open(op->req, fi));
	return 0;
}

int reply_attr(struct op *op, const struct cache_attr *a)
{
	struct stat st;

	reply_stat(a, &st);
	(void)sent(fuse_reply_attr(op->req, &st, REPLY_TIMEOUT_S));
	return 0;
}

static struct wire_time time_of(struct timespec t)
{
	return (struct wire_time){ .s = t.tv_sec, .ns = (uint32_t)t.tv_nsec };
}

int reply_statx(struct op *op, const struct cache_attr *a)
{
	struct wire_statx_out out = {
		.valid_s = (uint64_t)REPLY_TIMEOUT_S,
		.mask = STATX_BASIC_STATS | STATX_BTIME,
		.blksize = REPLY_BLKSIZE,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.mode = (uint16_t)a->mode,
		.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime = time_of(a->atime),
		.btime = time_of(a->btime),
		.ctime = time_of(a->ctime),
		.mtime = time_of(a->mtime),
		.rdev_major = major(a->rdev),
		.rdev_minor = minor(a->rdev),
	};

	return reply_buf(op, &out, sizeof(out));
}

int reply_buf(struct op *op, const void *p, size_t n)
{
	(void)sent(fuse_reply_buf(op->req, p, n));
	return 0;
}

int reply_size(struct op *op, size_t n)
{
	(void)sent(fuse_reply_xattr(op->req, n));
	return 0;
}

int reply_write(struct op *op, size_t n)
{
	(void)sent(fuse_reply_write(op->req, n));
	return 0;
}

int reply_lseek(struct op *op, uint64_t off)
{
	(void)sent(fuse_reply_lseek(op->req, (off_t)off));
	return 0;
}

int reply_target(struct op *op, const char *target)
{
	(void)sent(fuse_reply_readlink(op->req, target));
	return 0;
}

int reply_statfs(struct op *op, const struct cache_statfs *st)
{
	struct statvfs v = {
		.f_bsize = CACHE_BLOCK,
		.f_frsize = CACHE_BLOCK,
		.f_blocks = st->blocks,
		.f_bfree = st->free,
		.f_bavail = st->free,
		.f_files = st->files,
		.f_ffree = st->files_free,
		.f_favail = st->files_free,
		.f_namemax = CACHE_NAME_MAX,
	};

	(void)sent(fuse_reply_statfs(op->req, &v));
	return 0;
}
