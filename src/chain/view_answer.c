#include "chain/view.h"

#include <errno.h>

#include "chain/abi.h"
#include "chain/eip712.h"

#define DATA_SET_WORDS 13

static struct view_data_set get_data_set(struct abi_in *in)
{
	struct view_data_set d;

	d.pdp_rail_id = abi_get_u64(in);
	d.cache_miss_rail_id = abi_get_u64(in);
	d.cdn_rail_id = abi_get_u64(in);
	d.payer = abi_get_address(in);
	d.payee = abi_get_address(in);
	d.service_provider = abi_get_address(in);
	d.commission_bps = abi_get_u64(in);
	d.client_data_set_id = abi_get_u256(in);
	d.pdp_end_epoch = abi_get_u64_capped(in);
	d.provider_id = abi_get_u64(in);
	d.pending_one_time_payments = abi_get_u256(in);
	d.lifecycle_reserve = abi_get_u256(in);
	d.data_set_id = abi_get_u64(in);
	return d;
}

int view_data_set_answer(struct slice answer, struct view_data_set *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct view_data_set d = get_data_set(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = d;
	return 0;
}

int view_data_sets_answer(struct slice answer, struct view_data_set *ret,
			  size_t cap, size_t *ret_n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list;
	size_t n;
	int r;

	list = abi_get_array(&in, DATA_SET_WORDS, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		ret[i] = get_data_set(&list);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	return 0;
}

int view_metadata_answer(struct slice answer, struct eip712_entry *ret,
			 size_t cap, size_t *ret_n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), keys, values;
	size_t n, n_values;
	int r;

	keys = abi_get_array(&in, 1, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		ret[i].key = abi_get_string(&keys);
	values = abi_get_array(&in, 1, &n_values);
	if (n_values != n)
		abi_fail(&in, -EPROTO);
	for (size_t i = 0; i < n; i++)
		ret[i].value = abi_get_string(&values);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	return 0;
}

int view_value_answer(struct slice answer, bool *ret_exists, struct slice *ret_value)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	bool exists = abi_get_bool(&in);
	struct slice value = abi_get_string(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_exists = exists;
	*ret_value = value;
	return 0;
}

/* The data set in the low 128 bits, the next piece in the high ones. */
int view_client_nonces_answer(struct slice answer, struct view_nonce *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct u256 v = abi_get_u256(&in);
	int r;

	if (v.w[1] || v.w[3])
		abi_fail(&in, -EPROTO);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = (struct view_nonce){ !u256_is_zero(v), v.w[0], v.w[2] };
	return 0;
}

int view_pdp_config_answer(struct slice answer, struct view_pdp_config *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct view_pdp_config c;
	int r;

	c.max_proving_period = abi_get_u64(&in);
	c.challenge_window = abi_get_u64(&in);
	c.challenges_per_proof = abi_get_u64(&in);
	c.first_window_start = abi_get_u64_capped(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = c;
	return 0;
}

int view_price_list_answer(struct slice answer, struct view_price_list *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct view_price_list p;
	int r;

	p.token = abi_get_address(&in);
	p.storage_per_tib_month = abi_get_u256(&in);
	p.data_set_fee_per_month = abi_get_u256(&in);
	p.cdn_egress_per_tib = abi_get_u256(&in);
	p.cache_miss_egress_per_tib = abi_get_u256(&in);
	p.create_fee = abi_get_u256(&in);
	p.add_base_fee = abi_get_u256(&in);
	p.add_piece_fee = abi_get_u256(&in);
	p.remove_fee = abi_get_u256(&in);
	p.terminate_fee = abi_get_u256(&in);
	p.lifecycle_reserve_target = abi_get_u256(&in);
	p.replenish_threshold = abi_get_u256(&in);
	p.lockup_period = abi_get_u64(&in);
	p.cdn_lockup = abi_get_u256(&in);
	p.cache_miss_lockup = abi_get_u256(&in);
	p.cdn_lockup_period = abi_get_u64(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = p;
	return 0;
}

int view_current_pricing_rates_answer(struct slice answer,
				      struct u256 *ret_storage_per_tib_month,
				      struct u256 *ret_data_set_fee_per_month)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct u256 storage = abi_get_u256(&in), fee = abi_get_u256(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_storage_per_tib_month = storage;
	*ret_data_set_fee_per_month = fee;
	return 0;
}

int view_next_upgrade_answer(struct slice answer, struct view_upgrade *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct view_upgrade u;
	int r;

	u.next_implementation = abi_get_address(&in);
	u.after_epoch = abi_get_u64_capped(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = u;
	return 0;
}
