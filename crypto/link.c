#include "crypto/link.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"

int link_encode(const struct link *l, struct buf *b)
{
	uint8_t t[LINK_ENCODED_MAX] = { (uint8_t)l->kind, (uint8_t)l->codec };
	size_t n = 2;

	if (l->kind == LINK_NONE)
		t[1] = 0;
	if (l->kind == LINK_SEALED) {
		memcpy(t + 2, l->digest, LINK_DIGEST_SIZE);
		memcpy(t + 34, l->key, LINK_KEY_SIZE);
		put_le64(t + 66, l->place.piece);
		put_le64(t + 74, l->place.off);
		put_le32(t + 82, l->place.len);
		n = 86;
	} else if (l->kind == LINK_IDENTITY) {
		t[2] = l->n_inline;
		memcpy(t + 3, l->bytes, l->n_inline);
		n = 3 + (size_t)l->n_inline;
	} else if (l->kind == LINK_PLAIN) {
		memcpy(t + 2, l->digest, LINK_DIGEST_SIZE);
		n = 34;
	}
	return buf_append(b, slice(t, n));
}

int link_decode(struct cursor *c, struct link *ret)
{
	uint8_t kind = cursor_u8(c);
	uint8_t codec = cursor_u8(c);
	struct link l = { .kind = kind, .codec = codec };

	if (kind > LINK_PLAIN || (kind == LINK_NONE && codec != 0) ||
	    (kind != LINK_NONE && codec != LINK_RAW && codec != LINK_DAGPB))
		cursor_fail(c, -EPROTO);
	if (kind == LINK_SEALED) {
		cursor_copy(c, l.digest, LINK_DIGEST_SIZE);
		cursor_copy(c, l.key, LINK_KEY_SIZE);
		l.place.piece = cursor_le64(c);
		l.place.off = cursor_le64(c);
		l.place.len = cursor_le32(c);
	} else if (kind == LINK_IDENTITY) {
		l.n_inline = cursor_u8(c);
		if (l.n_inline > LINK_INLINE_MAX)
			cursor_fail(c, -EPROTO);
		else
			cursor_copy(c, l.bytes, l.n_inline);
	} else if (kind == LINK_PLAIN) {
		cursor_copy(c, l.digest, LINK_DIGEST_SIZE);
	}
	if (cursor_ok(c) < 0)
		return cursor_ok(c);
	*ret = l;
	return 0;
}

bool link_same(const struct link *a, const struct link *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == LINK_NONE)
		return true;
	if (a->codec != b->codec)
		return false;
	if (a->kind == LINK_IDENTITY)
		return slice_eq(slice(a->bytes, a->n_inline),
				slice(b->bytes, b->n_inline));
	return slice_eq(slice(a->digest, LINK_DIGEST_SIZE),
			slice(b->digest, LINK_DIGEST_SIZE)) &&
	       slice_eq(slice(a->key, LINK_KEY_SIZE), slice(b->key, LINK_KEY_SIZE));
}
