#include "chain/rlp.h"

#include <errno.h>

#include "base/buf.h"

#define STRING   0x80
#define LIST     0xc0
#define SHORT    55 /* bytes whose length fits into the first */
#define ITEM_MAX (1ull << 32)

static int put_head(struct buf *b, uint8_t kind, size_t n)
{
	uint8_t len[U256_SIZE];
	size_t n_len;
	int r;

	if (n <= SHORT)
		return buf_u8(b, (uint8_t)(kind + n));
	n_len = u256_to_be_short(u256(n), len);
	r = buf_u8(b, (uint8_t)(kind + SHORT + n_len));
	return r < 0 ? r : buf_append(b, slice(len, n_len));
}

int rlp_put_bytes(struct buf *b, struct slice s)
{
	int r = 0;

	if (s.n != 1 || s.p[0] >= STRING)
		r = put_head(b, STRING, s.n);
	return r < 0 ? r : buf_append(b, s);
}

int rlp_put_u256(struct buf *b, struct u256 v)
{
	uint8_t be[U256_SIZE];

	return rlp_put_bytes(b, slice(be, u256_to_be_short(v, be)));
}

int rlp_put_u64(struct buf *b, uint64_t v)
{
	return rlp_put_u256(b, u256(v));
}

int rlp_put_list(struct buf *b, struct slice items)
{
	int r;

	r = put_head(b, LIST, items.n);
	return r < 0 ? r : buf_append(b, items);
}

bool rlp_is_list(const struct cursor *c)
{
	return !c->err && c->n && c->p[0] >= LIST;
}

/* The content of an item of `kind` whose first byte has been read. */
static struct slice content(struct cursor *c, uint8_t kind, uint8_t first)
{
	uint64_t n = (uint64_t)first - kind;
	struct slice len;

	if (n > SHORT) {
		len = cursor_take(c, n - SHORT);
		n = 0;
		if (!len.n || !len.p[0])
			cursor_fail(c, -EPROTO);
		for (size_t i = 0; i < len.n; i++)
			n = n << 8 | len.p[i];
		if (n <= SHORT || n > ITEM_MAX)
			cursor_fail(c, -EPROTO);
	}
	return cursor_take(c, n);
}

struct slice rlp_get_bytes(struct cursor *c)
{
	struct cursor before = *c;
	uint8_t first = cursor_u8(c);
	struct slice s;

	if (first < STRING)
		return cursor_take(&before, 1); /* empty after an error */
	if (first >= LIST) {
		cursor_fail(c, -EPROTO);
		return SLICE_NONE;
	}
	s = content(c, STRING, first);
	if (s.n == 1 && s.p[0] < STRING) {
		cursor_fail(c, -EPROTO);
		return SLICE_NONE;
	}
	return s;
}

struct u256 rlp_get_u256(struct cursor *c)
{
	struct slice s = rlp_get_bytes(c);
	struct u256 v = U256_ZERO;

	if ((s.n && !s.p[0]) || u256_from_be_short(s, &v) < 0)
		cursor_fail(c, -EPROTO);
	return c->err ? U256_ZERO : v;
}

uint64_t rlp_get_u64(struct cursor *c)
{
	struct u256 v = rlp_get_u256(c);

	if (!u256_fits_u64(v)) {
		cursor_fail(c, -EPROTO);
		return 0;
	}
	return v.w[0];
}

struct cursor rlp_get_list(struct cursor *c)
{
	uint8_t first = cursor_u8(c);
	struct cursor items;

	if (first < LIST)
		cursor_fail(c, -EPROTO);
	items = cursor(c->err ? SLICE_NONE : content(c, LIST, first));
	items.err = c->err;
	return items;
}
