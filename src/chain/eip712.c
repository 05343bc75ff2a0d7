#include "chain/eip712.h"

#include <assert.h>

#include "crypto/keccak.h"
#include "crypto/secp.h"

#define ENTRY_TYPE "MetadataEntry(string key,string value)"
#define CID_TYPE   "Cid(bytes data)"
#define PIECE_TYPE "PieceMetadata(uint256 pieceIndex,MetadataEntry[] metadata)"

_Static_assert(EIP712_HASH_SIZE == KECCAK_SIZE, "hashes are Keccak's");
_Static_assert(EIP712_SIGNATURE_SIZE == SECP_SIGNATURE_SIZE, "r, s, v");

/* Struct types that a type uses follow it in the order of their names. */
static const char *const type_text[EIP712_NX] = {
	[EIP712_CREATE_DATA_SET] = "CreateDataSet(uint256 clientDataSetId,address payee,"
				   "MetadataEntry[] metadata)" ENTRY_TYPE,
	[EIP712_ADD_PIECES] =
		"AddPieces(uint256 clientDataSetId,uint256 nonce,Cid[] pieceData,"
		"PieceMetadata[] pieceMetadata)" CID_TYPE ENTRY_TYPE PIECE_TYPE,
	[EIP712_SCHEDULE_PIECE_REMOVALS] =
		"SchedulePieceRemovals(uint256 clientDataSetId,uint256[] pieceIds)",
	[EIP712_TERMINATE_SERVICE] = "TerminateService(uint256 dataSetId)",
	[EIP712_PERMIT] = "Permit(address owner,address spender,uint256 value,"
			  "uint256 nonce,uint256 deadline)",
	[EIP712_METADATA_ENTRY] = ENTRY_TYPE,
	[EIP712_CID] = CID_TYPE,
	[EIP712_PIECE_METADATA] = PIECE_TYPE ENTRY_TYPE,
	[EIP712_DOMAIN] = "EIP712Domain(string name,string version,"
			  "uint256 chainId,address verifyingContract)",
};

const char *eip712_type_text(enum eip712_type type)
{
	assert(type < EIP712_NX);
	return type_text[type];
}

void eip712_type_hash(enum eip712_type type, uint8_t ret[static EIP712_HASH_SIZE])
{
	keccak_once(slice_str(eip712_type_text(type)), ret);
}

/* The words of a struct, hashed as they come. */
static void begin(struct keccak *k, enum eip712_type type)
{
	uint8_t word[EIP712_HASH_SIZE];

	keccak_init(k);
	eip712_type_hash(type, word);
	keccak_update(k, slice(word, sizeof(word)));
}

static void put_word(struct keccak *k, const uint8_t word[static EIP712_HASH_SIZE])
{
	keccak_update(k, slice(word, EIP712_HASH_SIZE));
}

static void put_u256(struct keccak *k, struct u256 v)
{
	uint8_t word[EIP712_HASH_SIZE];

	u256_to_be(v, word);
	put_word(k, word);
}

static void put_address(struct keccak *k, struct address a)
{
	uint8_t word[EIP712_HASH_SIZE] = { 0 };

	memcpy(word + sizeof(word) - ADDRESS_SIZE, a.b, ADDRESS_SIZE);
	put_word(k, word);
}

static void put_bytes(struct keccak *k, struct slice s)
{
	uint8_t word[EIP712_HASH_SIZE];

	keccak_once(s, word);
	put_word(k, word);
}

/* A list's digest, once all of its elements were put into `list`. */
static void put_list(struct keccak *k, struct keccak *list)
{
	uint8_t word[EIP712_HASH_SIZE];

	keccak_final(list, word);
	put_word(k, word);
}

static void put_entries(struct keccak *k, const struct eip712_entry *entries,
			size_t n)
{
	struct keccak list, entry;

	keccak_init(&list);
	for (size_t i = 0; i < n; i++) {
		begin(&entry, EIP712_METADATA_ENTRY);
		put_bytes(&entry, entries[i].key);
		put_bytes(&entry, entries[i].value);
		put_list(&list, &entry);
	}
	put_list(k, &list);
}

void eip712_separator(struct slice name, struct slice version, uint64_t chain_id,
		      struct address contract, uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k;

	begin(&k, EIP712_DOMAIN);
	put_bytes(&k, name);
	put_bytes(&k, version);
	put_u256(&k, u256(chain_id));
	put_address(&k, contract);
	keccak_final(&k, ret);
}

void eip712_separator_fwss(uint64_t chain_id, struct address fwss,
			   uint8_t ret[static EIP712_HASH_SIZE])
{
	eip712_separator(slice_str("FilecoinWarmStorageService"),
			 slice_str("1"), chain_id, fwss, ret);
}

void eip712_digest(const uint8_t separator[static EIP712_HASH_SIZE],
		   const uint8_t struct_hash[static EIP712_HASH_SIZE],
		   uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k;

	keccak_init(&k);
	keccak_update(&k, slice("\x19\x01", 2));
	put_word(&k, separator);
	put_word(&k, struct_hash);
	keccak_final(&k, ret);
}

int eip712_sign(const struct secret *key,
		const uint8_t separator[static EIP712_HASH_SIZE],
		const uint8_t struct_hash[static EIP712_HASH_SIZE],
		uint8_t ret[static EIP712_SIGNATURE_SIZE])
{
	uint8_t digest[EIP712_HASH_SIZE];

	eip712_digest(separator, struct_hash, digest);
	return secp_sign(key, digest, ret);
}

void eip712_create_data_set(struct u256 client_data_set_id, struct address payee,
			    const struct eip712_entry *entries, size_t n_entries,
			    uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k;

	begin(&k, EIP712_CREATE_DATA_SET);
	put_u256(&k, client_data_set_id);
	put_address(&k, payee);
	put_entries(&k, entries, n_entries);
	keccak_final(&k, ret);
}

void eip712_add_pieces(struct u256 client_data_set_id, struct u256 nonce,
		       const struct eip712_piece *pieces, size_t n_pieces,
		       uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k, cids, metadata, one;

	keccak_init(&cids);
	keccak_init(&metadata);
	for (size_t i = 0; i < n_pieces; i++) {
		begin(&one, EIP712_CID);
		put_bytes(&one, pieces[i].cid);
		put_list(&cids, &one);
		begin(&one, EIP712_PIECE_METADATA);
		put_u256(&one, u256(i));
		put_entries(&one, pieces[i].entries, pieces[i].n_entries);
		put_list(&metadata, &one);
	}
	begin(&k, EIP712_ADD_PIECES);
	put_u256(&k, client_data_set_id);
	put_u256(&k, nonce);
	put_list(&k, &cids);
	put_list(&k, &metadata);
	keccak_final(&k, ret);
}

void eip712_schedule_piece_removals(struct u256 client_data_set_id,
				    const uint64_t *ids, size_t n_ids,
				    uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k, list;

	keccak_init(&list);
	for (size_t i = 0; i < n_ids; i++)
		put_u256(&list, u256(ids[i]));
	begin(&k, EIP712_SCHEDULE_PIECE_REMOVALS);
	put_u256(&k, client_data_set_id);
	put_list(&k, &list);
	keccak_final(&k, ret);
}

void eip712_terminate_service(uint64_t data_set_id,
			      uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k;

	begin(&k, EIP712_TERMINATE_SERVICE);
	put_u256(&k, u256(data_set_id));
	keccak_final(&k, ret);
}

void eip712_permit(const struct eip712_permit *permit,
		   uint8_t ret[static EIP712_HASH_SIZE])
{
	struct keccak k;

	begin(&k, EIP712_PERMIT);
	put_address(&k, permit->owner);
	put_address(&k, permit->spender);
	put_u256(&k, permit->value);
	put_u256(&k, permit->nonce);
	put_u256(&k, permit->deadline);
	keccak_final(&k, ret);
}
