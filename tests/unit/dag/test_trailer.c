/* test_trailer.c - properties of the end of a piece */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "crypto/record.h"
#include "dag/trailer.h"
#include "records.h"

#define PIECE ((0xabcdefull << 40) + 9)
#define SIZE  1000000

static struct trailer head(void)
{
	struct trailer t = {
		.piece = PIECE,
		.raw_size = SIZE,
		.sequence = 7,
		.time_s = 1700000000,
		.kind = PIECE_META,
		.commit = { .off = 900000, .len = 3000 },
		.leaves = test_link(LINK_RAW, PIECE, 500000, 4000),
		.nodes = test_link(LINK_DAGPB, PIECE, 800000, 5000),
		.previous = { .sequence = 6, .piece = PIECE - 1 },
		.n_leaves = 40,
		.n_nodes = 3,
	};

	memset(t.commit.digest, 0xc0, sizeof(t.commit.digest));
	memset(t.previous.commit, 0xc1, sizeof(t.previous.commit));
	t.previous.cid = test_piece_cid(5);
	return t;
}

static void assert_same(const struct trailer *a, const struct trailer *b)
{
	assert_true(a->piece == b->piece && a->raw_size == b->raw_size);
	assert_true(a->sequence == b->sequence && a->time_s == b->time_s);
	assert_true(a->kind == b->kind);
	assert_memory_equal(a->commit.digest, b->commit.digest, 32);
	assert_true(a->commit.off == b->commit.off &&
		    a->commit.len == b->commit.len);
	assert_true(link_same(&a->leaves, &b->leaves));
	assert_true(link_same(&a->nodes, &b->nodes));
	assert_true(a->nodes.place.off == b->nodes.place.off);
	assert_true(a->previous.sequence == b->previous.sequence);
	assert_true(a->previous.piece == b->previous.piece);
	assert_true(piece_cid_eq(&a->previous.cid, &b->previous.cid));
	assert_true(a->n_leaves == b->n_leaves && a->n_nodes == b->n_nodes);
}

static void seal(const struct trailer *t, const struct keys *k, struct buf *b)
{
	buf_init(b, 4096);
	assert_int_equal(trailer_seal(t, k, b), 0);
	assert_int_equal(b->n, TRAILER_RECORD_SIZE);
}

static void a_trailer_comes_back_and_has_one_size(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head(), back;
	struct buf b;

	(void)state;
	seal(&t, k, &b);
	assert_int_equal(trailer_open(buf_slice(&b), SIZE, k, &back), 0);
	assert_same(&t, &back);
	buf_fini(&b);

	/* The smallest: neither commit nor index nor a head before. */
	t = (struct trailer){ .piece = 1,
			      .raw_size = 36 + TRAILER_SECTION_SIZE,
			      .kind = PIECE_DATA };
	seal(&t, k, &b);
	assert_int_equal(trailer_open(buf_slice(&b), t.raw_size, k, &back), 0);
	assert_same(&t, &back);
	buf_fini(&b);
}

static void the_body_has_the_documented_offsets(void **state)
{
	static const struct record_kind kind = { "trailer", 1 };
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head();
	struct buf b, body;

	(void)state;
	seal(&t, k, &b);
	buf_init(&body, 4096);
	assert_int_equal(record_open(keys_secret(k, KEYS_TRAILER), &kind,
				     keys_drive_id(k), buf_slice(&b), &body),
			 0);
	assert_int_equal(body.n, TRAILER_BODY_SIZE);
	assert_true(get_le64(body.p) == PIECE && get_le64(body.p + 8) == SIZE);
	assert_true(get_le64(body.p + 16) == 7);
	assert_int_equal(body.p[32], 2);
	assert_int_equal(body.p[40], 0xc0);
	assert_true(get_le64(body.p + 72) == 900000);
	assert_true(get_le32(body.p + 80) == 3000);
	assert_memory_equal(body.p + 84, "\x01\x55\xd1", 3);
	assert_true(get_le64(body.p + 84 + 74) == 500000);
	assert_memory_equal(body.p + 172, "\x01\x70\xd1", 3);
	assert_true(get_le32(body.p + 172 + 82) == 5000);
	assert_true(get_le64(body.p + 260) == 6);
	assert_int_equal(body.p[276], 0xc1);
	assert_int_equal(body.p[308], t.previous.cid.n);
	assert_memory_equal(body.p + 309, t.previous.cid.bytes, t.previous.cid.n);
	assert_true(get_le64(body.p + 360) == 40 && get_le64(body.p + 368) == 3);
	buf_fini(&b);
	buf_fini(&body);
}

static void two_seals_of_one_trailer_share_nothing(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head();
	struct buf a, b;
	size_t same = 0;

	(void)state;
	seal(&t, k, &a);
	seal(&t, k, &b);
	for (size_t i = 0; i < a.n; i++)
		same += a.p[i] == b.p[i];
	assert_true(same < 20); /* two in 556 are expected by chance */
	buf_fini(&a);
	buf_fini(&b);
}

static void another_size_is_refused(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head();
	struct buf b;

	(void)state;
	seal(&t, k, &b);
	assert_int_equal(trailer_open(buf_slice(&b), SIZE + 1, k, &t), -EBADMSG);
	assert_int_equal(trailer_open(buf_slice(&b), SIZE - 1, k, &t), -EBADMSG);
	buf_fini(&b);
}

static void another_drive_and_any_change_is_refused(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1), *other = test_keys(2);
	struct trailer t = head();
	struct buf b;

	(void)state;
	seal(&t, k, &b);
	assert_int_equal(trailer_open(buf_slice(&b), SIZE, other, &t), -EBADMSG);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(trailer_open(slice(b.p, n), SIZE, k, &t), -EBADMSG);
	for (size_t i = 0; i < 8 * b.n; i++) {
		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(trailer_open(buf_slice(&b), SIZE, k, &t), -EBADMSG);
		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(trailer_open(buf_slice(&b), SIZE, k, &t), 0);
	buf_fini(&b);
}

/* Seal a body of our own choice, as only the owner of the words could. */
static int open_body(const struct keys *k, const uint8_t *p, size_t n)
{
	static const struct record_kind kind = { "trailer", 1 };
	struct trailer t;
	struct buf b;
	int r;

	buf_init(&b, 4096);
	assert_int_equal(record_seal(keys_secret(k, KEYS_TRAILER), &kind,
				     keys_drive_id(k), slice(p, n), &b),
			 0);
	r = trailer_open(buf_slice(&b), SIZE, k, &t);
	buf_fini(&b);
	return r;
}

static void authentic_nonsense_is_refused(void **state)
{
	static const struct record_kind kind = { "trailer", 1 };
	static const uint16_t zeros[] = { 33,       39,  170, 258,
					  308 + 48, 357, 376, 511 };
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head();
	struct buf b, body;
	uint8_t *p;

	(void)state;
	seal(&t, k, &b);
	buf_init(&body, 4096);
	assert_int_equal(record_open(keys_secret(k, KEYS_TRAILER), &kind,
				     keys_drive_id(k), buf_slice(&b), &body),
			 0);
	p = body.p;
	assert_int_equal(open_body(k, p, 512), 0);
	assert_int_equal(open_body(k, p, 511), -EPROTO);
	for (size_t i = 0; i < ARRAY_LEN(zeros); i++) {
		p[zeros[i]] ^= 1;
		assert_int_equal(open_body(k, p, 512), -EPROTO);
		p[zeros[i]] ^= 1;
	}
	p[32] = 3; /* neither data nor metadata */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	p[32] = 2;
	put_le64(p + 72, UINT64_MAX - 10); /* commit outside */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	put_le64(p + 72, SIZE - TRAILER_SECTION_SIZE - 2999); /* in the trailer */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	put_le64(p + 72, SIZE - TRAILER_SECTION_SIZE - 3000);
	assert_int_equal(open_body(k, p, 512), 0);
	put_le64(p + 84 + 66, PIECE + 1); /* index of another piece */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	put_le64(p + 84 + 66, PIECE);
	put_le64(p + 360, 0); /* an index of nothing */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	put_le64(p + 360, 40);
	put_le64(p + 260, 7); /* its own parent */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	put_le64(p + 260, 6);
	p[308] = 255; /* longer than the field */
	assert_int_equal(open_body(k, p, 512), -EPROTO);
	buf_fini(&b);
	buf_fini(&body);
}

static void what_would_be_refused_is_not_written(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct trailer t = head();
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	t.commit.len = 0;
	assert_int_equal(trailer_seal(&t, k, &b), -EINVAL);
	t = head();
	t.piece = 0;
	assert_int_equal(trailer_seal(&t, k, &b), -EINVAL);
	t = head();
	t.raw_size = PIECE_SIZE_MAX + 1;
	assert_int_equal(trailer_seal(&t, k, &b), -EINVAL);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static int setup(void **state)
{
	(void)state;
	return secret_init_library();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_trailer_comes_back_and_has_one_size),
		cmocka_unit_test(the_body_has_the_documented_offsets),
		cmocka_unit_test(two_seals_of_one_trailer_share_nothing),
		cmocka_unit_test(another_size_is_refused),
		cmocka_unit_test(another_drive_and_any_change_is_refused),
		cmocka_unit_test(authentic_nonsense_is_refused),
		cmocka_unit_test(what_would_be_refused_is_not_written),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
