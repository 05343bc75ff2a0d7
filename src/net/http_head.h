/*
 * http_head.h - the head of an HTTP answer, parsed strictly
 *
 * Fed line by line as curl hands them over, it keeps what the program needs and
 * checks its form; all other fields are skipped.  A status line starts anew, so
 * that of "100 Continue" and the final answer the last one counts.
 *
 *   Status-Line     HTTP/1.1 206 Partial Content
 *   Content-Length  decimal digits; twice only if equal
 *   Content-Range   bytes first-last/total or bytes first-last/ *
 *   Retry-After     seconds, or an IMF-fixdate
 *   Location        kept as text
 *   Content-Encoding, only "identity": we ask for nothing else
 *
 * Spec: RFC 9110, RFC 9112.  Threading: values.
 */
#ifndef NET_HTTP_HEAD_H
#define NET_HTTP_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

#define HTTP_LINE_MAX     8192        /* bytes of one header line */
#define HTTP_HEAD_MAX     (64u << 10) /* bytes of all of them */
#define HTTP_LOCATION_MAX 2048        /* bytes, with NUL */
#define HTTP_RETRY_MAX_S  86400       /* seconds: no server holds us longer */

struct http_head {
	unsigned status;
	bool has_length;
	uint64_t length; /* Content-Length, bytes */
	bool has_range;
	uint64_t first, last; /* Content-Range, bytes, both included */
	bool has_total;
	uint64_t total;
	bool has_retry_after;
	uint64_t retry_after_s;
	char location[HTTP_LOCATION_MAX];

	size_t n_bytes; /* private to http_head.c */
};

/*
 * One line, its CRLF included or not.  `now` is the time in seconds since 1970,
 * for a Retry-After that is a date.
 *
 * -EPROTO    a field that we need has a wrong form, or two values
 * -EMSGSIZE  a line, the head or a Location over its maximum
 */
must_check int http_head_line(struct http_head *h, struct slice line, int64_t now);

#endif
