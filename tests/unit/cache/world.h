/*
 * world.h - a drive with a DAG in memory behind it (fakedag.h)
 */
#ifndef TEST_CACHE_WORLD_H
#define TEST_CACHE_WORLD_H

#include "common.h"
#include "fakedag.h"

/* A drive and the DAG that is its source. */
struct world {
	struct drive d;
	struct fakedag *f;
};

/* A test's set-up and tear-down; the drive is formatted and not open. */
int world_new(void **state);
int world_free(void **state);

/* Another drive on a new disk over the same DAG, not formatted; drive_free(). */
void world_drive(const struct world *w, struct drive *d);

struct cache_stats stats(struct drive *d);

/* The file is these n bytes, wherever they have to come from. */
void read_back(struct drive *d, uint64_t ino, size_t n, const uint8_t *want);

/* The process is stopped for so long; the clock goes on. */
void be_stopped(int ms);

#endif
