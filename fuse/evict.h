/*
 * evict.h - what the kernel holds of a drive, out of memory
 *
 * A mount that is busy can only be detached: it is out of sight, but what the
 * kernel has cached of it stays as long as a program has a file of it open, and
 * goes on being served from there, to read(2) and to mappings, though nobody
 * answers the device any more.  So before that
 *
 *   1. evict_begin(): from now on requests that would bring something back are
 *      answered with ENOTCONN, as all of them are soon; what writes is served
 *   2. evict_all(): every name below the root is dropped, and with it each inode
 *      that is not in use; of those in use the pages go, changed ones after they
 *      were written, out of mappings too (whose next touch is a SIGBUS)
 *
 * The kernel frees the pages; it clears them when it hands them to somebody else
 * (at once with init_on_free=1).  Names and attributes of what is open stay until
 * it is closed.
 *
 * Threading: as the functions say.
 */
#ifndef FUSE_EVICT_H
#define FUSE_EVICT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct cache;
struct fuse_session;

struct evict {
	atomic_bool begun;
};

void evict_begin(struct evict *e); /* any thread */

/* A worker, with a request of n bytes: was it refused, and answered at `fd`? */
bool evict_refuses(struct evict *e, int fd, const uint8_t *p, size_t n);

/*
 * Blocks while workers serve what the kernel writes back: not on a worker.  What
 * waits for a store has to be answered before, since it may hold what is asked for
 * here.  -errno: something stayed (-ENOMEM, or the kernel's).
 */
must_check int evict_all(struct fuse_session *se, struct cache *c);

#endif
