#include "daemon/daemon.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "base/path.h"
#include "cache/cache.h"
#include "daemon/daemon_impl.h"
#include "daemon/drive.h"
#include "daemon/engine.h"
#include "daemon/idle.h"
#include "daemon/moneywatch.h"
#include "fuse/session.h"
#include "net/loop.h"

static const int daemon_signals[DAEMON_SIGNALS] = { SIGTERM, SIGINT, SIGHUP };

/* ---- between the threads ---- */

void daemon_busy(struct daemon *d)
{
	lock_take(&d->lock);
	d->n_busy++;
	lock_drop(&d->lock);
}

void daemon_idle(struct daemon *d)
{
	lock_take(&d->lock);
	d->n_busy--;
	cond_wake_all(&d->changed);
	lock_drop(&d->lock);
}

static void wait_idle(struct daemon *d)
{
	lock_take(&d->lock);
	while (d->n_busy)
		cond_wait(&d->changed, &d->lock);
	lock_drop(&d->lock);
}

/* Run `run` on the loop and wait until it has called task_finish(). */
struct task {
	struct loop_task post;
	struct daemon *d;
	const char *text;
	int err;
};

static void task_run(struct task *t, struct daemon *d,
		     void (*run)(struct loop_task *post))
{
	t->post.run = run;
	t->d = d;
	daemon_busy(d);
	loop_post(d->loop, &t->post);
	wait_idle(d);
}

static void task_finish(struct task *t)
{
	daemon_idle(t->d);
}

/* ---- the wish to end ---- */

static void daemon_stop(struct daemon *d)
{
	bool now;

	lock_take(&d->lock);
	now = d->mounted && !d->stop_requested;
	d->stop_requested = true;
	lock_drop(&d->lock);
	if (now)
		session_stop(d->session);
}

/* session_stop() unmounts, which may take its time: not on the loop. */
struct stop_work {
	uv_work_t req;
	struct daemon *d;
};

static void stop_work_run(uv_work_t *req)
{
	daemon_stop(container_of(req, struct stop_work, req)->d);
}

static void stop_work_done(uv_work_t *req, int status)
{
	struct stop_work *w = container_of(req, struct stop_work, req);

	(void)status;
	daemon_idle(w->d);
	free(w);
}

int daemon_stop_soon(struct daemon *d)
{
	struct stop_work *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->d = d;
	daemon_busy(d);
	r = uv_queue_work(loop_uv(d->loop), &w->req, stop_work_run, stop_work_done);
	if (r == 0)
		return 0;
	daemon_idle(d);
	free(w);
	return r;
}

static void on_signal(uv_signal_t *s, int number)
{
	struct daemon *d = s->data;

	if (d->ending)
		return;
	log_info("signal %d: unmounting", number);
	best_effort(daemon_stop_soon(d)); /* the next signal tries again */
}

/* ---- a drive that nobody uses ---- */

static bool count_requests(void *ctx, uint64_t *ret)
{
	struct daemon *d = ctx;
	struct session_stats s;
	bool mounted;

	lock_take(&d->lock);
	mounted = d->mounted;
	lock_drop(&d->lock);
	if (!mounted || d->ending) /* the session goes meanwhile */
		return false;
	session_stats(d->session, &s);
	*ret = s.requests;
	return s.parked == 0; /* who waits uses it */
}

static void on_idle(void *ctx)
{
	struct daemon *d = ctx;

	log_info("drive %s was not used for as long as lock_after says: locking it",
		 d->p->drive->name);
	if (daemon_stop_soon(d) < 0)
		(void)kill(getpid(), SIGTERM); /* the same, without memory */
}

static int start_idle(struct daemon *d)
{
	struct idle_params p = { .loop = d->loop,
				 .after_ms = d->p->drive->config.lock_after,
				 .requests = count_requests,
				 .over = on_idle,
				 .ctx = d };

	return p.after_ms ? idle_new(&p, &d->idle) : 0;
}

static int signals_start(struct daemon *d)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int r = 0;

	if (sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	for (unsigned i = 0; r == 0 && i < DAEMON_SIGNALS; i++) {
		r = uv_signal_init(loop_uv(d->loop), &d->signals[i]);
		if (r < 0)
			break;
		d->n_signals++;
		d->signals[i].data = d;
		r = uv_signal_start(&d->signals[i], on_signal, daemon_signals[i]);
	}
	return r;
}

/* ---- callbacks from below ---- */

static void on_dirtied(void *ctx)
{
	struct daemon *d = ctx;

	if (d->engine)
		d->p->engine->dirtied(d->engine);
}

static void on_full(void *ctx)
{
	struct daemon *d = ctx;

	if (d->engine)
		d->p->engine->full(d->engine);
}

/* Who waits for the mount is told when the kernel has asked the session and it can be
 * asked for its status and stopped: by whichever of the two comes last. */
static void tell_ready(struct daemon *d)
{
	struct err swap = { "" };

	if (!d->p->ready || d->p->ready(d->p->ctx) == 0) {
		if (daemon_warn_swap(d, &swap))
			log_warn("%s", swap.text);
		log_info("drive %s is mounted at %s", d->p->drive->name,
			 d->p->mountpoint);
		return;
	}
	atomic_store(&d->nobody_waits, true);
	(void)kill(getpid(), SIGTERM); /* the way out that all take */
}

static void on_ready(void *ctx)
{
	struct daemon *d = ctx;
	bool last;

	lock_take(&d->lock);
	d->ready = true;
	last = d->mounted;
	lock_drop(&d->lock);
	if (last)
		tell_ready(d);
}

/* ---- start ---- */

static int start_control(struct daemon *d, struct err *reterr)
{
	_cleanup_free_ char *path = NULL;
	int r = path_socket(d->p->drive->name, &path);

	if (r < 0)
		return r;
	r = loop_new(&d->loop);
	if (r < 0)
		return r;
	r = signals_start(d);
	if (r < 0)
		return r;
	return control_new(d->loop, path, daemon_verbs, d, &d->control, reterr);
}

static int start_cache(struct daemon *d, struct err *reterr)
{
	struct cache_params cp;

	drive_cache_params(d->p->drive, &cp);
	/* Read only is the kernel's business: what is fetched is kept here. */
	cp.read_only = false;
	cp.dirtied = on_dirtied;
	cp.full = on_full;
	cp.ctx = d;
	if (d->engine)
		cp.source = d->p->engine->source(d->engine);
	return cache_open(&cp, &d->cache, reterr);
}

static int start_session(struct daemon *d, struct err *reterr)
{
	struct session_params sp = {
		.cache = d->cache,
		.mountpoint = d->p->mountpoint,
		.drive = d->p->drive->name,
		.opts = d->p->opts,
		.read_only = d->p->read_only,
		.fetch_timeout_ms = (unsigned)d->p->drive->config.fetch_timeout,
		.ready = on_ready,
		.ctx = d,
	};
	bool stop, last;
	int r = session_new(&sp, &d->session, reterr);

	if (r < 0)
		return r;
	r = session_run_threads(d->session, reterr);
	if (r < 0)
		return r;
	lock_take(&d->lock);
	d->mounted = true;
	last = d->ready;
	stop = d->stop_requested;
	lock_drop(&d->lock);
	if (last)
		tell_ready(d);
	if (stop)
		session_stop(d->session); /* a signal came first */
	return 0;
}

static void on_paced(void *ctx, const struct cadence *pace)
{
	struct daemon *d = ctx;

	d->p->engine->pace(d->engine, pace);
}

static void on_funded(void *ctx)
{
	struct daemon *d = ctx;

	d->p->engine->retry(d->engine);
}

/* Of a drive that is written to. */
static int start_watch(struct daemon *d, struct err *reterr)
{
	struct moneywatch_params p = { .drive = d->p->drive,
				       .loop = d->loop,
				       .paced = on_paced,
				       .funded = on_funded,
				       .ctx = d };

	return d->engine && !d->p->read_only ?
		       moneywatch_new(&p, &d->watch, reterr) :
		       0;
}

static int start(struct daemon *d, enum daemon_part *part, struct err *reterr)
{
	const struct engine_ops *ops = d->p->engine;
	int r;

	*part = DAEMON_CONTROL;
	r = start_control(d, reterr);
	if (r < 0)
		return r;
	*part = DAEMON_ENGINE;
	if (ops) {
		r = ops->open(d->p->drive, d->loop, &d->engine, reterr);
		if (r < 0)
			return r;
	}
	r = start_watch(d, reterr);
	if (r < 0)
		return r;
	*part = DAEMON_CACHE;
	r = start_cache(d, reterr);
	if (r < 0)
		return r;
	*part = DAEMON_CONTROL;
	r = start_idle(d);
	if (r < 0)
		return r;
	r = loop_start(d->loop);
	if (r < 0)
		return r;
	d->looping = true;
	*part = DAEMON_ENGINE;
	if (ops) {
		r = ops->start(d->engine, d->cache, d->p->read_only, reterr);
		if (r < 0)
			return r;
	}
	r = moneywatch_start(d->watch);
	if (r < 0)
		return r;
	*part = DAEMON_SESSION;
	return start_session(d, reterr);
}

/* ---- end ---- */

static void say_stage(struct loop_task *post)
{
	struct task *t = container_of(post, struct task, post);

	t->d->ending = true;
	daemon_verbs_cancel_syncs(t->d);
	daemon_verbs_progress(t->d, t->text);
	task_finish(t);
}

static void control_stopped(void *ctx)
{
	task_finish(ctx);
}

static void say_end(struct loop_task *post)
{
	struct task *t = container_of(post, struct task, post);

	for (unsigned i = 0; i < t->d->n_signals; i++)
		(void)uv_signal_stop(&t->d->signals[i]); /* cannot fail */
	daemon_verbs_end(t->d, t->err, t->text);
	control_stop(t->d->control, control_stopped, t);
}

/* With or without the loop running; what was not started is not ended. */
static int end(struct daemon *d, int err, bool *ret_left, struct err *reterr)
{
	bool looping = d->looping, left = false;
	struct task t = { .text = "writing the last changes" };
	int r = err;

	if (d->session) {
		lock_take(&d->lock);
		d->stop_requested = true; /* a late signal leaves it alone */
		lock_drop(&d->lock);
	}
	if (d->engine && looping)
		d->p->engine->halt(d->engine);
	if (looping) {
		task_run(&t, d, say_stage);
		wait_idle(d);
	}
	moneywatch_stop(d->watch); /* nobody asks for a status any more */
	session_free(d->session);
	d->session = NULL;
	if (d->engine && looping)
		left = !d->p->engine->stop(d->engine);
	if (d->cache) {
		int closed = cache_close(d->cache);

		d->cache = NULL;
		if (closed < 0 && r == 0)
			r = err_set(reterr, closed,
				    "the last changes could not be written: %s",
				    err_str(closed));
	}
	if (looping && d->control) {
		t = (struct task){ .err = r, .text = reterr->text };
		task_run(&t, d, say_end);
	}
	if (looping)
		loop_stop(d->loop);
	moneywatch_free(d->watch);
	idle_free(d->idle);
	/* Its HTTP has timers of the loop, which has ended and is there still. */
	if (d->engine)
		d->p->engine->close(d->engine);
	if (!left) /* a thread that comes back posts to it */
		loop_free(d->loop);
	control_free(d->control);
	*ret_left = left;
	return r;
}

int daemon_run(const struct daemon_params *p, enum daemon_part *ret_part,
	       bool *ret_left, struct err *reterr)
{
	struct daemon d = { .p = p, .since = time(NULL) };
	struct err why = { "" };
	int r;

	list_init(&d.umounts);
	list_init(&d.syncs);
	lock_init(&d.lock);
	cond_init(&d.changed);
	r = start(&d, ret_part, &why);
	if (r == 0) {
		r = session_wait(d.session);
		if (r < 0)
			log_err(r, "the kernel's connection");
		*ret_part = DAEMON_SESSION;
		if (r == 0)
			*ret_part = DAEMON_CACHE;
	}
	r = end(&d, r, ret_left, &why);
	if (r == 0 && atomic_load(&d.nobody_waits))
		r = err_set(&why, -EPIPE, "nobody waited for the mount: unmounted");
	if (r == 0)
		log_info("drive %s is unmounted, all changes are on disk",
			 p->drive->name);
	cond_fini(&d.changed);
	lock_fini(&d.lock);
	if (r < 0)
		err_set(reterr, r, "%s", why.text[0] ? why.text : err_str(r));
	return r;
}
