/* test_net_values.c - heads of answers and waits between tries, without a net */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "net/http_head.h"
#include "net/retry.h"

#define NOW 784111770 /* 7 s before the date below */

static int feed(struct http_head *h, const char *line)
{
	return http_head_line(h, slice_str(line), NOW);
}

static void good_heads_are_read(void **state)
{
	struct http_head h = { 0 };

	(void)state;
	assert_int_equal(feed(&h, "HTTP/1.1 100 Continue\r\n"), 0);
	assert_int_equal(feed(&h, "Content-Length: 9\r\n"), 0);
	assert_int_equal(feed(&h, "\r\n"), 0);
	assert_int_equal(feed(&h, "HTTP/2 206\r\n"), 0);
	assert_false(h.has_length);
	assert_int_equal(feed(&h, "content-length:  11 \r\n"), 0);
	assert_int_equal(feed(&h, "Content-Range: bytes 5-15/100\r\n"), 0);
	assert_int_equal(
		feed(&h, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 0);
	assert_int_equal(feed(&h, "LOCATION: /x\r\n"), 0);
	assert_int_equal(feed(&h, "Content-Length-Of: nonsense\r\n"), 0);
	assert_true(h.status == 206 && h.length == 11 && h.first == 5 &&
		    h.last == 15 && h.total == 100 && h.has_total);
	assert_true(h.has_retry_after && h.retry_after_s == 7);
	assert_string_equal(h.location, "/x");
}

static void bad_heads_are_refused(void **state)
{
	static const char *const bad[] = {
		"HTTP/1.1",
		"HTTP/1.1 20",
		"HTTP/1.1 99 x",
		"HTTP/1.1 1000",
		"HTTP/1.1 200x",
		"no colon here",
		"Content-Length: ",
		"Content-Length: -1",
		"Content-Length: 0x10",
		"Content-Length: 5, 5",
		"Content-Length: 99999999999999999999",
		"Content-Length: 9223372036854775808",
		"Content-Range: bytes",
		"Content-Range: items 0-1/2",
		"Content-Range: bytes 2-1/5",
		"Content-Range: bytes 0-5/5",
		"Content-Range: bytes 0-5/6 ,",
		"Content-Range: bytes 0-18446744073709551615/*",
		"Content-Encoding: gzip",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct http_head h = { .status = 200 };

		assert_int_equal(feed(&h, bad[i]), -EPROTO);
		assert_false(h.has_length || h.has_range);
	}
}

static void dates_of_another_form_are_no_advice(void **state)
{
	static const char *const odd[] = {
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun, 06 Nox 1994 08:49:37 GMT",
		"Sun, 36 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 28:49:37 GMT",
		"1 2",
	};
	char line[80] = "Retry-After: ";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		struct http_head h = { 0 };

		text_copy(line + 13, sizeof(line) - 13, odd[i]);
		assert_int_equal(feed(&h, line), 0);
		assert_false(h.has_retry_after);
	}
}

/* ---- retry ---- */

struct dice {
	uint64_t now, v;
};

static uint64_t clock_of(void *ctx)
{
	return ((struct dice *)ctx)->now;
}

static uint64_t dice_of(void *ctx)
{
	return ((struct dice *)ctx)->v;
}

static void waits_double_up_to_the_longest_with_jitter(void **state)
{
	struct dice d = { 0 };
	struct retry_policy p = { .base_ms = 100,
				  .max_ms = 1500,
				  .ctx = &d,
				  .now_ms = clock_of,
				  .random = dice_of };
	static const uint64_t full[] = { 100, 200, 400, 800, 1500, 1500, 1500 };
	uint64_t wait;

	(void)state;
	for (uint64_t v = 0; v < 5000; v += 37) {
		struct retry t = { .policy = &p };

		d.v = v;
		for (size_t i = 0; i < ARRAY_LEN(full); i++) {
			assert_int_equal(retry_next(&t, -EREMOTEIO, 0, &wait), 0);
			assert_in_range(wait, full[i] / 2, full[i]);
			if (v == 0)
				assert_int_equal(wait, full[i] / 2);
		}
	}
}

static void the_real_dice_and_clock_serve_where_none_are_given(void **state)
{
	static const struct retry_policy p = { .base_ms = 1000000,
					       .max_ms = 1000000 };
	uint64_t first = 0, wait = 0;
	bool differ = false;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct retry t = { .policy = &p };

		assert_int_equal(retry_next(&t, -EAGAIN, 0, &wait), 0);
		assert_in_range(wait, 500000, 1000000);
		if (i == 0)
			first = wait;
		differ |= wait != first;
	}
	assert_true(differ);
}

static void tries_time_and_hopeless_errors_end_it(void **state)
{
	struct dice d = { .now = 1000 };
	struct retry_policy p = { .base_ms = 100,
				  .max_ms = 100,
				  .tries = 3,
				  .ctx = &d,
				  .now_ms = clock_of,
				  .random = dice_of };
	struct retry t = { .policy = &p };
	uint64_t wait = 77;

	(void)state;
	assert_int_equal(retry_next(&t, -ENOENT, 0, &wait), -ENOENT);
	assert_int_equal(wait, 77);
	assert_int_equal(retry_next(&t, -EREMOTEIO, 0, &wait), 0);
	assert_int_equal(retry_next(&t, -ETIMEDOUT, 0, &wait), 0);
	assert_int_equal(retry_next(&t, -ETIMEDOUT, 0, &wait), -ETIMEDOUT);
	p.tries = 0;
	p.total_ms = 500;
	t = (struct retry){ .policy = &p };
	assert_int_equal(retry_next(&t, -EAGAIN, 0, &wait), 0);
	d.now += 440;
	assert_int_equal(retry_next(&t, -EAGAIN, 0, &wait), 0);
	d.now += 20;
	assert_int_equal(retry_next(&t, -EAGAIN, 0, &wait), -EAGAIN);
}

static void a_longer_retry_after_wins(void **state)
{
	struct dice d = { 0 };
	struct retry_policy p = { .base_ms = 10000,
				  .max_ms = 10000,
				  .ctx = &d,
				  .now_ms = clock_of,
				  .random = dice_of };
	struct retry t = { .policy = &p };
	uint64_t wait;

	(void)state;
	assert_int_equal(retry_next(&t, -EAGAIN, 30, &wait), 0);
	assert_int_equal(wait, 30000);
	assert_int_equal(retry_next(&t, -EAGAIN, 1, &wait), 0);
	assert_int_equal(wait, 5000);
	p.total_ms = 60000;
	assert_int_equal(retry_next(&t, -EAGAIN, UINT64_MAX, &wait), -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_heads_are_read),
		cmocka_unit_test(bad_heads_are_refused),
		cmocka_unit_test(dates_of_another_form_are_no_advice),
		cmocka_unit_test(waits_double_up_to_the_longest_with_jitter),
		cmocka_unit_test(the_real_dice_and_clock_serve_where_none_are_given),
		cmocka_unit_test(tries_time_and_hopeless_errors_end_it),
		cmocka_unit_test(a_longer_retry_after_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
