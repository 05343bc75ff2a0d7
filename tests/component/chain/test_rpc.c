/* test_rpc.c - calls to nodes that answer, fail, and lie (node.py) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/log.h"
#include "chain/rpc_agree.h"
#include "helper/jump.h"
#include "net/waiter.h"
#include "tests/component/chain/rig.h"

#define PATIENCE_MS 60000 /* who needs as long hangs */
#define HANG_MS     600   /* after which a node is taken for one that hangs */
#define ROUNDS_MAX  20    /* of what a slow machine spoils */

static struct rpc *one(void **state, const char *path)
{
	return rig_rpc(*state, &path, 1);
}

static struct rpc *two(void **state, const char *a, const char *b)
{
	const char *const paths[] = { a, b };

	return rig_rpc(*state, paths, 2);
}

/* A call, its status, and the string that it gave. */
static int call(struct rpc *r, const char *method, const char *params,
		const char *want)
{
	_cleanup_rpc_call_ struct rpc_call c = { .deadline_ms = PATIENCE_MS };
	int e = rig_call(r, &c, method, params);

	if (want) {
		assert_int_equal(e, 0);
		assert_true(json_is_string(c.result));
		assert_string_equal(json_string_value(c.result), want);
	}
	assert_true(!e == !c.err.text[0]);
	return e;
}

/* What a node counted of its path, without asking the others. */
static void seen(struct rpc *r, unsigned endpoint, unsigned ret[3])
{
	_cleanup_rpc_call_ struct rpc_call c = { .only = endpoint + 1 };

	assert_int_equal(rig_call(r, &c, "t_seen", NULL), 0);
	for (unsigned i = 0; i < 3; i++)
		ret[i] = (unsigned)json_integer_value(json_array_get(c.result, i));
}

/* ---- one node ---- */

static void an_answer_comes_back_whole(void **state)
{
	struct rpc *r = one(state, "ok/1");
	struct rpc_status s;
	unsigned n[3];

	assert_int_equal(call(r, "t_echo", "[\"0x12\"]", "0x12"), 0);
	rpc_endpoint_status(r, 0, &s);
	assert_true(s.state == RPC_OK && s.n_good == 1 && s.away_ms == 0);
	seen(r, 0, n);
	assert_int_equal(n[2], 1); /* asked for its chain once, and first */
	assert_int_equal(n[0], 3);
	rpc_free(r);
}

static void a_node_of_another_chain_is_refused_for_good(void **state)
{
	struct rpc *r = one(state, "chain/1");
	struct rpc_call c = { .method = "t_echo", .params = "[\"0x\"]" };
	struct rpc_status s;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rpc_wait(r, &c), -EPERM);
		assert_non_null(strstr(c.err.text, "chain 1,"));
		assert_non_null(strstr(c.err.text, "calibration (chain 314159)"));
	}
	rpc_endpoint_status(r, 0, &s);
	assert_true(s.state == RPC_REFUSED);
	rpc_free(r);

	r = two(state, "chain/1", "ok/after");
	assert_int_equal(call(r, "t_echo", "[\"0x1\"]", "0x1"), 0);
	c = (struct rpc_call){ .method = "t_echo", .params = "[\"0x\"]", .only = 1 };
	assert_int_equal(rpc_wait(r, &c), -EPERM);
	rpc_free(r);
}

static void reverts_keep_their_bytes_whoever_reports_them(void **state)
{
	static const char *const paths[] = { "ok/r", "status/500/r" };
	struct rpc *r;

	for (unsigned i = 0; i < ARRAY_LEN(paths); i++) {
		_cleanup_rpc_call_ struct rpc_call c = { .only = 0 };

		r = one(state, paths[i]);
		assert_int_equal(rig_call(r, &c, "t_revert", "[]"), -ENOEXEC);
		assert_int_equal(c.error.cls, RPC_CLASS_REVERTED);
		assert_int_equal(c.error.n_data, 4);
		assert_memory_equal(c.error.data, "\x5d\x94\x69\x44", 4);
		rpc_free(r);
	}
	r = one(state, "ok/r");
	{
		_cleanup_rpc_call_ struct rpc_call c = { .only = 0 };

		assert_int_equal(rig_call(r, &c, "t_lotus", "[]"), -ENOEXEC);
		assert_int_equal(c.error.n_data, 68);
		assert_memory_equal(c.error.data, "\x42\xd7\x50\xdc", 4);
		assert_true(c.error.data[67] == 0xbb);
		assert_int_equal(c.error.code, 11);
	}
	rpc_free(r);
}

static void a_refusal_is_final_and_said_in_the_nodes_words(void **state)
{
	struct rpc *r = two(state, "ok/f1", "ok/f2");
	_cleanup_rpc_call_ struct rpc_call c = { .only = 0 };
	unsigned n[3];

	assert_int_equal(rig_call(r, &c, "t_error",
				  "[-32000, \"nonce\\ntoo low\\u0007\"]"),
			 -EBADE);
	assert_string_equal(c.error.message, "nonce too low?");
	assert_non_null(strstr(c.err.text, "127.0.0.1"));
	assert_null(strstr(c.err.text, "/f1")); /* paths hold keys */
	seen(r, 1, n);
	assert_int_equal(n[0], 2); /* its probe and t_seen: not asked */
	rpc_free(r);
}

static void answers_of_a_wrong_type_or_size_are_refused(void **state)
{
	static const struct {
		enum rpc_want want;
		const char *params;
		int r;
	} cases[] = {
		{ RPC_BYTES, "[\"0x1234\"]", 0 },
		{ RPC_BYTES, "[\"0x123\"]", -EPROTO },
		{ RPC_BYTES, "[\"1234\"]", -EPROTO },
		{ RPC_BYTES, "[17]", -EPROTO },
		{ RPC_BYTES, "[null]", -EPROTO },
		{ RPC_NUMBER, "[\"0x123\"]", 0 },
		{ RPC_NUMBER, "[\"0x\"]", -EPROTO },
		{ RPC_NUMBER, "[{}]", -EPROTO },
		{ RPC_HASH, "[\"0x1234\"]", -EPROTO },
		{ RPC_OBJECT, "[{\"a\":1}]", 0 },
		{ RPC_OBJECT, "[null]", -EPROTO },
		{ RPC_OBJECT_OR_NULL, "[null]", 0 },
		{ RPC_OBJECT_OR_NULL, "[[]]", -EPROTO },
		{ RPC_ANY, "[[1,2,3]]", 0 },
		{ RPC_ANY, "[\"0123456789012345678901234567890123456789\"]",
		  -EMSGSIZE },
		{ RPC_ANY, "[[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]]", -EMSGSIZE },
	};
	struct rpc *r = one(state, "ok/types");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_rpc_call_ struct rpc_call c = { .want = cases[i].want,
							 .max = 32 };

		assert_int_equal(rig_call(r, &c, "t_echo", cases[i].params),
				 cases[i].r);
		assert_true(!cases[i].r == !!c.result);
	}
	rpc_free(r);
}

static void nonsense_is_never_taken_for_an_answer(void **state)
{
	static const char *const paths[] = {
		"html",    "deep", "endless", "wrongid", "twice", "missing",
		"neither", "both", "textid",  "cut",     "hang",  "hang/later",
	};
	struct rig *g = *state;

	g->request_ms = HANG_MS;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct rpc *r = one(state, paths[i]);
		_cleanup_rpc_call_ struct rpc_call c = { .max = 4096,
							 .deadline_ms = 150 };

		assert_true(rig_call(r, &c, "t_echo", "[\"0x1\"]") < 0);
		assert_null(c.result);
		assert_true(c.err.text[0]);
		rpc_free(r);

		r = two(state, paths[i], "ok/next");
		assert_int_equal(call(r, "t_echo", "[\"0x77\"]", "0x77"), 0);
		rpc_free(r);
	}
	g->request_ms = 0;
}

/* ---- several ---- */

static void a_node_that_is_down_is_passed_over_and_comes_back(void **state)
{
	struct rpc *r = two(state, "down/2", "ok/d");
	struct rpc_status s;

	assert_int_equal(call(r, "t_echo", "[\"0x1\"]", "0x1"), 0);
	rpc_endpoint_status(r, 0, &s);
	assert_true(s.n_failed == 1 && s.state == RPC_UNKNOWN);
	assert_non_null(strstr(s.err.text, "503"));
	rpc_free(r);

	/* Alone, it is waited for. */
	r = one(state, "down/3");
	assert_int_equal(call(r, "t_echo", "[\"0x2\"]", "0x2"), 0);
	rpc_endpoint_status(r, 0, &s);
	assert_true(s.n_failed == 3 && s.state == RPC_OK);
	rpc_free(r);
}

static void after_a_breakdown_the_chain_is_asked_again(void **state)
{
	struct rpc *r = one(state, "down/1/later");
	unsigned n[3];

	assert_int_equal(call(r, "t_echo", "[\"0x2\"]", "0x2"), 0);
	seen(r, 0, n);
	assert_int_equal(n[2], 2);
	rpc_free(r);
}

static void nobody_there_is_said_before_the_deadline(void **state)
{
	struct rpc *r = two(state, "down", "down/999");
	struct rpc_call c;
	unsigned tries = 0;
	int e;

	/* once more if a node was so slow that it had not said even that by then */
	do {
		c = (struct rpc_call){ .method = "t_echo", .deadline_ms = 3000 };
		e = rpc_wait(r, &c);
	} while (e == -ETIMEDOUT && ++tries < ROUNDS_MAX);
	assert_int_equal(e, -EREMOTEIO);
	if (!strstr(c.err.text, "503"))
		fail_msg("%s", c.err.text);
	rpc_free(r);
}

static void a_busy_node_is_left_alone_as_long_as_it_asks(void **state)
{
	struct rpc *r = one(state, "busy/1/1");
	uint64_t start = monotonic_ms();
	unsigned n[3];

	assert_int_equal(call(r, "t_echo", "[\"0x2\"]", "0x2"), 0);
	assert_true(monotonic_ms() - start >= 1000);
	seen(r, 0, n);
	assert_int_equal(n[0], 4); /* probe, 429, answer, t_seen */
	rpc_free(r);

	/* Longer than the call may take: said at once, not at its deadline. */
	r = one(state, "busy/1/600");
	start = monotonic_ms();
	assert_int_equal(call(r, "t_echo", "[\"0x2\"]", NULL), -EAGAIN);
	assert_true(monotonic_ms() - start < PATIENCE_MS);
	rpc_free(r);

	r = two(state, "busyrpc/1000", "ok/b");
	assert_int_equal(call(r, "t_echo", "[\"0x3\"]", "0x3"), 0);
	rpc_free(r);
}

static void on_over(struct rpc_call *c, int status)
{
	waiter_over(c->ctx, status);
}

/* What is left of it when it is looked at; ms. */
static uint64_t left_alone(void **state, unsigned round, unsigned stood_s)
{
	const struct rig *g = *state;
	struct rpc_call c = { .method = "t_echo", .only = 1 };
	uint64_t start = monotonic_ms();
	struct rpc_status s;
	struct waiter w;
	struct rpc *r;
	char path[32];

	(void)snprintf(path, sizeof(path), "hang/2/%u", round); /* fits */
	r = one(state, path);
	waiter_init(&w);
	c.ctx = &w;
	c.done = on_over;
	assert_int_equal(rpc_start(r, &c), 0);
	do { /* it is asked, which it has not answered */
		(void)usleep(1000);
		rpc_endpoint_status(r, 0, &s);
	} while (s.state != RPC_OK && !s.n_failed);
	jump_s(stood_s);
	assert_int_not_equal(waiter_fini(&w, 0), 0);
	rpc_endpoint_status(r, 0, &s);
	assert_true(s.away_ms <= MIN(monotonic_ms() - start, g->request_ms) + 1000);
	rpc_free(r);
	return s.away_ms;
}

static void a_node_that_hung_is_left_alone_as_long_as_that_took(void **state)
{
	struct rig *g = *state;
	unsigned round = 0;

	g->request_ms = 4000;
	while (left_alone(state, round, 0) <= 1000) /* or it was looked at late */
		assert_true(++round < ROUNDS_MAX);
	g->request_ms = 1000;
	for (unsigned i = 0; i < 3; i++) /* wherever it was just then */
		(void)left_alone(state, ++round, JUMP_DAY);
	g->request_ms = 0;
}

static void on_day(struct rpc_call *c, int status)
{
	atomic_int *over = c->ctx;

	atomic_store(over, status);
}

static void who_was_stopped_has_not_waited_for_a_node(void **state)
{
	struct rpc *r = one(state, "delay/300");
	atomic_int over = 1;
	_cleanup_rpc_call_ struct rpc_call c = { .method = "t_echo",
						 .params = "[\"0x1\"]",
						 .done = on_day,
						 .ctx = &over };

	assert_int_equal(rpc_start(r, &c), 0);
	while (atomic_load(&over) == 1) {
		jump_s(JUMP_DAY);
		(void)usleep(1000); /* the loop comes by */
	}
	assert_int_equal(over, 0);
	assert_string_equal(json_string_value(c.result), "0x1");
	rpc_free(r);
}

static void what_one_node_cannot_another_may(void **state)
{
	struct rpc *r = two(state, "old", "new");
	struct rpc_call c = { .method = "t_nothing" };

	assert_int_equal(call(r, "t_here", "[]", "new"), 0);
	assert_int_equal(rpc_wait(r, &c), -EOPNOTSUPP);
	rpc_free(r);

	r = two(state, "old/1", "old/2");
	c = (struct rpc_call){ .method = "t_here" };
	assert_int_equal(rpc_wait(r, &c), -EBADE);
	assert_non_null(strstr(c.err.text, "state fork"));
	rpc_free(r);
}

static void a_pinned_call_asks_its_node_once(void **state)
{
	struct rpc *r = two(state, "ok/p", "down/998");
	struct rpc_call c = { .method = "t_echo", .params = "[\"0x1\"]", .only = 2 };

	assert_int_equal(rpc_wait(r, &c), -EREMOTEIO);
	assert_int_equal(rpc_wait(r, &c), -EREMOTEIO); /* away, or again */
	c.only = 3;
	assert_int_equal(rpc_wait(r, &c), -EINVAL);
	rpc_free(r);
}

static unsigned ask_each(struct rpc *r, unsigned only, unsigned n, unsigned *ret_good)
{
	struct rpc_status s;

	for (unsigned i = 0; i < n; i++) {
		struct rpc_call c = { .method = "t_echo",
				      .params = "[\"0x1\"]",
				      .only = only };

		assert_int_equal(rpc_wait(r, &c), 0);
		rpc_call_fini(&c);
	}
	rpc_endpoint_status(r, only ? only - 1 : 0, &s);
	*ret_good = (unsigned)s.n_good;
	return s.latency_ms;
}

/*
 * 300 ms against the 400 that an unknown one is taken for: it stays, until that one
 * has shown (here: when asked for itself) how it is.  False: the machine was so slow
 * meanwhile that the nodes were not as they were meant to be.
 */
static bool faster_is_preferred(void **state, unsigned round)
{
	char slow[32], fast[32];
	unsigned slow_ms, fast_ms, good;
	struct rpc_status s;
	struct rpc *r;

	(void)snprintf(slow, sizeof(slow), "delay/300/%u", round); /* fits */
	(void)snprintf(fast, sizeof(fast), "ok/fast%u", round);    /* fits */
	r = two(state, slow, fast);
	for (unsigned i = 1; i <= 5; i++) {
		slow_ms = ask_each(r, 0, 1, &good);
		assert_true(slow_ms >= 299);
		if (slow_ms >= 800) { /* twice 400: the other is right */
			rpc_free(r);
			return false;
		}
		assert_int_equal(good, i);
	}
	fast_ms = ask_each(r, 2, 4, &good);
	if (2 * (fast_ms + 100) >= slow_ms) { /* 100: it is the second */
		rpc_free(r);
		return false;
	}
	assert_int_equal(call(r, "t_echo", "[\"0x1\"]", "0x1"), 0);
	rpc_endpoint_status(r, 0, &s);
	assert_int_equal(s.n_good, 5);
	rpc_free(r);
	return true;
}

static void the_faster_node_is_preferred_when_it_is_much_faster(void **state)
{
	unsigned round = 0;

	while (!faster_is_preferred(state, round))
		assert_true(++round < ROUNDS_MAX);
}

/* ---- together ---- */

struct crowd {
	struct lock lock;
	struct cond cond;
	struct loop_task start;
	struct rpc *rpc;
	unsigned n;
	bool started;        /* lock: lock */
	int status;          /* lock: lock until it has started */
	unsigned left, good; /* lock: lock */
	struct rpc_call calls[100];
	char params[100][16];
};

static void on_crowd(struct rpc_call *c, int status)
{
	struct crowd *w = c->ctx;

	lock_take(&w->lock);
	w->left--;
	if (status == 0)
		w->good++;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

/* On the loop: none is sent before the last one has been started. */
static void on_start(struct loop_task *t)
{
	struct crowd *w = container_of(t, struct crowd, start);
	int r = 0;

	for (unsigned i = 0; i < w->n && r == 0; i++)
		r = rpc_start(w->rpc, &w->calls[i]);
	lock_take(&w->lock);
	w->started = true;
	w->status = r;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

static void crowd_start(struct crowd *w, struct rig *g, struct rpc *r, unsigned n)
{
	lock_init(&w->lock);
	cond_init(&w->cond);
	w->rpc = r;
	w->n = w->left = n;
	for (unsigned i = 0; i < n; i++) {
		struct rpc_call *c = &w->calls[i];

		(void)snprintf(w->params[i], sizeof(w->params[i]),
			       "[\"0x%04x\"]", i); /* fits */
		c->method = "t_echo";
		c->params = w->params[i];
		c->want = RPC_BYTES;
		c->ctx = w;
		c->done = on_crowd;
	}
	w->start.run = on_start;
	loop_post(g->loop, &w->start);
	lock_take(&w->lock);
	while (!w->started)
		cond_wait(&w->cond, &w->lock);
	lock_drop(&w->lock);
	assert_int_equal(w->status, 0);
}

static void crowd_wait(struct crowd *w)
{
	lock_take(&w->lock);
	while (w->left)
		cond_wait(&w->cond, &w->lock);
	lock_drop(&w->lock);
}

static void crowd_fini(struct crowd *w)
{
	for (unsigned i = 0; i < ARRAY_LEN(w->calls); i++)
		rpc_call_fini(&w->calls[i]);
	cond_fini(&w->cond);
	lock_fini(&w->lock);
	free(w);
}

static void calls_travel_together_and_get_their_own_answers(void **state)
{
	static const struct {
		const char *path;
		unsigned largest; /* that was sent */
	} cases[] = {
		{ "ok/many", RPC_BATCH_MAX },
		{ "order/many", RPC_BATCH_MAX },
		{ "batches/5/http", RPC_BATCH_MAX },
		{ "batches/1/http", RPC_BATCH_MAX },
		{ "batches/3/object", RPC_BATCH_MAX },
		{ "batches/4/500", RPC_BATCH_MAX },
		{ "busyrpc/2/many", RPC_BATCH_MAX },
	};

	for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
		struct crowd *w = calloc(1, sizeof(*w));
		struct rpc *r = one(state, cases[k].path);
		unsigned n[3];

		assert_non_null(w);
		crowd_start(w, *state, r, 100);
		crowd_wait(w);
		assert_int_equal(w->good, 100);
		for (unsigned i = 0; i < 100; i++) {
			char want[16];

			(void)snprintf(want, sizeof(want), "0x%04x", i);
			assert_string_equal(json_string_value(w->calls[i].result),
					    want);
		}
		seen(r, 0, n);
		assert_int_equal(n[1], cases[k].largest);
		if (k == 0)
			assert_true(n[0] <= 6); /* probe, 4 arrays, t_seen */
		crowd_fini(w);
		rpc_free(r);
	}
}

static void one_answer_too_large_does_not_spoil_the_others(void **state)
{
	struct rpc *r = one(state, "ok/big");
	struct crowd *w = calloc(1, sizeof(*w));
	struct rpc_call big = { .method = "t_big", .params = "[3000000]", .max = 1000 };

	assert_non_null(w);
	for (unsigned i = 0; i < 100; i++)
		w->calls[i].max = 100;
	crowd_start(w, *state, r, 20);
	assert_int_equal(rpc_wait(r, &big), -EMSGSIZE);
	crowd_wait(w);
	assert_int_equal(w->good, 20);
	crowd_fini(w);
	rpc_free(r);
}

static void a_cancel_ends_a_call_wherever_it_is(void **state)
{
	struct rpc *r = one(state, "ok/cancel");
	struct crowd *w = calloc(1, sizeof(*w));
	struct rpc_call before = { .method = "t_echo", .params = "[\"0x1\"]" };

	rpc_cancel(r, &before);
	assert_int_equal(rpc_wait(r, &before), -ECANCELED);

	assert_non_null(w);
	crowd_start(w, *state, r, 50);
	for (unsigned i = 0; i < 50; i += 2)
		rpc_cancel(r, &w->calls[i]);
	crowd_wait(w);
	assert_true(w->good >= 25);
	crowd_fini(w);
	rpc_free(r);

	/* On its way to a node that never answers: its request goes, too. */
	r = one(state, "hang/1");
	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	crowd_start(w, *state, r, 1);
	assert_int_equal(usleep(50000), 0);
	rpc_cancel(r, &w->calls[0]);
	crowd_wait(w);
	assert_int_equal(w->good, 0);
	crowd_fini(w);
	rpc_free(r);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
	static const char *const bad[] = { "ftp://a/", "http:///x", "x",
					   "http://a b/" };
	struct rig *g = *state;
	struct rpc_params p = { .loop = g->loop, .http = g->http };
	struct rpc *r = NULL;
	struct err e = { 0 };

	assert_int_equal(rpc_new(&p, &r, &e), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		p.urls = &bad[i];
		p.n_urls = 1;
		assert_int_equal(rpc_new(&p, &r, &e), -EINVAL);
	}
	r = one(state, "ok");
	rpc_free(r); /* never used */
}

/* ---- agreement ---- */

static struct rpc_agree *agree(void **state, const char *one_path,
			       const char *two_path, uint64_t genesis_s, int want)
{
	struct rpc *r = two(state, one_path, two_path);
	struct rpc_agree *a = NULL;

	assert_int_equal(rpc_agree_new(&a), 0);
	a->method = "eth_getBalance";
	a->args = "\"0x00000000000000000000000000000000000000aa\"";
	a->want = RPC_NUMBER;
	a->genesis_s = genesis_s;
	assert_int_equal(rpc_agree_wait(r, a), want);
	assert_true(!want == !a->err.text[0]);
	assert_true(!want == !!a->result);
	rpc_free(r);
	return a;
}

static void honest_nodes_agree_though_one_is_blocks_behind(void **state)
{
	static const char *const second[] = { "ok/h", "lag/-3", "upper",
					      "reorg", "nulls/0" };

	for (size_t i = 0; i < ARRAY_LEN(second); i++) {
		_cleanup_rpc_agree_ struct rpc_agree *a =
			agree(state, "ok/h1", second[i], 0, 0);

		assert_int_equal(a->n_agree, 2);
	}
}

static void a_lie_is_told_with_both_answers(void **state)
{
	_cleanup_rpc_agree_ struct rpc_agree *a =
		agree(state, "ok/l", "lie", 0, -EBADMSG);

	assert_non_null(strstr(a->err.text, "disagree"));
	assert_string_equal(json_string_value(a->said[1].result), "0xffffffff");
	assert_non_null(a->said[0].result);
}

static void lag_is_told_apart_from_lies(void **state)
{
	uint64_t genesis_s = (uint64_t)time(NULL) - 30ul * 1000;
	_cleanup_rpc_agree_ struct rpc_agree *a =
		agree(state, "lag/-500", "ok/g", 0, 0);
	/* One who runs ahead of time cannot make the honest one look late. */
	_cleanup_rpc_agree_ struct rpc_agree *b =
		agree(state, "lag/5000", "ok/g", genesis_s, 0);
	_cleanup_rpc_agree_ struct rpc_agree *c =
		agree(state, "down/997", "ok/g", 0, 0);
	_cleanup_rpc_agree_ struct rpc_agree *d =
		agree(state, "html", "chain/7", 0, -EPROTO);

	assert_int_equal(a->n_agree, 1);
	assert_int_equal(a->said[0].status, -ESTALE);
	assert_non_null(strstr(a->said[0].err.text, "500 blocks behind"));

	assert_int_equal(b->n_agree, 1);
	assert_int_equal(b->said[0].status, -EPERM);
	assert_int_equal(b->said[1].status, 0);

	assert_int_equal(c->n_agree, 1);
	assert_true(c->said[0].status < 0 && c->said[0].err.text[0]);
	assert_int_equal(d->n_agree, 0);
}

static int set_up(void **state)
{
	static const char *const argv[] = { "/usr/bin/python3", NODE, NULL };

	return rig_set_up(state, argv);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_back_whole),
		cmocka_unit_test(a_node_of_another_chain_is_refused_for_good),
		cmocka_unit_test(reverts_keep_their_bytes_whoever_reports_them),
		cmocka_unit_test(a_refusal_is_final_and_said_in_the_nodes_words),
		cmocka_unit_test(answers_of_a_wrong_type_or_size_are_refused),
		cmocka_unit_test(nonsense_is_never_taken_for_an_answer),
		cmocka_unit_test(a_node_that_is_down_is_passed_over_and_comes_back),
		cmocka_unit_test(after_a_breakdown_the_chain_is_asked_again),
		cmocka_unit_test(nobody_there_is_said_before_the_deadline),
		cmocka_unit_test(a_busy_node_is_left_alone_as_long_as_it_asks),
		cmocka_unit_test(a_node_that_hung_is_left_alone_as_long_as_that_took),
		cmocka_unit_test(who_was_stopped_has_not_waited_for_a_node),
		cmocka_unit_test(what_one_node_cannot_another_may),
		cmocka_unit_test(a_pinned_call_asks_its_node_once),
		cmocka_unit_test(the_faster_node_is_preferred_when_it_is_much_faster),
		cmocka_unit_test(calls_travel_together_and_get_their_own_answers),
		cmocka_unit_test(one_answer_too_large_does_not_spoil_the_others),
		cmocka_unit_test(a_cancel_ends_a_call_wherever_it_is),
		cmocka_unit_test(what_cannot_be_sent_is_refused_at_once),
		cmocka_unit_test(honest_nodes_agree_though_one_is_blocks_behind),
		cmocka_unit_test(a_lie_is_told_with_both_answers),
		cmocka_unit_test(lag_is_told_apart_from_lies),
	};

	log_level_set(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("rpc", tests, set_up, rig_tear_down);
}
