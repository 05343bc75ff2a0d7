/*
 * session_key.h - SessionKeyRegistry: what a key may sign for a wallet
 *
 * A permission is an operation, named by the hash of its typed data.  Times are
 * Unix seconds.  login and revoke are transactions of the wallet;
 * authorization_expiry is a view (call_answer_epoch(); 0: never allowed).
 * Conventions: call.h.
 */
#ifndef CHAIN_SESSION_KEY_H
#define CHAIN_SESSION_KEY_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/eip712.h"

struct buf;

/* For one operation. */
must_check int session_key_authorization_expiry(struct address payer,
						struct address signer,
						enum eip712_type operation,
						struct buf *ret);

/* `origin` is public: the program's name. */
must_check int session_key_login(struct address signer, uint64_t expiry,
				 const enum eip712_type *operations, size_t n,
				 struct slice origin, struct buf *ret);
must_check int session_key_revoke(struct address signer,
				  const enum eip712_type *operations, size_t n,
				  struct slice origin, struct buf *ret);

#endif
