#include "chain/call.h"

#include <assert.h>
#include <errno.h>

static const struct {
	uint32_t selector;
	const char *signature;
} table[] = {
#define ROW(name, selector, signature) { selector, signature },
	CALL_LIST(ROW)
#undef ROW
};

_Static_assert(ARRAY_LEN(table) == CALL_NX, "a row for each");

uint32_t call_selector(enum call c)
{
	assert(c < CALL_NX);
	return table[c].selector;
}

const char *call_signature(enum call c)
{
	assert(c < CALL_NX);
	return table[c].signature;
}

void call_begin(struct abi_out *o, enum call c)
{
	abi_out_init(o, CALL_MAX);
	abi_put_selector(o, call_selector(c));
}

int call_end(struct abi_out *o, struct buf *ret)
{
	struct slice all;
	int r;

	r = abi_out_done(o, &all);
	if (r == 0)
		r = buf_append(ret, all);
	abi_out_fini(o);
	return r;
}

int call_bare(enum call c, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, c);
	return call_end(&o, ret);
}

int call_answer_u256(struct slice answer, struct u256 *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct u256 v = abi_get_u256(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int call_answer_u64(struct slice answer, uint64_t *ret)
{
	struct u256 v;
	int r;

	r = call_answer_u256(answer, &v);
	if (r < 0)
		return r;
	return u256_to_u64(v, ret) < 0 ? -EPROTO : 0;
}

int call_answer_epoch(struct slice answer, uint64_t *ret)
{
	struct u256 v;
	int r;

	r = call_answer_u256(answer, &v);
	if (r < 0)
		return r;
	*ret = u256_cap_u64(v);
	return 0;
}

int call_answer_bool(struct slice answer, bool *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	bool v = abi_get_bool(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int call_answer_address(struct slice answer, struct address *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct address v = abi_get_address(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int call_answer_bytes32(struct slice answer, uint8_t ret[static ABI_WORD])
{
	if (answer.n != ABI_WORD)
		return -EPROTO;
	memcpy(ret, answer.p, ABI_WORD);
	return 0;
}

int call_answer_text(struct slice answer, struct slice *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct slice v = abi_get_string(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = v;
	return 0;
}

int call_answer_ids(struct slice answer, uint64_t *ret, size_t cap, size_t *ret_n)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list;
	size_t n;
	int r;

	list = abi_get_array(&in, 1, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++)
		ret[i] = abi_get_u64(&list);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	return 0;
}
