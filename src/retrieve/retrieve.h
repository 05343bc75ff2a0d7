/*
 * retrieve.h - bring back what is not local, verified block by block
 *
 * A link says which block, its key, and where it probably is.  The block comes
 * from the outbox or from a provider; it is hashed against the link, opened, and
 * only then looked at (I4).  A provider that gives a wrong block has failed: the
 * next one is asked.  -EREMOTEIO only when all are exhausted.
 *
 * Blocks that lie near each other in one piece are asked for in one range.
 * Opened nodes (directories, file nodes) are kept in the ledger's node cache.
 *
 * While every store that could have a block is away, a request of the source is
 * tried again until it is cancelled or `give_up_ms` has passed (I7: it can be
 * interrupted and has a deadline); wrong or missing bytes fail at once.
 *
 * Threading: requests run on fetcher threads of this room, straight-line code
 * that may wait for the network; the blocking calls run on the caller's thread,
 * which must not be the loop.
 */
#ifndef RETRIEVE_RETRIEVE_H
#define RETRIEVE_RETRIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"
#include "cache/source.h"
#include "crypto/link.h"

struct buf;
struct dir_item;
struct err;
struct io;
struct ledger;
struct provider;
struct retrieve;

struct retrieve_store {
	uint64_t id; /* the ledger's */
	struct provider *provider;
};

struct retrieve_params {
	struct ledger *ledger;
	struct io *io;                       /* drive directory: the outbox */
	const struct retrieve_store *stores; /* copied */
	size_t n_stores;
	struct provider *gateway; /* single blocks that no store gives; NULL: none
				     (provider/gateway.h) */
	/* Store `store` gave a reader of `piece`, which it was said to have, wrong
	 * bytes or none: that copy counts no more until it was read back.  On
	 * threads of this room, without a lock.  NULL: nobody wants to know. */
	void (*doubted)(void *ctx, uint64_t store, uint64_t piece);
	void *ctx;
	unsigned n_threads;  /* 0: 16 */
	unsigned give_up_ms; /* 0: 60000 */
};

must_check int retrieve_new(const struct retrieve_params *p, struct retrieve **ret);

/*
 * Ends every request with -ECANCELED and the threads with it; what is started
 * afterwards is refused.  The source stays valid until retrieve_free().
 */
void retrieve_stop(struct retrieve *r);
void retrieve_free(struct retrieve *r); /* stops first; NULL is fine */

/* What the cache is opened with. */
struct source *retrieve_source(struct retrieve *r);

/* Where hard-linked inodes are looked up; LINK_NONE: there are none. */
void retrieve_set_inode_table(struct retrieve *r, const struct link *table);

/* The opened bytes of one block, appended.  Blocks. */
must_check int retrieve_body(struct retrieve *r, const struct link *l,
			     struct buf *ret, struct err *reterr);

/* Every entry of a directory, in wire order.  Blocks. */
must_check int retrieve_list(struct retrieve *r, const struct link *dir,
			     int (*cb)(void *ctx, const struct dir_item *item),
			     void *ctx, struct err *reterr);

/* One name.  -ENOENT.  The item borrows from `body`.  Blocks. */
must_check int retrieve_find(struct retrieve *r, const struct link *dir,
			     const char *name, struct buf *body,
			     struct dir_item *ret, struct err *reterr);

struct retrieve_stats {
	uint64_t bytes_fetched; /* from stores, sections and gaps between */
	uint64_t requests;
	uint64_t hedged;  /* of them, beside one that was late */
	uint64_t wasted;  /* bytes that came for what was called off */
	uint64_t gateway; /* blocks that a gateway gave */
	uint64_t wrong;   /* blocks that did not verify */
	uint64_t failed;  /* requests of the cache that got an error */
};
void retrieve_stats(struct retrieve *r, struct retrieve_stats *ret);

/*
 * What the cache has asked for in vain and not got since, the newest last.  Bytes
 * that are wrong or missing are named until they come, or are forgotten here because
 * nobody needs them any more; what had another reason (a store is away, which says so
 * itself while it is) for a minute.
 */
#define RETRIEVE_FAILED_MAX 8 /* older ones are dropped */
struct retrieve_failed {
	uint64_t id;
	enum source_kind kind;
	uint64_t ino, off;
	bool wrong;     /* or missing */
	uint64_t at_ms; /* monotonic clock */
	uint8_t link[LINK_ENCODED_MAX];
	size_t n_link;
	char error[256]; /* in words */
};
must_check size_t retrieve_failed(struct retrieve *r,
				  struct retrieve_failed ret[static RETRIEVE_FAILED_MAX]);
void retrieve_forget(struct retrieve *r, uint64_t id);

#endif
