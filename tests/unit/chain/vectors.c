#include "vectors.h"

#include <stdio.h>

#include "base/err.h"
#include "crypto/secret.h"

json_t *vectors_load(const char *name)
{
	const char *dir = getenv("FILDRIVE_VECTORS");
	char path[4096];
	json_t *o;

	assert_non_null(dir);
	(void)snprintf(path, sizeof(path), "%s/filecoin/%s", dir, name);
	o = json_load_file(path, 0, NULL);
	assert_non_null(o);
	return o;
}

const json_t *vectors_get(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!v)
		print_error("no member %s\n", key);
	assert_non_null(v);
	return v;
}

const char *vectors_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(vectors_get(o, key));

	assert_non_null(s);
	return s;
}

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = strchr(digits, c | 0x20);

	assert_true(c && at);
	return (int)(at - digits);
}

struct buf vectors_unhex(const char *hex)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	if (hex[0] == '0' && hex[1] == 'x')
		hex += 2;
	assert_int_equal(strlen(hex) % 2, 0);
	for (; *hex; hex += 2)
		assert_int_equal(
			buf_u8(&b, (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]))),
			0);
	return b;
}

struct buf vectors_hex(const json_t *o, const char *key)
{
	return vectors_unhex(vectors_str(o, key));
}

struct u256 vectors_u256(const json_t *o, const char *key)
{
	const json_t *v = vectors_get(o, key);
	struct u256 n;

	if (json_is_integer(v))
		return u256((uint64_t)json_integer_value(v));
	assert_int_equal(u256_from_text(slice_str(vectors_str(o, key)), &n), 0);
	return n;
}

struct address vectors_address(const json_t *o, const char *key)
{
	struct err e = { "" };
	struct address a;

	assert_int_equal(address_parse(slice_str(vectors_str(o, key)), &a, &e), 0);
	return a;
}

struct address party(uint8_t i)
{
	struct address a = ADDRESS_NONE;

	a.b[ADDRESS_SIZE - 1] = i;
	return a;
}

void assert_slice_hex(struct slice got, const char *hex)
{
	struct buf want = vectors_unhex(hex);

	assert_int_equal(got.n, want.n);
	if (want.n)
		assert_memory_equal(got.p, want.p, want.n);
	buf_fini(&want);
}

void assert_u256_text(struct u256 got, const char *decimal)
{
	char text[U256_TEXT_MAX];

	u256_text(got, text);
	assert_string_equal(text, decimal);
}

struct secret *vectors_key(void)
{
	struct secret *s = NULL;
	uint8_t bytes[SECRET_SIZE];

	memset(bytes, 1, sizeof(bytes));
	assert_int_equal(secret_new(bytes, &s), 0);
	return s;
}
