/*
 * session.h - the keys with which a daemon signs for a wallet
 *
 *   session key n = secret_derive(drive secret, "session <n>"), a key of
 *   secp256k1; in the case (1 of 2^127) that it is none, of "session <n> again"
 *
 * Nothing has to be stored for them, and nothing leads from them to the wallet.
 * On chain the wallet's owner allows one of them to create data sets and to add
 * pieces, for a time.  After a renewal n+1 is in use, and n revoked.
 *
 * Threading: stateless.
 */
#ifndef CRYPTO_SESSION_H
#define CRYPTO_SESSION_H

#include "base/util.h"

struct keys;
struct secret;

/* -ENOMEM, -EIO. */
must_check int session_key(const struct keys *k, uint64_t n, struct secret **ret);

#endif
