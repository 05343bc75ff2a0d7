#include "net/http_job.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"
#include "base/thread.h"
#include "net/http_upload.h"

#define CONNECT_MS  10000
#define IDLE_MS     60000
#define IGNORED_MAX 65536 /* bytes of a good answer that nobody wants */

static const char *const method_names[HTTP_NX] = { "GET", "HEAD", "POST", "PUT",
						   "DELETE" };

/* ---- errors ---- */

/* Of a status code alone; 0 for 2xx. */
static int http_status_err(unsigned status)
{
	if (status >= 200 && status < 300)
		return 0;
	switch (status) {
	case 400:
	case 422: return -EINVAL;
	case 401:
	case 403:
	case 407: return -EACCES;
	case 404:
	case 410: return -ENOENT;
	case 405:
	case 501: return -EOPNOTSUPP;
	case 408:
	case 504: return -ETIMEDOUT;
	case 409: return -EEXIST;
	case 413: return -EMSGSIZE;
	case 416: return -ERANGE;
	case 425:
	case 429: return -EAGAIN;
	case 507: return -ENOSPC;
	default: return status >= 500 && status < 600 ? -EREMOTEIO : -EPROTO;
	}
}

static int http_err(CURLcode cc, unsigned status)
{
	switch ((int)cc) {
	case CURLE_OK: return http_status_err(status);
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM: return -EREMOTEIO;
	case CURLE_OPERATION_TIMEDOUT: return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE: return -EPERM;
	case CURLE_OUT_OF_MEMORY: return -ENOMEM;
	case CURLE_URL_MALFORMAT: return -EINVAL;
	default: return -EPROTO;
	}
}

/* What the server said, fit for a line of a log. */
static void said_line(const struct http_job *j, char *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_said && n + 1 < max; i++) {
		char c = j->req->said[i];

		if (c >= ' ' && c <= '~')
			ret[n++] = c;
		else if (n && ret[n - 1] != ' ')
			ret[n++] = ' ';
	}
	ret[n] = '\0';
}

static void say(struct http_job *j, CURLcode cc, int status)
{
	struct http_req *req = j->req;
	const char *name = method_names[req->method];
	char said[120];

	if (j->stop || cc != CURLE_OK) {
		err_set(&req->err, 0, "%s %s: %s", name, j->where,
			j->curl_text[0] && !j->stop ? j->curl_text :
						      err_str(status));
		return;
	}
	said_line(j, said, sizeof(said));
	if (req->head.status / 100 == 3)
		err_set(&req->err, 0, "%s %s: %u, a redirect, which is not followed",
			name, j->where, req->head.status);
	else
		err_set(&req->err, 0, "%s %s: %u%s%s", name, j->where,
			req->head.status, said[0] ? ": " : "", said);
}

/* ---- the answer ---- */

static int refuse(struct http_job *j, int err, const char *why)
{
	return err_set(&j->req->err, err, "%s %s: %s",
		       method_names[j->req->method], j->where, why);
}

static uint64_t body_max(const struct http_req *req)
{
	if (req->ret_body)
		return req->ret_body->max - req->ret_body->n;
	return req->sink ? req->body_max : IGNORED_MAX;
}

/* Is this the part that was asked for, and does it fit? */
static int check_head(struct http_job *j)
{
	const struct http_head *h = &j->req->head;
	const struct http_req *req = j->req;
	bool whole;

	j->checked = true;
	if (h->status / 100 != 2)
		return 0;
	if (!req->range_n) {
		if (h->status == 206 || h->has_range)
			return refuse(j, -EPROTO,
				      "a part, though all was asked for");
	} else if (h->status == 206) {
		if (!h->has_range || h->first != req->range_off ||
		    h->last - h->first >= req->range_n)
			return refuse(j, -EPROTO, "another part than was asked for");
	} else {
		whole = req->range_off == 0 && h->has_length &&
			h->length <= req->range_n;
		if (!whole)
			return refuse(j, -EPROTO, "the server does not serve parts");
	}
	if (req->method != HTTP_HEAD && h->has_length && h->length > body_max(req))
		return refuse(j, -EMSGSIZE, "the answer is over its maximum");
	return 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct http_job *j = ctx;
	int r;

	j->moved_ms = monotonic_ms();
	r = http_head_line(&j->req->head, slice(p, size * n), time(NULL));
	if (r < 0) {
		j->stop = refuse(j, r, "a header of a wrong form or size");
		return CURL_WRITEFUNC_ERROR;
	}
	return size * n;
}

static int body_bytes(struct http_job *j, struct slice s)
{
	struct http_req *req = j->req;
	const struct http_head *h = &req->head;
	uint64_t got = atomic_load(&req->received) + s.n;
	uint64_t part;

	if (!j->checked) {
		int r = check_head(j);

		if (r < 0)
			return r;
	}
	if (h->status / 100 != 2) {
		part = MIN(s.n, HTTP_ERROR_MAX - j->n_said);
		memcpy(req->said + j->n_said, s.p, part);
		j->n_said += part;
		j->enough = part < s.n;
		return 0;
	}
	if (h->has_range && got > h->last - h->first + 1)
		return refuse(j, -EPROTO, "more bytes than the part has");
	atomic_store(&req->received, got);
	if (req->moved)
		atomic_fetch_add(req->moved, s.n);
	if (req->ret_body)
		return buf_append(req->ret_body, s);
	if (got > body_max(req))
		return refuse(j, -EMSGSIZE, "the answer is over its maximum");
	return req->sink ? req->sink(req, s) : 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct http_job *j = ctx;
	int r;

	j->moved_ms = monotonic_ms();
	r = body_bytes(j, slice(p, size * n));
	if (r < 0)
		j->stop = r;
	return r < 0 || j->enough ? CURL_WRITEFUNC_ERROR : size * n;
}

static size_t on_upload(char *p, size_t size, size_t n, void *ctx)
{
	struct http_job *j = ctx;
	int64_t r = http_upload_take(j->upload, p, size * n);

	if (r == -EAGAIN) {
		j->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (r < 0) {
		j->stop = (int)r;
		return CURL_READFUNC_ABORT;
	}
	j->moved_ms = monotonic_ms();
	atomic_fetch_add(&j->req->sent, (uint64_t)r);
	if (j->req->moved)
		atomic_fetch_add(j->req->moved, (uint64_t)r);
	return (size_t)r;
}

/* The type is curl's. */
// NOLINTNEXTLINE(readability-non-const-parameter)
static int on_connected(void *ctx, char *ip, char *local_ip, int port, int local_port)
{
	struct http_job *j = ctx;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	j->moved_ms = monotonic_ms();
	return CURL_PREREQFUNC_OK;
}

/* Never connected to for a stranger: our own host, our network, no host. */
static bool is_public4(const uint8_t a[static 4])
{
	static const struct {
		uint8_t net[4];
		unsigned bits;
	} others[] = {
		{ { 0, 0, 0, 0 }, 8 },       { { 10, 0, 0, 0 }, 8 },
		{ { 100, 64, 0, 0 }, 10 },   { { 127, 0, 0, 0 }, 8 },
		{ { 169, 254, 0, 0 }, 16 },  { { 172, 16, 0, 0 }, 12 },
		{ { 192, 0, 0, 0 }, 24 },    { { 192, 0, 2, 0 }, 24 },
		{ { 192, 168, 0, 0 }, 16 },  { { 198, 18, 0, 0 }, 15 },
		{ { 198, 51, 100, 0 }, 24 }, { { 203, 0, 113, 0 }, 24 },
		{ { 224, 0, 0, 0 }, 3 },
	};
	uint32_t addr = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 |
			(uint32_t)a[2] << 8 | a[3];

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		const uint8_t *n = others[i].net;
		uint32_t net = (uint32_t)n[0] << 24 | (uint32_t)n[1] << 16 |
			       (uint32_t)n[2] << 8 | n[3];

		if ((addr ^ net) >> (32 - others[i].bits) == 0)
			return false;
	}
	return true;
}

/* 2000::/3, without 6to4, Teredo and the like, and documentation. */
static bool is_public6(const uint8_t a[static 16])
{
	if (a[0] >> 5 != 1 || (a[0] == 0x20 && a[1] == 0x02))
		return false;
	return !(a[0] == 0x20 && a[1] == 0x01 &&
		 (a[2] < 2 || (a[2] == 0x0d && a[3] == 0xb8)));
}

static bool is_public(const struct curl_sockaddr *to)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (to->family == AF_INET && to->addrlen >= sizeof(in)) {
		memcpy(&in, &to->addr, sizeof(in));
		return is_public4((const uint8_t *)&in.sin_addr);
	}
	if (to->family == AF_INET6 && to->addrlen >= sizeof(in6)) {
		memcpy(&in6, (const void *)&to->addr, sizeof(in6));
		return is_public6(in6.sin6_addr.s6_addr);
	}
	return false;
}

static curl_socket_t on_socket_wanted(void *ctx, curlsocktype purpose,
				      struct curl_sockaddr *to)
{
	struct http_job *j = ctx;

	(void)purpose;
	if (is_public(to))
		return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	j->stop = refuse(j, -EACCES,
			 "an address that is not of the public internet");
	return CURL_SOCKET_BAD;
}

int http_job_verdict(struct http_job *j, CURLcode cc)
{
	struct http_req *req = j->req;
	const struct http_head *h = &req->head;
	int r;

	if (!j->stop && j->enough)
		cc = CURLE_OK;
	if (!j->stop && cc == CURLE_OK && !j->checked)
		j->stop = check_head(j);
	if (!j->stop && cc == CURLE_OK && h->status == 206 && h->has_range &&
	    atomic_load(&req->received) != h->last - h->first + 1)
		j->stop = refuse(j, -EREMOTEIO, "the part was cut short");
	r = j->stop ? j->stop : http_err(cc, h->status);
	if (r == 0 && req->method == HTTP_POST)
		atomic_store(&req->sent, req->body.n);
	if (r < 0)
		say(j, cc, r);
	return r;
}

void http_job_stood(struct http_job *j, uint64_t ms, uint64_t now)
{
	j->stood = true;
	j->start_ms += ms;
	if (j->moved_ms) /* which may have been after that time */
		j->moved_ms = MIN(j->moved_ms + ms, now);
}

static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

int http_job_deadline(const struct http_job *j, uint64_t now)
{
	const struct http_req *req = j->req;
	uint64_t idle_ms = req->idle_ms ? req->idle_ms : IDLE_MS;

	/* both may be a moment younger than `now` */
	if (req->total_ms && since(j->start_ms, now) > req->total_ms)
		return -ETIMEDOUT;
	if (j->moved_ms && since(j->moved_ms, now) > idle_ms)
		return -ETIMEDOUT;
	return 0;
}

/* ---- the request ---- */

/* http or https with a host; "scheme://host:port" for error texts: paths and
 * queries may hold secrets. */
static int check_url(struct http_job *j)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *u = curl_url();
	int r = -EINVAL;

	if (!u)
		return -ENOMEM;
	if (strnlen(j->req->url, HTTP_URL_MAX + 1) <= HTTP_URL_MAX &&
	    curl_url_set(u, CURLUPART_URL, j->req->url, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
	    (strcmp(scheme, "https") == 0 ||
	     (!j->req->public_only && strcmp(scheme, "http") == 0))) {
		(void)snprintf(j->where, sizeof(j->where), "%s://%s:%s", scheme,
			       host, port); /* cut is fine: for people */
		r = 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return r;
}

static int add_header(struct http_job *j, const char *line)
{
	struct curl_slist *l;

	if (line[strcspn(line, "\r\n")] || !strchr(line, ':'))
		return -EINVAL; /* would be two headers, or none */
	l = curl_slist_append(j->headers, line);
	if (!l)
		return -ENOMEM;
	j->headers = l;
	return 0;
}

static int add_headers(struct http_job *j)
{
	static const char type[] = "Content-Type:";
	bool typed = false;
	int r;

	r = add_header(j, "Accept-Encoding: identity");
	for (const char *const *h = j->req->headers; r == 0 && h && *h; h++) {
		typed = typed || strncasecmp(*h, type, sizeof(type) - 1) == 0;
		r = add_header(j, *h);
	}
	/* Else curl calls the body of a POST a form. */
	return r < 0 || typed ? r : add_header(j, type);
}

/* curl_easy_setopt() fails only for no memory, or an option that it lacks. */
#define SET(option, value) \
 (rc = rc == CURLE_OK ? curl_easy_setopt(j->easy, option, value) : rc)

static CURLcode set_method(struct http_job *j)
{
	struct http_req *req = j->req;
	CURLcode rc = CURLE_OK;

	switch (req->method) {
	case HTTP_HEAD: SET(CURLOPT_NOBODY, 1L); break;
	case HTTP_POST:
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
		SET(CURLOPT_POSTFIELDS,
		    req->body.n ? (const char *)req->body.p : "");
		break;
	case HTTP_DELETE:
		SET(CURLOPT_CUSTOMREQUEST, "DELETE");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.n);
		SET(CURLOPT_POSTFIELDS,
		    req->body.n ? (const char *)req->body.p : "");
		break;
	case HTTP_PUT:
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->src_n);
		SET(CURLOPT_READFUNCTION, on_upload);
		SET(CURLOPT_READDATA, j);
		/* A kept connection may be dead: the file cannot be rewound. */
		SET(CURLOPT_FRESH_CONNECT, 1L);
		break;
	case HTTP_GET:
	case HTTP_NX:
	default: SET(CURLOPT_HTTPGET, 1L);
	}
	return rc;
}

static CURLcode set_options(struct http_job *j, const struct http_params *p,
			    const char *agent)
{
	const struct http_req *req = j->req;
	CURLcode rc = CURLE_OK;
	char range[48];

	SET(CURLOPT_URL, req->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_USERAGENT, agent);
	SET(CURLOPT_HTTPHEADER, j->headers);
	SET(CURLOPT_ERRORBUFFER, j->curl_text);
	SET(CURLOPT_PRIVATE, j);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, j);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, j);
	SET(CURLOPT_PREREQFUNCTION, on_connected);
	SET(CURLOPT_PREREQDATA, j);
	SET(CURLOPT_CONNECTTIMEOUT_MS,
	    (long)MIN(req->connect_ms ? req->connect_ms : CONNECT_MS, INT32_MAX));
	SET(CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)MIN(req->rate, INT64_MAX));
	SET(CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)MIN(req->rate, INT64_MAX));
	if (p->ca)
		SET(CURLOPT_CAINFO, p->ca);
	if (req->public_only) {
		SET(CURLOPT_PROTOCOLS_STR, "https");
		SET(CURLOPT_OPENSOCKETFUNCTION, on_socket_wanted);
		SET(CURLOPT_OPENSOCKETDATA, j);
	}
	/* curl reads up to a hundred buffers in a row: no more than a second's */
	if (req->rate)
		SET(CURLOPT_BUFFERSIZE,
		    (long)MIN(MAX(req->rate / 100, 1024), 16384));
	if (req->range_n) {
		(void)snprintf(range, sizeof(range), "%llu-%llu", /* fits */
			       (unsigned long long)req->range_off,
			       (unsigned long long)(req->range_off +
						    req->range_n - 1));
		SET(CURLOPT_RANGE, range);
	}
	return rc == CURLE_OK ? set_method(j) : rc;
}

#undef SET

static int check_request(const struct http_req *req)
{
	if (req->method >= HTTP_NX || !req->url || !req->done)
		return -EINVAL;
	if (req->range_n && (req->method != HTTP_GET || req->range_off > INT64_MAX ||
			     req->range_n > INT64_MAX - req->range_off))
		return -EINVAL;
	if (req->method == HTTP_PUT && (!req->src || req->src_off > INT64_MAX ||
					req->src_n > INT64_MAX - req->src_off))
		return -EINVAL;
	return 0;
}

static int job_setup(struct http_job *j, const struct http_params *p,
		     const char *agent, void (*ready)(void *job))
{
	struct http_req *req = j->req;
	int r;

	r = check_request(req);
	if (r == 0)
		r = check_url(j);
	if (r == 0)
		r = add_headers(j);
	if (r == 0 && req->method == HTTP_PUT)
		r = http_upload_new(p->work, req->src, req->src_off, req->src_n,
				    ready, j, &j->upload);
	if (r < 0)
		return r;
	j->easy = curl_easy_init();
	if (!j->easy || set_options(j, p, agent) != CURLE_OK)
		return -ENOMEM;
	return 0;
}

int http_job_new(const struct http_params *p, const char *agent,
		 struct http_req *req, void (*ready)(void *job),
		 struct http_job **ret)
{
	struct http_job *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->req = req;
	r = job_setup(j, p, agent, ready);
	if (r < 0) {
		http_job_free(j);
		return err_set(&req->err, r, "the request cannot be sent: %s",
			       err_str(r));
	}
	*ret = j;
	return 0;
}

void http_job_free(struct http_job *j)
{
	if (!j)
		return;
	curl_easy_cleanup(j->easy); /* NULL is fine */
	curl_slist_free_all(j->headers);
	http_upload_free(j->upload);
	free(j);
}
