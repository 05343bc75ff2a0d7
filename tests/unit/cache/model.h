/*
 * model.h - the simplest file system that can be: what the cache must equal
 *
 * A few names in the root and in one directory, a few files of at most
 * MODEL_FILE_MAX bytes.  model_step() does one random operation to the model and
 * to the drive; model_hash() and drive_hash() tell a whole state in one number,
 * of all names, sizes, bytes and link counts.
 */
#ifndef TEST_CACHE_MODEL_H
#define TEST_CACHE_MODEL_H

#include "fakedag.h"

#define MODEL_FILE_MAX (200u * 1024)
#define MODEL_NAMES    10
#define MODEL_FILES    64

struct model {
	struct drive *d;
	struct fakedag *f; /* may be NULL */
	uint64_t seed;
	uint64_t dir;
	int names[MODEL_NAMES]; /* file, or -1 */
	struct model_file {
		uint8_t *p;
		size_t n;
		uint64_t ino;
		int nlink;
	} files[MODEL_FILES];
	unsigned written; /* version of the next bytes */
};

void model_new(struct model *m, struct drive *d, struct fakedag *f, uint64_t seed);
void model_free(struct model *m);
uint64_t model_rand(struct model *m, uint64_t below);
void model_step(struct model *m);
uint64_t model_hash(const struct model *m);

/* What the drive is to have counted. */
struct cache_counts model_counts(const struct model *m);

/* 0 where the drive has something that no model has. */
uint64_t drive_hash(struct drive *d);

#endif
