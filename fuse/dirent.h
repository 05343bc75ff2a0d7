/*
 * dirent.h - packing directory entries for READDIR and READDIRPLUS
 *
 *   struct fuse_dirent (each entry padded to 8 bytes)    linux/fuse.h
 *   offset  size  field
 *   0       8     ino
 *   8       8     off, the position after this entry
 *   16      4     namelen
 *   20      4     type, S_IFMT >> 12
 *   24      n     name, not terminated
 *
 * READDIRPLUS puts a struct fuse_entry_out (128 bytes) before each.  Positions:
 * 1 is after ".", 2 after "..", and p + 2 after the entry that the cache has at
 * p (p is never 0).
 *
 * Written here and not by fuse_add_direntry(), because names of the cache are
 * not terminated, and because what went in must be counted exactly: every entry
 * with a node id is a reference that the kernel will give back.
 *
 * Pure but for memory of the caller; one thread at a time.
 */
#ifndef FUSE_DIRENT_H
#define FUSE_DIRENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

struct cache_attr;

#define DIRENT_POS_FIRST 2 /* of the kernel, for 0 of the cache */

struct dirent_pack {
	uint8_t *p;
	size_t n, max; /* bytes used, bytes that the kernel takes */
	bool plus;
	double timeout_s;
};

/*
 * False if it does not fit any more.  With `plus` the entry hands out a
 * reference, unless `ref` is false ("." and "..").
 */
must_check bool dirent_add(struct dirent_pack *d, struct slice name,
			   const struct cache_attr *a, uint64_t off, bool ref);

/* Calls `ref` for every entry that hands out a reference. */
void dirent_refs(const struct dirent_pack *d,
		 void (*ref)(void *ctx, uint64_t ino), void *ctx);

#endif
