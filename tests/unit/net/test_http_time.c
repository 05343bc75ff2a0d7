/* test_http_time.c - deadlines, a process that was stopped, and rates (server.py) */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper/jump.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(deadlines_end_a_request),
		CASE(time_in_which_the_loop_stood_counts_for_no_deadline),
		CASE(who_stood_while_it_connected_connects_anew),
		CASE(a_rate_is_kept),
	};

	if (client_begin() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
