/*
 * http.h - HTTP requests on the loop: curl's multi interface over libuv
 *
 * A request is a caller-owned struct, zeroed but for its inputs, and stays valid
 * until its `done`.  Law of callbacks: if http_start() returns an error, `done`
 * is never called; otherwise exactly once, on the loop thread, never from
 * inside http_start(); http_cancel() still leads to one `done`, with -ECANCELED
 * or what had happened by then.
 *
 * Always: `Accept-Encoding: identity`, http and https only, certificates are
 * verified, no cookies, no credentials from files, redirects are not followed
 * (-EPROTO, and head.location says where to).
 *
 * Errors that `done` gets, translated once by http_err():
 *
 *   -EREMOTEIO   no connection, a cut one, or the server is in trouble (5xx)
 *   -ETIMEDOUT   one of the deadlines (408 and 504 too)
 *   -EAGAIN      come back later (425, 429); head.retry_after_s
 *   -ENOENT      404, 410          -EACCES      401, 403, 407
 *   -ERANGE      416               -EEXIST      409
 *   -EMSGSIZE    413, or an answer over its maximum
 *   -ENOSPC      507               -EOPNOTSUPP  405, 501
 *   -EINVAL      400, 422, or a URL that is none
 *   -EPERM       a certificate that is not trusted
 *   -EPROTO      an answer of a wrong form, a redirect, any other status
 *   -ECANCELED
 * and what a sink or the source file returned.  net/retry.h knows which of them
 * may pass.  err.text says it in a sentence: method, URL, status, and the
 * beginning of what the server said.
 *
 * Threading: http_start() and http_cancel() (while the request runs) from any
 * thread.  `sink` runs on the loop, from inside curl: it copies and returns,
 * and calls nothing here.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "base/util.h"
#include "net/http_head.h"

struct buf;
struct http;
struct http_job;
struct io_file;
struct loop;
struct work;

#define HTTP_URL_MAX   8192 /* bytes */
#define HTTP_ERROR_MAX 1024 /* bytes kept of what a server says with an error */

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_NX
};

struct http_req {
	enum http_method method;
	const char *url;            /* borrowed, as all below */
	const char *const *headers; /* "Name: value", NULL at the end; or NULL */

	/* GET: range_n bytes from range_off; range_n 0: all. */
	uint64_t range_off, range_n;

	/* POST, DELETE */
	struct slice body;

	/* PUT: n bytes of the file; read on the workers. */
	struct io_file *src;
	uint64_t src_off, src_n;

	/*
	 * Where the body of a good answer goes: `ret_body` (its own maximum
	 * holds), else `sink` (up to `body_max` bytes; negative: stop, and that
	 * is the error), else nowhere.
	 */
	struct buf *ret_body;
	int (*sink)(struct http_req *req, struct slice bytes);
	uint64_t body_max;

	/* Time in which the loop stood, since the process did, does not count. */
	uint64_t connect_ms; /* to be connected; 0: 10 s */
	uint64_t idle_ms;    /* once connected, nothing moves; 0: 60 s */
	uint64_t total_ms;   /* from http_start(), a place in the queue
				included; 0: no limit */
	uint64_t rate;       /* bytes a second either way; 0: no limit */

	/*
	 * For a URL that a stranger wrote: https, and addresses of the public
	 * internet only, whatever the name resolves to; else -EACCES.
	 */
	bool public_only;
	_Atomic(uint64_t) *moved; /* bytes of both bodies are added; or NULL */

	void *ctx; /* the caller's */
	void (*done)(struct http_req *req, int status);

	/* The answer, for `done`. */
	struct http_head head;
	_Atomic(uint64_t) sent, received; /* bytes of bodies; any thread */
	char said[HTTP_ERROR_MAX + 1];    /* with an error status; any bytes */
	struct err err;

	/* private to http.c */
	struct http *http;
	struct http_job *job;
	struct list node;
	bool cancelled;
};

struct http_params {
	struct loop *loop;
	struct work *work; /* reads what PUT sends */
	unsigned per_host; /* connections; 0: 6 */
	unsigned total;    /* connections; 0: 64 */
	const char *agent; /* User-Agent; NULL: "fildrive/<version>" */
	const char *ca;    /* file of certificates; NULL: the system's */
};

/* On the loop's thread, or before loop_start(). */
must_check int http_new(const struct http_params *p, struct http **ret);

/*
 * No request may be under way.  On the loop's thread, or when it has ended and
 * is not yet freed.
 */
void http_free(struct http *h);

/* -EINVAL: a URL, a header or a combination that cannot be sent.  -ENOMEM. */
must_check int http_start(struct http *h, struct http_req *req);
void http_cancel(struct http *h, struct http_req *req);

#endif
