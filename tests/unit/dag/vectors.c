#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "dag/multibase.h"

json_t *vectors_load(const char *name)
{
	const char *dir = getenv("FILDRIVE_VECTORS");
	char path[4096];
	json_error_t e;
	json_t *j;

	if (!dir)
		fail_msg("FILDRIVE_VECTORS is not set: run under meson test");
	(void)snprintf(path, sizeof(path), "%s/ipfs/%s", dir, name);
	j = json_load_file(path, 0, &e);
	if (!j)
		fail_msg("%s: %s", path, e.text);
	return j;
}

const char *vectors_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	if (!s)
		fail_msg("no string %s", key);
	return s;
}

uint64_t vectors_u64(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v))
		fail_msg("no number %s", key);
	return (uint64_t)json_integer_value(v);
}

void vectors_hex(const char *hex, struct buf *b)
{
	size_t n = strlen(hex);
	char two[3] = { 0 };
	char *end;

	assert_int_equal(n % 2, 0);
	for (size_t i = 0; i < n; i += 2) {
		memcpy(two, hex + i, 2);
		assert_int_equal(buf_u8(b, (uint8_t)strtoul(two, &end, 16)), 0);
		assert_true(*end == 0);
	}
}

void vectors_assert_cid(const struct cid *got, const char *want, const char *what)
{
	char text[CID_TEXT_MAX];

	cid_text(got, text);
	if (strcmp(text, want) != 0)
		fail_msg("%s: got %s, want %s", what, text, want);
}
