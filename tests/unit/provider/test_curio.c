/* test_curio.c - requests to a storage provider, and what it may answer */
#include "common.h"

#include <string.h>

#include "net/http.h"
#include "net/work.h"
#include "provider/curio.h"

#include "helper/server.h"

#define SIZE 300000u

static const uint8_t keeper[CURIO_ADDRESS] = { 1 };
static const uint8_t extra_bytes[] = { 1, 2, 0xff };

struct world {
	struct fixture f;
	struct server server;
	struct loop *loop;
	struct work *work;
	struct http *http;
	struct curio_op op;
	struct piece_cid cid, other;
	struct io_file *file;
};

static int world_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct http_params p = { .per_host = 0 };

	assert_non_null(w);
	folders_make(&w->f);
	server_start_py(&w->server, SERVER);
	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(work_new(w->loop, 2, &w->work), 0);
	p.loop = w->loop;
	p.work = w->work;
	assert_int_equal(http_new(&p, &w->http), 0);
	assert_int_equal(loop_start(w->loop), 0);
	w->cid = make_piece(&w->f, "piece", 1, SIZE);
	w->other = make_piece(&w->f, "other", 2, 1000);
	assert_int_equal(io_open(w->f.io, "piece", O_RDONLY, &w->file), 0);
	curio_op_init(&w->op);
	*state = w;
	return 0;
}

static int world_down(void **state)
{
	struct world *w = *state;

	curio_op_fini(&w->op);
	io_close(w->file);
	loop_stop(w->loop);
	http_free(w->http);
	work_free(w->work);
	loop_free(w->loop);
	server_stop(&w->server);
	folders_remove(&w->f);
	free(w);
	return 0;
}

static struct curio *at(struct world *w, const char *mode)
{
	struct curio_params p = { .http = w->http, .local = true };
	struct err e = { "" };
	struct curio *c;
	char url[64];

	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d%s%s",
		       w->server.port, mode[0] ? "/" : "", mode);
	p.url = url;
	assert_int_equal(curio_new(&p, &c, &e), 0);
	return c;
}

static void a_provider_is_known_by_its_ping(void **state)
{
	static const struct {
		const char *mode;
		int r;
	} cases[] = { { "", 0 },
		      { "newline", 0 },
		      { "other", -EPROTO },
		      { "huge", -EPROTO },
		      { "alerts", -EREMOTEIO } };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_curio_ struct curio *c = at(w, cases[i].mode);

		assert_int_equal(curio_ping(c, &w->op), cases[i].r);
		assert_int_equal(w->op.err.text[0] != '\0', cases[i].r != 0);
	}
}

static void a_piece_goes_up_is_parked_later_and_comes_back(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *c = at(w, "");
	_cleanup_free_ uint8_t *p = malloc(SIZE), *want = malloc(SIZE);
	_Atomic(uint64_t) moved = 0;
	uint64_t size = 0;
	size_t n;

	assert_non_null(p);
	assert_non_null(want);
	assert_int_equal(io_pread(w->file, want, SIZE, 0), SIZE);
	assert_int_equal(curio_find(c, &w->op, &w->cid), -ENOENT);
	w->op.moved = &moved;
	assert_int_equal(curio_upload(c, &w->op, &w->cid, w->file, SIZE), 0);
	assert_true(atomic_load(&moved) >= SIZE);
	w->op.moved = NULL;
	assert_int_equal(curio_find(c, &w->op, &w->cid), 0);
	assert_int_equal(curio_stat(c, &w->op, &w->cid, &size), 0);
	assert_int_equal(size, SIZE);
	assert_int_equal(curio_get(c, &w->op, &w->cid, 0, SIZE, p, &n), 0);
	assert_int_equal(n, SIZE);
	assert_memory_equal(p, want, SIZE);
	assert_int_equal(curio_get(c, &w->op, &w->cid, SIZE - 10, 100, p, &n), 0);
	assert_int_equal(n, 10);
	assert_memory_equal(p, want + SIZE - 10, 10);
	assert_int_equal(curio_get(c, &w->op, &w->cid, SIZE, 100, p, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(curio_get(c, &w->op, &w->other, 0, 100, p, &n), -ENOENT);
}

static void a_part_that_was_not_asked_for_is_refused(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *good = at(w, ""),
				     *shifted = at(w, "shifted"),
				     *whole = at(w, "rangeless"),
				     *liar = at(w, "liar");
	uint8_t p[100];
	size_t n;

	assert_int_equal(curio_upload(good, &w->op, &w->cid, w->file, SIZE), 0);
	assert_int_equal(curio_get(shifted, &w->op, &w->cid, 50, 100, p, &n),
			 -EPROTO);
	assert_int_equal(curio_get(whole, &w->op, &w->cid, 50, 100, p, &n), -EPROTO);
	assert_int_equal(curio_find(good, &w->op, &w->cid), -ENOENT);
	assert_int_equal(curio_find(liar, &w->op, &w->cid), -EPROTO);
}

static void an_upload_ends_as_the_provider_says(void **state)
{
	static const struct {
		const char *mode;
		int r;
	} cases[] = { { "there", 0 },           { "twice", 0 },
		      { "wrong", -EBADMSG },    { "large", -EMSGSIZE },
		      { "busy", -EAGAIN },      { "broken", -EREMOTEIO },
		      { "elsewhere", -EPROTO }, { "slashes", -EPROTO },
		      { "dots", -EPROTO } };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_curio_ struct curio *c = at(w, cases[i].mode);

		assert_int_equal(curio_upload(c, &w->op, &w->cid, w->file, SIZE),
				 cases[i].r);
		if (cases[i].r == -EAGAIN)
			assert_int_equal(w->op.retry_after_s, 17);
		if (cases[i].r == -EREMOTEIO)
			assert_non_null(strstr(w->op.said, "[0xdae03403]"));
	}
}

static void what_is_too_small_or_too_large_is_not_sent(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *c = at(w, "");

	assert_int_equal(curio_upload(c, &w->op, &w->cid, w->file, 126), -EINVAL);
	assert_int_equal(curio_upload(c, &w->op, &w->cid, w->file, CURIO_RAW_MAX + 1),
			 -EINVAL);
}

static void an_operation_gives_the_hash_of_its_transaction(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *c = at(w, ""), *bad = at(w, "hashless"),
				     *over = at(w, "terminated"),
				     *broken = at(w, "broken");
	struct slice extra = slice(extra_bytes, sizeof(extra_bytes));
	struct piece_cid cids[2] = { w->cid, w->other };
	uint8_t tx[CURIO_HASH_SIZE] = { 0 };
	const uint64_t ids[2] = { 3, 4 };

	assert_int_equal(curio_create(c, &w->op, keeper, extra, NULL, 0, tx), 0);
	assert_int_equal(tx[31], 0xab);
	assert_int_equal(curio_create(c, &w->op, keeper, extra, cids, 2, tx), 0);
	assert_int_equal(curio_add(c, &w->op, 7, extra, cids, 2, tx), 0);
	assert_int_equal(curio_add(over, &w->op, 7, extra, cids, 2, tx), -EEXIST);
	assert_int_equal(curio_add(bad, &w->op, 7, extra, cids, 2, tx), -EPROTO);
	assert_int_equal(curio_add(broken, &w->op, 7, extra, cids, 2, tx),
			 -EREMOTEIO);
	assert_non_null(strstr(w->op.said, "vm error=[0xdae03403]"));
	memset(tx, 0, sizeof(tx));
	assert_int_equal(curio_remove(c, &w->op, 7, extra, ids, 2, tx), 0);
	assert_int_equal(tx[0], 0xab);
}

static void removals_that_are_too_many_wait(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *busy = at(w, "busy");
	_cleanup_curio_ struct curio *c = at(w, ""), *again = at(w, "again");
	struct slice extra = slice(extra_bytes, sizeof(extra_bytes));
	uint64_t ids[CURIO_REMOVE_MAX + 1] = { 3 };
	uint8_t tx[CURIO_HASH_SIZE];

	assert_int_equal(curio_remove(busy, &w->op, 7, extra, ids, 1, tx), -EAGAIN);
	assert_int_equal(curio_remove(c, &w->op, 7, extra, ids, ARRAY_LEN(ids), tx),
			 -EINVAL);
	assert_int_equal(curio_terminate(c, &w->op, 7, extra), 0);
	assert_int_equal(curio_terminate(again, &w->op, 7, extra), 0);
}

static void every_outcome_of_a_transaction_is_told_apart(void **state)
{
	static const struct {
		const char *mode;
		enum curio_tx_state state;
	} cases[] = { { "waiting", CURIO_TX_WAITING },
		      { "receipt", CURIO_TX_WAITING },
		      { "done", CURIO_TX_DONE },
		      { "reverted", CURIO_TX_REVERTED },
		      { "failed", CURIO_TX_UNCLEAR },
		      { "rejected", CURIO_TX_UNCLEAR },
		      { "reorged", CURIO_TX_UNCLEAR } };
	static const char *const unknown[] = { "forgotten", "gone" };
	static const char *const nonsense[] = { "numberless", "list" };
	const uint8_t tx[CURIO_HASH_SIZE] = { 1 };
	struct world *w = *state;
	struct curio_tx t;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_curio_ struct curio *c = at(w, cases[i].mode);

		assert_int_equal(curio_created(c, &w->op, tx, &t), 0);
		assert_int_equal(t.state, cases[i].state);
		if (t.state == CURIO_TX_DONE)
			assert_int_equal(t.data_set, 7);
		assert_int_equal(curio_added(c, &w->op, 7, tx, &t), 0);
		assert_int_equal(t.state, cases[i].state);
		if (t.state != CURIO_TX_DONE)
			continue;
		assert_int_equal(t.n_ids, 2);
		assert_int_equal(t.ids[1], 4);
		assert_true(t.replaced);
		assert_int_equal(t.hash[0], 0xcd);
	}
	for (size_t i = 0; i < 2; i++) {
		_cleanup_curio_ struct curio *gone = at(w, unknown[i]),
					     *bad = at(w, nonsense[i]),
					     *many = at(w, "many");

		assert_int_equal(curio_created(gone, &w->op, tx, &t), -ENODATA);
		assert_int_equal(curio_added(gone, &w->op, 7, tx, &t), -ENODATA);
		assert_int_equal(curio_created(bad, &w->op, tx, &t), -EPROTO);
		assert_int_equal(curio_added(bad, &w->op, 7, tx, &t), -EPROTO);
		assert_int_equal(curio_added(many, &w->op, 7, tx, &t), -EPROTO);
	}
}

static void a_pull_tells_how_each_piece_stands(void **state)
{
	struct world *w = *state;
	_cleanup_curio_ struct curio *c = at(w, ""), *shorter = at(w, "short"),
				     *busy = at(w, "busy");
	struct piece_cid third = make_piece(&w->f, "third", 3, 500);
	struct curio_pull p[3] = {
		{ .cid = &w->cid, .source = "https://a.example/1" },
		{ .cid = &w->other, .source = "https://a.example/2" },
		{ .cid = &third, .source = "https://a.example/3" }
	};
	struct slice extra = slice(extra_bytes, sizeof(extra_bytes));

	assert_int_equal(curio_pull(c, &w->op, keeper, 7, extra, p, 3), 0);
	assert_int_equal(p[0].state, CURIO_PULL_COMPLETE);
	assert_int_equal(p[1].state, CURIO_PULL_FAILED);
	assert_int_equal(p[2].state, CURIO_PULL_WAITING);
	assert_int_equal(curio_pull(shorter, &w->op, keeper, 0, extra, p, 3),
			 -EPROTO);
	assert_int_equal(curio_pull(busy, &w->op, keeper, 0, extra, p, 3), -EAGAIN);
	assert_int_equal(w->op.retry_after_s, 17);
}

static void a_strangers_url_reaches_only_the_public_internet(void **state)
{
	static const char *const local[] = {
		"https://127.0.0.1:1/", "https://localhost:1",
		"https://10.1.2.3",     "https://192.168.1.1/",
		"https://[::1]:1/",     "https://169.254.169.254",
		"https://[fd00::1]",    "https://[::ffff:127.0.0.1]/",
		"https://100.64.0.1",   "https://0.0.0.0:1/",
	};
	static const char *const bad[] = {
		"http://sp.example",    "https://",
		"ftp://sp.example",     "",
		"https:///x",           "https://a b/",
		"https://u@sp.example", "https://sp.example/?x"
	};
	struct world *w = *state;
	struct curio_params p = { .http = w->http };
	struct curio *c = NULL;
	struct err e = { "" };

	for (size_t i = 0; i < ARRAY_LEN(local); i++) {
		p.url = local[i];
		assert_int_equal(curio_new(&p, &c, &e), 0);
		assert_int_equal(curio_ping(c, &w->op), -EACCES);
		assert_non_null(strstr(w->op.err.text, "public internet"));
		curio_free(c);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		p.url = bad[i];
		assert_int_equal(curio_new(&p, &c, &e), -EINVAL);
		assert_true(e.text[0] != '\0');
	}
}

static void *cancel_soon(void *arg)
{
	(void)usleep(100000); /* the moment to be tested */
	curio_cancel(arg);
	return NULL;
}

static void a_call_can_be_called_off_before_and_in_the_middle(void **state)
{
	const uint8_t tx[CURIO_HASH_SIZE] = { 1 };
	struct world *w = *state;
	_cleanup_curio_ struct curio *c = at(w, "slow"); /* ten minutes */
	struct curio_tx t;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &w->op), 0);
	assert_int_equal(curio_created(c, &w->op, tx, &t), -ECANCELED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(curio_ping(c, &w->op), -ECANCELED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_provider_is_known_by_its_ping),
		CASE(a_piece_goes_up_is_parked_later_and_comes_back),
		CASE(a_part_that_was_not_asked_for_is_refused),
		CASE(an_upload_ends_as_the_provider_says),
		CASE(what_is_too_small_or_too_large_is_not_sent),
		CASE(an_operation_gives_the_hash_of_its_transaction),
		CASE(removals_that_are_too_many_wait),
		CASE(every_outcome_of_a_transaction_is_told_apart),
		CASE(a_pull_tells_how_each_piece_stands),
		CASE(a_strangers_url_reaches_only_the_public_internet),
		CASE(a_call_can_be_called_off_before_and_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
