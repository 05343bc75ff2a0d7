#include "chain/multicall.h"

#include <errno.h>

#include "chain/call.h"

const struct address multicall_address = {
	{ 0xca, 0x11, 0xbd, 0xe0, 0x59, 0x77, 0xb3, 0x63, 0x11, 0x67,
	  0x02, 0x88, 0x62, 0xbe, 0x2a, 0x17, 0x39, 0x76, 0xca, 0x11 }
};

void multicall_begin(struct abi_out *o)
{
	call_begin(o, CALL_MULTICALL_AGGREGATE3);
	abi_begin_array(o);
}

void multicall_add(struct abi_out *o, struct address contract, struct slice calldata)
{
	abi_begin_tuple(o);
	abi_put_address(o, contract);
	abi_put_bool(o, true); /* may fail */
	abi_put_bytes(o, calldata);
	abi_end(o);
}

int multicall_end(struct abi_out *o, struct buf *ret)
{
	abi_end(o);
	return call_end(o, ret);
}

int multicall_answer(struct slice answer, struct multicall_result *ret, size_t n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list, one;
	size_t n_results;

	list = abi_get_array(&in, 1, &n_results);
	if (n_results != n)
		return -EPROTO;
	for (size_t i = 0; i < n; i++) {
		one = abi_get_tuple(&list);
		ret[i].ok = abi_get_bool(&one);
		ret[i].data = abi_get_bytes(&one);
	}
	return abi_close(&doc);
}
