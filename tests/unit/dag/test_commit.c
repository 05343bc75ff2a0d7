/* test_commit.c - properties of commits */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>

#include "crypto/hash.h"
#include "crypto/record.h"
#include "crypto/wrap.h"
#include "dag/commit.h"
#include "dag/field.h"
#include "records.h"

static const struct record_kind kind = { "commit", 1 };

static struct commit_piece pieces[2];

static struct commit_info info(void)
{
	struct commit_info i = {
		.min_reader = 1,
		.min_writer = 1,
		.sequence = 2,
		.time = { 1700000000, 123456789 },
		.writer = 0xabcdef,
		.device = slice_str("laptop"),
		.root = test_link(LINK_DAGPB, 5, 36, 400),
		.root_attr = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 },
		.ino_next = 1024,
		.n_inodes = 17,
		.n_bytes = 1ull << 40,
		.piece_next = 6,
		.epoch = 1,
		.pieces = pieces,
		.n_pieces = ARRAY_LEN(pieces),
		.catalogue = test_link(LINK_DAGPB, 5, 436, 500),
		.compress = COMMIT_COMPRESS_NODES,
		.copies = 2,
	};

	memset(i.parent, 0x77, sizeof(i.parent));
	for (unsigned k = 0; k < ARRAY_LEN(pieces); k++)
		pieces[k] = (struct commit_piece){ piece_ordinal(0xabcdef, 3 + k),
						   test_piece_cid((uint8_t)k), 0,
						   k ? PIECE_META : PIECE_DATA };
	return i;
}

static void seal(const struct commit_info *i, const struct keys *k,
		 struct buf *b, uint8_t digest[32])
{
	_cleanup_secret_ struct secret *s = test_secret(0x5e);

	buf_init(b, COMMIT_RECORD_MAX);
	assert_int_equal(commit_seal(i, s, k, b, digest), 0);
}

static void a_commit_comes_back_with_its_secret(void **state)
{
	_cleanup_secret_ struct secret *s = test_secret(0x5e);
	_cleanup_keys_ struct keys *k = test_keys(1);
	_cleanup_commit_ struct commit *c = NULL;
	const struct slice probe = slice_str("probe");
	struct commit_info i = info();
	const struct commit_info *got;
	uint8_t digest[32], a[32], b2[32];
	struct buf b;

	(void)state;
	seal(&i, k, &b, digest);
	assert_int_equal(commit_open(buf_slice(&b), k, &c), 0);
	buf_fini(&b); /* the commit borrows nothing from it */
	got = commit_info(c);
	assert_true(got->sequence == 2 && got->writer == 0xabcdef);
	assert_memory_equal(got->parent, i.parent, 32);
	assert_true(got->time.s == i.time.s && got->time.ns == i.time.ns);
	assert_true(slice_eq(got->device, i.device));
	assert_true(link_same(&got->root, &i.root) && got->root.place.len == 400);
	assert_int_equal(got->root_attr.mode, S_IFDIR | 0755);
	assert_int_equal(got->inode_table.kind, LINK_NONE);
	assert_true(got->ino_next == 1024 && got->n_inodes == 17);
	assert_true(got->n_bytes == 1ull << 40 && got->piece_next == 6);
	assert_int_equal(got->n_pieces, 2);
	for (unsigned n = 0; n < 2; n++) {
		assert_true(got->pieces[n].ordinal == pieces[n].ordinal);
		assert_true(piece_cid_eq(&got->pieces[n].cid, &pieces[n].cid));
		assert_int_equal(got->pieces[n].kind, pieces[n].kind);
		assert_int_equal(got->pieces[n].size, 1000);
	}
	assert_true(link_same(&got->catalogue, &i.catalogue));
	assert_int_equal(got->retained.kind, LINK_NONE);
	assert_int_equal(got->compress, COMMIT_COMPRESS_NODES);
	assert_int_equal(got->copies, 2);
	assert_memory_equal(commit_digest(c), digest, 32);
	assert_int_equal(commit_may_write(got), 0);
	/* The same secret: it hashes alike. */
	assert_int_equal(hash_keyed(s, &probe, 1, a), 0);
	assert_int_equal(hash_keyed(commit_convergence(c), &probe, 1, b2), 0);
	assert_memory_equal(a, b2, 32);
}

/* The body of a sealed commit. */
static void open_body(const struct keys *k, struct slice record, struct buf *body)
{
	buf_init(body, COMMIT_RECORD_MAX);
	assert_int_equal(record_open(keys_secret(k, KEYS_COMMIT), &kind,
				     keys_drive_id(k), record, body),
			 0);
}

static int open_forged(const struct keys *k, struct slice body)
{
	_cleanup_commit_ struct commit *c = NULL;
	struct buf b;
	int r;

	buf_init(&b, COMMIT_RECORD_MAX);
	assert_int_equal(record_seal(keys_secret(k, KEYS_COMMIT), &kind,
				     keys_drive_id(k), body, &b),
			 0);
	r = commit_open(buf_slice(&b), k, &c);
	buf_fini(&b);
	return r;
}

static void the_body_says_the_same_bytes_each_time_but_the_wrap(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i = info();
	struct buf a, b, body_a, body_b;
	struct field_reader ra, rb;
	struct field fa, fb;
	uint8_t digest[32];
	unsigned n = 0;

	(void)state;
	seal(&i, k, &a, digest);
	seal(&i, k, &b, digest);
	open_body(k, buf_slice(&a), &body_a);
	open_body(k, buf_slice(&b), &body_b);
	ra = field_reader(buf_slice(&body_a), FIELD_REPEATED(18));
	rb = field_reader(buf_slice(&body_b), FIELD_REPEATED(18));
	for (; field_next(&ra, &fa) && field_next(&rb, &fb); n++) {
		assert_true(fa.num == fb.num && fa.v == fb.v);
		assert_true(slice_eq(fa.bytes, fb.bytes) == (fa.num != 17));
	}
	assert_int_equal(n, 20); /* all but 11 and 20, and 18 twice */
	assert_int_equal(field_done(&ra), 0);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&body_a);
	buf_fini(&body_b);
}

static void every_truncated_or_flipped_record_is_refused(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1), *other = test_keys(2);
	_cleanup_commit_ struct commit *c = NULL;
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b;

	(void)state;
	seal(&i, k, &b, digest);
	assert_int_equal(commit_open(buf_slice(&b), other, &c), -EBADMSG);
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(commit_open(slice(b.p, n), k, &c), -EBADMSG);
	for (size_t n = 0; n < b.n; n++) {
		b.p[n] ^= 0x10;
		assert_int_equal(commit_open(buf_slice(&b), k, &c), -EBADMSG);
		b.p[n] ^= 0x10;
	}
	assert_null(c);
	buf_fini(&b);
}

static void every_truncated_body_is_refused(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b, body;

	(void)state;
	seal(&i, k, &b, digest);
	open_body(k, buf_slice(&b), &body);
	assert_int_equal(open_forged(k, buf_slice(&body)), 0);
	for (size_t n = 0; n < body.n; n++)
		assert_int_equal(open_forged(k, slice(body.p, n)), -EPROTO);
	buf_fini(&b);
	buf_fini(&body);
}

static void a_newer_format_is_named_before_it_is_judged(void **state)
{
	static const uint8_t newer[] = { 0x08, 0x02, 0x12, 0x01, 0xff };
	_cleanup_keys_ struct keys *k = test_keys(1);
	_cleanup_commit_ struct commit *c = NULL;
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b;

	(void)state;
	assert_int_equal(open_forged(k, slice(newer, sizeof(newer))), -EOPNOTSUPP);
	i.min_writer = 2; /* readable, but not to be written */
	seal(&i, k, &b, digest);
	assert_int_equal(commit_open(buf_slice(&b), k, &c), 0);
	assert_int_equal(commit_may_write(commit_info(c)), -EOPNOTSUPP);
	buf_fini(&b);
}

static void fields_of_a_newer_writer_are_skipped(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b, body;

	(void)state;
	seal(&i, k, &b, digest);
	open_body(k, buf_slice(&b), &body);
	assert_int_equal(field_put_bytes(&body, 22, slice_str("later")), 0);
	assert_int_equal(open_forged(k, buf_slice(&body)), 0);
	assert_int_equal(field_put_num(&body, 22, 1), 0); /* twice */
	assert_int_equal(open_forged(k, buf_slice(&body)), -EPROTO);
	buf_fini(&b);
	buf_fini(&body);
}

static void a_wrap_of_another_epoch_is_refused(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b, body;
	uint8_t *p;

	(void)state;
	seal(&i, k, &b, digest);
	open_body(k, buf_slice(&b), &body);
	/* 80 01 <epoch> 8a 01 48 <72 bytes>: fields 16 and 17 */
	p = memmem(body.p, body.n, "\x80\x01\x01\x8a\x01\x48", 6);
	assert_non_null(p);
	p[2] = 2;
	assert_int_equal(open_forged(k, buf_slice(&body)), -EBADMSG);
	buf_fini(&b);
	buf_fini(&body);
}

static void commits_that_contradict_themselves_are_not_written(void **state)
{
	_cleanup_secret_ struct secret *s = test_secret(0x5e);
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i;
	uint8_t digest[32];
	struct buf b;

	(void)state;
	buf_init(&b, COMMIT_RECORD_MAX);
#define REFUSED(change)                                         \
 do {                                                           \
  i = info();                                                   \
  change;                                                       \
  assert_int_equal(commit_seal(&i, s, k, &b, digest), -EINVAL); \
 } while (0)
	REFUSED(i.sequence = 1); /* with a parent */
	REFUSED(memset(i.parent, 0, 32));
	REFUSED(i.root.codec = LINK_RAW);
	REFUSED(i.root.kind = LINK_NONE);
	REFUSED(i.root.kind = LINK_PLAIN);
	REFUSED(i.root_attr.mode = S_IFREG);
	REFUSED(i.writer = 1u << 24);
	REFUSED(i.writer = 0);
	REFUSED(i.piece_next = 1ull << 40);
	REFUSED(i.copies = 0);
	REFUSED(i.compress = 3);
	REFUSED(i.time.ns = 1000000000);
	REFUSED(pieces[1].ordinal = pieces[0].ordinal);
	REFUSED(pieces[0].cid.n = 3);
	REFUSED(pieces[0].kind = 0);
#undef REFUSED
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static void many_pieces_fit_and_too_many_are_refused(void **state)
{
	enum {
		N = 17000,
		TOO_MANY = 30000
	};
	_cleanup_free_ struct commit_piece *many = NULL;
	_cleanup_secret_ struct secret *s = test_secret(0x5e);
	_cleanup_keys_ struct keys *k = test_keys(1);
	_cleanup_commit_ struct commit *c = NULL;
	struct commit_info i = info();
	uint8_t digest[32];
	struct buf b;

	(void)state;
	many = calloc(TOO_MANY, sizeof(*many));
	assert_non_null(many);
	for (size_t n = 0; n < TOO_MANY; n++)
		many[n] = (struct commit_piece){ piece_ordinal(0xabcdef, 1 + n),
						 test_piece_cid(1), 0, PIECE_DATA };
	i.pieces = many;
	i.n_pieces = N;
	buf_init(&b, COMMIT_RECORD_MAX);
	assert_int_equal(commit_seal(&i, s, k, &b, digest), 0);
	assert_int_equal(commit_open(buf_slice(&b), k, &c), 0);
	assert_int_equal(commit_info(c)->n_pieces, N);
	assert_true(commit_info(c)->pieces[N - 1].ordinal == many[N - 1].ordinal);
	buf_reset(&b);
	i.n_pieces = TOO_MANY;
	assert_int_equal(commit_seal(&i, s, k, &b, digest), -EMSGSIZE);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static void sizes_stand_on_the_ladder(void **state)
{
	_cleanup_keys_ struct keys *k = test_keys(1);
	struct commit_info i = info();
	size_t sizes[COMMIT_DEVICE_MAX + 1], steps = 0;
	char name[COMMIT_DEVICE_MAX];
	uint8_t digest[32];
	struct buf b, body;

	(void)state;
	memset(name, 'n', sizeof(name));
	for (size_t n = 0; n <= COMMIT_DEVICE_MAX; n++) {
		i.device = slice(name, n);
		seal(&i, k, &b, digest);
		open_body(k, buf_slice(&b), &body);
		sizes[n] = b.n;
		assert_int_equal(b.n, record_size(body.n));
		steps += n && sizes[n] != sizes[n - 1];
		buf_fini(&b);
		buf_fini(&body);
	}
	assert_true(steps < 6); /* 65 lengths, steps of 16 bytes */
}

static void a_wrapped_secret_opens_only_as_what_it_is(void **state)
{
	_cleanup_secret_ struct secret *key = test_secret(1), *s = test_secret(2);
	_cleanup_secret_ struct secret *back = NULL;
	uint8_t w[WRAP_SIZE];

	(void)state;
	wrap_seal(key, slice_str("a"), s, w);
	assert_int_equal(wrap_open(key, slice_str("b"), w, &back), -EBADMSG);
	assert_int_equal(wrap_open(s, slice_str("a"), w, &back), -EBADMSG);
	assert_null(back);
	assert_int_equal(wrap_open(key, slice_str("a"), w, &back), 0);
}

static int setup(void **state)
{
	(void)state;
	return secret_init_library();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_comes_back_with_its_secret),
		cmocka_unit_test(the_body_says_the_same_bytes_each_time_but_the_wrap),
		cmocka_unit_test(every_truncated_or_flipped_record_is_refused),
		cmocka_unit_test(every_truncated_body_is_refused),
		cmocka_unit_test(a_newer_format_is_named_before_it_is_judged),
		cmocka_unit_test(fields_of_a_newer_writer_are_skipped),
		cmocka_unit_test(a_wrap_of_another_epoch_is_refused),
		cmocka_unit_test(commits_that_contradict_themselves_are_not_written),
		cmocka_unit_test(many_pieces_fit_and_too_many_are_refused),
		cmocka_unit_test(sizes_stand_on_the_ladder),
		cmocka_unit_test(a_wrapped_secret_opens_only_as_what_it_is),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
