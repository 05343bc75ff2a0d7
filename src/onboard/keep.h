/*
 * keep.h - files that a commit cannot have as they are
 *
 *   part of a chunk is lost everywhere (reseal.h)   ─┐  the file is in the commit as the
 *   what came here since the last commit is damaged ─┴► last one had it, whole, and stays
 *   on this disk, and at no store                        dirty: no other file waits for it
 *
 * If no commit has it yet, it is in none: its names are left out.  Never a mixture of
 * old and new bytes, and never zeros.  Its attributes are those of now, but for
 * the size.  It is built as any other file as soon as it is written anew.
 *
 * Damaged ones are named (onboard_left()), and not read again before they have
 * changed or somebody asks for a commit.
 *
 * Threading: onboard_left() from any thread; the rest is the packer's.
 */
#ifndef ONBOARD_KEEP_H
#define ONBOARD_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct cache_counts;
struct onboard;
struct run;

/* Lost; the commit has `size` bytes of it. */
must_check int keep_lost(struct run *r, uint64_t ino, uint64_t size);

/* Damaged; the same, or it is left out.  `gen` as in cache_snap_inode. */
must_check int keep_damaged(struct run *r, uint64_t ino, uint64_t gen,
			    uint64_t size);
must_check int keep_out(struct run *r, uint64_t ino, uint64_t gen);

/* Was it found damaged by the run before, and is there no reason to look again? */
bool keep_is_known(const struct run *r, uint64_t ino, uint64_t gen);

/* Names may be left out of the newest commit.  Before the first keep_out(). */
bool keep_has_left_out(const struct run *r);

bool keep_is_out(const struct run *r, uint64_t ino);

/* If it is kept, the size that the commit has of it. */
void keep_size(const struct run *r, uint64_t ino, uint64_t *size);

/* Inodes and bytes of the tree that is committed. */
must_check int keep_count(struct run *r, struct cache_counts *ret);

/* The run has succeeded: its damaged files are what is said from now on. */
must_check int keep_end(struct run *r);
void keep_fini(struct run *r);

void keep_free(struct onboard *o); /* what is said */

#endif
