/* test_http.c - requests against a server on 127.0.0.1 (server.py) */
#include "client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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

/* ---- many, dead ---- */

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
		cmocka_unit_test_setup_teardown(many_run_side_by_side_within_the_limit,
						set_up_two_per_host, tear_down),
		CASE(a_kept_connection_that_is_reset_is_made_anew),
		CASE(a_server_that_dies_is_an_error_and_so_is_its_port),
	};

	if (client_begin() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
