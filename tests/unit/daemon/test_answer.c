/* test_answer.c - what a daemon answers, and what something else might */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/answer.h"

static int end_of(const char *line, struct err *e)
{
	_cleanup_json_ json_t *o = NULL;

	*e = (struct err){ "" };
	assert_int_equal(answer_read(slice_str(line), &o), 0);
	return answer_end(o, e);
}

static void an_answer_is_progress_or_ok_or_an_error_with_its_reason(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(end_of("{\"progress\": {\"done\": 1}}", &e), 1);
	assert_int_equal(end_of("{\"ok\": true}", &e), 0);
	assert_int_equal(
		end_of("{\"ok\": false, \"errno\": 28, \"error\": \"full\"}", &e),
		-28);
	assert_string_equal(e.text, "full");
	assert_int_equal(end_of("{\"ok\": false, \"errno\": 28}", &e), -28);
	assert_string_equal(e.text, err_str(-28));
}

static void an_answer_without_sense_is_no_success(void **state)
{
	static const char *const lines[] = {
		"{}",
		"{\"ok\": 1}",
		"{\"ok\": false}",
		"{\"ok\": false, \"errno\": 0, \"error\": \"\"}",
		"{\"errno\": -5}",
		"{\"errno\": 4294967296}",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		assert_int_equal(end_of(lines[i], &e), -EPROTO);
		assert_true(e.text[0]);
	}
}

static void what_is_no_object_or_too_much_is_refused(void **state)
{
	json_t *o = NULL;
	size_t n = 3 * (ANSWER_VALUES_MAX + 2);
	char *wide = malloc(n + 1);

	(void)state;
	assert_non_null(wide);
	assert_int_equal(answer_read(slice_str("[]"), &o), -EPROTO);
	assert_int_equal(answer_read(slice_str(""), &o), -EPROTO);
	assert_int_equal(answer_read(slice_str("{\"a\":1,\"a\":2}"), &o), -EPROTO);
	memset(wide, '[', n);
	assert_int_equal(answer_read(slice(wide, n), &o), -EMSGSIZE);
	for (size_t i = 0; i < n; i += 3)
		memcpy(wide + i, "{},", 3);
	memcpy(wide, "{\"\":[", 5); /* what follows is odd, and too much before */
	assert_int_equal(answer_read(slice(wide, n), &o), -EMSGSIZE);
	assert_null(o);
	free(wide);
}

static void a_count_that_is_not_there_is_not_0(void **state)
{
	static const char *const lines[] = {
		"{}",           "{\"n\": null}",  "{\"n\": \"0\"}",
		"{\"n\": 0.0}", "{\"n\": false}", "{\"n\": -1}",
	};
	_cleanup_json_ json_t *o = NULL;
	uint64_t n = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		_cleanup_json_ json_t *bad = NULL;

		assert_int_equal(answer_read(slice_str(lines[i]), &bad), 0);
		assert_int_equal(answer_count(bad, "n", &n), -EPROTO);
		assert_true(n == 77);
	}
	assert_int_equal(answer_read(slice_str("{\"n\": 0, \"m\": 5}"), &o), 0);
	assert_int_equal(answer_count(o, "m", &n), 0);
	assert_true(n == 5);
	assert_int_equal(answer_count(o, "n", &n), 0);
	assert_true(n == 0);
}

static void the_place_is_taken_from_bytes_where_there_are_some(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "{\"mountpoint\": \"/m\"}", "/m" },
		{ "{\"mountpoint\": \"/x\", \"mountpoint_bytes\": \"0x2fff\"}",
		  "/\xff" },
		{ "{\"mountpoint\": \"/x\", \"mountpoint_bytes\": \"0x2\"}", NULL },
		{ "{\"mountpoint\": 5}", NULL },
		{ "{}", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_json_ json_t *o = NULL;
		char *at;

		assert_int_equal(answer_read(slice_str(rows[i].line), &o), 0);
		at = answer_mountpoint(o);
		if (rows[i].want)
			assert_string_equal(at, rows[i].want);
		else
			assert_null(at);
		free(at);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_answer_is_progress_or_ok_or_an_error_with_its_reason),
		cmocka_unit_test(an_answer_without_sense_is_no_success),
		cmocka_unit_test(what_is_no_object_or_too_much_is_refused),
		cmocka_unit_test(a_count_that_is_not_there_is_not_0),
		cmocka_unit_test(the_place_is_taken_from_bytes_where_there_are_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
