/*
 * fuzz_rlp.c - RLP: what is accepted is written back as the same bytes; and
 * signed transactions
 */
#include <assert.h>

#include "base/buf.h"
#include "chain/eth_tx.h"
#include "chain/rlp.h"
#include "tests/fuzz/fuzz.h"

#define DEPTH_MAX 16

/* Copy items from `c` to `b`; false if one is refused. */
static bool copy(struct cursor *c, struct buf *b, unsigned depth)
{
	while (c->n && !c->err) {
		if (!rlp_is_list(c)) {
			struct slice s = rlp_get_bytes(c);

			if (!c->err)
				assert(rlp_put_bytes(b, s) == 0);
			continue;
		}
		struct cursor items = rlp_get_list(c);
		_cleanup_buf_ struct buf inner = { 0 };

		buf_init(&inner, b->max);
		if (c->err || depth == DEPTH_MAX || !copy(&items, &inner, depth + 1))
			return false;
		assert(rlp_put_list(b, buf_slice(&inner)) == 0);
	}
	return cursor_done(c) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(slice(data, size));
	_cleanup_buf_ struct buf unsigned_ = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	struct address from;
	struct eth_tx tx;

	buf_init(&b, size + 64);
	if (copy(&c, &b, 0))
		assert(slice_eq(buf_slice(&b), slice(data, size)));
	if (eth_tx_parse(slice(data, size), &tx, &from) == 0) {
		buf_init(&unsigned_, ETH_TX_MAX);
		assert(eth_tx_unsigned(&tx, &unsigned_) == 0);
		assert(unsigned_.n < size);
		assert(tx.data.n <= ETH_TX_DATA_MAX);
	}
	return 0;
}
