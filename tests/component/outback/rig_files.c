/* rig_files.c - what a program does to the files of a device */
#include "rig_op.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/thread.h"

struct waiter {
	struct cache_fetch fetch;
	struct lock lock;
	struct cond cond;
	bool over;
	int status;
};

static void fetched(struct cache_fetch *f, int status)
{
	struct waiter *w = container_of(f, struct waiter, fetch);

	lock_take(&w->lock);
	w->over = true;
	w->status = status;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

int op_fetch(struct device *d, const struct cache_op *op)
{
	struct waiter w = { .fetch = { .miss = op->miss,
				       .done = fetched,
				       .timeout_ms = RIG_WAIT_MS } };
	int r;

	lock_init(&w.lock);
	cond_init(&w.cond);
	r = cache_fetch(d->cache, &w.fetch);
	if (r == 0) {
		lock_take(&w.lock);
		while (!w.over)
			cond_wait(&w.cond, &w.lock);
		lock_drop(&w.lock);
		r = w.status;
	}
	cond_fini(&w.cond);
	lock_fini(&w.lock);
	return r;
}

int op_lookup(struct device *d, uint64_t parent, struct slice name,
	      struct cache_attr *ret)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_lookup(d->cache, &op, parent, name, ret));
	if (r == 0)
		cache_forget(d->cache, ret->ino, 1);
	return r;
}

/* The directory of `path`, and its last name. */
static uint64_t parent_of(struct device *d, const char *path, struct slice *name)
{
	uint64_t ino = CACHE_ROOT_INO;
	struct cache_attr a;
	const char *end;

	while ((end = strchr(path, '/'))) {
		ok(op_lookup(d, ino, slice(path, (size_t)(end - path)), &a));
		ino = a.ino;
		path = end + 1;
	}
	*name = slice_str(path);
	return ino;
}

uint64_t f_lookup(struct device *d, const char *path, struct cache_attr *ret)
{
	struct cache_attr a;
	struct slice name;
	uint64_t parent;

	if (!*path)
		return CACHE_ROOT_INO;
	parent = parent_of(d, path, &name);
	ok(op_lookup(d, parent, name, &a));
	if (ret)
		*ret = a;
	return a.ino;
}

static uint64_t make(struct device *d, const char *path, const struct cache_new *n)
{
	struct cache_op op = { .uid = 0 };
	struct cache_attr a;
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);
	int r;

	again(r, op, cache_mknod(d->cache, &op, parent, name, n, &a));
	ok(r);
	cache_forget(d->cache, a.ino, 1);
	return a.ino;
}

uint64_t f_mkdir(struct device *d, const char *path)
{
	const struct cache_new n = { .mode = S_IFDIR | 0750, .uid = 7, .gid = 8 };

	return make(d, path, &n);
}

void f_symlink(struct device *d, const char *path, const char *target)
{
	const struct cache_new n = { .mode = S_IFLNK | 0777,
				     .target = slice_str(target) };

	(void)make(d, path, &n);
}

void f_node(struct device *d, const char *path, mode_t mode, dev_t rdev)
{
	const struct cache_new n = { .mode = mode, .rdev = rdev };

	(void)make(d, path, &n);
}

static int write_at(struct device *d, uint64_t ino, uint64_t off,
		    const uint8_t *p, size_t n)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_write(d->cache, &op, ino, off, slice(p, n), 0));
	return r;
}

static uint64_t file_of(struct device *d, const char *path)
{
	const struct cache_new new = { .mode = S_IFREG | 0644,
				       .uid = 1000,
				       .gid = 100 };
	struct cache_attr a;
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);

	if (op_lookup(d, parent, name, &a) == 0)
		return a.ino;
	return make(d, path, &new);
}

uint64_t f_write(struct device *d, const char *path, uint64_t off,
		 const void *p, size_t n)
{
	uint64_t ino = file_of(d, path);

	if (n)
		ok(write_at(d, ino, off, p, n));
	return ino;
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

int f_try_fill(struct device *d, const char *path, uint64_t off, uint64_t n,
	       uint64_t seed)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15u, done = 0;
	uint8_t *p = malloc(RIG_BLOCK);
	uint64_t ino = file_of(d, path);
	int r = 0;

	assert_non_null(p);
	for (; done < n && r == 0; done += MIN(RIG_BLOCK, n - done)) {
		for (size_t i = 0; i < RIG_BLOCK; i += 8)
			put_le64(p + i, next(&x));
		r = write_at(d, ino, off + done, p, MIN(RIG_BLOCK, n - done));
	}
	free(p);
	return r;
}

uint64_t f_fill(struct device *d, const char *path, uint64_t off, uint64_t n,
		uint64_t seed)
{
	ok(f_try_fill(d, path, off, n, seed));
	return file_of(d, path);
}

void f_link(struct device *d, const char *from, const char *to)
{
	struct cache_op op = { .uid = 0 };
	uint64_t ino = f_lookup(d, from, NULL), parent;
	struct cache_attr a;
	struct slice name;
	int r;

	parent = parent_of(d, to, &name);
	again(r, op, cache_link(d->cache, &op, ino, parent, name, &a));
	ok(r);
	cache_forget(d->cache, a.ino, 1);
}

void f_unlink(struct device *d, const char *path)
{
	struct cache_op op = { .uid = 0 };
	struct slice name;
	uint64_t parent = parent_of(d, path, &name);
	int r;

	again(r, op, cache_unlink(d->cache, &op, parent, name));
	ok(r);
}

void f_rename(struct device *d, const char *from, const char *to)
{
	struct cache_op op = { .uid = 0 };
	struct slice a, b;
	uint64_t p = parent_of(d, from, &a), q = parent_of(d, to, &b);
	int r;

	again(r, op, cache_rename(d->cache, &op, p, a, q, b, 0));
	ok(r);
}

void f_set(struct device *d, const char *path, const struct cache_setattr *s)
{
	uint64_t ino = f_lookup(d, path, NULL);
	struct cache_op op = { .uid = 0 };
	struct cache_attr a;
	int r;

	again(r, op, cache_setattr(d->cache, &op, ino, s, &a));
	ok(r);
}

void f_truncate(struct device *d, const char *path, uint64_t size)
{
	const struct cache_setattr s = { .mask = CACHE_SET_SIZE, .size = size };

	f_set(d, path, &s);
}

void f_xattr(struct device *d, const char *path, const char *name,
	     const void *p, size_t n)
{
	uint64_t ino = f_lookup(d, path, NULL);
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op,
	      cache_setxattr(d->cache, &op, ino, slice_str(name), slice(p, n), 0));
	ok(r);
}

int op_read(struct device *d, uint64_t ino, uint64_t off, uint8_t *dst,
	    size_t n, size_t *ret_n)
{
	struct cache_op op = { .uid = 0 };
	int r;

	again(r, op, cache_read(d->cache, &op, ino, off, dst, n, ret_n));
	return r;
}

int f_read(struct device *d, const char *path, uint64_t off, uint8_t *dst,
	   size_t n, size_t *ret_n)
{
	return op_read(d, f_lookup(d, path, NULL), off, dst, n, ret_n);
}
