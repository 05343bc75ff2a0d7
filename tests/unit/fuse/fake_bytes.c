/* fake_bytes.c - what is in files and xattrs of the fake cache */
#include "fake_table.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

/* ---- bytes ---- */

static int do_read(struct inode *i, struct cache_op *op, uint64_t off,
		   uint8_t *dst, size_t n, size_t *ret_n)
{
	if (!i)
		return -ENOENT;
	if (i->absent) {
		op->miss = (struct cache_miss){ CACHE_MISS_RANGE, i->a.ino, off, n };
		return -EINPROGRESS;
	}
	*ret_n = off >= i->a.size ? 0 : MIN(n, i->a.size - off);
	memcpy(dst, i->data + off, *ret_n);
	return 0;
}

int cache_read(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t off,
	       uint8_t *dst, size_t n, size_t *ret_n)
{
	LOCKED(do_read(fake_inode(c, ino), op, off, dst, n, ret_n));
}

static int do_write(struct inode *i, uint64_t off, struct slice data, unsigned flags)
{
	if (!i)
		return -ENOENT;
	if (flags & CACHE_WRITE_APPEND)
		off = i->a.size;
	if (off + data.n > FILE_MAX)
		return -ENOSPC;
	memcpy(i->data + off, data.p, data.n);
	i->a.size = MAX(i->a.size, off + data.n);
	i->a.blocks = (i->a.size + 511) / 512;
	if (flags & CACHE_WRITE_KILL_SUID)
		i->a.mode &= ~(uint32_t)(i->a.mode & S_IXGRP ? 06000 : 04000);
	i->a.mtime = i->a.ctime = fake_now();
	return 0;
}

int cache_write(struct cache *c, struct cache_op *op, uint64_t ino,
		uint64_t off, struct slice data, unsigned flags)
{
	(void)op;
	LOCKED(do_write(fake_inode(c, ino), off, data, flags));
}

int cache_fallocate(struct cache *c, struct cache_op *op, uint64_t ino,
		    int mode, uint64_t off, uint64_t n)
{
	(void)c, (void)op, (void)ino, (void)mode, (void)off, (void)n;
	return -EOPNOTSUPP;
}

int cache_lseek(struct cache *c, struct cache_op *op, uint64_t ino,
		uint64_t off, int whence, uint64_t *ret)
{
	struct inode *i = fake_inode(c, ino);

	(void)op;
	if (!i || off >= i->a.size)
		return -ENXIO;
	*ret = whence == SEEK_DATA ? off : i->a.size;
	return 0;
}

static int do_copy(struct inode *s, uint64_t soff, struct inode *d,
		   uint64_t doff, uint64_t n, uint64_t *ret_n)
{
	if (!s || !d)
		return -ENOENT;
	*ret_n = soff >= s->a.size ? 0 : MIN(n, s->a.size - soff);
	return do_write(d, doff, slice(s->data + soff, *ret_n), 0);
}

int cache_copy_range(struct cache *c, struct cache_op *op, uint64_t src,
		     uint64_t src_off, uint64_t dst, uint64_t dst_off,
		     uint64_t n, uint64_t *ret_n)
{
	(void)op;
	LOCKED(do_copy(fake_inode(c, src), src_off, fake_inode(c, dst), dst_off,
		       n, ret_n));
}

/* ---- xattrs ---- */

static struct xattr *xattr(struct inode *i, struct slice name)
{
	for (size_t k = 0; k < N_XATTRS; k++)
		if (i->x[k].used && slice_eq(slice_str(i->x[k].name), name))
			return &i->x[k];
	return NULL;
}

static int give(struct slice v, uint8_t *dst, size_t max, size_t *ret_n)
{
	*ret_n = v.n;
	if (max == 0)
		return 0;
	if (v.n > max)
		return -ERANGE;
	memcpy(dst, v.p, v.n);
	return 0;
}

static int do_getxattr(struct inode *i, struct slice name, uint8_t *dst,
		       size_t max, size_t *ret_n)
{
	struct xattr *x = i ? xattr(i, name) : NULL;

	return x ? give(slice(x->value, x->n), dst, max, ret_n) : -ENODATA;
}

int cache_getxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		   struct slice name, uint8_t *dst, size_t max, size_t *ret_n)
{
	(void)op;
	LOCKED(do_getxattr(fake_inode(c, ino), name, dst, max, ret_n));
}

static int do_setxattr(struct inode *i, struct slice name, struct slice value,
		       int flags)
{
	struct xattr *x = i ? xattr(i, name) : NULL;

	if (!i)
		return -ENOENT;
	if (x ? flags & CACHE_XATTR_CREATE : flags & CACHE_XATTR_REPLACE)
		return x ? -EEXIST : -ENODATA;
	for (size_t k = 0; !x && k < N_XATTRS; k++)
		if (!i->x[k].used)
			x = &i->x[k];
	if (!x || value.n > XATTR_MAX)
		return -ENOSPC;
	memset(x, 0, sizeof(*x));
	x->used = true;
	x->n = value.n;
	memcpy(x->name, name.p, name.n);
	memcpy(x->value, value.p, value.n);
	return 0;
}

int cache_setxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		   struct slice name, struct slice value, int flags)
{
	(void)op;
	LOCKED(do_setxattr(fake_inode(c, ino), name, value, flags));
}

static int do_removexattr(struct inode *i, struct slice name)
{
	struct xattr *x = i ? xattr(i, name) : NULL;

	if (!x)
		return -ENODATA;
	x->used = false;
	return 0;
}

int cache_removexattr(struct cache *c, struct cache_op *op, uint64_t ino,
		      struct slice name)
{
	(void)op;
	LOCKED(do_removexattr(fake_inode(c, ino), name));
}

static int do_listxattr(struct inode *i, uint8_t *dst, size_t max, size_t *ret_n)
{
	uint8_t all[N_XATTRS * (CACHE_NAME_MAX + 1)];
	size_t n = 0;

	if (!i)
		return -ENOENT;

	for (size_t k = 0; k < N_XATTRS; k++) {
		size_t len = strlen(i->x[k].name) + 1;

		if (!i->x[k].used)
			continue;
		memcpy(all + n, i->x[k].name, len);
		n += len;
	}
	return give(slice(all, n), dst, max, ret_n);
}

int cache_listxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		    uint8_t *dst, size_t max, size_t *ret_n)
{
	(void)op;
	LOCKED(do_listxattr(fake_inode(c, ino), dst, max, ret_n));
}
