/* curio_read.c - what a storage provider answers, taken apart */
#include <errno.h>

#include "base/buf.h"
#include "provider/curio_impl.h"

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EPROTO;
}

static int read_object(struct slice text, json_t **ret, const char **ret_why)
{
	json_t *v = NULL;
	int r;

	r = json_read(text, JSON_VALUES_MAX, &v);
	if (r == 0 && json_is_object(v)) {
		*ret = v;
		return 0;
	}
	json_decref(v);
	return r == -ENOMEM ? r : bad(ret_why, "no JSON object");
}

static bool is_text(const json_t *v, const char *text)
{
	const char *s = json_string_value(v);

	return s && strcmp(s, text) == 0;
}

int curio_read_cid(struct slice text, const struct piece_cid *cid,
		   const char **ret_why)
{
	_cleanup_json_ json_t *v = NULL;
	char want[PIECE_CID_TEXT_MAX];
	int r;

	r = read_object(text, &v, ret_why);
	if (r < 0)
		return r;
	piece_cid_text(cid, want);
	if (!is_text(json_object_get(v, "pieceCid"), want))
		return bad(ret_why, "another piece than the one asked for");
	return 0;
}

int curio_read_hash(struct slice text, uint8_t ret[static CURIO_HASH_SIZE],
		    const char **ret_why)
{
	_cleanup_json_ json_t *v = NULL;
	int r;

	r = read_object(text, &v, ret_why);
	if (r < 0)
		return r;
	if (json_hex_fixed(json_object_get(v, "txHash"), ret, CURIO_HASH_SIZE) < 0)
		return bad(ret_why, "no hash of a transaction");
	return 0;
}

/* ---- how a transaction went ---- */

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

static int replacement(const json_t *answer, struct curio_tx *ret,
		       const char **ret_why)
{
	const json_t *v = json_object_get(answer, "confirmedTxHash");

	if (!v || json_is_null(v) || is_text(v, ""))
		return 0;
	if (json_hex_fixed(v, ret->hash, CURIO_HASH_SIZE) < 0)
		return bad(ret_why, "a hash that is none");
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

int curio_read_tx(struct slice text, bool created, struct curio_tx *ret,
		  const char **ret_why)
{
	_cleanup_json_ json_t *v = NULL;
	int r;

	*ret = (struct curio_tx){ .state = CURIO_TX_WAITING };
	r = read_object(text, &v, ret_why);
	if (r < 0)
		return r;
	ret->state = created ? tx_state(v, "ok", "dataSetCreated") :
			       tx_state(v, "addMessageOk", "piecesAdded");
	if (ret->state == CURIO_TX_DONE && created &&
	    get_u64(json_object_get(v, "dataSetId"), &ret->data_set) < 0)
		return bad(ret_why, "a data set without a number");
	if (ret->state == CURIO_TX_DONE && !created &&
	    piece_ids(json_object_get(v, "confirmedPieceIds"), ret) < 0)
		return bad(ret_why, "pieces without numbers");
	return replacement(v, ret, ret_why);
}

/* ---- how pulls stand ---- */

static enum curio_pull_state pull_state(const json_t *status)
{
	if (is_text(status, "complete"))
		return CURIO_PULL_COMPLETE;
	return is_text(status, "failed") ? CURIO_PULL_FAILED : CURIO_PULL_WAITING;
}

int curio_read_pull(struct slice text, struct curio_pull *pieces, size_t n,
		    const char **ret_why)
{
	_cleanup_json_ json_t *v = NULL;
	const json_t *list;
	int r;

	r = read_object(text, &v, ret_why);
	if (r < 0)
		return r;
	list = json_object_get(v, "pieces");
	if (json_array_size(list) > CURIO_BATCH_MAX)
		return bad(ret_why, "more pieces than can be asked for");
	for (size_t i = 0; i < n; i++) {
		char want[PIECE_CID_TEXT_MAX];
		const json_t *row;
		bool found = false;
		size_t k;

		piece_cid_text(pieces[i].cid, want);
		json_array_foreach(list, k, row)
		{
			if (found ||
			    !is_text(json_object_get(row, "pieceCid"), want))
				continue;
			pieces[i].state =
				pull_state(json_object_get(row, "status"));
			found = true;
		}
		if (!found)
			return bad(ret_why, "not the pieces that were asked for");
	}
	return 0;
}
