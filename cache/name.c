/*
 * name.c - names: look-up, create, link, unlink, readdir
 *
 * A name is one row of dentry, changed by one statement (or a savepoint) before
 * anything in memory changes.  Directories that were not loaded from the DAG yet
 * are a miss.
 */
#include "cache/name.h"

#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

int miss(struct cache_op *op, enum cache_miss_kind kind, uint64_t ino,
	 uint64_t off, uint64_t n)
{
	op->miss = (struct cache_miss){ .kind = kind, .ino = ino, .off = off, .n = n };
	return -EINPROGRESS;
}

int name_check(struct slice name)
{
	if (name.n > CACHE_NAME_MAX)
		return -ENAMETOOLONG;
	if (name.n == 0 || memchr(name.p, '/', name.n) || memchr(name.p, 0, name.n))
		return -EINVAL;
	if (name.p[0] == '.' && (name.n == 1 || (name.n == 2 && name.p[1] == '.')))
		return -EEXIST;
	return 0;
}

/* A directory whose names are here. */
int name_get_dir(struct cache *c, struct cache_op *op, uint64_t ino,
		 struct inode **ret)
{
	int r = inode_get(c, ino, ret);

	if (r < 0)
		return r;
	if (!S_ISDIR((*ret)->mode))
		return -ENOTDIR;
	if (!((*ret)->flags & INODE_LOADED))
		return miss(op, CACHE_MISS_DIR, ino, 0, 0);
	return 0;
}

int name_get_dentry(struct cache *c, uint64_t parent, struct slice name,
		    struct dentry *ret)
{
	struct db_stmt *s = st(c, STMT_dentry_get);
	int r;

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name);
	r = c_sql(c, db_step(s));
	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	ret->ino = db_col_u64(s, 0);
	ret->type = (uint32_t)db_col_u64(s, 1);
	ret->pos = db_col_u64(s, 2);
	db_reset(s);
	return 0;
}

int name_add_dentry(struct cache *c, uint64_t parent, struct slice name,
		    const struct inode *i)
{
	struct db_stmt *s = st(c, STMT_dentry_add);

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name);
	db_bind_u64(s, 3, i->ino);
	db_bind_u64(s, 4, i->mode & S_IFMT);
	db_bind_u64(s, 5, c->next_pos);
	return c_sql(c, db_run(s));
}

static int del_dentry(struct cache *c, uint64_t parent, struct slice name)
{
	struct db_stmt *s = st(c, STMT_dentry_del);

	db_bind_u64(s, 1, parent);
	db_bind_blob(s, 2, name);
	return c_sql(c, db_run(s));
}

/* The inode of a name; a hard link of the DAG may not be here yet. */
int name_get_named(struct cache *c, struct cache_op *op, uint64_t ino,
		   struct inode **ret)
{
	int r = inode_get(c, ino, ret);

	return r == -ENOENT ? miss(op, CACHE_MISS_INODE, ino, 0, 0) : r;
}

int cache_lookup(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name, struct cache_attr *ret)
{
	struct dentry d;
	struct inode *i;
	int r;

	if (name.n > CACHE_NAME_MAX)
		return -ENAMETOOLONG;
	lock_take(&c->lock);
	r = name_get_dir(c, op, parent, &i);
	if (r == 0)
		r = name_get_dentry(c, parent, name, &d);
	if (r == 0)
		r = name_get_named(c, op, d.ino, &i);
	if (r == 0)
		r = refs_reserve(&c->refs);
	if (r == 0) {
		refs_add(&c->refs, i->ino, 1);
		inode_fill_attr(i, ret);
	}
	inode_trim(c);
	lock_drop(&c->lock);
	return r;
}

int cache_lookup_ino(struct cache *c, struct cache_op *op, uint64_t ino,
		     struct cache_attr *ret)
{
	struct inode *i;
	int r;

	(void)op; /* nothing is fetched for a number alone */
	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == -ENOENT || (r == 0 && i->nlink == 0))
		r = -ESTALE;
	if (r == 0)
		r = refs_reserve(&c->refs);
	if (r == 0) {
		refs_add(&c->refs, i->ino, 1);
		inode_fill_attr(i, ret);
	}
	inode_trim(c);
	lock_drop(&c->lock);
	return r;
}

int cache_parent(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t *ret)
{
	struct inode *i;
	int r;

	(void)op; /* the parent of a directory is always known */
	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0 && !S_ISDIR(i->mode))
		r = -ENOTDIR;
	if (r == 0)
		*ret = ino == CACHE_ROOT_INO ? ino : i->parent;
	lock_drop(&c->lock);
	return r;
}

void name_drop_new(struct cache *c, struct inode *i)
{
	i->nlink = 0;
	i->flags = 0;
	/* has neither rows nor blocks, so it cannot fail */
	best_effort(inode_delete(c, i));
}

static int put_xattrs(struct cache *c, struct inode *i, const struct cache_new *n)
{
	struct db_stmt *s = st(c, STMT_xattr_put);
	int r = 0;

	for (size_t k = 0; k < n->n_xattrs && r == 0; k++) {
		if (n->xattrs[k].value.n > CACHE_XATTR_MAX ||
		    n->xattrs[k].name.n > CACHE_NAME_MAX)
			return -E2BIG;
		db_bind_u64(s, 1, i->ino);
		db_bind_blob(s, 2, n->xattrs[k].name);
		db_bind_blob(s, 3, n->xattrs[k].value);
		r = c_sql(c, db_run(s));
	}
	return r;
}

/* A new inode in memory, with one reference to come; no name yet. */
int name_make_inode(struct cache *c, const struct cache_new *n, struct inode **ret)
{
	struct timespec now = now_real();
	struct inode *i;
	int r;

	if (n->target.n > CACHE_LINK_MAX)
		return -ENAMETOOLONG;
	r = refs_reserve(&c->refs);
	if (r < 0)
		return r;
	r = inode_new(c, c->next_ino, &i);
	if (r < 0)
		return r;
	i->mode = n->mode;
	i->uid = n->uid;
	i->gid = n->gid;
	i->rdev = n->rdev;
	i->atime = i->mtime = i->ctime = i->btime = now;
	i->mgen = i->dgen = c->gen;
	if (S_ISDIR(n->mode))
		i->flags |= INODE_LOADED;
	if (n->n_xattrs)
		i->flags |= INODE_XATTR;
	if (S_ISLNK(n->mode)) {
		i->size = n->target.n;
		r = inode_set_target(i, n->target);
		if (r < 0) {
			name_drop_new(c, i);
			return r;
		}
	}
	*ret = i;
	return 0;
}

/* Rows of a new inode: all or none. */
static int new_rows(struct cache *c, uint64_t parent, struct slice name,
		    struct inode *i, const struct cache_new *n)
{
	bool several = n->n_xattrs > 0;
	int r = 0;

	if (several)
		r = c_sql(c, db_savepoint(c->db));
	if (r < 0)
		return r;
	if (parent)
		r = name_add_dentry(c, parent, name, i);
	if (r == 0)
		r = put_xattrs(c, i, n);
	if (several && r == 0)
		r = c_sql(c, db_release(c->db));
	else if (several)
		db_rollback_to(c->db);
	return r;
}

static void born(struct cache *c, struct inode *i, struct cache_attr *ret)
{
	c->next_ino++;
	c->next_pos++;
	c->state_changed = true;
	refs_add(&c->refs, i->ino, 1);
	inode_fill_attr(i, ret);
}

int cache_mknod(struct cache *c, struct cache_op *op, uint64_t parent,
		struct slice name, const struct cache_new *n, struct cache_attr *ret)
{
	struct inode *p, *i;
	struct dentry d;
	int r = name_check(name);

	if (r < 0)
		return r;
	r = op_begin(c, 0);
	if (r < 0)
		return r;
	r = name_get_dir(c, op, parent, &p);
	if (r == 0 && p->nlink == 0)
		r = -ENOENT;
	if (r == 0) {
		r = name_get_dentry(c, parent, name, &d);
		r = r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
	}
	if (r == 0)
		r = name_make_inode(c, n, &i);
	if (r < 0)
		return op_end(c, r);
	r = new_rows(c, parent, name, i, n);
	if (r < 0) {
		name_drop_new(c, i);
		return op_end(c, r);
	}
	i->nlink = S_ISDIR(i->mode) ? 2 : 1;
	i->parent = parent;
	p->nlink += S_ISDIR(i->mode);
	inode_data_changed(c, p, i->ctime);
	born(c, i, ret);
	return op_end(c, 0);
}

int cache_tmpfile(struct cache *c, struct cache_op *op,
		  const struct cache_new *n, struct cache_attr *ret)
{
	struct inode *i;
	int r = op_begin(c, 0);

	(void)op; /* nothing can be missing */
	if (r < 0)
		return r;
	r = name_make_inode(c, n, &i);
	if (r < 0)
		return op_end(c, r);
	r = new_rows(c, 0, SLICE_NONE, i, n);
	if (r < 0) {
		name_drop_new(c, i);
		return op_end(c, r);
	}
	born(c, i, ret);
	c->n_nameless++;
	return op_end(c, 0);
}

int cache_link(struct cache *c, struct cache_op *op, uint64_t ino,
	       uint64_t parent, struct slice name, struct cache_attr *ret)
{
	struct inode *p, *i, *old = NULL;
	struct timespec now = now_real();
	int r = name_check(name);

	if (r < 0)
		return r;
	r = op_begin(c, 0);
	if (r < 0)
		return r;
	r = name_get_dir(c, op, parent, &p);
	if (r == 0 && p->nlink == 0)
		r = -ENOENT;
	if (r == 0)
		r = inode_get(c, ino, &i);
	if (r == 0 && S_ISDIR(i->mode))
		r = -EPERM;
	if (r == 0 && i->nlink >= CACHE_NLINK_MAX)
		r = -EMLINK;
	/* its other name is written another way from now on */
	if (r == 0 && i->parent && i->nlink > 0)
		r = inode_get(c, i->parent, &old);
	if (r == 0)
		r = refs_reserve(&c->refs);
	if (r == 0)
		r = name_add_dentry(c, parent, name, i);
	if (r < 0)
		return op_end(c, r);

	c->next_pos++;
	c->state_changed = true;
	if (i->nlink++ == 0) {
		i->parent = parent; /* of O_TMPFILE */
	} else {
		i->flags |= INODE_SHARED;
		i->parent = 0;
		i->dgen = c->gen;
	}
	if (old) {
		old->dgen = c->gen;
		inode_change(c, old);
	}
	inode_attr_changed(c, i, now);
	inode_data_changed(c, p, now);
	refs_add(&c->refs, ino, 1);
	inode_fill_attr(i, ret);
	return op_end(c, 0);
}

/* A name of i is gone.  Cannot fail: what is left over is reaped later. */
void name_lost_name(struct cache *c, struct inode *i, struct timespec now)
{
	if (S_ISDIR(i->mode))
		i->nlink = 0;
	else if (i->nlink > 0)
		i->nlink--;
	inode_attr_changed(c, i, now);
	if (i->nlink == 0)
		orphan_maybe_delete(c, i);
}

int name_is_empty(struct cache *c, struct cache_op *op, struct inode *i)
{
	struct db_stmt *s = st(c, STMT_dentry_any);
	int r;

	if (!(i->flags & INODE_LOADED))
		return miss(op, CACHE_MISS_DIR, i->ino, 0, 0);
	db_bind_u64(s, 1, i->ino);
	r = c_sql(c, db_step(s));
	db_reset(s);
	return r == 1 ? -ENOTEMPTY : r;
}

static int remove_name(struct cache *c, struct cache_op *op, uint64_t parent,
		       struct slice name, bool dir)
{
	struct timespec now = now_real();
	struct inode *p, *i;
	struct dentry d;
	int r;

	if (name.n > CACHE_NAME_MAX)
		return -ENAMETOOLONG;
	r = op_begin(c, OP_FREES);
	if (r < 0)
		return r;
	r = name_get_dir(c, op, parent, &p);
	if (r == 0)
		r = name_get_dentry(c, parent, name, &d);
	if (r == 0 && dir && d.type != S_IFDIR)
		r = -ENOTDIR;
	if (r == 0 && !dir && d.type == S_IFDIR)
		r = -EISDIR;
	if (r == 0)
		r = name_get_named(c, op, d.ino, &i);
	if (r == 0 && dir)
		r = name_is_empty(c, op, i);
	if (r == 0)
		r = del_dentry(c, parent, name);
	if (r < 0)
		return op_end(c, r);
	if (dir)
		p->nlink--;
	inode_data_changed(c, p, now);
	name_lost_name(c, i, now);
	return op_end(c, 0);
}

int cache_unlink(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name)
{
	return remove_name(c, op, parent, name, false);
}

int cache_rmdir(struct cache *c, struct cache_op *op, uint64_t parent,
		struct slice name)
{
	return remove_name(c, op, parent, name, true);
}

int cache_readlink(struct cache *c, struct cache_op *op, uint64_t ino,
		   uint8_t *dst, size_t max, size_t *ret_n)
{
	struct inode *i;
	int r;

	lock_take(&c->lock);
	r = inode_get(c, ino, &i);
	if (r == 0 && !S_ISLNK(i->mode))
		r = -EINVAL;
	if (r == 0 && i->n_target == 0 && i->n_link)
		r = miss(op, CACHE_MISS_RANGE, ino, 0, i->size);
	if (r == 0) {
		*ret_n = MIN(max, i->n_target);
		if (*ret_n)
			memcpy(dst, i->target, *ret_n);
	}
	lock_drop(&c->lock);
	return r;
}

/* A page of names, copied so that no lock is held over the callbacks. */
struct listed {
	uint64_t pos;
	struct cache_attr attr;
	uint8_t n;
	uint8_t name[CACHE_NAME_MAX];
};
#define LIST_PAGE 64

static int list_page(struct cache *c, struct cache_op *op, uint64_t ino,
		     uint64_t pos, struct listed *page, size_t *ret_n)
{
	struct db_stmt *s = st(c, STMT_dentry_list);
	struct inode *i;
	size_t n = 0;
	int r = name_get_dir(c, op, ino, &i);

	if (r < 0)
		return r;
	db_bind_u64(s, 1, ino);
	db_bind_u64(s, 2, pos);
	while (n < LIST_PAGE && (r = c_sql(c, db_step(s))) > 0) {
		struct slice name = db_col_blob(s, 0);

		page[n].n = (uint8_t)name.n;
		memcpy(page[n].name, name.p, MIN(name.n, CACHE_NAME_MAX));
		page[n].pos = db_col_u64(s, 3);
		r = name_get_named(c, op, db_col_u64(s, 1), &i);
		if (r < 0)
			break;
		inode_fill_attr(i, &page[n].attr);
		n++;
	}
	db_reset(s);
	if (r < 0 && n == 0)
		return r;
	*ret_n = n; /* what stopped us shows again at the next page */
	return 0;
}

int cache_readdir(struct cache *c, struct cache_op *op, uint64_t ino,
		  uint64_t pos, cache_dir_cb cb, void *ctx)
{
	_cleanup_free_ struct listed *page = malloc(LIST_PAGE * sizeof(*page));
	bool any = false;
	size_t n;
	int r;

	if (!page)
		return -ENOMEM;
	do {
		lock_take(&c->lock);
		r = list_page(c, op, ino, pos, page, &n);
		inode_trim(c);
		lock_drop(&c->lock);
		if (r < 0)
			return any && r == -EINPROGRESS ? 0 : r;
		for (size_t k = 0; k < n; k++) {
			if (cb(ctx, slice(page[k].name, page[k].n),
			       &page[k].attr, page[k].pos))
				return 0;
			any = true;
			pos = page[k].pos;
		}
	} while (n == LIST_PAGE);
	return 0;
}
