#include "fuse/ops.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cache/source.h"
#include "fuse/acl.h"
#include "fuse/reply.h"

#define OURS  "user.fildrive."
#define LABEL "security.selinux"

static bool has_prefix(struct slice name, const char *prefix)
{
	struct slice p = slice_str(prefix);

	return name.n > p.n && slice_eq(slice(name.p, p.n), p);
}

static bool is(struct slice name, const char *s)
{
	return slice_eq(name, slice_str(s));
}

static bool is_acl(struct slice name)
{
	return is(name, ACL_ACCESS) || is(name, ACL_DEFAULT);
}

/* May an attribute of this name be stored? */
static int check_name(struct slice name, bool write)
{
	if (name.n > CACHE_NAME_MAX)
		return -ERANGE;
	if (has_prefix(name, OURS))
		return write ? -EPERM : 0;
	if (is_acl(name) || has_prefix(name, "user.") ||
	    has_prefix(name, "trusted.") || has_prefix(name, "security."))
		return 0;
	return -EOPNOTSUPP;
}

int ops_get_acl(struct op *op, uint64_t ino, const char *name, struct acl *ret)
{
	uint8_t value[ACL_BYTES_MAX];
	size_t n;
	int r = cache_getxattr(op->env->cache, &op->who, ino, slice_str(name),
			       value, sizeof(value), &n);

	if (r == -ENODATA)
		return 0;
	if (r < 0)
		return r == -ERANGE ? -EIO : r;
	return acl_parse(slice(value, n), ret) < 0 ? -EIO : 1;
}

/* What user.fildrive.* answers. */
static int own_value(struct op *op, char *dst, size_t max, size_t *ret_n)
{
	struct source_state st;
	int n, r = cache_state(op->env->cache, op->ino, &st);

	if (r < 0)
		return r;
	if (is(op->name, OURS "state"))
		n = snprintf(dst, max, "%s", st.state);
	else if (is(op->name, OURS "cid") && st.cid[0])
		n = snprintf(dst, max, "%s", st.cid);
	else if (is(op->name, OURS "copies"))
		n = snprintf(dst, max, "%u", st.copies);
	else
		return -ENODATA;
	*ret_n = MIN((size_t)n, max - 1);
	return 0;
}

/* The value, or only its size, as the caller's buffer wants it. */
static int reply_value(struct op *op, const void *p, size_t n)
{
	if (op->n == 0)
		return reply_size(op, n);
	return n > op->n ? -ERANGE : reply_buf(op, p, n);
}

/*
 * ls -l asks for the label of each file, as long as it hears that this one has
 * none; it asks no more on a file system that it hears has no labels at all.
 * Where the kernel has SELinux it answers itself, or believes us, and is told what
 * there is.  So is everybody once a file has a label.
 */
static int label_result(struct op *op, int r)
{
	if (r >= 0)
		atomic_store(&op->env->no_labels, false);
	return r == -ENODATA && atomic_load(&op->env->no_labels) ? -EOPNOTSUPP : r;
}

static int run_getxattr(struct op *op)
{
	size_t n, max = MIN(op->n, op->room->n);
	int r;

	if (has_prefix(op->name, OURS)) {
		char own[128];

		r = own_value(op, own, sizeof(own), &n);
		return r < 0 ? r : reply_value(op, own, n);
	}
	r = cache_getxattr(op->env->cache, &op->who, op->ino, op->name,
			   op->room->p, max, &n);
	if (is(op->name, LABEL))
		r = label_result(op, r);
	return r < 0 ? r : reply_value(op, op->room->p, n);
}

/* Replies: value | size | err(ENODATA, ERANGE, EOPNOTSUPP, EIO) */
static void ll_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct op op = op_new(req, run_getxattr);
	int r;

	op.ino = ino;
	op.name = slice_str(name);
	op.n = size;
	r = check_name(op.name, false);
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

/* Names that a user may not see: trusted.* without privilege. */
static size_t drop_hidden(uint8_t *list, size_t n, bool privileged)
{
	size_t kept = 0;

	for (size_t at = 0; at < n;) {
		struct slice name =
			slice(list + at, strnlen((char *)list + at, n - at));
		size_t len = MIN(name.n + 1, n - at);
		bool hide = has_prefix(name, OURS) ||
			    (!privileged && has_prefix(name, "trusted."));

		if (!hide) {
			memmove(list + kept, list + at, len);
			kept += len;
		}
		at += len;
	}
	return kept;
}

static int run_listxattr(struct op *op)
{
	size_t n;
	int r = cache_listxattr(op->env->cache, &op->who, op->ino, op->room->p,
				CACHE_XATTR_MAX, &n);

	if (r < 0)
		return r;
	n = drop_hidden(op->room->p, n, op->who.uid == 0);
	return reply_value(op, op->room->p, n);
}

static void ll_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct op op = op_new(req, run_listxattr);

	op.ino = ino;
	op.n = size;
	op_start(&op);
}

/*
 * An access ACL sets the permission bits, and is not kept where they say it
 * all.  The order lets a retry start over.
 */
static int set_access(struct op *op)
{
	struct cache_setattr set = { .mask = CACHE_SET_MODE };
	struct cache_attr a;
	struct acl acl;
	bool plain;
	int r = acl_parse(op->data, &acl);

	if (r < 0)
		return r;
	r = cache_getattr(op->env->cache, &op->who, op->ino, &a);
	if (r < 0)
		return r;
	set.mode = a.mode & 07777;
	plain = acl_to_mode(&acl, &set.mode);
	if (op->kflags & OP_KILL_SGID)
		set.mode &= ~(uint32_t)S_ISGID;
	if (plain) {
		r = cache_removexattr(op->env->cache, &op->who, op->ino, op->name);
		if (r == -ENODATA)
			r = 0;
	} else {
		r = cache_setxattr(op->env->cache, &op->who, op->ino, op->name,
				   op->data, 0);
	}
	if (r < 0)
		return r;
	return cache_setattr(op->env->cache, &op->who, op->ino, &set, &a);
}

static int set_default(struct op *op)
{
	struct cache_attr a;
	struct acl acl;
	int r = acl_parse(op->data, &acl);

	if (r < 0)
		return r;
	r = cache_getattr(op->env->cache, &op->who, op->ino, &a);
	if (r < 0)
		return r;
	if (!S_ISDIR(a.mode))
		return -EACCES;
	return cache_setxattr(op->env->cache, &op->who, op->ino, op->name,
			      op->data, 0);
}

static int run_setxattr(struct op *op)
{
	int r;

	if (is(op->name, ACL_ACCESS))
		r = set_access(op);
	else if (is(op->name, ACL_DEFAULT))
		r = set_default(op);
	else
		r = cache_setxattr(op->env->cache, &op->who, op->ino, op->name,
				   op->data, op->flags);
	if (r >= 0 && is(op->name, LABEL))
		r = label_result(op, r);
	return r < 0 ? r : reply_ok(op);
}

/* Replies: ok | err(EEXIST, ENODATA, EPERM, E2BIG, EOPNOTSUPP, ENOSPC, EIO) */
static void ll_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			const char *value, size_t size, int flags)
{
	struct op op = op_new(req, run_setxattr);
	int r;

	op.ino = ino;
	op.name = slice_str(name);
	op.data = slice(value, size);
	op.flags = (flags & XATTR_CREATE ? CACHE_XATTR_CREATE : 0) |
		   (flags & XATTR_REPLACE ? CACHE_XATTR_REPLACE : 0);
	r = check_name(op.name, true);
	if (r == 0 && size > CACHE_XATTR_MAX)
		r = -E2BIG;
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

static int run_removexattr(struct op *op)
{
	int r = cache_removexattr(op->env->cache, &op->who, op->ino, op->name);

	if (r == -ENODATA && is_acl(op->name))
		r = 0; /* as local file systems do */
	return r < 0 ? r : reply_ok(op);
}

static void ll_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct op op = op_new(req, run_removexattr);
	int r;

	op.ino = ino;
	op.name = slice_str(name);
	r = check_name(op.name, true);
	if (r < 0)
		reply_err(&op, r);
	else
		op_start(&op);
}

void ops_xattr(struct fuse_lowlevel_ops *ops)
{
	ops->getxattr = ll_getxattr;
	ops->listxattr = ll_listxattr;
	ops->setxattr = ll_setxattr;
	ops->removexattr = ll_removexattr;
}
