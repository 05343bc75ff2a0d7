#include "car_read.h"

#include <errno.h>

#include "dag/car.h"

#define CBOR_TAG_CID    42
#define CAR_ROOTS_MAX   256
#define CAR_SECTION_MAX (CAR_BLOCK_MAX + CID_BYTES_MAX)

/* The value of a CBOR head of a given major type, in its shortest form. */
static uint64_t cbor_head(struct cursor *c, unsigned major)
{
	uint8_t b = cursor_u8(c);
	uint64_t v = b & 31, min = 24;
	struct slice s;

	if (b >> 5 != major || v > 26)
		cursor_fail(c, -EPROTO);
	if (v < 24 || c->err)
		return v;
	s = cursor_take(c, (uint64_t)1 << (v - 24));
	min = v == 24 ? 24 : v == 25 ? 256 : 65536;
	v = 0;
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	if (v < min)
		cursor_fail(c, -EPROTO);
	return v;
}

static void expect(struct cursor *c, const char *text)
{
	struct slice want = slice_str(text);

	if (!slice_eq(cursor_take(c, want.n), want))
		cursor_fail(c, -EPROTO);
}

static int parse_header(struct slice s, struct car_header *ret)
{
	struct car_header t = { .n_roots = 0 };
	struct cursor c = cursor(s);
	struct slice bytes;
	struct cid cid;
	uint64_t n;

	expect(&c, "\xa2\x65roots");
	n = cbor_head(&c, 4);
	if (n > CAR_ROOTS_MAX)
		return c.err ? c.err : -EMSGSIZE;
	for (uint64_t i = 0; i < n && !c.err; i++) {
		if (cbor_head(&c, 6) != CBOR_TAG_CID)
			cursor_fail(&c, -EPROTO);
		bytes = cursor_take(&c, cbor_head(&c, 2));
		if (c.err || bytes.n < 1 || bytes.p[0] != 0 ||
		    cid_parse(slice(bytes.p + 1, bytes.n - 1), &cid) < 0)
			cursor_fail(&c, -EPROTO);
		else if (i == 0)
			t.root = cid;
	}
	expect(&c, "\x67version\x01");
	if (cursor_done(&c) < 0)
		return cursor_done(&c);

	t.n_roots = (uint32_t)n;
	*ret = t;
	return 0;
}

/* The length of a header or section. */
static uint64_t read_len(struct cursor *c, uint64_t max)
{
	uint64_t n = cursor_varint(c);

	if (n > max)
		cursor_fail(c, -EMSGSIZE);
	return n;
}

int car_read_header(struct cursor *c, struct car_header *ret)
{
	struct slice s = cursor_take(c, read_len(c, CAR_HEADER_MAX));

	if (c->err)
		return c->err;
	return parse_header(s, ret);
}

/* A section's CID and block; `s` is what its length varint counts. */
static int parse_section(struct slice s, struct cid *ret_cid, struct slice *ret_block)
{
	struct cursor c = cursor(s);
	struct cid cid = { 0 };

	cid_read(&c, &cid);
	if (c.err)
		return c.err;
	if (c.n > CAR_BLOCK_MAX)
		return -EMSGSIZE;
	*ret_cid = cid;
	*ret_block = slice(c.p, c.n);
	return 0;
}

int car_read_section(struct cursor *c, struct cid *ret_cid,
		     struct slice *ret_block, struct car_section *ret_sect)
{
	size_t before = c->n;
	struct slice s;
	uint64_t n;
	int r;

	if (c->err)
		return c->err;
	if (!c->n)
		return 0;
	n = read_len(c, CAR_SECTION_MAX);
	if (!c->err && n == 0)
		return 0;
	s = cursor_take(c, n);
	if (c->err)
		return c->err;
	r = parse_section(s, ret_cid, ret_block);
	if (r < 0) {
		cursor_fail(c, r);
		return r;
	}
	*ret_sect = (struct car_section){ .len = (uint32_t)(before - c->n),
					  .block_off = (uint32_t)(before - c->n -
								  ret_block->n) };
	return 1;
}
