/*
 * fuzz_memo.c - what the ledger keeps of a large directory for its next build:
 * one form, and all of it
 */
#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "dag/dir.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(slice(data, size));
	struct dir_memo *m = NULL;
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	r = dir_memo_decode(&c, &m);
	if (r < 0) {
		assert(r == -EPROTO);
		return 0;
	}
	buf_init(&b, DIR_MEMO_MAX);
	r = dir_memo_encode(m, &b);
	assert(r == 0);
	assert(slice_eq(buf_slice(&b), slice(data, size - c.n)));
	dir_memo_free(m);
	return 0;
}
