#include "dag/dagpb.h"

#include <errno.h>

#include "base/buf.h"
#include "dag/cid.h"

/* tags: field number << 3 | wire type */
enum {
	NODE_DATA = 0x0a,
	NODE_LINK = 0x12,
	LINK_HASH = 0x0a,
	LINK_NAME = 0x12,
	LINK_TSIZE = 0x18
};

/* One link's message; fields in order, each at most once, the Hash present. */
static int parse_link(struct slice msg, bool check_cid, struct dagpb_link *ret)
{
	struct dagpb_link l = { .hash = SLICE_NONE };
	struct cursor c = cursor(msg);
	struct cid cid;
	uint64_t last = 0, tag;
	int r;

	while (c.n && !c.err) {
		tag = cursor_pbvarint(&c);
		if (tag <= last)
			cursor_fail(&c, -EPROTO);
		if (tag == LINK_HASH)
			l.hash = cursor_take(&c, cursor_pbvarint(&c));
		else if (tag == LINK_NAME)
			l.name = cursor_take(&c, cursor_pbvarint(&c));
		else if (tag == LINK_TSIZE)
			l.tsize = cursor_pbvarint(&c);
		else
			cursor_fail(&c, -EPROTO);
		last = tag;
	}
	r = cursor_done(&c);
	if (r < 0)
		return r;
	if (check_cid) {
		r = cid_parse(l.hash, &cid);
		if (r < 0)
			return -EPROTO;
	}
	*ret = l;
	return 0;
}

int dagpb_parse(struct slice block, struct dagpb *ret)
{
	struct dagpb t = { .n_links = 0 };
	struct cursor c = cursor(block);
	bool ended = false; /* a second run of links would begin */
	struct dagpb_link l;
	struct slice msg;
	const uint8_t *at;
	uint64_t tag;

	while (c.n && !c.err) {
		at = c.p;
		tag = cursor_pbvarint(&c);
		msg = cursor_take(&c, cursor_pbvarint(&c));
		if (c.err)
			break;
		if (tag == NODE_DATA && !t.has_data) {
			t.has_data = true;
			t.data = msg;
			ended = t.n_links > 0;
		} else if (tag == NODE_LINK && !ended) {
			if (parse_link(msg, true, &l) < 0)
				cursor_fail(&c, -EPROTO);
			if (!t.n_links)
				t.links = slice(at, 0);
			t.links.n += (size_t)(c.p - at);
			t.n_links++;
		} else {
			cursor_fail(&c, -EPROTO);
		}
	}
	if (cursor_done(&c) < 0)
		return -EPROTO;

	*ret = t;
	return 0;
}

bool dagpb_next(struct cursor *it, struct dagpb_link *ret)
{
	struct slice msg;

	if (!it->n || it->err)
		return false;
	(void)cursor_pbvarint(it); /* the tag: dagpb_parse() saw it */
	msg = cursor_take(it, cursor_pbvarint(it));
	return it->err == 0 && parse_link(msg, false, ret) == 0;
}

size_t dagpb_varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >= 0x80) {
		v >>= 7;
		n++;
	}
	return n;
}

/* Bytes of a link's message. */
static size_t link_body_size(size_t n_hash, size_t n_name, uint64_t tsize)
{
	return 1 + dagpb_varint_size(n_hash) + n_hash + 1 +
	       dagpb_varint_size(n_name) + n_name + 1 + dagpb_varint_size(tsize);
}

size_t dagpb_link_size(size_t n_hash, size_t n_name, uint64_t tsize)
{
	size_t n = link_body_size(n_hash, n_name, tsize);

	return 1 + dagpb_varint_size(n) + n;
}

size_t dagpb_data_size(size_t n_data)
{
	return 1 + dagpb_varint_size(n_data) + n_data;
}

/* Tag, length, bytes. */
static int put_bytes(struct buf *b, uint8_t tag, struct slice s)
{
	int r;

	r = buf_u8(b, tag);
	if (r < 0)
		return r;
	r = buf_varint(b, s.n);
	if (r < 0)
		return r;
	return buf_append(b, s);
}

int dagpb_put_link(struct buf *b, const struct dagpb_link *l)
{
	int r;

	r = buf_u8(b, NODE_LINK);
	if (r < 0)
		return r;
	r = buf_varint(b, link_body_size(l->hash.n, l->name.n, l->tsize));
	if (r < 0)
		return r;
	r = put_bytes(b, LINK_HASH, l->hash);
	if (r < 0)
		return r;
	r = put_bytes(b, LINK_NAME, l->name);
	if (r < 0)
		return r;
	r = buf_u8(b, LINK_TSIZE);
	if (r < 0)
		return r;
	return buf_varint(b, l->tsize);
}

int dagpb_put_data(struct buf *b, struct slice data)
{
	return put_bytes(b, NODE_DATA, data);
}
