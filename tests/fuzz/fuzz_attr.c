/*
 * fuzz_attr.c - what decodes as an Attr can be written again, and means the same
 */
#include <assert.h>

#include "base/buf.h"
#include "dag/attr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size);
	struct attr_iter it = attr_xattrs(in);
	struct attr_xattr x;
	struct attr a, again;
	size_t n;
	struct buf b;

	buf_init(&b, ATTR_ENCODED_MAX);
	if (attr_decode(in, &a) == 0) {
		assert(attr_encode(&a, &b) == 0);
		assert(b.n <= size);
		assert(attr_decode(buf_slice(&b), &again) == 0);
		assert(a.ino == again.ino && a.size == again.size);
		assert(slice_eq(a.xattrs, again.xattrs));
	}
	buf_fini(&b);
	while (attr_xattrs_next(&it, &x) > 0)
		assert(x.name.n > 0 && x.name.n <= ATTR_XATTR_NAME_MAX);
	best_effort(attr_xattrs_size(in, &n)); /* any answer is fine */
	return 0;
}
