#include "chain/rpc.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "chain/rpc_impl.h"
#include "net/waiter.h"

#define BACKOFF_MS     500
#define BACKOFF_MAX_MS 120000
#define REQUEST_MS     20000
#define LOOK_MS        1000 /* how often who waits is looked at */
#define STOOD_MS       1000 /* a loop that is so late was stopped */

/* ---- the end of a call ---- */

/* For rpc_endpoint_status(). */
static void tell_status(struct rpc *r)
{
	lock_take(&r->lock);
	for (unsigned i = 0; i < r->n; i++) {
		const struct rpc_endpoint *e = &r->ep[i];
		struct rpc_status *s = &r->status[i];

		s->state = e->state;
		s->latency_ms = (unsigned)(e->latency_ms / 8);
		s->n_good = e->n_good;
		s->n_failed = e->n_failed;
		s->err = e->err;
		r->away_until_ms[i] = e->away_until_ms;
	}
	lock_drop(&r->lock);
}

void rpc_finish(struct rpc *r, struct rpc_call *call, int status)
{
	struct rpc_batch *b = call->batch;

	tell_status(r); /* who waits may look at once */
	list_del(&call->node);
	list_del(&call->live);
	if (b) {
		b->calls[call->slot] = NULL;
		call->batch = NULL;
		rpc_batch_left(b);
	}
	if (status == 0)
		call->err.text[0] = '\0';
	else
		err_set(&call->err, status, "%s: %s", call->method, err_str(status));
	call->done(call, status);
}

static void finish_saying(struct rpc *r, struct rpc_call *call, int status,
			  const char *why)
{
	text_copy(call->err.text, sizeof(call->err.text), why);
	rpc_finish(r, call, status);
}

/* ---- which endpoint ---- */

enum pick {
	PICK_FOUND,
	PICK_LATER,  /* *until */
	PICK_DONE,   /* all that could be asked have said that they cannot */
	PICK_NOBODY, /* every one is of another chain */
};

static struct rpc_endpoint *best_of(struct rpc *r, uint32_t tried, uint64_t now)
{
	struct rpc_endpoint *best = NULL, *e;

	for (unsigned i = 0; i < r->n; i++) {
		e = &r->ep[i];
		if ((tried & 1u << i) || !rpc_endpoint_usable(e, now))
			continue;
		if (!best || rpc_endpoint_score(e) < rpc_endpoint_score(best))
			best = e;
	}
	/* Nodes are a block apart: stay, unless the other is twice as fast. */
	e = &r->ep[r->current];
	if (best && !(tried & 1u << r->current) && rpc_endpoint_usable(e, now) &&
	    rpc_endpoint_score(e) / 2 <= rpc_endpoint_score(best))
		best = e;
	return best;
}

static enum pick pick(struct rpc *r, struct rpc_call *call, uint64_t now,
		      struct rpc_endpoint **ret, uint64_t *until)
{
	bool anybody = false;

	*until = UINT64_MAX;
	for (unsigned i = 0; i < r->n; i++) {
		if (r->ep[i].state == RPC_REFUSED)
			continue;
		anybody = true;
		*until = MIN(*until, MAX(r->ep[i].away_until_ms, now));
	}
	if (!anybody)
		return PICK_NOBODY;
	*ret = best_of(r, call->tried, now);
	if (*ret)
		return PICK_FOUND;
	if (call->answered)
		return PICK_DONE;
	call->tried = 0; /* another round: who failed was away in between */
	*ret = best_of(r, call->tried, now);
	return *ret ? PICK_FOUND : PICK_LATER;
}

static void say_away(struct rpc *r, struct rpc_call *call)
{
	const struct rpc_endpoint *why = NULL;

	for (unsigned i = 0; i < r->n; i++)
		if (r->ep[i].err.text[0] && (!why || why->state == RPC_REFUSED))
			why = &r->ep[i];
	if (!why || call->err.text[0])
		return;
	call->last = why->last;
	text_copy(call->err.text, sizeof(call->err.text), why->err.text);
}

static void send_to(struct rpc *r, struct rpc_call *call, struct rpc_endpoint *e)
{
	list_del(&call->node);
	list_push(&e->out, &call->node);
	if (!call->only)
		r->current = e->index;
}

static void place_only(struct rpc *r, struct rpc_call *call, uint64_t now)
{
	struct rpc_endpoint *e = &r->ep[call->only - 1];

	if (call->last)
		rpc_finish(r, call, call->last); /* was asked, once */
	else if (rpc_endpoint_usable(e, now))
		send_to(r, call, e);
	else
		finish_saying(r, call, e->state == RPC_REFUSED ? -EPERM : e->last,
			      e->err.text);
}

static void place(struct rpc *r, struct rpc_call *call, uint64_t now)
{
	struct rpc_endpoint *e = NULL;
	uint64_t until;

	if (call->only) {
		place_only(r, call, now);
		return;
	}
	switch (pick(r, call, now, &e, &until)) {
	case PICK_FOUND: send_to(r, call, e); break;
	case PICK_LATER:
		if (until < call->until_ms)
			break;
		say_away(r, call); /* nobody will be back in time */
		rpc_finish(r, call, call->last ? call->last : -EREMOTEIO);
		break;
	case PICK_DONE: rpc_finish(r, call, call->last); break;
	case PICK_NOBODY:
	default: finish_saying(r, call, -EPERM, r->ep[r->n - 1].err.text);
	}
}

/* ---- the pump ---- */

/*
 * The timer was to fire by r->look_ms.  If it is much later, the process was stopped
 * or others have the machine, and nobody has waited for an answer meanwhile.
 */
static void forgive(struct rpc *r, uint64_t now)
{
	uint64_t late = r->look_ms && now > r->look_ms ? now - r->look_ms : 0;

	if (late < STOOD_MS)
		return;
	r->look_ms = now;
	list_foreach(n, &r->live)
		container_of(n, struct rpc_call, live)->until_ms += late;
}

static void set_timer(struct rpc *r, uint64_t now)
{
	uint64_t at = UINT64_MAX;

	r->look_ms = list_empty(&r->live) ? 0 : now + LOOK_MS;
	list_foreach(n, &r->live)
		at = MIN(at, container_of(n, struct rpc_call, live)->until_ms);
	for (unsigned i = 0; i < r->n && !list_empty(&r->waiting); i++)
		if (r->ep[i].away_until_ms > now && r->ep[i].state != RPC_REFUSED)
			at = MIN(at, r->ep[i].away_until_ms);
	if (r->look_ms)
		at = MIN(at, r->look_ms);
	if (at == UINT64_MAX)
		loop_timer_stop(r->timer);
	else
		loop_timer_start(r->timer, at > now ? at - now : 1, 0);
}

/* Place what waits, send what is placed, set the timer. */
static void rpc_pump(struct rpc *r)
{
	uint64_t now;

	do {
		r->again = false;
		now = monotonic_ms();
		forgive(r, now);
		list_foreach_safe(n, &r->waiting)
			place(r, container_of(n, struct rpc_call, node), now);
		for (unsigned i = 0; i < r->n; i++) {
			struct rpc_endpoint *e = &r->ep[i];

			if (e->state == RPC_UNKNOWN && !list_empty(&e->out))
				rpc_probe(r, e);
			while (e->state == RPC_OK && !list_empty(&e->out))
				rpc_send(r, e);
		}
	} while (r->again);
	set_timer(r, now);
	tell_status(r);
}

static void on_timer(void *ctx)
{
	struct rpc *r = ctx;
	uint64_t now = monotonic_ms();

	forgive(r, now);
	list_foreach_safe(n, &r->live) {
		struct rpc_call *call = container_of(n, struct rpc_call, live);

		if (call->until_ms > now)
			continue;
		if (call->batch)
			err_set(&call->err, -ETIMEDOUT, "%s: %s: no answer in time",
				call->batch->ep->name, call->method);
		else if (!call->last)
			say_away(r, call);
		rpc_finish(r, call, call->last ? call->last : -ETIMEDOUT);
	}
	rpc_pump(r);
}

/* ---- start and cancel, from any thread ---- */

static void begin(struct rpc *r, struct rpc_call *call)
{
	uint64_t now = monotonic_ms();
	int e;

	forgive(r, now); /* those who came before; it has all its time */
	if (!r->look_ms)
		r->look_ms = now + LOOK_MS;
	call->until_ms = now + (call->deadline_ms ? call->deadline_ms : RPC_CALL_MS);
	list_push(&r->live, &call->live);
	list_push(&r->waiting, &call->node);
	if (atomic_load(&call->cancelled)) {
		rpc_finish(r, call, -ECANCELED);
		return;
	}
	if (r->timer)
		return;
	e = loop_timer_new(r->p.loop, on_timer, r, &r->timer);
	if (e < 0)
		rpc_finish(r, call, e);
}

static void drop_cancelled(struct rpc *r)
{
	list_foreach_safe(n, &r->live) {
		struct rpc_call *call = container_of(n, struct rpc_call, live);

		if (atomic_load(&call->cancelled))
			rpc_finish(r, call, -ECANCELED);
	}
}

static struct rpc_call *next_starting(struct rpc *r)
{
	struct rpc_call *call = NULL;

	lock_take(&r->lock);
	if (!list_empty(&r->starting)) {
		call = list_first(&r->starting, struct rpc_call, node);
		list_del(&call->node);
	}
	lock_drop(&r->lock);
	return call;
}

/* Nothing of us is left on the loop: the last thing that is done there. */
static void close_now(struct rpc *r)
{
	loop_timer_free(r->timer);
	lock_take(&r->lock);
	r->closed = true;
	cond_wake_all(&r->cond);
	lock_drop(&r->lock);
}

static void close_when_quiet(struct rpc *r)
{
	assert(list_empty(&r->live));
	list_foreach(n, &r->batches)
		http_cancel(r->p.http,
			    &container_of(n, struct rpc_batch, node)->req);
	if (list_empty(&r->batches))
		close_now(r);
}

static void on_wake(struct loop_task *t)
{
	struct rpc *r = container_of(t, struct rpc, wake);
	struct rpc_call *call;
	bool closing;

	lock_take(&r->lock);
	r->woken = false;
	closing = r->closing;
	lock_drop(&r->lock);
	if (closing) {
		close_when_quiet(r);
		return;
	}
	while ((call = next_starting(r)))
		begin(r, call);
	drop_cancelled(r);
	if (r->timer)
		rpc_pump(r);
}

static void wake(struct rpc *r) REQUIRES(r->lock)
{
	r->used = true;
	if (r->woken)
		return;
	r->woken = true;
	loop_post(r->p.loop, &r->wake);
}

void rpc_batch_gone(struct rpc *r)
{
	bool closing;

	lock_take(&r->lock);
	closing = r->closing;
	if (closing)
		wake(r);
	lock_drop(&r->lock);
	if (!closing)
		rpc_pump(r);
}

int rpc_start(struct rpc *r, struct rpc_call *call)
{
	call->err.text[0] = '\0';
	if (!call->method || !call->done || call->only > r->n ||
	    (call->params &&
	     strnlen(call->params, RPC_PARAMS_MAX + 1) > RPC_PARAMS_MAX))
		return err_set(&call->err, -EINVAL, "a call that cannot be sent");
	assert(!call->result);
	call->error.cls = RPC_CLASS_NONE;
	call->batch = NULL;
	call->tried = 0;
	call->answered = call->alone = false;
	call->last = 0;
	lock_take(&r->lock);
	list_push(&r->starting, &call->node);
	wake(r);
	lock_drop(&r->lock);
	return 0;
}

void rpc_cancel(struct rpc *r, struct rpc_call *call)
{
	atomic_store(&call->cancelled, true);
	lock_take(&r->lock);
	wake(r);
	lock_drop(&r->lock);
}

static void on_waited(struct rpc_call *call, int status)
{
	waiter_over(call->waiter, status);
}

int rpc_wait(struct rpc *r, struct rpc_call *call)
{
	struct waiter w;
	int e;

	waiter_init(&w);
	/* cppcheck-suppress autoVariables; taken back below */
	call->waiter = &w;
	call->done = on_waited;
	e = waiter_fini(&w, rpc_start(r, call));
	call->waiter = NULL;
	return e;
}

void rpc_call_fini(struct rpc_call *call)
{
	json_decref(call->result);
	call->result = NULL;
}

/* ---- life ---- */

static int setup(struct rpc *r, struct err *reterr)
{
	const struct rpc_params *p = &r->p;
	int e;

	for (r->n = 0; r->n < p->n_urls; r->n++) {
		e = rpc_endpoint_init(&r->ep[r->n], r->n, p->urls[r->n],
				      &r->backoff);
		if (e < 0)
			return err_set(reterr, e, "RPC endpoint %s: %s",
				       p->urls[r->n], err_str(e));
		text_copy(r->status[r->n].name, RPC_NAME_MAX, r->ep[r->n].name);
	}
	return 0;
}

static void destroy(struct rpc *r)
{
	for (unsigned i = 0; i < r->n; i++)
		rpc_endpoint_fini(&r->ep[i]);
	cond_fini(&r->cond);
	lock_fini(&r->lock);
	free(r);
}

int rpc_new(const struct rpc_params *p, struct rpc **ret, struct err *reterr)
{
	static const struct retry_policy backoff = { .base_ms = BACKOFF_MS,
						     .max_ms = BACKOFF_MAX_MS };
	struct rpc *r;
	int e;

	if (p->n_urls == 0 || p->n_urls > RPC_URLS_MAX)
		return err_set(reterr, -EINVAL,
			       "between 1 and %d RPC endpoints are needed",
			       RPC_URLS_MAX);
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->p = *p;
	r->p.request_ms = p->request_ms ? p->request_ms : REQUEST_MS;
	r->backoff = p->backoff ? *p->backoff : backoff;
	r->next_id = 1;
	r->wake.run = on_wake;
	text_copy(r->chain_name, sizeof(r->chain_name),
		  p->chain_name ? p->chain_name : "another");
	lock_init(&r->lock);
	cond_init(&r->cond);
	list_init(&r->waiting);
	list_init(&r->live);
	list_init(&r->batches);
	list_init(&r->starting);
	e = setup(r, reterr);
	if (e < 0) {
		destroy(r);
		return e;
	}
	r->p.urls = NULL; /* the caller's */
	*ret = r;
	return 0;
}

void rpc_free(struct rpc *r)
{
	if (!r)
		return;
	lock_take(&r->lock);
	if (r->used) {
		r->closing = true;
		wake(r);
		while (!r->closed)
			cond_wait(&r->cond, &r->lock);
	}
	lock_drop(&r->lock);
	destroy(r);
}

unsigned rpc_n_endpoints(const struct rpc *r)
{
	return r->n;
}

const char *rpc_endpoint_name(const struct rpc *r, unsigned i)
{
	assert(i < r->n);
	return r->ep[i].name;
}

void rpc_endpoint_status(struct rpc *r, unsigned i, struct rpc_status *ret)
{
	uint64_t now = monotonic_ms(), until;

	assert(i < r->n);
	lock_take(&r->lock);
	*ret = r->status[i];
	until = r->away_until_ms[i];
	lock_drop(&r->lock);
	ret->away_ms = until > now ? until - now : 0;
}
