/* test_rejoin.c - the budget that an allowance on chain was made of */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "chain/amount.h"
#include "chain/money.h"
#include "chain/view.h"
#include "daemon/rejoin.h"

static struct u256 rate_of(struct u256 budget)
{
	const struct view_price_list p = { .lockup_period = 86400 };
	struct money_allow allow;

	assert_int_equal(money_allow(&p, budget, 4, &allow), 0);
	return allow.rate;
}

static void a_budget_is_what_it_was_as_a_person_writes_it(void **state)
{
	static const char *const texts[] = { "1",      "0.1",  "2.5", "0.0001",
					     "123.45", "1000", "0.4", "99999.99" };
	struct u256 budget;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(amount_parse(slice_str(texts[i]), "USDFC",
					      &budget, NULL),
				 0);
		assert_true(u256_eq(rejoin_budget(rate_of(budget)), budget));
	}
}

static void any_budget_gives_the_same_rate_again(void **state)
{
	struct u256 budget = u256(1), rate, back;

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		rate = rate_of(budget);
		back = rejoin_budget(rate);
		if (!u256_is_zero(rate))
			assert_true(u256_eq(rate_of(back), rate));
		assert_int_equal(u256_mul(budget, u256(3), &budget), 0);
		assert_int_equal(u256_add(budget, u256(i), &budget), 0);
	}
}

static void no_limit_is_no_budget(void **state)
{
	(void)state;
	assert_true(u256_is_zero(rejoin_budget(U256_MAX)));
	assert_true(u256_is_zero(rejoin_budget(u256_shr(U256_MAX, 1))));
	assert_true(u256_is_zero(rejoin_budget(U256_ZERO)));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_budget_is_what_it_was_as_a_person_writes_it),
		cmocka_unit_test(any_budget_gives_the_same_rate_again),
		cmocka_unit_test(no_limit_is_no_budget),
	};

	return cmocka_run_group_tests_name("rejoin", tests, NULL, NULL);
}
