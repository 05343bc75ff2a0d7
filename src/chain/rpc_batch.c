/* rpc_batch.c - calls on the wire: one HTTP request, and what its answer means */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "chain/rpc_answer.h"
#include "chain/rpc_impl.h"

/* Bytes around a result: the frame, or an error with its data in hex. */
#define FRAME_MAX (16u << 10)

static uint32_t max_of(const struct rpc_call *call)
{
	return call->max ? call->max : RPC_RESULT_MAX;
}

static void batch_free(struct rpc_batch *b)
{
	buf_fini(&b->body);
	buf_fini(&b->answer);
	free(b);
}

void rpc_batch_left(struct rpc_batch *b)
{
	if (--b->n_live == 0)
		http_cancel(b->rpc->p.http, &b->req);
}

/* ---- what becomes of the calls ---- */

/* It waits for an endpoint again. */
static void requeue(struct rpc *r, struct rpc_call *call)
{
	list_del(&call->node);
	list_push(&r->waiting, &call->node);
	r->again = true;
}

/* Out of its slot. */
static struct rpc_call *take(struct rpc_batch *b, unsigned i)
{
	struct rpc_call *call = b->calls[i];

	if (call) {
		b->calls[i] = NULL;
		call->batch = NULL;
	}
	return call;
}

static void tried(struct rpc *r, struct rpc_call *call,
		  const struct rpc_endpoint *e, int status, const char *why)
{
	call->tried |= 1u << e->index;
	call->last = status;
	text_copy(call->err.text, sizeof(call->err.text), why);
	requeue(r, call);
}

/* The endpoint is in trouble: nobody waits for it. */
static void endpoint_failed(struct rpc *r, struct rpc_endpoint *e, int status,
			    uint64_t retry_after_s, const char *why)
{
	struct list all;

	rpc_endpoint_bad(e, status, retry_after_s, why);
	list_init(&all);
	list_splice(&all, &e->out);
	list_foreach_safe(n, &all)
		tried(r, container_of(n, struct rpc_call, node), e, status, why);
}

static void refuse_endpoint(struct rpc *r, struct rpc_endpoint *e, int status,
			    const char *why)
{
	endpoint_failed(r, e, status, 0, why);
	e->state = RPC_REFUSED;
}

static void all_failed(struct rpc_batch *b, int status, uint64_t retry_after_s,
		       const char *why)
{
	struct rpc_call *call;

	endpoint_failed(b->rpc, b->ep, status, retry_after_s, why);
	for (unsigned i = 0; i < b->n; i++) {
		call = take(b, i);
		if (call)
			tried(b->rpc, call, b->ep, status, why);
	}
}

/* The same calls to the same endpoint, in smaller arrays. */
static void split(struct rpc_batch *b, unsigned batch_max)
{
	struct rpc_call *call;

	if (batch_max)
		b->ep->batch_max = MIN(b->ep->batch_max, batch_max);
	for (unsigned i = 0; i < b->n; i++) {
		call = take(b, i);
		if (!call)
			continue;
		call->alone = call->alone || !batch_max;
		list_push(&b->ep->out, &call->node);
	}
	b->rpc->again = true;
}

/* ---- one answer to one call ---- */

static int error_status(const struct rpc_error *e)
{
	switch (e->cls) {
	case RPC_CLASS_REVERTED: return -ENOEXEC;
	case RPC_CLASS_BUSY: return -EAGAIN;
	case RPC_CLASS_ELSEWHERE:
		return e->code == -32601 ? -EOPNOTSUPP : -EBADE;
	case RPC_CLASS_FINAL:
	case RPC_CLASS_NONE:
	default: return -EBADE;
	}
}

static void on_error(struct rpc_batch *b, struct rpc_call *call,
		     const struct rpc_error *error)
{
	int status = error_status(error);
	struct err why = { 0 };

	err_set(&why, status, "%s: %s: %s", b->ep->name, call->method,
		error->message[0] ? error->message : "an error without words");
	call->error = *error;
	call->endpoint = b->ep->index;
	switch (error->cls) {
	case RPC_CLASS_BUSY:
		endpoint_failed(b->rpc, b->ep, status, 0, why.text);
		tried(b->rpc, call, b->ep, status, why.text);
		break;
	case RPC_CLASS_ELSEWHERE:
		call->answered = true;
		tried(b->rpc, call, b->ep, status, why.text);
		break;
	case RPC_CLASS_REVERTED:
	case RPC_CLASS_FINAL:
	case RPC_CLASS_NONE:
	default: call->err = why; rpc_finish(b->rpc, call, status);
	}
}

static void on_item(struct rpc_batch *b, unsigned i, struct rpc_item *item)
{
	struct rpc_call *call = take(b, i);
	struct err why = { 0 };
	int status;

	if (!call)
		return;
	if (item->status == -EBADE) {
		on_error(b, call, &item->error);
		return;
	}
	status = item->status;
	if (status == 0)
		status = rpc_answer_check(item->result, call->want, max_of(call));
	if (status == 0) {
		call->endpoint = b->ep->index;
		call->error.cls = RPC_CLASS_NONE;
		call->result = steal(&item->result);
		rpc_finish(b->rpc, call, 0);
		return;
	}
	b->ep->n_failed++;
	err_set(&why, status, "%s: %s: %s", b->ep->name, call->method,
		status == -EMSGSIZE ? "the answer is larger than allowed" :
				      "the answer has a wrong form");
	log_warn("%s", why.text);
	call->answered = true;
	tried(b->rpc, call, b->ep, status, why.text);
}

/* ---- the answer as a whole ---- */

/* Only an answer to a real call shows that a node is well. */
static void on_probe(struct rpc_batch *b, const struct rpc_item *item)
{
	struct rpc *r = b->rpc;
	struct err why = { 0 };
	uint64_t id = 0;

	if (item->status == -EBADE)
		err_set(&why, -EREMOTEIO, "%s: eth_chainId: %s", b->ep->name,
			item->error.message);
	if (item->status < 0 || json_hex_u64(item->result, &id) < 0) {
		err_set(&why, -EPROTO,
			"%s: it does not say which chain it serves", b->ep->name);
		endpoint_failed(r, b->ep,
				item->status == -EBADE ? -EREMOTEIO : -EPROTO,
				0, why.text);
		return;
	}
	if (id == r->p.chain_id) {
		b->ep->state = RPC_OK;
		r->again = true;
		return;
	}
	err_set(&why, -EPERM,
		"%s is a node of chain %llu, and this is %s (chain %llu): it is not asked again",
		b->ep->name, (unsigned long long)id, r->chain_name,
		(unsigned long long)r->p.chain_id);
	refuse_endpoint(r, b->ep, -EPERM, why.text);
}

static void on_items(struct rpc_batch *b, struct rpc_item *items)
{
	bool busy = false;

	if (b->probe) {
		on_probe(b, &items[0]);
		return;
	}
	for (unsigned i = 0; i < b->n; i++)
		if (items[i].error.cls == RPC_CLASS_BUSY)
			busy = true;
	if (!busy)
		rpc_endpoint_good(b->ep, monotonic_ms() - b->start_ms);
	for (unsigned i = 0; i < b->n; i++)
		on_item(b, i, &items[i]);
}

static void on_worthless(struct rpc_batch *b, int status, const struct rpc_item *items)
{
	struct err why = { 0 };

	if (status == -EOPNOTSUPP && items[0].error.cls != RPC_CLASS_BUSY) {
		log_info("%s: an array of %u calls is refused: %s", b->ep->name,
			 b->n, items[0].error.message);
		split(b, b->n / 2);
		return;
	}
	if (status == -EOPNOTSUPP) {
		status = -EAGAIN;
		err_set(&why, status, "%s: %s", b->ep->name, items[0].error.message);
	}
	err_set(&why, status, "%s: %s", b->ep->name, err_str(status));
	all_failed(b, status, 0, why.text);
}

static void on_answer(struct rpc_batch *b, struct slice body)
{
	_cleanup_free_ struct rpc_item *items = calloc(b->n, sizeof(*items));
	int status;

	if (!items) {
		all_failed(b, -ENOMEM, 0, "no memory for an answer");
		return;
	}
	status = rpc_answer_read(body, b->first_id, b->n, b->n > 1, items);
	if (status == 0)
		on_items(b, items);
	else
		on_worthless(b, status, items);
	rpc_answer_fini(items, b->n);
}

/* 4xx that concern the request, not who we are or how often we ask. */
static bool refuses_array(const struct rpc_batch *b)
{
	switch (b->req.head.status) {
	case 400:
	case 404:
	case 405:
	case 411:
	case 413:
	case 415:
	case 422:
	case 500:
	case 501: return b->n > 1;
	default: return false;
	}
}

static void on_failure(struct rpc_batch *b, int status)
{
	const struct http_head *h = &b->req.head;
	struct slice said = slice_str(b->req.said);
	/* One that hung, for as long as it cost; a stop of ours cost nothing. */
	uint64_t pause_s = 0, hung_ms = monotonic_ms() - b->start_ms;

	if (status == -EMSGSIZE && h->status == 200 && b->n > 1) {
		split(b, 0);
		return;
	}
	if (refuses_array(b)) {
		split(b, b->n / 2);
		return;
	}
	/* Some nodes send their errors with a status. */
	if (b->n == 1 && (h->status == 400 || h->status == 500) && said.n &&
	    said.p[0] == '{') {
		on_answer(b, said);
		return;
	}
	if (status == -EMSGSIZE && h->status == 200 && b->calls[0]) {
		struct rpc_call *call = take(b, 0);

		call->answered = true;
		tried(b->rpc, call, b->ep, status, b->req.err.text);
		return;
	}
	if (status == -ETIMEDOUT)
		pause_s = MIN(hung_ms, b->rpc->p.request_ms) / 1000;
	if (h->has_retry_after)
		pause_s = h->retry_after_s;
	if (!retry_worthwhile(status))
		status = -EREMOTEIO;
	all_failed(b, status, pause_s, b->req.err.text);
}

static void on_done(struct http_req *req, int status)
{
	struct rpc_batch *b = container_of(req, struct rpc_batch, req);
	struct rpc *r = b->rpc;

	list_del(&b->node);
	if (b->probe && b->ep->state == RPC_ASKING)
		b->ep->state = RPC_UNKNOWN;
	if (status == 0)
		on_answer(b, buf_slice(&b->answer));
	else if (status != -ECANCELED)
		on_failure(b, status);
	batch_free(b);
	rpc_batch_gone(r);
}

/* ---- sending ---- */

static int put_call(struct rpc_batch *b, uint64_t id, const char *method,
		    const char *params)
{
	return buf_printf(
		&b->body,
		"{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\",\"params\":%s}",
		(unsigned long long)id, method, params ? params : "[]");
}

static int put_calls(struct rpc_batch *b)
{
	int r = b->n > 1 ? buf_u8(&b->body, '[') : 0;

	for (unsigned i = 0; i < b->n && r == 0; i++) {
		if (i)
			r = buf_u8(&b->body, ',');
		if (r == 0)
			r = put_call(b, b->first_id + i, b->calls[i]->method,
				     b->calls[i]->params);
	}
	if (r == 0 && b->n > 1)
		r = buf_u8(&b->body, ']');
	return r;
}

static int post(struct rpc_batch *b, size_t answer_max)
{
	static const char *const headers[] = { "Content-Type: application/json",
					       "Accept: application/json", NULL };

	buf_init(&b->answer, answer_max);
	b->req.method = HTTP_POST;
	b->req.url = b->ep->url;
	b->req.headers = headers;
	b->req.body = buf_slice(&b->body);
	b->req.ret_body = &b->answer;
	b->req.total_ms = b->rpc->p.request_ms;
	b->req.done = on_done;
	b->start_ms = monotonic_ms();
	return http_start(b->rpc->p.http, &b->req);
}

static struct rpc_batch *batch_new(struct rpc *r, struct rpc_endpoint *e)
{
	struct rpc_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->rpc = r;
	b->ep = e;
	buf_init(&b->body, RPC_BATCH_MAX * (RPC_PARAMS_MAX + 256ul));
	b->first_id = r->next_id;
	return b;
}

/* It is on its way, or it never will be. */
static void sent(struct rpc_batch *b, int status)
{
	struct rpc *r = b->rpc;
	struct rpc_call *call;
	struct err why = { 0 };

	if (status == 0) {
		r->next_id += b->n;
		list_push(&r->batches, &b->node);
		return;
	}
	err_set(&why, status, "%s: %s", b->ep->name,
		b->req.err.text[0] ? b->req.err.text : err_str(status));
	if (status == -EINVAL) { /* the URL is none: it will never work */
		for (unsigned i = 0; i < b->n; i++) {
			call = take(b, i);
			if (call)
				tried(r, call, b->ep, status, why.text);
		}
		refuse_endpoint(r, b->ep, status, why.text);
	} else {
		all_failed(b, status, 0, why.text);
	}
	batch_free(b);
}

void rpc_probe(struct rpc *r, struct rpc_endpoint *e)
{
	struct rpc_batch *b = batch_new(r, e);
	int status = -ENOMEM;

	if (!b) {
		endpoint_failed(r, e, status, 0, "no memory");
		return;
	}
	b->probe = true;
	b->n = 1;
	e->state = RPC_ASKING;
	status = put_call(b, b->first_id, "eth_chainId", NULL);
	if (status == 0)
		status = post(b, FRAME_MAX);
	if (status < 0)
		e->state = RPC_UNKNOWN;
	sent(b, status);
}

void rpc_send(struct rpc *r, struct rpc_endpoint *e)
{
	struct rpc_batch *b = batch_new(r, e);
	size_t weight = 0;
	int status;

	if (!b) {
		endpoint_failed(r, e, -ENOMEM, 0, "no memory");
		return;
	}
	list_foreach_safe(n, &e->out) {
		struct rpc_call *call = container_of(n, struct rpc_call, node);
		size_t w = (size_t)max_of(call) + FRAME_MAX;

		if (b->n && (call->alone || b->n >= e->batch_max ||
			     weight + w > RPC_ANSWER_MAX))
			break;
		list_del(&call->node);
		call->batch = b;
		call->slot = b->n;
		b->calls[b->n++] = call;
		weight += w;
		if (call->alone)
			break;
	}
	b->n_live = b->n;
	status = put_calls(b);
	if (status == 0)
		status = post(b, weight);
	sent(b, status);
}
