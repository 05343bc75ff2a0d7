/*
 * token.h - ERC-20 tokens with permits (ERC-2612), of which USDFC is one
 *
 * Amounts are units (USDFC: 10^-18).  Answers by call_answer_…: balance_of,
 * nonces (u256); name, version (text); domain_separator (bytes32: compare it with eip712_separator() before
 * a permit is signed).  approve and transfer are transactions.
 * Conventions: call.h.
 */
#ifndef CHAIN_TOKEN_H
#define CHAIN_TOKEN_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;

must_check int token_balance_of(struct address owner, struct buf *ret);
must_check int token_nonces(struct address owner, struct buf *ret);
must_check int token_name(struct buf *ret);
must_check int token_version(struct buf *ret);
must_check int token_domain_separator(struct buf *ret);
must_check int token_approve(struct address spender, struct u256 amount,
			     struct buf *ret);
must_check int token_transfer(struct address to, struct u256 amount,
			      struct buf *ret);

#endif
