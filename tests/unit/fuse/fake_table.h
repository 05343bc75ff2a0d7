/*
 * fake_table.h - what the fake cache consists of
 *
 * Between its own files; tests use fake_cache.h.
 */
#ifndef TESTS_FAKE_TABLE_H
#define TESTS_FAKE_TABLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/list.h"
#include "base/thread.h"
#include "cache/cache.h"

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
	int sync_result;
	uint64_t next_pos;
	struct inode i[N_INODES]; /* by number */
	struct dent d[N_DENTS];
};

/* The function's result, with the lock held while it is made. */
#define LOCKED(expr)   \
 do {                  \
  int r_;              \
  lock_take(&c->lock); \
  r_ = (expr);         \
  lock_drop(&c->lock); \
  return r_;           \
 } while (0)

/* NULL if there is none of this number. */
struct inode *fake_inode(struct cache *c, uint64_t ino);

struct timespec fake_now(void);

/* The thread that ends fetches which are overdue; `arg` is the cache. */
void *fake_timer(void *arg);

#endif
