/*
 * fake_cache.h - a cache in memory, for tests of fuse/ alone
 *
 * Behind the functions of cache/cache.h that fuse/ calls.  Small limits, one
 * lock, no durability.  What it can do that the real one cannot on command: make
 * a file absent, and count references.
 */
#ifndef TESTS_FAKE_CACHE_H
#define TESTS_FAKE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct cache;

struct cache *fake_new(void);
void fake_free(struct cache *c);

/* Reads of this inode are absent until fake_arrive(). */
void fake_absent(struct cache *c, uint64_t ino);

/* End every fetch under way; 0 makes the bytes present. */
void fake_arrive(struct cache *c, int status);

unsigned fake_n_fetches(struct cache *c); /* under way */

/* References that the kernel still has, but for the root's. */
uint64_t fake_n_refs(struct cache *c);

/* The next n calls of cache_sync() are counted as one if they are one batch. */
unsigned fake_n_syncs(struct cache *c);

/* What cache_sync() answers from now on. */
void fake_sync_fails(struct cache *c, int r);

#endif
