/* test_cost.c - what storing costs, against numbers of the real contracts */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "chain/amount.h"
#include "chain/cost.h"
#include "chain/view.h"
#include "crypto/commp.h"
#include "crypto/piece_cid.h"

static struct u256 amount(const char *text)
{
	struct u256 v = U256_ZERO;

	assert_int_equal(amount_parse(slice_str(text), "USDFC", &v, NULL), 0);
	return v;
}

/* FWSS 1.3.1's. */
static struct view_price_list prices(void)
{
	return (struct view_price_list){
		.storage_per_tib_month = amount("2.5"),
		.data_set_fee_per_month = amount("0.024"),
		.create_fee = amount("0.025"),
		.add_base_fee = amount("0.0005"),
		.add_piece_fee = amount("0.0003"),
		.lifecycle_reserve_target = amount("0.1"),
		.lockup_period = 86400,
	};
}

static void assert_amount(struct u256 v, const char *text)
{
	char got[AMOUNT_TEXT_MAX];

	amount_text(v, got);
	assert_string_equal(got, text);
}

/* PDPVerifier's own way: all of the tree, without the padding's. */
static uint64_t leaves(uint64_t raw)
{
	struct commp_sum sum = { .height = COMMP_HEIGHT_MIN };
	struct piece_cid cid;
	uint64_t n;

	while ((127ull << (sum.height - 2)) < raw)
		sum.height++;
	sum.raw_size = raw;
	sum.padding = (127ull << (sum.height - 2)) - raw;
	piece_cid_v2(&sum, &cid);
	n = (1ull << sum.height) - 128 * sum.padding / 127 / 32;
	assert_int_equal(cost_leaves(&cid), n);
	return n;
}

static void leaves_and_rate_are_those_that_the_contracts_count(void **state)
{
	struct view_price_list p = prices();
	uint64_t all = leaves(127) + leaves(1000) + leaves(1u << 20);
	struct u256 rate;

	(void)state;
	assert_int_equal(all, 33063);
	assert_int_equal(cost_rate(&p, all, &rate), 0);
	assert_true(u256_eq(rate, u256(277805403415)));
	assert_int_equal(cost_rate(&p, 0, &rate), 0);
	assert_true(u256_is_zero(rate));
	assert_int_equal(cost_rate(&p, 1, &rate), 0);
	assert_true(u256_cmp(rate, u256(277777777777)) > 0);
	assert_int_equal(leaves(127), 4);
	assert_int_equal(leaves(1065353216), 1u << 25);
}

static void leaves_of_a_size_are_those_of_its_piece(void **state)
{
	(void)state;
	for (uint64_t raw = 127; raw < 20000; raw++)
		assert_int_equal(cost_leaves_of_size(raw), leaves(raw));
}

static void the_first_gib_needs_fifteen_cents(void **state)
{
	struct view_price_list p = prices();
	struct cost_plan plan = { .create = true,
				  .add_leaves = cost_leaves_of_size(1u << 30),
				  .n_pieces = 1 };
	struct u256 deposit, month;
	struct cost c;

	(void)state;
	assert_int_equal(cost_of(&p, &plan, &c), 0);
	assert_amount(c.fees, "0.0258");
	assert_int_equal(cost_month(c.rate, &month), 0);
	/* 0.00244 for the bytes and 0.024 for the set */
	assert_true(u256_cmp(month, amount("0.02643")) > 0);
	assert_true(u256_cmp(month, amount("0.02645")) < 0);
	assert_int_equal(
		cost_deposit(&c, U256_ZERO, U256_ZERO, U256_ZERO, 0, &deposit), 0);
	assert_true(u256_cmp(deposit, amount("0.1522")) > 0);
	assert_true(u256_cmp(deposit, amount("0.1523")) < 0);
}

static void a_tib_costs_what_the_price_list_says(void **state)
{
	struct view_price_list p = prices();
	struct u256 rate, month;

	(void)state;
	assert_int_equal(cost_rate(&p, cost_leaves_of_size(1ull << 40), &rate), 0);
	assert_int_equal(cost_month(rate, &month), 0);
	assert_true(u256_cmp(month, amount("2.5239")) > 0);
	assert_true(u256_cmp(month, amount("2.5241")) < 0);
}

static void more_in_a_set_costs_the_difference_and_its_fees(void **state)
{
	struct view_price_list p = prices();
	struct cost_plan plan = { .have_leaves = 1u << 25,
				  .add_leaves = 1u << 25,
				  .n_pieces = 41 };
	struct u256 before, after;
	struct cost c, sum;

	(void)state;
	assert_int_equal(cost_rate(&p, 1u << 25, &before), 0);
	assert_int_equal(cost_rate(&p, 1u << 26, &after), 0);
	assert_int_equal(cost_of(&p, &plan, &c), 0);
	assert_amount(c.fees, "0.0133"); /* two adds, 41 pieces */
	assert_true(u256_eq(c.rate, u256_sub_capped(after, before)));
	plan.n_adds = 41;
	assert_int_equal(cost_of(&p, &plan, &c), 0);
	assert_amount(c.fees, "0.0328");
	sum = c;
	assert_int_equal(cost_sum(&sum, &c), 0);
	assert_amount(sum.fees, "0.0656");
}

static void a_deposit_is_what_is_missing_and_five_epochs(void **state)
{
	struct cost c = { .rate = u256(10), .lockup = u256(1000), .fees = u256(50) };
	struct u256 d;

	(void)state;
	assert_int_equal(cost_deposit(&c, u256(5), u256(1049), U256_ZERO, 0, &d), 0);
	assert_true(u256_eq(d, u256(1 + 5 * 15)));
	assert_int_equal(cost_deposit(&c, u256(5), u256(1050), U256_ZERO, 0, &d), 0);
	assert_true(u256_is_zero(d));
	assert_int_equal(cost_deposit(&c, U256_ZERO, u256(50), u256(7), 3, &d), 0);
	assert_true(u256_eq(d, u256(1000 + 7 + 3 * 10)));
}

static void a_price_list_without_sense_is_an_error(void **state)
{
	struct view_price_list p = prices();
	struct cost_plan plan = { .add_leaves = UINT64_MAX, .n_pieces = 1 };
	struct cost c;

	(void)state;
	p.storage_per_tib_month = U256_MAX;
	assert_int_equal(cost_of(&p, &plan, &c), -EOVERFLOW);
	plan.have_leaves = 1;
	assert_int_equal(cost_of(&p, &plan, &c), -EOVERFLOW);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_and_rate_are_those_that_the_contracts_count),
		cmocka_unit_test(leaves_of_a_size_are_those_of_its_piece),
		cmocka_unit_test(the_first_gib_needs_fifteen_cents),
		cmocka_unit_test(a_tib_costs_what_the_price_list_says),
		cmocka_unit_test(more_in_a_set_costs_the_difference_and_its_fees),
		cmocka_unit_test(a_deposit_is_what_is_missing_and_five_epochs),
		cmocka_unit_test(a_price_list_without_sense_is_an_error),
	};

	return cmocka_run_group_tests_name("cost", tests, NULL, NULL);
}
