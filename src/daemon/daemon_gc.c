/*
 * daemon_gc.c - gc on the control socket
 *
 *   {"verb": "gc", "remove": false, "network": 35, "forget_before": 0}
 *       progress lines; then what nobody needs, by store, and with "remove" what is
 *       still to be removed by its owner
 *   {"verb": "gc-asked", "data_set": n, "cid": "…", "ref": hex, "amount": units,
 *    "text": "…", "refused": false}
 *       the owner is about to ask for a removal from it, of pieces of which that is the
 *       first; or it was refused.  "before": it may have been asked for already
 *   {"verb": "gc-removed", "ref": hex, "amount": units, "text": "…", "ended": n}
 *       the owner has paid for that, or has ended data set n; both may be missing.
 *       The stores look what is gone
 */
#include "daemon/daemon_impl.h"

#include <string.h>

#include "base/buf.h"
#include "chain/u256.h"
#include "crypto/piece_cid.h"
#include "daemon/engine.h"
#include "ledger/ledger.h"
#include "net/json.h"
#include "net/loop.h"

#define PROGRESS_MS 500

struct gc_call {
	struct daemon *d;
	struct control_call *call;
	uv_work_t work;
	struct loop_timer *timer;
	struct engine_gc gc;
	struct lock lock;
	char stage[64];       /* lock: lock */
	uint64_t done, total; /* lock: lock */
	bool stop;            /* lock: lock; nobody waits for it any more */
	struct err why;
	int result;
};

/* ---- the answer ---- */

static int add(json_t *o, const char *key, json_t *value)
{
	return json_object_set_new(o, key, value);
}

static json_t *num(uint64_t v)
{
	return json_integer((json_int_t)MIN(v, (uint64_t)INT64_MAX));
}

static json_t *sum_json(struct engine_sum s)
{
	return json_pack("{s:o, s:o}", "pieces", num(s.pieces), "bytes",
			 num(s.bytes));
}

static json_t *removals_json(const struct engine_gc_store *s)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < s->n_removals; i++)
		if (json_array_append_new(
			    a, json_pack("{s:s, s:o}", "cid", s->removals[i].cid,
					 "size", num(s->removals[i].size))) < 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

static json_t *stores_json(const struct engine_gc *g)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (size_t i = 0; r == 0 && i < g->n_stores; i++) {
		const struct engine_gc_store *s = &g->stores[i];
		json_t *o = json_object();

		r = add(o, "url", json_string(s->url));
		r |= add(o, "network", json_boolean(s->network));
		r |= add(o, "data_set", s->set ? num(s->set) : json_null());
		r |= add(o, "dead", sum_json(s->dead));
		r |= add(o, "left", sum_json(s->left));
		r |= add(o, "removals", removals_json(s));
		r |= json_array_append_new(a, o);
	}
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static json_t *gc_json(const struct engine_gc *g)
{
	json_t *o = json_object();
	int r = add(o, "commits", num(g->commits));

	r |= add(o, "sequence", num(g->sequence));
	r |= add(o, "forgotten", num(g->forgotten));
	r |= add(o, "dead", sum_json(g->dead));
	r |= add(o, "paid", sum_json(g->paid));
	r |= add(o, "batch", sum_json(g->batch));
	r |= add(o, "only_snapshots", sum_json(g->old));
	r |= add(o, "mostly_dead", sum_json(g->sparse));
	r |= add(o, "condemned", sum_json(g->condemned));
	r |= add(o, "without_copies", num(g->short_of));
	r |= add(o, "stores", stores_json(g));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* ---- gc ---- */

static int on_progress(void *ctx, const char *stage, uint64_t done, uint64_t total)
{
	struct gc_call *g = ctx;
	bool stop;

	lock_take(&g->lock);
	text_copy(g->stage, sizeof(g->stage), stage);
	g->done = done;
	g->total = total;
	stop = g->stop;
	lock_drop(&g->lock);
	return stop;
}

static void tick(void *ctx)
{
	struct gc_call *g = ctx;
	char stage[sizeof(g->stage)];
	uint64_t done, total;

	lock_take(&g->lock);
	memcpy(stage, g->stage, sizeof(stage));
	done = g->done;
	total = g->total;
	g->stop = control_gone(g->call) || g->d->ending;
	lock_drop(&g->lock);
	if (!control_gone(g->call))
		control_progress(g->call,
				 json_pack("{s:s, s:o, s:o}", "stage",
					   stage[0] ? stage : "looking", "done",
					   num(done), "total", num(total)));
}

static void gc_work(uv_work_t *req)
{
	struct gc_call *g = container_of(req, struct gc_call, work);

	g->result = g->d->p->engine->gc(g->d->engine, &g->gc, on_progress, g,
					&g->why);
}

static void gc_worked(uv_work_t *req, int status)
{
	struct gc_call *g = container_of(req, struct gc_call, work);
	struct daemon *d = g->d;
	json_t *answer = NULL;
	int r = g->result;

	(void)status; /* never cancelled */
	loop_timer_stop(g->timer);
	loop_timer_free(g->timer);
	if (r == 0) {
		answer = gc_json(&g->gc);
		r = answer ? 0 : -ENOMEM;
	}
	control_done(g->call, r, g->why.text[0] ? g->why.text : NULL, answer);
	lock_fini(&g->lock);
	free(g);
	daemon_idle(d);
}

static bool number_of(const json_t *request, const char *key, uint64_t max,
		      uint64_t *ret)
{
	const json_t *v = json_object_get(request, key);
	json_int_t n = json_integer_value(v);

	*ret = (uint64_t)n;
	return !v || (json_is_integer(v) && n >= 0 && (uint64_t)n <= max);
}

void daemon_verb_gc(void *ctx, struct control_call *call, const json_t *request)
{
	struct gc_call *g = calloc(1, sizeof(*g));
	struct daemon *d = ctx;
	uint64_t network = 0;
	int r = g ? 0 : -ENOMEM;

	if (r == 0 && (d->ending || !d->engine))
		r = d->ending ? -ECANCELED : -EROFS;
	if (r == 0 &&
	    (!number_of(request, "network", ENGINE_GC_NETWORK, &network) ||
	     !number_of(request, "forget_before", INT64_MAX, &g->gc.forget_before)))
		r = -EINVAL;
	if (r == 0) {
		g->d = d;
		g->call = call;
		g->gc.remove = json_is_true(json_object_get(request, "remove"));
		g->gc.network = (unsigned)network;
		lock_init(&g->lock);
		r = loop_timer_new(d->loop, tick, g, &g->timer);
	}
	if (r == 0) {
		daemon_busy(d);
		r = uv_queue_work(loop_uv(d->loop), &g->work, gc_work, gc_worked);
		if (r == 0) {
			loop_timer_start(g->timer, PROGRESS_MS, PROGRESS_MS);
			return;
		}
		daemon_idle(d);
		loop_timer_free(g->timer);
	}
	control_done(call, r, NULL, NULL);
	free(g);
}

/* ---- what the owner has had removed ---- */

struct paid_call {
	struct daemon *d;
	struct control_call *call;
	uv_work_t work;
	struct ledger_spend spend;
	struct piece_cid first;
	uint64_t set; /* data set of which it is asked; 0: it was */
	bool refused;
	uint64_t ended; /* data set */
	int result;
};

static void paid_work(uv_work_t *req)
{
	struct paid_call *p = container_of(req, struct paid_call, work);
	const struct engine_ops *ops = p->d->p->engine;

	if (p->set)
		p->result = ops->gc_asked(p->d->engine, p->set, &p->first,
					  &p->spend, p->refused);
	else
		p->result = ops->gc_removed(p->d->engine,
					    p->spend.n_ref ? &p->spend : NULL,
					    p->ended);
}

static void paid_worked(uv_work_t *req, int status)
{
	struct paid_call *p = container_of(req, struct paid_call, work);
	struct daemon *d = p->d;
	json_t *answer = NULL;

	if (p->set && p->result >= 0)
		answer = json_pack("{s:b}", "before", p->result == 1);
	(void)status; /* never cancelled */
	control_done(p->call, MIN(p->result, 0), NULL, answer);
	free(p);
	daemon_idle(d);
}

/* Without "ref" nothing was paid. */
static int paid_parse(const json_t *request, struct ledger_spend *ret)
{
	const char *amount = json_string_value(json_object_get(request, "amount"));
	const char *text = json_string_value(json_object_get(request, "text"));
	const json_t *ref = json_object_get(request, "ref");
	struct u256 units;

	if (!ref)
		return 0;
	if (!amount || !text || json_hex_fixed(ref, ret->ref, 32) < 0 ||
	    u256_from_text(slice_str(amount), &units) < 0)
		return -EINVAL;
	ret->n_ref = 32;
	ret->time = (uint64_t)time(NULL);
	u256_to_be(units, ret->amount);
	text_copy(ret->text, sizeof(ret->text), text);
	return 0;
}

static int asked_parse(const json_t *request, struct paid_call *ret)
{
	const char *cid = json_string_value(json_object_get(request, "cid"));

	if (!number_of(request, "data_set", INT64_MAX, &ret->set) ||
	    !ret->set || !cid || ret->spend.n_ref == 0)
		return -EINVAL;
	ret->refused = json_is_true(json_object_get(request, "refused"));
	return piece_cid_from_text(slice_str(cid), &ret->first) < 0 ? -EINVAL : 0;
}

static void paid_begin(struct daemon *d, struct control_call *call,
		       const json_t *request, bool asked)
{
	struct paid_call *p = calloc(1, sizeof(*p));
	int r = p ? paid_parse(request, &p->spend) : -ENOMEM;

	if (r == 0 && asked)
		r = asked_parse(request, p);
	if (r == 0 && !number_of(request, "ended", INT64_MAX, &p->ended))
		r = -EINVAL;
	if (r == 0 && (d->ending || !d->engine))
		r = d->ending ? -ECANCELED : -EROFS;
	if (r == 0) {
		p->d = d;
		p->call = call;
		daemon_busy(d);
		r = uv_queue_work(loop_uv(d->loop), &p->work, paid_work,
				  paid_worked);
		if (r == 0)
			return;
		daemon_idle(d);
	}
	control_done(call, r, NULL, NULL);
	free(p);
}

void daemon_verb_gc_asked(void *ctx, struct control_call *call, const json_t *request)
{
	paid_begin(ctx, call, request, true);
}

void daemon_verb_gc_removed(void *ctx, struct control_call *call,
			    const json_t *request)
{
	paid_begin(ctx, call, request, false);
}
