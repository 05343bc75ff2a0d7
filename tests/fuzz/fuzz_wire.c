/*
 * fuzz_wire.c - requests from /dev/fuse, looked at and changed in place
 *
 * The input is an answer of libfuse to INIT (flags), then requests, each after
 * a length of two bytes.
 */
#include <assert.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>

#include "base/cursor.h"
#include "fuse/op.h"
#include "fuse/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(struct wire *w, struct slice in)
{
	/* of its exact size, for the address sanitizer */
	_cleanup_free_ uint8_t *p = malloc(in.n ? in.n : 1);
	struct fuse_in_header h = { 0 };
	struct wire_kind kind;
	size_t n;

	assert(p);
	if (in.n)
		memcpy(p, in.p, in.n);
	n = wire_request(w, p, in.n, &kind);
	assert(n <= in.n);
	if (in.n < sizeof(h)) {
		assert(n == in.n && !kind.flags && !kind.heavy);
		return;
	}
	assert(n >= sizeof(h));
	memcpy(&h, p, sizeof(h));
	assert(h.opcode != FUSE_TMPFILE);
	if (n < in.n)
		assert(h.len == n &&
		       (kind.flags & OP_STATX ||
			(h.opcode == FUSE_SETXATTR && w->setxattr_ext)));
	if (kind.flags & OP_TMPFILE)
		assert(h.opcode == FUSE_CREATE);
	if (kind.flags & OP_STATX)
		assert(h.opcode == FUSE_GETATTR && n + 8 == in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(slice(data, size));
	struct fuse_out_header out = { .len = sizeof(out) };
	struct fuse_init_out init = { .major = 7 };
	struct iovec iov[2] = { { &out, sizeof(out) }, { &init, sizeof(init) } };
	struct wire w = { 0 };
	uint32_t n;

	init.flags = cursor_le32(&c);
	iov[1].iov_len = cursor_u8(&c) ? sizeof(init) : 8;
	for (unsigned i = 0; c.n && i < 64; i++) {
		n = cursor_u8(&c);
		n |= (uint32_t)cursor_u8(&c) << 8;
		one(&w, cursor_take(&c, MIN((size_t)n, c.n)));
		if (i == 0) {
			out.unique = w.init_unique;
			wire_reply(&w, iov, 2);
		}
	}
	return 0;
}
