/* test_money.c - a payer's limits, and what follows from them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/err.h"
#include "chain/amount.h"
#include "chain/money.h"
#include "chain/pay.h"
#include "chain/view.h"

#define HOUR_MS 3600000ull

static struct u256 amount(const char *text)
{
	struct u256 v = U256_ZERO;

	assert_int_equal(amount_parse(slice_str(text), "USDFC", &v, NULL), 0);
	return v;
}

static void assert_amount(struct u256 v, const char *text)
{
	char got[AMOUNT_TEXT_MAX];

	amount_text(v, got);
	assert_string_equal(got, text);
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

static void allowances_never_pass_the_budget(void **state)
{
	static const char *const budgets[] = { "0.000000000000000001", "0.3",
					       "1", "2.53", "100000" };
	const struct view_price_list p = prices();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(budgets); i++) {
		struct u256 budget = amount(budgets[i]), month, fees, most;
		struct money_allow a;

		assert_int_equal(money_allow(&p, budget, 4, &a), 0);
		assert_int_equal(u256_mul(a.rate, u256(86400), &month), 0);
		assert_true(u256_cmp(month, budget) <= 0);
		assert_int_equal(a.period, 86400);
		/* a month, four reserves, a year of fees */
		assert_int_equal(u256_muldiv(budget, u256(12), u256(10), &fees), 0);
		assert_int_equal(u256_add(month, fees, &most), 0);
		assert_int_equal(u256_add(most, amount("0.4"), &most), 0);
		assert_true(u256_eq(a.lockup, most));
	}
}

static void a_price_list_without_sense_allows_nothing(void **state)
{
	struct view_price_list p = prices();
	struct money_allow a = { .period = 7 };
	struct money_quote q;

	(void)state;
	p.lifecycle_reserve_target = U256_MAX;
	assert_int_equal(money_allow(&p, amount("1"), 4, &a), -EOVERFLOW);
	assert_int_equal(a.period, 7);
	p.lockup_period = UINT64_MAX;
	p.lifecycle_reserve_target = u256(0);
	assert_int_equal(money_allow(&p, U256_MAX, 4, &a), -EOVERFLOW);
	p = prices();
	p.storage_per_tib_month = U256_MAX;
	assert_true(money_quote(&p, 5ull << 40, 2, 3, HOUR_MS, &q) < 0);
}

static void commits_are_as_often_as_their_share_pays_for(void **state)
{
	const struct view_price_list p = prices();
	struct u256 fee, n, spent, share;
	uint64_t ms;

	(void)state;
	assert_int_equal(money_commit_fee(&p, 2, &fee), 0);
	assert_amount(fee, "0.0016");
	/* 84 USDFC a year, 10 % of 70 a month */
	assert_int_equal(money_commit_ms(&p, amount("100"), 2), MONEY_COMMIT_MIN_MS);
	assert_int_equal(money_commit_ms(&p, amount("0.5"), 2), MONEY_COMMIT_MAX_MS);
	assert_int_equal(money_commit_ms(&p, U256_ZERO, 2), MONEY_COMMIT_MAX_MS);
	assert_int_equal(money_commit_ms(&p, amount("11.52"), 2), HOUR_MS);
	assert_int_equal(money_commit_ms(&p, amount("11.52"), 4), 2 * HOUR_MS);
	for (unsigned b = 2; b < 60; b += 3) {
		assert_int_equal(u256_mul(u256(b), amount("1"), &share), 0);
		ms = money_commit_ms(&p, share, 2);
		assert_int_equal(u256_div(share, u256(10), &share, NULL), 0);
		if (ms == MONEY_COMMIT_MAX_MS)
			continue;
		n = u256(30 * 24 * HOUR_MS / (ms + 1));
		assert_int_equal(u256_mul(n, fee, &spent), 0);
		assert_true(u256_cmp(spent, share) <= 0);
	}
}

static void a_quote_adds_up(void **state)
{
	const struct view_price_list p = prices();
	struct money_quote one, two;
	struct u256 twice;

	(void)state;
	assert_int_equal(money_quote(&p, 1u << 30, 1, 0, HOUR_MS, &one), 0);
	assert_int_equal(money_quote(&p, 1u << 30, 2, 0, HOUR_MS, &two), 0);
	assert_int_equal(u256_add(one.rate, one.rate, &twice), 0);
	assert_true(u256_eq(two.rate, twice));
	assert_amount(two.commit, "0.0016");
	assert_amount(two.commits, "1.152");
	/* an empty drive has a commit: a set, a reserve, a piece */
	assert_int_equal(money_quote(&p, 0, 2, 0, HOUR_MS, &two), 0);
	assert_amount(two.fees, "0.0516");
	assert_true(u256_cmp(two.lockup, amount("0.2")) > 0);
	assert_true(u256_cmp(two.deposit, two.lockup) > 0);
}

static void a_suggested_budget_pays_for_data_and_commits(void **state)
{
	static const uint64_t sizes[] = { 0, 1u << 20, 100ull << 30, 5ull << 40 };
	const struct view_price_list p = prices();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct u256 budget, rest, all;
		struct money_quote q;

		assert_int_equal(money_budget(&p, sizes[i], 2, &budget), 0);
		assert_int_equal(money_quote(&p, sizes[i], 2, 0,
					     money_commit_ms(&p, budget, 2), &q),
				 0);
		assert_int_equal(u256_add(q.month, q.commits, &all), 0);
		assert_true(u256_cmp(all, budget) <= 0);
		assert_int_equal(u256_div(budget, amount("0.1"), NULL, &rest), 0);
		assert_true(u256_is_zero(rest));
	}
}

static void a_deposit_stays_under_the_cap(void **state)
{
	struct pay_info a = { .funds = amount("4") };
	struct err e = { "" };

	(void)state;
	assert_int_equal(money_check_deposit(&a, amount("1000"), U256_ZERO, &e), 0);
	assert_int_equal(money_check_deposit(&a, amount("6"), amount("10"), &e), 0);
	assert_int_equal(money_check_deposit(&a, amount("6.000000000000000001"),
					     amount("10"), &e),
			 -EDQUOT);
	assert_non_null(strstr(e.text, "deposit_cap of 10"));
	assert_int_equal(money_check_deposit(&a, U256_MAX, amount("10"), NULL),
			 -EDQUOT);
}

static void a_runway_is_whole_days(void **state)
{
	struct pay_info a = { .funded_until = 10000, .lockup_rate = u256(1) };

	(void)state;
	assert_int_equal(money_runway_days(&a, 10000 - 2880), 1);
	assert_int_equal(money_runway_days(&a, 10000 - 2879), 0);
	assert_int_equal(money_runway_days(&a, 20000), 0);
	a.lockup_rate = U256_ZERO;
	assert_int_equal(money_runway_days(&a, 20000), MONEY_NO_END);
	a.lockup_rate = u256(1);
	a.funded_until = PAY_NEVER;
	assert_int_equal(money_runway_days(&a, 1), MONEY_NO_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allowances_never_pass_the_budget),
		cmocka_unit_test(a_price_list_without_sense_allows_nothing),
		cmocka_unit_test(commits_are_as_often_as_their_share_pays_for),
		cmocka_unit_test(a_quote_adds_up),
		cmocka_unit_test(a_suggested_budget_pays_for_data_and_commits),
		cmocka_unit_test(a_deposit_stays_under_the_cap),
		cmocka_unit_test(a_runway_is_whole_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
