/*
 * rig_op.h - calls of the cache in which what is missing is fetched
 *
 * Between the rig's own files; tests use rig.h.
 */
#ifndef OUTBACK_RIG_OP_H
#define OUTBACK_RIG_OP_H

#include "rig.h"

#define RIG_BLOCK (1u << 20)

/* What `op` has missed; the fetch's result. */
int op_fetch(struct device *d, const struct cache_op *op);

/* The call's result, once nothing is missing any more; or that of a fetch. */
#define again(r, op, call)  \
 do {                       \
  (r) = (call);             \
  if ((r) != -EINPROGRESS)  \
   break;                   \
  (r) = op_fetch(d, &(op)); \
 } while ((r) == 0)

int op_lookup(struct device *d, uint64_t parent, struct slice name,
	      struct cache_attr *ret);
int op_read(struct device *d, uint64_t ino, uint64_t off, uint8_t *dst,
	    size_t n, size_t *ret_n);

#endif
