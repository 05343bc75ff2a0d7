#include "daemon/control.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/path.h"
#include "daemon/lines.h"
#include "net/json.h"
#include "net/loop.h"

#define BACKLOG 16
#define LAST_MS 1 /* for what lies in the socket already */

struct control {
	struct loop *loop;
	char *path;
	const struct control_verb *verbs;
	void *ctx;
	uv_pipe_t listener;
	struct list clients;
	unsigned n_clients;
	bool stopping;
	bool closed; /* the listener */
	void (*stopped)(void *ctx);
	void *stopped_ctx;
};

struct client {
	struct list node;
	struct control *control;
	uv_pipe_t pipe;
	uv_timer_t timer; /* no request for too long; at the end: lingering */
	unsigned n_handles;
	bool closing;
	bool late;     /* the timer has fired once */
	bool starting; /* inside a verb's start(): no recursion into next */
	struct lines in;
	struct control_call *call; /* under way; NULL: none */
	char chunk[1024];
};

struct control_call {
	struct client *client; /* NULL: it has left */
};

struct message {
	uv_write_t req;
	struct client *client;
	char *text;
};

static void client_next(struct client *c);

/* ---- the end of a client, and of all ---- */

static void maybe_stopped(struct control *c)
{
	if (!c->stopping || c->n_clients || !c->closed || !c->stopped)
		return;
	(void)unlink(c->path); /* best effort: the next daemon replaces it */
	steal (&c->stopped)(c->stopped_ctx);
}

static void on_client_closed(uv_handle_t *h)
{
	struct client *c = h->data;
	struct control *control = c->control;

	if (--c->n_handles)
		return;
	list_del(&c->node);
	lines_fini(&c->in);
	free(c);
	control->n_clients--;
	maybe_stopped(control);
}

static void client_close(struct client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	if (c->call)
		c->call->client = NULL;
	c->call = NULL;
	uv_close((uv_handle_t *)&c->pipe, on_client_closed);
	uv_close((uv_handle_t *)&c->timer, on_client_closed);
}

/*
 * Timers are looked at before sockets: if the process stood meanwhile, the request
 * may have been here for long.  So once more, after a look at the socket.
 */
static void on_timer(uv_timer_t *t)
{
	struct client *c = t->data;

	if (c->late) {
		client_close(c);
		return;
	}
	c->late = true;
	(void)uv_timer_start(t, on_timer, LAST_MS, 0); /* as below */
}

/* Errors are those of bad arguments, which these are not. */
static void client_patience(struct client *c, uint64_t ms)
{
	c->late = false;
	if (ms)
		(void)uv_timer_start(&c->timer, on_timer, ms, 0);
	else
		(void)uv_timer_stop(&c->timer);
}

/* Idle at the end: go, once what was written has left. */
static void client_leave(struct client *c)
{
	if (c->closing || c->call)
		return;
	if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0)
		client_close(c);
	else
		client_patience(c, CONTROL_LINGER_MS);
}

/* ---- answers ---- */

static void on_written(uv_write_t *req, int status)
{
	struct message *m = container_of(req, struct message, req);
	struct client *c = m->client;

	free(m->text);
	free(m);
	if (status < 0)
		client_close(c);
	else if (c->control->stopping)
		client_leave(c);
}

static void client_send(struct client *c, const json_t *object)
{
	struct message *m = calloc(1, sizeof(*m));
	uv_buf_t part[2];
	char newline[] = "\n";
	size_t n;

	if (m)
		m->text = json_dumps(object, JSON_COMPACT);
	if (!m || !m->text)
		goto drop;
	n = strlen(m->text);
	if (n + uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) >
	    CONTROL_PENDING_MAX)
		goto drop;
	m->client = c;
	m->text[n] = newline[0]; /* the NUL is not sent */
	part[0] = uv_buf_init(m->text, (unsigned)n + 1);
	if (uv_write(&m->req, (uv_stream_t *)&c->pipe, part, 1, on_written) == 0)
		return;
drop:
	if (m)
		free(m->text);
	free(m);
	client_close(c);
}

bool control_gone(const struct control_call *call)
{
	return !call->client;
}

void control_progress(struct control_call *call, json_t *progress)
{
	json_t *line = json_pack("{s:o}", "progress", progress);
	const struct client *c = call->client;

	if (c && line &&
	    uv_stream_get_write_queue_size((const uv_stream_t *)&c->pipe) <
		    CONTROL_PROGRESS_MAX)
		client_send(call->client, line);
	json_decref(line);
}

void control_done(struct control_call *call, int err, const char *reason,
		  json_t *result)
{
	struct client *c = call->client;
	json_t *line;

	free(call);
	if (!c) {
		json_decref(result);
		return;
	}
	c->call = NULL;
	if (err) {
		json_decref(result);
		line = json_pack("{s:b, s:i, s:o}", "ok", 0, "errno",
				 err < 0 ? -err : err, "error",
				 json_text(reason && reason[0] ? reason :
								 err_str(err)));
	} else {
		line = result ? result : json_object();
		if (line && json_object_set_new(line, "ok", json_true()) < 0) {
			json_decref(line);
			line = NULL;
		}
	}
	if (line)
		client_send(c, line);
	else
		client_close(c);
	json_decref(line);
	if (c->closing)
		return;
	if (c->control->stopping) {
		client_leave(c);
		return;
	}
	client_patience(c, CONTROL_IDLE_MS);
	if (!c->starting)
		client_next(c);
}

/* ---- requests ---- */

int control_parse(struct slice line, json_t **ret, struct err *reterr)
{
	json_error_t why;
	json_t *object;

	if (line.n > CONTROL_REQUEST_MAX)
		return err_set(reterr, -EMSGSIZE, "a request has over %d bytes",
			       CONTROL_REQUEST_MAX);
	object = json_loadb((const char *)line.p, line.n,
			    JSON_REJECT_DUPLICATES, &why);
	if (!object)
		return err_set(reterr, -EPROTO, "not JSON: %.150s", why.text);
	if (!json_is_object(object) ||
	    !json_is_string(json_object_get(object, "verb"))) {
		json_decref(object);
		return err_set(reterr, -EPROTO, "a request is {\"verb\": \"...\"}");
	}
	*ret = object;
	return 0;
}

static void client_request(struct client *c, struct slice line)
{
	struct control *control = c->control;
	const struct control_verb *v = control->verbs;
	struct control_call *call = calloc(1, sizeof(*call));
	struct err why = { "" };
	json_t *request = NULL;
	const char *name;
	int r;

	if (!call) {
		client_close(c);
		return;
	}
	call->client = c;
	c->call = call;
	client_patience(c, 0);
	r = control_parse(line, &request, &why);
	if (r < 0) {
		control_done(call, r, why.text, NULL);
		return;
	}
	name = json_string_value(json_object_get(request, "verb"));
	while (v->name && strcmp(v->name, name) != 0)
		v++;
	if (v->name)
		v->start(control->ctx, call, request);
	else
		control_done(call, -EOPNOTSUPP,
			     "the daemon does not know this verb", NULL);
	json_decref(request);
}

/* The requests that have arrived, until one takes longer. */
static void client_next(struct client *c)
{
	struct slice line;

	c->starting = true;
	while (!c->closing && !c->call && !c->control->stopping &&
	       lines_next(&c->in, &line))
		client_request(c, line);
	c->starting = false;
}

static void on_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
	struct client *c = h->data;

	(void)hint;
	*ret = uv_buf_init(c->chunk, sizeof(c->chunk));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct client *c = s->data;

	if (n == 0)
		return;
	if (n < 0 || lines_feed(&c->in, slice(buf->base, (size_t)n)) < 0) {
		client_close(c);
		return;
	}
	client_next(c);
}

/* ---- coming in ---- */

static bool peer_may(uv_pipe_t *pipe)
{
	struct ucred peer = { 0 };
	socklen_t n = sizeof(peer);
	uv_os_fd_t fd;

	if (uv_fileno((const uv_handle_t *)pipe, &fd) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
		return false;
	if (peer.uid == geteuid() || peer.uid == 0)
		return true;
	log_warn("control socket: user %u was turned away", (unsigned)peer.uid);
	return false;
}

static void on_connection(uv_stream_t *s, int status)
{
	struct control *control = s->data;
	struct client *c;
	int r;

	if (status < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return; /* the connection waits in the kernel */
	c->control = control;
	c->n_handles = 2;
	lines_init(&c->in, CONTROL_REQUEST_MAX);
	r = uv_pipe_init(s->loop, &c->pipe, 0);
	assert(r == 0); /* neither touches more than its memory */
	r = uv_timer_init(s->loop, &c->timer);
	assert(r == 0);
	c->pipe.data = c->timer.data = c;
	list_push(&control->clients, &c->node);
	control->n_clients++;
	if (uv_accept(s, (uv_stream_t *)&c->pipe) < 0 || control->stopping ||
	    control->n_clients > CONTROL_CLIENTS_MAX || !peer_may(&c->pipe) ||
	    uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) < 0) {
		client_close(c);
		return;
	}
	client_patience(c, CONTROL_IDLE_MS);
}

/* ---- life ---- */

/*
 * Through the directory's descriptor: sun_path has 108 bytes, and homes are
 * longer than that.
 */
static int listen_at(const char *path)
{
	_cleanup_close_ int dir = -1, fd = -1;
	_cleanup_free_ char *copy = strdup(path);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char *last;
	mode_t mask;
	int n, r;

	if (!copy)
		return -ENOMEM;
	last = strrchr(copy, '/');
	assert(last && last != copy);
	*last++ = '\0';
	r = path_make_dirs(copy);
	if (r < 0)
		return r;
	r = path_check_private(copy);
	if (r < 0)
		return r;
	dir = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	n = snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir,
		     last);
	if (n < 0 || (size_t)n >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (unlinkat(dir, last, 0) < 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	r = bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r < 0)
		return r;
	r = fd;
	fd = -1;
	return r;
}

int control_new(struct loop *loop, const char *path,
		const struct control_verb *verbs, void *ctx,
		struct control **ret, struct err *reterr)
{
	_cleanup_free_ struct control *c = calloc(1, sizeof(*c));
	_cleanup_free_ char *copy = strdup(path);
	int fd, r;

	if (!c || !copy)
		return -ENOMEM;
	list_init(&c->clients);
	c->loop = loop;
	c->verbs = verbs;
	c->ctx = ctx;
	fd = listen_at(path);
	if (fd < 0)
		return err_set(reterr, fd, "control socket %.160s: %s", path,
			       err_str(fd));
	r = uv_pipe_init(loop_uv(loop), &c->listener, 0);
	assert(r == 0); /* touches memory only */
	c->listener.data = c;
	r = uv_pipe_open(&c->listener, fd);
	if (r < 0)
		(void)close(fd); /* nothing was sent */
	else
		r = uv_listen((uv_stream_t *)&c->listener, BACKLOG, on_connection);
	if (r < 0) {
		uv_close((uv_handle_t *)&c->listener, NULL);
		(void)uv_run(loop_uv(loop), UV_RUN_NOWAIT); /* closes it */
		return err_set(reterr, r, "control socket %.160s: %s", path,
			       err_str(r));
	}
	c->path = steal(&copy);
	*ret = steal(&c);
	return 0;
}

static void on_listener_closed(uv_handle_t *h)
{
	struct control *c = h->data;

	c->closed = true;
	maybe_stopped(c);
}

void control_stop(struct control *c, void (*done)(void *ctx), void *ctx)
{
	assert(!c->stopping);
	c->stopping = true;
	c->stopped = done;
	c->stopped_ctx = ctx;
	list_foreach_safe(n, &c->clients) {
		struct client *client = container_of(n, struct client, node);

		if (client->call)
			client_patience(client, CONTROL_LINGER_MS);
		else
			client_leave(client);
	}
	uv_close((uv_handle_t *)&c->listener, on_listener_closed);
}

void control_free(struct control *c)
{
	if (!c)
		return;
	assert(c->n_clients == 0);
	if (!c->closed)
		(void)unlink(c->path); /* best effort, as above */
	free(c->path);
	free(c);
}
