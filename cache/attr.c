/* attr.c - getattr and setattr */
#include "cache/internal.h"

int cache_getattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  struct cache_attr *ret)
{
	struct inode *i;
	int r;

	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0)
		inode_fill_attr(i, ret);
	else if (r == -ENOENT && c->p.source && refs_get(&c->refs, ino))
		r = miss(op, CACHE_MISS_INODE, ino, 0, 0);
	inode_trim(c);
	lock_drop(&c->lock);
	return r;
}

#define DAY_S 86400

static bool is_before(struct timespec a, struct timespec b)
{
	return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

bool cache_atime_due(const struct cache_attr *a)
{
	return !is_before(a->mtime, a->atime) || !is_before(a->ctime, a->atime) ||
	       now_real().tv_sec - a->atime.tv_sec >= DAY_S;
}

void cache_accessed(struct cache *c, uint64_t ino, bool always)
{
	struct cache_attr a;
	struct inode *i;
	bool due;

	lock_take(&c->lock);
	due = inode_get(c, ino, &i) == 0;
	if (due) {
		inode_fill_attr(i, &a);
		due = always || cache_atime_due(&a);
	}
	lock_drop(&c->lock);
	/* No room or a failed disk: the bytes were read all the same. */
	if (!due || op_begin(c, OP_FREES) < 0)
		return;
	if (inode_get(c, ino, &i) == 0) {
		i->atime = now_real();
		inode_change(c, i);
	}
	best_effort(op_end(c, 0)); /* likewise */
}

static int set_size(struct cache *c, struct cache_op *op, struct inode *i,
		    uint64_t size, struct timespec now)
{
	int r;

	if (!S_ISREG(i->mode))
		return S_ISDIR(i->mode) ? -EISDIR : -EINVAL;
	r = data_truncate(c, op, i, size);
	if (r == 0)
		inode_data_changed(c, i, now);
	return r;
}

int cache_setattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  const struct cache_setattr *set, struct cache_attr *ret)
{
	struct timespec now = now_real();
	struct inode *i;
	int r = op_begin(c, OP_FREES);

	if (r < 0)
		return r;
	r = inode_get(c, ino, &i);
	if (r == 0 && (set->mask & CACHE_KILL_SUID))
		r = xattr_kill_caps(c, i);
	if (r == 0 && (set->mask & CACHE_SET_SIZE))
		r = set_size(c, op, i, set->size, now);
	if (r < 0)
		return op_end(c, r);

	if (set->mask & CACHE_KILL_SUID) {
		i->mode &= ~(uint32_t)S_ISUID;
		if (i->mode & S_IXGRP)
			i->mode &= ~(uint32_t)S_ISGID;
	}
	if (set->mask & CACHE_KILL_SGID)
		i->mode &= ~(uint32_t)S_ISGID;
	if (set->mask & CACHE_SET_MODE)
		i->mode = (i->mode & S_IFMT) | (set->mode & 07777);
	if (set->mask & CACHE_SET_UID)
		i->uid = set->uid;
	if (set->mask & CACHE_SET_GID)
		i->gid = set->gid;
	if (set->mask & CACHE_SET_ATIME)
		i->atime = set->atime;
	if (set->mask & CACHE_SET_MTIME)
		i->mtime = set->mtime;
	if (set->mask & ~(unsigned)CACHE_SET_ATIME)
		inode_attr_changed(c, i,
				   set->mask & CACHE_SET_CTIME ? set->ctime : now);
	else if (set->mask) { /* atime alone never makes a commit */
		i->ctime = now;
		inode_change(c, i);
	}
	inode_fill_attr(i, ret);
	return op_end(c, 0);
}
