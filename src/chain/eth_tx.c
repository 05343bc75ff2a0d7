#include "chain/eth_tx.h"

#include <errno.h>

#include "base/buf.h"
#include "chain/rlp.h"
#include "crypto/keccak.h"
#include "crypto/secp.h"

#define TYPE 0x02

_Static_assert(ETH_TX_HASH_SIZE == KECCAK_SIZE, "hashes are Keccak's");

static int put_fields(const struct eth_tx *tx, struct buf *b)
{
	int r;

	if (tx->data.n > ETH_TX_DATA_MAX)
		return -EMSGSIZE;
	r = rlp_put_u64(b, tx->chain_id);
	if (r == 0)
		r = rlp_put_u64(b, tx->nonce);
	if (r == 0)
		r = rlp_put_u256(b, tx->max_priority_fee);
	if (r == 0)
		r = rlp_put_u256(b, tx->max_fee);
	if (r == 0)
		r = rlp_put_u64(b, tx->gas_limit);
	if (r == 0)
		r = rlp_put_bytes(b, slice(tx->to.b, ADDRESS_SIZE));
	if (r == 0)
		r = rlp_put_u256(b, tx->value);
	if (r == 0)
		r = rlp_put_bytes(b, tx->data);
	if (r == 0)
		r = rlp_put_list(b, SLICE_NONE);
	return r;
}

static int put_envelope(struct slice fields, struct buf *ret)
{
	int r;

	r = buf_u8(ret, TYPE);
	return r < 0 ? r : rlp_put_list(ret, fields);
}

int eth_tx_unsigned(const struct eth_tx *tx, struct buf *ret)
{
	_cleanup_buf_ struct buf fields = { 0 };
	int r;

	buf_init(&fields, ETH_TX_MAX);
	r = put_fields(tx, &fields);
	return r < 0 ? r : put_envelope(buf_slice(&fields), ret);
}

int eth_tx_signing_hash(const struct eth_tx *tx,
			uint8_t ret[static ETH_TX_HASH_SIZE])
{
	_cleanup_buf_ struct buf b = { 0 };
	int r;

	buf_init(&b, ETH_TX_MAX);
	r = eth_tx_unsigned(tx, &b);
	if (r < 0)
		return r;
	keccak_once(buf_slice(&b), ret);
	return 0;
}

int eth_tx_sign(const struct eth_tx *tx, const struct secret *key,
		struct buf *ret_raw, uint8_t ret_hash[static ETH_TX_HASH_SIZE])
{
	uint8_t digest[KECCAK_SIZE], sig[SECP_SIGNATURE_SIZE];
	_cleanup_buf_ struct buf fields = { 0 };
	size_t start = ret_raw->n;
	int r;

	r = eth_tx_signing_hash(tx, digest);
	if (r == 0)
		r = secp_sign(key, digest, sig);
	if (r < 0)
		return r;
	buf_init(&fields, ETH_TX_MAX);
	r = put_fields(tx, &fields);
	if (r == 0)
		r = rlp_put_u64(&fields, (uint64_t)sig[64] - SECP_V);
	if (r == 0)
		r = rlp_put_u256(&fields, u256_from_be(sig));
	if (r == 0)
		r = rlp_put_u256(&fields, u256_from_be(sig + 32));
	if (r == 0)
		r = put_envelope(buf_slice(&fields), ret_raw);
	if (r < 0) {
		ret_raw->n = start;
		return r;
	}
	keccak_once(slice(ret_raw->p + start, ret_raw->n - start), ret_hash);
	return 0;
}

static int read_fields(struct slice raw, struct eth_tx *tx,
		       uint8_t ret_sig[static SECP_SIGNATURE_SIZE])
{
	struct cursor c = cursor(raw), in, list;
	struct slice to;
	uint64_t parity;
	int r;

	if (cursor_u8(&c) != TYPE)
		return -EPROTO;
	in = rlp_get_list(&c);
	tx->chain_id = rlp_get_u64(&in);
	tx->nonce = rlp_get_u64(&in);
	tx->max_priority_fee = rlp_get_u256(&in);
	tx->max_fee = rlp_get_u256(&in);
	tx->gas_limit = rlp_get_u64(&in);
	to = rlp_get_bytes(&in);
	tx->value = rlp_get_u256(&in);
	tx->data = rlp_get_bytes(&in);
	list = rlp_get_list(&in);
	parity = rlp_get_u64(&in);
	u256_to_be(rlp_get_u256(&in), ret_sig);
	u256_to_be(rlp_get_u256(&in), ret_sig + 32);
	if (to.n != ADDRESS_SIZE || parity > 1 || tx->data.n > ETH_TX_DATA_MAX)
		cursor_fail(&in, -EPROTO);
	r = cursor_done(&c);
	if (r == 0)
		r = cursor_done(&list);
	if (r == 0)
		r = cursor_done(&in);
	if (r < 0)
		return -EPROTO;
	memcpy(tx->to.b, to.p, ADDRESS_SIZE);
	ret_sig[64] = (uint8_t)(SECP_V + parity);
	return 0;
}

int eth_tx_parse(struct slice raw, struct eth_tx *ret, struct address *ret_from)
{
	uint8_t digest[KECCAK_SIZE], sig[SECP_SIGNATURE_SIZE];
	uint8_t public[SECP_PUBLIC_SIZE];
	struct eth_tx tx;
	int r;

	r = read_fields(raw, &tx, sig);
	if (r == 0)
		r = eth_tx_signing_hash(&tx, digest);
	if (r == 0)
		r = secp_recover(sig, digest, public);
	if (r < 0)
		return r;
	*ret = tx;
	*ret_from = address_of_public(public);
	return 0;
}
