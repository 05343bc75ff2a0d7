/* fuzz_cursor.c - the reader under every parser: bounds and sticky errors */
#include <assert.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "tests/fuzz/fuzz.h"

/* The first byte of the input picks the operation, the rest is read. */
static void step(struct cursor *c, uint8_t op)
{
	switch (op % 5) {
	case 0: (void)cursor_u8(c); break;
	case 1: (void)cursor_varint(c); break;
	case 2: (void)cursor_pbvarint(c); break;
	case 3: assert(cursor_take(c, op).n == (cursor_ok(c) ? 0 : op)); break;
	default: assert(cursor_take(c, SIZE_MAX).n == 0); break;
	}
}

/* What a varint reads as must be written back in the same bytes. */
static void round_trip(struct slice in)
{
	struct cursor c = cursor(in);
	uint64_t v = cursor_varint(&c);
	struct buf b;

	if (cursor_ok(&c) < 0)
		return;
	buf_init(&b, 16);
	assert(buf_varint(&b, v) == 0);
	assert(b.n <= in.n);
	for (size_t i = 0; i < b.n; i++)
		assert(b.p[i] == in.p[i]);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(slice(data, size));

	for (int i = 0; i < 64; i++) {
		uint8_t op = cursor_u8(&c);

		if (cursor_ok(&c) < 0)
			break;
		step(&c, op);
	}
	if (cursor_ok(&c) < 0) {
		assert(cursor_u8(&c) == 0);
		assert(cursor_done(&c) < 0);
	}
	round_trip(slice(data, size));
	return 0;
}
