/* foc_purse.c - what the payer has, allowed and signed */
#include "chain/foc.h"

#include <errno.h>
#include <stdio.h>

#include "chain/call.h"
#include "chain/foc_impl.h"
#include "chain/session_key.h"
#include "chain/token.h"

enum {
	ASK_USDFC,
	ASK_ACCOUNT,
	ASK_APPROVALS,
	ASK_NX
};

static int nobody(struct err *reterr)
{
	return err_set(reterr, -EINVAL, "the address of the wallet is not known");
}

static int fil_of(struct foc *f, struct u256 *ret, struct err *reterr)
{
	_cleanup_json_ json_t *result = NULL;
	char who[ADDRESS_TEXT_MAX], args[ADDRESS_TEXT_MAX + 2];
	uint8_t be[U256_SIZE];
	int r;

	address_text(f->core->payer, who);
	(void)snprintf(args, sizeof(args), "\"%s\"", who); /* fits */
	r = foc_agree(f, "eth_getBalance", args, RPC_NUMBER, 0, &result, reterr);
	if (r < 0)
		return r;
	r = json_hex_number(result, be, sizeof(be));
	if (r < 0)
		return foc_nonsense(f, r, "the wallet's FIL", reterr);
	*ret = u256_from_be(be);
	return 0;
}

static int purse_answers(struct foc *f, const struct multicall_result *said,
			 struct foc_purse *p, struct err *reterr)
{
	int r;

	for (size_t i = 0; i < ASK_NX; i++)
		if (!said[i].ok)
			return foc_nonsense(f, -EPROTO, "the purse", reterr);
	r = call_answer_u256(said[ASK_USDFC].data, &p->usdfc);
	if (r == 0)
		r = pay_account_info_if_settled_answer(said[ASK_ACCOUNT].data,
						       &p->account);
	if (r == 0)
		r = pay_operator_approvals_answer(said[ASK_APPROVALS].data,
						  &p->approvals);
	return r < 0 ? foc_nonsense(f, r, "the purse", reterr) : 0;
}

int foc_purse(struct foc *f, struct foc_purse *ret, struct err *reterr)
{
	struct foc_ask a[ASK_NX] = { 0 };
	struct multicall_result said[ASK_NX];
	const struct address payer = f->core->payer;
	_cleanup_buf_ struct buf answer = { 0 };
	struct contracts_known k;
	struct foc_purse p = { 0 };
	int r;

	if (address_is_none(payer))
		return nobody(reterr);
	r = foc_contracts(f, &k, reterr);
	if (r < 0)
		return r;
	foc_ask_init(&a[ASK_USDFC], FOC_USDFC);
	foc_ask_init(&a[ASK_ACCOUNT], FOC_PAY);
	foc_ask_init(&a[ASK_APPROVALS], FOC_PAY);
	r = token_balance_of(payer, &a[ASK_USDFC].data);
	if (r == 0)
		r = pay_account_info_if_settled(k.usdfc, payer,
						&a[ASK_ACCOUNT].data);
	if (r == 0)
		r = pay_operator_approvals(k.usdfc, payer, k.fwss,
					   &a[ASK_APPROVALS].data);
	r = foc_multi(f, a, ASK_NX, r, true, &answer, said, reterr);
	for (size_t i = 0; i < ASK_NX; i++)
		foc_ask_fini(&a[i]);
	p.epoch = foc_block(f);
	if (r == 0)
		r = purse_answers(f, said, &p, reterr);
	if (r == 0)
		r = fil_of(f, &p.fil, reterr);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int foc_session(struct foc *f, struct address signer, uint64_t *ret_create_until,
		uint64_t *ret_add_until, struct err *reterr)
{
	static const enum eip712_type types[2] = { EIP712_CREATE_DATA_SET,
						   EIP712_ADD_PIECES };
	struct foc_ask a[2] = { 0 };
	struct multicall_result said[2];
	_cleanup_buf_ struct buf answer = { 0 };
	uint64_t until[2] = { 0 };
	int r = 0;

	if (address_is_none(f->core->payer))
		return nobody(reterr);
	for (size_t i = 0; i < 2; i++)
		foc_ask_init(&a[i], FOC_SESSIONS);
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = session_key_authorization_expiry(f->core->payer, signer,
						     types[i], &a[i].data);
	r = foc_multi(f, a, 2, r, false, &answer, said, reterr);
	for (size_t i = 0; i < 2; i++)
		foc_ask_fini(&a[i]);
	if (r < 0)
		return r;
	for (size_t i = 0; i < 2 && r == 0; i++)
		r = said[i].ok ? call_answer_epoch(said[i].data, &until[i]) :
				 -EPROTO;
	if (r < 0)
		return foc_nonsense(f, r, "the session key", reterr);
	*ret_create_until = until[0];
	*ret_add_until = until[1];
	return 0;
}

int foc_nonce(struct foc *f, struct u256 nonce, struct view_nonce *ret,
	      struct err *reterr)
{
	_cleanup_foc_ask_ struct foc_ask a = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	if (address_is_none(f->core->payer))
		return nobody(reterr);
	foc_ask_init(&a, FOC_VIEW);
	r = foc_read(f, &a, view_client_nonces(f->core->payer, nonce, &a.data),
		     true, &b, reterr);
	if (r < 0)
		return r;
	r = view_client_nonces_answer(buf_slice(&b), ret);
	return r < 0 ? foc_nonsense(f, r, "a number that was signed", reterr) : 0;
}
