/*
 * op.h - one request of the kernel on its way through this room
 *
 * A handler fills a struct op on its stack and calls op_start().  op->run does
 * the work: it asks the cache, replies and returns 0; or it returns -errno
 * without having replied, and op_start() replies.  -EINPROGRESS means that
 * something is absent: the op moves to the heap with all its bytes, its
 * `who.miss` is fetched, and run is called again from a retry thread (retry.h).
 * So run may be called many times, and nothing that it did before it returned
 * -EINPROGRESS may hurt when it is done twice.
 *
 * Threading: an op belongs to the thread that runs it.
 */
#ifndef FUSE_OP_H
#define FUSE_OP_H

#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "cache/cache.h"

struct retry;
struct syncer;

/* What the kernel said beyond what libfuse passes on (wire.h). */
enum op_flags {
	OP_KILL_SUID = 1 << 0, /* caller may not keep suid and sgid */
	OP_KILL_SGID = 1 << 1, /* ACL change by one outside the group */
	OP_TMPFILE = 1 << 2,   /* this create is an O_TMPFILE */
	OP_STATX = 1 << 3,     /* this getattr wants the time of birth too */
};

/* What every op can reach; const after the mount but for what is atomic. */
struct op_env {
	struct cache *cache;
	struct retry *retry;
	struct syncer *syncer;
	struct fuse_session *se;
	bool no_open;    /* the kernel takes ENOSYS for: never ask again */
	bool no_opendir; /* likewise */
	bool atime;      /* reading a file or a symlink moves its atime */
	bool diratime;   /* listing a directory does */
	bool strict;     /* each time, not only when relatime wants it */
	/* This machine has no SELinux, and no label was seen (xattr.c). */
	atomic_bool no_labels;
};

/* A thread's own room for answers; never more than one op uses it. */
struct op_room {
	uint8_t *p;
	size_t n;       /* OP_ROOM_BYTES */
	unsigned flags; /* enum op_flags of the request in work */
};

#define OP_ROOM_BYTES ((1u << 20) + 4096)

struct op {
	fuse_req_t req;
	struct op_env *env;
	struct op_room *room; /* of the thread that runs it now */
	int (*run)(struct op *op);
	struct cache_op who;
	uint64_t ino, ino2;
	struct slice name, name2, data; /* borrowed; owned once parked */
	uint64_t off, off2, n;
	uint32_t mode, umask, rdev;
	int flags; /* of the request: open, rename, fallocate, setxattr, … */
	unsigned kflags; /* enum op_flags */
	struct cache_setattr set;

	/* private to retry.c */
	struct list node, cancel_node;
	struct cache_fetch fetch;
	uint64_t left_ms; /* how long it may still wait for stores */
	size_t n_parked;  /* bytes on the heap; 0: still on a stack */
	int state;
	int status;
	bool held, interrupted;
};

/* The room of the thread that we are on: worker or retry thread. */
void op_set_room(struct op_room *room);

/* enum op_flags of the request that this thread serves next. */
void op_set_flags(unsigned flags);

struct op op_new(fuse_req_t req, int (*run)(struct op *op));

/* Run, then reply or park. */
void op_start(struct op *op);

#endif
