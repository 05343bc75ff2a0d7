/*
 * memfs.h - files and names in memory, what the recorder stands on
 *
 * A node is a file or directory; names are whole paths that point to nodes.  A
 * node counts its 4096-byte blocks in `*used`, so that a disk can be full; holes
 * cost nothing.  Not thread-safe.  -ENOMEM is the only error.
 */
#ifndef TEST_HELPER_MEMFS_H
#define TEST_HELPER_MEMFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define MEMFS_BLOCK 4096u

/*
 * Memory of the disk itself: it does not fail where a test makes allocations
 * fail by wrapping them (-Wl,--wrap; else these names are not there).  Freed
 * with free().
 */
void *__real_malloc(size_t n) __attribute__((weak));
void *__real_calloc(size_t n, size_t size) __attribute__((weak));
void *__real_realloc(void *p, size_t n) __attribute__((weak));
char *__real_strdup(const char *s) __attribute__((weak));

static inline void *disk_malloc(size_t n)
{
	return __real_malloc ? __real_malloc(n) : malloc(n);
}

static inline void *disk_calloc(size_t n, size_t size)
{
	return __real_calloc ? __real_calloc(n, size) : calloc(n, size);
}

static inline void *disk_realloc(void *p, size_t n)
{
	return __real_realloc ? __real_realloc(p, n) : realloc(p, n);
}

static inline char *disk_strdup(const char *s)
{
	return __real_strdup ? __real_strdup(s) : strdup(s);
}

struct memnode {
	size_t id;
	unsigned refs;
	bool dir;
	uint8_t *data;   /* cap bytes; zeros behind size */
	size_t size;     /* bytes */
	size_t cap;      /* bytes */
	uint8_t *blocks; /* 1: allocated; n_blocks of them */
	size_t n_blocks;
	uint64_t *used; /* blocks of the whole disk */
};

struct mement {
	char *path;
	struct memnode *node;
};

struct memfs {
	struct mement *e;
	size_t n, cap;
};

must_check int memnode_new(size_t id, bool dir, uint64_t *used,
			   struct memnode **ret);
struct memnode *memnode_ref(struct memnode *node);
void memnode_unref(struct memnode *node);

size_t memnode_read(const struct memnode *node, void *p, size_t n, uint64_t off);
must_check int memnode_write(struct memnode *node, const void *p, size_t n,
			     uint64_t off);
must_check int memnode_truncate(struct memnode *node, uint64_t size);
must_check int memnode_allocate(struct memnode *node, uint64_t off, uint64_t n,
				bool keep_size);
void memnode_punch(struct memnode *node, uint64_t off, uint64_t n);

/* Blocks that a write or allocation there would take from the disk. */
uint64_t memnode_missing(const struct memnode *node, uint64_t off, uint64_t n);

void memfs_fini(struct memfs *fs);
struct memnode *memfs_find(const struct memfs *fs, const char *path);
must_check int memfs_link(struct memfs *fs, const char *path, struct memnode *node);
void memfs_unlink(struct memfs *fs, const char *path);

/* Content and names; nodes of equal id become one node. */
must_check int memfs_clone(const struct memfs *fs, uint64_t *used,
			   struct memfs *ret);

#endif
