/*
 * test_sender_nonce.c - what else may come to be under a transaction's nonce
 *
 * The same with a higher fee, the same again, another program's, or what a node lies
 * about.
 */
#include "tests/component/chain/wallet.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "chain/eth_tx.h"

/* ---- what the pool does to it ---- */

static void a_stuck_one_is_replaced_by_one_that_pays_a_quarter_more(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct sender *s;
	struct run run = { .r = 0 };
	struct eth_tx a, b;
	struct address from;
	struct u256 least;

	p.stuck_ms = 100;
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	wait_rows(f, 2);
	wait_pending(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&run), 0);
	assert_true(balance(f, 1) == 1001); /* once */
	assert_int_equal(f->n_settled, 1);

	assert_int_equal(eth_tx_parse(buf_slice(&f->raw[0]), &a, &from), 0);
	assert_int_equal(eth_tx_parse(buf_slice(&f->raw[1]), &b, &from), 0);
	assert_true(a.nonce == b.nonce && u256_eq(a.value, b.value));
	assert_int_equal(u256_muldiv(a.max_priority_fee, u256(5), u256(4), &least),
			 0);
	assert_true(u256_cmp(b.max_priority_fee, least) >= 0);
	assert_int_equal(u256_muldiv(a.max_fee, u256(5), u256(4), &least), 0);
	assert_true(u256_cmp(b.max_fee, least) >= 0);
	sender_free(s);
}

static void a_replacement_over_the_limit_is_not_signed(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.stuck_ms = 50;
	p.max_fee = u256(3 * GWEI); /* 2 × 1 and 1 on top; no quarter more */
	s = sender_with(f, &p);
	run_fails(f, &run, s, 1, -EDQUOT, 1);
	assert_int_equal(sender_open(s, NULL, 0), 1);
	sender_free(s);
}

static void a_dropped_one_is_sent_again_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.resend_ms = 100;
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	wait_pending(f, 1);
	node(f, "anvil_dropAllTransactions", "[]");
	wait_pending(f, 1);
	mine(f, 2);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(f->n_rows, 1);
	assert_true(balance(f, 1) == 1001);
	sender_free(s);
}

static void after_a_reorganisation_it_is_mined_again(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.resend_ms = 100;
	p.confirmations = 4;
	s = sender_with(f, &p);
	mine(f, 3);
	node(f, "evm_snapshot", "[]");
	run_start(&run, s, 1);
	wait_pending(f, 1);
	mine(f, 2);
	wait_depth(&run, 2);
	node(f, "evm_revert", "[\"0x0\"]");
	wait_pending(f, 1);
	assert_int_equal(f->n_settled, 0);
	mine(f, 5);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(f->n_rows, 1);
	assert_true(balance(f, 1) == 1001);
	sender_free(s);
}

static void a_nonce_that_another_program_used_displaces_it(void **state)
{
	struct fixture *f = *state;
	struct sender *s = sender_plain(f);
	struct eth_tx theirs = { .chain_id = RIG_CHAIN,
				 .max_fee = u256(10 * GWEI),
				 .max_priority_fee = u256(GWEI),
				 .gas_limit = 21000,
				 .to = somebody(99),
				 .value = u256(5) };
	_cleanup_buf_ struct buf raw = { 0 };
	_cleanup_buf_ struct buf text = { 0 };
	uint8_t hash[ETH_TX_HASH_SIZE];
	struct run run = { .r = 0 };

	run_start(&run, s, 1);
	wait_pending(f, 1);
	node(f, "anvil_dropAllTransactions", "[]");
	buf_init(&raw, ETH_TX_MAX);
	buf_init(&text, 2 * ETH_TX_MAX);
	assert_int_equal(eth_tx_sign(&theirs, f->key, &raw, hash), 0);
	assert_int_equal(buf_printf(&text, "[\"0x"), 0);
	for (size_t i = 0; i < raw.n; i++)
		assert_int_equal(buf_printf(&text, "%02x", raw.p[i]), 0);
	assert_int_equal(buf_append(&text, slice("\"]", 3)), 0);
	node(f, "eth_sendRawTransaction", (const char *)text.p);
	mine(f, 1);
	assert_int_equal(usleep(100000), 0);
	assert_int_equal(n_settled(f), 0); /* a receipt may still come */
	mine_until_settled(f);
	assert_int_equal(run_end(&run), -ESTALE);
	assert_int_equal(run.tx.outcome.end, SENDER_DISPLACED);
	assert_true(balance(f, 1) == 0);
	assert_int_equal(f->n_settled, 1);
	sender_free(s);
}

/* ---- nodes that lie ---- */

static struct rpc *beside(struct fixture *f, const char *liar)
{
	const char *const paths[] = { "", liar };

	return rig_rpc(&f->rig, paths, 2);
}

static void one_nodes_receipt_is_not_enough(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	mine(f, 20); /* the forged one is deep */
	p.rpc = beside(f, "forge");
	s = sender_with(f, &p);
	run_fails(f, &run, s, 1, -EBADMSG, 1);
	assert_int_equal(f->n_settled, 0);
	assert_int_equal(sender_open(s, NULL, 0), 1);
	sender_free(s);
	rpc_free(p.rpc);
}

static void a_node_that_hides_a_receipt_holds_the_end_up_but_cannot_change_it(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.rpc = beside(f, "blind");
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	wait_pending(f, 1);
	sender_cancel(s, &run.tx);
	assert_int_equal(run_end(&run), -ECANCELED);
	mine(f, 6);
	run = (struct run){ .r = 0 };
	run_fails(f, &run, s, 1, -EBADMSG, 1);
	assert_int_equal(f->n_settled, 0);
	sender_free(s);
	rpc_free(p.rpc);

	s = sender_plain(f);
	run.tx.deadline_ms = PATIENCE_MS;
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), 0);
	assert_int_equal(f->n_rows, 1);
	sender_free(s);
}

static void a_nonce_far_off_is_not_believed(void **state)
{
	struct fixture *f = *state;
	struct sender_params p = defaults(f);
	struct run run = { .r = 0 };
	struct sender *s;

	p.rpc = beside(f, "ahead");
	s = sender_with(f, &p);
	run_start(&run, s, 1);
	assert_int_equal(run_end(&run), -EBADMSG);
	assert_int_equal(f->n_rows, 0);
	sender_free(s);
	rpc_free(p.rpc);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_stuck_one_is_replaced_by_one_that_pays_a_quarter_more),
		CASE(a_replacement_over_the_limit_is_not_signed),
		CASE(a_dropped_one_is_sent_again_as_it_was),
		CASE(after_a_reorganisation_it_is_mined_again),
		CASE(a_nonce_that_another_program_used_displaces_it),
		CASE(one_nodes_receipt_is_not_enough),
		CASE(a_node_that_hides_a_receipt_holds_the_end_up_but_cannot_change_it),
		CASE(a_nonce_far_off_is_not_believed),
	};

	log_level_set(LOG_LEVEL_ERROR);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("sender_nonce", tests, NULL, NULL);
}
