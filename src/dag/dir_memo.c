/* dir_memo.c - what the next build of a large directory may know (dir.h) */
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "dag/dir.h"
#include "dag/dir_impl.h"

void dir_memo_free(struct dir_memo *m)
{
	free(m);
}

static int encode_sub(const struct dag_root *sub, struct buf *b)
{
	int r = link_encode(&sub->link, b);

	if (r == 0)
		r = buf_varint(b, sub->size);
	return r < 0 ? r : buf_varint(b, sub->tsize);
}

int dir_memo_encode(const struct dir_memo *m, struct buf *b)
{
	int r = 0;

	for (size_t i = 0; i < DIR_LARGE_FANOUT && r == 0; i++) {
		const struct dir_memo_top *t = &m->tops[i];

		r = buf_varint(b, t->n);
		if (r == 0 && t->n > 0)
			r = buf_append(b, slice(t->sum, sizeof(t->sum)));
		if (r == 0 && t->n > 1)
			r = encode_sub(&t->sub, b);
	}
	return r;
}

static int decode_sub(struct cursor *c, struct dag_root *ret)
{
	int r = link_decode(c, &ret->link);

	if (r < 0)
		return r;
	ret->size = cursor_varint(c);
	ret->tsize = cursor_varint(c);
	return cursor_ok(c);
}

int dir_memo_decode(struct cursor *c, struct dir_memo **ret)
{
	struct dir_memo *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < DIR_LARGE_FANOUT && r == 0; i++) {
		struct dir_memo_top *t = &m->tops[i];

		t->n = cursor_varint(c);
		if (t->n > 0)
			cursor_copy(c, t->sum, sizeof(t->sum));
		r = t->n > 1 ? decode_sub(c, &t->sub) : cursor_ok(c);
	}
	if (r < 0) {
		free(m);
		return r == -ENOMEM ? r : -EPROTO;
	}
	*ret = m;
	return 0;
}
