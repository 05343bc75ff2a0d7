/* xattr.c - extended attributes: rows of table xattr */
#include "cache/internal.h"

#include <string.h>

#define CAPS           "security.capability"
#define XATTR_OVERHEAD 16 /* bytes of its fields in a commit, at most */

static int find(struct cache *c, uint64_t ino, struct slice name, struct slice *ret)
{
	struct db_stmt *s = st(c, STMT_xattr_get);
	int r;

	db_bind_u64(s, 1, ino);
	db_bind_blob(s, 2, name);
	r = c_sql(c, db_step(s));
	if (r < 0)
		return r;
	if (r == 0)
		return -ENODATA;
	*ret = db_col_blob(s, 0); /* the caller resets */
	return 0;
}

static int exists(struct cache *c, const struct inode *i, struct slice name)
{
	struct slice v;
	int r = -ENODATA;

	if (i->flags & INODE_XATTR) {
		r = find(c, i->ino, name, &v);
		db_reset(st(c, STMT_xattr_get));
	}
	return r;
}

int cache_getxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		   struct slice name, uint8_t *dst, size_t max, size_t *ret_n)
{
	struct inode *i;
	struct slice v = SLICE_NONE;
	int r;

	(void)op; /* attributes come with their inode */
	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0 && !(i->flags & INODE_XATTR))
		r = -ENODATA;
	if (r == 0)
		r = find(c, ino, name, &v);
	if (r == 0 && max && v.n > max)
		r = -ERANGE;
	if (r == 0) {
		*ret_n = v.n;
		if (max && v.n)
			memcpy(dst, v.p, v.n);
	}
	db_reset(st(c, STMT_xattr_get));
	lock_drop(&c->lock);
	return r;
}

/*
 * A commit keeps the set of an inode in one block (dag/attr.h): what does not
 * fit is refused here, where somebody is told.
 */
static int check_room(struct cache *c, const struct inode *i, struct slice name,
		      size_t n_value)
{
	struct db_stmt *s = st(c, STMT_xattr_others);
	uint64_t n, bytes;
	int r;

	if (!(i->flags & INODE_XATTR))
		return 0;
	db_bind_u64(s, 1, i->ino);
	db_bind_blob(s, 2, name);
	r = c_sql(c, db_step(s));
	if (r > 0) {
		n = db_col_u64(s, 0) + 1;
		bytes = db_col_u64(s, 1) + name.n + n_value;
		r = n > CACHE_XATTRS_N_MAX || bytes + n * XATTR_OVERHEAD >
						      CACHE_XATTRS_MAX ?
			    -ENOSPC :
			    0;
	}
	db_reset(s);
	return r;
}

int cache_setxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		   struct slice name, struct slice value, int flags)
{
	struct db_stmt *s = st(c, STMT_xattr_put);
	struct inode *i;
	int r;

	(void)op;
	if (name.n == 0 || name.n > CACHE_NAME_MAX)
		return -ERANGE;
	if (value.n > CACHE_XATTR_MAX)
		return -E2BIG;
	r = op_begin(c, 0);
	if (r < 0)
		return r;
	r = inode_get(c, ino, &i);
	if (r == 0 && flags) {
		r = exists(c, i, name);
		if (flags == CACHE_XATTR_CREATE && (r == 0 || r == -ENODATA))
			r = r == 0 ? -EEXIST : 0;
	}
	if (r == 0)
		r = check_room(c, i, name, value.n);
	if (r < 0)
		return op_end(c, r);
	db_bind_u64(s, 1, ino);
	db_bind_blob(s, 2, name);
	db_bind_blob(s, 3, value);
	r = c_sql(c, db_run(s));
	if (r == 0) {
		i->flags |= INODE_XATTR;
		inode_attr_changed(c, i, now_real());
	}
	return op_end(c, r);
}

static int remove_one(struct cache *c, struct inode *i, struct slice name)
{
	struct db_stmt *s = st(c, STMT_xattr_del);
	int r = exists(c, i, name);

	if (r < 0)
		return r;
	db_bind_u64(s, 1, i->ino);
	db_bind_blob(s, 2, name);
	r = c_sql(c, db_run(s));
	if (r == 0)
		inode_attr_changed(c, i, now_real());
	return r;
}

int cache_removexattr(struct cache *c, struct cache_op *op, uint64_t ino,
		      struct slice name)
{
	struct inode *i;
	int r = op_begin(c, OP_FREES);

	(void)op;
	if (r < 0)
		return r;
	r = inode_get(c, ino, &i);
	if (r == 0)
		r = remove_one(c, i, name);
	return op_end(c, r);
}

int cache_listxattr(struct cache *c, struct cache_op *op, uint64_t ino,
		    uint8_t *dst, size_t max, size_t *ret_n)
{
	struct db_stmt *s = st(c, STMT_xattr_list);
	struct inode *i;
	size_t n = 0;
	int r;

	(void)op;
	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0 && (i->flags & INODE_XATTR)) {
		db_bind_u64(s, 1, ino);
		while ((r = c_sql(c, db_step(s))) > 0) {
			struct slice name = db_col_blob(s, 0);

			if (max && n + name.n + 1 > max) {
				r = -ERANGE;
				break;
			}
			if (max) {
				memcpy(dst + n, name.p, name.n);
				dst[n + name.n] = 0;
			}
			n += name.n + 1;
		}
		db_reset(s);
	}
	if (r == 0)
		*ret_n = n;
	lock_drop(&c->lock);
	return r;
}

/* A write takes a file's capabilities away. */
int xattr_kill_caps(struct cache *c, struct inode *i)
{
	int r;

	if (!(i->flags & INODE_XATTR))
		return 0;
	r = remove_one(c, i, slice_str(CAPS));
	return r == -ENODATA ? 0 : r;
}
