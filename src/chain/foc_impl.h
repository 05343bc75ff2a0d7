/* foc_impl.h - between the files of foc.h */
#ifndef CHAIN_FOC_IMPL_H
#define CHAIN_FOC_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "base/thread.h"
#include "chain/foc.h"
#include "chain/multicall.h"

#define FOC_MULTI_MAX 24   /* reads of one multicall */
#define FOC_DATA_MAX  4096 /* bytes of calldata of one read */

/* What all handles share. */
struct foc_core {
	struct network_url url;
	struct address payer;
	struct rpc *rpc;
	struct contracts *contracts;
	struct lock lock;
	unsigned refs;                 /* lock: lock */
	struct view_price_list prices; /* lock: lock */
	uint64_t prices_until_ms;      /* lock: lock; 0: not known */
	uint64_t seen;                 /* lock: lock; a block; foc_seen() */
};

struct foc {
	struct foc_core *core;
	uint64_t block; /* foc_block() */
	struct lock lock;
	bool stopped;        /* lock: lock */
	struct list running; /* lock: lock; struct foc_running */
};

/* Which of the contracts. */
enum foc_at {
	FOC_FWSS,
	FOC_VIEW,
	FOC_PDP,
	FOC_PAY,
	FOC_USDFC,
	FOC_REGISTRY,
	FOC_SESSIONS,
	FOC_ENDORSEMENTS,
};

struct foc_ask {
	enum foc_at at;
	struct buf data; /* calldata */
};

void foc_ask_init(struct foc_ask *a, enum foc_at at);

static inline void foc_ask_fini(struct foc_ask *a)
{
	buf_fini(&a->data);
}

#define _cleanup_foc_ask_ _cleanup_(foc_ask_fini)

/*
 * One eth_call, its answer appended to `ret`; `agreed`: of all endpoints.  `r` is
 * what making the calldata returned: < 0 is passed through.
 */
must_check int foc_read(struct foc *f, const struct foc_ask *a, int r,
			bool agreed, struct buf *ret, struct err *reterr);

/* Several in one call, of one block; `ret` borrows from `answer`. */
must_check int foc_multi(struct foc *f, const struct foc_ask *a, size_t n,
			 int r, bool agreed, struct buf *answer,
			 struct multicall_result *ret, struct err *reterr);

struct rpc_agree;

/* rpc_agree_wait() that foc_stop() ends. */
must_check int foc_run_agree(struct foc *f, struct rpc_agree *a);

/* A method with `args` before the block, of all endpoints. */
must_check int foc_agree(struct foc *f, const char *method, const char *args,
			 enum rpc_want want, uint32_t max, json_t **ret,
			 struct err *reterr);

/* "… cannot be understood", for -EPROTO of a reader. */
int foc_nonsense(const struct foc *f, int r, const char *what, struct err *reterr);

#endif
