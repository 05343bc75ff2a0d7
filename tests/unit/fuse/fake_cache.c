#include "fake_cache.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/thread.h"
#include "cache/cache.h"
#include "cache/source.h"

#define N_INODES  512
#define N_DENTS   512
#define N_XATTRS  16
#define FILE_MAX  (8u << 20)
#define XATTR_MAX 512

struct xattr {
	char name[CACHE_NAME_MAX + 1];
	uint8_t value[XATTR_MAX];
	size_t n;
	bool used;
};

struct inode {
	bool used, absent;
	struct cache_attr a;
	uint64_t parent, n_refs;
	uint8_t *data;
	struct xattr x[N_XATTRS];
};

struct dent {
	uint64_t parent, ino, pos;
	char name[CACHE_NAME_MAX + 1];
	size_t n;
};

struct cache {
	struct lock lock;
	struct cond wake;
	pthread_t timer;
	bool stopping;
	struct list fetches;
	unsigned n_syncs;
	uint64_t next_pos;
	struct inode i[N_INODES]; /* by number */
	struct dent d[N_DENTS];
};

static struct timespec now(void)
{
	struct timespec t;

	assert(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return t;
}

static struct inode *inode(struct cache *c, uint64_t ino)
{
	return ino < N_INODES && c->i[ino].used ? &c->i[ino] : NULL;
}

static struct dent *dent(struct cache *c, uint64_t parent, struct slice name)
{
	for (size_t i = 0; i < N_DENTS; i++) {
		struct dent *d = &c->d[i];

		if (d->ino && d->parent == parent &&
		    slice_eq(slice(d->name, d->n), name))
			return d;
	}
	return NULL;
}

static void drop_if_dead(struct inode *i)
{
	if (i->a.nlink > 0 || i->n_refs > 0)
		return;
	free(i->data);
	memset(i, 0, sizeof(*i));
}

static int add_dent(struct cache *c, uint64_t parent, struct slice name, uint64_t ino)
{
	if (dent(c, parent, name))
		return -EEXIST;
	for (size_t i = 0; i < N_DENTS; i++) {
		struct dent *d = &c->d[i];

		if (d->ino)
			continue;
		*d = (struct dent){ parent, ino, ++c->next_pos, { 0 }, name.n };
		memcpy(d->name, name.p, name.n);
		c->i[ino].a.nlink++;
		c->i[parent].a.mtime = c->i[parent].a.ctime = now();
		return 0;
	}
	return -ENOSPC;
}

/* Numbers are not given out twice, as long as they last. */
static int add_inode(struct cache *c, const struct cache_new *n, struct inode **ret)
{
	static uint64_t next = 2;

	for (size_t tries = 0; tries < N_INODES; tries++) {
		struct inode *i = &c->i[next];

		next = next + 1 == N_INODES ? 2 : next + 1;
		if (i->used)
			continue;
		i->used = true;
		i->a = (struct cache_attr){
			.ino = (uint64_t)(i - c->i),
			.mode = n->mode,
			.uid = n->uid,
			.gid = n->gid,
			.rdev = n->rdev,
			.size = n->target.n,
		};
		i->a.atime = i->a.mtime = i->a.ctime = i->a.btime = now();
		i->data = calloc(1, FILE_MAX);
		assert(i->data);
		if (n->target.n)
			memcpy(i->data, n->target.p, n->target.n);
		for (size_t x = 0; x < n->n_xattrs; x++) {
			struct slice nm = n->xattrs[x].name;

			i->x[x].used = true;
			i->x[x].n = n->xattrs[x].value.n;
			memcpy(i->x[x].name, nm.p, nm.n);
			memcpy(i->x[x].value, n->xattrs[x].value.p, i->x[x].n);
		}
		*ret = i;
		return 0;
	}
	return -ENOSPC;
}

/* ---- operations ---- */

#define LOCKED(expr)   \
 do {                  \
  int r_;              \
  lock_take(&c->lock); \
  r_ = (expr);         \
  lock_drop(&c->lock); \
  return r_;           \
 } while (0)

static int answer(struct inode *i, struct cache_attr *ret)
{
	if (!i)
		return -ENOENT;
	*ret = i->a;
	return 0;
}

static int do_lookup(struct cache *c, uint64_t parent, struct slice name,
		     struct cache_attr *ret)
{
	struct dent *d = dent(c, parent, name);

	if (!d)
		return -ENOENT;
	c->i[d->ino].n_refs++;
	return answer(&c->i[d->ino], ret);
}

int cache_lookup(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_lookup(c, parent, name, ret));
}

int cache_getattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  struct cache_attr *ret)
{
	(void)op;
	LOCKED(answer(inode(c, ino), ret));
}

static int do_setattr(struct inode *i, const struct cache_setattr *s,
		      struct cache_attr *ret)
{
	if (!i)
		return -ENOENT;
	if (s->mask & CACHE_SET_SIZE) {
		if (s->size > FILE_MAX)
			return -EFBIG;
		if (s->size < i->a.size)
			memset(i->data + s->size, 0, i->a.size - s->size);
		i->a.size = s->size;
		i->a.mtime = now();
	}
	if (s->mask & CACHE_SET_MODE)
		i->a.mode = (i->a.mode & S_IFMT) | s->mode;
	if (s->mask & CACHE_SET_UID)
		i->a.uid = s->uid;
	if (s->mask & CACHE_SET_GID)
		i->a.gid = s->gid;
	if (s->mask & CACHE_KILL_SUID)
		i->a.mode &= ~(uint32_t)(i->a.mode & S_IXGRP ? 06000 : 04000);
	if (s->mask & CACHE_SET_ATIME)
		i->a.atime = s->atime;
	if (s->mask & CACHE_SET_MTIME)
		i->a.mtime = s->mtime;
	i->a.ctime = s->mask & CACHE_SET_CTIME ? s->ctime : now();
	*ret = i->a;
	return 0;
}

int cache_setattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  const struct cache_setattr *set, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_setattr(inode(c, ino), set, ret));
}

static int do_mknod(struct cache *c, uint64_t parent, struct slice name,
		    const struct cache_new *n, struct cache_attr *ret)
{
	struct inode *i;
	int r;

	if (dent(c, parent, name))
		return -EEXIST;
	r = add_inode(c, n, &i);
	if (r == 0)
		r = add_dent(c, parent, name, i->a.ino);
	if (r < 0)
		return r;
	if (S_ISDIR(n->mode)) {
		i->a.nlink++;
		i->parent = parent;
	}
	i->n_refs++;
	return answer(i, ret);
}

int cache_mknod(struct cache *c, struct cache_op *op, uint64_t parent,
		struct slice name, const struct cache_new *n, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_mknod(c, parent, name, n, ret));
}

static int do_tmpfile(struct cache *c, const struct cache_new *n,
		      struct cache_attr *ret)
{
	struct inode *i;
	int r = add_inode(c, n, &i);

	if (r < 0)
		return r;
	i->n_refs++;
	return answer(i, ret);
}

int cache_tmpfile(struct cache *c, struct cache_op *op,
		  const struct cache_new *n, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_tmpfile(c, n, ret));
}

static int do_link(struct cache *c, uint64_t ino, uint64_t parent,
		   struct slice name, struct cache_attr *ret)
{
	struct inode *i = inode(c, ino);
	int r = i ? add_dent(c, parent, name, ino) : -ENOENT;

	if (r < 0)
		return r;
	i->n_refs++;
	return answer(i, ret);
}

int cache_link(struct cache *c, struct cache_op *op, uint64_t ino,
	       uint64_t parent, struct slice name, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_link(c, ino, parent, name, ret));
}

static int do_remove(struct cache *c, uint64_t parent, struct slice name, bool dir)
{
	struct dent *d = dent(c, parent, name);
	struct inode *i = d ? &c->i[d->ino] : NULL;

	if (!d)
		return -ENOENT;
	if (dir) {
		if (!S_ISDIR(i->a.mode))
			return -ENOTDIR;
		for (size_t k = 0; k < N_DENTS; k++)
			if (c->d[k].ino && c->d[k].parent == d->ino)
				return -ENOTEMPTY;
		i->a.nlink--;
	} else if (S_ISDIR(i->a.mode)) {
		return -EISDIR;
	}
	memset(d, 0, sizeof(*d));
	i->a.nlink--;
	i->a.ctime = c->i[parent].a.mtime = now();
	drop_if_dead(i);
	return 0;
}

int cache_unlink(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name)
{
	(void)op;
	LOCKED(do_remove(c, parent, name, false));
}

int cache_rmdir(struct cache *c, struct cache_op *op, uint64_t parent,
		struct slice name)
{
	(void)op;
	LOCKED(do_remove(c, parent, name, true));
}

static int do_rename(struct cache *c, uint64_t parent, struct slice name,
		     uint64_t newparent, struct slice newname, unsigned flags)
{
	struct dent *d = dent(c, parent, name), *o = dent(c, newparent, newname);

	if (!d || (flags == RENAME_EXCHANGE && !o))
		return -ENOENT;
	if (flags == RENAME_NOREPLACE && o)
		return -EEXIST;
	if (flags == RENAME_EXCHANGE) {
		uint64_t ino = d->ino;

		d->ino = o->ino;
		o->ino = ino;
		return 0;
	}
	if (o) {
		int r = do_remove(c, newparent, newname,
				  S_ISDIR(c->i[o->ino].a.mode));

		if (r < 0)
			return r;
	}
	d->parent = newparent;
	d->n = newname.n;
	memcpy(d->name, newname.p, newname.n);
	d->pos = ++c->next_pos;
	if (S_ISDIR(c->i[d->ino].a.mode))
		c->i[d->ino].parent = newparent;
	return 0;
}

int cache_rename(struct cache *c, struct cache_op *op, uint64_t parent,
		 struct slice name, uint64_t newparent, struct slice newname,
		 unsigned flags)
{
	(void)op;
	LOCKED(do_rename(c, parent, name, newparent, newname, flags));
}

int cache_readlink(struct cache *c, struct cache_op *op, uint64_t ino,
		   uint8_t *dst, size_t max, size_t *ret_n)
{
	struct inode *i = inode(c, ino);

	(void)op;
	if (!i)
		return -ENOENT;
	*ret_n = MIN(max, i->a.size);
	memcpy(dst, i->data, *ret_n);
	return 0;
}

static int do_readdir(struct cache *c, uint64_t ino, uint64_t pos,
		      cache_dir_cb cb, void *ctx)
{
	for (;;) {
		struct dent *next = NULL;

		for (size_t i = 0; i < N_DENTS; i++) {
			struct dent *d = &c->d[i];

			if (d->ino && d->parent == ino && d->pos > pos &&
			    (!next || d->pos < next->pos))
				next = d;
		}
		if (!next || cb(ctx, slice(next->name, next->n),
				&c->i[next->ino].a, next->pos))
			return 0;
		pos = next->pos;
	}
}

int cache_readdir(struct cache *c, struct cache_op *op, uint64_t ino,
		  uint64_t pos, cache_dir_cb cb, void *ctx)
{
	(void)op;
	LOCKED(do_readdir(c, ino, pos, cb, ctx));
}

int cache_parent(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t *ret)
{
	(void)op;
	*ret = c->i[ino].parent;
	return 0;
}

void cache_ref(struct cache *c, uint64_t ino, uint64_t n)
{
	lock_take(&c->lock);
	assert(inode(c, ino));
	c->i[ino].n_refs += n;
	lock_drop(&c->lock);
}

void cache_forget(struct cache *c, uint64_t ino, uint64_t n)
{
	lock_take(&c->lock);
	assert(inode(c, ino));
	if (ino != CACHE_ROOT_INO) {
		assert(c->i[ino].n_refs >= n);
		c->i[ino].n_refs -= n;
		drop_if_dead(&c->i[ino]);
	}
	lock_drop(&c->lock);
}

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
	LOCKED(do_read(inode(c, ino), op, off, dst, n, ret_n));
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
	i->a.mtime = i->a.ctime = now();
	return 0;
}

int cache_write(struct cache *c, struct cache_op *op, uint64_t ino,
		uint64_t off, struct slice data, unsigned flags)
{
	(void)op;
	LOCKED(do_write(inode(c, ino), off, data, flags));
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
	struct inode *i = inode(c, ino);

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
	LOCKED(do_copy(inode(c, src), src_off, inode(c, dst), dst_off, n, ret_n));
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
	LOCKED(do_getxattr(inode(c, ino), name, dst, max, ret_n));
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
	LOCKED(do_setxattr(inode(c, ino), name, value, flags));
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
	LOCKED(do_removexattr(inode(c, ino), name));
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
	LOCKED(do_listxattr(inode(c, ino), dst, max, ret_n));
}

int cache_sync(struct cache *c)
{
	lock_take(&c->lock);
	c->n_syncs++;
	lock_drop(&c->lock);
	return 0;
}

int cache_statfs(struct cache *c, struct cache_statfs *ret)
{
	(void)c;
	*ret = (struct cache_statfs){ 1000, 500, 2000, 1500 };
	return 0;
}

int cache_state(struct cache *c, uint64_t ino, struct source_state *ret)
{
	(void)c, (void)ino;
	*ret = (struct source_state){ .state = "local", .copies = 3 };
	return 0;
}

/* ---- absent parts ---- */

int cache_fetch(struct cache *c, struct cache_fetch *f)
{
	lock_take(&c->lock);
	f->deadline_ms = f->timeout_ms ? monotonic_ms() + f->timeout_ms : UINT64_MAX;
	list_push(&c->fetches, &f->node);
	cond_wake_all(&c->wake);
	lock_drop(&c->lock);
	return 0;
}

static bool under_way(struct cache *c, struct cache_fetch *f)
{
	list_foreach(i, &c->fetches)
		if (i == &f->node)
			return true;
	return false;
}

void cache_fetch_cancel(struct cache *c, struct cache_fetch *w)
{
	bool mine;

	lock_take(&c->lock);
	mine = under_way(c, w);
	if (mine)
		list_del(&w->node);
	lock_drop(&c->lock);
	if (mine)
		w->done(w, -ECANCELED);
}

static void end_one(struct cache *c, struct cache_fetch *f, int status)
	REQUIRES(c->lock)
{
	list_del(&f->node);
	if (status == 0)
		c->i[f->miss.ino].absent = false;
	lock_drop(&c->lock);
	f->done(f, status);
	lock_take(&c->lock);
}

void fake_arrive(struct cache *c, int status)
{
	lock_take(&c->lock);
	while (!list_empty(&c->fetches))
		end_one(c, list_first(&c->fetches, struct cache_fetch, node),
			status);
	lock_drop(&c->lock);
}

static struct cache_fetch *overdue(struct cache *c)
{
	list_foreach(i, &c->fetches) {
		struct cache_fetch *f = container_of(i, struct cache_fetch, node);

		if (f->deadline_ms <= monotonic_ms())
			return f;
	}
	return NULL;
}

static void *timer_main(void *arg)
{
	struct cache *c = arg;

	lock_take(&c->lock);
	while (!c->stopping) {
		struct cache_fetch *f = overdue(c);
		struct timespec t;

		if (f) {
			end_one(c, f, -ETIMEDOUT);
			continue;
		}
		assert(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
		t.tv_nsec += 10000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		if (list_empty(&c->fetches))
			cond_wait(&c->wake, &c->lock);
		else
			(void)cond_wait_until(&c->wake, &c->lock, &t);
	}
	lock_drop(&c->lock);
	return NULL;
}

/* ---- the test's side ---- */

struct cache *fake_new(void)
{
	struct cache *c = calloc(1, sizeof(*c));
	struct inode *root;

	assert(c);
	lock_init(&c->lock);
	cond_init(&c->wake);
	list_init(&c->fetches);
	root = &c->i[CACHE_ROOT_INO];
	root->used = true;
	root->parent = CACHE_ROOT_INO;
	root->a = (struct cache_attr){ .ino = CACHE_ROOT_INO,
				       .mode = S_IFDIR | 0777,
				       .nlink = 2 };
	root->a.mtime = root->a.ctime = now();
	assert(pthread_create(&c->timer, NULL, timer_main, c) == 0);
	return c;
}

void fake_free(struct cache *c)
{
	lock_take(&c->lock);
	c->stopping = true;
	cond_wake_all(&c->wake);
	lock_drop(&c->lock);
	assert(pthread_join(c->timer, NULL) == 0);
	for (size_t i = 0; i < N_INODES; i++)
		free(c->i[i].data);
	cond_fini(&c->wake);
	lock_fini(&c->lock);
	free(c);
}

void fake_absent(struct cache *c, uint64_t ino)
{
	lock_take(&c->lock);
	c->i[ino].absent = true;
	lock_drop(&c->lock);
}

unsigned fake_n_fetches(struct cache *c)
{
	unsigned n = 0;

	lock_take(&c->lock);
	list_foreach(i, &c->fetches)
		n++;
	lock_drop(&c->lock);
	return n;
}

uint64_t fake_n_refs(struct cache *c)
{
	uint64_t n = 0;

	lock_take(&c->lock);
	for (size_t i = 2; i < N_INODES; i++)
		n += c->i[i].n_refs;
	lock_drop(&c->lock);
	return n;
}

unsigned fake_n_syncs(struct cache *c)
{
	unsigned n;

	lock_take(&c->lock);
	n = c->n_syncs;
	lock_drop(&c->lock);
	return n;
}
