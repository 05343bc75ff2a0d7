#include "chain/foc_auth.h"

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "chain/abi.h"
#include "crypto/piece_cid.h"

#define SIGNATURE_MAX 256 /* bytes: (bytes signature) and room */

static int check_entries(const struct eip712_entry *e, size_t n, size_t max,
			 struct err *reterr)
{
	if (n > max)
		return err_set(reterr, -EINVAL,
			       "%zu metadata entries, at most %zu are taken", n,
			       max);
	for (size_t i = 0; i < n; i++) {
		if (!e[i].key.n || e[i].key.n > FOC_AUTH_KEY_MAX)
			return err_set(reterr, -EINVAL,
				       "a metadata key has 1 to %d bytes, not %zu",
				       FOC_AUTH_KEY_MAX, e[i].key.n);
		if (e[i].value.n > FOC_AUTH_VALUE_MAX)
			return err_set(reterr, -EINVAL,
				       "a metadata value has at most %d bytes, not %zu",
				       FOC_AUTH_VALUE_MAX, e[i].value.n);
		for (size_t k = 0; k < i; k++)
			if (slice_eq(e[i].key, e[k].key))
				return err_set(reterr, -EINVAL,
					       "a metadata key stands twice");
	}
	return 0;
}

static int check_pieces(const struct foc_auth_add *p, struct err *reterr)
{
	int r;

	if (!p->n_pieces || p->n_pieces > FOC_AUTH_PIECES_MAX)
		return err_set(reterr, -EINVAL,
			       "one add takes 1 to %d pieces, not %zu",
			       FOC_AUTH_PIECES_MAX, p->n_pieces);
	for (size_t i = 0; i < p->n_pieces; i++) {
		const struct eip712_piece *one = &p->pieces[i];

		if (!one->cid.n || one->cid.n > PIECE_CID_MAX)
			return err_set(reterr, -EINVAL,
				       "piece %zu has no piece CID", i);
		for (size_t k = 0; k < i; k++)
			if (slice_eq(one->cid, p->pieces[k].cid))
				return err_set(reterr, -EINVAL,
					       "pieces %zu and %zu are the same",
					       k, i);
		r = check_entries(one->entries, one->n_entries,
				  FOC_AUTH_PIECE_ENTRIES, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static void put_strings(struct abi_out *o, const struct eip712_entry *e,
			size_t n, bool values)
{
	abi_begin_array(o);
	for (size_t i = 0; i < n; i++)
		abi_put_string(o, values ? e[i].value : e[i].key);
	abi_end(o);
}

static void put_piece_strings(struct abi_out *o, const struct foc_auth_add *p,
			      bool values)
{
	abi_begin_array(o);
	for (size_t i = 0; i < p->n_pieces; i++)
		put_strings(o, p->pieces[i].entries, p->pieces[i].n_entries, values);
	abi_end(o);
}

static int append(struct abi_out *o, struct buf *ret)
{
	struct slice all;
	int r;

	r = abi_out_done(o, &all);
	return r < 0 ? r : buf_append(ret, all);
}

int foc_auth_create(const struct foc_auth *a, const struct foc_auth_create *c,
		    struct buf *ret_extra, struct err *reterr)
{
	uint8_t hash[EIP712_HASH_SIZE], sig[EIP712_SIGNATURE_SIZE];
	_cleanup_abi_out_ struct abi_out o = { 0 };
	int r;

	r = check_entries(c->entries, c->n_entries, FOC_AUTH_SET_ENTRIES, reterr);
	if (r < 0)
		return r;
	eip712_create_data_set(c->client_data_set_id, c->payee, c->entries,
			       c->n_entries, hash);
	r = eip712_sign(a->key, a->separator, hash, sig);
	if (r < 0)
		return r;
	abi_out_init(&o, FOC_AUTH_CREATE_MAX);
	abi_put_address(&o, c->payer);
	abi_put_u256(&o, c->client_data_set_id);
	put_strings(&o, c->entries, c->n_entries, false);
	put_strings(&o, c->entries, c->n_entries, true);
	abi_put_bytes(&o, slice(sig, sizeof(sig)));
	return append(&o, ret_extra);
}

int foc_auth_add(const struct foc_auth *a, const struct foc_auth_add *p,
		 struct buf *ret_extra, struct err *reterr)
{
	uint8_t hash[EIP712_HASH_SIZE], sig[EIP712_SIGNATURE_SIZE];
	_cleanup_abi_out_ struct abi_out o = { 0 };
	int r;

	r = check_pieces(p, reterr);
	if (r < 0)
		return r;
	eip712_add_pieces(p->client_data_set_id, p->nonce, p->pieces,
			  p->n_pieces, hash);
	r = eip712_sign(a->key, a->separator, hash, sig);
	if (r < 0)
		return r;
	abi_out_init(&o, FOC_AUTH_ADD_MAX);
	abi_put_u256(&o, p->nonce);
	put_piece_strings(&o, p, false);
	put_piece_strings(&o, p, true);
	abi_put_bytes(&o, slice(sig, sizeof(sig)));
	r = append(&o, ret_extra);
	if (r == -EMSGSIZE)
		return err_set(reterr, r,
			       "%zu pieces with their metadata are too much for one add",
			       p->n_pieces);
	return r;
}

int foc_auth_create_and_add(const struct foc_auth *a,
			    const struct foc_auth_create *c,
			    const struct foc_auth_add *p, struct buf *ret_extra,
			    struct err *reterr)
{
	_cleanup_buf_ struct buf create = { 0 };
	_cleanup_buf_ struct buf add = { 0 };
	_cleanup_abi_out_ struct abi_out o = { 0 };
	int r;

	if (!u256_eq(c->client_data_set_id, p->client_data_set_id))
		return err_set(reterr, -EINVAL,
			       "the pieces are for another data set than the one to create");
	buf_init(&create, FOC_AUTH_CREATE_MAX);
	buf_init(&add, FOC_AUTH_ADD_MAX);
	r = foc_auth_create(a, c, &create, reterr);
	if (r == 0)
		r = foc_auth_add(a, p, &add, reterr);
	if (r < 0)
		return r;
	abi_out_init(&o, FOC_AUTH_CREATE_MAX + FOC_AUTH_ADD_MAX + SIGNATURE_MAX);
	abi_put_bytes(&o, buf_slice(&create));
	abi_put_bytes(&o, buf_slice(&add));
	return append(&o, ret_extra);
}

/* (bytes signature) */
static int sign_alone(const struct foc_auth *a,
		      const uint8_t hash[static EIP712_HASH_SIZE],
		      struct buf *ret_extra)
{
	_cleanup_abi_out_ struct abi_out o = { 0 };
	uint8_t sig[EIP712_SIGNATURE_SIZE];
	int r;

	r = eip712_sign(a->key, a->separator, hash, sig);
	if (r < 0)
		return r;
	abi_out_init(&o, SIGNATURE_MAX);
	abi_put_bytes(&o, slice(sig, sizeof(sig)));
	return append(&o, ret_extra);
}

int foc_auth_remove(const struct foc_auth *a, struct u256 client_data_set_id,
		    const uint64_t *piece_ids, size_t n_piece_ids,
		    struct buf *ret_extra, struct err *reterr)
{
	uint8_t hash[EIP712_HASH_SIZE];

	if (!n_piece_ids || n_piece_ids > FOC_AUTH_REMOVALS_MAX)
		return err_set(reterr, -EINVAL,
			       "one removal takes 1 to %d pieces, not %zu",
			       FOC_AUTH_REMOVALS_MAX, n_piece_ids);
	for (size_t i = 0; i < n_piece_ids; i++)
		for (size_t k = 0; k < i; k++)
			if (piece_ids[i] == piece_ids[k])
				return err_set(reterr, -EINVAL,
					       "piece %llu is to be removed twice",
					       (unsigned long long)piece_ids[i]);
	eip712_schedule_piece_removals(client_data_set_id, piece_ids,
				       n_piece_ids, hash);
	return sign_alone(a, hash, ret_extra);
}

int foc_auth_terminate(const struct foc_auth *a, uint64_t data_set_id,
		       struct buf *ret_extra)
{
	uint8_t hash[EIP712_HASH_SIZE];

	eip712_terminate_service(data_set_id, hash);
	return sign_alone(a, hash, ret_extra);
}
