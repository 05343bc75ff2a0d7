/*
 * heap.h - what the heap gives back
 *
 * glibc raises the size from which an allocation has pages of its own to that of the
 * largest one freed so far, up to 32 MiB.  From then on arrays that double as they
 * grow are copied within the heap and leave holes that are never given back:
 * of a commit of a million files 44 MiB, in one run.  A fixed size turns that off.
 *
 * It gives each thread an arena of its own, up to eight a core, and what is free in
 * one is of no use to the others.  Pages and blocks that gather until a group commit
 * are allocated by whoever gets a request: so each worker of the mount came to keep
 * the most that a transaction takes, 45 MiB each.  They hold the cache's lock then
 * anyway.  With two arenas the packer and its workers rarely meet.
 *
 * Threading: once, before the first thread.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <malloc.h>

#define HEAP_OWN_PAGES (2 << 20) /* bytes: more than a leaf and its seal */
#define HEAP_KEEP      (8 << 20) /* bytes kept at an arena's end */
#define HEAP_ARENAS    2

static inline void heap_settle(void)
{
	/* It only helps if it works; no thread is there yet. */
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_OWN_PAGES); // NOLINT(concurrency-mt-unsafe)
	(void)mallopt(M_TRIM_THRESHOLD, HEAP_KEEP); // NOLINT(concurrency-mt-unsafe)
	(void)mallopt(M_ARENA_MAX, HEAP_ARENAS); // NOLINT(concurrency-mt-unsafe)
}

#endif
