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

void curio_hash_text(const uint8_t hash[static CURIO_HASH_SIZE],
		     char ret[static CURIO_HASH_TEXT])
{
	hex(hash, CURIO_HASH_SIZE, ret);
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

static bool is_text(const json_t *v, const char *text)
{
	const char *s = json_string_value(v);

	return s && strcmp(s, text) == 0;
}

/*
 * `ok`: the receipt's status; `done`: what we wait for is there.  An outcome
 * that Curio does not know for certain is for the chain to say.
 */
static enum curio_tx_state tx_state(const json_t *answer, const char *ok,
				    const char *done)
{
	const json_t *status = json_object_get(answer, "txStatus");

	if (json_is_true(json_object_get(answer, done)))
		return CURIO_TX_DONE;
	if (json_is_false(json_object_get(answer, ok)))
		return CURIO_TX_REVERTED;
	if (is_text(status, "failed") || is_text(status, "rejected") ||
	    is_text(status, "reorged"))
		return CURIO_TX_UNCLEAR;
	return CURIO_TX_WAITING;
}

static int replacement(struct curio *c, struct curio_op *op,
		       const json_t *answer, struct curio_tx *ret)
{
	const json_t *v = json_object_get(answer, "confirmedTxHash");

	if (!v || json_is_null(v) || is_text(v, ""))
		return 0;
	if (json_hex_fixed(v, ret->hash, CURIO_HASH_SIZE) < 0)
		return curio_nonsense(c, op, "a hash that is none");
	ret->replaced = true;
	return 0;
}

static int get_u64(const json_t *v, uint64_t *ret)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return -EPROTO;
	*ret = (uint64_t)json_integer_value(v);
	return 0;
}

/*
 * After a while Curio forgets transactions, and answers 500 or 404: that says
 * nothing about what they did.
 */
static int ask_tx(struct curio *c, struct curio_op *op, const char *path,
		  json_t **ret)
{
	struct curio_ask a = { .method = HTTP_GET, .path = path };
	int r;

	r = curio_ask_json(c, op, &a, ret);
	if (r == -ENOENT || (r < 0 && strstr(op->said, "not found")))
		return -ENODATA;
	return r;
}

int curio_created(struct curio *c, struct curio_op *op,
		  const uint8_t tx[static CURIO_HASH_SIZE], struct curio_tx *ret)
{
	char path[64 + CURIO_HASH_TEXT], text[CURIO_HASH_TEXT];
	_cleanup_json_ json_t *answer = NULL;
	int r;

	*ret = (struct curio_tx){ .state = CURIO_TX_WAITING };
	curio_hash_text(tx, text);
	(void)snprintf(path, sizeof(path), "pdp/data-sets/created/%s", text); /* fits */
	r = ask_tx(c, op, path, &answer);
	if (r < 0)
		return r;
	ret->state = tx_state(answer, "ok", "dataSetCreated");
	if (ret->state == CURIO_TX_DONE &&
	    get_u64(json_object_get(answer, "dataSetId"), &ret->data_set) < 0)
		return curio_nonsense(c, op, "a data set without a number");
	return replacement(c, op, answer, ret);
}

static int piece_ids(const json_t *list, struct curio_tx *ret)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list) || n > CURIO_BATCH_MAX)
		return -EPROTO;
	for (size_t i = 0; i < n; i++)
		if (get_u64(json_array_get(list, i), &ret->ids[i]) < 0)
			return -EPROTO;
	ret->n_ids = n;
	return 0;
}

int curio_added(struct curio *c, struct curio_op *op, uint64_t data_set,
		const uint8_t tx[static CURIO_HASH_SIZE], struct curio_tx *ret)
{
	char path[96 + CURIO_HASH_TEXT], text[CURIO_HASH_TEXT];
	_cleanup_json_ json_t *answer = NULL;
	int r;

	*ret = (struct curio_tx){ .data_set = data_set };
	curio_hash_text(tx, text);
	(void)snprintf(path, sizeof(path),
		       "pdp/data-sets/%" PRIu64 "/pieces/added/%s", data_set,
		       text); /* fits */
	r = ask_tx(c, op, path, &answer);
	if (r < 0)
		return r;
	ret->state = tx_state(answer, "addMessageOk", "piecesAdded");
	if (ret->state == CURIO_TX_DONE &&
	    piece_ids(json_object_get(answer, "confirmedPieceIds"), ret) < 0)
		return curio_nonsense(c, op, "pieces without numbers");
	return replacement(c, op, answer, ret);
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

static enum curio_pull_state pull_state(const json_t *status)
{
	if (is_text(status, "complete"))
		return CURIO_PULL_COMPLETE;
	return is_text(status, "failed") ? CURIO_PULL_FAILED : CURIO_PULL_WAITING;
}

/* The answer may list them in another order, but each of ours. */
static int pull_read(const json_t *list, struct curio_pull *pieces, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char text[PIECE_CID_TEXT_MAX];
		const json_t *row;
		bool found = false;
		size_t k;

		piece_cid_text(pieces[i].cid, text);
		json_array_foreach(list, k, row)
		{
			if (found ||
			    !is_text(json_object_get(row, "pieceCid"), text))
				continue;
			pieces[i].state =
				pull_state(json_object_get(row, "status"));
			found = true;
		}
		if (!found)
			return -EPROTO;
	}
	return 0;
}

int curio_pull(struct curio *c, struct curio_op *op,
	       const uint8_t keeper[static CURIO_ADDRESS], uint64_t data_set,
	       struct slice extra, struct curio_pull *pieces, size_t n)
{
	struct curio_ask a = { .method = HTTP_POST, .path = "pdp/piece/pull" };
	_cleanup_json_ json_t *body = authorized(keeper, extra);
	_cleanup_json_ json_t *answer = NULL;
	int r;

	if (n > CURIO_BATCH_MAX)
		return -EINVAL;
	if (!body || json_object_set_new(body, "pieces", pull_json(pieces, n)) < 0 ||
	    (data_set && json_object_set_new(body, "dataSetId",
					     json_integer((json_int_t)data_set)) < 0))
		return -ENOMEM;
	a.body = body;
	r = curio_ask_json(c, op, &a, &answer);
	if (r < 0)
		return r;
	if (pull_read(json_object_get(answer, "pieces"), pieces, n) < 0)
		return curio_nonsense(c, op, "not the pieces that were asked for");
	return 0;
}

/* ---- ending ---- */

int curio_remove(struct curio *c, struct curio_op *op, uint64_t data_set,
		 struct slice extra, const uint64_t *ids, size_t n,
		 uint8_t ret_tx[static CURIO_HASH_SIZE])
{
	_cleanup_json_ json_t *body = authorized(NULL, extra);
	_cleanup_json_ json_t *answer = NULL;
	json_t *list = json_array();
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
	r = curio_ask_json(c, op, &a, &answer);
	if (r < 0)
		return r;
	if (json_hex_fixed(json_object_get(answer, "txHash"), ret_tx,
			   CURIO_HASH_SIZE) < 0)
		return curio_nonsense(c, op, "no hash of a transaction");
	return 0;
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
