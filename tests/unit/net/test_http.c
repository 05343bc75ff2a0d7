/* test_http.c - requests against a server on 127.0.0.1 (server.py) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/work.h"

#include "helper/jump.h"
#include "helper/server.h"

#define BIG         (5u << 20)
#define N_WORKERS   2
#define PATIENCE_MS 120000 /* what takes as long hangs */

struct fixture {
	struct server server;
	struct loop *loop;
	struct work *work;
	struct http *http;
	struct lock lock;
	struct cond cond;
	unsigned n_done; /* lock: lock */
};

struct get {
	struct http_req req;
	struct fixture *f;
	char url[256];
	struct buf body;
	int status;
	unsigned dones; /* lock: f->lock */
	bool on_loop;
};

static uint8_t pattern(uint64_t i)
{
	return (uint8_t)(i * 131 + (i >> 8));
}

static bool is_pattern(struct slice s, uint64_t first)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != pattern(first + i))
			return false;
	return true;
}

/* ---- the server and the loop ---- */

static int set_up_with(void **state, unsigned per_host)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct http_params p = { .per_host = per_host };

	assert_non_null(f);
	lock_init(&f->lock);
	cond_init(&f->cond);
	server_start_py(&f->server, SERVER);
	assert_int_equal(loop_new(&f->loop), 0);
	p.loop = f->loop;
	assert_int_equal(work_new(f->loop, N_WORKERS, &f->work), 0);
	p.work = f->work;
	assert_int_equal(http_new(&p, &f->http), 0);
	assert_int_equal(loop_start(f->loop), 0);
	*state = f;
	return 0;
}

static int set_up(void **state)
{
	return set_up_with(state, 0);
}

static int set_up_two_per_host(void **state)
{
	return set_up_with(state, 2);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	work_free(f->work);
	loop_stop(f->loop);
	http_free(f->http);
	loop_free(f->loop);
	server_stop(&f->server);
	cond_fini(&f->cond);
	lock_fini(&f->lock);
	free(f);
	return 0;
}

static void on_done(struct http_req *req, int status)
{
	struct get *g = container_of(req, struct get, req);

	lock_take(&g->f->lock);
	g->status = status;
	g->dones++;
	g->on_loop = loop_is_here(g->f->loop);
	g->f->n_done++;
	cond_wake_all(&g->f->cond);
	lock_drop(&g->f->lock);
}

static void prepare(struct fixture *f, struct get *g, const char *path)
{
	*g = (struct get){ .f = f };
	(void)snprintf(g->url, sizeof(g->url), "http://127.0.0.1:%d/%s",
		       f->server.port, path);
	buf_init(&g->body, 8u << 20);
	g->req.url = g->url;
	g->req.ret_body = &g->body;
	g->req.done = on_done;
}

static void wait_for(struct get *g)
{
	lock_take(&g->f->lock);
	while (!g->dones)
		cond_wait(&g->f->cond, &g->f->lock);
	lock_drop(&g->f->lock);
	assert_true(g->on_loop);
	assert_true(g->dones == 1);
	assert_true(!g->status == !g->req.err.text[0]);
}

static int run(struct get *g)
{
	int r = http_start(g->f->http, &g->req);

	if (r < 0)
		return r;
	wait_for(g);
	return g->status;
}

/* A plain GET: its status; *g can be looked at and is finished by finish(). */
static int get(struct fixture *f, struct get *g, const char *path)
{
	prepare(f, g, path);
	return run(g);
}

static void finish(struct get *g)
{
	buf_fini(&g->body);
}

/* ---- answers ---- */

static void a_body_arrives_whole_and_counted(void **state)
{
	struct get g;

	assert_int_equal(get(*state, &g, "bytes/3000000"), 0);
	assert_int_equal(g.body.n, 3000000);
	assert_true(is_pattern(buf_slice(&g.body), 0));
	assert_true(g.req.head.status == 200 && g.req.head.has_length &&
		    g.req.head.length == 3000000);
	assert_int_equal(atomic_load(&g.req.received), 3000000);
	finish(&g);
}

static void ranges_are_exact_and_end_with_the_file(void **state)
{
	struct get g;

	prepare(*state, &g, "bytes/100000");
	g.req.range_off = 50001;
	g.req.range_n = 1234;
	assert_int_equal(run(&g), 0);
	assert_int_equal(g.body.n, 1234);
	assert_true(is_pattern(buf_slice(&g.body), 50001));
	assert_true(g.req.head.has_total && g.req.head.total == 100000);
	finish(&g);

	prepare(*state, &g, "bytes/100000");
	g.req.range_off = 99990;
	g.req.range_n = 1000;
	assert_int_equal(run(&g), 0);
	assert_int_equal(g.body.n, 10);
	finish(&g);

	prepare(*state, &g, "bytes/100000");
	g.req.range_off = 100000;
	g.req.range_n = 1;
	assert_int_equal(run(&g), -ERANGE);
	assert_int_equal(g.body.n, 0);
	finish(&g);
}

static void a_part_that_was_not_asked_for_is_refused(void **state)
{
	static const char *const paths[] = { "norange/5000", "lie/5000",
					     "unasked", "chunked/5000" };
	static const int want[] = { -EPROTO, -EPROTO, -EPROTO, -EREMOTEIO };
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		prepare(*state, &g, paths[i]);
		g.req.range_n = i == 2 ? 0 : 100;
		assert_int_equal(run(&g), want[i]);
		assert_true(g.body.n <= 50);
		finish(&g);
	}
	prepare(*state, &g, "norange/50"); /* all of it is in the range */
	g.req.range_n = 100;
	assert_int_equal(run(&g), 0);
	assert_int_equal(g.body.n, 50);
	finish(&g);
}

static void a_cut_body_is_an_error(void **state)
{
	struct get g;

	assert_int_equal(get(*state, &g, "short/100000"), -EREMOTEIO);
	finish(&g);
	assert_int_equal(get(*state, &g, "garbage"), -EPROTO);
	finish(&g);
}

static void a_body_over_its_maximum_is_refused(void **state)
{
	static const char *const paths[] = { "bytes/4097", "endless" };
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		prepare(*state, &g, paths[i]);
		g.body.max = 4096;
		assert_int_equal(run(&g), -EMSGSIZE);
		assert_true(g.body.n <= 4096);
		finish(&g);
	}
	prepare(*state, &g, "endless");
	g.req.ret_body = NULL; /* wanted by nobody */
	assert_int_equal(run(&g), -EMSGSIZE);
	finish(&g);
	prepare(*state, &g, "bytes/4096");
	g.body.max = 4096;
	assert_int_equal(run(&g), 0);
	finish(&g);
}

static int sink(struct http_req *req, struct slice s)
{
	uint64_t *v = req->ctx;

	if (!is_pattern(s, v[0]))
		return -EBADMSG;
	v[0] += s.n;
	return v[0] > v[1] ? -EFBIG : 0;
}

static void a_sink_gets_the_bytes_and_may_stop_them(void **state)
{
	uint64_t v[2] = { 0, UINT64_MAX };
	struct get g;

	prepare(*state, &g, "bytes/200000");
	g.req.ret_body = NULL;
	g.req.sink = sink;
	g.req.ctx = v;
	g.req.body_max = 200000;
	assert_int_equal(run(&g), 0);
	assert_int_equal(v[0], 200000);
	v[0] = 0;
	v[1] = 5000;
	g.dones = 0;
	assert_int_equal(run(&g), -EFBIG);
	v[0] = 0;
	v[1] = UINT64_MAX;
	g.dones = 0;
	g.req.body_max = 199999;
	assert_int_equal(run(&g), -EMSGSIZE);
	assert_int_equal(v[0], 0);
	finish(&g);
}

static void a_head_has_the_length_and_no_body(void **state)
{
	struct get g;

	prepare(*state, &g, "bytes/123456");
	g.req.method = HTTP_HEAD;
	assert_int_equal(run(&g), 0);
	assert_true(g.req.head.has_length && g.req.head.length == 123456);
	assert_int_equal(g.body.n, 0);
	finish(&g);
}

static void statuses_become_errors_with_the_servers_words(void **state)
{
	static const struct {
		const char *path;
		int err;
	} cases[] = {
		{ "status/404", -ENOENT },    { "status/410", -ENOENT },
		{ "status/403", -EACCES },    { "status/409", -EEXIST },
		{ "status/400", -EINVAL },    { "status/413", -EMSGSIZE },
		{ "status/429", -EAGAIN },    { "status/500", -EREMOTEIO },
		{ "status/503", -EREMOTEIO }, { "status/504", -ETIMEDOUT },
		{ "status/507", -ENOSPC },    { "status/418", -EPROTO },
	};
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(get(*state, &g, cases[i].path), cases[i].err);
		assert_int_equal(g.body.n, 0); /* not mixed up with an answer */
		assert_string_equal(g.req.said, "the machine\r\nis on fire");
		assert_non_null(strstr(g.req.err.text, cases[i].path + 7));
		assert_non_null(strstr(g.req.err.text, "the machine is on fire"));
		finish(&g);
	}
	assert_int_equal(get(*state, &g, "essay"), -EREMOTEIO);
	assert_int_equal(strlen(g.req.said), HTTP_ERROR_MAX);
	finish(&g);
}

static void retry_after_is_read(void **state)
{
	struct get g;

	assert_int_equal(get(*state, &g, "status/429/7"), -EAGAIN);
	assert_true(g.req.head.has_retry_after && g.req.head.retry_after_s == 7);
	finish(&g);
	assert_int_equal(get(*state, &g, "status/503/99999999999"), -EREMOTEIO);
	assert_int_equal(g.req.head.retry_after_s, HTTP_RETRY_MAX_S);
	finish(&g);
	assert_int_equal(get(*state, &g, "status/503/soon"), -EREMOTEIO);
	assert_false(g.req.head.has_retry_after);
	finish(&g);
}

static void a_redirect_is_refused_and_named(void **state)
{
	struct get g;

	assert_int_equal(get(*state, &g, "redirect"), -EPROTO);
	assert_string_equal(g.req.head.location, "http://127.0.0.1:1/elsewhere");
	assert_non_null(strstr(g.req.err.text, "redirect"));
	finish(&g);
}

static void heads_of_a_wrong_form_or_size_are_refused(void **state)
{
	struct get g;

	assert_int_equal(get(*state, &g, "header/8000"), 0);
	finish(&g);
	assert_int_equal(get(*state, &g, "header/20000"), -EMSGSIZE);
	finish(&g);
	assert_int_equal(get(*state, &g, "headers/2000"), -EMSGSIZE);
	finish(&g);
	assert_int_equal(get(*state, &g, "twice"), -EPROTO);
	finish(&g);
	assert_int_equal(get(*state, &g, "gzip"), -EPROTO);
	assert_int_equal(g.body.n, 0);
	finish(&g);
}

static void a_request_says_identity_and_the_callers_headers(void **state)
{
	static const char *const headers[] = { "X-One: 1", NULL };
	struct get g;

	prepare(*state, &g, "asks");
	g.req.headers = headers;
	assert_int_equal(run(&g), 0);
	assert_int_equal(buf_u8(&g.body, 0), 0);
	assert_non_null(strstr((char *)g.body.p, "Accept-Encoding: identity"));
	assert_non_null(strstr((char *)g.body.p, "X-One: 1"));
	assert_non_null(strstr((char *)g.body.p, "User-Agent: fildrive/"));
	assert_null(strstr((char *)g.body.p, "Cookie"));
	finish(&g);
}

static void what_cannot_be_sent_is_refused_at_once(void **state)
{
	static const char *const urls[] = {
		"",        "file:///etc/passwd", "ftp://a/b",
		"http://", "http://a b/",        "http://a/\r\nX: y"
	};
	static const char *const split[] = { "X: 1\r\nY: 2", NULL };
	struct fixture *f = *state;
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		prepare(f, &g, "");
		g.req.url = urls[i];
		assert_int_equal(http_start(f->http, &g.req), -EINVAL);
	}
	prepare(f, &g, "bytes/1");
	g.req.headers = split;
	assert_int_equal(http_start(f->http, &g.req), -EINVAL);
	prepare(f, &g, "bytes/1");
	g.req.method = HTTP_POST;
	g.req.range_n = 5;
	assert_int_equal(http_start(f->http, &g.req), -EINVAL);
	prepare(f, &g, "put/0");
	g.req.method = HTTP_PUT;
	assert_int_equal(http_start(f->http, &g.req), -EINVAL);
	assert_int_equal(f->n_done, 0);
}

/* ---- sending ---- */

static void a_post_carries_its_body(void **state)
{
	static const char *const json[] = { "content-type: application/json", NULL };
	struct get g;

	prepare(*state, &g, "post");
	g.req.method = HTTP_POST;
	g.req.body = slice_str("{\"a\":1}");
	assert_int_equal(run(&g), 0);
	assert_true(slice_eq(buf_slice(&g.body), slice_str("- {\"a\":1}")));
	assert_int_equal(atomic_load(&g.req.sent), 7);
	finish(&g);
	prepare(*state, &g, "post");
	g.req.method = HTTP_POST;
	g.req.headers = json;
	assert_int_equal(run(&g), 0);
	assert_true(slice_eq(buf_slice(&g.body), slice_str("application/json ")));
	finish(&g);
}

/* A file of the pattern, in a directory of its own that is gone again. */
static struct io_file *pattern_file(struct io **ret_io)
{
	char dir[] = "/tmp/fildrive-http-XXXXXX";
	uint8_t *p = malloc(BIG);
	struct io_file *file = NULL;

	assert_non_null(p);
	assert_non_null(mkdtemp(dir));
	for (size_t i = 0; i < BIG; i++)
		p[i] = pattern(i);
	assert_int_equal(io_dir_new(dir, ret_io), 0);
	assert_int_equal(io_open(*ret_io, "f", O_RDWR | O_CREAT, &file), 0);
	assert_int_equal(io_pwrite(file, p, BIG, 0), 0);
	assert_int_equal(io_unlink(*ret_io, "f"), 0);
	assert_int_equal(rmdir(dir), 0);
	free(p);
	return file;
}

static void prepare_put(struct fixture *f, struct get *g, const char *path,
			struct io_file *src, uint64_t off, uint64_t n)
{
	prepare(f, g, path);
	g->req.method = HTTP_PUT;
	g->req.src = src;
	g->req.src_off = off;
	g->req.src_n = n;
}

static void a_put_streams_any_part_of_a_file(void **state)
{
	static const uint64_t parts[][2] = { { 0, BIG },    { 0, 0 },
					     { 7, 1 },      { 65536, 262144 },
					     { 1, 262145 }, { 3, BIG - 3 } };
	struct io *io;
	struct io_file *src = pattern_file(&io);
	char path[32], want[32];
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		(void)snprintf(path, sizeof(path), "put/%llu",
			       (unsigned long long)parts[i][0]);
		(void)snprintf(want, sizeof(want), "%llu True",
			       (unsigned long long)parts[i][1]);
		prepare_put(*state, &g, path, src, parts[i][0], parts[i][1]);
		assert_int_equal(run(&g), 0);
		assert_true(slice_eq(buf_slice(&g.body), slice_str(want)));
		assert_int_equal(atomic_load(&g.req.sent), parts[i][1]);
		finish(&g);
	}
	io_close(src);
	io_free(io);
}

static void a_put_that_fails_says_why(void **state)
{
	struct io *io;
	struct io_file *src = pattern_file(&io);
	struct get g;

	prepare_put(*state, &g, "put/refuse", src, 0, BIG);
	assert_int_equal(run(&g), -EMSGSIZE);
	assert_string_equal(g.req.said, "too much");
	finish(&g);
	prepare_put(*state, &g, "put/cut", src, 0, BIG);
	assert_int_equal(run(&g), -EREMOTEIO);
	finish(&g);
	prepare_put(*state, &g, "put/0", src, 0, BIG + 1ul); /* shorter than said */
	assert_int_equal(run(&g), -EUCLEAN);
	finish(&g);
	prepare_put(*state, &g, "put/stall", src, 0, BIG); /* for ten minutes */
	g.req.idle_ms = 1500; /* curl waits a second for "100 Continue" */
	assert_int_equal(run(&g), -ETIMEDOUT);
	finish(&g);
	io_close(src);
	io_free(io);
}

/* A worker that the disk holds up. */
struct stuck {
	struct work_item work;
	struct fixture *f;
	bool go; /* lock: f->lock */
};

static void stuck_run(struct work_item *w)
{
	struct stuck *s = container_of(w, struct stuck, work);

	lock_take(&s->f->lock);
	while (!s->go)
		cond_wait(&s->f->cond, &s->f->lock);
	lock_drop(&s->f->lock);
}

static void who_waits_for_the_disk_hears_of_a_reset_behind_it(void **state)
{
	struct fixture *f = *state;
	struct stuck stuck[N_WORKERS];
	struct io *io;
	struct io_file *src = pattern_file(&io);
	struct get g, gone;

	for (size_t i = 0; i < N_WORKERS; i++) {
		stuck[i] = (struct stuck){ .work.run = stuck_run, .f = f };
		work_submit(f->work, &stuck[i].work);
	}
	prepare_put(f, &g, "put/reset", src, 0, BIG);
	assert_int_equal(http_start(f->http, &g.req), 0);
	assert_int_equal(get(f, &gone, "gone"), 0);
	finish(&gone);
	lock_take(&f->lock);
	for (size_t i = 0; i < N_WORKERS; i++)
		stuck[i].go = true;
	cond_wake_all(&f->cond);
	lock_drop(&f->lock);
	wait_for(&g);
	assert_int_equal(g.status, -EREMOTEIO); /* no deadline ended it */
	finish(&g);
	io_close(src);
	io_free(io);
}

/* ---- time ---- */

/* One byte, and no more; the first one may take long where others are busy. */
static size_t drip(struct fixture *f, unsigned idle_ms)
{
	struct get g;
	size_t n;

	prepare(f, &g, "drip");
	g.req.idle_ms = idle_ms;
	assert_int_equal(run(&g), -ETIMEDOUT);
	n = g.body.n;
	finish(&g);
	return n;
}

static void deadlines_end_a_request(void **state)
{
	unsigned idle_ms = 1000;
	struct get g;

	/* the server's answer would come in the end */
	prepare(*state, &g, "slow/60000");
	g.req.total_ms = 200;
	assert_int_equal(run(&g), -ETIMEDOUT);
	finish(&g);
	prepare(*state, &g, "slow/60000");
	g.req.idle_ms = 200;
	assert_int_equal(run(&g), -ETIMEDOUT);
	finish(&g);
	while (drip(*state, idle_ms) == 0) {
		idle_ms *= 2;
		assert_in_range(idle_ms, 0, PATIENCE_MS);
	}
	prepare(*state, &g, "slow/300");
	g.req.idle_ms = PATIENCE_MS;
	assert_int_equal(run(&g), 0);
	finish(&g);
}

static bool is_over(struct get *g)
{
	bool over;

	lock_take(&g->f->lock);
	over = g->dones;
	lock_drop(&g->f->lock);
	return over;
}

/* Stopped for a day at a time, until it is over. */
static void get_in_days(struct fixture *f, const char *path, int status)
{
	struct get g;

	prepare(f, &g, path);
	g.req.total_ms = g.req.idle_ms = PATIENCE_MS;
	assert_int_equal(http_start(f->http, &g.req), 0);
	while (!is_over(&g)) {
		jump_s(JUMP_DAY);
		(void)usleep(1000); /* the loop comes by */
	}
	assert_int_equal(g.status, status);
	finish(&g);
}

static void time_in_which_the_loop_stood_counts_for_no_deadline(void **state)
{
	get_in_days(*state, "slow/300", 0);
	get_in_days(*state, "bytes/3000000", 0);
	get_in_days(*state, "status/503", -EREMOTEIO);
}

struct turn {
	struct loop_task task;
	struct fixture *f;
	bool over; /* lock: f->lock */
};

static void on_turn(struct loop_task *t)
{
	struct turn *turn = container_of(t, struct turn, task);

	lock_take(&turn->f->lock);
	turn->over = true;
	cond_wake_all(&turn->f->cond);
	lock_drop(&turn->f->lock);
}

/* The loop has done what it had to. */
static void turn(struct fixture *f)
{
	struct turn t = { .f = f, .task.run = on_turn };

	loop_post(f->loop, &t.task);
	lock_take(&f->lock);
	while (!t.over)
		cond_wait(&f->cond, &f->lock);
	lock_drop(&f->lock);
}

/* It takes up no connection as long as nobody accepts the one that it has. */
static int deaf_listen(struct get *g, int *ret_first)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0 && *ret_first >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(listen(fd, 0), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(connect(*ret_first, (struct sockaddr *)&a, n), 0);
	(void)snprintf(g->url, sizeof(g->url), "http://127.0.0.1:%u/",
		       ntohs(a.sin_port));
	return fd;
}

static int accept_next(int fd)
{
	int c = accept(fd, NULL, NULL); /* only this program knows the port */

	assert_true(c >= 0);
	return c;
}

static void who_stood_while_it_connected_connects_anew(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	struct fixture *f = *state;
	char request[1024];
	int fd, first, c;
	struct get g;

	prepare(f, &g, "");
	fd = deaf_listen(&g, &first);
	g.req.connect_ms = PATIENCE_MS;
	assert_int_equal(http_start(f->http, &g.req), 0);
	for (unsigned i = 0; i < 5; i++) {
		turn(f);
		jump_s(JUMP_DAY);
	}
	turn(f);
	assert_false(is_over(&g));
	assert_int_equal(close(accept_next(fd)), 0); /* the first */
	do { /* one that was given up may have come through */
		c = accept_next(fd);
	} while (recv(c, request, sizeof(request), 0) <= 0 && close(c) == 0);
	assert_int_equal(send(c, answer, sizeof(answer) - 1, 0), sizeof(answer) - 1);
	wait_for(&g);
	assert_int_equal(g.status, 0);
	assert_true(close(c) == 0 && close(fd) == 0 && close(first) == 0);
	finish(&g);
}

static void a_rate_is_kept(void **state)
{
	uint64_t start = monotonic_ms();
	struct get g;

	prepare(*state, &g, "bytes/600000"); /* a second's worth comes at once */
	g.req.rate = 200000;
	assert_int_equal(run(&g), 0);
	assert_int_equal(g.body.n, 600000);
	assert_true(monotonic_ms() - start > 900);
	finish(&g);
}

/* ---- many, cancelled, dead ---- */

static void many_run_side_by_side_within_the_limit(void **state)
{
	static struct get gets[60];
	struct fixture *f = *state;
	struct get g;

	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		prepare(f, &gets[i], i % 2 ? "busy/10" : "bytes/20000");
		gets[i].req.idle_ms = PATIENCE_MS;
		assert_int_equal(http_start(f->http, &gets[i].req), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		wait_for(&gets[i]);
		assert_int_equal(gets[i].status, 0);
		assert_int_equal(gets[i].body.n, i % 2 ? 2 : 20000);
		finish(&gets[i]);
	}
	assert_int_equal(get(f, &g, "peak"), 0);
	assert_true(g.body.n == 1 && g.body.p[0] == '2');
	finish(&g);
}

static void a_cancelled_request_is_done_once(void **state)
{
	static struct get gets[40];
	struct fixture *f = *state;
	struct io *io;
	struct io_file *src = pattern_file(&io);
	unsigned cancelled = 0;

	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		if (i % 4 == 0)
			prepare_put(f, &gets[i], i % 8 ? "put/0" : "put/stall",
				    src, 0, BIG);
		else
			prepare(f, &gets[i], i % 2 ? "slow/600000" : "endless");
		gets[i].body.max = SIZE_MAX; /* endless must be cancelled */
		if (!gets[i].req.src && i % 2 == 0)
			gets[i].req.rate = 100000;
		assert_int_equal(http_start(f->http, &gets[i].req), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		lock_take(&f->lock);
		if (!gets[i].dones) {
			lock_drop(&f->lock);
			http_cancel(f->http, &gets[i].req);
			continue;
		}
		lock_drop(&f->lock);
	}
	for (size_t i = 0; i < ARRAY_LEN(gets); i++) {
		wait_for(&gets[i]);
		cancelled += gets[i].status == -ECANCELED;
		assert_true(gets[i].status == -ECANCELED || gets[i].status == 0);
		finish(&gets[i]);
	}
	assert_true(cancelled >= 30);
	io_close(src);
	io_free(io);
}

static void a_server_that_dies_is_an_error_and_so_is_its_port(void **state)
{
	struct fixture *f = *state;
	struct get slow, g;

	prepare(f, &slow, "drip");
	assert_int_equal(http_start(f->http, &slow.req), 0);
	while (atomic_load(&slow.req.received) == 0)
		(void)usleep(1000); /* until it is under way */
	assert_int_equal(get(f, &g, "stop"), -EREMOTEIO);
	finish(&g);
	wait_for(&slow);
	assert_int_equal(slow.status, -EREMOTEIO);
	finish(&slow);
	assert_int_equal(get(f, &g, "bytes/1"), -EREMOTEIO);
	assert_non_null(strstr(g.req.err.text, "GET http://127.0.0.1:"));
	finish(&g);
}

static void a_kept_connection_that_is_reset_is_made_anew(void **state)
{
	struct get g;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(get(*state, &g, "drops"), 0);
		finish(&g);
		prepare(*state, &g, i ? "post" : "bytes/10");
		g.req.method = i ? HTTP_POST : HTTP_GET;
		assert_int_equal(run(&g), 0);
		finish(&g);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_body_arrives_whole_and_counted),
		CASE(ranges_are_exact_and_end_with_the_file),
		CASE(a_part_that_was_not_asked_for_is_refused),
		CASE(a_cut_body_is_an_error),
		CASE(a_body_over_its_maximum_is_refused),
		CASE(a_sink_gets_the_bytes_and_may_stop_them),
		CASE(a_head_has_the_length_and_no_body),
		CASE(statuses_become_errors_with_the_servers_words),
		CASE(retry_after_is_read),
		CASE(a_redirect_is_refused_and_named),
		CASE(heads_of_a_wrong_form_or_size_are_refused),
		CASE(a_request_says_identity_and_the_callers_headers),
		CASE(what_cannot_be_sent_is_refused_at_once),
		CASE(a_post_carries_its_body),
		CASE(a_put_streams_any_part_of_a_file),
		CASE(a_put_that_fails_says_why),
		CASE(who_waits_for_the_disk_hears_of_a_reset_behind_it),
		CASE(deadlines_end_a_request),
		CASE(time_in_which_the_loop_stood_counts_for_no_deadline),
		CASE(who_stood_while_it_connected_connects_anew),
		CASE(a_rate_is_kept),
		cmocka_unit_test_setup_teardown(many_run_side_by_side_within_the_limit,
						set_up_two_per_host, tear_down),
		CASE(a_cancelled_request_is_done_once),
		CASE(a_kept_connection_that_is_reset_is_made_anew),
		CASE(a_server_that_dies_is_an_error_and_so_is_its_port),
	};

	/* No proxy stands between this and 127.0.0.1; one that hangs is cut. */
	// NOLINTNEXTLINE(concurrency-mt-unsafe): no thread is there yet
	if (setenv("no_proxy", "*", 1) < 0)
		return 1;
	(void)signal(SIGPIPE, SIG_IGN);
	log_level_set(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
