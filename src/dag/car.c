#include "dag/car.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"

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
