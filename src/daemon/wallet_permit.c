/* wallet_permit.c - paying in: a permit for the token, deposit and allowances */
#include <errno.h>

#include "base/err.h"
#include "chain/call.h"
#include "chain/pay.h"
#include "chain/token.h"
#include "daemon/wallet.h"

#define ANSWER_MAX 1024
#define DATA_MAX   1024

/* A view of the token; `r` is what making its calldata returned. */
static int ask(struct foc *f, struct address token, int r, struct buf *data,
	       struct buf *ret, struct err *reterr)
{
	if (r == 0)
		r = contract_call(foc_rpc(f), token, buf_slice(data), ret, NULL,
				  reterr);
	buf_fini(data);
	buf_init(data, DATA_MAX);
	return r;
}

/*
 * Of the token.  A name that is not the one that it checks signatures for would
 * make the permit void; better to say so before it is paid for.
 */
static int separator_of(struct foc *f, struct address token,
			uint8_t ret[static EIP712_HASH_SIZE], struct err *reterr)
{
	_cleanup_buf_ struct buf data = { 0 }, name = { 0 }, version = { 0 },
				 said = { 0 };
	uint8_t checked[EIP712_HASH_SIZE];
	struct slice n = SLICE_NONE, v = SLICE_NONE;
	int r;

	buf_init(&data, DATA_MAX);
	buf_init(&name, ANSWER_MAX);
	buf_init(&version, ANSWER_MAX);
	buf_init(&said, ANSWER_MAX);
	r = ask(f, token, token_name(&data), &data, &name, reterr);
	if (r == 0)
		r = ask(f, token, token_version(&data), &data, &version, reterr);
	if (r == 0)
		r = ask(f, token, token_domain_separator(&data), &data, &said,
			reterr);
	if (r == 0)
		r = call_answer_text(buf_slice(&name), &n);
	if (r == 0)
		r = call_answer_text(buf_slice(&version), &v);
	if (r == 0)
		r = call_answer_bytes32(buf_slice(&said), checked);
	if (r < 0)
		return r;
	eip712_separator(n, v, foc_network(f)->chain_id, token, ret);
	if (!slice_eq(slice(ret, EIP712_HASH_SIZE), slice(checked, sizeof(checked))))
		return err_set(reterr, -EPROTO,
			       "the token does not check signatures as its name says");
	return 0;
}

static int permit_of(struct foc *f, const struct owner *o,
		     const struct contracts_known *at, struct u256 amount,
		     uint64_t deadline_s, struct pay_permit *ret, struct err *reterr)
{
	struct eip712_permit permit = { .owner = o->address,
					.spender = at->pay,
					.value = amount,
					.deadline = u256(deadline_s) };
	_cleanup_buf_ struct buf data = { 0 }, answer = { 0 };
	uint8_t separator[EIP712_HASH_SIZE], hash[EIP712_HASH_SIZE];
	int r;

	buf_init(&data, DATA_MAX);
	buf_init(&answer, ANSWER_MAX);
	r = separator_of(f, at->usdfc, separator, reterr);
	if (r == 0)
		r = ask(f, at->usdfc, token_nonces(o->address, &data), &data,
			&answer, reterr);
	if (r == 0)
		r = call_answer_u256(buf_slice(&answer), &permit.nonce);
	if (r < 0)
		return err_set(reterr, r, "asking the token: %s", err_str(r));
	eip712_permit(&permit, hash);
	*ret = (struct pay_permit){ .token = at->usdfc,
				    .to = o->address,
				    .amount = amount,
				    .deadline = permit.deadline };
	return eip712_sign(o->key, separator, hash, ret->signature);
}

int wallet_pay_data(struct foc *f, const struct owner *o,
		    const struct contracts_known *at, struct u256 amount,
		    uint64_t deadline_s, const struct money_allow *allow,
		    struct buf *ret, struct err *reterr)
{
	struct pay_allow a = { .operator= at->fwss,
			       .rate_allowance = allow->rate,
			       .lockup_allowance = allow->lockup,
			       .max_lockup_period = u256(allow->period) };
	struct pay_permit permit;
	int r;

	if (u256_is_zero(amount))
		return pay_set_operator_approval(at->usdfc, true, &a, ret);
	r = permit_of(f, o, at, amount, deadline_s, &permit, reterr);
	return r < 0 ? r : pay_deposit_with_permit_and_approve(&permit, &a, ret);
}
