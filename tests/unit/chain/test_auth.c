/* test_auth.c - typed data and the authorizations that carry its signatures */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "chain/eip712.h"
#include "chain/foc_auth.h"
#include "crypto/piece_cid.h"
#include "crypto/secret.h"

#include "vectors.h"

#define EXTRA_MAX 16384

static void type_hashes_equal_the_vectors(void **state)
{
	static const char *const name[EIP712_NX] = {
		[EIP712_CREATE_DATA_SET] = "CreateDataSet",
		[EIP712_ADD_PIECES] = "AddPieces",
		[EIP712_SCHEDULE_PIECE_REMOVALS] = "SchedulePieceRemovals",
		[EIP712_TERMINATE_SERVICE] = "TerminateService",
		[EIP712_PERMIT] = "Permit",
		[EIP712_METADATA_ENTRY] = "MetadataEntry",
		[EIP712_CID] = "Cid",
		[EIP712_PIECE_METADATA] = "PieceMetadata",
		[EIP712_DOMAIN] = "EIP712Domain",
	};
	json_t *v = vectors_load("eip712.json"),
	       *all = json_object_get(v, "typeHashes");

	(void)state;
	assert_int_equal(json_object_size(all), EIP712_NX);
	for (unsigned i = 0; i < EIP712_NX; i++) {
		const json_t *o = vectors_get(all, name[i]);
		uint8_t hash[EIP712_HASH_SIZE];

		assert_string_equal(eip712_type_text((enum eip712_type)i),
				    vectors_str(o, "encodeType"));
		eip712_type_hash((enum eip712_type)i, hash);
		assert_slice_hex(slice(hash, sizeof(hash)),
				 vectors_str(o, "typeHash"));
	}
	json_decref(v);
}

/* Of an object, or by the name of one. */
static void separator_of(const json_t *v, const json_t *domain,
			 uint8_t ret[static EIP712_HASH_SIZE])
{
	if (json_is_string(domain))
		domain = vectors_get(vectors_get(v, "domains"),
				     json_string_value(domain));
	eip712_separator(slice_str(vectors_str(domain, "name")),
			 slice_str(vectors_str(domain, "version")),
			 vectors_u256(domain, "chainId").w[0],
			 vectors_address(domain, "verifyingContract"), ret);
}

static void separators_equal_the_vectors(void **state)
{
	json_t *v = vectors_load("eip712.json"), *o;
	uint8_t got[EIP712_HASH_SIZE];
	const char *key;

	(void)state;
	json_object_foreach(json_object_get(v, "domains"), key, o)
	{
		separator_of(v, o, got);
		assert_slice_hex(slice(got, sizeof(got)),
				 vectors_str(o, "separator"));
		eip712_separator_fwss(vectors_u256(o, "chainId").w[0],
				      vectors_address(o, "verifyingContract"), got);
		assert_slice_hex(slice(got, sizeof(got)),
				 vectors_str(o, "separator"));
	}
	json_decref(v);
}

#define N_MAX 16

/* The parts of a message, as the vectors write them. */
struct message {
	struct eip712_entry entries[N_MAX][N_MAX];
	struct eip712_piece pieces[N_MAX];
	struct buf cids[N_MAX];
	size_t n;
};

static size_t entries_of(const json_t *list, struct eip712_entry ret[static N_MAX])
{
	size_t n = json_array_size(list);

	assert_true(n <= N_MAX);
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(list, i);

		ret[i].key = slice_str(vectors_str(e, "key"));
		ret[i].value = slice_str(vectors_str(e, "value"));
	}
	return n;
}

static void message_fini(struct message *m)
{
	for (size_t i = 0; i < m->n; i++)
		buf_fini(&m->cids[i]);
}

static struct foc_auth_create create_of(const json_t *o, struct message *m)
{
	return (struct foc_auth_create){
		.payee = vectors_address(o, "payee"),
		.client_data_set_id = vectors_u256(o, "clientDataSetId"),
		.entries = m->entries[0],
		.n_entries = entries_of(vectors_get(o, "metadata"), m->entries[0]),
	};
}

static struct foc_auth_add add_of(const json_t *o, struct message *m)
{
	const json_t *data = vectors_get(o, "pieceData");
	const json_t *metadata = vectors_get(o, "pieceMetadata");

	m->n = json_array_size(data);
	assert_true(m->n <= N_MAX && m->n == json_array_size(metadata));
	for (size_t i = 0; i < m->n; i++) {
		m->cids[i] = vectors_hex(json_array_get(data, i), "data");
		m->pieces[i].cid = buf_slice(&m->cids[i]);
		m->pieces[i].entries = m->entries[i];
		m->pieces[i].n_entries = entries_of(
			vectors_get(json_array_get(metadata, i), "metadata"),
			m->entries[i]);
	}
	return (struct foc_auth_add){
		.client_data_set_id = vectors_u256(o, "clientDataSetId"),
		.nonce = vectors_u256(o, "nonce"),
		.pieces = m->pieces,
		.n_pieces = m->n,
	};
}

/* Struct hash, and extraData where the operation has any. */
static void run(const json_t *o, const struct foc_auth *a,
		uint8_t ret_hash[static EIP712_HASH_SIZE], struct buf *ret_extra)
{
	const json_t *msg = vectors_get(o, "message");
	const char *type = vectors_str(o, "primaryType");
	struct message m = { 0 };

	if (strcmp(type, "CreateDataSet") == 0) {
		struct foc_auth_create c = create_of(msg, &m);

		c.payer = vectors_address(o, "payer");
		eip712_create_data_set(c.client_data_set_id, c.payee, c.entries,
				       c.n_entries, ret_hash);
		assert_int_equal(foc_auth_create(a, &c, ret_extra, NULL), 0);
	} else if (strcmp(type, "AddPieces") == 0) {
		struct foc_auth_add p = add_of(msg, &m);

		eip712_add_pieces(p.client_data_set_id, p.nonce, p.pieces,
				  p.n_pieces, ret_hash);
		assert_int_equal(foc_auth_add(a, &p, ret_extra, NULL), 0);
	} else if (strcmp(type, "SchedulePieceRemovals") == 0) {
		const json_t *list = vectors_get(msg, "pieceIds");
		struct u256 id = vectors_u256(msg, "clientDataSetId");
		uint64_t ids[N_MAX];
		size_t n = json_array_size(list);

		for (size_t i = 0; i < n; i++)
			ids[i] = strtoull(json_string_value(json_array_get(list, i)),
					  NULL, 10);
		eip712_schedule_piece_removals(id, ids, n, ret_hash);
		assert_int_equal(foc_auth_remove(a, id, ids, n, ret_extra, NULL), 0);
	} else if (strcmp(type, "TerminateService") == 0) {
		uint64_t id = vectors_u256(msg, "dataSetId").w[0];

		eip712_terminate_service(id, ret_hash);
		assert_int_equal(foc_auth_terminate(a, id, ret_extra), 0);
	} else {
		const struct eip712_permit p = {
			.owner = vectors_address(msg, "owner"),
			.spender = vectors_address(msg, "spender"),
			.value = vectors_u256(msg, "value"),
			.nonce = vectors_u256(msg, "nonce"),
			.deadline = vectors_u256(msg, "deadline"),
		};

		assert_string_equal(type, "Permit");
		eip712_permit(&p, ret_hash);
	}
	message_fini(&m);
}

static void digests_signatures_and_extra_data_equal_the_vectors(void **state)
{
	json_t *v = vectors_load("eip712.json"), *o;
	struct secret *key = vectors_key();
	unsigned n = 0;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(v, "vectors"), i, o)
	{
		uint8_t hash[EIP712_HASH_SIZE], digest[EIP712_HASH_SIZE];
		uint8_t sig[EIP712_SIGNATURE_SIZE];
		struct foc_auth a = { .key = key };
		struct buf extra;

		if (!json_object_get(o, "primaryType"))
			continue; /* create-and-add, below */
		separator_of(v, vectors_get(o, "domain"), a.separator);
		buf_init(&extra, EXTRA_MAX);
		run(o, &a, hash, &extra);
		if (json_object_get(o, "structHash"))
			assert_slice_hex(slice(hash, sizeof(hash)),
					 vectors_str(o, "structHash"));
		eip712_digest(a.separator, hash, digest);
		assert_slice_hex(slice(digest, sizeof(digest)),
				 vectors_str(o, "digest"));
		assert_int_equal(eip712_sign(key, a.separator, hash, sig), 0);
		assert_slice_hex(slice(sig, sizeof(sig)),
				 vectors_str(o, "signature"));
		if (json_object_get(o, "extraData"))
			assert_slice_hex(buf_slice(&extra),
					 vectors_str(o, "extraData"));
		buf_fini(&extra);
		n++;
	}
	assert_int_equal(n, 8);
	secret_free(key);
	json_decref(v);
}

static void create_and_add_equals_the_vector(void **state)
{
	json_t *v = vectors_load("eip712.json"), *o, *found = NULL;
	struct secret *key = vectors_key();
	struct foc_auth a = { .key = key };
	struct message m = { 0 };
	struct piece_cid cid;
	struct foc_auth_create c;
	struct foc_auth_add p;
	struct err e = { "" };
	struct buf extra;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(v, "vectors"), i,
			   o) if (strcmp(vectors_str(o, "name"),
					 "create-and-add") == 0) found = o;
	c = create_of(found, &m);
	c.payer = vectors_address(v, "address");
	assert_int_equal(
		piece_cid_from_text(slice_str(json_string_value(json_array_get(
					    vectors_get(found, "pieceCids"), 0))),
				    &cid),
		0);
	m.pieces[0].cid = piece_cid_slice(&cid);
	p = (struct foc_auth_add){ c.client_data_set_id,
				   vectors_u256(found, "addNonce"), m.pieces, 1 };
	separator_of(v, vectors_get(vectors_get(v, "domains"), "calibration"),
		     a.separator);
	buf_init(&extra, EXTRA_MAX);
	assert_int_equal(foc_auth_create_and_add(&a, &c, &p, &extra, NULL), 0);
	assert_slice_hex(buf_slice(&extra), vectors_str(found, "extraData"));

	p.client_data_set_id = u256(99);
	assert_int_equal(foc_auth_create_and_add(&a, &c, &p, &extra, &e), -EINVAL);
	assert_true(e.text[0]);
	buf_fini(&extra);
	secret_free(key);
	json_decref(v);
}

/* What the real contracts took when ethcalls.json was captured. */
static void what_the_real_contracts_accepted_is_made_again(void **state)
{
	json_t *v = vectors_load("ethcalls.json"),
	       *list = json_object_get(v, "pieces");
	struct piece_cid cids[3];
	struct eip712_piece pieces[3];
	const struct eip712_entry set[] = {
		{ slice_str("source"), slice_str("filecoin-drive") },
		{ slice_str("withIPFSIndexing"), SLICE_NONE },
	};
	const struct eip712_entry root = { slice_str("ipfsRootCID"),
					   slice_str("bafy") };
	struct secret *key = vectors_key();
	struct foc_auth a = { .key = key };
	struct foc_auth_create create = { .entries = set, .n_entries = 2 };
	struct foc_auth_add add;
	struct buf extra;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		assert_int_equal(piece_cid_from_text(slice_str(text), &cids[i]), 0);
		pieces[i] = (struct eip712_piece){ piece_cid_slice(&cids[i]),
						   NULL, 0 };
	}
	eip712_separator_fwss(314159,
			      vectors_address(vectors_get(v, "contracts"), "fwss"),
			      a.separator);
	add = (struct foc_auth_add){ vectors_u256(v, "clientDataSetId"),
				     u256(7), &pieces[2], 1 };
	buf_init(&extra, EXTRA_MAX);
	assert_int_equal(foc_auth_add(&a, &add, &extra, NULL), 0);
	assert_slice_hex(buf_slice(&extra), vectors_str(v, "addExtraData"));

	buf_reset(&extra);
	pieces[0].entries = &root;
	pieces[0].n_entries = 1;
	create.payer = vectors_address(v, "payer");
	assert_int_equal(
		address_parse(slice_str("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
			      &create.payee, NULL),
		0);
	create.client_data_set_id = add.client_data_set_id;
	add = (struct foc_auth_add){ add.client_data_set_id, u256(6), pieces, 2 };
	assert_int_equal(foc_auth_create_and_add(&a, &create, &add, &extra, NULL),
			 0);
	assert_slice_hex(buf_slice(&extra), vectors_str(v, "createAndAddExtraData"));
	buf_fini(&extra);
	secret_free(key);
	json_decref(v);
}

static void what_the_contract_would_refuse_is_not_signed(void **state)
{
	static uint8_t long_text[FOC_AUTH_VALUE_MAX + 1];
	struct eip712_entry e[FOC_AUTH_SET_ENTRIES + 1];
	struct eip712_piece pieces[FOC_AUTH_PIECES_MAX + 1];
	uint8_t cids[FOC_AUTH_PIECES_MAX + 1][39] = { { 0 } };
	struct secret *key = vectors_key();
	struct foc_auth a = { .key = key };
	struct foc_auth_create c = { .entries = e, .n_entries = 1 };
	struct foc_auth_add p = { .pieces = pieces };
	uint64_t ids[FOC_AUTH_REMOVALS_MAX + 1];
	char keys[FOC_AUTH_SET_ENTRIES + 1][4];
	struct err why = { "" };
	struct buf extra;

	(void)state;
	buf_init(&extra, EXTRA_MAX);
	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 0; i < ARRAY_LEN(e); i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		e[i] = (struct eip712_entry){ slice_str(keys[i]), SLICE_NONE };
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		cids[i][0] = (uint8_t)i;
		pieces[i] = (struct eip712_piece){ slice(cids[i], 39), NULL, 0 };
	}
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = i;

#define REFUSED(call)                       \
 do {                                       \
  why = (struct err){ "" };                 \
  assert_int_equal(call, -EINVAL);          \
  assert_true(why.text[0] && extra.n == 0); \
 } while (0)
	e[0].value = slice(long_text, FOC_AUTH_VALUE_MAX + 1);
	REFUSED(foc_auth_create(&a, &c, &extra, &why));
	e[0] = (struct eip712_entry){ slice(long_text, FOC_AUTH_KEY_MAX + 1),
				      SLICE_NONE };
	REFUSED(foc_auth_create(&a, &c, &extra, &why));
	e[0].key = SLICE_NONE;
	REFUSED(foc_auth_create(&a, &c, &extra, &why));
	e[0].key = e[1].key;
	c.n_entries = 2;
	REFUSED(foc_auth_create(&a, &c, &extra, &why));
	e[0].key = slice_str("k0");
	c.n_entries = ARRAY_LEN(e);
	REFUSED(foc_auth_create(&a, &c, &extra, &why));
	REFUSED(foc_auth_add(&a, &p, &extra, &why));
	p.n_pieces = ARRAY_LEN(pieces);
	REFUSED(foc_auth_add(&a, &p, &extra, &why));
	p.n_pieces = 2;
	pieces[1].cid = pieces[0].cid;
	REFUSED(foc_auth_add(&a, &p, &extra, &why));
	pieces[1].cid = slice(cids[1], 39);
	pieces[1].entries = e;
	pieces[1].n_entries = FOC_AUTH_PIECE_ENTRIES + 1;
	REFUSED(foc_auth_add(&a, &p, &extra, &why));
	REFUSED(foc_auth_remove(&a, u256(1), ids, 0, &extra, &why));
	REFUSED(foc_auth_remove(&a, u256(1), ids, ARRAY_LEN(ids), &extra, &why));
	ids[3] = ids[0];
	REFUSED(foc_auth_remove(&a, u256(1), ids, 4, &extra, &why));
#undef REFUSED
	/* The largest of each fit. */
	for (size_t i = 0; i < FOC_AUTH_SET_ENTRIES; i++)
		e[i].value = slice(long_text, FOC_AUTH_VALUE_MAX);
	c.n_entries = FOC_AUTH_SET_ENTRIES;
	assert_int_equal(foc_auth_create(&a, &c, &extra, &why), 0);
	buf_reset(&extra);
	pieces[1].n_entries = 0;
	p.n_pieces = FOC_AUTH_PIECES_MAX;
	assert_int_equal(foc_auth_add(&a, &p, &extra, &why), 0);
	buf_fini(&extra);
	secret_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(type_hashes_equal_the_vectors),
		cmocka_unit_test(separators_equal_the_vectors),
		cmocka_unit_test(digests_signatures_and_extra_data_equal_the_vectors),
		cmocka_unit_test(create_and_add_equals_the_vector),
		cmocka_unit_test(what_the_real_contracts_accepted_is_made_again),
		cmocka_unit_test(what_the_contract_would_refuse_is_not_signed),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
