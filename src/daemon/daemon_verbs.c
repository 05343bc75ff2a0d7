/* daemon_verbs.c - what the daemon answers on its control socket */
#include "daemon/daemon_impl.h"

#include "base/log.h"
#include "cache/cache.h"
#include "daemon/engine.h"
#include "net/loop.h"

/* ---- status ---- */

/* The engine asks its ledger, which may wait for the disk: on the loop's pool. */
struct status_call {
	struct daemon *d;
	struct control_call *call;
	uv_work_t work;
	struct engine_status engine;
};

static void status_answer(struct daemon *d, struct control_call *call,
			  const struct engine_status *engine)
{
	json_t *status = daemon_status(d, engine);

	control_done(call, status ? 0 : -ENOMEM, NULL, status);
}

static void status_work(uv_work_t *req)
{
	struct status_call *s = container_of(req, struct status_call, work);

	s->d->p->engine->status(s->d->engine, s->d->cache, &s->engine);
}

static void status_worked(uv_work_t *req, int status)
{
	struct status_call *s = container_of(req, struct status_call, work);
	struct daemon *d = s->d;

	(void)status; /* never cancelled */
	status_answer(d, s->call, &s->engine);
	free(s);
	daemon_idle(d);
}

static void verb_status_start(void *ctx, struct control_call *call,
			      const json_t *request)
{
	struct daemon *d = ctx;
	struct status_call *s;
	int r;

	(void)request;
	if (d->ending) { /* the cache closes meanwhile */
		control_done(call, -ECANCELED, "the drive is being unmounted", NULL);
		return;
	}
	if (!d->engine) {
		status_answer(d, call, NULL);
		return;
	}
	s = calloc(1, sizeof(*s));
	r = s ? 0 : -ENOMEM;
	if (r == 0) {
		s->d = d;
		s->call = call;
		daemon_busy(d);
		r = uv_queue_work(loop_uv(d->loop), &s->work, status_work,
				  status_worked);
		if (r == 0)
			return;
		daemon_idle(d);
		free(s);
	}
	control_done(call, r, NULL, NULL);
}

/* ---- umount: waits for the end, which the mount's end brings ---- */

struct umount_call {
	struct list node;
	struct control_call *call;
};

/* The final line comes with the end. */
static int enlist(struct daemon *d, struct control_call *call)
{
	struct umount_call *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->call = call;
	list_push(&d->umounts, &u->node);
	control_progress(call, json_pack("{s:s}", "stage",
					 d->ending ? "ending" : "waiting"));
	return 0;
}

static void verb_umount_start(void *ctx, struct control_call *call,
			      const json_t *request)
{
	int r = enlist(ctx, call);

	(void)request;
	if (r < 0)
		control_done(call, r, NULL, NULL);
}

/* ---- lock: an umount that no open file holds up ---- */

static void verb_lock_start(void *ctx, struct control_call *call,
			    const json_t *request)
{
	struct daemon *d = ctx;
	int r = d->ending ? 0 : daemon_stop_soon(d);

	(void)request;
	if (r == 0)
		r = enlist(d, call); /* the end comes after this turn of the loop */
	if (r < 0)
		control_done(call, r, NULL, NULL);
}

void daemon_verbs_progress(struct daemon *d, const char *stage)
{
	list_foreach(n, &d->umounts) {
		struct umount_call *u = container_of(n, struct umount_call, node);

		control_progress(u->call, json_pack("{s:s}", "stage", stage));
	}
}

void daemon_verbs_end(struct daemon *d, int err, const char *reason)
{
	list_foreach_safe(n, &d->umounts) {
		struct umount_call *u = container_of(n, struct umount_call, node);

		list_del(&u->node);
		control_done(u->call, err, reason, NULL);
		free(u);
	}
}

/* ---- sync ---- */

/*
 * First local durability, on the loop's pool since it blocks; then, if asked,
 * the stores, which takes as long as it takes.
 */
struct sync_call {
	struct list node;
	struct daemon *d;
	struct control_call *call;
	bool wait, local;
	bool at_engine;
	uv_work_t work;
	int err; /* of cache_sync() */
	struct engine_sync engine;
};

static void sync_finish(struct sync_call *s, int err, const char *reason)
{
	list_del(&s->node);
	control_done(s->call, err, reason, NULL);
	free(s);
}

static void sync_engine_progress(struct engine_sync *e, const char *stage,
				 uint64_t done, uint64_t total)
{
	struct sync_call *s = container_of(e, struct sync_call, engine);

	if (control_gone(s->call)) {
		s->d->p->engine->sync_cancel(s->d->engine, e);
		return;
	}
	control_progress(s->call, json_pack("{s:s, s:I, s:I}", "stage", stage,
					    "done", (json_int_t)done, "total",
					    (json_int_t)total));
}

static void sync_engine_done(struct engine_sync *e, int status, const char *reason)
{
	struct sync_call *s = container_of(e, struct sync_call, engine);

	sync_finish(s, status, reason);
}

static void sync_work(uv_work_t *req)
{
	struct sync_call *s = container_of(req, struct sync_call, work);

	s->err = cache_sync(s->d->cache);
}

static void sync_worked(uv_work_t *req, int status)
{
	struct sync_call *s = container_of(req, struct sync_call, work);
	struct daemon *d = s->d;
	int r = s->err;

	(void)status; /* never cancelled */
	if (r < 0 || !s->wait) {
		if (r == 0 && !s->local && d->engine && !d->ending)
			d->p->engine->kick(d->engine);
		sync_finish(s, r, r < 0 ? "the local commit failed" : NULL);
	} else if (d->ending) {
		sync_finish(s, -ECANCELED, "the drive is being unmounted");
	} else {
		s->engine.progress = sync_engine_progress;
		s->engine.done = sync_engine_done;
		s->at_engine = true;
		r = d->p->engine->sync(d->engine, &s->engine);
		if (r < 0)
			sync_finish(s, r, NULL);
	}
	daemon_idle(d);
}

static void verb_sync_start(void *ctx, struct control_call *call,
			    const json_t *request)
{
	struct daemon *d = ctx;
	struct sync_call *s;
	bool wait = json_is_true(json_object_get(request, "wait"));
	int r;

	if (d->ending) {
		control_done(call, -ECANCELED, "the drive is being unmounted", NULL);
		return;
	}
	if (wait && !d->engine) {
		control_done(call, -EOPNOTSUPP,
			     "this drive has no way to its stores: only sync --local",
			     NULL);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		control_done(call, -ENOMEM, NULL, NULL);
		return;
	}
	s->d = d;
	s->call = call;
	s->wait = wait;
	s->local = json_is_true(json_object_get(request, "local"));
	list_push(&d->syncs, &s->node);
	daemon_busy(d);
	r = uv_queue_work(loop_uv(d->loop), &s->work, sync_work, sync_worked);
	if (r < 0) {
		daemon_idle(d);
		sync_finish(s, r, NULL);
	}
}

void daemon_verbs_cancel_syncs(struct daemon *d)
{
	list_foreach_safe(n, &d->syncs) {
		struct sync_call *s = container_of(n, struct sync_call, node);

		if (s->at_engine)
			d->p->engine->sync_cancel(d->engine, &s->engine);
	}
}

const struct control_verb daemon_verbs[] = {
	{ "history", daemon_verb_history },
	{ "lock", verb_lock_start },
	{ "snapshots", daemon_verb_snapshots },
	{ "status", verb_status_start },
	{ "sync", verb_sync_start },
	{ "umount", verb_umount_start },
	{ "verify", daemon_verb_verify },
	{ "gc", daemon_verb_gc },
	{ "gc-asked", daemon_verb_gc_asked },
	{ "gc-removed", daemon_verb_gc_removed },
	{ NULL, NULL },
};
