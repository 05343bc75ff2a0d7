#include "fuse/dirent.h"

#include <linux/fuse.h>
#include <sys/stat.h>

#include "cache/cache.h"
#include "fuse/reply.h"

_Static_assert(sizeof(struct fuse_entry_out) == 128, "as the header says");
_Static_assert(offsetof(struct fuse_dirent, name) == 24, "as the header says");

static void fill_attr(struct fuse_attr *f, const struct cache_attr *a)
{
	*f = (struct fuse_attr){
		.ino = a->ino,
		.size = a->size,
		.blocks = a->blocks,
		.atime = (uint64_t)a->atime.tv_sec,
		.mtime = (uint64_t)a->mtime.tv_sec,
		.ctime = (uint64_t)a->ctime.tv_sec,
		.atimensec = (uint32_t)a->atime.tv_nsec,
		.mtimensec = (uint32_t)a->mtime.tv_nsec,
		.ctimensec = (uint32_t)a->ctime.tv_nsec,
		.mode = a->mode,
		.nlink = a->nlink,
		.uid = a->uid,
		.gid = a->gid,
		.rdev = (uint32_t)a->rdev,
		.blksize = REPLY_BLKSIZE,
	};
}

static struct fuse_entry_out entry_out(const struct dirent_pack *d,
				       const struct cache_attr *a, bool ref)
{
	struct fuse_entry_out e = { 0 };

	if (!ref)
		return e; /* node id 0: a name without attributes */
	e.nodeid = a->ino;
	e.generation = 1;
	e.entry_valid = e.attr_valid = (uint64_t)d->timeout_s;
	fill_attr(&e.attr, a);
	return e;
}

bool dirent_add(struct dirent_pack *d, struct slice name,
		const struct cache_attr *a, uint64_t off, bool ref)
{
	const size_t head = offsetof(struct fuse_dirent, name);
	size_t plus = d->plus ? sizeof(struct fuse_entry_out) : 0;
	size_t n = (size_t)align_up(plus + head + name.n, 8);
	struct fuse_dirent e = {
		.ino = a->ino,
		.off = off,
		.namelen = (uint32_t)name.n,
		.type = (a->mode & S_IFMT) >> 12,
	};
	uint8_t *p = d->p + d->n;

	if (n > d->max - d->n)
		return false;
	memset(p + n - 8, 0, 8); /* padding */
	if (d->plus) {
		struct fuse_entry_out out = entry_out(d, a, ref);

		memcpy(p, &out, sizeof(out));
	}
	memcpy(p + plus, &e, head);
	memcpy(p + plus + head, name.p, name.n);
	d->n += n;
	return true;
}

void dirent_refs(const struct dirent_pack *d,
		 void (*ref)(void *ctx, uint64_t ino), void *ctx)
{
	const size_t head = offsetof(struct fuse_dirent, name);
	size_t at = 0;

	while (d->plus && at < d->n) {
		struct fuse_entry_out out;
		struct fuse_dirent e;

		memcpy(&out, d->p + at, sizeof(out));
		memcpy(&e, d->p + at + sizeof(out), head);
		if (out.nodeid)
			ref(ctx, out.nodeid);
		at += (size_t)align_up(sizeof(out) + head + e.namelen, 8);
	}
}
