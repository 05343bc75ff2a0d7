#include "daemon/history.h"

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "chain/amount.h"
#include "daemon/txlog.h"
#include "ledger/ledger.h"
#include "net/json.h"

static json_t *sum_json(struct u256 v)
{
	char text[AMOUNT_TEXT_MAX];

	amount_text(v, text);
	return json_string(text);
}

static json_t *hash_json(const struct sender_outcome *o)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, 80);
	if (o->end != SENDER_MINED && o->end != SENDER_REVERTED)
		return json_null();
	return json_put_hex(&b, slice(o->hash, sizeof(o->hash))) < 0 ||
			       buf_u8(&b, 0) < 0 ?
		       NULL :
		       json_string((const char *)b.p);
}

static const char *state_of(const struct txlog_tx *tx)
{
	if (tx->state == TXLOG_ARMED)
		return "waits for funds";
	if (tx->state == TXLOG_OPEN)
		return "under way";
	switch (tx->outcome.end) {
	case SENDER_MINED: return "done";
	case SENDER_REVERTED: return "refused";
	case SENDER_DISPLACED: return "replaced";
	case SENDER_OPEN: break;
	}
	return "unknown";
}

static int put(json_t *o, const char *key, json_t *v)
{
	return json_object_set_new(o, key, v);
}

/* Takes `hash` and `fee`. */
static int add(json_t *list, uint64_t time, const char *what, const char *text,
	       struct u256 amount, const char *state, json_t *hash, json_t *fee)
{
	json_t *o = json_object();
	int r = o ? 0 : -1;

	r |= put(o, "time", json_integer((json_int_t)time));
	r |= put(o, "what", json_string(what));
	r |= put(o, "text", json_string(text));
	r |= put(o, "amount", sum_json(amount));
	r |= put(o, "state", json_string(state));
	r |= put(o, "hash", hash);
	r |= put(o, "fee", fee);
	r |= json_array_append_new(list, o);
	return r ? -ENOMEM : 0;
}

int history_txs(const struct drive *d, const struct keys *k, json_t *list,
		struct err *reterr)
{
	_cleanup_txlog_ struct txlog *log = NULL;
	int r = txlog_open(d, k, TXLOG_WAIT_MS, &log, reterr);

	for (struct txlog_tx *tx = NULL; r == 0 && (tx = txlog_next(log, tx));)
		r = add(list, tx->time, tx->what, tx->text, tx->amount,
			state_of(tx), hash_json(&tx->outcome),
			sum_json(tx->outcome.fee));
	return r;
}

int history_spend(void *ctx, const struct ledger_spend *s)
{
	return add(ctx, s->time, "provider", s->text, u256_from_be(s->amount),
		   "done", json_null(), sum_json(U256_ZERO));
}

struct row {
	json_int_t time;
	size_t at;
	json_t *v;
};

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

int history_sort(json_t *list)
{
	size_t n = json_array_size(list);
	struct row *rows = calloc(MAX(n, 1), sizeof(*rows));
	int r = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_array_get(list, i);

		rows[i] = (struct row){ json_integer_value(json_object_get(v, "time")),
					i, json_incref(v) };
	}
	qsort(rows, n, sizeof(*rows), by_time);
	for (size_t i = 0; i < n; i++)
		r |= json_array_set_new(list, i, rows[i].v);
	free(rows);
	return r ? -ENOMEM : 0;
}
