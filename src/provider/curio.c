/* curio.c - requests to a storage provider: pieces in and out */
#include "provider/curio.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "crypto/commp.h"
#include "net/waiter.h"
#include "provider/curio_impl.h"

#define PING_TEXT      "curio-pdp"
#define UPLOAD_IDLE_MS 120000 /* it computes CommP before it answers */

struct curio {
	struct curio_params p;
	char url[CURIO_URL_MAX]; /* ends in a slash */
	size_t origin;           /* bytes of "scheme://host:port" in it */
};

/* ---- life ---- */

int curio_new(const struct curio_params *p, struct curio **ret, struct err *reterr)
{
	static const char tls[] = "https://", plain[] = "http://";
	size_t n = strnlen(p->url, CURIO_URL_MAX), scheme = strlen(tls);
	struct curio *c;

	if (p->local && strncasecmp(p->url, plain, strlen(plain)) == 0)
		scheme = strlen(plain);
	else if (strncasecmp(p->url, tls, strlen(tls)) != 0)
		return err_set(reterr, -EINVAL,
			       "a storage provider's URL has to begin with https://");
	if (n >= CURIO_URL_MAX - 1 || n == scheme || p->url[scheme] == '/')
		return err_set(reterr, -EINVAL,
			       "a storage provider's URL has no host, or is too long");
	for (size_t i = 0; i < n; i++)
		if (p->url[i] <= ' ' || p->url[i] > '~' ||
		    strchr("?#@\\\"<>", p->url[i]))
			return err_set(reterr, -EINVAL,
				       "a storage provider's URL has a byte that none has");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->p = *p;
	c->p.url = c->url;
	memcpy(c->url, p->url, n);
	if (c->url[n - 1] != '/')
		c->url[n] = '/';
	c->origin = scheme + strcspn(c->url + scheme, "/");
	*ret = c;
	return 0;
}

void curio_free(struct curio *c)
{
	free(c);
}

const char *curio_url(const struct curio *c)
{
	return c->url;
}

void curio_op_init(struct curio_op *op)
{
	*op = (struct curio_op){ .moved = NULL };
	lock_init(&op->lock);
}

void curio_op_fini(struct curio_op *op)
{
	lock_fini(&op->lock);
}

void curio_cancel(struct curio_op *op)
{
	lock_take(&op->lock);
	op->cancelled = true;
	if (op->running)
		http_cancel(op->http, op->running);
	lock_drop(&op->lock);
}

/* ---- one request ---- */

struct asking {
	struct http_req req;
	struct curio_op *op;
	struct waiter waiter;
	uint64_t told; /* bytes that op->moved knows of */
};

static void on_done(struct http_req *req, int status)
{
	struct asking *k = req->ctx;

	/* Nobody cancels what is over. */
	lock_take(&k->op->lock);
	k->op->running = NULL;
	lock_drop(&k->op->lock);
	waiter_over(&k->waiter, status);
}

static int run(struct curio *c, struct asking *k)
{
	struct curio_op *op = k->op;
	int r;

	waiter_init(&k->waiter);
	k->req.ctx = k;
	k->req.done = on_done;
	lock_take(&op->lock);
	r = op->cancelled ? -ECANCELED : 0;
	if (r == 0) {
		op->http = c->p.http;
		op->running = &k->req;
		r = http_start(c->p.http, &k->req);
		if (r < 0)
			op->running = NULL;
	}
	lock_drop(&op->lock);
	return waiter_fini(&k->waiter, r);
}

/* A path below the service URL, or below the origin: what Location says. */
static int full_url(const struct curio *c, const char *path,
		    char ret[static HTTP_URL_MAX])
{
	int n;

	if (path[0] == '/')
		n = snprintf(ret, HTTP_URL_MAX, "%.*s%s", (int)c->origin,
			     c->url, path);
	else
		n = snprintf(ret, HTTP_URL_MAX, "%s%s", c->url, path);
	return n < 0 || n >= HTTP_URL_MAX ? -EMSGSIZE : 0;
}

static int say(struct curio_op *op, const struct http_req *req, int r)
{
	text_copy(op->said, sizeof(op->said), req->said);
	if (r == -ECANCELED)
		return err_set(&op->err, r, "called off");
	return err_set(&op->err, r, "%s",
		       req->err.text[0] ? req->err.text : err_str(r));
}

int curio_ask(struct curio *c, struct curio_op *op, struct curio_ask *a)
{
	static const char *const json[] = { "Content-Type: application/json", NULL };
	static const char *const raw[] = { "Content-Type: application/octet-stream",
					   NULL };
	_cleanup_free_ char *url = malloc(HTTP_URL_MAX);
	_cleanup_free_ char *body = NULL;
	struct asking k = { .op = op };
	int r;

	op->err.text[0] = '\0';
	op->said[0] = '\0';
	op->status = 0;
	op->retry_after_s = 0;
	if (a->body)
		body = json_dumps(a->body, JSON_COMPACT);
	if (!url || (a->body && !body))
		return -ENOMEM;
	r = full_url(c, a->path, url);
	if (r < 0)
		return r;
	k.req = (struct http_req){
		.method = a->method,
		.url = url,
		.headers = a->src  ? raw :
			   a->body ? json :
				     NULL,
		.range_off = a->range_off,
		.range_n = a->range_n,
		.body = body ? slice_str(body) : SLICE_NONE,
		.src = a->src,
		.src_n = a->src_n,
		.ret_body = a->bytes,
		.idle_ms = a->idle_ms,
		.total_ms = a->src || a->range_n ? 0 :
			    a->total_ms          ? a->total_ms :
						   CURIO_ASK_MS,
		.rate = a->src     ? c->p.up_rate :
			a->range_n ? c->p.down_rate :
				     0,
		.public_only = !c->p.local,
		.moved = op->moved,
	};
	r = run(c, &k);
	op->status = k.req.head.status;
	if (k.req.head.has_retry_after)
		op->retry_after_s = k.req.head.retry_after_s;
	a->head = k.req.head;
	return r < 0 ? say(op, &k.req, r) : r;
}

int curio_nonsense(struct curio *c, struct curio_op *op, const char *what)
{
	return err_set(&op->err, -EPROTO, "%s gave an answer without sense: %s",
		       c->url, what);
}

int curio_ask_text(struct curio *c, struct curio_op *op, struct curio_ask *a,
		   struct buf *ret)
{
	int r;

	buf_init(ret, CURIO_ANSWER_MAX);
	a->bytes = ret;
	r = curio_ask(c, op, a);
	a->bytes = NULL;
	return r;
}

int curio_ping(struct curio *c, struct curio_op *op)
{
	_cleanup_buf_ struct buf b = { 0 };
	struct curio_ask a = { .method = HTTP_GET,
			       .path = "pdp/ping",
			       .bytes = &b,
			       .total_ms = CURIO_PING_MS };
	int r;

	buf_init(&b, 256);
	r = curio_ask(c, op, &a);
	if (r == -EMSGSIZE)
		return curio_nonsense(c, op, "what answers there is not Curio");
	while (r == 0 && b.n && (b.p[b.n - 1] == '\n' || b.p[b.n - 1] == '\r'))
		b.n--;
	if (r == 0 && !slice_eq(buf_slice(&b), slice_str(PING_TEXT)))
		return curio_nonsense(c, op, "what answers there is not Curio");
	return r;
}

/* ---- pieces in ---- */

int curio_find(struct curio *c, struct curio_op *op, const struct piece_cid *cid)
{
	char path[64 + PIECE_CID_TEXT_MAX], text[PIECE_CID_TEXT_MAX];
	_cleanup_buf_ struct buf answer = { 0 };
	struct curio_ask a = { .method = HTTP_GET, .path = path };
	const char *why = NULL;
	int r;

	piece_cid_text(cid, text);
	(void)snprintf(path, sizeof(path), "pdp/piece?pieceCid=%s", text); /* fits */
	r = curio_ask_text(c, op, &a, &answer);
	if (r < 0)
		return r;
	r = curio_read_cid(buf_slice(&answer), cid, &why);
	return r == -EPROTO ? curio_nonsense(c, op, why) : r;
}

/* "/pdp/piece/upload/{uuid}" and nothing that leads elsewhere. */
static bool is_upload_path(const char *path)
{
	static const char head[] = "/pdp/piece/upload/";
	size_t n;

	if (strncmp(path, head, strlen(head)) != 0)
		return false;
	n = strspn(path + strlen(head), "0123456789abcdefABCDEF-");
	return n >= 8 && n <= 64 && path[strlen(head) + n] == '\0';
}

/* 1: it wants the bytes, at `ret`; 0: it has them. */
static int announce(struct curio *c, struct curio_op *op,
		    const struct piece_cid *cid, char ret[static HTTP_LOCATION_MAX])
{
	char text[PIECE_CID_TEXT_MAX];
	_cleanup_json_ json_t *body = NULL;
	struct curio_ask a = { .method = HTTP_POST, .path = "pdp/piece" };
	_cleanup_buf_ struct buf answer = { 0 };
	const char *why = NULL;
	int r;

	piece_cid_text(cid, text);
	body = json_pack("{s:s}", "pieceCid", text);
	if (!body)
		return -ENOMEM;
	a.body = body;
	r = curio_ask_text(c, op, &a, &answer);
	if (r < 0)
		return r;
	if (a.head.status == 201) {
		if (!is_upload_path(a.head.location))
			return curio_nonsense(c, op, "no place to upload to");
		text_copy(ret, HTTP_LOCATION_MAX, a.head.location);
		return 1;
	}
	r = curio_read_cid(buf_slice(&answer), cid, &why);
	return r == -EPROTO ? curio_nonsense(c, op, why) : r;
}

int curio_upload(struct curio *c, struct curio_op *op,
		 const struct piece_cid *cid, struct io_file *f, uint64_t size)
{
	_cleanup_free_ char *at = malloc(HTTP_LOCATION_MAX);
	struct curio_ask a = { .method = HTTP_PUT,
			       .path = at,
			       .src = f,
			       .src_n = size,
			       .idle_ms = UPLOAD_IDLE_MS };
	int r;

	if (!at)
		return -ENOMEM;
	at[0] = '\0';
	if (size < CURIO_RAW_MIN || size > CURIO_RAW_MAX)
		return err_set(&op->err, -EINVAL,
			       "a piece of %llu bytes is too small or too large for storage providers",
			       (unsigned long long)size);
	r = announce(c, op, cid, at);
	if (r != 1)
		return r;
	r = curio_ask(c, op, &a);
	if (r == -EEXIST) /* 409: it has the bytes already */
		return 0;
	if (r == -EINVAL && op->status == 400)
		return -EBADMSG; /* size or CID do not fit what arrived */
	return r;
}

/* ---- pieces out ---- */

static void piece_path(const struct piece_cid *cid,
		       char ret[static 8 + PIECE_CID_TEXT_MAX])
{
	char text[PIECE_CID_TEXT_MAX];

	piece_cid_text(cid, text);
	(void)snprintf(ret, 8 + PIECE_CID_TEXT_MAX, "/piece/%s", text); /* fits */
}

int curio_get(struct curio *c, struct curio_op *op, const struct piece_cid *cid,
	      uint64_t off, size_t n, uint8_t *dst, size_t *ret_n)
{
	char path[8 + PIECE_CID_TEXT_MAX];
	_cleanup_buf_ struct buf b = { 0 };
	struct curio_ask a = { .method = HTTP_GET,
			       .path = path + 1,
			       .bytes = &b,
			       .range_off = off,
			       .range_n = n };
	struct commp_sum sum;
	int r;

	*ret_n = 0;
	r = piece_cid_parse(piece_cid_slice(cid), &sum);
	if (r < 0 || off >= sum.raw_size || n == 0)
		return r;
	n = (size_t)MIN((uint64_t)n, sum.raw_size - off);
	a.range_n = n;
	buf_init(&b, n);
	piece_path(cid, path);
	r = curio_ask(c, op, &a);
	if (r == -EMSGSIZE || (r == 0 && b.n != n)) /* http.h saw to the offset */
		return curio_nonsense(c, op, "another part than the one asked for");
	if (r < 0)
		return r;
	memcpy(dst, b.p, n);
	*ret_n = n;
	return 0;
}

int curio_stat(struct curio *c, struct curio_op *op,
	       const struct piece_cid *cid, uint64_t *ret_size)
{
	char path[8 + PIECE_CID_TEXT_MAX];
	struct curio_ask a = { .method = HTTP_HEAD, .path = path + 1 };
	int r;

	piece_path(cid, path);
	r = curio_ask(c, op, &a);
	if (r < 0)
		return r;
	if (!a.head.has_length)
		return curio_nonsense(c, op, "a piece without a length");
	*ret_size = a.head.length;
	return 0;
}
