/* fuzz_car.c - both CAR readers agree on every input */
#include <assert.h>

#include "dag/car.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	struct slice left;
	size_t step;
};

static int64_t from_slice(void *ctx, void *p, size_t n)
{
	struct source *s = ctx;

	n = MIN(MIN(n, s->step), s->left.n);
	if (n) {
		memcpy(p, s->left.p, n);
		s->left = slice(s->left.p + n, s->left.n - n);
	}
	s->step = s->step % 7 + 1;
	return (int64_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice(data, size), block = SLICE_NONE, block2 = block;
	struct source src = { in, 1 };
	struct car_section at, at2;
	struct car_header h, h2;
	struct car_reader *r;
	struct cid cid, cid2;
	struct cursor c = cursor(in);
	int k, k2;

	k = car_read_header(&c, &h);
	k2 = car_reader_new(from_slice, &src, &h2, &r);
	assert((k == 0) == (k2 == 0));
	if (k < 0)
		return 0;
	assert(h.n_roots == h2.n_roots);
	do {
		size_t off = size - c.n;

		k = car_read_section(&c, &cid, &block, &at);
		k2 = car_reader_next(r, &cid2, &block2, &at2);
		assert((k < 0) == (k2 < 0) && (k > 0) == (k2 > 0));
		if (k > 0) {
			assert(cid_eq(&cid, &cid2) && slice_eq(block, block2));
			assert(at2.off == off && at.len == at2.len);
			assert(at.len == car_section_size(&cid, block.n));
		}
	} while (k > 0);
	car_reader_free(r);
	return 0;
}
