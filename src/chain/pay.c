#include "chain/pay.h"

#include "chain/call.h"

int pay_accounts(struct address token, struct address owner, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_ACCOUNTS);
	abi_put_address(&o, token);
	abi_put_address(&o, owner);
	return call_end(&o, ret);
}

int pay_account_info_if_settled(struct address token, struct address owner,
				struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_ACCOUNT_INFO_IF_SETTLED);
	abi_put_address(&o, token);
	abi_put_address(&o, owner);
	return call_end(&o, ret);
}

int pay_operator_approvals(struct address token, struct address client,
			   struct address operator, struct buf * ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_OPERATOR_APPROVALS);
	abi_put_address(&o, token);
	abi_put_address(&o, client);
	abi_put_address(&o, operator);
	return call_end(&o, ret);
}

int pay_rail(uint64_t rail, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_RAIL);
	abi_put_u64(&o, rail);
	return call_end(&o, ret);
}

int pay_rails_for_payer(struct address payer, struct address token,
			uint64_t offset, uint64_t limit, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_RAILS_FOR_PAYER);
	abi_put_address(&o, payer);
	abi_put_address(&o, token);
	abi_put_u64(&o, offset);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int pay_deposit(struct address token, struct address to, struct u256 amount,
		struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_DEPOSIT);
	abi_put_address(&o, token);
	abi_put_address(&o, to);
	abi_put_u256(&o, amount);
	return call_end(&o, ret);
}

int pay_withdraw(struct address token, struct u256 amount, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_WITHDRAW);
	abi_put_address(&o, token);
	abi_put_u256(&o, amount);
	return call_end(&o, ret);
}

static void put_allow(struct abi_out *o, const struct pay_allow *a)
{
	abi_put_u256(o, a->rate_allowance);
	abi_put_u256(o, a->lockup_allowance);
	abi_put_u256(o, a->max_lockup_period);
}

int pay_set_operator_approval(struct address token, bool approved,
			      const struct pay_allow *allow, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_SET_OPERATOR_APPROVAL);
	abi_put_address(&o, token);
	abi_put_address(&o, allow->operator);
	abi_put_bool(&o, approved);
	put_allow(&o, allow);
	return call_end(&o, ret);
}

static void put_permit(struct abi_out *o, const struct pay_permit *p)
{
	abi_put_address(o, p->token);
	abi_put_address(o, p->to);
	abi_put_u256(o, p->amount);
	abi_put_u256(o, p->deadline);
	abi_put_u64(o, p->signature[64]);
	abi_put_bytes32(o, p->signature);
	abi_put_bytes32(o, p->signature + 32);
}

int pay_deposit_with_permit_and_approve(const struct pay_permit *permit,
					const struct pay_allow *allow,
					struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PAY_DEPOSIT_WITH_PERMIT_AND_APPROVE);
	put_permit(&o, permit);
	abi_put_address(&o, allow->operator);
	put_allow(&o, allow);
	return call_end(&o, ret);
}
