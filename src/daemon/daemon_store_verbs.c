/* daemon_store_verbs.c - snapshots and verify on the control socket */
#include "daemon/daemon_impl.h"

#include "cache/cache.h"
#include "daemon/drive.h"
#include "daemon/engine.h"
#include "daemon/history.h"
#include "daemon/snaplist.h"
#include "net/json.h"
#include "net/loop.h"

#define FAULTS_MAX  1000 /* sentences kept of one verify */
#define PROGRESS_MS 500

/* ---- snapshots ---- */

void daemon_verb_snapshots(void *ctx, struct control_call *call, const json_t *request)
{
	struct daemon *d = ctx;
	json_t *a = json_array();
	int r;

	(void)request;
	r = a ? d->p->engine->snapshots(d->engine, snaplist_add, a) : -ENOMEM;
	control_done(call, r, NULL,
		     r < 0 ? NULL : json_pack("{s:O}", "snapshots", a));
	json_decref(a);
}

/* ---- history ---- */

/* The disk is read: on the loop's pool. */
struct history_call {
	struct daemon *d;
	struct control_call *call;
	uv_work_t work;
	json_t *list;
	struct err why;
	int result;
};

static void history_work(uv_work_t *req)
{
	struct history_call *h = container_of(req, struct history_call, work);
	const struct drive *drive = h->d->p->drive;
	int r = history_txs(drive, drive->keys, h->list, &h->why);

	if (r == 0)
		r = h->d->p->engine->spends(h->d->engine, history_spend, h->list);
	if (r == 0)
		r = history_sort(h->list);
	h->result = r;
}

static void history_worked(uv_work_t *req, int status)
{
	struct history_call *h = container_of(req, struct history_call, work);
	struct daemon *d = h->d;
	int r = h->result;

	(void)status; /* never cancelled */
	control_done(h->call, r, h->why.text[0] ? h->why.text : NULL,
		     r < 0 ? NULL : json_pack("{s:O}", "history", h->list));
	json_decref(h->list);
	free(h);
	daemon_idle(d);
}

void daemon_verb_history(void *ctx, struct control_call *call, const json_t *request)
{
	struct daemon *d = ctx;
	struct history_call *h = d->engine && !d->ending ? calloc(1, sizeof(*h)) :
							   NULL;
	int r = d->ending ? -ECANCELED : -ENOMEM;

	(void)request;
	if (h) {
		h->d = d;
		h->call = call;
		h->list = json_array();
		daemon_busy(d);
		r = h->list ? uv_queue_work(loop_uv(d->loop), &h->work,
					    history_work, history_worked) :
			      -ENOMEM;
		if (r == 0)
			return;
		daemon_idle(d);
		json_decref(h->list);
		free(h);
	}
	control_done(call, r, NULL, NULL);
}

/* ---- verify ---- */

struct verify_call {
	struct daemon *d;
	struct control_call *call;
	unsigned percent;
	uv_work_t work;
	struct loop_timer *timer;
	struct lock lock;
	json_t *faults;       /* lock: lock until the work is done */
	uint64_t done, total; /* lock: lock */
	bool stop;            /* lock: lock; nobody waits for it any more */
	struct err why;
	int result;
};

static void on_fault(void *ctx, const char *sentence)
{
	struct verify_call *v = ctx;

	lock_take(&v->lock);
	if (json_array_size(v->faults) < FAULTS_MAX)
		(void)json_array_append_new(v->faults, json_text(sentence)); /* counted anyway */
	lock_drop(&v->lock);
}

static int on_verified(void *ctx, uint64_t done, uint64_t total)
{
	struct verify_call *v = ctx;
	bool stop;

	lock_take(&v->lock);
	v->done = done;
	v->total = total;
	stop = v->stop;
	lock_drop(&v->lock);
	return stop;
}

static void verify_tick(void *ctx)
{
	struct verify_call *v = ctx;
	uint64_t done, total;

	lock_take(&v->lock);
	done = v->done;
	total = v->total;
	v->stop = control_gone(v->call) || v->d->ending;
	lock_drop(&v->lock);
	if (!control_gone(v->call))
		control_progress(v->call, json_pack("{s:s, s:I, s:I}", "stage",
						    "reading back", "done",
						    (json_int_t)MIN(done, total),
						    "total", (json_int_t)total));
}

static void verify_work(uv_work_t *req)
{
	struct verify_call *v = container_of(req, struct verify_call, work);

	v->result = v->d->p->engine->verify(v->d->engine, v->percent, on_fault,
					    on_verified, v, &v->why);
}

static void verify_worked(uv_work_t *req, int status)
{
	struct verify_call *v = container_of(req, struct verify_call, work);
	struct daemon *d = v->d;
	int r = v->result;

	(void)status; /* never cancelled */
	loop_timer_stop(v->timer);
	loop_timer_free(v->timer);
	control_done(v->call, r < 0 ? r : 0, r < 0 ? v->why.text : NULL,
		     r < 0 ? NULL :
			     json_pack("{s:i, s:O}", "n_faults", r, "faults",
				       v->faults));
	json_decref(v->faults);
	lock_fini(&v->lock);
	free(v);
	daemon_idle(d);
}

void daemon_verb_verify(void *ctx, struct control_call *call, const json_t *request)
{
	json_int_t percent =
		json_integer_value(json_object_get(request, "percent"));
	struct verify_call *v = calloc(1, sizeof(*v));
	struct daemon *d = ctx;
	int r = v ? 0 : -ENOMEM;

	if (r == 0 && d->ending)
		r = -ECANCELED;
	if (r == 0 && (percent < 1 || percent > 100))
		r = -EINVAL;
	if (r == 0) {
		v->d = d;
		v->call = call;
		v->percent = (unsigned)percent;
		lock_init(&v->lock);
		v->faults = json_array();
		r = v->faults ?
			    loop_timer_new(d->loop, verify_tick, v, &v->timer) :
			    -ENOMEM;
	}
	if (r == 0) {
		daemon_busy(d);
		r = uv_queue_work(loop_uv(d->loop), &v->work, verify_work,
				  verify_worked);
		if (r == 0) {
			loop_timer_start(v->timer, PROGRESS_MS, PROGRESS_MS);
			return;
		}
		daemon_idle(d);
		loop_timer_free(v->timer);
	}
	control_done(call, r, NULL, NULL);
	if (v)
		json_decref(v->faults);
	free(v);
}
