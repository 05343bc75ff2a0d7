#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#define BUF_MIN 64 /* bytes: first allocation */

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b)
{
	b->n = 0;
}

int buf_grow(struct buf *b, size_t n, uint8_t **ret)
{
	size_t cap = b->cap;
	uint8_t *p;

	assert(b->max > 0);
	if (n > b->max - b->n)
		return -EMSGSIZE;
	if (b->n + n > cap) {
		cap = cap ? cap : BUF_MIN;
		while (cap < b->n + n)
			cap *= 2;
		cap = MIN(cap, b->max);
		p = realloc(b->p, cap);
		if (!p)
			return -ENOMEM;
		b->p = p;
		b->cap = cap;
	}
	*ret = b->p ? b->p + b->n : b->p;
	b->n += n;
	return 0;
}

int buf_append(struct buf *b, struct slice s)
{
	uint8_t *p;
	int r;

	r = buf_grow(b, s.n, &p);
	if (r < 0)
		return r;
	if (s.n)
		memcpy(p, s.p, s.n);
	return 0;
}

int buf_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, slice(&v, 1));
}

int buf_le32(struct buf *b, uint32_t v)
{
	uint8_t t[4];

	put_le32(t, v);
	return buf_append(b, slice(t, sizeof(t)));
}

int buf_le64(struct buf *b, uint64_t v)
{
	uint8_t t[8];

	put_le64(t, v);
	return buf_append(b, slice(t, sizeof(t)));
}

int buf_varint(struct buf *b, uint64_t v)
{
	uint8_t t[10];
	size_t n = 0;

	while (v >= 0x80) {
		t[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	t[n++] = (uint8_t)v;
	return buf_append(b, slice(t, n));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *p;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buf_grow(b, (size_t)n + 1, &p);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap); /* sized above */
	va_end(ap);
	b->n--; /* the NUL stays behind the end */
	return 0;
}
