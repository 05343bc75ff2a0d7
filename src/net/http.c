#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <uv.h>

#include "base/log.h"
#include "base/thread.h"
#include "net/http_job.h"
#include "net/http_upload.h"
#include "net/loop.h"

#define PER_HOST 6
#define TOTAL    64
#define TICK_MS  50   /* how exact our deadlines are */
#define STOOD_MS 1000 /* a loop that is so late was stopped */

struct http {
	struct http_params p;
	char *agent, *ca;
	CURLM *multi;
	struct loop_timer *timer; /* curl's */
	struct loop_timer *tick;  /* deadlines; runs while there are jobs */
	struct list active;       /* loop; of http_req.node */
	uint64_t looked_ms;       /* loop; while there are jobs */
	struct loop_task wake;
	struct lock lock;
	struct list starting; /* lock: lock */
	bool woken;           /* lock: lock; the task is posted */
	bool freed;           /* lock: lock; the task frees it */
};

struct sock {
	uv_poll_t poll;
	struct http *http;
	curl_socket_t fd;
};

/* ---- the end of a request ---- */

static void complete(struct http_job *j)
{
	struct http_req *req = j->req;
	struct http *h = req->http;
	int status = j->status;

	lock_take(&h->lock); /* against http_cancel(), which looks at it */
	list_del(&req->node);
	req->job = NULL;
	lock_drop(&h->lock);
	http_job_free(j);
	if (list_empty(&h->active))
		loop_timer_stop(h->tick);
	req->done(req, status);
}

/*
 * The loop was to be here a tick after it last was.  Where it was not, the process
 * was stopped or others have the machine: what has come meanwhile is read before
 * anything is called late.  Returns the time.
 */
static uint64_t look(struct http *h)
{
	uint64_t now = monotonic_ms(), stood = now - h->looked_ms;

	h->looked_ms = now;
	if (stood >= STOOD_MS)
		list_foreach(n, &h->active)
			http_job_stood(container_of(n, struct http_req, node)->job,
				       stood - TICK_MS, now);
	return now;
}

/* Curl's own limit, of connecting, counts also time in which nobody looked. */
static bool connects_anew(struct http_job *j, CURLcode cc)
{
	CURLM *multi = j->req->http->multi;

	if (cc != CURLE_OPERATION_TIMEDOUT || j->stop || j->moved_ms)
		return false;
	(void)look(j->req->http); /* curl has looked later than we did */
	if (!j->stood)
		return false;
	j->stood = false;
	(void)curl_multi_remove_handle(multi, j->easy); /* ours */
	return curl_multi_add_handle(multi, j->easy) == CURLM_OK;
}

static void finish(struct http_job *j, CURLcode cc)
{
	if (j->removed || connects_anew(j, cc))
		return;
	j->removed = true;
	(void)curl_multi_remove_handle(j->req->http->multi, j->easy); /* ours */
	j->status = http_job_verdict(j, cc);
	if (!http_upload_busy(j->upload))
		complete(j);
}

static void stop(struct http_job *j, int reason)
{
	if (!j->stop)
		j->stop = reason;
	finish(j, CURLE_ABORTED_BY_CALLBACK);
}

static void check_finished(struct http *h)
{
	struct http_job *j;
	CURLMsg *m;
	CURLcode cc;
	char *p;
	int n;

	while ((m = curl_multi_info_read(h->multi, &n))) {
		if (m->msg != CURLMSG_DONE)
			continue;
		cc = m->data.result;
		p = NULL;
		(void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
		j = (struct http_job *)(void *)p;
		finish(j, cc); /* `m` is gone */
	}
}

static void act(struct http *h, curl_socket_t fd, int events)
{
	int running;

	(void)look(h);
	/* Fails for a socket that it has just let go of: nothing to do. */
	(void)curl_multi_socket_action(h->multi, fd, events, &running);
	check_finished(h);
}

/* ---- curl's sockets and timer on the loop ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct sock *s = container_of(poll, struct sock, poll);
	int flags = 0;

	/* Curl learns what is wrong from the socket, and asks anew if a kept
	 * connection was reset; CURL_CSELECT_ERR would end the request. */
	if (status < 0)
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(s->http, s->fd, flags);
}

static void sock_closed(uv_handle_t *handle)
{
	free(container_of((uv_poll_t *)(void *)handle, struct sock, poll));
}

static int sock_new(struct http *h, curl_socket_t fd, struct sock **ret)
{
	struct sock *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->http = h;
	s->fd = fd;
	r = uv_poll_init_socket(loop_uv(h->p.loop), &s->poll, fd);
	if (r < 0) {
		free(s);
		return r;
	}
	(void)curl_multi_assign(h->multi, fd, s); /* a socket that it knows */
	*ret = s;
	return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sockp)
{
	struct http *h = ctx;
	struct sock *s = sockp;
	int events = 0, r;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s) {
			(void)curl_multi_assign(h->multi, fd, NULL); /* likewise */
			uv_close((uv_handle_t *)&s->poll, sock_closed);
		}
		return 0;
	}
	if (!s) {
		r = sock_new(h, fd, &s);
		if (r < 0) {
			log_err(r, "cannot watch a connection");
			return -1; /* curl gives the transfers up */
		}
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&s->poll, events, on_poll) < 0 ? -1 : 0;
}

static int on_curl_timeout(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http *h = ctx;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_stop(h->timer);
	else
		loop_timer_start(h->timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_timer(void *ctx)
{
	act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static void on_tick(void *ctx)
{
	struct http *h = ctx;
	uint64_t now = look(h);
	struct http_job *late;

	/* One at a time: `done` may do what it likes to the list. */
	do {
		late = NULL;
		list_foreach(n, &h->active) {
			struct http_job *j =
				container_of(n, struct http_req, node)->job;

			if (!j->removed && http_job_deadline(j, now) < 0) {
				late = j;
				break;
			}
		}
		if (late)
			stop(late, -ETIMEDOUT);
	} while (late);
}

/* A chunk of an upload was read: on with it, or the last thing to wait for. */
static void on_upload_ready(void *job)
{
	struct http_job *j = job;
	struct http *h = j->req->http;

	if (j->removed) {
		if (!http_upload_busy(j->upload))
			complete(j);
		return;
	}
	if (!j->paused)
		return;
	j->paused = false;
	(void)curl_easy_pause(j->easy, CURLPAUSE_CONT); /* its error ends the job */
	act(h, CURL_SOCKET_TIMEOUT, 0);
}

/* ---- start and cancel, from any thread ---- */

static void http_destroy(struct http *h)
{
	loop_timer_free(h->timer);
	loop_timer_free(h->tick);
	if (h->multi)
		(void)curl_multi_cleanup(h->multi); /* holds no transfer */
	lock_fini(&h->lock);
	curl_global_cleanup();
	free(h->agent);
	free(h->ca);
	free(h);
}

static void begin(struct http *h, struct http_req *req)
{
	(void)look(h);
	if (list_empty(&h->active))
		loop_timer_start(h->tick, TICK_MS, TICK_MS);
	list_push(&h->active, &req->node);
	req->job->start_ms = h->looked_ms;
	if (curl_multi_add_handle(h->multi, req->job->easy) != CURLM_OK)
		stop(req->job, -ENOMEM);
}

/* The next that was cancelled, or NULL. */
static struct http_job *next_cancelled(struct http *h)
{
	struct http_job *found = NULL;

	lock_take(&h->lock);
	list_foreach(n, &h->active) {
		struct http_req *req = container_of(n, struct http_req, node);

		if (req->cancelled && !req->job->removed) {
			found = req->job;
			break;
		}
	}
	lock_drop(&h->lock);
	return found;
}

static struct http_req *next_starting(struct http *h)
{
	struct http_req *req = NULL;

	lock_take(&h->lock);
	if (!list_empty(&h->starting)) {
		req = list_first(&h->starting, struct http_req, node);
		list_del(&req->node);
	}
	lock_drop(&h->lock);
	return req;
}

static void on_wake(struct loop_task *t)
{
	struct http *h = container_of(t, struct http, wake);
	struct http_req *req;
	struct http_job *j;
	bool freed;

	lock_take(&h->lock);
	h->woken = false;
	freed = h->freed;
	lock_drop(&h->lock);
	if (freed) {
		http_destroy(h);
		return;
	}
	while ((req = next_starting(h)))
		begin(h, req);
	while ((j = next_cancelled(h)))
		stop(j, -ECANCELED);
}

static void wake(struct http *h) REQUIRES(h->lock)
{
	if (h->woken)
		return;
	h->woken = true;
	loop_post(h->p.loop, &h->wake);
}

int http_start(struct http *h, struct http_req *req)
{
	int r;

	req->head = (struct http_head){ 0 };
	memset(req->said, 0, sizeof(req->said));
	atomic_store(&req->sent, 0);
	atomic_store(&req->received, 0);
	req->err.text[0] = '\0';
	req->cancelled = false;
	req->http = h;
	r = http_job_new(&h->p, h->agent, req, on_upload_ready, &req->job);
	if (r < 0)
		return r;
	lock_take(&h->lock);
	list_push(&h->starting, &req->node);
	wake(h);
	lock_drop(&h->lock);
	return 0;
}

void http_cancel(struct http *h, struct http_req *req)
{
	lock_take(&h->lock);
	req->cancelled = true;
	wake(h);
	lock_drop(&h->lock);
}

/* ---- life ---- */

static bool multi_setup(struct http *h)
{
	long per_host = h->p.per_host ? (long)h->p.per_host : PER_HOST;
	long total = h->p.total ? (long)h->p.total : TOTAL;
	CURLM *m = h->multi;

	return curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
	       curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h) == CURLM_OK &&
	       curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_curl_timeout) ==
		       CURLM_OK &&
	       curl_multi_setopt(m, CURLMOPT_TIMERDATA, h) == CURLM_OK &&
	       curl_multi_setopt(m, CURLMOPT_MAX_HOST_CONNECTIONS, per_host) ==
		       CURLM_OK &&
	       curl_multi_setopt(m, CURLMOPT_MAX_TOTAL_CONNECTIONS, total) ==
		       CURLM_OK;
}

int http_new(const struct http_params *p, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));
	int r = 0;

	if (!h)
		return -ENOMEM;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return -ENOMEM;
	}
	h->p = *p;
	h->wake.run = on_wake;
	lock_init(&h->lock);
	list_init(&h->active);
	list_init(&h->starting);
	h->agent = strdup(p->agent ? p->agent : "fildrive/" FILDRIVE_VERSION);
	h->ca = p->ca ? strdup(p->ca) : NULL;
	h->p.ca = h->ca;
	h->multi = curl_multi_init();
	if (!h->agent || (p->ca && !h->ca) || !h->multi || !multi_setup(h))
		r = -ENOMEM;
	if (r == 0)
		r = loop_timer_new(p->loop, on_timer, h, &h->timer);
	if (r == 0)
		r = loop_timer_new(p->loop, on_tick, h, &h->tick);
	if (r < 0) {
		http_destroy(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http_free(struct http *h)
{
	bool later;

	if (!h)
		return;
	assert(list_empty(&h->active));
	lock_take(&h->lock);
	assert(list_empty(&h->starting));
	/* A cancel that came late has posted the task: it still runs, once. */
	later = h->woken;
	h->freed = later;
	lock_drop(&h->lock);
	if (!later)
		http_destroy(h);
}
