/* test_http_upload.c - requests that carry something (server.py) */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#define BIG (5u << 20)

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_post_carries_its_body),
		CASE(a_put_streams_any_part_of_a_file),
		CASE(a_put_that_fails_says_why),
		CASE(who_waits_for_the_disk_hears_of_a_reset_behind_it),
		CASE(a_cancelled_request_is_done_once),
	};

	if (client_begin() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
