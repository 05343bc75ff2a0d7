/* test_config.c - properties of the config file, sizes and times */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "daemon/config.h"
#include "daemon/units.h"

static void sizes_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "512B", 512 },
		{ "20G", 20ull << 30 },
		{ "20GiB", 20ull << 30 },
		{ "20 gib", 20ull << 30 },
		{ "20GB", 20000000000ull },
		{ "1.5M", 3ull << 19 },
		{ "0.5K", 512 },
	};
	static const char *const bad[] = { "",   "G",   "-1",           "1X",
					   "1.", "1.G", "1..5G",        "0x10",
					   " 1", "1G ", "1.1234567890G" };
	uint64_t v = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(units_parse_size(good[i].text, &v), 0);
		assert_int_equal(v, good[i].bytes);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(units_parse_size(bad[i], &v), -EINVAL);
	assert_int_equal(units_parse_size("99999999999999999999", &v), -ERANGE);
	assert_int_equal(units_parse_size("9000000P", &v), -ERANGE);
}

static void times_are_read_as_people_write_them(void **state)
{
	uint64_t v = 0;

	(void)state;
	assert_int_equal(units_parse_time("5", &v), 0);
	assert_int_equal(v, 5000);
	assert_int_equal(units_parse_time("250ms", &v), 0);
	assert_int_equal(v, 250);
	assert_int_equal(units_parse_time("1.5h", &v), 0);
	assert_int_equal(v, 5400000);
	assert_int_equal(units_parse_time("2w", &v), -EINVAL);
}

static void written_sizes_and_times_read_back(void **state)
{
	static const uint64_t values[] = {
		0,     1,        1023,     1024,       1500,          5000,
		60000, 86400000, 1u << 20, 3ull << 30, 12345678901ull
	};
	char text[UNITS_TEXT_MAX];
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		units_write_size(values[i], text);
		assert_int_equal(units_parse_size(text, &v), 0);
		assert_int_equal(v, values[i]);
		units_write_time(values[i], text);
		assert_int_equal(units_parse_time(text, &v), 0);
		assert_int_equal(v, values[i]);
	}
	units_write_size(20ull << 30, text);
	assert_string_equal(text, "20G");
	units_write_time(300000, text);
	assert_string_equal(text, "5m");
}

static void people_are_told_rounded_values(void **state)
{
	char text[UNITS_TEXT_MAX];

	(void)state;
	units_say_size(1536, text);
	assert_string_equal(text, "1.5 KiB");
	units_say_size(999, text);
	assert_string_equal(text, "999 B");
	units_say_size(UINT64_MAX, text);
	assert_string_equal(text, "15 EiB");
	units_say_time(200000, text);
	assert_string_equal(text, "3 min 20 s");
}

/* ---- the file ---- */

static int parse(const char *text, struct config *c, struct err *e)
{
	e->text[0] = '\0';
	return config_parse(slice_str(text), c, e);
}

static void what_is_written_reads_back_the_same(void **state)
{
	_cleanup_buf_ struct buf text = { 0 };
	static struct config c, back;
	struct err e;

	(void)state;
	config_init(&c);
	assert_int_equal(config_set(&c, "store", "dir:///a", NULL), 0);
	assert_int_equal(config_set(&c, "store", "dir:///b = c # d", NULL), 0);
	assert_int_equal(config_set(&c, "copies", "2", NULL), 0);
	assert_int_equal(config_set(&c, "cache_size", "20G", NULL), 0);
	assert_int_equal(config_set(&c, "compress", "all", NULL), 0);
	assert_int_equal(config_set(&c, "commit_interval", "250ms", NULL), 0);
	buf_init(&text, CONFIG_FILE_MAX);
	assert_int_equal(config_write(&c, &text), 0);
	assert_int_equal(config_parse(buf_slice(&text), &back, &e), 0);
	assert_memory_equal(&c, &back, sizeof(c));
}

static void what_is_absent_has_its_default(void **state)
{
	static struct config c, def;
	struct err e;

	(void)state;
	config_init(&def);
	assert_int_equal(parse("  version=1 \r\n\n# x\n", &c, &e), 0);
	assert_memory_equal(&c, &def, sizeof(c));
	assert_int_equal(c.copies, 1);
	assert_int_equal(c.commit_interval, 5000);
}

static void a_wrong_line_is_named(void **state)
{
	static const struct {
		const char *text, *line, *why;
	} bad[] = {
		{ "version = 1\ncopys = 2\n", "line 2", "unknown key 'copys'" },
		{ "version = 1\n\ncopies\n", "line 3", "key = value" },
		{ "version = 1\ncopies = 0\n", "line 2", "out of its range, 1 to " },
		{ "version = 1\ncopies = 1\ncopies = 1", "line 3", "twice" },
		{ "version = 1\ncopies = -1\n", "line 2", "no value" },
		{ "version = 1\ncache_size = 1M\n", "line 2", "at least" },
		{ "version = 2\n", "line 1", "out of its range" },
		{ "version = 1\ncompress = zip\n", "line 2", "no value" },
		{ "version = 1\nstore =\n", "line 2", "URL" },
		{ "version = 1\nstore = dir:///a\001\n", "line 2", "control" },
		{ "copies = 1\n", "config", "no line version" },
	};
	static struct config c, was;
	struct err e;

	(void)state;
	config_init(&was);
	c = was;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i].text, &c, &e), -EPROTO);
		assert_non_null(strstr(e.text, bad[i].line));
		assert_non_null(strstr(e.text, bad[i].why));
		assert_memory_equal(&c, &was, sizeof(c));
	}
}

static void bytes_that_are_no_text_are_refused(void **state)
{
	static const char zero[] = "version = 1\nstore = dir:///a\0b\n";
	static char big[CONFIG_FILE_MAX + 1], line[CONFIG_LINE_MAX + 16];
	static struct config c;
	struct err e = { "" };

	(void)state;
	assert_int_equal(config_parse(slice(zero, sizeof(zero) - 1), &c, &e),
			 -EPROTO);
	memset(big, '\n', sizeof(big));
	assert_int_equal(config_parse(slice(big, sizeof(big)), &c, &e), -EMSGSIZE);
	memset(line, '#', sizeof(line));
	assert_int_equal(config_parse(slice(line, sizeof(line)), &c, &e), -EPROTO);
}

static void more_copies_than_stores_are_refused(void **state)
{
	static struct config c;
	struct err e = { "" };

	(void)state;
	config_init(&c);
	assert_int_equal(config_set(&c, "store", "dir:///a", &e), 0);
	assert_int_equal(config_check(&c, &e), 0);
	assert_int_equal(config_set(&c, "copies", "2", &e), 0);
	assert_int_equal(config_check(&c, &e), -EINVAL);
	assert_int_equal(config_set(&c, "store", "dir:///a", &e), 0);
	assert_int_equal(config_check(&c, NULL), -EINVAL); /* the same one */
}

static void too_many_stores_are_refused(void **state)
{
	static struct config c;
	char url[32];
	struct err e = { "" };

	(void)state;
	config_init(&c);
	for (int i = 0; i < CONFIG_STORES_MAX; i++) {
		(void)snprintf(url, sizeof(url), "dir:///%d", i);
		assert_int_equal(config_set(&c, "store", url, &e), 0);
	}
	assert_int_equal(config_set(&c, "store", "dir:///one", &e), -EINVAL);
	assert_int_equal(c.n_stores, CONFIG_STORES_MAX);
}

static void every_key_has_a_default_in_its_own_range(void **state)
{
	static struct config c;
	struct err e = { "" };

	(void)state;
	config_init(&c);
	for (size_t i = 0; config_key(i); i++) {
		_cleanup_buf_ struct buf v = { 0 };

		if (strcmp(config_key(i), "store") == 0)
			continue;
		buf_init(&v, 64);
		assert_int_equal(config_get(&c, i, &v), 0);
		assert_int_equal(buf_u8(&v, 0), 0);
		assert_int_equal(config_set(&c, config_key(i), (char *)v.p, &e), 0);
		assert_non_null(config_help(i));
	}
}

static void gateways_are_urls_or_none(void **state)
{
	static struct config c, back;
	_cleanup_buf_ struct buf text = { 0 };
	struct err e = { "" };

	(void)state;
	config_init(&c);
	assert_int_equal(config_set(&c, "gateway", "https://a https://b/x", &e), 0);
	assert_int_equal(config_set(&c, "router", "https://cid.contact", &e), 0);
	buf_init(&text, CONFIG_FILE_MAX);
	assert_int_equal(config_write(&c, &text), 0);
	assert_int_equal(config_parse(buf_slice(&text), &back, &e), 0);
	assert_string_equal(back.gateway, "https://a https://b/x");
	assert_string_equal(back.router, "https://cid.contact");
	assert_int_equal(config_set(&c, "gateway", "https://a b", &e), -EINVAL);
	assert_int_equal(config_set(&c, "gateway", "", &e), -EINVAL);
	assert_int_equal(config_set(&c, "gateway",
				    "http://1 http://2 http://3 http://4 http://5 http://6 http://7 http://8 http://9",
				    &e),
			 -EINVAL);
	assert_string_equal(c.gateway, "https://a https://b/x");
	assert_int_equal(config_set(&c, "gateway", "none", &e), 0);
	assert_string_equal(c.gateway, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_read_as_people_write_them),
		cmocka_unit_test(times_are_read_as_people_write_them),
		cmocka_unit_test(written_sizes_and_times_read_back),
		cmocka_unit_test(people_are_told_rounded_values),
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(what_is_absent_has_its_default),
		cmocka_unit_test(a_wrong_line_is_named),
		cmocka_unit_test(bytes_that_are_no_text_are_refused),
		cmocka_unit_test(more_copies_than_stores_are_refused),
		cmocka_unit_test(too_many_stores_are_refused),
		cmocka_unit_test(every_key_has_a_default_in_its_own_range),
		cmocka_unit_test(gateways_are_urls_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
