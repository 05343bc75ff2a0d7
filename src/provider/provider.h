/*
 * provider.h - one vtable for whatever stores pieces
 *
 * A provider holds pieces under their piece CID v2 and a head register under
 * names that only the drive's keys can compute.  It sees nothing else.  Today
 * there is `dir` (a folder, a USB stick, an NFS share); `pdp` and `s3` fit the
 * same verbs.
 *
 * A request is a caller-owned struct that stays valid until its `done`.  Law of
 * callbacks: if provider_start() returns an error, `done` is never called;
 * otherwise exactly once, on the loop thread, never from inside the start.
 * provider_call() is the same for threads that may wait.  The struct is zeroed by
 * the caller: a cancel may come before the start, and counts.
 *
 * Errors:
 *   -EREMOTEIO     the store is away (folder not there, no network): try later
 *   -ENOENT        it is here, and does not have this piece or head
 *   -EEXIST        a head is claimed already
 *   -EBADMSG       what it holds is not what the CID says
 *   -ENOSPC        the store is full
 *   -ECANCELED     called off
 * Any other is the store's own; req->err says it in words.
 *
 * Threading: provider_start() and provider_call() from any thread (a call never
 * from the loop); provider_cancel() from any thread as long as the struct lives:
 * before the start, while the request runs, or when it is over.
 */
#ifndef PROVIDER_PROVIDER_H
#define PROVIDER_PROVIDER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/util.h"
#include "crypto/keys.h"
#include "crypto/piece_cid.h"
#include "net/work.h"

struct buf;
struct io;
struct loop;
struct provider;

#define PROVIDER_ID_SIZE  16   /* bytes: what tells two stores apart */
#define PROVIDER_HEAD_MAX 4096 /* bytes of one sealed head */
#define PROVIDER_URL_MAX  4096 /* bytes */

enum provider_verb {
	PROVIDER_PUT, /* cid, src, src_name, size: store the piece, durably */
	PROVIDER_VERIFY, /* cid: read all of it back and recompute the CID */
	PROVIDER_GET,    /* cid, off, n, dst → ret_n: bytes of the piece */
	PROVIDER_STAT,   /* cid → ret_size */
	PROVIDER_LIST,   /* found(): every piece here */
	PROVIDER_REMOVE, /* cid */
	PROVIDER_CLAIM, /* head_name, head: succeeds once for a name, for ever */
	PROVIDER_HEAD,  /* head_name → ret_head (appended) */
	PROVIDER_ATTACH, /* is it there, and the one that it was?  → ret_free */
	PROVIDER_NX
};

struct provider_req {
	enum provider_verb verb;
	struct piece_cid cid;
	struct io *src;       /* PUT: the piece is this file; borrowed */
	const char *src_name; /* borrowed */
	uint64_t size;        /* PUT: of the piece, bytes */
	bool replace; /* PUT: also over one of that size: it is damaged */
	uint64_t off;
	size_t n;
	uint8_t *dst; /* GET: n bytes, borrowed */
	uint8_t head_name[KEYS_HEAD_NAME_SIZE];
	struct slice head;    /* CLAIM: borrowed */
	struct buf *ret_head; /* HEAD: borrowed */
	int (*found)(struct provider_req *req, const struct piece_cid *cid,
		     uint64_t size); /* LIST; on another thread */
	void *ctx;                   /* the caller's */
	void (*done)(struct provider_req *req, int status);

	size_t ret_n;
	uint64_t ret_size;
	uint64_t ret_free;       /* bytes that may still be stored */
	_Atomic(uint64_t) moved; /* bytes so far, of PUT and VERIFY */
	struct err err;

	/* private to src/provider */
	atomic_bool cancelled;
	struct provider *provider;
	struct work_item work;
	int status;
	void *impl;
};

struct provider_ops {
	int (*start)(struct provider *p, struct provider_req *req);
	void (*cancel)(struct provider *p, struct provider_req *req);
	void (*free)(struct provider *p);
	const uint8_t *(*id)(struct provider *p);
	const char *(*name)(struct provider *p);
};

struct provider {
	const struct provider_ops *ops;
	char *url;
	uint64_t size_min, size_max; /* of a piece, bytes */
};

struct provider_params {
	const char *url;
	struct loop *loop;
	/*
	 * The id that this store had when it was first used, or NULL if it is
	 * new to us: an id that differs (an empty mount point, another stick)
	 * is «away», never written to.
	 */
	const uint8_t *id;
	bool create; /* make the store if it is not there */
};

/*
 * -EINVAL  the URL has a form or a scheme that we do not know
 * Does not touch the store: PROVIDER_ATTACH does.
 */
must_check int provider_new(const struct provider_params *p,
			    struct provider **ret, struct err *reterr);
void provider_free(struct provider *p); /* no request may be under way */

must_check int provider_start(struct provider *p, struct provider_req *req);
void provider_cancel(struct provider *p, struct provider_req *req);

/* Start and wait; `done` is not used. */
must_check int provider_call(struct provider *p, struct provider_req *req);

/* After a first successful PROVIDER_ATTACH: what tells this store from others. */
const uint8_t *provider_id(struct provider *p);

/* Short, for people: the URL without what is obvious. */
const char *provider_name(struct provider *p);

/*
 * A URL that init accepts, in its canonical form (heap string): dir:///abs/path
 * (percent-encoded bytes are decoded by provider_new; a trailing slash goes).
 */
must_check int provider_url_check(const char *url, char **ret, struct err *reterr);

static inline void provider_freep(struct provider **p)
{
	provider_free(*p);
}

#define _cleanup_provider_ _cleanup_(provider_freep)

#endif
