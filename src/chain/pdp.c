#include "chain/pdp.h"

#include <errno.h>

#include "chain/call.h"

int pdp_data_set_live(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_DATA_SET_LIVE);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int pdp_active_pieces_by_cursor(uint64_t data_set, uint64_t start_piece,
				uint64_t limit, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_ACTIVE_PIECES_BY_CURSOR);
	abi_put_u64(&o, data_set);
	abi_put_u64(&o, start_piece);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int pdp_find_piece_ids(uint64_t data_set, struct slice cid,
		       uint64_t start_piece, uint64_t limit, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_FIND_PIECE_IDS);
	abi_put_u64(&o, data_set);
	abi_begin_tuple(&o);
	abi_put_bytes(&o, cid);
	abi_end(&o);
	abi_put_u64(&o, start_piece);
	abi_put_u64(&o, limit);
	return call_end(&o, ret);
}

int pdp_piece_cid(uint64_t data_set, uint64_t piece, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_PIECE_CID);
	abi_put_u64(&o, data_set);
	abi_put_u64(&o, piece);
	return call_end(&o, ret);
}

int pdp_data_set_leaf_count(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_DATA_SET_LEAF_COUNT);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int pdp_scheduled_removals(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_SCHEDULED_REMOVALS);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int pdp_last_proven_epoch(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_LAST_PROVEN_EPOCH);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int pdp_storage_provider(uint64_t data_set, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_STORAGE_PROVIDER);
	abi_put_u64(&o, data_set);
	return call_end(&o, ret);
}

int pdp_delete_data_set(uint64_t data_set, struct slice extra, struct buf *ret)
{
	struct abi_out o;

	call_begin(&o, CALL_PDP_DELETE_DATA_SET);
	abi_put_u64(&o, data_set);
	abi_put_bytes(&o, extra);
	return call_end(&o, ret);
}

/* (Cid[] pieces, uint256[] ids, bool more), a Cid is (bytes) */
int pdp_pieces_answer(struct slice answer, struct pdp_piece *ret, size_t cap,
		      size_t *ret_n, bool *ret_more)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), list, cid;
	size_t n, n_ids;
	bool more;
	int r;

	list = abi_get_array(&in, 1, &n);
	if (n > cap)
		return -EMSGSIZE;
	for (size_t i = 0; i < n; i++) {
		cid = abi_get_tuple(&list);
		ret[i].cid = abi_get_bytes(&cid);
	}
	list = abi_get_array(&in, 1, &n_ids);
	if (n_ids != n)
		abi_fail(&in, -EPROTO);
	for (size_t i = 0; i < n; i++)
		ret[i].id = abi_get_u64(&list);
	more = abi_get_bool(&in);
	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret_n = n;
	*ret_more = more;
	return 0;
}

int pdp_piece_cid_answer(struct slice answer, struct slice *ret)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer), cid = abi_get_tuple(&in);
	struct slice s = abi_get_bytes(&cid);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = s;
	return 0;
}

int pdp_storage_provider_answer(struct slice answer, struct address *ret,
				struct address *ret_proposed)
{
	struct abi_doc doc;
	struct abi_in in = abi_open(&doc, answer);
	struct address now = abi_get_address(&in), proposed = abi_get_address(&in);
	int r;

	r = abi_close(&doc);
	if (r < 0)
		return r;
	*ret = now;
	*ret_proposed = proposed;
	return 0;
}
