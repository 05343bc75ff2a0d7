#include "chain/token.h"

#include "chain/call.h"

int token_balance_of(struct address owner, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_TOKEN_BALANCE_OF);
	abi_put_address(&o, owner);
	return call_end(&o, ret);
}

int token_nonces(struct address owner, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_TOKEN_NONCES);
	abi_put_address(&o, owner);
	return call_end(&o, ret);
}

int token_name(struct buf *ret)
{
	return call_bare(CALL_TOKEN_NAME, ret);
}

int token_version(struct buf *ret)
{
	return call_bare(CALL_TOKEN_VERSION, ret);
}

int token_domain_separator(struct buf *ret)
{
	return call_bare(CALL_TOKEN_DOMAIN_SEPARATOR, ret);
}

int token_approve(struct address spender, struct u256 amount, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_TOKEN_APPROVE);
	abi_put_address(&o, spender);
	abi_put_u256(&o, amount);
	return call_end(&o, ret);
}

int token_transfer(struct address to, struct u256 amount, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_TOKEN_TRANSFER);
	abi_put_address(&o, to);
	abi_put_u256(&o, amount);
	return call_end(&o, ret);
}
