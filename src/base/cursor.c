#include "base/cursor.h"

#include <errno.h>

void cursor_fail(struct cursor *c, int err)
{
	if (!c->err)
		c->err = err;
	c->n = 0;
}

struct slice cursor_take(struct cursor *c, uint64_t n)
{
	struct slice s;

	if (c->err || n > c->n) {
		cursor_fail(c, -EPROTO);
		return SLICE_NONE;
	}
	s = slice(c->p, (size_t)n);
	if (n) {
		c->p += n;
		c->n -= (size_t)n;
	}
	return s;
}

void cursor_copy(struct cursor *c, void *dst, size_t n)
{
	struct slice s = cursor_take(c, n);

	if (c->err)
		memset(dst, 0, n);
	else if (n)
		memcpy(dst, s.p, n);
}

uint8_t cursor_u8(struct cursor *c)
{
	struct slice s = cursor_take(c, 1);

	return s.n ? s.p[0] : 0;
}

uint32_t cursor_le32(struct cursor *c)
{
	struct slice s = cursor_take(c, 4);

	return s.n ? get_le32(s.p) : 0;
}

uint64_t cursor_le64(struct cursor *c)
{
	struct slice s = cursor_take(c, 8);

	return s.n ? get_le64(s.p) : 0;
}

uint64_t cursor_varint(struct cursor *c)
{
	uint64_t v = 0;
	uint8_t b;

	for (unsigned i = 0; i < 9; i++) {
		b = cursor_u8(c);
		if (c->err)
			return 0;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		if (b == 0 && i > 0)
			break; /* not minimal */
		return v;
	}
	cursor_fail(c, -EPROTO);
	return 0;
}

uint64_t cursor_pbvarint(struct cursor *c)
{
	uint64_t v = 0;
	uint8_t b;

	for (unsigned i = 0; i < 10; i++) {
		b = cursor_u8(c);
		if (c->err || (i == 9 && b > 1))
			break;
		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (!(b & 0x80))
			return v;
	}
	cursor_fail(c, -EPROTO);
	return 0;
}

int cursor_ok(const struct cursor *c)
{
	return c->err;
}

int cursor_done(const struct cursor *c)
{
	if (c->err)
		return c->err;
	return c->n ? -EPROTO : 0;
}
