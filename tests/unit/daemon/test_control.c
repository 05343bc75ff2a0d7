/* test_control.c - properties of the control socket, over a real one */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/path.h"
#include "base/thread.h"
#include "daemon/answer.h"
#include "daemon/client.h"
#include "daemon/control.h"
#include "daemon/lines.h"
#include "net/loop.h"

#include "helper/jump.h"

#define DRIVE   "test"
#define WAIT_MS 120000 /* what takes as long hangs */

/* ---- a server with four verbs ---- */

struct server {
	char home[64];
	struct loop *loop;
	struct control *control;
	struct control_call *held; /* loop thread */
	struct loop_task task;
	struct lock lock;
	struct cond changed;
	bool stopped; /* lock */
	atomic_uint n_holds;
};

static void echo_start(void *ctx, struct control_call *call, const json_t *request)
{
	(void)ctx;
	control_done(call, 0, NULL,
		     json_pack("{s:O}", "said", json_object_get(request, "say")));
}

static void fail_start(void *ctx, struct control_call *call, const json_t *request)
{
	(void)ctx;
	(void)request;
	control_done(call, -ENOSPC, "no room here", NULL);
}

static void steps_start(void *ctx, struct control_call *call, const json_t *request)
{
	(void)ctx;
	(void)request;
	for (int i = 0; i < 3; i++)
		control_progress(call, json_pack("{s:i}", "done", i));
	control_done(call, 0, NULL, NULL);
}

/* Answered at the end of the server. */
static void hold_start(void *ctx, struct control_call *call, const json_t *request)
{
	struct server *s = ctx;

	(void)request;
	s->held = call;
	control_progress(call, json_pack("{s:s}", "stage", "waiting"));
	atomic_fetch_add(&s->n_holds, 1);
}

/* As of a call that goes on for long; more than fits into any socket. */
static void flood_start(void *ctx, struct control_call *call, const json_t *request)
{
	static char text[65536];

	(void)ctx;
	(void)request;
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 64; i++)
		control_progress(call, json_pack("{s:s}", "text", text));
	control_done(call, 0, NULL, NULL);
}

static const struct control_verb verbs[] = {
	{ "echo", echo_start },   { "fail", fail_start },
	{ "steps", steps_start }, { "hold", hold_start },
	{ "flood", flood_start }, { NULL, NULL },
};

static int setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	char *path = NULL;
	struct err e = { "" };

	assert_non_null(s);
	(void)snprintf(s->home, sizeof(s->home), "/tmp/fildrive-test-XXXXXX");
	assert_non_null(mkdtemp(s->home));
	assert_int_equal(setenv("FILDRIVE_HOME", s->home, 1), 0);
	lock_init(&s->lock);
	cond_init(&s->changed);
	assert_int_equal(path_socket(DRIVE, &path), 0);
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(control_new(s->loop, path, verbs, s, &s->control, &e), 0);
	assert_int_equal(loop_start(s->loop), 0);
	free(path);
	*state = s;
	return 0;
}

static void stopped(void *ctx)
{
	struct server *s = ctx;

	lock_take(&s->lock);
	s->stopped = true;
	cond_wake_all(&s->changed);
	lock_drop(&s->lock);
}

static void stop(struct loop_task *t)
{
	struct server *s = container_of(t, struct server, task);

	if (s->held)
		control_done(s->held, 0, NULL, json_pack("{s:s}", "last", "words"));
	control_stop(s->control, stopped, s);
}

static void server_end(struct server *s)
{
	if (!s->loop)
		return;
	s->task.run = stop;
	loop_post(s->loop, &s->task);
	lock_take(&s->lock);
	while (!s->stopped)
		cond_wait(&s->changed, &s->lock);
	lock_drop(&s->lock);
	loop_stop(s->loop);
	loop_free(s->loop);
	control_free(s->control);
	s->loop = NULL;
}

static int teardown(void **state)
{
	struct server *s = *state;

	server_end(s);
	assert_int_equal(rmdir(s->home), 0); /* the socket is gone, too */
	free(s);
	return 0;
}

static struct client_conn *connected(void)
{
	struct client_conn *c = NULL;
	struct err e = { "" };

	assert_int_equal(client_connect(DRIVE, &c, &e), 0);
	return c;
}

/* ---- properties ---- */

static void a_request_gets_its_answer(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();

	(void)state;
	for (int i = 0; i < 3; i++) {
		_cleanup_json_ json_t *o = NULL;

		assert_int_equal(client_call(c,
					     json_pack("{s:s, s:i}", "verb",
						       "echo", "say", i),
					     WAIT_MS, NULL, NULL, &o, NULL),
				 0);
		assert_int_equal(json_integer_value(json_object_get(o, "said")), i);
	}
}

static void errors_arrive_with_their_reason(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();
	json_t *o = NULL;
	struct err e = { "" };

	(void)state;
	assert_int_equal(client_call(c, json_pack("{s:s}", "verb", "fail"),
				     WAIT_MS, NULL, NULL, &o, &e),
			 -ENOSPC);
	assert_string_equal(e.text, "no room here");
	e.text[0] = '\0';
	assert_int_equal(client_call(c, json_pack("{s:s}", "verb", "dance"),
				     WAIT_MS, NULL, NULL, &o, &e),
			 -EOPNOTSUPP);
}

static void count(void *ctx, const json_t *p)
{
	int *n = ctx;

	assert_int_equal(json_integer_value(json_object_get(p, "done")), *n);
	(*n)++;
}

static void progress_comes_in_order_before_the_end(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();
	_cleanup_json_ json_t *o = NULL;
	int n = 0;

	(void)state;
	assert_int_equal(client_call(c, json_pack("{s:s}", "verb", "steps"),
				     WAIT_MS, count, &n, &o, NULL),
			 0);
	assert_int_equal(n, 3);
}

static void nonsense_is_refused_with_a_reason(void **state)
{
	static const char *const bad[] = { "nonsense", "[]", "{}", "{\"verb\": 1}",
					   "{\"verb\":\"a\",\"verb\":\"b\"}" };
	json_t *o = NULL;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		e = (struct err){ "" };
		assert_int_equal(control_parse(slice_str(bad[i]), &o, &e), -EPROTO);
		assert_true(e.text[0] != '\0');
	}
	assert_int_equal(control_parse(slice_str("{\"verb\": \"x\"}"), &o, &e), 0);
	json_decref(o);
}

static void a_waiting_client_gets_the_last_words(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();
	_cleanup_json_ json_t *first = NULL, *last = NULL, *none = NULL;
	struct server *s = *state;

	assert_int_equal(client_send(c, json_pack("{s:s}", "verb", "hold")), 0);
	assert_int_equal(client_recv(c, WAIT_MS, &first), 0);
	server_end(s);
	assert_int_equal(client_recv(c, WAIT_MS, &last), 0);
	assert_string_equal(json_string_value(json_object_get(last, "last")),
			    "words");
	assert_int_equal(client_recv(c, WAIT_MS, &none), -ECONNRESET);
}

static void a_client_that_leaves_is_forgotten(void **state)
{
	struct server *s = *state;
	struct client_conn *c = connected(), *d;
	json_t *o = NULL;

	assert_int_equal(client_send(c, json_pack("{s:s}", "verb", "hold")), 0);
	assert_int_equal(client_recv(c, WAIT_MS, &o), 0);
	json_decref(o);
	client_close(c);
	d = connected();
	o = NULL;
	assert_int_equal(
		client_call(d, json_pack("{s:s, s:i}", "verb", "echo", "say", 1),
			    WAIT_MS, NULL, NULL, &o, NULL),
		0);
	json_decref(o);
	client_close(d);
	assert_int_equal(atomic_load(&s->n_holds), 1);
}

static void assert_answered(struct client_conn *c)
{
	_cleanup_json_ json_t *o = NULL;

	assert_int_equal(
		client_call(c, json_pack("{s:s, s:i}", "verb", "echo", "say", 1),
			    WAIT_MS, NULL, NULL, &o, NULL),
		0);
}

static void who_was_stopped_while_it_waited_gets_its_answer(void **state)
{
	_cleanup_client_ struct client_conn *deaf = connected(), *c = connected();
	struct err e = { "" };
	int r = 1, n = 0;

	(void)state;
	assert_int_equal(client_send(deaf, json_pack("{s:s}", "verb", "flood")), 0);
	assert_answered(c); /* by then it has all that it gets unread */
	for (; r == 1; n++) {
		_cleanup_json_ json_t *line = NULL;

		assert_int_equal(client_recv(deaf, WAIT_MS, &line), 0);
		r = answer_end(line, &e);
	}
	assert_int_equal(r, 0);
	assert_in_range(n, 2, 64); /* 4 MiB never arrive whole */
	assert_answered(deaf);
}

static void a_client_that_reads_no_answers_stops_nobody(void **state)
{
	_cleanup_client_ struct client_conn *deaf = connected(), *c = connected();
	static char text[CONTROL_REQUEST_MAX / 2];
	int r = 0, n = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	while (r == 0 && n++ < 65536)
		r = client_send(deaf, json_pack("{s:s, s:s}", "verb", "echo",
						"say", text));
	assert_int_equal(r, -ECONNRESET);
	assert_answered(c);
}

/* ---- a loop that stands ---- */

struct standing {
	struct loop_task task;
	struct server *s;
	bool stands, ends; /* lock: s->lock */
};

static void stand(struct loop_task *t)
{
	struct standing *st = container_of(t, struct standing, task);

	lock_take(&st->s->lock);
	st->stands = true;
	cond_wake_all(&st->s->changed);
	while (!st->ends)
		cond_wait(&st->s->changed, &st->s->lock);
	st->stands = false;
	cond_wake_all(&st->s->changed);
	lock_drop(&st->s->lock);
}

static void what_came_while_the_daemon_stood_is_answered(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();
	_cleanup_json_ json_t *line = NULL;
	struct server *s = *state;
	struct standing st = { .s = s, .task.run = stand };

	assert_answered(c); /* its time begins */
	loop_post(s->loop, &st.task);
	lock_take(&s->lock);
	while (!st.stands)
		cond_wait(&s->changed, &s->lock);
	lock_drop(&s->lock);
	assert_int_equal(client_send(c, json_pack("{s:s, s:i}", "verb", "echo",
						  "say", 2)),
			 0);
	jump_s(JUMP_DAY);
	lock_take(&s->lock);
	st.ends = true;
	cond_wake_all(&s->changed);
	while (st.stands)
		cond_wait(&s->changed, &s->lock);
	lock_drop(&s->lock);
	assert_int_equal(client_recv(c, WAIT_MS, &line), 0);
	assert_int_equal(json_integer_value(json_object_get(line, "said")), 2);
}

static void too_many_clients_are_turned_away(void **state)
{
	struct client_conn *c[CONTROL_CLIENTS_MAX + 1];
	json_t *o = NULL;
	struct err e = { "" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(c); i++) {
		c[i] = connected();
		if (i == CONTROL_CLIENTS_MAX)
			break;
		o = NULL;
		assert_int_equal(client_call(c[i],
					     json_pack("{s:s, s:i}", "verb",
						       "echo", "say", 1),
					     WAIT_MS, NULL, NULL, &o, NULL),
				 0);
		json_decref(o);
	}
	assert_true(client_call(c[CONTROL_CLIENTS_MAX],
				json_pack("{s:s, s:i}", "verb", "echo", "say", 1),
				WAIT_MS, NULL, NULL, &o, &e) < 0);
	for (size_t i = 0; i < ARRAY_LEN(c); i++)
		client_close(c[i]);
}

static void an_endless_line_is_cut_off(void **state)
{
	_cleanup_client_ struct client_conn *c = connected();
	static char text[2 * CONTROL_REQUEST_MAX];
	json_t *o = NULL;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_true(client_call(c, json_pack("{s:s, s:s}", "verb", "echo", "say", text),
				WAIT_MS, NULL, NULL, &o, NULL) < 0);
}

static void the_socket_is_ours_alone(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	(void)state;
	assert_int_equal(path_socket(DRIVE, &path), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void lines_come_out_as_they_went_in(void **state)
{
	static const char text[] = "one\n\ntwo\nthree";
	struct lines l;
	struct slice s;
	char got[64] = "";

	(void)state;
	lines_init(&l, 8);
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		assert_int_equal(lines_feed(&l, slice(text + i, 1)), 0);
		while (lines_next(&l, &s)) {
			strncat(got, (const char *)s.p, s.n);
			strncat(got, "|", 1);
		}
	}
	assert_string_equal(got, "one||two|");
	assert_int_equal(lines_feed(&l, slice("0123456789", 10)), -EMSGSIZE);
	lines_fini(&l);
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(a_request_gets_its_answer),
		WITH_SERVER(errors_arrive_with_their_reason),
		WITH_SERVER(progress_comes_in_order_before_the_end),
		cmocka_unit_test(nonsense_is_refused_with_a_reason),
		WITH_SERVER(a_waiting_client_gets_the_last_words),
		WITH_SERVER(a_client_that_leaves_is_forgotten),
		WITH_SERVER(who_was_stopped_while_it_waited_gets_its_answer),
		WITH_SERVER(a_client_that_reads_no_answers_stops_nobody),
		WITH_SERVER(what_came_while_the_daemon_stood_is_answered),
		WITH_SERVER(too_many_clients_are_turned_away),
		WITH_SERVER(an_endless_line_is_cut_off),
		WITH_SERVER(the_socket_is_ours_alone),
		cmocka_unit_test(lines_come_out_as_they_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
