#include "chain/pay.h"

#include <errno.h>

#include "chain/abi.h"

int pay_accounts_answer(struct slice answer, struct pay_account *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct pay_account a;
	int r;

	a.funds = abi_get_u256(&in);
	a.lockup = abi_get_u256(&in);
	a.lockup_rate = abi_get_u256(&in);
	a.last_settled_epoch = abi_get_u64(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

int pay_account_info_if_settled_answer(struct slice answer, struct pay_info *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct pay_info i;
	int r;

	i.funded_until = abi_get_u64_capped(&in);
	i.funds = abi_get_u256(&in);
	i.available = abi_get_u256(&in);
	i.lockup_rate = abi_get_u256(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = i;
	return 0;
}

int pay_operator_approvals_answer(struct slice answer, struct pay_approvals *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct pay_approvals a;
	int r;

	a.approved = abi_get_bool(&in);
	a.rate_allowance = abi_get_u256(&in);
	a.lockup_allowance = abi_get_u256(&in);
	a.rate_usage = abi_get_u256(&in);
	a.lockup_usage = abi_get_u256(&in);
	a.max_lockup_period = abi_get_u256(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = a;
	return 0;
}

int pay_rail_answer(struct slice answer, struct pay_rail *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct pay_rail p;
	int r;

	p.token = abi_get_address(&in);
	p.from = abi_get_address(&in);
	p.to = abi_get_address(&in);
	p.operator= abi_get_address(&in);
	p.validator = abi_get_address(&in);
	p.rate = abi_get_u256(&in);
	p.lockup_period = abi_get_u64(&in);
	p.lockup_fixed = abi_get_u256(&in);
	p.settled_until = abi_get_u64_capped(&in);
	p.end_epoch = abi_get_u64_capped(&in);
	p.commission_bps = abi_get_u64(&in);
	p.fee_recipient = abi_get_address(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int pay_rails_for_payer_answer(struct slice answer, struct pay_rail_info *ret,
			       size_t cap, size_t *ret_n,
			       uint64_t *ret_next_offset, uint64_t *ret_total)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list;
	uint64_t next, total;
	size_t n;
	int r;

	list = abi_get_array(&in, 3, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) {
		ret[i].id = abi_get_u64(&list);
		ret[i].terminated = abi_get_bool(&list);
		ret[i].end_epoch = abi_get_u64_capped(&list);
	}
	next = abi_get_u64(&in);
	total = abi_get_u64(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	*ret_next_offset = next;
	*ret_total = total;
	return 0;
}

/* rate * epochs, as much of it as is counted. */
static struct u256 streamed(struct u256 rate, uint64_t epochs)
{
	struct u256 v;

	return u256_mul(rate, u256(epochs), &v) < 0 ? U256_MAX : v;
}

void pay_account_at(const struct pay_account *a, uint64_t epoch,
		    struct pay_state *ret)
{
	uint64_t since = epoch > a->last_settled_epoch ?
				 epoch - a->last_settled_epoch :
				 0;
	struct u256 lockup = a->lockup, epochs;
	uint64_t paid = since;

	*ret = (struct pay_state){ .funded_until = PAY_NEVER, .runway = PAY_NEVER };
	if (u256_div(u256_sub_capped(a->funds, a->lockup), a->lockup_rate,
		     &epochs, NULL) == 0) {
		uint64_t n = u256_cap_u64(epochs);

		paid = MIN(since, n);
		ret->runway = n > since ? n - since : 0;
		if (n <= PAY_NEVER - a->last_settled_epoch)
			ret->funded_until = a->last_settled_epoch + n;
	}
	lockup = u256_add_capped(lockup, streamed(a->lockup_rate, paid));
	ret->available = u256_sub_capped(a->funds, lockup);
	lockup = u256_add_capped(a->lockup, streamed(a->lockup_rate, since));
	ret->debt = u256_sub_capped(lockup, a->funds);
}
