/* test_sender.c - transactions of our own on a real EVM node */
#include "tests/component/chain/wallet.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* ---- the plain way ---- */

static void a_transaction_is_written_down_sent_mined_and_settled(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };

	run_start(&run, s, 1);
	wait_pending(f, 1);
	assert_int_equal(f->n_rows, 1);
	mine(f, 1);
	wait_depth(&run, 1);
	assert_int_equal(f->n_settled, 0); /* not deep enough */
	mine(f, 1);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(run.tx.outcome.end, SENDER_MINED);
	assert_int_equal(run.tx.outcome.block, 1);
	assert_int_equal(run.tx.outcome.gas_used, 21000);
	assert_false(u256_is_zero(run.tx.outcome.fee));
	assert_true(balance(f, 1) == 1001);
	assert_int_equal(f->n_settled, 1);
	assert_int_equal(sender_open(s, NULL, 0), 0);
	sender_free(s);
}

static void intents_that_run_together_get_nonces_in_a_row(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run runs[5] = { { .r = 0 } };
	struct run again = { .r = 0 };

	for (uint8_t i = 0; i < 5; i++)
		run_start(&runs[i], s, i + 1u);
	wait_pending(f, 5);
	again.tx.intent = 3;
	assert_int_equal(sender_run(s, &again.tx), -EALREADY);
	mine(f, 3);
	for (uint8_t i = 0; i < 5; i++) {
		assert_int_equal(run_end(&runs[i]), 0);
		assert_true(balance(f, i + 1) == 1001u + i);
	}
	assert_int_equal(f->n_rows, 5);
	assert_int_equal(f->n_settled, 5);
	sender_free(s);
}

static void at_its_deadline_it_is_looked_at_once_more(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct sender *s;
	unsigned ms = TRY_MS, n = 0;
	struct run run;
	int r;

	p.poll_ms = 10 * PATIENCE_MS; /* it is mined while nobody looks */
	s = sender_with(f, &p);
	do {
		run = (struct run){ .tx.deadline_ms = ms };
		run_start(&run, s, ++n);
		assert_int_equal(usleep(ms * 1000 / 2), 0);
		mine(f, 6);
		r = run_end(&run);
		ms *= 2; /* mined too late */
	} while (r == -ETIMEDOUT && ms < PATIENCE_MS);
	assert_int_equal(r, 0);
	assert_int_equal(f->n_settled, 1);
	sender_free(s);
}

/* ---- reverts and limits ---- */

/* Reverts with DataSetNotLive(). */
static void poison(struct fixture *f, uint8_t n)
{
	char who[ADDRESS_TEXT_MAX], params[160];

	address_text(somebody(n), who);
	(void)snprintf(params, sizeof(params),
		       "[\"%s\",\"0x635d94694460e01b60005260046000fd\"]", who);
	node(f, "anvil_setCode", params);
}

static void what_would_revert_is_not_sent(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };

	poison(f, 1);
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -ENOEXEC);
	assert_int_equal(run.tx.outcome.end, SENDER_OPEN);
	assert_non_null(strstr(run.tx.err.text, "data set"));
	assert_int_equal(f->n_rows, 0);
	assert_int_equal(sender_open(s, NULL, 0), 0);
	assert_int_equal(pending(f), 0);
	sender_free(s);
}

static void what_reverts_in_a_block_is_over_and_says_why(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .tx = { .data = slice_str("longer than nothing") } };
	struct run next = { .r = 0 };

	run_start(&run, s, 1);
	wait_pending(f, 1);
	poison(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&run), -ENOEXEC);
	assert_int_equal(run.tx.outcome.end, SENDER_REVERTED);
	assert_non_null(strstr(run.tx.outcome.err.text, "data set"));
	assert_int_equal(f->n_settled, 1);
	/* Its nonce is used: the next goes on. */
	run_start(&next, s, 2);
	wait_pending(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&next), 0);
	sender_free(s);
}

static void limits_are_kept_before_anything_is_signed(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.max_fee = u256(1000);
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -EDQUOT);
	sender_free(s);

	p = defaults(f);
	p.max_cost = u256(GWEI);
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -EDQUOT);
	sender_free(s);

	/* More than the account has. */
	s = sender_plain(f);
	run.tx.intent = 1;
	run.tx.to = somebody(1);
	assert_int_equal(u256_mul(u256(UINT64_MAX), u256(1000000), &run.tx.value),
			 0);
	assert_int_equal(sender_run(s, &run.tx), -ENOSPC);
	assert_int_equal(f->n_rows, 0);
	sender_free(s);
}

static void a_signature_of_another_key_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };

	f->wrong_key = true;
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -EKEYREJECTED);
	assert_int_equal(f->n_rows, 0);
	assert_int_equal(pending(f), 0);
	sender_free(s);
}

/* ---- crashes ---- */

static void what_is_not_written_down_is_not_sent(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };

	f->fail_persist = true;
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -EIO);
	assert_int_equal(pending(f), 0);
	f->fail_persist = false;
	run_start(&run, s, 1);
	wait_pending(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(number(f, "eth_blockNumber", "[]"), 2);
	sender_free(s);
}

/* Ends a run early, as a crash would, and starts anew from what is on disk. */
static struct sender *crash(struct fixture *f, struct run *run)
{
	sender_cancel(run->s, &run->tx);
	assert_int_equal(run_end(run), -ECANCELED);
	sender_free(run->s);
	*run = (struct run){ .r = 0 };
	return sender_plain(f);
}

static void a_restart_goes_on_wherever_it_was(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };
	uint64_t open[2] = { 0 };

	/* Between writing and sending. */
	f->crash_persist = true;
	run_start(&run, s, 7);
	assert_int_equal(run_end(&run), -EIO);
	sender_free(s);
	f->crash_persist = false;
	assert_int_equal(pending(f), 0);
	s = sender_plain(f);
	assert_int_equal(sender_open(s, open, 2), 1);
	assert_true(open[0] == 7);
	run_start(&run, s, 7);
	wait_pending(f, 1);

	/* In the pool. */
	s = crash(f, &run);
	run_start(&run, s, 7);
	assert_int_equal(usleep(100000), 0);
	assert_int_equal(pending(f), 1);

	/* In a block, not deep enough; mined on while we were away. */
	mine(f, 1);
	wait_depth(&run, 1);
	s = crash(f, &run);
	mine(f, 5);
	run_start(&run, s, 7);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(f->n_rows, 1);
	assert_int_equal(f->n_settled, 1);
	assert_true(balance(f, 7) == 1007); /* once */
	sender_free(s);
}

static void rows_of_another_wallet_are_refused(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct sender_row row = { .intent = 1, .raw = slice_str("nonsense") };
	struct sender *s = NULL;
	struct err e = { 0 };

	assert_int_equal(sender_new(&p, &row, 1, &s, &e), -EUCLEAN);
	assert_true(e.text[0]);
}

static void a_deadline_leaves_it_open(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct run run = { .r = 0 };

	run_fails(f, &run, s, 1, -ETIMEDOUT, 1);
	assert_int_equal(sender_open(s, NULL, 0), 1);
	run.tx.deadline_ms = PATIENCE_MS;
	run_start(&run, s, 1);
	wait_pending(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(f->n_rows, 1);
	sender_free(s);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_transaction_is_written_down_sent_mined_and_settled),
		CASE(intents_that_run_together_get_nonces_in_a_row),
		CASE(what_would_revert_is_not_sent),
		CASE(what_reverts_in_a_block_is_over_and_says_why),
		CASE(limits_are_kept_before_anything_is_signed),
		CASE(a_signature_of_another_key_is_refused),
		CASE(at_its_deadline_it_is_looked_at_once_more),
		CASE(what_is_not_written_down_is_not_sent),
		CASE(a_restart_goes_on_wherever_it_was),
		CASE(rows_of_another_wallet_are_refused),
		CASE(a_deadline_leaves_it_open),
	};

	log_level_set(LOG_LEVEL_ERROR);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("sender", tests, NULL, NULL);
}
