#include "net/http_head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits from the front of `s`; false if there are none or too many. */
static bool take_number(struct slice *s, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;

	for (; n < s->n && is_digit(s->p[n]); n++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, s->p[n] - '0', &v))
			return false;
	*s = slice(s->p + n, s->n - n);
	*ret = v;
	return n > 0;
}

static bool take_text(struct slice *s, const char *text)
{
	size_t n = strlen(text);

	if (s->n < n || strncasecmp((const char *)s->p, text, n) != 0)
		return false;
	*s = slice(s->p + n, s->n - n);
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice(s.p + 1, s.n - 1);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' ||
		       s.p[s.n - 1] == '\r' || s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

static int status_line(struct http_head *h, struct slice s)
{
	size_t n_bytes = h->n_bytes;
	uint64_t major, minor, status;

	if (!take_text(&s, "HTTP/") || !take_number(&s, &major))
		return -EPROTO;
	if (take_text(&s, ".") && !take_number(&s, &minor))
		return -EPROTO;
	if (!take_text(&s, " ") || s.n < 3 || !take_number(&s, &status) ||
	    status < 100 || status > 999 || (s.n && s.p[0] != ' '))
		return -EPROTO;
	*h = (struct http_head){ .status = (unsigned)status, .n_bytes = n_bytes };
	return 0;
}

static int content_length(struct http_head *h, struct slice v)
{
	uint64_t n;

	if (!take_number(&v, &n) || v.n || n > INT64_MAX)
		return -EPROTO;
	if (h->has_length && h->length != n)
		return -EPROTO;
	h->has_length = true;
	h->length = n;
	return 0;
}

static int content_range(struct http_head *h, struct slice v)
{
	struct http_head t = *h;

	if (h->has_range || !take_text(&v, "bytes "))
		return -EPROTO;
	t.has_range = t.has_total = true;
	if (v.n && v.p[0] == '*') /* of a 416: no range, but the size */
		return 0;
	if (!take_number(&v, &t.first) || !take_text(&v, "-") ||
	    !take_number(&v, &t.last) || !take_text(&v, "/") ||
	    t.last < t.first || t.last > INT64_MAX)
		return -EPROTO;
	if (take_text(&v, "*"))
		t.has_total = false;
	else if (!take_number(&v, &t.total) || t.total <= t.last)
		return -EPROTO;
	if (v.n)
		return -EPROTO;
	*h = t;
	return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" to seconds since 1970; -1 for another form. */
static int64_t fixdate(struct slice v)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t day, year, hour, min, sec;
	struct tm tm = { 0 };
	int month = -1;

	if (v.n != 29 || v.p[3] != ',' || v.p[4] != ' ')
		return -1;
	v = slice(v.p + 5, v.n - 5);
	if (!take_number(&v, &day) || !take_text(&v, " ") || v.n < 4)
		return -1;
	for (int i = 0; i < 12; i++)
		if (strncmp(months + 3 * i, (const char *)v.p, 3) == 0)
			month = i;
	v = slice(v.p + 3, v.n - 3);
	if (month < 0 || !take_text(&v, " ") || !take_number(&v, &year) ||
	    !take_text(&v, " ") || !take_number(&v, &hour) ||
	    !take_text(&v, ":") || !take_number(&v, &min) || !take_text(&v, ":") ||
	    !take_number(&v, &sec) || !take_text(&v, " GMT") || v.n)
		return -1;
	if (day < 1 || day > 31 || year < 1970 || year > 9999 || hour > 23 ||
	    min > 59 || sec > 60)
		return -1;
	tm.tm_mday = (int)day;
	tm.tm_mon = month;
	tm.tm_year = (int)year - 1900;
	tm.tm_hour = (int)hour;
	tm.tm_min = (int)min;
	tm.tm_sec = (int)sec;
	return timegm(&tm);
}

/* Advice: what cannot be read is as if it were not there. */
static void retry_after(struct http_head *h, struct slice v, int64_t now)
{
	struct slice digits = v;
	uint64_t s = 0;
	int64_t at;

	if (!take_number(&digits, &s) || digits.n) {
		at = fixdate(v);
		if (at < 0)
			return;
		s = at > now ? (uint64_t)at - (uint64_t)now : 0;
	}
	h->has_retry_after = true;
	h->retry_after_s = MIN(s, HTTP_RETRY_MAX_S);
}

static int location(struct http_head *h, struct slice v)
{
	if (v.n >= sizeof(h->location))
		return -EMSGSIZE;
	if (v.n && memchr(v.p, '\0', v.n))
		return -EPROTO;
	if (v.n)
		memcpy(h->location, v.p, v.n);
	h->location[v.n] = '\0';
	return 0;
}

int http_head_line(struct http_head *h, struct slice line, int64_t now)
{
	struct slice name, v;
	const uint8_t *colon;

	h->n_bytes += line.n;
	if (line.n > HTTP_LINE_MAX || h->n_bytes > HTTP_HEAD_MAX)
		return -EMSGSIZE;
	line = trim(line);
	if (line.n == 0)
		return 0;
	if (take_text(&(struct slice){ line.p, line.n }, "HTTP/"))
		return status_line(h, line);
	colon = memchr(line.p, ':', line.n);
	if (!colon)
		return -EPROTO;
	name = slice(line.p, (size_t)(colon - line.p));
	v = trim(slice(colon + 1, line.n - name.n - 1));
	if (take_text(&name, "Content-Length") && !name.n)
		return content_length(h, v);
	if (take_text(&name, "Content-Range") && !name.n)
		return content_range(h, v);
	if (take_text(&name, "Retry-After") && !name.n)
		retry_after(h, v, now);
	if (take_text(&name, "Location") && !name.n)
		return location(h, v);
	if (take_text(&name, "Content-Encoding") && !name.n)
		return take_text(&v, "identity") && !v.n ? 0 : -EPROTO;
	return 0;
}
