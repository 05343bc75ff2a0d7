/* test_xindex.c - properties of a piece's index, and of its sections */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "crypto/hash.h"
#include "dag/piece.h"
#include "dag/xindex.h"

#define PIECE ((7ull << 40) + 3)
#define SIZE  (64u << 20)

static struct xindex_entry entry(uint32_t i)
{
	struct xindex_entry e = { .off = 36 + 400ull * i,
				  .len = 400,
				  .kind = 1 + i % (XINDEX_KIND_NX - 1),
				  .codec = i % 2 ? LINK_RAW : LINK_DAGPB };

	sha256_once(slice(&i, sizeof(i)), e.digest);
	memset(e.key, (int)i, sizeof(e.key));
	return e;
}

static void build(uint32_t n, struct buf *file)
{
	struct xindex_entry e;
	struct xindex x;

	xindex_init(&x, PIECE);
	for (uint32_t i = 0; i < n; i++) {
		e = entry(i);
		assert_int_equal(xindex_add(&x, &e), 0);
	}
	xindex_sort(&x);
	buf_init(file, 64u << 20);
	assert_int_equal(xindex_read(&x, 0, SIZE_MAX, file), 0);
	assert_int_equal(file->n, xindex_file_size(n));
	xindex_fini(&x);
}

static void every_block_is_found_by_its_digest(void **state)
{
	struct xindex_entry e, got;
	struct xindex_view v;
	struct link l;
	struct buf file;

	(void)state;
	build(5000, &file);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), 0);
	assert_int_equal(v.n, 5000);
	for (uint32_t i = 0; i < 5000; i++) {
		e = entry(i);
		assert_int_equal(xindex_find(&v, e.digest, &got), 0);
		assert_true(got.off == e.off && got.len == e.len);
		assert_true(got.kind == e.kind && got.codec == e.codec);
		assert_memory_equal(got.key, e.key, sizeof(e.key));
	}
	xindex_link(&got, PIECE, &l);
	assert_true(l.kind == LINK_SEALED && l.place.piece == PIECE &&
		    l.place.off == got.off && l.place.len == got.len);
	e = entry(5000);
	assert_int_equal(xindex_find(&v, e.digest, &got), -ENOENT);
	buf_fini(&file);
}

static void the_guess_is_within_one_leaf(void **state)
{
	struct xindex_view v;
	struct xindex_entry e;
	struct buf file;
	uint32_t worst = 0, g;

	(void)state;
	build(100000, &file);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), 0);
	for (uint32_t i = 0; i < v.n; i++) {
		xindex_get(&v, i, &e);
		g = xindex_guess(v.n, e.digest);
		assert_true(g < v.n);
		worst = MAX(worst, g > i ? g - i : i - g);
	}
	print_message("# worst distance %u of %u\n", worst, v.n);
	assert_true(worst < 4 * 316); /* 4 sqrt(n): never in a good while */
	buf_fini(&file);
}

static void the_order_of_adding_leaves_no_trace(void **state)
{
	struct xindex_entry e;
	struct buf a, b;
	struct xindex x;

	(void)state;
	build(300, &a);
	xindex_init(&x, PIECE);
	for (uint32_t i = 300; i-- > 0;) {
		e = entry(i);
		assert_int_equal(xindex_add(&x, &e), 0);
	}
	xindex_sort(&x);
	/* Read in odd chunks: the same bytes. */
	buf_init(&b, 1 << 20);
	for (uint64_t off = 0; off < xindex_file_size(300); off += 77)
		assert_int_equal(xindex_read(&x, off, 77, &b), 0);
	assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
	xindex_fini(&x);
	buf_fini(&a);
	buf_fini(&b);
}

static void a_file_of_any_other_length_is_refused(void **state)
{
	struct xindex_view v;
	struct buf file;

	(void)state;
	build(3, &file);
	for (size_t n = 0; n < file.n; n++)
		assert_int_equal(xindex_open(slice(file.p, n), PIECE, SIZE, &v),
				 -EPROTO);
	assert_int_equal(buf_u8(&file, 0), 0);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	buf_fini(&file);
}

static void hostile_counts_and_heads_are_refused(void **state)
{
	struct xindex_view v;
	struct buf file;
	uint32_t n;

	(void)state;
	build(1, &file);
	put_le64(file.p + 24, UINT64_MAX / 80 + 1); /* 80 * n wraps */
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	put_le64(file.p + 24, XINDEX_N_MAX + 1u);
	assert_int_equal(xindex_head_parse(slice(file.p, 32),
					   xindex_file_size(XINDEX_N_MAX + 1u),
					   PIECE, &n),
			 -EPROTO);
	put_le64(file.p + 24, XINDEX_N_MAX);
	assert_int_equal(xindex_head_parse(slice(file.p, 32),
					   xindex_file_size(XINDEX_N_MAX),
					   PIECE, &n),
			 0);
	put_le64(file.p + 24, 0);
	assert_int_equal(xindex_head_parse(slice(file.p, 32), 32, PIECE, &n),
			 -EPROTO);
	put_le64(file.p + 24, 1);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE + 1, SIZE, &v),
			 -EPROTO);
	file.p[8] = 2;
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v),
			 -EOPNOTSUPP);
	buf_fini(&file);
}

static void sections_outside_the_piece_and_wrong_order_are_refused(void **state)
{
	uint8_t swap[XINDEX_ENTRY_SIZE];
	struct xindex_view v;
	struct buf file;
	uint8_t *e;

	(void)state;
	build(2, &file);
	e = file.p + XINDEX_HEAD_SIZE;
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, 36 + 800, &v), 0);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, 36 + 799, &v),
			 -EPROTO);
	memcpy(swap, e, sizeof(swap));
	memmove(e, e + sizeof(swap), sizeof(swap));
	memcpy(e + sizeof(swap), swap, sizeof(swap));
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	memcpy(e, e + sizeof(swap), sizeof(swap)); /* one twice */
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	put_le64(e + 64, 10); /* in the CAR's header */
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	put_le64(e + 64, UINT64_MAX);
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	put_le64(e + 64, 36);
	e[79] = 1;
	assert_int_equal(xindex_open(buf_slice(&file), PIECE, SIZE, &v), -EPROTO);
	buf_fini(&file);
}

static void a_section_is_cut_where_its_length_says(void **state)
{
	static uint8_t section[PIECE_HEAD_MAX + 300];
	uint8_t digest[PIECE_DIGEST_SIZE], got[PIECE_DIGEST_SIZE];
	struct slice block;
	size_t head;

	(void)state;
	memset(section, 'x', sizeof(section));
	sha256_once(slice(section, 300), digest);
	head = piece_section_head(digest, 300, section);
	assert_int_equal(head + 300, piece_section_size(300));
	memset(section + head, 'x', 300);
	assert_int_equal(piece_section_verify(slice(section, head + 300),
					      digest, &block),
			 0);
	assert_int_equal(block.n, 300);
	for (size_t n = 0; n < head + 300; n++)
		assert_int_equal(piece_section_parse(slice(section, n), got, &block),
				 -EPROTO);
	assert_int_equal(piece_section_parse(slice(section, sizeof(section)),
					     got, &block),
			 -EPROTO);
	section[head + 5] ^= 1;
	assert_int_equal(piece_section_verify(slice(section, head + 300), NULL,
					      &block),
			 -EBADMSG);
	assert_int_equal(piece_section_parse(slice("\xff\xff\xff\xff\x7f", 5),
					     got, &block),
			 -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_block_is_found_by_its_digest),
		cmocka_unit_test(the_guess_is_within_one_leaf),
		cmocka_unit_test(the_order_of_adding_leaves_no_trace),
		cmocka_unit_test(a_file_of_any_other_length_is_refused),
		cmocka_unit_test(hostile_counts_and_heads_are_refused),
		cmocka_unit_test(
			sections_outside_the_piece_and_wrong_order_are_refused),
		cmocka_unit_test(a_section_is_cut_where_its_length_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
