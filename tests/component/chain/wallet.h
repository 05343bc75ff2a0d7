/*
 * wallet.h - a wallet with money on a real EVM node (anvil.py), and its senders
 *
 * A case has a node of its own that mines when it is told to.  What a sender has
 * written down stays in the fixture, so that another one can go on with it.  What
 * fails, fails an assert.
 */
#ifndef TESTS_COMPONENT_CHAIN_WALLET_H
#define TESTS_COMPONENT_CHAIN_WALLET_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/thread.h"
#include "chain/sender.h"
#include "crypto/secret.h"
#include "tests/component/chain/rig.h"

#define ROWS_MAX    32
#define GWEI        1000000000ull
#define PATIENCE_MS 60000 /* who needs as long hangs */
#define TRY_MS      3000  /* for what cannot end well, at first */

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

/* For cmocka: a node that does not mine by itself, and the wallet. */
int set_up(void **state);
int tear_down(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* An account; of intent n it is the one that is paid. */
struct address somebody(uint8_t n);

/* ---- senders: sender_free() ---- */

struct sender_params defaults(struct fixture *f);

/* A sender that knows what is on disk; sender_plain(): with the defaults. */
struct sender *sender_with(struct fixture *f, const struct sender_params *p);
struct sender *sender_plain(struct fixture *f);

/* One transaction, in a thread of its own from run_start() to run_end(). */
struct run {
	struct sender *s;
	struct sender_tx tx;
	pthread_t thread;
	int r;
};

/* 1000 + intent wei to somebody(intent), until tx.deadline_ms, 0: PATIENCE_MS. */
void run_start(struct run *run, struct sender *s, uint64_t intent);
int run_end(struct run *run); /* its result */

/*
 * What cannot end well, until its deadline: `want` is what is said then, of `n` rows.
 * A deadline comes too early where the machine is so slow that all of it has not
 * happened by then.
 */
void run_fails(struct fixture *f, struct run *run, struct sender *s,
	       uint64_t intent, int want, size_t n);

/* ---- the node ---- */

/* A method with parameters in JSON; the second: its result. */
void node(struct fixture *f, const char *method, const char *params);
uint64_t number(struct fixture *f, const char *method, const char *params);
void mine(struct fixture *f, unsigned n);       /* blocks */
uint64_t balance(struct fixture *f, uint8_t n); /* of somebody(n), in wei */
unsigned pending(struct fixture *f);            /* transactions in the pool */

/* Until it is so; asserts that it comes within PATIENCE_MS. */
void wait_pending(struct fixture *f, unsigned n);
void wait_rows(struct fixture *f, size_t n);
void wait_depth(struct run *run, uint64_t depth);

unsigned n_settled(struct fixture *f);
/* One block after the other: it may be a later one that the sender counts from. */
void mine_until_settled(struct fixture *f);

#endif
