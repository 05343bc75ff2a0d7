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
#include "retrieve/retrieve.h"

#define RETRIEVE_THREADS_MAX 64
#define RETRIEVE_STORES_MAX  16

/* How a store has behaved lately: reads go to the best one first. */
struct store_health {
	struct retrieve_store store;
	uint64_t latency_us; /* moving average of the first byte */
	unsigned failures;   /* in a row */
};

/* How a walk is called off, and what it waits for. */
struct stop {
	atomic_bool cancelled;
	struct provider *provider; /* lock: r->lock; so is req; NULL: nothing */
	struct provider_req *req;
};

/* Lock: r->lock. */
void stop_now(struct stop *s);

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
	struct store_health stores[RETRIEVE_STORES_MAX]; /* lock: lock */
	struct retrieve_stats stats;                     /* lock: lock */
	unsigned n_threads;
	pthread_t threads[RETRIEVE_THREADS_MAX];
};

struct attr;
struct cache_attr;

/* source.c: what the cache wants to know of an inode. */
void attr_to_cache(const struct attr *a, struct cache_attr *ret);

/* The set of extended attributes as an array; `*ret` is freed by the caller. */
must_check int xattrs_of(struct slice set, struct source_xattr **ret, size_t *ret_n);

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
