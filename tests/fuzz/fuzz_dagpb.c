/* fuzz_dagpb.c - dag-pb nodes: the walk yields what the parse counted */
#include <assert.h>

#include "base/buf.h"
#include "dag/cid.h"
#include "dag/dagpb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dagpb_link l;
	struct dagpb n, back;
	struct cursor it;
	uint32_t links = 0;
	struct cid cid;
	struct buf b;

	if (dagpb_parse(slice(data, size), &n) < 0)
		return 0;
	buf_init(&b, 4 * size + 64);
	it = cursor(n.links);
	while (dagpb_next(&it, &l)) {
		assert(cid_parse(l.hash, &cid) == 0);
		assert(dagpb_put_link(&b, &l) == 0);
		links++;
	}
	assert(cursor_done(&it) == 0);
	assert(links == n.n_links);
	if (n.has_data)
		assert(dagpb_put_data(&b, n.data) == 0);
	assert(dagpb_parse(buf_slice(&b), &back) == 0);
	assert(back.n_links == n.n_links && slice_eq(back.data, n.data));
	buf_fini(&b);
	return 0;
}
