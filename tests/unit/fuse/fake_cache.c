/* fake_cache.c - names and inodes of the fake cache, its beginning and end */
#include "fake_cache.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cache/source.h"
#include "fake_table.h"

struct timespec fake_now(void)
{
	struct timespec t;

	assert(clock_gettime(CLOCK_REALTIME, &t) == 0);
	return t;
}

struct inode *fake_inode(struct cache *c, uint64_t ino)
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
		c->i[parent].a.mtime = c->i[parent].a.ctime = fake_now();
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
		i->a.atime = i->a.mtime = i->a.ctime = i->a.btime = fake_now();
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

static int do_lookup_ino(struct inode *i, struct cache_attr *ret)
{
	if (!i)
		return -ESTALE;
	i->n_refs++;
	return answer(i, ret);
}

int cache_lookup_ino(struct cache *c, struct cache_op *op, uint64_t ino,
		     struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_lookup_ino(fake_inode(c, ino), ret));
}

int cache_getattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  struct cache_attr *ret)
{
	(void)op;
	LOCKED(answer(fake_inode(c, ino), ret));
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
		i->a.mtime = fake_now();
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
	i->a.ctime = s->mask & CACHE_SET_CTIME ? s->ctime : fake_now();
	*ret = i->a;
	return 0;
}

int cache_setattr(struct cache *c, struct cache_op *op, uint64_t ino,
		  const struct cache_setattr *set, struct cache_attr *ret)
{
	(void)op;
	LOCKED(do_setattr(fake_inode(c, ino), set, ret));
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
	struct inode *i = fake_inode(c, ino);
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
	i->a.ctime = c->i[parent].a.mtime = fake_now();
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
	struct inode *i = fake_inode(c, ino);

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

bool cache_atime_due(const struct cache_attr *a)
{
	(void)a;
	return false; /* the fake's drives are noatime */
}

void cache_accessed(struct cache *c, uint64_t ino, bool always)
{
	(void)c;
	(void)ino;
	(void)always;
}

void cache_ref(struct cache *c, uint64_t ino, uint64_t n)
{
	lock_take(&c->lock);
	assert(fake_inode(c, ino));
	c->i[ino].n_refs += n;
	lock_drop(&c->lock);
}

void cache_forget(struct cache *c, uint64_t ino, uint64_t n)
{
	lock_take(&c->lock);
	assert(fake_inode(c, ino));
	if (ino != CACHE_ROOT_INO) {
		assert(c->i[ino].n_refs >= n);
		c->i[ino].n_refs -= n;
		drop_if_dead(&c->i[ino]);
	}
	lock_drop(&c->lock);
}

int cache_referenced(struct cache *c, uint64_t **ret, size_t *ret_n)
{
	uint64_t *v = calloc(N_INODES, sizeof(*v));

	if (!v)
		return -ENOMEM;
	*ret_n = 0;
	lock_take(&c->lock);
	for (uint64_t ino = 1; ino < N_INODES; ino++)
		if (c->i[ino].used && c->i[ino].n_refs)
			v[(*ret_n)++] = ino;
	lock_drop(&c->lock);
	*ret = v;
	return 0;
}

int cache_sync(struct cache *c)
{
	int r;

	lock_take(&c->lock);
	c->n_syncs++;
	r = c->sync_result;
	lock_drop(&c->lock);
	return r;
}

void fake_sync_fails(struct cache *c, int r)
{
	lock_take(&c->lock);
	c->sync_result = r;
	lock_drop(&c->lock);
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
	root->a.mtime = root->a.ctime = fake_now();
	assert(pthread_create(&c->timer, NULL, fake_timer, c) == 0);
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
