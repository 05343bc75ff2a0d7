/*
 * foc_auth.h - extraData: the signed authorizations that a provider relays
 *
 * The client sends no transaction for its data: it signs, the provider pays the
 * gas, and Filecoin Warm Storage Service (FWSS) checks the signature on chain.
 *
 *   operation        abi.encode of
 *   create           (address payer, uint256 clientDataSetId, string[] keys,
 *                     string[] values, bytes signature)
 *   add              (uint256 nonce, string[][] keys, string[][] values,
 *                     bytes signature)
 *   create and add   (bytes create, bytes add), of one clientDataSetId
 *   remove           (bytes signature)
 *   terminate        (bytes signature)
 *
 * clientDataSetId and nonce are one namespace: each number is good once for a
 * payer, for ever.  So an authorization that is sent twice acts once; persist
 * what is signed before it is sent.  None expires, and removing and
 * terminating have no number: they stay valid for as long as their object.
 *
 * Threading: stateless.  Results are appended; a failure appends nothing.
 * Common errors: -EINVAL (a limit below is broken: the reason is in `reterr`,
 * or `key` is no key), -EMSGSIZE, -ENOMEM.
 */
#ifndef CHAIN_FOC_AUTH_H
#define CHAIN_FOC_AUTH_H

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/eip712.h"
#include "chain/u256.h"

struct buf;
struct err;
struct secret;

/* FWSS 1.3's and Curio's limits. */
#define FOC_AUTH_KEY_MAX       32   /* bytes of a metadata key, 1 at least */
#define FOC_AUTH_VALUE_MAX     96   /* bytes of a value */
#define FOC_AUTH_SET_ENTRIES   10   /* entries of a data set */
#define FOC_AUTH_PIECE_ENTRIES 3    /* entries of a piece */
#define FOC_AUTH_PIECES_MAX    40   /* pieces of one add */
#define FOC_AUTH_REMOVALS_MAX  35   /* pieces of one removal */
#define FOC_AUTH_CREATE_MAX    4096 /* bytes of extraData */
#define FOC_AUTH_ADD_MAX       8192

/* Who signs where: the wallet itself, or a session key of the payer's. */
struct foc_auth {
	const struct secret *key;
	uint8_t separator[EIP712_HASH_SIZE]; /* eip712_separator_fwss() */
};

struct foc_auth_create {
	struct address payer; /* the wallet, also where a session key signs */
	struct address payee; /* the provider's, from the registry: is signed */
	struct u256 client_data_set_id;
	const struct eip712_entry *entries;
	size_t n_entries;
};

struct foc_auth_add {
	struct u256 client_data_set_id; /* of the data set: is signed, not sent */
	struct u256 nonce;
	const struct eip712_piece *pieces; /* in the order of the request */
	size_t n_pieces;
};

must_check int foc_auth_create(const struct foc_auth *a,
			       const struct foc_auth_create *c,
			       struct buf *ret_extra, struct err *reterr);

must_check int foc_auth_add(const struct foc_auth *a, const struct foc_auth_add *p,
			    struct buf *ret_extra, struct err *reterr);

/* -EINVAL too if the two do not name one data set. */
must_check int foc_auth_create_and_add(const struct foc_auth *a,
				       const struct foc_auth_create *c,
				       const struct foc_auth_add *p,
				       struct buf *ret_extra, struct err *reterr);

/* Distinct ids in the order of the request. */
must_check int foc_auth_remove(const struct foc_auth *a,
			       struct u256 client_data_set_id,
			       const uint64_t *piece_ids, size_t n_piece_ids,
			       struct buf *ret_extra, struct err *reterr);

must_check int foc_auth_terminate(const struct foc_auth *a,
				  uint64_t data_set_id, struct buf *ret_extra);

#endif
