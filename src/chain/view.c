#include "chain/view.h"

#include "chain/call.h"

int view_client_data_sets(struct address payer, uint64_t offset, uint64_t limit,
			  struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_CLIENT_DATA_SETS);
	abi_put_address(&o, payer);
	abi_put_u64(&o, offset);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int view_data_set(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_DATA_SET);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int view_data_set_metadata(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_DATA_SET_METADATA);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int view_data_set_value(uint64_t data_set, struct slice key, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_DATA_SET_VALUE);
	abi_put_u64(&o, data_set);
	abi_put_string(&o, key);
	return call_end(&o, ret);
}

int view_piece_metadata(uint64_t data_set, uint64_t piece, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PIECE_METADATA);
	abi_put_u64(&o, data_set);
	abi_put_u64(&o, piece);
	return call_end(&o, ret);
}

int view_piece_value(uint64_t data_set, uint64_t piece, struct slice key,
		     struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PIECE_VALUE);
	abi_put_u64(&o, data_set);
	abi_put_u64(&o, piece);
	abi_put_string(&o, key);
	return call_end(&o, ret);
}

int view_client_nonces(struct address payer, struct u256 nonce, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_CLIENT_NONCES);
	abi_put_address(&o, payer);
	abi_put_u256(&o, nonce);
	return call_end(&o, ret);
}

int view_approved_providers(uint64_t offset, uint64_t limit, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_APPROVED_PROVIDERS);
	abi_put_u64(&o, offset);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int view_is_provider_approved(uint64_t provider, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_IS_PROVIDER_APPROVED);
	abi_put_u64(&o, provider);
	return call_end(&o, ret);
}

int view_pdp_config(struct buf *ret)
{
	return call_bare(CALL_VIEW_PDP_CONFIG, ret);
}

int view_price_list(struct buf *ret)
{
	return call_bare(CALL_VIEW_PRICE_LIST, ret);
}

int view_current_pricing_rates(struct buf *ret)
{
	return call_bare(CALL_VIEW_CURRENT_PRICING_RATES, ret);
}

int view_proving_deadline(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PROVING_DEADLINE);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int view_proven_this_period(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PROVEN_THIS_PERIOD);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int view_proven_periods(uint64_t data_set, uint64_t period, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PROVEN_PERIODS);
	abi_put_u64(&o, data_set);
	abi_put_u64(&o, period);
	return call_end(&o, ret);
}

int view_proving_activation_epoch(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_VIEW_PROVING_ACTIVATION_EPOCH);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int view_next_upgrade(struct buf *ret)
{
	return call_bare(CALL_VIEW_NEXT_UPGRADE, ret);
}
