/*
 * fuzz_abi.c - answers of contracts: the first byte chooses the reader, the rest
 * is the answer.  What is read back stays inside the answer.
 */
#include <assert.h>
#include <string.h>

#include "chain/call.h"
#include "chain/eip712.h"
#include "chain/fwss.h"
#include "chain/multicall.h"
#include "chain/pay.h"
#include "chain/pdp.h"
#include "chain/registry.h"
#include "chain/view.h"
#include "tests/fuzz/fuzz.h"

#define CAP 32

static volatile uint8_t sink;

/* Within the answer, and every byte of it readable. */
static void look(struct slice all, struct slice s)
{
	assert(s.n == 0 || (s.p >= all.p && s.p + s.n <= all.p + all.n));
	for (size_t i = 0; i < s.n; i++)
		sink ^= s.p[i];
}

static void look_at_provider(struct slice s, const struct registry_provider *p)
{
	struct registry_terms t;

	look(s, p->name);
	look(s, p->description);
	assert(p->n_capabilities <= REGISTRY_CAPABILITIES_MAX);
	for (size_t i = 0; i < p->n_capabilities; i++) {
		look(s, p->capability[i].key);
		look(s, p->capability[i].value);
	}
	if (registry_terms(p, &t, NULL) == 0) {
		look(s, t.service_url);
		look(s, t.location);
		assert(t.min_piece_bytes <= t.max_piece_bytes);
	}
}

static void read_registry(uint8_t which, struct slice s)
{
	static struct registry_provider list[CAP];
	struct registry_capability caps[CAP];
	uint64_t ids[CAP];
	size_t n = 0;
	bool b;

	if (which == 0 && registry_product_answer(s, list) == 0)
		look_at_provider(s, list);
	if (which == 1 && registry_provider_answer(s, list) == 0)
		look_at_provider(s, list);
	if (which == 2 && registry_products_answer(s, list, CAP, &n, &b) == 0)
		for (size_t i = 0; i < n; i++)
			look_at_provider(s, &list[i]);
	n = 0;
	if (which == 3 && registry_capabilities_answer(s, &b, caps, CAP, &n) == 0)
		for (size_t i = 0; i < n; i++)
			look(s, caps[i].value);
	if (which == 4 && registry_endorsed_answer(s, ids, CAP, &n) == 0)
		for (size_t i = 0; i < n; i++)
			assert(ids[i] != 0);
	assert(n <= CAP);
}

static void read_view(uint8_t which, struct slice s)
{
	struct view_data_set sets[CAP];
	struct eip712_entry entries[CAP];
	struct view_nonce nonce;
	struct view_pdp_config config;
	struct view_price_list prices;
	struct view_upgrade up;
	struct u256 x, y;
	struct slice v;
	size_t n = 0;
	bool b;

	if (which == 0)
		best_effort(view_data_set_answer(s, sets)); /* may be refused */
	if (which == 1 && view_data_sets_answer(s, sets, CAP, &n) == 0)
		assert(s.n == 64 + n * 13 * ABI_WORD);
	if (which == 2 && view_metadata_answer(s, entries, CAP, &n) == 0) {
		for (size_t i = 0; i < n; i++) {
			look(s, entries[i].key);
			look(s, entries[i].value);
		}
	}
	if (which == 3 && view_value_answer(s, &b, &v) == 0)
		look(s, v);
	if (which == 4 && view_client_nonces_answer(s, &nonce) == 0)
		assert(nonce.used || !nonce.data_set_id);
	if (which == 5)
		best_effort(view_pdp_config_answer(s, &config)); /* likewise */
	if (which == 6)
		best_effort(view_price_list_answer(s, &prices)); /* likewise */
	if (which == 7)
		best_effort(view_next_upgrade_answer(s, &up)); /* likewise */
	if (which == 8)
		best_effort(view_current_pricing_rates_answer(s, &x, &y)); /* likewise */
	assert(n <= CAP);
}

static void read_rest(uint8_t which, struct slice s)
{
	struct pdp_piece pieces[CAP];
	struct multicall_result results[3];
	struct pay_rail_info rails[CAP];
	struct pay_account account;
	struct pay_approvals approvals;
	struct pay_state state;
	struct pay_info info;
	struct pay_rail rail;
	struct fwss_domain domain;
	struct fwss_service_price price;
	struct address a, b;
	uint64_t ids[CAP], x, y;
	struct slice v;
	size_t n = 0;
	bool more;

	if (which == 0 && pdp_pieces_answer(s, pieces, CAP, &n, &more) == 0)
		for (size_t i = 0; i < n; i++)
			look(s, pieces[i].cid);
	if (which == 1 && pdp_piece_cid_answer(s, &v) == 0)
		look(s, v);
	if (which == 2)
		best_effort(pdp_storage_provider_answer(s, &a, &b)); /* likewise */
	if (which == 3 && pay_accounts_answer(s, &account) == 0)
		for (uint64_t epoch = 0; epoch < 5; epoch++)
			pay_account_at(&account, epoch * 1000000, &state);
	if (which == 4)
		best_effort(pay_operator_approvals_answer(s, &approvals)); /* likewise */
	if (which == 5)
		best_effort(pay_rail_answer(s, &rail)); /* likewise */
	if (which == 6)
		best_effort(pay_rails_for_payer_answer(s, rails, CAP, &n, &x,
						       &y)); /* likewise */
	if (which == 7)
		best_effort(pay_account_info_if_settled_answer(s, &info)); /* likewise */
	if (which == 8 && multicall_answer(s, results, ARRAY_LEN(results)) == 0)
		for (size_t i = 0; i < ARRAY_LEN(results); i++)
			look(s, results[i].data);
	if (which == 9 && fwss_domain_answer(s, &domain) == 0)
		look(s, domain.name);
	if (which == 10)
		best_effort(fwss_service_price_answer(s, &price)); /* likewise */
	if (which == 11 && call_answer_text(s, &v) == 0)
		look(s, v);
	if (which == 12 && call_answer_ids(s, ids, CAP, &n) == 0)
		assert(s.n == 64 + n * ABI_WORD);
	assert(n <= CAP);
}

/* Answers of one word: one form for each value. */
static void read_word(uint8_t which, struct slice s)
{
	uint8_t word[ABI_WORD], bytes[ABI_WORD] = { 0 };
	struct u256 v = u256(0);
	struct address a;
	uint64_t n = 0;
	bool b = false;
	int r = -1;

	switch (which) {
	case 0: r = call_answer_u256(s, &v); break;
	case 1:
		r = call_answer_u64(s, &n);
		v = u256(n);
		break;
	case 2:
		r = call_answer_bool(s, &b);
		v = u256(b);
		break;
	case 3:
		r = call_answer_bytes32(s, bytes);
		v = u256_from_be(bytes);
		break;
	case 4:
		r = call_answer_address(s, &a);
		if (r == 0)
			memcpy(bytes + ABI_WORD - sizeof(a.b), a.b, sizeof(a.b));
		v = u256_from_be(bytes);
		break;
	case 5:
		if (call_answer_epoch(s, &n) == 0)
			assert(s.n == ABI_WORD);
		return;
	default: return;
	}
	if (r < 0)
		return;
	u256_to_be(v, word);
	assert(slice_eq(s, slice(word, sizeof(word))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s;

	if (!size)
		return 0;
	s = slice(data + 1, size - 1);
	if (data[0] < 16)
		read_registry(data[0], s);
	else if (data[0] < 32)
		read_view(data[0] - 16, s);
	else if (data[0] < 64)
		read_rest(data[0] - 32, s);
	else
		read_word(data[0] - 64, s);
	return 0;
}
