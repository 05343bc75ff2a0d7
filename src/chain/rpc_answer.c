#include "chain/rpc_answer.h"

#include <errno.h>

static int read_item(const json_t *o, struct rpc_item *item)
{
	json_t *result = json_object_get(o, "result");
	json_t *error = json_object_get(o, "error");

	if (error && !json_is_null(error)) {
		if (result && !json_is_null(result))
			return -EPROTO;
		if (rpc_error_read(error, &item->error) < 0)
			return -EPROTO;
		item->status = -EBADE;
		return 0;
	}
	if (!result)
		return -EPROTO;
	item->result = json_incref(result);
	item->status = 0;
	return 0;
}

/* Its id, if it is one of ours. */
static bool find_id(const json_t *o, uint64_t first_id, unsigned n, unsigned *ret)
{
	const json_t *id = json_object_get(o, "id");
	uint64_t v;

	if (!json_is_integer(id) || json_integer_value(id) < 0)
		return false;
	v = (uint64_t)json_integer_value(id);
	if (v < first_id || v - first_id >= n)
		return false;
	*ret = (unsigned)(v - first_id);
	return true;
}

static int read_one(const json_t *o, uint64_t first_id, unsigned n, bool *seen,
		    struct rpc_item *items)
{
	unsigned i;

	if (!find_id(o, first_id, n, &i) || seen[i])
		return -EPROTO;
	seen[i] = true;
	return read_item(o, &items[i]);
}

/* One object where an array was asked for, or to a request it could not read. */
static int read_lone(const json_t *o, uint64_t first_id, unsigned n, bool batch,
		     bool *seen, struct rpc_item *items)
{
	const json_t *id = json_object_get(o, "id");
	int r;

	if (!batch && id && !json_is_null(id))
		return read_one(o, first_id, n, seen, items);
	/* Of an error that concerns the whole request the id is null. */
	if (!json_is_object(json_object_get(o, "error")))
		return -EPROTO;
	r = read_item(o, &items[0]);
	if (r < 0 || !batch)
		return r;
	return -EOPNOTSUPP;
}

int rpc_answer_read(struct slice body, uint64_t first_id, unsigned n,
		    bool batch, struct rpc_item *items)
{
	_cleanup_json_ json_t *v = NULL;
	bool seen[RPC_BATCH_MAX] = { false };
	size_t i;
	json_t *o;
	int r;

	for (unsigned k = 0; k < n; k++) {
		items[k].status = -EPROTO;
		items[k].result = NULL;
		items[k].error.cls = RPC_CLASS_NONE;
	}
	r = json_read(body, JSON_VALUES_MAX, &v);
	if (r < 0)
		return r;
	if (json_is_object(v))
		return read_lone(v, first_id, n, batch, seen, items);
	if (!batch || !json_is_array(v) || json_array_size(v) > n)
		return -EPROTO;
	json_array_foreach(v, i, o)
	{
		r = read_one(o, first_id, n, seen, items);
		if (r < 0)
			return r;
	}
	return 0;
}

void rpc_answer_fini(struct rpc_item *items, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		json_decref(items[i].result);
		items[i].result = NULL;
	}
}

static bool is_bytes(const json_t *v)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	return s && n >= 2 && n % 2 == 0 && s[0] == '0' && s[1] == 'x' &&
	       strspn(s + 2, "0123456789abcdefABCDEF") == n - 2;
}

static bool has_type(const json_t *v, enum rpc_want want)
{
	uint8_t number[32];

	switch (want) {
	case RPC_BYTES: return is_bytes(v);
	case RPC_HASH: return is_bytes(v) && json_string_length(v) == 66;
	case RPC_NUMBER: return json_hex_number(v, number, sizeof(number)) == 0;
	case RPC_OBJECT: return json_is_object(v);
	case RPC_OBJECT_OR_NULL: return json_is_object(v) || json_is_null(v);
	case RPC_ANY:
	default: return true;
	}
}

int rpc_answer_check(const json_t *result, enum rpc_want want, size_t max)
{
	size_t n;

	if (!has_type(result, want))
		return -EPROTO;
	n = json_is_string(result) ?
		    json_string_length(result) :
		    json_dumpb(result, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
	return n > max ? -EMSGSIZE : 0;
}
