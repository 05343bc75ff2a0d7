/* test_judge.c - which storage providers stay, which are replaced */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "onboard/judge.h"

#define NOW    1800000000u
#define PERIOD 86400u
#define HOUR   3600u

static const struct judge_rules rules = { .away_s = 24ul * HOUR, .wrong = 3 };

static struct judge_facts good(void)
{
	return (struct judge_facts){
		.now_s = NOW,
		.proof = { .state = PROVIDER_PROOF_GOOD,
			   .last_s = NOW - HOUR,
			   .deadline_s = NOW + PERIOD,
			   .period_s = PERIOD,
			   .provider = 7,
			   .set = 42,
			   .name = "Example" },
	};
}

/* The verdict; a sentence comes with every one but FINE, and names who it is. */
static enum judge_verdict judge(const struct judge_facts *f)
{
	char why[JUDGE_TEXT_MAX] = "left";
	enum judge_verdict v = judge_store(f, &rules, why);

	if (v == JUDGE_FINE)
		assert_string_equal(why, "");
	else
		assert_non_null(strstr(why, f->proof.name));
	return v;
}

static enum judge_verdict missing(enum provider_proof_state state,
				  uint64_t for_s, bool unpaid)
{
	struct judge_facts f = good();

	f.proof.state = state;
	f.proof.missing_s = NOW - for_s;
	f.proof.unpaid = unpaid;
	return judge(&f);
}

static void who_proves_stays(void **state)
{
	struct judge_facts f = good();

	(void)state;
	assert_int_equal(judge(&f), JUDGE_FINE);
	f.proof.state = PROVIDER_PROOF_NONE;
	assert_int_equal(judge(&f), JUDGE_FINE);
}

static void one_late_proof_is_a_warning(void **state)
{
	(void)state;
	assert_int_equal(missing(PROVIDER_PROOF_LATE, 1, false), JUDGE_WARN);
	assert_int_equal(missing(PROVIDER_PROOF_LATE, PERIOD, false), JUDGE_WARN);
}

static void faults_for_longer_than_a_period_are_the_end(void **state)
{
	(void)state;
	assert_int_equal(missing(PROVIDER_PROOF_FAULTED, PERIOD, false), JUDGE_WARN);
	assert_int_equal(missing(PROVIDER_PROOF_FAULTED, PERIOD + 1, false),
			 JUDGE_REPLACE);
}

static void who_is_not_paid_need_not_prove_nor_answer(void **state)
{
	struct judge_facts f = good();

	(void)state;
	assert_int_equal(missing(PROVIDER_PROOF_FAULTED, 9ul * PERIOD, true),
			 JUDGE_WARN);
	f.proof.unpaid = true;
	f.away_s = 999ul * HOUR;
	assert_int_equal(judge(&f), JUDGE_FINE);
}

static void a_clock_that_was_set_back_accuses_nobody(void **state)
{
	struct judge_facts f = good();

	(void)state;
	f.proof.state = PROVIDER_PROOF_FAULTED;
	f.proof.missing_s = NOW + 1;
	assert_int_equal(judge(&f), JUDGE_WARN);
}

static void what_has_ended_or_is_gone_is_replaced_at_once(void **state)
{
	struct judge_facts f = good();

	(void)state;
	f.proof.state = PROVIDER_PROOF_ENDED;
	assert_int_equal(judge(&f), JUDGE_REPLACE);
	f.proof.state = PROVIDER_PROOF_GONE;
	assert_int_equal(judge(&f), JUDGE_REPLACE);
}

static void who_cannot_be_reached_has_a_day(void **state)
{
	struct judge_facts f = good();

	(void)state;
	f.away_s = 24ul * HOUR - 1;
	assert_int_equal(judge(&f), JUDGE_FINE);
	f.away_s++;
	assert_int_equal(judge(&f), JUDGE_REPLACE);
}

static void wrong_bytes_are_borne_a_few_times(void **state)
{
	struct judge_facts f = good();

	(void)state;
	f.wrong = 1;
	assert_int_equal(judge(&f), JUDGE_WARN);
	f.wrong = 3;
	assert_int_equal(judge(&f), JUDGE_WARN);
	f.wrong = 4;
	assert_int_equal(judge(&f), JUDGE_REPLACE);
}

static void where_nobody_was_chosen_nobody_is_replaced(void **state)
{
	struct judge_facts f = { .now_s = NOW, .away_s = UINT64_MAX, .wrong = 99 };

	(void)state;
	f.proof.state = PROVIDER_PROOF_NONE;
	assert_int_equal(judge(&f), JUDGE_FINE);
}

static void a_name_of_any_length_fits(void **state)
{
	struct judge_facts f = good();

	(void)state;
	memset(f.proof.name, 'x', sizeof(f.proof.name) - 1);
	f.proof.set = UINT64_MAX;
	f.proof.state = PROVIDER_PROOF_ENDED;
	assert_int_equal(judge(&f), JUDGE_REPLACE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_proves_stays),
		cmocka_unit_test(one_late_proof_is_a_warning),
		cmocka_unit_test(faults_for_longer_than_a_period_are_the_end),
		cmocka_unit_test(who_is_not_paid_need_not_prove_nor_answer),
		cmocka_unit_test(a_clock_that_was_set_back_accuses_nobody),
		cmocka_unit_test(what_has_ended_or_is_gone_is_replaced_at_once),
		cmocka_unit_test(who_cannot_be_reached_has_a_day),
		cmocka_unit_test(wrong_bytes_are_borne_a_few_times),
		cmocka_unit_test(where_nobody_was_chosen_nobody_is_replaced),
		cmocka_unit_test(a_name_of_any_length_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
