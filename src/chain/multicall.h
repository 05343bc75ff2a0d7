/*
 * multicall.h - Multicall3: many reads in one eth_call, of one block
 *
 *	_cleanup_abi_out_ struct abi_out o = { 0 };
 *
 *	multicall_begin(&o);
 *	multicall_add(&o, view, buf_slice(&first));
 *	multicall_add(&o, pdp, buf_slice(&second));
 *	r = multicall_end(&o, &calldata);
 *
 * A read that reverts does not end the others.  The contract has one address on
 * every chain.  Conventions: call.h.
 */
#ifndef CHAIN_MULTICALL_H
#define CHAIN_MULTICALL_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/abi.h"
#include "chain/address.h"

struct buf;

extern const struct address multicall_address;

/* In the order of the calls. */
struct multicall_result {
	bool ok;
	struct slice data; /* the answer, or revert data (revert.h); borrowed */
};

void multicall_begin(struct abi_out *o);
void multicall_add(struct abi_out *o, struct address contract,
		   struct slice calldata);
must_check int multicall_end(struct abi_out *o, struct buf *ret);

/* -EPROTO also if there are not `n` results. */
must_check int multicall_answer(struct slice answer,
				struct multicall_result *ret, size_t n);

#endif
