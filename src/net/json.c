#include "net/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* Nesting and a bound on values, strings skipped; whether it is JSON at all is
 * jansson's to say. */
static int measure(struct slice text, size_t n_values)
{
	bool in_string = false;
	size_t depth = 0, values = 1;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		switch (c) {
		case '"': in_string = true; break;
		case '[':
		case '{':
			depth++;
			values++;
			break;
		case ']':
		case '}':
			if (depth == 0)
				return -EPROTO;
			depth--;
			break;
		case ',':
		case ':': values++; break;
		default: break;
		}
		if (depth > JSON_DEPTH_MAX || values > n_values)
			return -EMSGSIZE;
	}
	return 0;
}

int json_read(struct slice text, size_t n_values, json_t **ret)
{
	json_error_t e;
	json_t *v;
	int r;

	r = measure(text, n_values);
	if (r < 0)
		return r;
	v = json_loadb((const char *)text.p, text.n,
		       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!v)
		return json_error_code(&e) == json_error_out_of_memory ? -ENOMEM :
									 -EPROTO;
	*ret = v;
	return 0;
}

static bool is_digit(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	       (c >= 'A' && c <= 'F');
}

/* What is_digit() let pass. */
static unsigned digit(uint8_t c)
{
	return c <= '9' ? c - (unsigned)'0' : (c | 0x20u) - 'a' + 10;
}

/* The digits behind "0x"; -EPROTO if one is none. */
static int digits_of(struct slice text, struct slice *ret)
{
	if (text.n < 2 || text.p[0] != '0' || (text.p[1] | 0x20) != 'x')
		return -EPROTO;
	for (size_t i = 2; i < text.n; i++)
		if (!is_digit(text.p[i]))
			return -EPROTO;
	*ret = slice(text.p + 2, text.n - 2);
	return 0;
}

static struct slice text_of(const json_t *v)
{
	if (!json_is_string(v))
		return SLICE_NONE;
	return slice(json_string_value(v), json_string_length(v));
}

int json_hex_number(const json_t *v, uint8_t *dst, size_t n)
{
	struct slice d;
	int r;

	r = digits_of(text_of(v), &d);
	if (r < 0)
		return r;
	if (d.n == 0)
		return -EPROTO;
	while (d.n > 1 && d.p[0] == '0')
		d = slice(d.p + 1, d.n - 1);
	if (d.n > 2 * n)
		return -ERANGE;
	memset(dst, 0, n);
	for (size_t i = 0; i < d.n; i++) {
		size_t nibble = d.n - 1 - i;

		dst[n - 1 - nibble / 2] |=
			(uint8_t)(digit(d.p[i]) << 4 * (nibble % 2));
	}
	return 0;
}

int json_hex_u64(const json_t *v, uint64_t *ret)
{
	uint64_t value = 0;
	uint8_t be[8];
	int r;

	r = json_hex_number(v, be, sizeof(be));
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(be); i++)
		value = value << 8 | be[i];
	*ret = value;
	return 0;
}

static void unhex(struct slice digits, uint8_t *dst)
{
	for (size_t i = 0; i < digits.n / 2; i++)
		dst[i] = (uint8_t)(digit(digits.p[2 * i]) << 4 |
				   digit(digits.p[2 * i + 1]));
}

int json_hex_fixed(const json_t *v, uint8_t *dst, size_t n)
{
	struct slice d;
	int r;

	r = digits_of(text_of(v), &d);
	if (r < 0)
		return r;
	if (d.n != 2 * n)
		return -EPROTO;
	unhex(d, dst);
	return 0;
}

int json_hex_text(struct slice text, struct buf *to)
{
	struct slice d;
	uint8_t *dst;
	int r;

	r = digits_of(text, &d);
	if (r < 0)
		return r;
	if (d.n % 2)
		return -EPROTO;
	if (d.n == 0)
		return 0;
	r = buf_grow(to, d.n / 2, &dst);
	if (r < 0)
		return r;
	unhex(d, dst);
	return 0;
}

int json_hex_bytes(const json_t *v, struct buf *to)
{
	return json_hex_text(text_of(v), to);
}

int json_put_hex(struct buf *to, struct slice bytes)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *p;
	int r;

	r = buf_append(to, slice_str("0x"));
	if (r < 0 || bytes.n == 0)
		return r;
	r = buf_grow(to, 2 * bytes.n, &p);
	if (r < 0)
		return r;
	for (size_t i = 0; i < bytes.n; i++) {
		p[2 * i] = (uint8_t)digits[bytes.p[i] >> 4];
		p[2 * i + 1] = (uint8_t)digits[bytes.p[i] & 15];
	}
	return 0;
}

/* Bytes of the character that `s` begins with, by what jansson takes; 0: none. */
static size_t character(const char *s)
{
	for (size_t n = 1; n <= 4 && s[n - 1]; n++) {
		json_t *one = json_stringn(s, n);

		json_decref(one);
		if (one)
			return n;
	}
	return 0;
}

json_t *json_text(const char *s)
{
	json_t *v = json_string(s);
	_cleanup_free_ char *text = NULL;
	char *to;

	if (v)
		return v;
	text = to = malloc(4 * strlen(s) + 1);
	if (!text)
		return NULL;
	while (*s) {
		size_t n = character(s);

		if (n) {
			memcpy(to, s, n);
			s += n;
			to += n;
		} else {
			to += snprintf(to, 5, "\\x%02x", (uint8_t)*s++);
		}
	}
	*to = '\0';
	return json_string(text);
}
