/*
 * eip712.h - typed data: what a wallet signs for a contract to check
 *
 *   digest = Keccak-256(0x19 0x01 || separator || struct hash)
 *   struct hash = Keccak-256(type hash || a word for each member), where a
 *   string, bytes or list is the Keccak-256 of its content, a struct its hash
 *
 * Spec: https://eips.ethereum.org/EIPS/eip-712.  The types are those of Filecoin
 * Warm Storage Service 1.3, and ERC-2612's Permit; each function below makes
 * the struct hash of one.
 *
 * Threading: stateless.
 */
#ifndef CHAIN_EIP712_H
#define CHAIN_EIP712_H

#include "base/slice.h"
#include "base/util.h"
#include "chain/address.h"
#include "chain/u256.h"

struct secret;

#define EIP712_HASH_SIZE      32 /* bytes */
#define EIP712_SIGNATURE_SIZE 65

enum eip712_type {
	EIP712_CREATE_DATA_SET,
	EIP712_ADD_PIECES,
	EIP712_SCHEDULE_PIECE_REMOVALS,
	EIP712_TERMINATE_SERVICE,
	EIP712_PERMIT,
	EIP712_METADATA_ENTRY,
	EIP712_CID,
	EIP712_PIECE_METADATA,
	EIP712_DOMAIN,
	EIP712_NX
};

/* "CreateDataSet(uint256 clientDataSetId,…)…": what the type hash is of. */
const char *eip712_type_text(enum eip712_type type);

/* A session key's permission for an operation is the hash of its type. */
void eip712_type_hash(enum eip712_type type, uint8_t ret[static EIP712_HASH_SIZE]);

/* Whose question it is: a contract on a chain. */
void eip712_separator(struct slice name, struct slice version,
		      uint64_t chain_id, struct address contract,
		      uint8_t ret[static EIP712_HASH_SIZE]);

/* "FilecoinWarmStorageService", "1"; `fwss` is the proxy. */
void eip712_separator_fwss(uint64_t chain_id, struct address fwss,
			   uint8_t ret[static EIP712_HASH_SIZE]);

void eip712_digest(const uint8_t separator[static EIP712_HASH_SIZE],
		   const uint8_t struct_hash[static EIP712_HASH_SIZE],
		   uint8_t ret[static EIP712_HASH_SIZE]);

/* r, s, v of the digest.  -EINVAL: `key` is no key.  -ENOMEM. */
must_check int eip712_sign(const struct secret *key,
			   const uint8_t separator[static EIP712_HASH_SIZE],
			   const uint8_t struct_hash[static EIP712_HASH_SIZE],
			   uint8_t ret[static EIP712_SIGNATURE_SIZE]);

/* Public, on chain for ever; UTF-8. */
struct eip712_entry {
	struct slice key;
	struct slice value;
};

struct eip712_piece {
	struct slice cid; /* piece CID v2, binary */
	const struct eip712_entry *entries;
	size_t n_entries;
};

/* `payee` is the provider's in the registry (registry.h). */
void eip712_create_data_set(struct u256 client_data_set_id, struct address payee,
			    const struct eip712_entry *entries, size_t n_entries,
			    uint8_t ret[static EIP712_HASH_SIZE]);

void eip712_add_pieces(struct u256 client_data_set_id, struct u256 nonce,
		       const struct eip712_piece *pieces, size_t n_pieces,
		       uint8_t ret[static EIP712_HASH_SIZE]);

/* `ids` in the order of the call. */
void eip712_schedule_piece_removals(struct u256 client_data_set_id,
				    const uint64_t *ids, size_t n_ids,
				    uint8_t ret[static EIP712_HASH_SIZE]);

/* The id on chain, not the client's. */
void eip712_terminate_service(uint64_t data_set_id,
			      uint8_t ret[static EIP712_HASH_SIZE]);

struct eip712_permit {
	struct address owner;
	struct address spender;
	struct u256 value;    /* units of the token */
	struct u256 nonce;    /* the token's nonces(owner) */
	struct u256 deadline; /* Unix seconds */
};

/* Signed for the token's own domain. */
void eip712_permit(const struct eip712_permit *permit,
		   uint8_t ret[static EIP712_HASH_SIZE]);

#endif
