#include "chain/session_key.h"

#include "chain/call.h"

static void put_operation(struct abi_out *o, enum eip712_type operation)
{
	uint8_t hash[EIP712_HASH_SIZE];

	eip712_type_hash(operation, hash);
	abi_put_bytes32(o, hash);
}

static void put_operations(struct abi_out *o,
			   const enum eip712_type *operations, size_t n)
{
	abi_begin_array(o);
	for (size_t i = 0; i < n; i++)
		put_operation(o, operations[i]);
	abi_end(o);
}

int session_key_authorization_expiry(struct address payer, struct address signer,
				     enum eip712_type operation, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_SESSION_KEY_AUTHORIZATION_EXPIRY);
	abi_put_address(&o, payer);
	abi_put_address(&o, signer);
	put_operation(&o, operation);
	return call_end(&o, ret);
}

int session_key_login(struct address signer, uint64_t expiry,
		      const enum eip712_type *operations, size_t n,
		      struct slice origin, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_SESSION_KEY_LOGIN);
	abi_put_address(&o, signer);
	abi_put_u64(&o, expiry);
	put_operations(&o, operations, n);
	abi_put_string(&o, origin);
	return call_end(&o, ret);
}

int session_key_revoke(struct address signer, const enum eip712_type *operations,
		       size_t n, struct slice origin, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_SESSION_KEY_REVOKE);
	abi_put_address(&o, signer);
	put_operations(&o, operations, n);
	abi_put_string(&o, origin);
	return call_end(&o, ret);
}
