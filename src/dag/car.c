#include "dag/car.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "dag/dagpb.h"

/* Deterministic CBOR heads of the header. */
#define CBOR_TAG_CID 42

static int put_cbor_bytes_head(struct buf *b, size_t n)
{
	const uint8_t mid[] = { 0x58, (uint8_t)n };

	assert(n < 256);
	return n < 24 ? buf_u8(b, (uint8_t)(0x40 | n)) :
			buf_append(b, slice(mid, 2));
}

int car_header_encode(const struct cid *root, struct buf *b)
{
	_cleanup_buf_ struct buf t = { .max = CAR_HEADER_MAX };
	uint8_t bytes[CID_BYTES_MAX];
	size_t n = cid_bytes(root, bytes);
	int r;

	/* {"roots": [42(h'00' + CID)], "version": 1} */
	r = buf_append(&t, slice_str("\xa2\x65roots\x81\xd8\x2a"));
	if (r == 0)
		r = put_cbor_bytes_head(&t, n + 1);
	if (r == 0)
		r = buf_u8(&t, 0);
	if (r == 0)
		r = buf_append(&t, slice(bytes, n));
	if (r == 0)
		r = buf_append(&t, slice_str("\x67version\x01"));
	if (r < 0)
		return r;
	r = buf_varint(b, t.n);
	return r < 0 ? r : buf_append(b, buf_slice(&t));
}

uint64_t car_section_size(const struct cid *cid, size_t n_block)
{
	uint64_t n = cid_size(cid) + (uint64_t)n_block;

	return dagpb_varint_size(n) + n;
}

int car_frame_encode(const struct cid *cid, size_t n_block, struct buf *b)
{
	uint8_t bytes[CID_BYTES_MAX];
	size_t n = cid_bytes(cid, bytes);
	int r;

	if (n_block > CAR_BLOCK_MAX)
		return -EMSGSIZE;
	r = buf_varint(b, n + n_block);
	return r < 0 ? r : buf_append(b, slice(bytes, n));
}

void car_writer_init(struct car_writer *w, car_write_cb cb, void *ctx)
{
	*w = (struct car_writer){ .cb = cb, .ctx = ctx };
}

static int emit(struct car_writer *w, struct slice bytes)
{
	int r;

	if (!bytes.n)
		return 0;
	r = w->cb(w->ctx, bytes);
	if (r < 0)
		return r;
	w->off += bytes.n;
	return 0;
}

int car_writer_header(struct car_writer *w, const struct cid *root)
{
	_cleanup_buf_ struct buf b = { .max = CAR_HEADER_MAX };
	int r;

	r = car_header_encode(root, &b);
	return r < 0 ? r : emit(w, buf_slice(&b));
}

int car_writer_append(struct car_writer *w, const struct cid *cid,
		      struct slice block, struct car_section *ret)
{
	_cleanup_buf_ struct buf b = { .max = CID_BYTES_MAX + 10 };
	struct car_section s = { .off = w->off };
	int r;

	r = car_frame_encode(cid, block.n, &b);
	if (r < 0)
		return r;
	s.block_off = (uint32_t)b.n;
	s.len = (uint32_t)(b.n + block.n);
	r = emit(w, buf_slice(&b));
	if (r < 0)
		return r;
	r = emit(w, block);
	if (r < 0)
		return r;

	*ret = s;
	return 0;
}

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

struct car_reader {
	car_read_cb cb;
	void *ctx;
	struct buf buf; /* the section, without its length varint */
	uint64_t off;
	bool ended;
};

/* Exactly n bytes, or -EPROTO at the end; with `may_end` 0 bytes are 0. */
static int read_full(struct car_reader *r, void *p, size_t n, bool may_end)
{
	uint8_t *at = p;
	size_t got = 0;
	int64_t k;

	while (got < n) {
		k = r->cb(r->ctx, at + got, n - got);
		if (k < 0)
			return (int)k;
		if (k == 0)
			return may_end && got == 0 ? 0 : -EPROTO;
		assert((uint64_t)k <= n - got);
		got += (size_t)k;
	}
	r->off += n;
	return 1;
}

/* One varint from the stream; 0 at the end of it, else 1. */
static int stream_varint(struct car_reader *r, uint64_t *ret)
{
	uint8_t t[9];
	struct cursor c;
	size_t n = 0;
	int k;

	do {
		if (n == sizeof(t))
			return -EPROTO;
		k = read_full(r, t + n, 1, n == 0);
		if (k <= 0)
			return k;
	} while (t[n++] & 0x80);
	c = cursor(slice(t, n));
	*ret = cursor_varint(&c);
	k = cursor_done(&c);
	return k < 0 ? k : 1;
}

/* n bytes into r->buf. */
static int stream_body(struct car_reader *r, uint64_t n)
{
	size_t step;
	uint8_t *p;
	int k;

	buf_reset(&r->buf);
	/* grow with what arrives: a length alone allocates little */
	for (; n; n -= step) {
		step = (size_t)MIN(n, (uint64_t)65536);
		k = buf_grow(&r->buf, step, &p);
		if (k < 0)
			return k;
		k = read_full(r, p, step, false);
		if (k < 0)
			return k;
	}
	return 0;
}

int car_reader_new(car_read_cb cb, void *ctx, struct car_header *ret_header,
		   struct car_reader **ret)
{
	_cleanup_car_reader_ struct car_reader *r = calloc(1, sizeof(*r));
	uint64_t n = 0;
	int k;

	if (!r)
		return -ENOMEM;
	r->cb = cb;
	r->ctx = ctx;
	buf_init(&r->buf, CAR_SECTION_MAX);
	k = stream_varint(r, &n);
	if (k <= 0)
		return k < 0 ? k : -EPROTO;
	if (n > CAR_HEADER_MAX)
		return -EMSGSIZE;
	k = stream_body(r, n);
	if (k < 0)
		return k;
	k = parse_header(buf_slice(&r->buf), ret_header);
	if (k < 0)
		return k;

	*ret = steal(&r);
	return 0;
}

void car_reader_free(struct car_reader *r)
{
	if (!r)
		return;
	buf_fini(&r->buf);
	free(r);
}

int car_reader_next(struct car_reader *r, struct cid *ret_cid,
		    struct slice *ret_block, struct car_section *ret_sect)
{
	struct car_section s = { .off = r->off };
	uint64_t n = 0;
	int k;

	if (r->ended)
		return 0;
	k = stream_varint(r, &n);
	if (k < 0)
		return k;
	if (k == 0 || n == 0) {
		r->ended = true;
		return 0;
	}
	if (n > CAR_SECTION_MAX)
		return -EMSGSIZE;
	k = stream_body(r, n);
	if (k < 0)
		return k;
	k = parse_section(buf_slice(&r->buf), ret_cid, ret_block);
	if (k < 0)
		return k;

	s.len = (uint32_t)(r->off - s.off);
	s.block_off = s.len - (uint32_t)ret_block->n;
	*ret_sect = s;
	return 1;
}
