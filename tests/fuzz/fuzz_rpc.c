/* fuzz_rpc.c - what a JSON-RPC node answers; the first byte says to how many calls */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "chain/rpc_answer.h"
#include "net/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX 65536

static void check_error(const struct rpc_error *e)
{
	assert(e->cls != RPC_CLASS_NONE);
	assert(memchr(e->message, '\0', sizeof(e->message)));
	assert(e->n_data <= sizeof(e->data));
	assert(e->n_data == 0 || e->cls == RPC_CLASS_REVERTED);
}

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < sizeof(v); i++)
		v = v << 8 | p[i];
	return v;
}

/* What the callers make of a result: numbers and bytes as hexadecimal text. */
static void read_hex(const json_t *v)
{
	uint8_t fixed[32], number[32] = { 0 }, back[8] = { 0 };
	_cleanup_buf_ struct buf b = { 0 };
	uint64_t n;
	int r;

	buf_init(&b, BYTES_MAX);
	r = json_hex_bytes(v, &b);
	assert(r == 0 || b.n == 0);
	assert(r < 0 || json_string_length(v) == 2 + 2 * b.n);
	if (json_hex_fixed(v, fixed, sizeof(fixed)) == 0)
		assert(r == 0 &&
		       slice_eq(buf_slice(&b), slice(fixed, sizeof(fixed))));
	if (json_hex_u64(v, &n) == 0) {
		r = json_hex_number(v, back, sizeof(back));
		assert(r == 0 && be64(back) == n);
		r = json_hex_number(v, number, sizeof(number));
		assert(r == 0 && be64(number + 24) == n);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_item *items;
	struct rpc_error said;
	struct slice body;
	unsigned n;
	int r;

	if (size == 0 || size > BYTES_MAX)
		return 0;
	items = calloc(RPC_BATCH_MAX, sizeof(*items));
	assert(items);
	n = data[0] % RPC_BATCH_MAX + 1;
	body = slice(data + 1, size - 1);
	r = rpc_answer_read(body, 1, n, n > 1, items);
	assert(r == 0 || r == -EPROTO || r == -EMSGSIZE ||
	       (r == -EOPNOTSUPP && n > 1));
	if (r == -EOPNOTSUPP)
		check_error(&items[0].error);
	for (unsigned i = 0; i < n; i++) {
		assert(!items[i].result || items[i].status == 0);
		if (items[i].status == -EBADE)
			check_error(&items[i].error);
		if (items[i].status == 0)
			for (int want = RPC_ANY; want <= RPC_OBJECT_OR_NULL; want++)
				(void)(rpc_answer_check(items[i].result,
							(enum rpc_want)want,
							1000) == 0); /* ends */
		if (items[i].status == 0)
			read_hex(items[i].result);
	}
	rpc_answer_fini(items, n);
	free(items);
	rpc_error_from_text(body, &said);
	check_error(&said);
	return 0;
}
