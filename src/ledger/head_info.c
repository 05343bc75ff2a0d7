#include "ledger/head_info.h"

#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"

int head_info_encode(const struct head_info *h, struct buf *b)
{
	int r;

	r = link_encode(&h->root, b);
	if (r == 0)
		r = link_encode(&h->inode_table, b);
	if (r == 0)
		r = link_encode(&h->catalogue, b);
	if (r == 0)
		r = buf_varint(b, h->root_attr.n);
	if (r == 0)
		r = buf_append(b, h->root_attr);
	if (r == 0)
		r = buf_varint(b, h->device.n);
	if (r == 0)
		r = buf_append(b, h->device);
	if (r == 0 && h->n_inodes)
		r = buf_varint(b, h->n_inodes);
	if (r == 0 && h->n_inodes)
		r = buf_varint(b, h->n_bytes);
	return r;
}

int head_info_decode(struct slice s, struct head_info *ret)
{
	struct cursor c = cursor(s);
	struct head_info h = { 0 };
	int r;

	r = link_decode(&c, &h.root);
	if (r == 0)
		r = link_decode(&c, &h.inode_table);
	if (r == 0)
		r = link_decode(&c, &h.catalogue);
	if (r < 0)
		return r;
	h.root_attr = cursor_take(&c, cursor_varint(&c));
	h.device = cursor_take(&c, cursor_varint(&c));
	if (c.n) {
		h.n_inodes = cursor_varint(&c);
		h.n_bytes = cursor_varint(&c);
		if (cursor_ok(&c) == 0 && h.n_inodes == 0)
			return -EPROTO; /* one form only */
	}
	r = cursor_done(&c);
	if (r == 0)
		*ret = h;
	return r;
}
