/* test_attr.c - properties of attributes and of the field codec under them */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "dag/attr.h"
#include "dag/field.h"

#define XATTR(n, v)          \
 {                           \
  slice_str(n), slice_str(v) \
 }

static void encode(const struct attr *a, struct buf *b)
{
	buf_init(b, ATTR_ENCODED_MAX);
	assert_int_equal(attr_encode(a, b), 0);
}

/* Every field set, inline xattrs; `set` keeps their bytes. */
static struct attr full(struct buf *set)
{
	const struct attr_xattr x[] = { XATTR("security.capability", "\x01\x02"),
					XATTR("user.empty", ""),
					XATTR("user.note", "green") };
	struct attr a = { .ino = 1ull << 40,
			  .mode = S_IFREG | 04755,
			  .uid = 1000,
			  .gid = UINT32_MAX,
			  .size = UINT64_MAX,
			  .mtime = { -1, 999999999 },
			  .ctime = { INT64_MIN, 1 },
			  .btime = { INT64_MAX, 0 },
			  .atime = { 1700000000, 5 },
			  .nlink = 2,
			  .rdev = UINT64_MAX,
			  .shared = true };

	buf_init(set, ATTR_XATTRS_MAX);
	assert_int_equal(attr_xattrs_encode(x, ARRAY_LEN(x), set), 0);
	a.xattrs = buf_slice(set);
	return a;
}

static struct link xattr_link(void)
{
	struct link l = { .kind = LINK_SEALED,
			  .codec = LINK_RAW,
			  .place = { 1ull << 41, 4096, 600 } };

	memset(l.digest, 0xd1, sizeof(l.digest));
	memset(l.key, 0x4e, sizeof(l.key));
	return l;
}

static void assert_time(struct attr_time a, struct attr_time b)
{
	assert_true(a.s == b.s && a.ns == b.ns);
}

static void assert_same(const struct attr *a, const struct attr *b)
{
	assert_true(a->ino == b->ino && a->mode == b->mode);
	assert_true(a->uid == b->uid && a->gid == b->gid);
	assert_true(a->size == b->size && a->nlink == b->nlink);
	assert_true(a->rdev == b->rdev && a->shared == b->shared);
	assert_time(a->mtime, b->mtime);
	assert_time(a->ctime, b->ctime);
	assert_time(a->btime, b->btime);
	assert_time(a->atime, b->atime);
	assert_true(slice_eq(a->xattrs, b->xattrs));
	assert_true(link_same(&a->xattr_link, &b->xattr_link));
	assert_true(a->xattr_link.place.piece == b->xattr_link.place.piece);
	assert_true(a->xattr_link.place.off == b->xattr_link.place.off);
	assert_true(a->xattr_link.place.len == b->xattr_link.place.len);
}

static void attributes_come_back(void **state)
{
	struct buf set, b;
	struct attr a = full(&set), back;

	(void)state;
	encode(&a, &b);
	assert_int_equal(attr_decode(buf_slice(&b), &back), 0);
	assert_same(&a, &back);
	buf_fini(&b);

	a.xattrs = SLICE_NONE;
	a.xattr_link = xattr_link();
	encode(&a, &b);
	assert_int_equal(attr_decode(buf_slice(&b), &back), 0);
	assert_same(&a, &back);
	buf_fini(&b);

	a.xattr_link.place = (struct place){ 0, 0, 0 };
	encode(&a, &b);
	assert_int_equal(attr_decode(buf_slice(&b), &back), 0);
	assert_same(&a, &back);
	buf_fini(&b);
	buf_fini(&set);
}

/* Every second writer tag has its top bit set, and so have its ordinals. */
static void a_place_in_a_piece_of_any_writer_comes_back(void **state)
{
	struct attr a = { .ino = 5, .mode = S_IFREG | 0600, .nlink = 1 }, back;
	struct buf b;

	(void)state;
	a.xattr_link = xattr_link();
	a.xattr_link.place.piece = 0xffffffull << 40 | 7;
	encode(&a, &b);
	assert_int_equal(attr_decode(buf_slice(&b), &back), 0);
	assert_same(&a, &back);
	buf_fini(&b);
}

static void the_attr_of_a_plain_file_has_the_documented_bytes(void **state)
{
	static const uint8_t golden[] = {
		0x08, 0x2a,                         /* ino 42 */
		0x10, 0xa4, 0x83, 0x02,             /* 0100644 */
		0x18, 0xe8, 0x07, 0x20, 0xe8, 0x07, /* uid, gid 1000 */
		0x28, 0x0c,                         /* 12 bytes */
		0x30, 0x80, 0xc4, 0x9f, 0xd5, 0x0c, /* mtime 1700000000 */
		0x38, 0x07,                         /* and 7 ns */
		0x70, 0x01,                         /* nlink 1 */
		0x82, 0x01, 0x0b,                   /* xattr */
		0x0a, 0x06, 'u',  's',  'e',  'r',  '.', 'a', 0x12, 0x01, 'b',
	};
	const struct attr_xattr x[] = { XATTR("user.a", "b") };
	struct attr a = { .ino = 42,
			  .mode = S_IFREG | 0644,
			  .uid = 1000,
			  .gid = 1000,
			  .size = 12,
			  .mtime = { 1700000000, 7 },
			  .nlink = 1 };
	struct buf set, b;

	(void)state;
	buf_init(&set, 64);
	assert_int_equal(attr_xattrs_encode(x, 1, &set), 0);
	a.xattrs = buf_slice(&set);
	encode(&a, &b);
	assert_int_equal(b.n, sizeof(golden));
	assert_memory_equal(b.p, golden, sizeof(golden));
	buf_fini(&b);
	buf_fini(&set);
}

static void no_attributes_are_no_bytes(void **state)
{
	struct attr a = { 0 }, back = { .ino = 7 };
	struct buf b;

	(void)state;
	encode(&a, &b);
	assert_int_equal(b.n, 0);
	assert_int_equal(attr_decode(SLICE_NONE, &back), 0);
	assert_same(&a, &back);
	buf_fini(&b);
}

static void every_truncation_is_refused_or_another_canonical_attr(void **state)
{
	struct buf set, b, again;
	struct attr a = full(&set), back;

	(void)state;
	encode(&a, &b);
	for (size_t n = 1; n < b.n; n++) {
		if (attr_decode(slice(b.p, n), &back) < 0)
			continue;
		/* Cut between two fields: then it is the Attr of the rest. */
		encode(&back, &again);
		assert_true(slice_eq(buf_slice(&again), slice(b.p, n)));
		buf_fini(&again);
	}
	buf_fini(&b);
	buf_fini(&set);
}

static void every_flipped_bit_is_refused_or_canonical(void **state)
{
	struct buf set, b, again;
	struct attr a = full(&set), back;
	unsigned accepted = 0;

	(void)state;
	encode(&a, &b);
	for (size_t i = 0; i < 8 * b.n; i++) {
		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
		if (attr_decode(buf_slice(&b), &back) == 0) {
			encode(&back, &again);
			/* Fields that we do not know are not written again. */
			if (again.n == b.n)
				assert_memory_equal(again.p, b.p, b.n);
			buf_fini(&again);
			accepted++;
		}
		b.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(accepted > 0 && accepted < 8 * b.n);
	buf_fini(&b);
	buf_fini(&set);
}

static void forms_other_than_the_canonical_are_refused(void **state)
{
	static const struct {
		const char *what;
		uint8_t n;
		uint8_t bytes[16];
	} bad[] = {
		{ "no mode", 2, { 0x08, 0x01 } },
		{ "zero written", 6, { 0x08, 0x00, 0x10, 0xa4, 0x83, 0x02 } },
		{ "long varint", 7, { 0x08, 0x81, 0x00, 0x10, 0xa4, 0x83, 0x02 } },
		{ "descending", 6, { 0x10, 0xa4, 0x83, 0x02, 0x08, 0x01 } },
		{ "twice", 8, { 0x08, 1, 0x08, 1, 0x10, 0xa4, 0x83, 0x02 } },
		{ "no type", 3, { 0x10, 0xa4, 0x03 } },
		{ "mode too wide", 4, { 0x10, 0xa4, 0x83, 0x06 } },
		{ "bytes for a number", 7, { 0x0a, 1, 1, 0x10, 0xa4, 0x83, 0x02 } },
		{ "fixed64", 13, { 0x10, 0xa4, 0x83, 0x02, 0x99, 0x02 } },
		{ "10^9 ns",
		  10,
		  { 0x10, 0xa4, 0x83, 0x02, 0x38, 0x80, 0x94, 0xeb, 0xdc, 0x03 } },
		{ "shared = 2", 7, { 0x10, 0xa4, 0x83, 0x02, 0x90, 0x01, 0x02 } },
		{ "field 0", 2, { 0x00, 0x01 } },
		{ "xattr without name",
		  10,
		  { 0x10, 0xa4, 0x83, 0x02, 0x82, 0x01, 0x03, 0x12, 0x01, 'b' } },
		{ "name with NUL",
		  11,
		  { 0x10, 0xa4, 0x83, 0x02, 0x82, 0x01, 0x04, 0x0a, 0x02, 'b', 0 } },
		{ "names descend",
		  16,
		  { 0x10, 0xa4, 0x83, 0x02, 0x82, 0x01, 3, 0x0a, 1, 'b', 0x82,
		    0x01, 3, 0x0a, 1, 'a' } },
		{ "empty ref", 7, { 0x10, 0xa4, 0x83, 0x02, 0x8a, 0x01, 0x00 } },
	};
	struct attr a;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		print_message("# %s\n", bad[i].what);
		assert_int_equal(attr_decode(slice(bad[i].bytes, bad[i].n), &a),
				 -EPROTO);
	}
}

static void fields_of_a_newer_writer_are_skipped(void **state)
{
	static const uint8_t b[] = { 0x10, 0xa4, 0x83, 0x02, 0x98, 0x01,
				     0x07, 0xa2, 0x01, 0x02, 0xff, 0xff };
	struct attr a;

	(void)state;
	assert_int_equal(attr_decode(slice(b, sizeof(b)), &a), 0);
	assert_int_equal(a.mode, S_IFREG | 0644);
}

static void values_that_the_format_cannot_hold_are_not_written(void **state)
{
	struct attr a = { .ino = 1, .mode = S_IFREG };
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	a.mode = 0644;
	assert_int_equal(attr_encode(&a, &b), -EINVAL);
	a.mode = S_IFREG;
	a.mtime.ns = 1000000000;
	assert_int_equal(attr_encode(&a, &b), -EINVAL);
	a.mtime.ns = 0;
	a.xattr_link = xattr_link();
	a.xattr_link.codec = LINK_DAGPB;
	assert_int_equal(attr_encode(&a, &b), -EINVAL);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

static void more_than_256_bytes_of_xattrs_go_to_a_block(void **state)
{
	char name[130], value[130];
	struct attr_xattr x = { slice(name, 128), slice(value, 128) };
	struct attr a = { .ino = 1, .mode = S_IFREG };
	struct buf set, b;
	size_t n;

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(value, 'v', sizeof(value));
	buf_init(&b, 4096);
	buf_init(&set, ATTR_XATTRS_MAX);
	assert_int_equal(attr_xattrs_encode(&x, 1, &set), 0);
	a.xattrs = buf_slice(&set);
	assert_int_equal(attr_encode(&a, &b), 0);
	buf_reset(&set);
	x.value.n++;
	assert_int_equal(attr_xattrs_encode(&x, 1, &set), 0);
	a.xattrs = buf_slice(&set);
	assert_int_equal(attr_xattrs_size(a.xattrs, &n), 0);
	assert_int_equal(n, 257);
	assert_int_equal(attr_encode(&a, &b), -EMSGSIZE);
	buf_fini(&set);
	buf_fini(&b);
}

static void a_large_set_walks_in_order_and_bad_sets_are_refused(void **state)
{
	enum {
		N = 1000
	};
	static char names[N][8];
	static struct attr_xattr x[N];
	struct attr_xattr got;
	struct attr_iter it;
	struct buf set;
	size_t n = 0;

	(void)state;
	buf_init(&set, ATTR_XATTRS_MAX);
	for (int i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "u.%04d", i);
		x[i] = (struct attr_xattr){ slice_str(names[i]), slice(names, i) };
	}
	assert_int_equal(attr_xattrs_encode(x, N, &set), 0);
	for (it = attr_xattrs(buf_slice(&set)); attr_xattrs_next(&it, &got) > 0;
	     n++) {
		assert_true(slice_eq(got.name, x[n].name));
		assert_true(slice_eq(got.value, x[n].value));
	}
	assert_int_equal(n, N);
	it = attr_xattrs(slice(set.p, set.n - 1));
	while ((n = (size_t)attr_xattrs_next(&it, &got)) == 1)
		;
	assert_int_equal((int)n, -EPROTO);
	assert_int_equal(attr_xattrs_next(&it, &got), -EPROTO);

	buf_reset(&set);
	x[1] = x[0];
	assert_int_equal(attr_xattrs_encode(x, 2, &set), -EINVAL);
	x[1].name = SLICE_NONE;
	assert_int_equal(attr_xattrs_encode(x, 2, &set), -EINVAL);
	assert_int_equal(set.n, 0);
	buf_fini(&set);
}

static void nested_records_get_their_length_in_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_int_equal(buf_u8(&b, 0xee), 0);
	for (int i = 0; i < 200; i++)
		assert_int_equal(buf_u8(&b, (uint8_t)i), 0);
	assert_int_equal(field_wrap(&b, 3, 1), 0);
	assert_int_equal(b.n, 1 + 3 + 200);
	assert_memory_equal(b.p, "\xee\x1a\xc8\x01\x00\x01\x02", 7);
	assert_int_equal(b.p[203], 199);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attributes_come_back),
		cmocka_unit_test(a_place_in_a_piece_of_any_writer_comes_back),
		cmocka_unit_test(the_attr_of_a_plain_file_has_the_documented_bytes),
		cmocka_unit_test(no_attributes_are_no_bytes),
		cmocka_unit_test(every_truncation_is_refused_or_another_canonical_attr),
		cmocka_unit_test(every_flipped_bit_is_refused_or_canonical),
		cmocka_unit_test(forms_other_than_the_canonical_are_refused),
		cmocka_unit_test(fields_of_a_newer_writer_are_skipped),
		cmocka_unit_test(values_that_the_format_cannot_hold_are_not_written),
		cmocka_unit_test(more_than_256_bytes_of_xattrs_go_to_a_block),
		cmocka_unit_test(a_large_set_walks_in_order_and_bad_sets_are_refused),
		cmocka_unit_test(nested_records_get_their_length_in_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
