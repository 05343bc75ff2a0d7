/*
 * eth_tx.h - transactions of type 2 (EIP-1559), the ones that Filecoin takes
 *
 *   0x02 || rlp([chain id, nonce, max priority fee, max fee, gas limit, to,
 *                value, data, [], y parity, r, s])
 *
 * What is signed is the Keccak-256 of the same without the last three; the
 * transaction's hash is that of the whole.  The access list is always empty:
 * Filecoin has none.
 * Spec: https://eips.ethereum.org/EIPS/eip-1559.
 *
 * Threading: stateless.
 */
#ifndef CHAIN_ETH_TX_H
#define CHAIN_ETH_TX_H

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct buf;
struct secret;

#define ETH_TX_HASH_SIZE 32
#define ETH_TX_DATA_MAX  (64u << 10) /* bytes of calldata */
#define ETH_TX_MAX       (ETH_TX_DATA_MAX + 512u)

struct eth_tx {
	uint64_t chain_id;
	uint64_t nonce;
	struct u256 max_priority_fee; /* attoFIL for a unit of gas */
	struct u256 max_fee;          /* likewise; base fee and priority */
	uint64_t gas_limit;           /* units of gas */
	struct address to;
	struct u256 value; /* attoFIL */
	struct slice data; /* borrowed */
};

/* Common errors: -EMSGSIZE (more than ETH_TX_DATA_MAX), -ENOMEM. */

/* What is hashed to be signed. */
must_check int eth_tx_unsigned(const struct eth_tx *tx, struct buf *ret);
must_check int eth_tx_signing_hash(const struct eth_tx *tx,
				   uint8_t ret[static ETH_TX_HASH_SIZE]);

/*
 * Append the signed transaction, as eth_sendRawTransaction takes it, and its
 * hash.  -EINVAL: `key` is no key.
 */
must_check int eth_tx_sign(const struct eth_tx *tx, const struct secret *key,
			   struct buf *ret_raw,
			   uint8_t ret_hash[static ETH_TX_HASH_SIZE]);

/*
 * A signed transaction back into its parts, and who signed it; `data` borrows
 * from `raw`.
 *
 * -EPROTO  not the canonical encoding of such a transaction
 * -EBADMSG the signature is nobody's
 */
must_check int eth_tx_parse(struct slice raw, struct eth_tx *ret,
			    struct address *ret_from);

#endif
