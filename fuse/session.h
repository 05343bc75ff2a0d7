/*
 * session.h - one mount: the kernel's connection, its threads, its life
 *
 *   session_new()          checks the options, mounts; the kernel may already
 *                          send requests, nobody answers yet
 *   session_run_threads()  starts the workers and returns; params.ready is
 *                          called once the kernel's INIT was answered, that is,
 *                          when the mount is usable
 *   session_wait()         blocks until the mount is gone (umount, fusermount3
 *                          -u) or session_stop() was called
 *   session_stop()         unmounts and makes session_wait() return
 *   session_free()         stops if need be, joins all threads, frees
 *
 * The cache must outlive the session.  After session_free() no thread of the
 * session runs and no fetch of it is under way: then close the cache.
 *
 * Threading: session_stop() may be called from any thread (not from a signal
 * handler) and more than once; the others from the thread that owns the session.
 * Errors: -errno, with a sentence for a person in reterr.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct cache;
struct err;
struct session;

#define SESSION_FETCH_TIMEOUT_MS 60000
#define SESSION_PARKED_BYTES_MAX (256u << 20)

struct session_params {
	struct cache *cache;
	const char *mountpoint;
	const char *drive; /* shown as the source of the mount: fildrive:drive */
	const char *opts;  /* as given to -o, comma separated; NULL: none */
	bool read_only;    /* as does "ro" among opts; for good, see below */
	bool writeback_cache;      /* as does "writeback_cache" among opts */
	unsigned fetch_timeout_ms; /* how long a request may wait for absent
				      bytes before EIO; 0: the default */
	unsigned n_threads;        /* workers; 0: by the number of cores */
	uint64_t parked_bytes_max; /* of requests that wait; 0: the default */

	/* The mount is usable.  From a worker thread, once; may be NULL. */
	void (*ready)(void *ctx);
	void *ctx;
};

/*
 * Mount.  Strings of `p` are borrowed until return.
 *
 * -EINVAL       unknown or malformed option
 * -ENOENT       no such mountpoint
 * -ENOTDIR      the mountpoint is not a directory
 * -ENOTCONN     a dead FUSE mount stands there: umount -l it first
 * -ENODEV       no /dev/fuse
 * -EPERM, -EACCES  not allowed to mount there
 *
 * One that is read only, by params or by options, answers every change with EROFS,
 * also after the kernel was told that it may be written to (mount -i -o
 * remount,rw): it shows a snapshot, or nobody would publish.
 */
must_check int session_new(const struct session_params *p, struct session **ret,
			   struct err *reterr);

must_check int session_run_threads(struct session *s, struct err *reterr);

/* 0 after an unmount or a stop; -errno if the connection failed. */
must_check int session_wait(struct session *s);

/*
 * Unmount, cancel what is parked, end the workers.  If the mount is busy, what the
 * kernel has cached of it goes first (evict.h), and then the mount all the same:
 * programs with open files get ENOTCONN, and SIGBUS where they have mapped one.
 */
void session_stop(struct session *s);

void session_free(struct session *s); /* NULL is fine */

static inline void session_freep(struct session **s)
{
	session_free(*s);
}

#define _cleanup_session_ _cleanup_(session_freep)

/* What happened since the mount, for status. */
struct session_stats {
	uint64_t requests;
	uint64_t parked;       /* requests that wait now */
	uint64_t parked_bytes; /* that they hold */
	uint64_t parked_total;
	uint64_t timeouts; /* parked requests that got EIO by the deadline */
};
void session_stats(struct session *s, struct session_stats *ret);

/*
 * Change the flags of a mount that stands to what `opts` says, by mount(2): for
 * mount -o remount.  Its daemon is not told, and need not be: the kernel lets no
 * change through to it while it is read only.  stays_read_only: its session is
 * read only (above).
 *
 * -EINVAL       an option that is not known, or cannot change any more
 * -EROFS        it was to be written to, and stays read only
 * -EBUSY        read only, while a file is open for writing
 * -EPERM        not root
 */
must_check int session_remount(const char *mountpoint, const char *opts,
			       bool stays_read_only, struct err *reterr);

/*
 * Only check -o options: -EINVAL with a sentence for the first one that is not
 * known.  Sets *ret_read_only.
 */
must_check int session_check_opts(const char *opts, bool *ret_read_only,
				  struct err *reterr);

#endif
