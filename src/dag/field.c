#include "dag/field.h"

#include <errno.h>

#include "base/buf.h"

#define FIELD_NUM_MAX 0x1fffffffu /* protobuf's limit */

size_t field_varint_size(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

uint64_t field_varint(struct cursor *c)
{
	size_t before = c->n;
	uint64_t v = cursor_pbvarint(c);

	if (!c->err && before - c->n != field_varint_size(v))
		cursor_fail(c, -EPROTO);
	return c->err ? 0 : v;
}

static bool may_follow(const struct field_reader *r, uint64_t num)
{
	if (num == 0 || num > FIELD_NUM_MAX || num < r->last)
		return false;
	if (num > r->last)
		return true;
	return num >= 64 || (r->repeated >> num & 1);
}

bool field_next(struct field_reader *r, struct field *ret)
{
	struct field f = { 0 };
	uint64_t tag;

	if (r->c.err || r->c.n == 0)
		return false;
	tag = field_varint(&r->c);
	if (r->c.err || !may_follow(r, tag >> 3)) {
		cursor_fail(&r->c, -EPROTO);
		return false;
	}
	f.num = (uint32_t)(tag >> 3);
	if ((tag & 7) == FIELD_VARINT) {
		f.wire = FIELD_VARINT;
		f.v = field_varint(&r->c);
	} else if ((tag & 7) == FIELD_BYTES) {
		f.wire = FIELD_BYTES;
		f.bytes = cursor_take(&r->c, field_varint(&r->c));
	} else {
		cursor_fail(&r->c, -EPROTO);
	}
	if (r->c.err)
		return false;
	r->last = f.num;
	*ret = f;
	return true;
}

uint64_t field_num(struct field_reader *r, const struct field *f, uint64_t max)
{
	if (f->wire != FIELD_VARINT || f->v == 0 || f->v > max) {
		field_fail(r);
		return 0;
	}
	return f->v;
}

int64_t field_sint(struct field_reader *r, const struct field *f)
{
	uint64_t v = field_num(r, f, UINT64_MAX);

	return (int64_t)(v >> 1 ^ -(v & 1));
}

struct slice field_bytes(struct field_reader *r, const struct field *f,
			 size_t min, size_t max)
{
	if (f->wire != FIELD_BYTES || f->bytes.n < min || f->bytes.n > max) {
		field_fail(r);
		return SLICE_NONE;
	}
	return f->bytes;
}

void field_copy(struct field_reader *r, const struct field *f, void *dst, size_t n)
{
	struct slice s = field_bytes(r, f, n, n);

	if (s.p)
		memcpy(dst, s.p, n);
	else
		memset(dst, 0, n);
}

void field_fail(struct field_reader *r)
{
	cursor_fail(&r->c, -EPROTO);
}

int field_done(const struct field_reader *r)
{
	return cursor_done(&r->c);
}

static int put_tag(struct buf *b, uint32_t num, enum field_wire wire)
{
	return buf_varint(b, (uint64_t)num << 3 | wire);
}

int field_put_num(struct buf *b, uint32_t num, uint64_t v)
{
	int r;

	if (v == 0)
		return 0;
	r = put_tag(b, num, FIELD_VARINT);
	if (r < 0)
		return r;
	return buf_varint(b, v);
}

int field_put_sint(struct buf *b, uint32_t num, int64_t v)
{
	return field_put_num(b, num, (uint64_t)v << 1 ^ -((uint64_t)v >> 63));
}

int field_put_bytes(struct buf *b, uint32_t num, struct slice s)
{
	int r;

	if (s.n == 0)
		return 0;
	r = put_tag(b, num, FIELD_BYTES);
	if (r < 0)
		return r;
	r = buf_varint(b, s.n);
	if (r < 0)
		return r;
	return buf_append(b, s);
}

int field_wrap(struct buf *b, uint32_t num, size_t mark)
{
	size_t n = b->n - mark;
	uint64_t tag = (uint64_t)num << 3 | FIELD_BYTES;
	size_t head = field_varint_size(tag) + field_varint_size(n);
	uint8_t *p;
	int r;

	/* Make room behind, move the record there, write the head in front. */
	r = buf_grow(b, head, &p);
	if (r < 0)
		return r;
	memmove(b->p + mark + head, b->p + mark, n);
	b->n = mark;
	r = buf_varint(b, tag);
	if (r < 0)
		return r;
	r = buf_varint(b, n);
	b->n = mark + head + n;
	return r;
}
