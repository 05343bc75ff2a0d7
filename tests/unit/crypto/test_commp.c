/* test_commp.c - piece commitments and piece CIDs against the vectors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <sodium.h>

#include "crypto/commp.h"
#include "crypto/hash.h"
#include "crypto/pairhash.h"
#include "crypto/piece_cid.h"
#include "crypto/secret.h"

#include "vectors.h"

static json_t *vectors;

static int load(void **state)
{
	FILE *f = vector_open("commp/commp.json");

	(void)state;
	vectors = json_loadf(f, 0, NULL);
	(void)fclose(f);
	return vectors ? 0 : -1;
}

static int unload(void **state)
{
	(void)state;
	json_decref(vectors);
	return 0;
}

static const char *text_of(const json_t *v, const char *name)
{
	const char *s = json_string_value(json_object_get(v, name));

	assert_non_null(s);
	return s;
}

static uint64_t number_of(const json_t *v, const char *name)
{
	const json_t *n = json_object_get(v, name);

	assert_true(json_is_integer(n));
	return (uint64_t)json_integer_value(n);
}

static uint8_t *pattern(const char *name, size_t n)
{
	uint8_t *p = mod251(n);
	uint32_t x = 1;

	if (strcmp(name, "zero") == 0) {
		memset(p, 0, n);
	} else if (strcmp(name, "ff") == 0) {
		memset(p, 0xff, n);
	} else if (strcmp(name, "lcg") == 0) {
		for (size_t i = 0; i < n; i++) {
			x = x * 1664525 + 1013904223;
			p[i] = (uint8_t)(x >> 24);
		}
	} else {
		assert_string_equal(name, "mod251");
	}
	return p;
}

static void sum_of(const uint8_t *p, size_t n, size_t step, struct commp_sum *ret)
{
	_cleanup_commp_ struct commp *c = NULL;

	assert_int_equal(commp_new(&c), 0);
	for (size_t i = 0; i < n; i += step)
		commp_update(c, slice(p + i, MIN(step, n - i)));
	commp_final(c, ret);
}

static void check_cids(const struct commp_sum *sum, const json_t *v)
{
	char text[PIECE_CID_TEXT_MAX];
	struct piece_cid cid, back;
	struct commp_sum parsed;
	uint8_t want[PIECE_CID_MAX];
	size_t n;

	piece_cid_v1(sum, &cid);
	piece_cid_text(&cid, text);
	assert_string_equal(text, text_of(v, "pieceCidV1"));
	piece_cid_v2(sum, &cid);
	piece_cid_text(&cid, text);
	assert_string_equal(text, text_of(v, "pieceCidV2"));
	if (json_object_get(v, "pieceCidV2Hex")) {
		n = unhex(text_of(v, "pieceCidV2Hex"), want, sizeof(want));
		assert_true(slice_eq(piece_cid_slice(&cid), slice(want, n)));
	}
	assert_int_equal(piece_cid_from_text(slice_str(text), &back), 0);
	assert_true(piece_cid_eq(&cid, &back));
	assert_int_equal(piece_cid_parse(piece_cid_slice(&cid), &parsed), 0);
	assert_int_equal(parsed.raw_size, sum->raw_size);
	assert_int_equal(parsed.padding, sum->padding);
	assert_int_equal(parsed.height, sum->height);
	assert_memory_equal(parsed.root, sum->root, COMMP_SIZE);
}

static void every_vector_passes(void **state)
{
	const json_t *list = json_object_get(vectors, "vectors");
	const json_t *v;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 44);
	json_array_foreach(list, i, v)
	{
		size_t n = (size_t)number_of(v, "size");
		uint8_t *p = pattern(text_of(v, "pattern"), n);
		uint8_t want[32], digest[HASH_SIZE];
		struct commp_sum sum;

		unhex(text_of(v, "sha256"), want, 32);
		sha256_once(slice(p, n), digest);
		assert_memory_equal(digest, want, 32);
		sum_of(p, n, n + 1, &sum);
		unhex(text_of(v, "root"), want, 32);
		assert_memory_equal(sum.root, want, 32);
		assert_int_equal(sum.height, number_of(v, "height"));
		assert_int_equal(sum.padding, number_of(v, "paddingBytes"));
		assert_int_equal(sum.raw_size, n);
		check_cids(&sum, v);
		free(p);
	}
}

static void pieces_of_zeros_equal_the_published_commitments(void **state)
{
	const json_t *list = json_object_get(vectors, "zeroCommitments");
	uint8_t zero[COMMP_SIZE] = { 0 }, want[COMMP_SIZE], pair[2 * COMMP_SIZE];
	uint8_t *p = calloc(1, 127u << 14);
	const json_t *v;
	size_t i;

	(void)state;
	assert_non_null(p);
	assert_true(json_array_size(list) >= 31);
	json_array_foreach(list, i, v)
	{
		unhex(text_of(v, "root"), want, 32);
		assert_memory_equal(zero, want, 32);
		if (json_object_get(v, "pieceCidV2")) {
			struct commp_sum sum = { .height = (uint8_t)i };

			if (i >= 2 && i <= 16)
				sum_of(p, 127u << (i - 2), 100000, &sum);
			memcpy(sum.root, i <= 16 ? sum.root : zero, COMMP_SIZE);
			sum.raw_size = number_of(v, "rawSize");
			assert_int_equal(sum.padding, 0);
			assert_int_equal(sum.height, i);
			check_cids(&sum, v);
		}
		memcpy(pair, zero, COMMP_SIZE);
		memcpy(pair + COMMP_SIZE, zero, COMMP_SIZE);
		pairhash_portable(zero, pair, 1);
	}
	free(p);
}

static void quads_expand_as_the_vectors_do(void **state)
{
	const json_t *list = json_object_get(vectors, "fr32");
	const json_t *v;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(list), 2);
	json_array_foreach(list, i, v)
	{
		uint8_t in[127], out[128];
		struct commp_sum sum;

		assert_int_equal(unhex(text_of(v, "inputHex"), in, 127), 127);
		assert_int_equal(unhex(text_of(v, "outputHex"), out, 128), 128);
		sum_of(in, sizeof(in), sizeof(in), &sum);
		pairhash_portable(out, out, 2);
		pairhash_portable(out, out, 1);
		assert_memory_equal(sum.root, out, COMMP_SIZE);
	}
}

static void pieces_of_any_cut_have_one_sum(void **state)
{
	static const size_t sizes[] = { 1,     126,    65023,  65024,
					65025, 130048, 130049, 300000 };
	static const size_t steps[] = { 1,     127,   4096,  65023,
					65024, 65025, 100001 };
	uint8_t *p = pattern("lcg", 300000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct commp_sum want, got;

		sum_of(p, sizes[i], sizes[i], &want);
		for (size_t j = 0; j < ARRAY_LEN(steps); j++) {
			sum_of(p, sizes[i], steps[j], &got);
			assert_memory_equal(got.root, want.root, COMMP_SIZE);
			assert_int_equal(got.height, want.height);
			assert_int_equal(got.padding, want.padding);
		}
	}
	free(p);
}

static void spans_reduced_apart_give_the_same_sum(void **state)
{
	static const size_t behind[] = { 0,     1,      127,
					 65024, 300000, COMMP_SPAN - 1 };
	uint8_t *p = pattern("lcg", 8 * COMMP_SPAN), root[COMMP_SIZE];
	_cleanup_commp_ struct commp *c = NULL;

	(void)state;
	assert_int_equal(commp_new(&c), 0);
	for (size_t n = 1; n <= 7; n++) {
		for (size_t i = 0; i < ARRAY_LEN(behind); i++) {
			size_t size = n * COMMP_SPAN + behind[i];
			struct commp_sum want, got;

			if (n > 2 && i % 3)
				continue; /* they take long */
			sum_of(p, size, size, &want);
			for (size_t k = 0; k < n; k++) {
				assert_int_equal(
					commp_span(p + k * COMMP_SPAN, root), 0);
				commp_add_span(c, root);
			}
			commp_update(c, slice(p + n * COMMP_SPAN, behind[i]));
			commp_final(c, &got);
			assert_memory_equal(got.root, want.root, COMMP_SIZE);
			assert_int_equal(got.raw_size, want.raw_size);
			assert_int_equal(got.height, want.height);
			assert_int_equal(got.padding, want.padding);
		}
	}
	free(p);
}

/* The tree of the whole payload, built leaf by leaf as the definition says. */
static void naive(const uint8_t *p, size_t n, struct commp_sum *ret)
{
	size_t n_quads = 1, bit = 0;
	uint8_t *t;

	ret->height = 2;
	for (; n_quads * 127 < n; n_quads *= 2)
		ret->height++;
	t = calloc(n_quads, 128);
	assert_non_null(t);
	for (size_t i = 0; i < n * 8; i++, bit++) {
		if (bit % 256 == 254)
			bit += 2;
		if (p[i / 8] >> i % 8 & 1)
			t[bit / 8] |= (uint8_t)(1 << bit % 8);
	}
	for (size_t nodes = n_quads * 2; nodes; nodes /= 2) {
		for (size_t i = 0; i < nodes; i++) {
			uint8_t d[HASH_SIZE];

			sha256_once(slice(t + 64 * i, 64), d);
			d[31] &= 0x3f;
			memcpy(t + 32 * i, d, 32);
		}
	}
	memcpy(ret->root, t, COMMP_SIZE);
	free(t);
}

static void the_definition_gives_the_same_at_random_lengths(void **state)
{
	uint8_t *p = malloc(600000);

	(void)state;
	assert_non_null(p);
	randombytes_buf(p, 600000);
	for (unsigned i = 0; i < 60; i++) {
		size_t n = i < 30 ? randombytes_uniform(2000) + 1 :
			   i < 57 ? randombytes_uniform(100000) + 1 :
				    600000 - i;
		struct commp_sum want, got;

		naive(p, n, &want);
		sum_of(p, n, 7777, &got);
		assert_memory_equal(got.root, want.root, COMMP_SIZE);
		assert_int_equal(got.height, want.height);
	}
	free(p);
}

static void one_commp_serves_piece_after_piece(void **state)
{
	_cleanup_commp_ struct commp *c = NULL;
	uint8_t *p = mod251(200000);
	struct commp_sum a, b;

	(void)state;
	assert_int_equal(commp_new(&c), 0);
	commp_update(c, slice(p, 200000));
	commp_final(c, &a);
	commp_update(c, slice(p, 77));
	commp_final(c, &b);
	sum_of(p, 77, 77, &a);
	assert_memory_equal(a.root, b.root, COMMP_SIZE);
	assert_int_equal(b.raw_size, 77);
	free(p);
}

static void all_implementations_hash_alike(void **state)
{
	pairhash_fn f[] = { pairhash_portable, pairhash_shani(),
			    pairhash_armv8(),  pairhash_avx512(),
			    pairhash_avx2(),   pairhash_best() };
	uint8_t src[64 * 70], got[32 * 70], want[HASH_SIZE];

	(void)state;
	randombytes_buf(src, sizeof(src));
	for (size_t i = 0; i < ARRAY_LEN(f); i++) {
		if (!f[i])
			continue;
		for (size_t n = 0; n <= 70; n++) {
			memset(got, 0xee, sizeof(got));
			f[i](got, src, n);
			for (size_t j = 0; j < n; j++) {
				sha256_once(slice(src + 64 * j, 64), want);
				want[31] &= 0x3f;
				assert_memory_equal(got + 32 * j, want, 32);
			}
			for (size_t j = 32 * n; j < sizeof(got); j++)
				assert_int_equal(got[j], 0xee);
		}
	}
}

static void malformed_piece_cids_are_refused(void **state)
{
	struct commp_sum sum = { .raw_size = 100, .padding = 27, .height = 2 }, out;
	struct piece_cid good, bad;
	uint8_t longer[PIECE_CID_MAX + 1];

	(void)state;
	piece_cid_v2(&sum, &good);
	assert_int_equal(piece_cid_parse(piece_cid_slice(&good), &out), 0);
	for (size_t n = 0; n < good.n; n++)
		assert_int_equal(piece_cid_parse(slice(good.bytes, n), &out),
				 -EPROTO);
	memcpy(longer, good.bytes, sizeof(good.bytes));
	assert_int_equal(piece_cid_parse(slice(longer, good.n + 1u), &out), -EPROTO);
	for (size_t i = 0; i < 5; i++) {
		bad = good;
		bad.bytes[i] ^= 1;
		assert_int_equal(piece_cid_parse(piece_cid_slice(&bad), &out),
				 -EPROTO);
	}
	/* Height 1 and 51, padding of 128 in 127, 255 bits of root. */
	for (unsigned i = 0; i < 4; i++) {
		struct commp_sum s = sum;

		if (i < 2)
			s.height = i ? 51 : 1;
		else if (i == 2)
			s.padding = 128;
		else
			s.root[31] = 0x40;
		piece_cid_v2(&s, &bad);
		assert_int_equal(piece_cid_parse(piece_cid_slice(&bad), &out),
				 -EPROTO);
	}
	/* A varint that is not minimal: 27 as 9b 00. */
	memcpy(longer, good.bytes, 4);
	longer[4] = 35;
	longer[5] = 0x9b;
	longer[6] = 0;
	memcpy(longer + 7, good.bytes + 6, 33);
	assert_int_equal(piece_cid_parse(slice(longer, 40), &out), -EPROTO);
	/* v1 says no size. */
	piece_cid_v1(&sum, &bad);
	assert_int_equal(piece_cid_parse(piece_cid_slice(&bad), &out), -EPROTO);
}

static void malformed_texts_are_refused(void **state)
{
	static const char good[] =
		"bafkzcibcaablqfyjsvd3rrmqmd7n4f7i73ybzuxfq4p4za6lft2jeaaaaguxefq";
	static const char swaps[] = { '1', '8',  '0',    '=', 'A',
				      ' ', '\0', '\xff', '\n' };
	char text[sizeof(good) + 1];
	struct piece_cid c;

	(void)state;
	assert_int_equal(piece_cid_from_text(slice_str(good), &c), 0);
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		assert_int_equal(piece_cid_from_text(slice(good, n), &c), -EPROTO);
	for (size_t i = 0; i < sizeof(good) - 1; i++) {
		for (size_t j = 0; j < sizeof(swaps); j++) {
			memcpy(text, good, sizeof(good));
			text[i] = swaps[j];
			assert_int_equal(piece_cid_from_text(
						 slice(text, sizeof(good) - 1), &c),
					 -EPROTO);
		}
	}
	memcpy(text, good, sizeof(good));
	text[sizeof(good) - 2] = 'r'; /* bits behind the last byte */
	assert_int_equal(piece_cid_from_text(slice(text, sizeof(good) - 1), &c),
			 -EPROTO);
	memcpy(text, good, sizeof(good) - 1);
	memcpy(text + sizeof(good) - 1, "a", 2);
	assert_int_equal(piece_cid_from_text(slice_str(text), &c), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_vector_passes),
		cmocka_unit_test(pieces_of_zeros_equal_the_published_commitments),
		cmocka_unit_test(quads_expand_as_the_vectors_do),
		cmocka_unit_test(pieces_of_any_cut_have_one_sum),
		cmocka_unit_test(spans_reduced_apart_give_the_same_sum),
		cmocka_unit_test(the_definition_gives_the_same_at_random_lengths),
		cmocka_unit_test(one_commp_serves_piece_after_piece),
		cmocka_unit_test(all_implementations_hash_alike),
		cmocka_unit_test(malformed_piece_cids_are_refused),
		cmocka_unit_test(malformed_texts_are_refused),
	};

	if (secret_init_library() < 0)
		return 1;
	return cmocka_run_group_tests(tests, load, unload);
}
