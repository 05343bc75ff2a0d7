/*
 * common.h - a drive on a recorder, and short words for its operations
 *
 * Everything asserts success unless its name says try_.
 */
#ifndef TEST_CACHE_COMMON_H
#define TEST_CACHE_COMMON_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "cache/cache.h"
#include "crypto/secret.h"
#include "helper/recorder.h"

struct drive {
	struct recorder *rec;
	struct secret *key;
	struct cache_params p;
	struct cache *c;
};

/* An empty drive on a new recorder, closed; segments of 128 slots. */
void drive_new(struct drive *d);
void drive_open(struct drive *d);
void drive_close(struct drive *d);
void drive_free(struct drive *d);

/* For cmocka: *state is such a drive, open. */
int drive_setup(void **state);
int drive_teardown(void **state);

/* Closed and opened again. */
void drive_again(struct drive *d);

/* The disk as a kill -9 right now leaves it, opened. */
void drive_cut(struct drive *d, const struct recorder_cut *cut, struct drive *ret);

/* On drive.db itself, while the drive is closed: one number, statements. */
uint64_t drive_number(struct drive *d, const char *sql);
void drive_change(struct drive *d, const char *sql);

uint64_t mk(struct drive *d, uint64_t parent, const char *name, mode_t mode);
int try_mk(struct drive *d, uint64_t parent, const char *name, mode_t mode,
	   uint64_t *ret);
uint64_t look(struct drive *d, uint64_t parent, const char *name); /* 0: none */
void put(struct drive *d, uint64_t ino, uint64_t off, const void *p, size_t n);
int try_put(struct drive *d, uint64_t ino, uint64_t off, const void *p, size_t n);
size_t get(struct drive *d, uint64_t ino, uint64_t off, void *p, size_t n);
int try_get(struct drive *d, uint64_t ino, uint64_t off, void *p, size_t n,
	    size_t *ret_n);
void cut_to(struct drive *d, uint64_t ino, uint64_t size);
/* [0, n) is copied behind itself: its blocks get one name more, if they can. */
void double_file(struct drive *d, uint64_t ino, uint64_t n);
struct cache_attr attr(struct drive *d, uint64_t ino);
void rm(struct drive *d, uint64_t parent, const char *name);
void forget(struct drive *d, uint64_t ino);

/* n bytes that tell file, place and version apart. */
void pattern(uint8_t *p, size_t n, uint64_t off, unsigned version);
void expect_pattern(struct drive *d, uint64_t ino, uint64_t off, size_t n,
		    unsigned version);

#endif
