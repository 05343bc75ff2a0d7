#include "daemon/answer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

int answer_read(struct slice line, json_t **ret)
{
	_cleanup_json_ json_t *o = NULL;
	int r = json_read(line, ANSWER_VALUES_MAX, &o);

	if (r < 0)
		return r;
	if (!json_is_object(o))
		return -EPROTO;
	*ret = steal(&o);
	return 0;
}

int answer_end(const json_t *line, struct err *reterr)
{
	const char *why = json_string_value(json_object_get(line, "error"));
	json_int_t code = json_integer_value(json_object_get(line, "errno"));
	int r;

	if (json_object_get(line, "progress"))
		return 1;
	if (json_is_true(json_object_get(line, "ok")))
		return 0;
	r = code > 0 && code < 4096 ? -(int)code : -EPROTO;
	return err_set(reterr, r, "%.250s", why && why[0] ? why : err_str(r));
}

int answer_count(const json_t *line, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(line, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0)
		return -EPROTO;
	*ret = (uint64_t)n;
	return 0;
}

char *answer_mountpoint(const json_t *status)
{
	const json_t *hex = json_object_get(status, "mountpoint_bytes");
	const char *text = json_string_value(json_object_get(status, "mountpoint"));
	_cleanup_buf_ struct buf path = { 0 };

	if (!hex)
		return text ? strdup(text) : NULL;
	buf_init(&path, PATH_MAX + 1);
	if (json_hex_bytes(hex, &path) < 0 || buf_u8(&path, 0) < 0)
		return NULL;
	return (char *)steal(&path.p);
}
