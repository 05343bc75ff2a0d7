/* fuzz_head_info.c - what the ledger keeps of a commit */
#include <assert.h>

#include "base/buf.h"
#include "ledger/head_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct head_info h, again;
	struct buf b;
	int r;

	if (size > 65536 || head_info_decode(slice(data, size), &h) < 0)
		return 0;
	buf_init(&b, 2 * size + 64);
	r = head_info_encode(&h, &b);
	assert(r == 0);
	assert(slice_eq(buf_slice(&b), slice(data, size))); /* one form only */
	r = head_info_decode(buf_slice(&b), &again);
	assert(r == 0 && link_same(&h.root, &again.root));
	buf_fini(&b);
	return 0;
}
