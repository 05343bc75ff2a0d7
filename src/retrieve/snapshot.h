/*
 * snapshot.h - the commits that a drive still keeps, and how to mount one
 *
 * The ledger knows every retained commit: those that this device made, and those
 * that recover learned.  A mount of one is a cache of its own in a temporary
 * directory: cache_format_from(root, link), with a source whose inode table is
 * the snapshot's (retrieve_set_inode_table()).  The cache is opened writable,
 * since it keeps what it fetches; the mount is read only.
 *
 * Threading: any thread but the loop.
 */
#ifndef RETRIEVE_SNAPSHOT_H
#define RETRIEVE_SNAPSHOT_H

#include <stdint.h>

#include "base/util.h"
#include "cache/cache.h"
#include "crypto/link.h"
#include "dag/commit.h"

struct err;
struct ledger;

struct snapshot {
	uint64_t sequence;
	uint64_t time;                      /* seconds since 1970 */
	char device[COMMIT_DEVICE_MAX + 1]; /* printable: others became '?' */
	bool published; /* at the stores; else still on its way */
	struct cache_counts counts;

	struct cache_attr root;
	uint8_t link[LINK_ENCODED_MAX]; /* of the root, encoded */
	size_t n_link;
	struct link inode_table; /* LINK_NONE: no hard links */
};

/* Oldest first.  Non-zero from the callback stops and is returned; it runs under
 * the ledger's lock: copy and return. */
must_check int snapshot_list(struct ledger *l,
			     int (*cb)(void *ctx, const struct snapshot *s),
			     void *ctx);

/* -ENOENT: no such commit is kept, in words. */
must_check int snapshot_find(struct ledger *l, uint64_t sequence,
			     struct snapshot *ret, struct err *reterr);

#endif
