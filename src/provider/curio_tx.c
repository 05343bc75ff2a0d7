/* curio_tx.c - requests that make a storage provider send a transaction */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "provider/curio_impl.h"

static void hex(const uint8_t *p, size_t n, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	*ret++ = '0';
	*ret++ = 'x';
	for (size_t i = 0; i < n; i++) {
		*ret++ = digits[p[i] >> 4];
		*ret++ = digits[p[i] & 15];
	}
	*ret = '\0';
}

static json_t *hex_json(const uint8_t *p, size_t n)
{
	_cleanup_free_ char *text = malloc(2 * n + 3);

	if (!text)
		return NULL;
	hex(p, n, text);
	return json_string(text);
}

/* {"recordKeeper"?, "extraData"} */
static json_t *authorized(const uint8_t *keeper, struct slice extra)
{
	json_t *v = json_pack("{s:o}", "extraData", hex_json(extra.p, extra.n));

	if (v && keeper &&
	    json_object_set_new(v, "recordKeeper",
				hex_json(keeper, CURIO_ADDRESS)) < 0) {
		json_decref(v);
		return NULL;
	}
	return v;
}

/* [{"pieceCid", "subPieces": [{"subPieceCid"}]}] */
static json_t *pieces_json(const struct piece_cid *cids, size_t n)
{
	json_t *all = json_array();
	char text[PIECE_CID_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		piece_cid_text(&cids[i], text);
		if (json_array_append_new(
			    all, json_pack("{s:s, s:[{s:s}]}", "pieceCid", text,
					   "subPieces", "subPieceCid", text)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* ---- sending ---- */

/* The hash at the end of a Location. */
static int location_hash(struct curio *c, struct curio_op *op,
			 const struct http_head *h,
			 uint8_t ret[static CURIO_HASH_SIZE])
{
	const char *slash = strrchr(h->location, '/');
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, CURIO_HASH_SIZE);
	if (h->status != 201 || !slash ||
	    json_hex_text(slice_str(slash + 1), &b) < 0 || b.n != CURIO_HASH_SIZE)
		return curio_nonsense(c, op, "no hash of a transaction");
	memcpy(ret, b.p, CURIO_HASH_SIZE);
	return 0;
}

static int send(struct curio *c, struct curio_op *op, const char *path,
		json_t *body, uint8_t ret_tx[static CURIO_HASH_SIZE])
{
	struct curio_ask a = { .method = HTTP_POST,
			       .path = path,
			       .body = body,
			       .total_ms = CURIO_SEND_MS,
			       .idle_ms = CURIO_SEND_MS };
	int r;

	if (!body)
		return -ENOMEM;
	r = curio_ask(c, op, &a);
	return r < 0 ? r : location_hash(c, op, &a.head, ret_tx);
}

int curio_create(struct curio *c, struct curio_op *op,
		 const uint8_t keeper[static CURIO_ADDRESS], struct slice extra,
		 const struct piece_cid *cids, size_t n,
		 uint8_t ret_tx[static CURIO_HASH_SIZE])
{
	_cleanup_json_ json_t *body = authorized(keeper, extra);

	if (!body ||
	    (n && json_object_set_new(body, "pieces", pieces_json(cids, n)) < 0))
		return -ENOMEM;
	return send(c, op, n ? "pdp/data-sets/create-and-add" : "pdp/data-sets",
		    body, ret_tx);
}

int curio_add(struct curio *c, struct curio_op *op, uint64_t data_set,
	      struct slice extra, const struct piece_cid *cids, size_t n,
	      uint8_t ret_tx[static CURIO_HASH_SIZE])
{
	_cleanup_json_ json_t *body = authorized(NULL, extra);
	char path[64];

	if (!body || json_object_set_new(body, "pieces", pieces_json(cids, n)) < 0)
		return -ENOMEM;
	(void)snprintf(path, sizeof(path), "pdp/data-sets/%" PRIu64 "/pieces",
		       data_set); /* fits */
	return send(c, op, path, body, ret_tx);
}

/* ---- how it went ---- */

/*
 * After a while Curio forgets transactions, and answers 500 or 404: that says
 * nothing about what they did.
 */
static int ask_tx(struct curio *c, struct curio_op *op, const char *path,
		  bool created, struct curio_tx *ret)
{
	struct curio_ask a = { .method = HTTP_GET, .path = path };
	_cleanup_buf_ struct buf answer = { 0 };
	const char *why = NULL;
	int r;

	r = curio_ask_text(c, op, &a, &answer);
	if (r == -ENOENT || (r < 0 && strstr(op->said, "not found")))
		return -ENODATA;
	if (r < 0)
		return r;
	r = curio_read_tx(buf_slice(&answer), created, ret, &why);
	return r == -EPROTO ? curio_nonsense(c, op, why) : r;
}

int curio_created(struct curio *c, struct curio_op *op,
		  const uint8_t tx[static CURIO_HASH_SIZE], struct curio_tx *ret)
{
	char path[64 + CURIO_HASH_TEXT], text[CURIO_HASH_TEXT];

	hex(tx, CURIO_HASH_SIZE, text);
	(void)snprintf(path, sizeof(path), "pdp/data-sets/created/%s", text); /* fits */
	return ask_tx(c, op, path, true, ret);
}

int curio_added(struct curio *c, struct curio_op *op, uint64_t data_set,
		const uint8_t tx[static CURIO_HASH_SIZE], struct curio_tx *ret)
{
	char path[96 + CURIO_HASH_TEXT], text[CURIO_HASH_TEXT];
	int r;

	hex(tx, CURIO_HASH_SIZE, text);
	(void)snprintf(path, sizeof(path),
		       "pdp/data-sets/%" PRIu64 "/pieces/added/%s", data_set,
		       text); /* fits */
	r = ask_tx(c, op, path, false, ret);
	ret->data_set = data_set;
	return r;
}

/* ---- pulling ---- */

static json_t *pull_json(const struct curio_pull *pieces, size_t n)
{
	json_t *all = json_array();
	char text[PIECE_CID_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		piece_cid_text(pieces[i].cid, text);
		if (json_array_append_new(all, json_pack("{s:s, s:s}", "pieceCid",
							 text, "sourceUrl",
							 pieces[i].source)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

int curio_pull(struct curio *c, struct curio_op *op,
	       const uint8_t keeper[static CURIO_ADDRESS], uint64_t data_set,
	       struct slice extra, struct curio_pull *pieces, size_t n)
{
	struct curio_ask a = { .method = HTTP_POST, .path = "pdp/piece/pull" };
	_cleanup_json_ json_t *body = authorized(keeper, extra);
	_cleanup_buf_ struct buf answer = { 0 };
	const char *why = NULL;
	int r;

	if (n > CURIO_BATCH_MAX)
		return -EINVAL;
	if (!body || json_object_set_new(body, "pieces", pull_json(pieces, n)) < 0 ||
	    (data_set && json_object_set_new(body, "dataSetId",
					     json_integer((json_int_t)data_set)) < 0))
		return -ENOMEM;
	a.body = body;
	r = curio_ask_text(c, op, &a, &answer);
	if (r < 0)
		return r;
	r = curio_read_pull(buf_slice(&answer), pieces, n, &why);
	return r == -EPROTO ? curio_nonsense(c, op, why) : r;
}

/* ---- ending ---- */

int curio_remove(struct curio *c, struct curio_op *op, uint64_t data_set,
		 struct slice extra, const uint64_t *ids, size_t n,
		 uint8_t ret_tx[static CURIO_HASH_SIZE])
{
	_cleanup_json_ json_t *body = authorized(NULL, extra);
	_cleanup_buf_ struct buf answer = { 0 };
	json_t *list = json_array();
	const char *why = NULL;
	char path[96];
	struct curio_ask a = { .method = HTTP_DELETE,
			       .path = path,
			       .body = body,
			       .total_ms = CURIO_SEND_MS,
			       .idle_ms = CURIO_SEND_MS };
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = json_array_append_new(list, json_integer((json_int_t)ids[i]));
	if (!body || r < 0 || !list) {
		json_decref(list);
		return -ENOMEM;
	}
	if (json_object_set_new(body, "pieceIds", list) < 0)
		return -ENOMEM;
	if (n == 0 || n > CURIO_REMOVE_MAX)
		return -EINVAL;
	(void)snprintf(path, sizeof(path),
		       "pdp/data-sets/%" PRIu64 "/pieces/%" PRIu64, data_set,
		       ids[0]); /* fits */
	r = curio_ask_text(c, op, &a, &answer);
	if (r < 0)
		return r;
	r = curio_read_hash(buf_slice(&answer), ret_tx, &why);
	return r == -EPROTO ? curio_nonsense(c, op, why) : r;
}

int curio_terminate(struct curio *c, struct curio_op *op, uint64_t data_set,
		    struct slice extra)
{
	_cleanup_json_ json_t *body = authorized(NULL, extra);
	char path[64];
	struct curio_ask a = { .method = HTTP_POST,
			       .path = path,
			       .body = body,
			       .total_ms = CURIO_SEND_MS,
			       .idle_ms = CURIO_SEND_MS };
	int r;

	if (!body)
		return -ENOMEM;
	(void)snprintf(path, sizeof(path), "pdp/data-sets/%" PRIu64 "/terminate",
		       data_set); /* fits */
	r = curio_ask(c, op, &a);
	return r == -EEXIST ? 0 : r; /* 409: it was asked for before */
}
