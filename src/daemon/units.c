#include "daemon/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define UNITS_MAX ((uint64_t)INT64_MAX)

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1ull << 10 },
	{ "KiB", 1ull << 10 },
	{ "KB", 1000 },
	{ "M", 1ull << 20 },
	{ "MiB", 1ull << 20 },
	{ "MB", 1000000 },
	{ "G", 1ull << 30 },
	{ "GiB", 1ull << 30 },
	{ "GB", 1000000000 },
	{ "T", 1ull << 40 },
	{ "TiB", 1ull << 40 },
	{ "TB", 1000000000000 },
	{ "P", 1ull << 50 },
	{ "PiB", 1ull << 50 },
	{ "PB", 1000000000000000 },
	{ NULL, 0 },
};

static const struct unit times[] = {
	{ "", 1000 },     { "ms", 1 },      { "s", 1000 },     { "m", 60000 },
	{ "min", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};

/* Digits into *v; the number of them, or -ERANGE. */
static int digits(const char **p, uint64_t *v)
{
	int n = 0;

	for (*v = 0; isdigit((unsigned char)**p); (*p)++, n++)
		if (__builtin_mul_overflow(*v, 10u, v) ||
		    __builtin_add_overflow(*v, (unsigned)(**p - '0'), v))
			return -ERANGE;
	return n;
}

/* 0.ddd of a unit: at most nine digits count. */
static int fraction(const char **p, uint64_t factor_of_one, uint64_t *ret)
{
	uint64_t v, scale = 1;
	const char *start = *p;
	int n = digits(p, &v);

	if (n <= 0 || *p - start > 9)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		scale *= 10;
	*ret = (uint64_t)((unsigned __int128)v * factor_of_one / scale);
	return 0;
}

static const struct unit *unit_find(const struct unit *list, const char *name)
{
	while (*name == ' ')
		name++;
	for (; list->name; list++)
		if (strcasecmp(list->name, name) == 0)
			return list;
	return NULL;
}

static int parse(const struct unit *list, const char *text, uint64_t *ret)
{
	const char *p = text, *frac = NULL;
	const struct unit *u;
	uint64_t whole, part = 0;
	int r = digits(&p, &whole);

	if (r < 0)
		return r;
	if (r == 0)
		return -EINVAL;
	if (*p == '.') {
		frac = ++p;
		p += strspn(p, "0123456789");
	}
	u = unit_find(list, p);
	if (!u)
		return -EINVAL;

	if (frac) {
		r = fraction(&frac, u->factor, &part);
		if (r < 0)
			return r;
	}
	if (__builtin_mul_overflow(whole, u->factor, &whole) ||
	    __builtin_add_overflow(whole, part, &whole) || whole > UNITS_MAX)
		return -ERANGE;
	*ret = whole;
	return 0;
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse(sizes, text, ret_bytes);
}

int units_parse_time(const char *text, uint64_t *ret_ms)
{
	return parse(times, text, ret_ms);
}

void units_write_size(uint64_t bytes, char ret[static UNITS_TEXT_MAX])
{
	static const char letter[] = "\0KMGTP";
	unsigned i = 0;

	while (bytes && bytes % 1024 == 0 && i < 5) {
		bytes /= 1024;
		i++;
	}
	(void)snprintf(ret, UNITS_TEXT_MAX, "%llu%.1s",
		       (unsigned long long)bytes, &letter[i]); /* at most 21 */
}

void units_write_time(uint64_t ms, char ret[static UNITS_TEXT_MAX])
{
	const struct unit *best = &times[1];

	for (size_t i = 2; times[i].name; i++)
		if (ms && ms % times[i].factor == 0 &&
		    strcmp(times[i].name, "min") != 0)
			best = &times[i];
	(void)snprintf(ret, UNITS_TEXT_MAX, "%llu%s",
		       (unsigned long long)(ms / best->factor),
		       ms ? best->name : ""); /* at most 23 */
}

void units_say_size(uint64_t bytes, char ret[static UNITS_TEXT_MAX])
{
	static const char *const name[] = { "B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB" };
	uint64_t whole = bytes, rest = 0;
	unsigned i = 0;

	for (; whole >= 1024 && i < ARRAY_LEN(name) - 1; i++) {
		rest = whole % 1024;
		whole /= 1024;
	}
	if (i && whole < 10)
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu.%llu %s",
			       (unsigned long long)whole,
			       (unsigned long long)(rest * 10 / 1024),
			       name[i]); /* at most 8 */
	else
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu %s",
			       (unsigned long long)whole, name[i]);
}

void units_say_time(uint64_t ms, char ret[static UNITS_TEXT_MAX])
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu s", s);
	else if (s < 3600)
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu min %llu s", s / 60,
			       s % 60);
	else if (s < 86400)
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu h %llu min", s / 3600,
			       s % 3600 / 60);
	else
		(void)snprintf(ret, UNITS_TEXT_MAX, "%llu d %llu h", s / 86400,
			       s % 86400 / 3600);
}

const char *units_noun(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

int units_number(const char *text, uint64_t *ret)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return -ERANGE;
	return *end ? -EINVAL : 0;
}

void units_say_date(int64_t seconds, char ret[static UNITS_TEXT_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) ||
	    strftime(ret, UNITS_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		text_copy(ret, UNITS_TEXT_MAX, "unknown time");
}
