/*
 * recorder.h - a disk in memory that remembers, forgets and fails
 *
 * A recorder is a struct io.  It logs every change, so that a test can ask: what
 * if the power had gone right here?  recorder_replay() builds the disk as it may
 * be found after a cut behind any number of logged changes, by the durability
 * contract of base/io.h:
 *
 *   - writes, truncates and allocations that an io_datasync() of the file
 *     followed (before the cut) are all there
 *   - creates, renames and unlinks that an io_syncdir() of their directory
 *     followed are all there
 *   - of the others any subset is, writes torn at multiples of 512 bytes, or
 *     their length without their bytes
 *
 * A failed sync makes nothing durable.  A loop over every cut:
 *
 *   for (at = 0; at <= recorder_length(rec); at++)
 *           for (seed = 0; seed < 4; seed++) {
 *                   struct recorder_cut cut = { at, RECORDER_SOME, seed };
 *                   r = recorder_replay(rec, &cut, &disk);
 *                   open and check recorder_io(disk); recorder_free(disk);
 *           }
 *
 * The result is a recorder of its own: its state counts as durable, it can be
 * written to, cut again, made to fail.  Allocation by blocks of 4096 bytes.
 *
 * Threading: any thread, one lock.  A replay while others write is one instant.
 * Errors: what a Linux file system answers; -ENOMEM for the recorder's own.
 */
#ifndef TEST_HELPER_RECORDER_H
#define TEST_HELPER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

struct io;
struct recorder;

must_check int recorder_new(struct recorder **ret);

/* All files on it are closed; the same as io_free() of its io.  NULL is fine. */
void recorder_free(struct recorder *rec);
struct io *recorder_io(struct recorder *rec);

/* --- the log and the cut --- */

enum recorder_lose {
	RECORDER_NOTHING, /* the process was killed: all of the prefix is there */
	RECORDER_ALL,     /* whatever was not synced is gone */
	RECORDER_SOME,    /* each unsynced change kept, torn or lost, by seed */
	RECORDER_PICK, /* those unsynced changes are lost whose bit of seed is
			     set, the last one's is bit 0; older ones are kept */
};

struct recorder_cut {
	size_t at; /* changes before the cut, up to recorder_length() */
	enum recorder_lose lose;
	uint64_t seed;
};

/* Changes (and syncs) so far.  Note it beside what your test acknowledged. */
size_t recorder_length(struct recorder *rec);

/* How many of the changes before `at` a cut there may lose. */
must_check int recorder_unsynced(struct recorder *rec, size_t at, size_t *ret);
must_check int recorder_replay(struct recorder *rec, const struct recorder_cut *cut,
			       struct recorder **ret);

/*
 * After each `every`-th change cb is called, with the log's length then, while
 * nothing else can be written, synced or read: a moment at which to note how the
 * world beside the disk is.  It must not use the recorder.  NULL ends it.
 */
void recorder_watch(struct recorder *rec, size_t every,
		    void (*cb)(void *ctx, size_t at), void *ctx);

/* What is there now becomes durable, the log empty: a short log is swept fast. */
must_check int recorder_forget(struct recorder *rec);

/* --- faults --- */

enum recorder_call {
	RECORDER_OPEN = 1 << 0,
	RECORDER_READ = 1 << 1,
	RECORDER_WRITE = 1 << 2,
	RECORDER_SYNC = 1 << 3, /* datasync */
	RECORDER_TRUNCATE = 1 << 4,
	RECORDER_ALLOCATE = 1 << 5,
	RECORDER_NAME = 1 << 6, /* unlink, rename, mkdir */
	RECORDER_SYNCDIR = 1 << 7,
	RECORDER_LOOK = 1 << 8, /* size, list, space */
	RECORDER_WRITE_OUT = 1 << 9,
	RECORDER_ANY = (1 << 10) - 1,
};

/* Calls of these kinds (a mask) since the recorder was made. */
uint64_t recorder_calls(struct recorder *rec, unsigned kinds);

/* Bytes of io_begin_sync() calls: they promise nothing, so nothing else knows. */
uint64_t recorder_begun(struct recorder *rec);
uint64_t recorder_wanted(struct recorder *rec); /* of io_begin_read(), too */

/*
 * Fail the nth call from now (0 is the next) of these kinds with -err; if sticky
 * all later ones of the kinds too.  A failing write leaves half of its bytes.
 * kinds 0 ends it.
 */
void recorder_fail(struct recorder *rec, unsigned kinds, uint64_t nth, int err,
		   bool sticky);
uint64_t recorder_failed(struct recorder *rec); /* calls failed since then */

/* Size of the disk: -ENOSPC beyond, after a part of a write.  0: endless. */
void recorder_limit(struct recorder *rec, uint64_t bytes);
uint64_t recorder_used(struct recorder *rec); /* bytes, in whole blocks */
/* Of the files whose names begin so, all at one instant. */
uint64_t recorder_used_by(struct recorder *rec, const char *prefix);

/* --- looking and damaging, past the log --- */

/* Was this ever written (log, files, names)? */
bool recorder_contains(struct recorder *rec, struct slice needle);

/* The size of a file, or -ENOENT. */
int64_t recorder_size(struct recorder *rec, const char *name);

/* XOR one byte of the medium; -ERANGE behind the end. */
must_check int recorder_flip(struct recorder *rec, const char *name,
			     uint64_t off, uint8_t mask);

#endif
