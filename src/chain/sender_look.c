/* sender_look.c - what the chain says of an intent, in the words of all endpoints */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "chain/revert.h"
#include "chain/sender_impl.h"

#define HASH_PARAMS 80 /* ["0x…"] and NUL */

/* Endpoints, bit by bit. */
struct seen {
	uint32_t has;  /* a receipt of some attempt */
	uint32_t none; /* says that there is none of some attempt */
};

static void hash_params(const struct sender_attempt *a, char to[static HASH_PARAMS])
{
	char *p = to;

	p += snprintf(p, HASH_PARAMS, "[\"0x");
	for (size_t i = 0; i < sizeof(a->hash); i++)
		p += snprintf(p, 3, "%02x", a->hash[i]);
	(void)snprintf(p, 3, "\"]"); /* 4 + 64 + 2 + NUL fit */
}

int sender_read_receipt(const json_t *o, const struct sender_attempt *a,
			struct sender_receipt *ret)
{
	struct sender_receipt got = { .block = 0 };
	const json_t *price = json_object_get(o, "effectiveGasPrice");
	uint8_t hash[32], be[U256_SIZE] = { 0 };

	if (json_hex_fixed(json_object_get(o, "transactionHash"), hash,
			   sizeof(hash)) < 0 ||
	    memcmp(hash, a->hash, sizeof(hash)) != 0 ||
	    json_hex_fixed(json_object_get(o, "blockHash"), got.block_hash,
			   sizeof(got.block_hash)) < 0 ||
	    json_hex_u64(json_object_get(o, "blockNumber"), &got.block) < 0 ||
	    json_hex_u64(json_object_get(o, "status"), &got.status) < 0 ||
	    json_hex_u64(json_object_get(o, "gasUsed"), &got.gas_used) < 0 ||
	    got.status > 1 || got.gas_used > a->tx.gas_limit)
		return -EPROTO;
	if (price && json_hex_number(price, be, sizeof(be)) < 0)
		return -EPROTO;
	got.gas_price = price ? u256_from_be(be) : a->tx.max_fee;
	*ret = got;
	return 0;
}

static bool same_block(const struct sender_receipt *a,
		       const struct sender_receipt *b)
{
	return a->block == b->block && a->status == b->status &&
	       memcmp(a->block_hash, b->block_hash, sizeof(a->block_hash)) == 0;
}

/* Receipts of one attempt; `has` gets the endpoints that have one. */
static int look_receipts(struct sender *s, struct sender_tx *tx,
			 const struct sender_attempt *a,
			 struct sender_receipt *first, struct seen *seen,
			 struct sender_sight *sight)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	char params[HASH_PARAMS];
	struct sender_receipt one;
	int r, answered = -EREMOTEIO;

	hash_params(a, params);
	r = sender_each(s, tx, "eth_getTransactionReceipt", params,
			RPC_OBJECT_OR_NULL, &e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < e->n; i++) {
		if (e->status[i] < 0) {
			if (answered < 0)
				answered = e->status[i];
			continue;
		}
		answered = 0;
		if (json_is_null(e->calls[i].result)) {
			seen->none |= 1u << i;
			continue;
		}
		if (sender_read_receipt(e->calls[i].result, a, &one) < 0) {
			log_warn("%s: a receipt of a wrong form",
				 rpc_endpoint_name(s->p.rpc, i));
			continue;
		}
		if (sight->mined && (sight->mined != a || !same_block(first, &one)))
			sight->disputed = true;
		sight->mined = a;
		*first = one;
		seen->has |= 1u << i;
	}
	return answered;
}

/* Heads of the endpoints, and how deep those that have the receipt see it. */
static int look_heads(struct sender *s, struct sender_tx *tx,
		      const struct seen *seen, struct sender_sight *sight)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	uint64_t head, deepest = UINT64_MAX;
	int r;

	r = sender_each(s, tx, "eth_blockNumber", "[]", RPC_NUMBER, &e);
	if (r < 0)
		return r;
	sight->head = UINT64_MAX;
	for (unsigned i = 0; i < e->n; i++) {
		if (e->status[i] < 0 || json_hex_u64(e->calls[i].result, &head) < 0)
			continue;
		sight->head = MIN(sight->head, head);
		if (seen->has & 1u << i)
			deepest = MIN(deepest, head < sight->block ?
						       0 :
						       head - sight->block + 1);
		else if (sight->mined && (seen->none & 1u << i) &&
			 head >= sight->block + s->p.confirmations)
			sight->disputed = true; /* it should have it */
	}
	if (sight->head == UINT64_MAX)
		sight->head = 0;
	sight->depth = deepest == UINT64_MAX ? 0 : deepest;
	return 0;
}

/* Is the nonce used up, in every endpoint's eyes? */
static int look_nonce(struct sender *s, struct sender_tx *tx,
		      struct sender_sight *sight)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	char who[ADDRESS_TEXT_MAX], params[80];
	uint64_t nonce = tx->held->attempts[0].tx.nonce, n, least = UINT64_MAX;
	int r;

	address_text(s->p.from, who);
	(void)snprintf(params, sizeof(params), "[\"%s\",\"latest\"]", who); /* fits */
	r = sender_each(s, tx, "eth_getTransactionCount", params, RPC_NUMBER, &e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < e->n; i++)
		if (e->status[i] == 0 && json_hex_u64(e->calls[i].result, &n) == 0)
			least = MIN(least, n);
	sight->used = least != UINT64_MAX && least > nonce;
	return 0;
}

/* Does any endpoint have the newest attempt? */
static int look_pool(struct sender *s, struct sender_tx *tx,
		     struct sender_sight *sight)
{
	_cleanup_rpc_each_ struct rpc_each *e = NULL;
	char params[HASH_PARAMS];
	int r;

	hash_params(&tx->held->attempts[tx->held->n - 1], params);
	r = sender_each(s, tx, "eth_getTransactionByHash", params,
			RPC_OBJECT_OR_NULL, &e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < e->n; i++)
		if (e->status[i] == 0 && json_is_object(e->calls[i].result))
			sight->known = true;
	return 0;
}

int sender_look(struct sender *s, struct sender_tx *tx, struct sender_sight *ret)
{
	struct sender_sight sight = { .mined = NULL };
	struct sender_receipt first = { .block = 0 };
	struct seen seen = { 0 };
	int r;

	for (unsigned i = tx->held->n; i > 0; i--) {
		r = look_receipts(s, tx, &tx->held->attempts[i - 1], &first,
				  &seen, &sight);
		if (r < 0)
			return r;
	}
	sight.block = first.block;
	sight.reverted = sight.mined && first.status == 0;
	sight.gas_used = first.gas_used;
	sight.gas_price = first.gas_price;
	r = look_heads(s, tx, &seen, &sight);
	if (r == 0 && !sight.mined)
		r = look_nonce(s, tx, &sight);
	if (r == 0 && !sight.mined && !sight.used)
		r = look_pool(s, tx, &sight);
	if (r == 0)
		*ret = sight;
	return r;
}

void sender_revert_text(const struct rpc_error *e, struct err *ret)
{
	struct revert why;

	ret->text[0] = '\0';
	if (e->n_data)
		revert_read(slice(e->data, e->n_data), &why);
	else if (!revert_read_text(slice_str(e->message), &why))
		text_copy(why.text, sizeof(why.text), e->message);
	err_set(ret, -ENOEXEC, "%s", why.text);
}

void sender_why(struct sender *s, struct sender_tx *tx,
		const struct sender_attempt *a, uint64_t block, struct err *ret)
{
	_cleanup_free_ char *params = NULL;
	struct rpc_call call = { .method = "eth_call", .want = RPC_BYTES };
	char at[24];
	int r;

	/* What it was called with, again, where it failed. */
	(void)snprintf(at, sizeof(at), "0x%llx", (unsigned long long)block); /* fits */
	r = sender_call_params(s, &a->tx, at, &params);
	if (r == 0) {
		call.params = params;
		r = sender_ask(s, tx, &call);
		rpc_call_fini(&call);
	}
	if (r == -ENOEXEC)
		sender_revert_text(&call.error, ret);
	else
		err_set(ret, r, "it reverted, and no node says why");
}
