/*
 * fuzz_receipt.c - what a node says of a transaction: its receipt
 *
 * The attempt is the one whose hash is 32 times 0x11.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "chain/sender_impl.h"
#include "net/json.h"
#include "tests/fuzz/fuzz.h"

#define GAS_LIMIT 1000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sender_attempt a = { .tx = { .gas_limit = GAS_LIMIT,
					    .max_fee = u256(7) } };
	struct sender_receipt got = { .block = 5 };
	_cleanup_json_ json_t *v = NULL;
	int r;

	memset(a.hash, 0x11, sizeof(a.hash));
	if (json_read(slice(data, size), JSON_VALUES_MAX, &v) < 0)
		return 0;
	r = sender_read_receipt(v, &a, &got);
	if (r < 0) {
		assert(r == -EPROTO && got.block == 5);
		return 0;
	}
	assert(got.status <= 1 && got.gas_used <= GAS_LIMIT);
	if (!json_object_get(v, "effectiveGasPrice"))
		assert(u256_eq(got.gas_price, u256(7)));
	return 0;
}
