/* internal.h - what the files of src/retrieve share */
#ifndef RETRIEVE_INTERNAL_H
#define RETRIEVE_INTERNAL_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/thread.h"
#include "cache/source.h"
#include "crypto/link.h"
#include "provider/provider.h"
#include "retrieve/rank.h"
#include "retrieve/retrieve.h"

#define RETRIEVE_THREADS_MAX 64
#define RETRIEVE_STORES_MAX  16

#define GET_SLOTS 8 /* requests under way at one store */

struct retrieve;

/* A store, what waits for it, and the threads that ask it (get.c). */
struct read_store {
	struct retrieve *r;
	struct retrieve_store store;
	struct rank rank;         /* lock: r->lock; so are all below */
	struct list queue, asked; /* struct get */
	struct cond cond;         /* there is something to ask for */
	unsigned n_slots, n_idle;
	pthread_t slots[GET_SLOTS];
};

/* How a walk is called off. */
struct stop {
	atomic_bool cancelled;
	bool ahead;               /* nobody waits for it yet */
	bool leaves;              /* the walk has come down to the bytes */
	bool asked;               /* lock: r->lock; and has asked for them */
	struct provider_req *req; /* lock: r->lock; of the gateway; NULL: none */
};

/* One block that somebody wants. */
struct want {
	struct link link;
	struct buf body; /* opened */
	int status;      /* -EINPROGRESS until it is settled */
};

struct retrieve {
	struct source source;
	struct retrieve_params p;
	struct lock lock;
	struct cond cond;
	struct list jobs;        /* lock: lock; waiting */
	struct list busy;        /* lock: lock; on a thread */
	bool stopping;           /* lock: lock */
	struct link inode_table; /* lock: lock */
	struct cond came;        /* a struct get is over, or a stop */
	bool gets_stop;          /* lock: lock */
	uint64_t hedge_bytes;    /* lock: lock; may be asked for twice */
	struct read_store stores[RETRIEVE_STORES_MAX];
	struct retrieve_stats stats; /* lock: lock */
	/* lock: lock; the oldest first; the id of the newest ever */
	struct retrieve_failed failed[RETRIEVE_FAILED_MAX];
	size_t n_failed;
	uint64_t failed_id;
	unsigned n_threads;
	pthread_t threads[RETRIEVE_THREADS_MAX];
};

void stop_now(struct retrieve *r, struct stop *s) REQUIRES(&r->lock);

struct attr;
struct cache_attr;

/* source.c: what the cache wants to know of an inode. */
void attr_to_cache(const struct attr *a, struct cache_attr *ret);

/* The set of extended attributes as an array; `*ret` is freed by the caller. */
must_check int xattrs_of(struct slice set, struct source_xattr **ret, size_t *ret_n);

/* failed.c: how a request of the cache has ended. */
void failed_note(struct retrieve *r, const struct source_req *req, int status,
		 const char *why) REQUIRES(&r->lock);
void failed_past(struct retrieve *r, const struct source_req *req)
	REQUIRES(&r->lock);

/* block.c; `stop` may be NULL, here and below */
must_check int wants_fetch(struct retrieve *r, struct want *w, size_t n,
			   struct stop *stop, struct err *reterr);
void want_init(struct want *w, const struct link *l);
void want_fini(struct want *w);

/* retrieve_body() that can be called off. */
must_check int body_fetch(struct retrieve *r, const struct link *l,
			  struct stop *stop, struct buf *ret, struct err *reterr);

/* walk.c */
typedef int (*walk_dir_cb)(void *ctx, const struct dir_item *item);
must_check int walk_dir(struct retrieve *r, const struct link *dir,
			struct stop *stop, walk_dir_cb cb, void *ctx,
			struct err *reterr);

/* retrieve_find() that can be called off. */
must_check int walk_find(struct retrieve *r, const struct link *dir,
			 const char *name, struct stop *stop, struct buf *body,
			 struct dir_item *ret, struct err *reterr);

/*
 * row.c: the row of an inode of several names in `table`, or, if that does not have
 * it, in the newest older one.  -EBADMSG: no commit that is kept has it.
 */
must_check int row_find(struct retrieve *r, const struct link *table,
			uint64_t ino, struct stop *stop, struct buf *body,
			struct dir_item *ret, struct err *reterr);

typedef int (*walk_file_cb)(void *ctx, uint64_t off, struct slice data,
			    uint64_t n_hole);
/* Only the holes: nodes are fetched, leaves are not. */
must_check int walk_holes(struct retrieve *r, const struct link *file,
			  uint64_t off, uint64_t n, struct stop *stop,
			  walk_file_cb cb, void *ctx, struct err *reterr);
must_check int walk_file(struct retrieve *r, const struct link *file,
			 uint64_t off, uint64_t n, struct stop *stop,
			 walk_file_cb cb, void *ctx, struct err *reterr);

#endif
