/* test_cid.c - CIDs, multibase, murmur3 and dag-pb against vectors and abuse */
#include "vectors.h"

#include <errno.h>

#include "base/buf.h"
#include "crypto/link.h"
#include "dag/dagpb.h"
#include "dag/multibase.h"
#include "dag/murmur3.h"

static void cids_of_the_vectors_come_back_in_every_base(void **state)
{
	static const struct {
		const char *key;
		char base;
	} forms[] = {
		{ "v1_base32", 'b' },    { "v1_base36", 'k' },
		{ "v1_base58btc", 'z' }, { "v1_base16", 'f' },
		{ "v1_base64url", 'u' },
	};
	json_t *j = vectors_load("cids.json"), *v;
	char text[CID_TEXT_MAX];
	const char *want;
	struct cid c, d;
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 256);
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		buf_reset(&b);
		vectors_hex(vectors_str(v, "bytes_hex"), &b);
		assert_int_equal(cid_parse(buf_slice(&b), &c), 0);
		if (c.version == 0) {
			vectors_assert_cid(&c, vectors_str(v, "input"), "v0");
			want = vectors_str(v, "input");
			assert_int_equal(cid_from_text(slice_str(want), &d), 0);
			assert_true(cid_eq(&c, &d));
			c.version = 1;
		}
		for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
			want = json_string_value(json_object_get(v, forms[k].key));
			if (!want)
				continue;
			cid_text_base(&c, forms[k].base, text);
			assert_string_equal(text, want);
			assert_int_equal(cid_from_text(slice_str(want), &d), 0);
			assert_true(cid_eq(&c, &d));
		}
	}
	buf_fini(&b);
	json_decref(j);
}

static void cids_of_wrong_form_are_refused(void **state)
{
	static const struct {
		const char *hex;
		int err;
	} bad[] = {
		{ "", -EPROTO },
		{ "01", -EPROTO },
		{ "02550000", -EPROTO },     /* version 2 */
		{ "0155000000", -EPROTO },   /* bytes behind the digest */
		{ "01d5000000", -EPROTO },   /* codec varint not minimal */
		{ "015512021234", -EPROTO }, /* short sha2-256 */
		{ "0155130100", -EPROTO },   /* short sha2-512 */
		{ "122012", -EPROTO },       /* truncated v0 */
		{ "ffffffffffffffffff01", -EPROTO },
	};
	struct cid c;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_init(&b, 256);
		vectors_hex(bad[i].hex, &b);
		assert_int_equal(cid_parse(buf_slice(&b), &c), bad[i].err);
		buf_fini(&b);
	}
}

static void texts_that_are_no_cid_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"b",
		"bafkqaab",  /* unused trailing bits set */
		"bafkqaaaa", /* a digit that makes no byte */
		"bafkQaaa",
		"Bafkqaaa",
		"mAVUAAA", /* base64 is no base of ours */
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0",
		"QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N",
		/* a v0 multihash behind a prefix */
		"zQmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
	};
	struct cid c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (cid_from_text(slice_str(bad[i]), &c) == 0)
			fail_msg("accepted %s", bad[i]);
	}
	assert_int_equal(cid_from_text(slice_str("BAFKQAAA"), &c), 0);
	assert_int_equal(c.n_digest, 0);
}

static void an_identity_of_128_bytes_is_read_and_of_129_is_not(void **state)
{
	uint8_t block[200] = { 0x01, 0x55, 0x00, 0x80, 0x01 };
	struct cid c;

	(void)state;
	assert_int_equal(cid_parse(slice(block, 5 + 128), &c), 0);
	assert_int_equal(c.n_digest, 128);
	assert_int_equal(cid_size(&c), 5 + 128);
	block[3] = 0x81;
	assert_int_equal(cid_parse(slice(block, 5 + 129), &c), -EMSGSIZE);
}

static void a_block_is_verified_by_its_cid(void **state)
{
	struct slice hello = slice_str("hello world");
	struct cid c = cid_of(CID_RAW, hello);
	struct link l;

	(void)state;
	vectors_assert_cid(
		&c, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
		"hello");
	assert_int_equal(cid_verify(&c, hello), 0);
	assert_int_equal(cid_verify(&c, slice_str("hello worlD")), -EBADMSG);
	assert_int_equal(
		cid_from_text(slice_str("bafk2bzaceaswza5ss4iu2ia3galz6pyo6dfm5f4dmiw2lf2de22dmf4k533ba"),
			      &c),
		0);
	assert_int_equal(cid_verify(&c, hello), 0);
	assert_int_equal(cid_to_link(&c, true, &l), -EOPNOTSUPP);
	c = cid_identity(CID_DAGPB, hello);
	assert_int_equal(cid_verify(&c, hello), 0);
	assert_int_equal(cid_verify(&c, SLICE_NONE), -EBADMSG);
	assert_int_equal(cid_to_link(&c, true, &l), 0);
	assert_int_equal(l.kind, LINK_IDENTITY);
	assert_int_equal(l.n_inline, hello.n);
}

static void leading_zeros_survive_the_big_number_bases(void **state)
{
	static const uint8_t in[] = { 0, 0, 1, 0xff };
	uint8_t out[8];
	char text[32];
	size_t n;

	(void)state;
	for (const char *b = "kzbfu"; *b; b++) {
		assert_int_equal(multibase_encode(*b, slice(in, 4), text, 32), 0);
		assert_int_equal(multibase_decode(slice_str(text), out, 8, &n), 0);
		assert_int_equal(n, 4);
		assert_memory_equal(out, in, 4);
		assert_int_equal(multibase_decode(slice_str(text), out, 3, &n),
				 -EMSGSIZE);
		assert_int_equal(multibase_encode(*b, slice(in, 4), text, 5),
				 -EMSGSIZE);
	}
}

static void murmur3_equals_the_vectors(void **state)
{
	json_t *j = vectors_load("murmur3.json"), *v;
	char hex[17];
	struct buf b;
	size_t i;

	(void)state;
	buf_init(&b, 4096);
	json_array_foreach(json_object_get(j, "vectors"), i, v)
	{
		buf_reset(&b);
		vectors_hex(vectors_str(v, "input_hex"), &b);
		(void)snprintf(hex, sizeof(hex), "%016lx",
			       murmur3_h1(buf_slice(&b)));
		assert_string_equal(hex, vectors_str(v, "h1_hex_be"));
	}
	assert_int_equal(i, 18);
	buf_fini(&b);
	json_decref(j);
}

static void dagpb_reads_what_it_wrote(void **state)
{
	struct cid c = cid_of(CID_RAW, slice_str("x"));
	uint8_t t[CID_BYTES_MAX];
	struct dagpb_link l, in = { .name = slice_str("n"), .tsize = 300 };
	struct cursor it;
	struct dagpb n;
	struct buf b;

	(void)state;
	in.hash = slice(t, cid_bytes(&c, t));
	buf_init(&b, 4096);
	assert_int_equal(dagpb_put_link(&b, &in), 0);
	assert_int_equal(b.n, dagpb_link_size(in.hash.n, 1, 300));
	assert_int_equal(dagpb_put_data(&b, slice_str("data")), 0);
	assert_int_equal(dagpb_parse(buf_slice(&b), &n), 0);
	assert_int_equal(n.n_links, 1);
	assert_true(slice_eq(n.data, slice_str("data")));
	it = cursor(n.links);
	assert_true(dagpb_next(&it, &l));
	assert_true(slice_eq(l.hash, in.hash));
	assert_true(slice_eq(l.name, in.name));
	assert_true(l.tsize == 300);
	assert_false(dagpb_next(&it, &l));
	buf_fini(&b);
}

static void dagpb_of_wrong_form_is_refused(void **state)
{
	static const char *const good[] = {
		"",
		"0a00",
		"0a001206"
		"0a0401550000",
		"12060a0401550000"
		"12060a0401550000"
		"0a00",
	};
	static const char *const bad[] = {
		"0a",
		"0a02ff",
		"0a000a00", /* two Data */
		"12060a0401550000"
		"0a00"
		"12060a0401550000", /* split links */
		"1200",             /* no Hash */
		"12060a04015500",   /* truncated */
		"12040a020155",     /* Hash is no CID */
		"1208"
		"1800"
		"0a0401550000", /* fields out of order */
		"120a"
		"0a0401550000"
		"18001800", /* repeated */
		"1209"
		"0a0401550000"
		"220100", /* unknown link field */
		"1a00",   /* unknown node field */
		"0800",   /* wrong wire type */
		"1206"
		"0a0401550000"
		"ff",
	};
	struct dagpb n;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		buf_init(&b, 256);
		vectors_hex(good[i], &b);
		if (dagpb_parse(buf_slice(&b), &n) != 0)
			fail_msg("refused %s", good[i]);
		buf_fini(&b);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_init(&b, 256);
		vectors_hex(bad[i], &b);
		if (dagpb_parse(buf_slice(&b), &n) != -EPROTO)
			fail_msg("accepted %s", bad[i]);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cids_of_the_vectors_come_back_in_every_base),
		cmocka_unit_test(cids_of_wrong_form_are_refused),
		cmocka_unit_test(texts_that_are_no_cid_are_refused),
		cmocka_unit_test(an_identity_of_128_bytes_is_read_and_of_129_is_not),
		cmocka_unit_test(a_block_is_verified_by_its_cid),
		cmocka_unit_test(leading_zeros_survive_the_big_number_bases),
		cmocka_unit_test(murmur3_equals_the_vectors),
		cmocka_unit_test(dagpb_reads_what_it_wrote),
		cmocka_unit_test(dagpb_of_wrong_form_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
