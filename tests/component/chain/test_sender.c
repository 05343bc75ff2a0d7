/* test_sender.c - transactions of our own on a real EVM node (anvil.py) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "chain/sender.h"
#include "crypto/secret.h"
#include "tests/component/chain/rig.h"

#define ROWS_MAX    32
#define GWEI        1000000000ull
#define PATIENCE_MS 60000 /* who needs as long hangs */
#define TRY_MS      3000  /* for what cannot end well, at first */

/* The first account of every anvil. */
static const uint8_t rich[32] = { 0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17,
				  0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38,
				  0xff, 0x94, 0x4b, 0xac, 0xb4, 0x78, 0xcb,
				  0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b,
				  0xf4, 0xf2, 0xff, 0x80 };

struct fixture {
	struct rig rig;
	struct rpc *rpc;
	struct secret *key, *other;
	struct address from;
	struct lock lock;
	struct cond cond;
	/* What is on disk. */
	struct buf raw[ROWS_MAX]; /* lock: lock */
	uint64_t intent[ROWS_MAX];
	size_t n_rows;
	unsigned n_settled;
	bool fail_persist;  /* before it is written */
	bool crash_persist; /* behind it */
	bool wrong_key;
};

static struct address somebody(uint8_t n)
{
	struct address a = { { 0x77, 0x77, n } };

	return a;
}

/* ---- the caller's side ---- */

static int sign(void *ctx, const struct eth_tx *tx, struct buf *ret_raw)
{
	struct fixture *f = ctx;
	uint8_t hash[ETH_TX_HASH_SIZE];

	return eth_tx_sign(tx, f->wrong_key ? f->other : f->key, ret_raw, hash);
}

static int persist(void *ctx, const struct sender_row *row)
{
	struct fixture *f = ctx;
	int r = 0;

	lock_take(&f->lock);
	if (f->fail_persist) {
		r = -EIO;
	} else {
		assert_true(f->n_rows < ROWS_MAX);
		buf_init(&f->raw[f->n_rows], ETH_TX_MAX);
		assert_int_equal(buf_append(&f->raw[f->n_rows], row->raw), 0);
		f->intent[f->n_rows++] = row->intent;
		r = f->crash_persist ? -EIO : 0;
	}
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	return r;
}

static int settled(void *ctx, uint64_t intent, const struct sender_outcome *o)
{
	struct fixture *f = ctx;

	assert_true(o->end != SENDER_OPEN && intent);
	lock_take(&f->lock);
	f->n_settled++;
	lock_drop(&f->lock);
	return 0;
}

static struct sender_params defaults(struct fixture *f)
{
	return (struct sender_params){
		.rpc = f->rpc,
		.chain_id = RIG_CHAIN,
		.from = f->from,
		.max_fee = u256(500 * GWEI),
		.max_cost = u256(UINT64_MAX),
		.confirmations = 2,
		.poll_ms = 20,
		.stuck_ms = 60000,
		.resend_ms = 60000,
		.ctx = f,
		.sign = sign,
		.persist = persist,
		.settled = settled,
	};
}

/* A sender that knows what is on disk. */
static struct sender *sender_with(struct fixture *f, const struct sender_params *p)
{
	struct sender_row rows[ROWS_MAX];
	struct sender *s = NULL;
	struct err e = { 0 };

	for (size_t i = 0; i < f->n_rows; i++) {
		rows[i].intent = f->intent[i];
		rows[i].raw = buf_slice(&f->raw[i]);
	}
	assert_int_equal(sender_new(p, rows, f->n_rows, &s, &e), 0);
	return s;
}

static struct sender *sender_plain(struct fixture *f)
{
	struct sender_params p = defaults(f);

	return sender_with(f, &p);
}

struct run {
	struct sender *s;
	struct sender_tx tx;
	pthread_t thread;
	int r;
};

static void *run_thread(void *arg)
{
	struct run *run = arg;

	run->r = sender_run(run->s, &run->tx);
	return NULL;
}

static void run_start(struct run *run, struct sender *s, uint64_t intent)
{
	run->s = s;
	run->tx.intent = intent;
	run->tx.to = somebody((uint8_t)intent);
	run->tx.value = u256(1000 + intent);
	if (!run->tx.deadline_ms)
		run->tx.deadline_ms = PATIENCE_MS;
	assert_int_equal(pthread_create(&run->thread, NULL, run_thread, run), 0);
}

static int run_end(struct run *run)
{
	assert_int_equal(pthread_join(run->thread, NULL), 0);
	assert_true(!run->r == !run->tx.err.text[0]);
	return run->r;
}

/*
 * What cannot end well, until its deadline: `want` is what is said then, of `n` rows.
 * A deadline comes too early where the machine is so slow that all of it has not
 * happened by then.
 */
static void run_fails(struct fixture *f, struct run *run, struct sender *s,
		      uint64_t intent, int want, size_t n)
{
	unsigned ms = TRY_MS;
	int r;

	for (;;) {
		run->tx.deadline_ms = ms;
		run_start(run, s, intent);
		r = run_end(run);
		if ((r == want && f->n_rows == n) || ms >= PATIENCE_MS)
			break;
		ms *= 2;
	}
	assert_int_equal(r, want);
	assert_int_equal(f->n_rows, n);
}

/* ---- the node's side ---- */

static void node(struct fixture *f, const char *method, const char *params)
{
	_cleanup_rpc_call_ struct rpc_call c = { .deadline_ms = PATIENCE_MS };

	assert_int_equal(rig_call(f->rpc, &c, method, params), 0);
}

static void mine(struct fixture *f, unsigned n)
{
	char params[32];

	(void)snprintf(params, sizeof(params), "[\"0x%x\"]", n);
	node(f, "anvil_mine", params);
}

static uint64_t number(struct fixture *f, const char *method, const char *params)
{
	_cleanup_rpc_call_ struct rpc_call c = { .want = RPC_NUMBER };
	uint64_t v = 0;

	assert_int_equal(rig_call(f->rpc, &c, method, params), 0);
	assert_int_equal(json_hex_u64(c.result, &v), 0);
	return v;
}

static uint64_t balance(struct fixture *f, uint8_t n)
{
	char who[ADDRESS_TEXT_MAX], params[80];

	address_text(somebody(n), who);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"latest\"]", who);
	return number(f, "eth_getBalance", params);
}

static unsigned pending(struct fixture *f)
{
	_cleanup_rpc_call_ struct rpc_call c = { .want = RPC_OBJECT };
	uint64_t v = 0;

	assert_int_equal(rig_call(f->rpc, &c, "txpool_status", "[]"), 0);
	assert_int_equal(json_hex_u64(json_object_get(c.result, "pending"), &v), 0);
	return (unsigned)v;
}

static void wait_pending(struct fixture *f, unsigned n)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (pending(f) != n) {
		assert_true(monotonic_ms() < until);
		assert_int_equal(usleep(10000), 0);
	}
}

static void wait_rows(struct fixture *f, size_t n)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;
	bool there;

	lock_take(&f->lock);
	while (f->n_rows < n && monotonic_ms() < until)
		(void)cond_wait_until_ms(&f->cond, &f->lock, until);
	there = f->n_rows >= n;
	lock_drop(&f->lock);
	assert_true(there);
}

static void wait_depth(struct run *run, uint64_t depth)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (atomic_load(&run->tx.depth) < depth) {
		assert_true(monotonic_ms() < until);
		assert_int_equal(usleep(10000), 0);
	}
}

static unsigned n_settled(struct fixture *f)
{
	unsigned n;

	lock_take(&f->lock);
	n = f->n_settled;
	lock_drop(&f->lock);
	return n;
}

/* One block after the other: it may be a later one that the sender counts from. */
static void mine_until_settled(struct fixture *f)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (n_settled(f) == 0) {
		assert_true(monotonic_ms() < until);
		mine(f, 1);
		assert_int_equal(usleep(10000), 0);
	}
}

static int set_up(void **state)
{
	static const char *const argv[] = { "/usr/bin/python3", ANVIL,
					    "--no-mining", NULL };
	static const char *const path = "";
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t other[32] = { 1 };

	assert_non_null(f);
	lock_init(&f->lock);
	cond_init(&f->cond);
	assert_int_equal(secret_init_library(), 0);
	assert_int_equal(secret_new(rich, &f->key), 0);
	assert_int_equal(secret_new(other, &f->other), 0);
	assert_int_equal(address_of_key(f->key, &f->from), 0);
	rig_open(&f->rig, argv);
	f->rpc = rig_rpc(&f->rig, &path, 1);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	rpc_free(f->rpc);
	rig_close(&f->rig);
	for (size_t i = 0; i < f->n_rows; i++)
		buf_fini(&f->raw[i]);
	secret_free(f->key);
	secret_free(f->other);
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
	return 0;
}

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

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		CASE(a_transaction_is_written_down_sent_mined_and_settled),
		CASE(intents_that_run_together_get_nonces_in_a_row),
		CASE(a_stuck_one_is_replaced_by_one_that_pays_a_quarter_more),
		CASE(a_replacement_over_the_limit_is_not_signed),
		CASE(a_dropped_one_is_sent_again_as_it_was),
		CASE(after_a_reorganisation_it_is_mined_again),
		CASE(a_nonce_that_another_program_used_displaces_it),
		CASE(what_would_revert_is_not_sent),
		CASE(what_reverts_in_a_block_is_over_and_says_why),
		CASE(limits_are_kept_before_anything_is_signed),
		CASE(a_signature_of_another_key_is_refused),
		CASE(one_nodes_receipt_is_not_enough),
		CASE(a_node_that_hides_a_receipt_holds_the_end_up_but_cannot_change_it),
		CASE(at_its_deadline_it_is_looked_at_once_more),
		CASE(a_nonce_far_off_is_not_believed),
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
