#include "daemon/lines.h"

void lines_init(struct lines *l, size_t max)
{
	buf_init(&l->buf, max);
	l->at = 0;
}

void lines_fini(struct lines *l)
{
	buf_fini(&l->buf);
	l->at = 0;
}

int lines_feed(struct lines *l, struct slice s)
{
	if (l->at) {
		memmove(l->buf.p, l->buf.p + l->at, l->buf.n - l->at);
		l->buf.n -= l->at;
		l->at = 0;
	}
	return buf_append(&l->buf, s);
}

bool lines_next(struct lines *l, struct slice *ret)
{
	const uint8_t *start, *end;

	if (l->at == l->buf.n)
		return false;
	start = l->buf.p + l->at;
	end = memchr(start, '\n', l->buf.n - l->at);
	if (!end)
		return false;
	*ret = slice(start, (size_t)(end - start));
	l->at += ret->n + 1;
	return true;
}
