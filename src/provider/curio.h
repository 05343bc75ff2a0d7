/*
 * curio.h - the HTTP interface of a storage provider that runs Curio
 *
 * Curio takes pieces over plain HTTP without accounts: whoever has a payer's
 * signature over an operation (extraData, chain/foc_auth.h) may hand it in, and
 * the provider sends the transaction.  These functions are one request each;
 * what to do next, what to persist and when to ask again is the caller's.
 *
 *   upload   POST /pdp/piece {pieceCid} ─► 200 there already
 *                                       └► 201 Location ─► PUT body ─► 204
 *   parked   GET /pdp/piece?pieceCid=   404 until a background task has run
 *   add      POST /pdp/data-sets[/create-and-add | /{id}/pieces] ─► 201, tx hash
 *   landed   GET /pdp/data-sets/created/{tx}, …/{id}/pieces/added/{tx}
 *   read     GET /piece/{cid} with a range
 *
 * The provider is a peer that may lie: every answer is bounded in size and
 * depth and has to have its form; a CID or hash that it repeats has to be ours.
 * Its URL comes from a public registry that anybody can write to: unless
 * `local`, only https and public addresses are connected to.
 *
 * Errors are those of net/http.h, and:
 *   -EPROTO    an answer of another form than Curio's
 *   -ENODATA   (pull, created, added) the provider knows nothing of it
 *   -ECANCELED op was called off
 * op->err says it in a sentence; op->said is what the provider said, for
 * chain/revert.h, in which the reason of a failed transaction is found.
 *
 * A POST that fails without an answer may have been carried out.  Nothing here
 * is sent twice by itself.
 *
 * Spec: Curio, pdp/handlers.go and docs of its HTTP API.
 * Threading: any thread but the loop's; they wait.  curio_cancel() from any
 * thread while the op lives.  An op serves one call at a time.
 */
#ifndef PROVIDER_CURIO_H
#define PROVIDER_CURIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "base/thread.h"
#include "base/util.h"
#include "crypto/piece_cid.h"
#include "net/http.h"

struct buf;
struct curio;
struct io_file;

#define CURIO_URL_MAX    1024          /* bytes of a service URL, with NUL */
#define CURIO_BATCH_MAX  40            /* pieces of one add or pull */
#define CURIO_REMOVE_MAX 35            /* pieces of one removal */
#define CURIO_RAW_MIN    127           /* bytes of a piece */
#define CURIO_RAW_MAX    1065353216ull /* bytes of a piece: 127/128 GiB */
#define CURIO_HASH_SIZE  32            /* bytes of a transaction's hash */
#define CURIO_ADDRESS    20            /* bytes of an account's address */

struct curio_params {
	struct http *http; /* borrowed */
	const char *url;   /* the registry's serviceURL, or where it listens */
	bool local; /* http and private addresses are allowed: a devnet */
	uint64_t up_rate, down_rate; /* bytes a second; 0: no limit */
};

/* -EINVAL with the reason: a URL that is not to be connected to. */
must_check int curio_new(const struct curio_params *p, struct curio **ret,
			 struct err *reterr);
void curio_free(struct curio *c); /* NULL is fine; no op may be under way */
const char *curio_url(const struct curio *c);

struct curio_op {
	_Atomic(uint64_t) *moved; /* bytes of bodies are added here; or NULL */
	struct err err;
	char said[HTTP_ERROR_MAX + 1]; /* with an error status */
	unsigned status;               /* HTTP's; 0: no answer */
	uint64_t retry_after_s;        /* 0: it did not say */

	/* private to curio.c */
	struct lock lock;
	bool cancelled;           /* lock: lock */
	struct http *http;        /* lock: lock */
	struct http_req *running; /* lock: lock */
};

void curio_op_init(struct curio_op *op);
void curio_op_fini(struct curio_op *op);
void curio_cancel(struct curio_op *op); /* this call, and all later ones */

/* Is it Curio's PDP that answers there?  -EREMOTEIO: it has alerts (503). */
must_check int curio_ping(struct curio *c, struct curio_op *op);

/* ---- pieces in ---- */

/* 0: parked, and can be added.  -ENOENT: not, or not yet. */
must_check int curio_find(struct curio *c, struct curio_op *op,
			  const struct piece_cid *cid);

/*
 * The whole piece, `size` bytes of `f` from its start.  0: it has taken them
 * (or had them); when it is parked curio_find() says so.  -EBADMSG: it computes
 * another CID of what arrived.
 */
must_check int curio_upload(struct curio *c, struct curio_op *op,
			    const struct piece_cid *cid, struct io_file *f,
			    uint64_t size);

enum curio_pull_state {
	CURIO_PULL_WAITING, /* pending, inProgress, retrying */
	CURIO_PULL_COMPLETE,
	CURIO_PULL_FAILED,
};

struct curio_pull {
	const struct piece_cid *cid;
	const char *source; /* URL of the piece at another provider */
	enum curio_pull_state state;
};

/*
 * Let the provider fetch pieces from another.  `extra` is the authorization that
 * the add will use; the same call again asks how it stands.  `data_set` 0: to
 * be created.  -EAGAIN: too many are waiting (retry_after_s).
 */
must_check int curio_pull(struct curio *c, struct curio_op *op,
			  const uint8_t keeper[static CURIO_ADDRESS],
			  uint64_t data_set, struct slice extra,
			  struct curio_pull *pieces, size_t n);

/* ---- what needs a transaction ---- */

/*
 * Create a data set with its first pieces (n may be 0).  The hash is how the
 * outcome is asked for.  `keeper` is the FWSS proxy.
 */
must_check int curio_create(struct curio *c, struct curio_op *op,
			    const uint8_t keeper[static CURIO_ADDRESS],
			    struct slice extra, const struct piece_cid *cids,
			    size_t n, uint8_t ret_tx[static CURIO_HASH_SIZE]);

/* -EEXIST: the data set is terminated. */
must_check int curio_add(struct curio *c, struct curio_op *op, uint64_t data_set,
			 struct slice extra, const struct piece_cid *cids,
			 size_t n, uint8_t ret_tx[static CURIO_HASH_SIZE]);

enum curio_tx_state {
	CURIO_TX_WAITING,
	CURIO_TX_DONE,
	CURIO_TX_REVERTED, /* the contracts refused it: nothing was done */
	CURIO_TX_UNCLEAR,  /* lost or reorganised: only the chain knows */
};

struct curio_tx {
	enum curio_tx_state state;
	uint64_t data_set; /* created: once DONE */
	size_t n_ids;      /* added: once DONE */
	uint64_t ids[CURIO_BATCH_MAX];
	bool replaced; /* under this hash it landed: */
	uint8_t hash[CURIO_HASH_SIZE];
};

must_check int curio_created(struct curio *c, struct curio_op *op,
			     const uint8_t tx[static CURIO_HASH_SIZE],
			     struct curio_tx *ret);
must_check int curio_added(struct curio *c, struct curio_op *op, uint64_t data_set,
			   const uint8_t tx[static CURIO_HASH_SIZE],
			   struct curio_tx *ret);

/* -EAGAIN: 35 removals wait already. */
must_check int curio_remove(struct curio *c, struct curio_op *op, uint64_t data_set,
			    struct slice extra, const uint64_t *ids, size_t n,
			    uint8_t ret_tx[static CURIO_HASH_SIZE]);

/* 0 also if it was asked for, or done, before. */
must_check int curio_terminate(struct curio *c, struct curio_op *op,
			       uint64_t data_set, struct slice extra);

/* ---- pieces out ---- */

/* Bytes of the piece; fewer than n only at its end. */
must_check int curio_get(struct curio *c, struct curio_op *op,
			 const struct piece_cid *cid, uint64_t off, size_t n,
			 uint8_t *dst, size_t *ret_n);

must_check int curio_stat(struct curio *c, struct curio_op *op,
			  const struct piece_cid *cid, uint64_t *ret_size);

static inline void curio_freep(struct curio **c)
{
	curio_free(*c);
}

#define _cleanup_curio_    _cleanup_(curio_freep)
#define _cleanup_curio_op_ _cleanup_(curio_op_fini)

#endif
