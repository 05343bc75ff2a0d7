/*
 * fakedag.h - a DAG in memory: what a test has adopted, it serves back
 *
 * A struct source with one worker thread.  Links are 8 bytes: the number of a
 * stored content.  It can be slow, fail, or hold everything back.
 */
#ifndef TEST_CACHE_FAKEDAG_H
#define TEST_CACHE_FAKEDAG_H

#include "cache/source.h"
#include "common.h"

struct fakedag;

struct fakedag *fakedag_new(void);
void fakedag_free(struct fakedag *f); /* the cache is closed */
struct source *fakedag_source(struct fakedag *f);

/* Keep n bytes; the link is written to ret. */
void fakedag_add(struct fakedag *f, const void *p, size_t n, uint8_t ret[static 8]);

/* From now on every fetch answers -err; 0: it works again. */
void fakedag_fail(struct fakedag *f, int err);

/* Nothing is answered (but cancels) until it is let go again. */
void fakedag_hold(struct fakedag *f, bool hold);
/* Before each of the next n entries of a directory it waits so long; it does not wait
 * any more when that is set anew. */
void fakedag_pace(struct fakedag *f, unsigned ms, unsigned n);
unsigned fakedag_paced(struct fakedag *f); /* how many are still to come */
/* The next directory breaks off after n entries, with -EREMOTEIO. */
void fakedag_break(struct fakedag *f, unsigned n);
unsigned fakedag_starts(struct fakedag *f); /* requests so far */

/* A directory of n files "e0", "e1", … with inodes from ino on, each with the
 * same content. */
void fakedag_dir(struct fakedag *f, unsigned n, uint64_t ino, const void *p,
		 size_t size, uint8_t ret[static 8]);

/* Fetch what is missing and wait: 0, or the fetch's error. */
int fetch_wait(struct drive *d, const struct cache_op *op, unsigned timeout_ms);

/*
 * Snapshot, give every dirty file's content to the DAG as the snapshot has it, run
 * `meanwhile`, adopt.
 */
void onboard(struct drive *d, struct fakedag *f, void (*meanwhile)(void *ctx),
	     void *ctx);

#endif
