#include "chain/rpc_agree.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "net/waiter.h"

#define EPOCH_S   30 /* seconds of a block on every Filecoin network */
#define LAG_MAX   10
#define NULLS_MAX 8 /* rounds without a block that are stepped over */
#define ROUNDS    2 /* a difference must survive a second look */

/* ---- each ---- */

static void on_call(struct rpc_call *call, int status)
{
	struct rpc_each *e = call->ctx;

	e->status[call->only - 1] = status;
	if (--e->left == 0)
		e->done(e);
}

int rpc_each_start(struct rpc *r, struct rpc_each *e)
{
	const unsigned n = rpc_n_endpoints(r);
	int err;

	e->n = n;
	e->left = n;
	/* With the last one started, `e` may be gone. */
	for (unsigned i = 0; i < n; i++) {
		struct rpc_call *call = &e->calls[i];

		call->method = e->method;
		call->params = e->params;
		call->want = e->want;
		call->max = e->max;
		call->deadline_ms = e->deadline_ms;
		call->only = i + 1;
		call->ctx = e;
		call->done = on_call;
		err = rpc_start(r, call);
		/* They differ in nothing that it checks. */
		assert(err == 0 || i == 0);
		if (err < 0)
			return err;
	}
	return 0;
}

void rpc_each_cancel(struct rpc *r, struct rpc_each *e)
{
	for (unsigned i = 0; i < rpc_n_endpoints(r); i++)
		rpc_cancel(r, &e->calls[i]);
}

static void each_waited(struct rpc_each *e)
{
	waiter_over(e->waiter, 0);
}

int rpc_each_wait(struct rpc *r, struct rpc_each *e)
{
	struct waiter w;
	int err;

	waiter_init(&w);
	/* cppcheck-suppress autoVariables; taken back below */
	e->waiter = &w;
	e->done = each_waited;
	err = waiter_fini(&w, rpc_each_start(r, e));
	e->waiter = NULL;
	return err;
}

void rpc_each_fini(struct rpc_each *e)
{
	for (unsigned i = 0; i < RPC_URLS_MAX; i++)
		rpc_call_fini(&e->calls[i]);
}

int rpc_each_new(struct rpc_each **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void rpc_each_free(struct rpc_each *e)
{
	if (e)
		rpc_each_fini(e);
	free(e);
}

/* ---- agreement ---- */

static void on_heads(struct rpc_each *e);
static void on_answers(struct rpc_each *e);

static void finish(struct rpc_agree *a, int status)
{
	rpc_each_fini(&a->each);
	free(a->params);
	a->params = NULL;
	if (atomic_load(&a->cancelled))
		status = -ECANCELED;
	if (status < 0)
		err_set(&a->err, status, "%s: %s", a->method, err_str(status));
	a->done(a, status);
}

static void ask(struct rpc_agree *a, const char *method, const char *params,
		enum rpc_want want, uint32_t max, void (*done)(struct rpc_each *e))
{
	struct rpc_each *e = &a->each;
	int r;

	rpc_each_fini(e); /* a cancel stays */
	e->method = method;
	e->params = params;
	e->want = want;
	e->max = max;
	e->deadline_ms = a->deadline_ms;
	e->ctx = a;
	e->done = done;
	r = rpc_each_start(a->rpc, e);
	assert(r == 0); /* its params were measured at the start */
}

static void forget(struct rpc_agree *a)
{
	for (unsigned i = 0; i < a->n; i++) {
		json_decref(a->said[i].result);
		a->said[i] = (struct rpc_said){ .status = -EREMOTEIO };
	}
	a->result = NULL;
	a->error = NULL;
	a->n_agree = 0;
}

static void ask_heads(struct rpc_agree *a)
{
	forget(a);
	a->nulls = 0;
	ask(a, "eth_blockNumber", "[]", RPC_NUMBER, 64, on_heads);
}

static void ask_block(struct rpc_agree *a)
{
	free(a->params);
	a->params = NULL;
	if (asprintf(&a->params, "[%s,\"0x%llx\"]", a->args,
		     (unsigned long long)a->block) < 0) {
		a->params = NULL;
		finish(a, -ENOMEM);
		return;
	}
	ask(a, a->method, a->params, a->want, a->max, on_answers);
}

/* No head can be beyond this one; with some minutes for clocks that are off. */
static uint64_t head_limit(const struct rpc_agree *a)
{
	time_t now = time(NULL);

	if (a->genesis_s == 0 || now < (time_t)a->genesis_s)
		return UINT64_MAX;
	return ((uint64_t)now - a->genesis_s) / EPOCH_S + LAG_MAX;
}

/* Why nobody could say. */
static void nobody(struct rpc_agree *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->said[i].err.text[0]) {
			a->err = a->said[i].err;
			finish(a, a->said[i].status);
			return;
		}
	finish(a, -EREMOTEIO);
}

static void take_heads(struct rpc_agree *a, const struct rpc_each *e)
{
	uint64_t limit = head_limit(a);

	for (unsigned i = 0; i < a->n; i++) {
		struct rpc_said *s = &a->said[i];

		s->status = e->status[i];
		s->err = e->calls[i].err;
		if (s->status == 0)
			s->status = json_hex_u64(e->calls[i].result, &s->head);
		if (s->status == 0 && s->head > limit)
			s->status = err_set(
				&s->err, -EPERM,
				"%s claims block %llu, which the clock does not allow before %llu",
				rpc_endpoint_name(a->rpc, i),
				(unsigned long long)s->head,
				(unsigned long long)limit);
	}
}

static void on_heads(struct rpc_each *e)
{
	struct rpc_agree *a = e->ctx;
	uint64_t foremost = 0, common = UINT64_MAX;

	take_heads(a, e);
	for (unsigned i = 0; i < a->n; i++)
		if (a->said[i].status == 0)
			foremost = MAX(foremost, a->said[i].head);
	for (unsigned i = 0; i < a->n; i++) {
		struct rpc_said *s = &a->said[i];

		if (s->status < 0)
			continue;
		if (foremost - s->head > a->lag_max)
			s->status = err_set(
				&s->err, -ESTALE, "%s is %llu blocks behind",
				rpc_endpoint_name(a->rpc, i),
				(unsigned long long)(foremost - s->head));
		else {
			s->asked = true;
			common = MIN(common, s->head);
		}
	}
	if (common == UINT64_MAX) {
		nobody(a);
		return;
	}
	a->block = common ? common - 1 : 0; /* the newest may still change */
	ask_block(a);
}

static bool same_text(const json_t *a, const json_t *b)
{
	return json_is_string(a) && json_is_string(b) &&
	       strcasecmp(json_string_value(a), json_string_value(b)) == 0;
}

static bool comparable(const struct rpc_said *s)
{
	return s->status == 0 || s->status == -ENOEXEC;
}

static bool same(const struct rpc_said *a, const struct rpc_said *b)
{
	if (a->status != b->status)
		return false;
	if (a->status == -ENOEXEC)
		return slice_eq(slice(a->error.data, a->error.n_data),
				slice(b->error.data, b->error.n_data));
	return same_text(a->result, b->result) || json_equal(a->result, b->result);
}

static bool any_null_round(const struct rpc_agree *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->said[i].status == -EBADE &&
		    strstr(a->said[i].error.message, "null round"))
			return true;
	return false;
}

/* Only those are asked whose heads were good; the rest keep their reason. */
static void take_answers(struct rpc_agree *a, struct rpc_each *e)
{
	for (unsigned i = 0; i < a->n; i++) {
		struct rpc_said *s = &a->said[i];

		if (!s->asked)
			continue;
		json_decref(s->result);
		s->status = e->status[i];
		s->err = e->calls[i].err;
		s->error = e->calls[i].error;
		s->result = steal(&e->calls[i].result);
	}
}

static void disagree(struct rpc_agree *a, unsigned i, unsigned k)
{
	if (++a->round < ROUNDS && !atomic_load(&a->cancelled)) {
		ask_heads(a);
		return;
	}
	err_set(&a->err, -EBADMSG,
		"%s and %s disagree about %s at block %llu: one of them lies or is broken",
		rpc_endpoint_name(a->rpc, i), rpc_endpoint_name(a->rpc, k),
		a->method, (unsigned long long)a->block);
	finish(a, -EBADMSG);
}

static void on_answers(struct rpc_each *e)
{
	struct rpc_agree *a = e->ctx;
	const struct rpc_said *first = NULL;

	take_answers(a, e);
	if (any_null_round(a) && a->block && ++a->nulls <= NULLS_MAX) {
		a->block--;
		ask_block(a);
		return;
	}
	for (unsigned i = 0; i < a->n; i++) {
		const struct rpc_said *s = &a->said[i];

		if (!comparable(s))
			continue;
		if (first && !same(first, s)) {
			disagree(a, (unsigned)(first - a->said), i);
			return;
		}
		first = first ? first : s;
		a->n_agree++;
	}
	if (!first) {
		nobody(a);
		return;
	}
	a->result = first->result;
	a->error = &first->error;
	if (first->status < 0)
		a->err = first->err;
	finish(a, first->status);
}

int rpc_agree_start(struct rpc *r, struct rpc_agree *a)
{
	a->err.text[0] = '\0';
	if (!a->method || !a->args || !a->done ||
	    strnlen(a->args, RPC_PARAMS_MAX) > RPC_PARAMS_MAX - 64)
		return err_set(&a->err, -EINVAL, "a call that cannot be sent");
	a->rpc = r;
	a->n = rpc_n_endpoints(r);
	a->round = 0;
	a->lag_max = a->lag_max ? a->lag_max : LAG_MAX;
	ask_heads(a);
	return 0;
}

void rpc_agree_cancel(struct rpc *r, struct rpc_agree *a)
{
	atomic_store(&a->cancelled, true);
	rpc_each_cancel(r, &a->each);
}

static void agree_waited(struct rpc_agree *a, int status)
{
	waiter_over(a->waiter, status);
}

int rpc_agree_wait(struct rpc *r, struct rpc_agree *a)
{
	struct waiter w;
	int err;

	waiter_init(&w);
	/* cppcheck-suppress autoVariables; taken back below */
	a->waiter = &w;
	a->done = agree_waited;
	err = waiter_fini(&w, rpc_agree_start(r, a));
	a->waiter = NULL;
	return err;
}

int rpc_agree_new(struct rpc_agree **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void rpc_agree_free(struct rpc_agree *a)
{
	if (!a)
		return;
	rpc_each_fini(&a->each);
	for (unsigned i = 0; i < RPC_URLS_MAX; i++)
		json_decref(a->said[i].result);
	free(a);
}
