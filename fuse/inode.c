#include "fuse/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuse/acl.h"
#include "fuse/reply.h"

static void ll_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	struct op op = op_new(req, NULL);

	cache_forget(op.env->cache, ino, n);
	reply_none(&op);
}

static void ll_forget_multi(fuse_req_t req, size_t n, struct fuse_forget_data *v)
{
	struct op op = op_new(req, NULL);

	for (size_t i = 0; i < n; i++)
		cache_forget(op.env->cache, v[i].ino, v[i].nlookup);
	reply_none(&op);
}

static int run_getattr(struct op *op)
{
	struct cache_attr a;
	int r = cache_getattr(op->env->cache, &op->who, op->ino, &a);

	if (r < 0)
		return r;
	return op->kflags & OP_STATX ? reply_statx(op, &a) : reply_attr(op, &a);
}

static void ll_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_getattr);

	(void)fi;
	op.ino = ino;
	op_start(&op);
}

/*
 * Is this group among the supplementary ones of a thread?  (fuse_req_getgroups() of
 * libfuse 3.14 looks for them in bytes that it does not terminate.)
 */
static bool has_group(pid_t pid, gid_t gid)
{
	_cleanup_free_ char *line = NULL;
	bool found = false;
	char path[64], *at, *end;
	size_t room = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%ld/task/%ld/status",
		       (long)pid, (long)pid); /* fits */
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getline(&line, &room, f) > 0) {
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		for (at = line + 7;; at = end) {
			unsigned long g = strtoul(at, &end, 10);

			if (end == at)
				break;
			found |= g == gid;
		}
		break;
	}
	(void)fclose(f); /* only read */
	return found;
}

/*
 * May the caller not keep sgid of a file that has no group execution: is he in
 * another group?  Who cannot be asked any more is.
 */
static bool is_outsider(struct op *op, const struct cache_attr *a)
{
	return a->mode & S_ISGID && !(a->mode & S_IXGRP) && op->who.gid != a->gid &&
	       !has_group(fuse_req_ctx(op->req)->pid, a->gid);
}

int ops_kill_sgid(struct op *op, uint64_t ino)
{
	const struct cache_setattr set = { .mask = CACHE_KILL_SGID };
	struct cache_attr a;
	int r = cache_getattr(op->env->cache, &op->who, ino, &a);

	if (r < 0 || !is_outsider(op, &a))
		return r;
	op->who.mode_changed = true;
	return cache_setattr(op->env->cache, &op->who, ino, &set, &a);
}

int ops_kill_suid(struct op *op, uint64_t ino)
{
	struct cache_setattr set = { .mask = CACHE_KILL_SUID };
	struct cache_attr a;
	int r;

	if (op->who.uid == 0)
		return 0;
	r = cache_getattr(op->env->cache, &op->who, ino, &a);
	if (r < 0 || S_ISDIR(a.mode) || !(a.mode & (S_ISUID | S_ISGID)))
		return r;
	if (is_outsider(op, &a))
		set.mask |= CACHE_KILL_SGID;
	r = cache_setattr(op->env->cache, &op->who, ino, &set, &a);
	if (r == 0)
		ops_mode_changed(op, ino);
	return r;
}

void ops_mode_changed(struct op *op, uint64_t ino)
{
	/* -ENOENT: it has forgotten the inode.  Else the mount is gone. */
	(void)fuse_lowlevel_notify_inval_inode(op->env->se, ino, -1, 0);
}

/* chmod(2) of a file with an access ACL changes the ACL too. */
static int chmod_acl(struct op *op)
{
	uint8_t value[ACL_BYTES_MAX];
	struct acl acl;
	int r = ops_get_acl(op, op->ino, ACL_ACCESS, &acl);

	if (r <= 0)
		return r;
	acl_chmod(&acl, op->set.mode);
	return cache_setxattr(op->env->cache, &op->who, op->ino,
			      slice_str(ACL_ACCESS),
			      slice(value, acl_encode(&acl, value)), 0);
}

static int run_setattr(struct op *op)
{
	struct cache_setattr set = op->set;
	struct cache_attr a;
	bool is_chown;
	int r;

	if (set.mask & CACHE_SET_MODE) {
		r = chmod_acl(op);
		if (r < 0)
			return r;
	}
	/* chown(2) takes suid and sgid from whoever does it, but leaves the
	 * sgid of directories alone. */
	is_chown = set.mask & (CACHE_SET_UID | CACHE_SET_GID) &&
		   !(set.mask & CACHE_SET_MODE);
	if (is_chown || set.mask & CACHE_KILL_SUID) {
		r = cache_getattr(op->env->cache, &op->who, op->ino, &a);
		if (r < 0)
			return r;
		if (!S_ISDIR(a.mode))
			set.mask |= CACHE_KILL_SUID;
		if (!S_ISDIR(a.mode) && op->who.uid != 0 && is_outsider(op, &a))
			set.mask |= CACHE_KILL_SGID;
	}
	r = cache_setattr(op->env->cache, &op->who, op->ino, &set, &a);
	return r < 0 ? r : reply_attr(op, &a);
}

static struct timespec now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	return t;
}

static void convert(struct cache_setattr *set, const struct stat *st, int to_set)
{
	static const struct {
		int from;
		unsigned to;
	} bits[] = {
		{ FUSE_SET_ATTR_MODE, CACHE_SET_MODE },
		{ FUSE_SET_ATTR_UID, CACHE_SET_UID },
		{ FUSE_SET_ATTR_GID, CACHE_SET_GID },
		{ FUSE_SET_ATTR_SIZE, CACHE_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, CACHE_SET_ATIME },
		{ FUSE_SET_ATTR_ATIME_NOW, CACHE_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, CACHE_SET_MTIME },
		{ FUSE_SET_ATTR_MTIME_NOW, CACHE_SET_MTIME },
		{ FUSE_SET_ATTR_CTIME, CACHE_SET_CTIME },
	};

	*set = (struct cache_setattr){
		.mode = st->st_mode & 07777,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.size = (uint64_t)st->st_size,
		.atime = to_set & FUSE_SET_ATTR_ATIME_NOW ? now() : st->st_atim,
		.mtime = to_set & FUSE_SET_ATTR_MTIME_NOW ? now() : st->st_mtim,
		.ctime = st->st_ctim,
	};
	for (size_t i = 0; i < ARRAY_LEN(bits); i++)
		if (to_set & bits[i].from)
			set->mask |= bits[i].to;
}

/* Replies: attr | err(EFBIG, ENOSPC, EIO) */
static void ll_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st,
		       int to_set, struct fuse_file_info *fi)
{
	struct op op = op_new(req, run_setattr);

	(void)fi;
	op.ino = ino;
	convert(&op.set, st, to_set);
	if (op.kflags & OP_KILL_SUID)
		op.set.mask |= CACHE_KILL_SUID;
	if (op.set.mask & CACHE_SET_SIZE && op.set.size > CACHE_FILE_MAX)
		reply_err(&op, -EFBIG);
	else
		op_start(&op);
}

static void ll_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct op op = op_new(req, NULL);
	struct cache_statfs st;
	int r = cache_statfs(op.env->cache, &st);

	(void)ino;
	if (r < 0)
		reply_err(&op, r);
	else
		(void)reply_statfs(&op, &st);
}

void ops_inode(struct fuse_lowlevel_ops *ops)
{
	ops->forget = ll_forget;
	ops->forget_multi = ll_forget_multi;
	ops->getattr = ll_getattr;
	ops->setattr = ll_setattr;
	ops->statfs = ll_statfs;
}
