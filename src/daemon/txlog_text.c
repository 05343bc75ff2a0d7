#include "daemon/txlog_text.h"

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "net/json.h"

#define VALUES 64 /* of one JSON */

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

static json_t *sum_json(struct u256 v)
{
	char text[U256_TEXT_MAX];

	u256_text(v, text);
	return json_string(text);
}

static json_t *bytes_json(struct slice s)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, 2 * ETH_TX_MAX + 16);
	return json_put_hex(&b, s) < 0 || buf_u8(&b, 0) < 0 ?
		       NULL :
		       json_string((const char *)b.p);
}

static json_t *raw_json(const struct txlog_tx *tx)
{
	json_t *a = json_array();
	int r = a ? 0 : -1;

	for (unsigned i = 0; r == 0 && i < tx->n_raw; i++)
		r = json_array_append_new(a, bytes_json(buf_slice(&tx->raw[i])));
	if (r == 0)
		return a;
	json_decref(a);
	return NULL;
}

static json_t *tx_json(const struct txlog_tx *tx)
{
	const struct sender_outcome *out = &tx->outcome;
	json_t *o = json_object();
	int r = o ? 0 : -1;

	r |= put(o, "time", json_integer((json_int_t)tx->time));
	r |= put(o, "state", json_integer(tx->state));
	r |= put(o, "what", json_text(tx->what));
	r |= put(o, "text", json_text(tx->text));
	r |= put(o, "amount", sum_json(tx->amount));
	r |= put(o, "needs_fil", sum_json(tx->needs_fil));
	r |= put(o, "told", json_boolean(tx->told));
	r |= put(o, "raw", raw_json(tx));
	r |= put(o, "end", json_integer(out->end));
	r |= put(o, "hash", bytes_json(slice(out->hash, sizeof(out->hash))));
	r |= put(o, "block", json_integer((json_int_t)out->block));
	r |= put(o, "fee", sum_json(out->fee));
	r |= put(o, "why", json_text(out->err.text));
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

static int get_u64(const json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return -EUCLEAN;
	*ret = (uint64_t)n;
	return 0;
}

static int get_sum(const json_t *o, const char *key, struct u256 *ret)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s && u256_from_text(slice_str(s), ret) == 0 ? 0 : -EUCLEAN;
}

static int get_text(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s)
		return -EUCLEAN;
	text_copy(ret, size, s);
	return 0;
}

static int get_raw(const json_t *o, struct txlog_tx *tx)
{
	const json_t *a = json_object_get(o, "raw");
	int r = json_is_array(a) && json_array_size(a) <= SENDER_ATTEMPTS_MAX ?
			0 :
			-EUCLEAN;

	for (size_t i = 0; r == 0 && i < json_array_size(a); i++) {
		buf_init(&tx->raw[i], ETH_TX_MAX);
		tx->n_raw++;
		r = json_hex_bytes(json_array_get(a, i), &tx->raw[i]);
	}
	return r;
}

int txlog_text_read(struct slice text, struct txlog_tx *tx)
{
	_cleanup_json_ json_t *o = NULL;
	struct sender_outcome *out = &tx->outcome;
	uint64_t state = 0, end = 0;
	int r = json_read(text, VALUES, &o);

	if (r == 0)
		r = get_raw(o, tx);
	if (r < 0)
		return r == -ENOMEM ? r : -EUCLEAN;
	r |= get_u64(o, "time", INT64_MAX, &tx->time);
	r |= get_u64(o, "state", TXLOG_OVER, &state);
	r |= get_text(o, "what", tx->what, sizeof(tx->what));
	r |= get_text(o, "text", tx->text, sizeof(tx->text));
	r |= get_sum(o, "amount", &tx->amount);
	r |= get_sum(o, "needs_fil", &tx->needs_fil);
	r |= get_u64(o, "end", SENDER_DISPLACED, &end);
	r |= get_u64(o, "block", INT64_MAX, &out->block);
	r |= json_hex_fixed(json_object_get(o, "hash"), out->hash,
			    sizeof(out->hash));
	r |= get_sum(o, "fee", &out->fee);
	r |= get_text(o, "why", out->err.text, sizeof(out->err.text));
	if (r)
		return -EUCLEAN;
	tx->state = (enum txlog_state)state;
	out->end = (enum sender_end)end;
	tx->told = json_is_true(json_object_get(o, "told"));
	return 0;
}

int txlog_text_make(const struct txlog_tx *tx, struct buf *to)
{
	_cleanup_json_ json_t *o = tx_json(tx);
	char *text = o ? json_dumps(o, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
	int r = text ? buf_append(to, slice_str(text)) : -ENOMEM;

	free(text);
	return r;
}
