/* fuzz_rpc.c - what a JSON-RPC node answers; the first byte says to how many calls */
#include <assert.h>
#include <errno.h>

#include "chain/rpc_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const struct rpc_error *e)
{
	assert(e->cls != RPC_CLASS_NONE);
	assert(memchr(e->message, '\0', sizeof(e->message)));
	assert(e->n_data <= sizeof(e->data));
	assert(e->n_data == 0 || e->cls == RPC_CLASS_REVERTED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_item *items;
	struct rpc_error said;
	struct slice body;
	unsigned n;
	int r;

	if (size == 0 || size > 65536)
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
	}
	rpc_answer_fini(items, n);
	free(items);
	rpc_error_from_text(body, &said);
	check_error(&said);
	return 0;
}
