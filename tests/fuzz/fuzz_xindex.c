/*
 * fuzz_xindex.c - an index that opens can be walked and searched
 */
#include <assert.h>

#include "dag/piece.h"
#include "dag/xindex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t piece = size >= 24 ? get_le64(data + 16) : 1;
	uint8_t digest[PIECE_DIGEST_SIZE];
	struct xindex_entry e, found;
	struct xindex_view v;
	struct slice block;

	if (xindex_open(slice(data, size), piece, 1 << 20, &v) == 0) {
		for (uint32_t i = 0; i < v.n; i++) {
			xindex_get(&v, i, &e);
			assert(e.off + e.len <= 1 << 20);
			assert(xindex_guess(v.n, e.digest) < v.n);
			assert(xindex_find(&v, e.digest, &found) == 0);
		}
	}
	if (piece_section_parse(slice(data, size), digest, &block) == 0)
		assert(piece_section_size(block.n) == size);
	return 0;
}
