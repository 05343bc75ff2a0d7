#include "chain/rpc_error.h"

#include <errno.h>
#include <strings.h>

#include "base/buf.h"

/* Where `what` begins in `in`, ASCII case ignored; NULL if nowhere. */
static const char *find(struct slice in, const char *what)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= in.n; i++)
		/* 0x20 is what case is made of: most places are not looked at */
		if (((in.p[i] ^ (uint8_t)what[0]) & ~0x20) == 0 &&
		    strncasecmp((const char *)in.p + i, what, n) == 0)
			return (const char *)in.p + i;
	return NULL;
}

static bool says_any(struct slice message, const char *const *words)
{
	for (; *words; words++)
		if (find(message, *words))
			return true;
	return false;
}

/* ---- revert data ---- */

static bool keep(struct rpc_error *e, struct slice hex)
{
	_cleanup_buf_ struct buf b = { 0 };

	buf_init(&b, sizeof(e->data));
	/* What is no hex, or too large, is not kept: the message remains. */
	if (json_hex_text(hex, &b) < 0 || b.n < 4)
		return false;
	memcpy(e->data, b.p, b.n);
	e->n_data = b.n;
	return true;
}

/* The hex digits that a text begins with, "0x" included. */
static struct slice hex_at(const char *p, const char *end)
{
	const char *s = p;

	if (end - s < 2 || s[0] != '0' || s[1] != 'x')
		return SLICE_NONE;
	s += 2;
	while (s < end && strchr("0123456789abcdefABCDEF", *s) && *s)
		s++;
	return slice(p, (size_t)(s - p));
}

/* "Reverted 0x…" (OpenEthereum) and "0x…" */
static bool data_from_string(struct rpc_error *e, struct slice text)
{
	static const char reverted[] = "Reverted ";

	if (text.n >= sizeof(reverted) - 1 &&
	    memcmp(text.p, reverted, sizeof(reverted) - 1) == 0)
		text = slice(text.p + sizeof(reverted) - 1,
			     text.n - (sizeof(reverted) - 1));
	return keep(e, text);
}

/* {"data": "0x…"}, {"originalError": {"data": "0x…"}}, {"result": "0x…"}:
 * bounded by the depth that json_read() lets through. */
static bool data_from(struct rpc_error *e, const json_t *v)
{
	static const char *const names[] = { "data", "originalError", "result",
					     "error" };

	if (json_is_string(v))
		return data_from_string(e, slice(json_string_value(v),
						 json_string_length(v)));
	if (!json_is_object(v))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (data_from(e, json_object_get(v, names[i])))
			return true;
	return false;
}

static void data_from_message(struct rpc_error *e, struct slice message)
{
	static const char *const marks[] = { "vm error=[", "revert reason=[" };
	const char *end, *at;

	if (message.n == 0)
		return;
	end = (const char *)message.p + message.n;
	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		at = find(message, marks[i]);
		if (at && keep(e, hex_at(at + strlen(marks[i]), end)))
			return;
	}
}

/* ---- classes ---- */

static const char *const reverted_words[] = {
	"execution reverted", "exit=[33]",
	"contract reverted",  "vm error=[",
	"vm execution error", "transaction reverted",
	"RetCode=33",         NULL
};

static const char *const busy_words[] = { "rate limit",    "too many requests",
					  "request limit", "limit exceeded",
					  "over capacity", "exceeded the quota",
					  "throttled",     NULL };

/* A node that is behind, upgrading, or has thrown the state away. */
static const char *const elsewhere_words[] = { "state fork",
					       "header not found",
					       "missing trie node",
					       "bad tipset height",
					       "lookbacks of more than",
					       "not synced",
					       "syncing",
					       "timeout",
					       "timed out",
					       "deadline exceeded",
					       "context canceled",
					       "temporarily unavailable",
					       "service unavailable",
					       "connection refused",
					       "internal error",
					       "server is busy",
					       NULL };

static enum rpc_class class_of(const struct rpc_error *e, struct slice message)
{
	if (e->n_data || says_any(message, reverted_words))
		return RPC_CLASS_REVERTED;
	if (e->code == 429 || e->code == -32005 || e->code == -32029 ||
	    says_any(message, busy_words))
		return RPC_CLASS_BUSY;
	if (e->code == -32601 || e->code == -32004 ||
	    says_any(message, elsewhere_words))
		return RPC_CLASS_ELSEWHERE;
	return RPC_CLASS_FINAL;
}

static void keep_message(struct rpc_error *e, struct slice message)
{
	size_t n = 0;

	for (size_t i = 0; i < message.n && n + 1 < sizeof(e->message); i++) {
		uint8_t c = message.p[i];

		if (c == '\n' || c == '\r' || c == '\t')
			c = ' ';
		if (c == ' ' && (n == 0 || e->message[n - 1] == ' '))
			continue;
		e->message[n++] = c < ' ' || c > '~' ? '?' : (char)c;
	}
	e->message[n] = '\0';
}

void rpc_error_from_text(struct slice message, struct rpc_error *ret)
{
	*ret = (struct rpc_error){ 0 };
	keep_message(ret, message);
	data_from_message(ret, message);
	ret->cls = class_of(ret, message);
}

int rpc_error_read(const json_t *v, struct rpc_error *ret)
{
	const json_t *code = json_object_get(v, "code");
	const json_t *text = json_object_get(v, "message");
	struct slice message;

	if (!json_is_object(v) || (code && !json_is_integer(code)) ||
	    (text && !json_is_string(text)) || (!code && !text))
		return -EPROTO;
	*ret = (struct rpc_error){ .code = json_integer_value(code) };
	message = slice(json_string_value(text), json_string_length(text));
	keep_message(ret, message);
	if (!data_from(ret, json_object_get(v, "data")))
		data_from_message(ret, message);
	ret->cls = class_of(ret, message);
	return 0;
}
