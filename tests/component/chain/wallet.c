/* wallet.c - see wallet.h */
#include "tests/component/chain/wallet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "chain/eth_tx.h"

/* The first account of every anvil. */
static const uint8_t rich[32] = { 0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17,
				  0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38,
				  0xff, 0x94, 0x4b, 0xac, 0xb4, 0x78, 0xcb,
				  0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b,
				  0xf4, 0xf2, 0xff, 0x80 };

struct address somebody(uint8_t n)
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

struct sender_params defaults(struct fixture *f)
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

struct sender *sender_with(struct fixture *f, const struct sender_params *p)
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

struct sender *sender_plain(struct fixture *f)
{
	struct sender_params p = defaults(f);

	return sender_with(f, &p);
}

static void *run_thread(void *arg)
{
	struct run *run = arg;

	run->r = sender_run(run->s, &run->tx);
	return NULL;
}

void run_start(struct run *run, struct sender *s, uint64_t intent)
{
	run->s = s;
	run->tx.intent = intent;
	run->tx.to = somebody((uint8_t)intent);
	run->tx.value = u256(1000 + intent);
	if (!run->tx.deadline_ms)
		run->tx.deadline_ms = PATIENCE_MS;
	assert_int_equal(pthread_create(&run->thread, NULL, run_thread, run), 0);
}

int run_end(struct run *run)
{
	assert_int_equal(pthread_join(run->thread, NULL), 0);
	assert_true(!run->r == !run->tx.err.text[0]);
	return run->r;
}

void run_fails(struct fixture *f, struct run *run, struct sender *s,
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

void node(struct fixture *f, const char *method, const char *params)
{
	_cleanup_rpc_call_ struct rpc_call c = { .deadline_ms = PATIENCE_MS };

	assert_int_equal(rig_call(f->rpc, &c, method, params), 0);
}

void mine(struct fixture *f, unsigned n)
{
	char params[32];

	(void)snprintf(params, sizeof(params), "[\"0x%x\"]", n);
	node(f, "anvil_mine", params);
}

uint64_t number(struct fixture *f, const char *method, const char *params)
{
	_cleanup_rpc_call_ struct rpc_call c = { .want = RPC_NUMBER };
	uint64_t v = 0;

	assert_int_equal(rig_call(f->rpc, &c, method, params), 0);
	assert_int_equal(json_hex_u64(c.result, &v), 0);
	return v;
}

uint64_t balance(struct fixture *f, uint8_t n)
{
	char who[ADDRESS_TEXT_MAX], params[80];

	address_text(somebody(n), who);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"latest\"]", who);
	return number(f, "eth_getBalance", params);
}

unsigned pending(struct fixture *f)
{
	_cleanup_rpc_call_ struct rpc_call c = { .want = RPC_OBJECT };
	uint64_t v = 0;

	assert_int_equal(rig_call(f->rpc, &c, "txpool_status", "[]"), 0);
	assert_int_equal(json_hex_u64(json_object_get(c.result, "pending"), &v), 0);
	return (unsigned)v;
}

void wait_pending(struct fixture *f, unsigned n)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (pending(f) != n) {
		assert_true(monotonic_ms() < until);
		assert_int_equal(usleep(10000), 0);
	}
}

void wait_rows(struct fixture *f, size_t n)
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

void wait_depth(struct run *run, uint64_t depth)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (atomic_load(&run->tx.depth) < depth) {
		assert_true(monotonic_ms() < until);
		assert_int_equal(usleep(10000), 0);
	}
}

unsigned n_settled(struct fixture *f)
{
	unsigned n;

	lock_take(&f->lock);
	n = f->n_settled;
	lock_drop(&f->lock);
	return n;
}

void mine_until_settled(struct fixture *f)
{
	uint64_t until = monotonic_ms() + PATIENCE_MS;

	while (n_settled(f) == 0) {
		assert_true(monotonic_ms() < until);
		mine(f, 1);
		assert_int_equal(usleep(10000), 0);
	}
}

int set_up(void **state)
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

int tear_down(void **state)
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
