/*
 * mounted.h - a real mount over a cache in memory (fake_cache.h), and short words
 *
 * What the kernel and fuse/ make of each other.  Everything asserts success.
 * Skipped without /dev/fuse, where nobody may mount (a container), and for others
 * than root, who alone may mount with allow_other.
 */
#ifndef TEST_FUSE_MOUNTED_H
#define TEST_FUSE_MOUNTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "cache/cache.h"
#include "fake_cache.h"
#include "fuse/session.h"

#define FIXTURE_DIR_MAX 256

struct fixture {
	struct cache *c;
	struct session *s;
	char dir[FIXTURE_DIR_MAX];
	atomic_int ready;
	unsigned timeout_ms;
	const char *opts;
};

/* A test's set-up and tear-down: all but the mount itself. */
int set_up(void **state);
int tear_down(void **state);

#define with_mount(test) \
 cmocka_unit_test_setup_teardown(test, set_up, tear_down)

void mount_it(struct fixture *f);

/* The mount's end from inside, busy or not. */
void stop(struct fixture *f);

/* main()'s return value instead of any test, or -1: mounts can be made here. */
int no_mounts(void);

/* A path on the mount, good until the call after the next. */
const char *at(const struct fixture *f, const char *name);
void put(const char *path, const char *text, mode_t mode);
void expect(const char *path, const char *text);

/* --- bytes that are not here --- */

/* What a thread read of a file, or why not. */
struct reader {
	pthread_t id;
	const char *path;
	char got[16];
	ssize_t n;
	int err;
};

void *read_main(void *reader);

/* Make a file of ten digits whose bytes are not here; its path goes to path. */
void absent_file(struct fixture *f, char *path, size_t max);
void wait_for_fetches(struct cache *c, unsigned n);

#endif
