#include "daemon/chainlink.h"

#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "chain/foc.h"
#include "chain/rpc.h"
#include "daemon/exits.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/waiter.h"
#include "net/work.h"

struct chainlink {
	struct loop *loop;
	bool own_loop, looping;
	struct work *work;
	struct http *http;
	struct foc *foc;
	struct loop_timer *limit;
};

static void on_limit(void *ctx)
{
	chainlink_halt(ctx);
}

static int start(struct chainlink *l, const struct chainlink_params *p,
		 struct err *reterr)
{
	struct http_params hp = { .loop = NULL };
	struct foc_params fp = { .url = p->url, .payer = p->payer };
	int r = 0;

	l->loop = p->loop;
	l->own_loop = !p->loop;
	if (l->own_loop) {
		log_level_set(LOG_LEVEL_WARN); /* a command says the rest itself */
		r = loop_new(&l->loop);
	}
	if (r == 0)
		r = work_new(l->loop, 1, &l->work);
	if (r < 0)
		return r;
	hp.loop = l->loop;
	hp.work = l->work;
	r = http_new(&hp, &l->http);
	if (r < 0)
		return r;
	fp.loop = l->loop;
	fp.http = l->http;
	r = foc_new(&fp, &l->foc, reterr);
	if (r == 0 && p->limit_ms) {
		r = loop_timer_new(l->loop, on_limit, l, &l->limit);
		if (r == 0)
			loop_timer_start(l->limit, p->limit_ms, 0);
	}
	if (r == 0 && l->own_loop) {
		r = loop_start(l->loop);
		l->looping = r == 0;
	}
	return r;
}

int chainlink_open(const struct chainlink_params *p, struct chainlink **ret,
		   struct err *reterr)
{
	_cleanup_chainlink_ struct chainlink *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	r = start(l, p, reterr);
	if (r < 0)
		return err_set(reterr, r, "the chain's client: %s", err_str(r));
	*ret = steal(&l);
	return 0;
}

struct foc *chainlink_foc(const struct chainlink *l)
{
	return l->foc;
}

struct http *chainlink_http(const struct chainlink *l)
{
	return l->http;
}

/* Has each endpoint failed, so that a warning said why, and none answered? */
static bool all_are_dead(const struct chainlink *l)
{
	struct rpc *rpc = foc_rpc(l->foc);
	struct rpc_status s;

	for (unsigned i = 0; i < rpc_n_endpoints(rpc); i++) {
		rpc_endpoint_status(rpc, i, &s);
		if (s.n_good || !s.n_failed)
			return false;
	}
	return true;
}

int chainlink_err(const struct chainlink *l, int r, const struct err *reason,
		  const char *doing)
{
	unsigned n;

	if (!l || !all_are_dead(l))
		return exits_say((int)exits_of(r), "%s: %s", doing,
				 reason && reason->text[0] ? reason->text :
							     err_str(r));
	n = rpc_n_endpoints(foc_rpc(l->foc));
	if (n == 1)
		return exits_say((int)exits_of(r),
				 "%s: its endpoint does not answer", doing);
	return exits_say((int)exits_of(r),
			 "%s: none of its %u endpoints answers", doing, n);
}

void chainlink_halt(struct chainlink *l)
{
	if (l)
		foc_stop(l->foc);
}

void chainlink_shut(struct chainlink *l)
{
	if (!l)
		return;
	foc_free(steal(&l->foc));
	work_free(steal(&l->work));
}

void chainlink_free(struct chainlink *l)
{
	if (!l)
		return;
	http_free(l->http);
	free(l);
}

/* The timer is the loop's; it must not fire into what is gone. */
struct stop_limit {
	struct loop_task task;
	struct chainlink *l;
	struct waiter w;
};

static void stop_limit(struct loop_task *t)
{
	struct stop_limit *s = container_of(t, struct stop_limit, task);

	loop_timer_free(steal(&s->l->limit));
	waiter_over(&s->w, 0);
}

void chainlink_close(struct chainlink *l)
{
	struct loop *own;

	if (!l)
		return;
	assert(!l->limit || l->own_loop); /* its timer ends with the loop */
	own = l->own_loop ? l->loop : NULL;
	if (l->looping && l->limit) {
		struct stop_limit s = { .l = l };

		waiter_init(&s.w);
		s.task.run = stop_limit;
		loop_post(own, &s.task);
		best_effort(waiter_fini(&s.w, 0)); /* has no status */
	}
	chainlink_shut(l);
	if (l->looping)
		loop_stop(own);
	chainlink_free(l);
	loop_free(own);
}
