#include "chain/fwss.h"

#include "chain/call.h"

int fwss_view_contract(struct buf *ret)
{
	return call_bare(CALL_FWSS_VIEW_CONTRACT, ret);
}

int fwss_payments(struct buf *ret)
{
	return call_bare(CALL_FWSS_PAYMENTS, ret);
}

int fwss_usdfc(struct buf *ret)
{
	return call_bare(CALL_FWSS_USDFC, ret);
}

int fwss_session_key_registry(struct buf *ret)
{
	return call_bare(CALL_FWSS_SESSION_KEY_REGISTRY, ret);
}

int fwss_domain(struct buf *ret)
{
	return call_bare(CALL_FWSS_DOMAIN, ret);
}

int fwss_service_price(struct buf *ret)
{
	return call_bare(CALL_FWSS_SERVICE_PRICE, ret);
}

int fwss_terminate_service(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_FWSS_TERMINATE_SERVICE);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int fwss_domain_answer(struct slice answer, struct fwss_domain *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct fwss_domain d;
	uint8_t word[ABI_WORD];
	size_t n;
	int r;

	abi_get_bytes32(&in, word); /* which fields there are */
	d.name = abi_get_string(&in);
	d.version = abi_get_string(&in);
	d.chain_id = abi_get_u64(&in);
	d.contract = abi_get_address(&in);
	abi_get_bytes32(&in, word);      /* salt */
	(void)abi_get_array(&in, 1, &n); /* extensions: there are none */
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = d;
	return 0;
}

int fwss_service_price_answer(struct slice answer, struct fwss_service_price *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct fwss_service_price p;
	int r;

	p.storage_per_tib_month = abi_get_u256(&in);
	p.cdn_egress_per_tib = abi_get_u256(&in);
	p.cache_miss_egress_per_tib = abi_get_u256(&in);
	p.token = abi_get_address(&in);
	p.epochs_per_month = abi_get_u64(&in);
	p.data_set_fee_per_month = abi_get_u256(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}
