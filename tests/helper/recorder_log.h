/*
 * recorder_log.h - inside of the recorder: its log, shared by its three files
 *
 * recorder_disk.c plays the disk and writes the log, recorder_replay.c cuts it,
 * recorder.c makes, asks and disturbs it.
 */
#ifndef TEST_HELPER_RECORDER_LOG_H
#define TEST_HELPER_RECORDER_LOG_H

#include "base/io.h"
#include "base/thread.h"

#include "helper/memfs.h"
#include "helper/recorder.h"

enum change_kind {
	CHANGE_WRITE,
	CHANGE_TRUNCATE,
	CHANGE_ALLOCATE,
	CHANGE_PUNCH,
	CHANGE_SYNC,
	CHANGE_CREATE,
	CHANGE_RENAME,
	CHANGE_UNLINK,
	CHANGE_SYNCDIR,
};

struct change {
	enum change_kind kind;
	size_t node; /* the file, or the directory that holds the name */
	size_t file; /* of names: what they point to */
	bool flag;   /* create: a directory; allocate: keep size */
	uint64_t off, n;
	uint8_t *data;   /* write */
	char *path, *to; /* names; rename's new name */
};

struct recorder {
	struct io io;
	struct lock lock; /* everything below */
	struct memfs now;
	struct memfs base; /* what was there when the log began */
	uint64_t used;     /* blocks, of `now` and of open nodes */
	uint64_t base_used;
	uint64_t limit; /* blocks, or 0 */
	size_t next_id;
	struct change *log;
	size_t n_log, cap_log;
	uint64_t calls[10];
	uint64_t begun;  /* bytes of io_begin_sync() */
	uint64_t wanted; /* bytes of io_begin_read() */
	unsigned fail_kinds;
	uint64_t fail_in;
	int fail_err;
	bool fail_sticky;
	uint64_t failed;
	void (*watch)(void *ctx, size_t at); /* may be NULL */
	void *watch_ctx;
	size_t watch_every;
};

extern const struct io_ops recorder_disk;

void change_fini(struct change *c);

#endif
