/* fuzz_link.c - encoded links, one after the other: one form for each */
#include <assert.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(slice(data, size));
	struct link l, back;
	struct buf b;
	int r;

	buf_init(&b, LINK_ENCODED_MAX);
	while (c.n) {
		const uint8_t *from = c.p;
		struct cursor d;

		if (link_decode(&c, &l) < 0)
			break;
		assert(c.p > from);
		buf_reset(&b);
		r = link_encode(&l, &b);
		assert(r == 0);
		assert(slice_eq(buf_slice(&b), slice(from, (size_t)(c.p - from))));
		d = cursor(buf_slice(&b));
		r = link_decode(&d, &back);
		assert(r == 0 && cursor_done(&d) == 0 && link_same(&l, &back));
	}
	buf_fini(&b);
	return 0;
}
