/* test_dir.c - directories: shards, colliding names, hostile nodes */
#include "vectors.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "dag/dir.h"
#include "dag/hamt.h"
#include "dag/murmur3.h"
#include "dag/profile.h"
#include "dirs.h"
#include "store.h"

/* Everything below a directory's root; returns the number of entries. */
static size_t list_all(struct store *s, const struct link *l, unsigned level,
		       size_t *shards)
{
	struct dir_node n;
	struct dir_item e;
	struct dir_iter it;
	size_t count = 0;
	int r;

	assert_int_equal(dir_node_parse(store_get(s, l), s->sealed, level, &n), 0);
	(*shards)++;
	dir_iter_init(&it, &n);
	while ((r = dir_next(&it, &e)) > 0) {
		if (e.is_subshard) {
			count += list_all(s, &e.link, level + 1, shards);
			continue;
		}
		assert_true(slice_eq(e.attr, e.name));
		count++;
	}
	assert_int_equal(r, 0);
	return count;
}

/* 1 and the entry, as the retrieving room does it. */
static int look_up(struct store *s, struct link l, struct slice name,
		   struct dir_item *ret)
{
	struct dir_node n;
	int r;

	for (unsigned level = 0;; level++) {
		r = dir_node_parse(store_get(s, &l), s->sealed, level, &n);
		if (r < 0)
			return r;
		r = dir_node_find(&n, name, ret);
		if (r <= 0 || !ret->is_subshard)
			return r;
		l = ret->link;
	}
}

/* Leaf link number i. */
static struct link leaf(unsigned i)
{
	struct link l = { .kind = LINK_SEALED, .codec = LINK_RAW };

	memcpy(l.digest, &i, sizeof(i));
	memset(l.key, 0x5a, sizeof(l.key));
	l.place = (struct place){ 3, 100 * (uint64_t)i + 59, 100 };
	return l;
}

static void sealed_directories_list_and_find_every_name(void **state)
{
	static const unsigned sizes[] = { 0, 1, 2, 90, 200, 5000 };
	char name[32];

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		struct dir_builder *b;
		struct dag_root root;
		struct dir_item e = { .tsize = 0 };
		size_t shards = 0;
		struct store s;

		store_init(&s, true);
		assert_int_equal(
			dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
		for (unsigned i = 0; i < sizes[k]; i++) {
			struct link l = leaf(i);

			(void)snprintf(name, sizeof(name), "name-%u", i);
			assert_int_equal(dir_builder_add(b, slice_str(name), &l,
							 i, slice_str(name)),
					 0);
		}
		assert_int_equal(dir_builder_finish(b, &root, NULL), 0);
		dir_builder_free(b);
		assert_int_equal(list_all(&s, &root.link, 0, &shards), sizes[k]);
		assert_true(sizes[k] < 100 ? shards == 1 : true);
		assert_true(sizes[k] < 5000 || shards > 256);
		for (unsigned i = 0; i < sizes[k]; i++) {
			struct link l = leaf(i);

			(void)snprintf(name, sizeof(name), "name-%u", i);
			assert_int_equal(
				look_up(&s, root.link, slice_str(name), &e), 1);
			assert_true(link_same(&e.link, &l));
			assert_true(e.link.place.off == l.place.off);
			assert_true(e.tsize == i);
		}
		assert_int_equal(look_up(&s, root.link, slice_str("absent"), &e), 0);
		store_fini(&s);
	}
}

static void the_shape_does_not_depend_on_order_or_places(void **state)
{
	struct dag_root root[2];
	char name[32];

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct dir_builder *b;
		struct store s;

		store_init(&s, true);
		assert_int_equal(
			dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
		for (unsigned i = 0; i < 3000; i++) {
			unsigned id = k ? 2999 - i : i;
			struct link l = leaf(id);

			(void)snprintf(name, sizeof(name), "%u", id);
			assert_int_equal(dir_builder_add(b, slice_str(name), &l,
							 1, slice_str(name)),
					 0);
		}
		assert_int_equal(dir_builder_finish(b, &root[k], NULL), 0);
		dir_builder_free(b);
		store_fini(&s);
	}
	assert_true(link_same(&root[0].link, &root[1].link));
}

/*
 * Names of 32 bytes with one murmur3: the second block of 16 bytes undoes what
 * the first did to the state, for any first block.
 */
static uint64_t rotl(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd;

	for (int i = 0; i < 6; i++)
		x *= 2 - odd * x;
	return x;
}

static bool colliding_name(unsigned seed, uint8_t ret[static 32])
{
	const uint64_t c1 = 0x87c37b91114253d5u, c2 = 0x4cf5ad432745937fu;
	uint64_t h1 = 0, h2 = 0, k1, k2, t;

	sha256_once(slice(&seed, sizeof(seed)), ret);
	k1 = get_le64(ret);
	k2 = get_le64(ret + 8);
	h1 ^= rotl(k1 * c1, 31) * c2;
	h1 = (rotl(h1, 27) + h2) * 5 + 0x52dce729;
	h2 ^= rotl(k2 * c2, 33) * c1;
	h2 = (rotl(h2, 31) + h1) * 5 + 0x38495ab5;
	/* want: the state behind the second block is (0, 0) */
	t = rotl((0 - (uint64_t)0x52dce729) * inverse(5) - h2, 64 - 27);
	k1 = rotl((h1 ^ t) * inverse(c2), 64 - 31) * inverse(c1);
	t = rotl((0 - (uint64_t)0x38495ab5) * inverse(5) - 0, 64 - 31);
	k2 = rotl((h2 ^ t) * inverse(c1), 64 - 33) * inverse(c2);
	put_le64(ret + 16, k1);
	put_le64(ret + 24, k2);
	return dir_name_valid(slice(ret, 32));
}

static void check_colliding(unsigned count, size_t min_shards, size_t max_shards)
{
	struct dag_profile p = dag_profile_sealed;
	struct dir_builder *b;
	struct dag_root root;
	uint8_t(*names)[32] = calloc(count + 1, 32);
	struct dir_item e;
	size_t shards = 0;
	struct store s;
	unsigned n = 0;

	assert_non_null(names);
	for (unsigned i = 0; n < count; i++)
		n += colliding_name(i, names[n]);
	assert_true(murmur3_h1(slice(names[0], 32)) ==
		    murmur3_h1(slice(names[count - 1], 32)));
	p.dir_basic_max = 0;
	store_init(&s, true);
	assert_int_equal(dir_builder_new(&p, &s.sealer, &b), 0);
	for (unsigned i = 0; i < n; i++) {
		struct link l = leaf(i);

		assert_int_equal(dir_builder_add(b, slice(names[i], 32), &l, 1,
						 slice(names[i], 32)),
				 0);
	}
	assert_int_equal(dir_builder_finish(b, &root, NULL), 0);
	dir_builder_free(b);
	assert_int_equal(list_all(&s, &root.link, 0, &shards), n);
	if (shards < min_shards || shards > max_shards)
		fail_msg("%u names: %zu shards", n, shards);
	for (unsigned i = 0; i < n; i++) {
		struct link l = leaf(i);

		assert_int_equal(look_up(&s, root.link, slice(names[i], 32), &e), 1);
		assert_true(link_same(&e.link, &l));
	}
	free(names);
	store_fini(&s);
}

static void names_with_equal_hashes_live_in_one_bucket_when_sealed(void **state)
{
	(void)state;
	check_colliding(2, 8, 8);
	check_colliding(HAMT_BUCKET_MAX, 8, 8);
}

static void too_many_names_with_equal_hashes_get_a_second_round(void **state)
{
	(void)state;
	/*
	 * 8 levels, then one shard that spreads the names: about 233 of its
	 * buckets get two or more, and few of these collide again.
	 */
	check_colliding(HAMT_BUCKET_MAX + 1, 9 + 200, 9 + 300);
}

static void publish_refuses_names_with_equal_hashes_by_name(void **state)
{
	struct dag_profile p = dag_profile_v1_2025;
	struct err e = { 0 };
	struct dag_root root;
	struct dirs f;
	uint8_t name[32];
	unsigned n = 0;

	(void)state;
	p.dir_basic_max = 0;
	dirs_begin(&f, &p);
	for (unsigned i = 0; n < 2; i++) {
		if (colliding_name(i, name)) {
			dirs_add(&f, slice(name, 32), slice_str("x"));
			n++;
		}
	}
	assert_int_equal(dir_builder_finish(f.b, &root, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "same hash"));
	dir_builder_free(f.b);
}

static void names_that_cannot_stand_in_a_directory_are_refused(void **state)
{
	static const struct {
		const char *p;
		size_t n;
	} bad[] = { { "", 0 }, { ".", 1 }, { "..", 2 }, { "a/b", 3 }, { "a\0b", 3 } };
	struct dag_root root;
	struct link l = leaf(1), none = { .kind = LINK_NONE };
	struct err e = { 0 };
	uint8_t longname[256];
	struct dir_builder *b;
	struct store s;

	(void)state;
	memset(longname, 'x', sizeof(longname));
	store_init(&s, true);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &s.sealer, &b), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(dir_builder_add(b, slice(bad[i].p, bad[i].n),
						 &l, 1, SLICE_NONE),
				 -EINVAL);
	assert_int_equal(dir_builder_add(b, slice(longname, 256), &l, 1, SLICE_NONE),
			 -EINVAL);
	assert_int_equal(dir_builder_add(b, slice_str("n"), &none, 1, SLICE_NONE),
			 -EINVAL);
	l.kind = LINK_PLAIN;
	assert_int_equal(dir_builder_add(b, slice_str("n"), &l, 1, SLICE_NONE),
			 -EINVAL);
	l.kind = LINK_SEALED;
	assert_int_equal(
		dir_builder_add(b, slice(longname, 255), &l, 1, SLICE_NONE), 0);
	assert_int_equal(
		dir_builder_add(b, slice(longname, 255), &l, 1, SLICE_NONE), 0);
	assert_int_equal(dir_builder_finish(b, &root, &e), -EEXIST);
	assert_non_null(strstr(e.text, "twice"));
	dir_builder_free(b);
	store_fini(&s);
}

static void hostile_directories_are_refused(void **state)
{
	static const struct {
		const char *what, *hex;
		unsigned level;
		int err;
	} cases[] = {
		{ "empty directory", "0a020801", 0, 0 },
		{ "a file", "0a0408021800", 0, -ENOTDIR },
		{ "a basic directory below a shard", "0a020801", 1, -EPROTO },
		{ "empty name",
		  "120a0a04015500001200"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		{ "name with slash",
		  "120b"
		  "0a0401550000"
		  "12012f"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		{ "name dot",
		  "120b"
		  "0a0401550000"
		  "12012e"
		  "1800"
		  "0a020801",
		  0, -EPROTO },
		/* "a" hashes to 85…: bit 0x85 is bit 5 of byte 16 from the right */
		{ "shard of a",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, 0 },
		{ "bucket not in bitfield",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "4000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "bitfield with a bucket too many",
		  "120d"
		  "0a0401550000"
		  "1203383561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "6000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "entry in the wrong bucket",
		  "120d"
		  "0a0401550000"
		  "1203383562"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "lower-case prefix",
		  "120d"
		  "0a0401550000"
		  "1203613561"
		  "1800"
		  "0a1a"
		  "0805"
		  "1211"
		  "2000000000000000000000000000000000"
		  "2822"
		  "308002",
		  0, -EPROTO },
		{ "another hash",
		  "0a09"
		  "0805"
		  "1200"
		  "2823"
		  "308002",
		  0, -EPROTO },
		{ "fanout 100",
		  "0a08"
		  "0805"
		  "1200"
		  "2822"
		  "3064",
		  0, -EPROTO },
		{ "fanout 2048",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308010",
		  0, -EPROTO },
		{ "no plain shard at level 8",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308002",
		  8, -EPROTO },
		{ "empty shard",
		  "0a09"
		  "0805"
		  "1200"
		  "2822"
		  "308002",
		  7, 0 },
	};
	struct dir_node n;
	struct buf b;
	int r;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&b, 4096);
		vectors_hex(cases[i].hex, &b);
		r = dir_node_parse(buf_slice(&b), false, cases[i].level, &n);
		if (r != cases[i].err)
			fail_msg("%s: %d, want %d", cases[i].what, r, cases[i].err);
		buf_fini(&b);
	}
}

/* Of those that we write: a few that link each other would never end. */
static void a_sealed_shard_below_another_is_not_empty(void **state)
{
	struct dir_node n;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	vectors_hex("0a090805120028223080"
		    "02",
		    &b);
	assert_int_equal(dir_node_parse(buf_slice(&b), true, 0, &n), 0);
	assert_int_equal(dir_node_parse(buf_slice(&b), true, 1, &n), -EPROTO);
	assert_int_equal(dir_node_parse(buf_slice(&b), false, 1, &n), 0);
	buf_fini(&b);
}

/* The way down has to be that of the name, in every round. */
static void a_shard_stands_where_the_hashes_of_its_names_lead(void **state)
{
	const struct dir_node n = { .fanout = 256 }, basic = { .fanout = 0 };
	const struct slice name = slice_str("name");
	struct dir_way w = { .depth = 0 };

	(void)state;
	for (unsigned i = 0; i < DIR_WAY_MAX; i++) {
		uint64_t h = hamt_hash(name, i / hamt_levels(8));

		assert_true(dir_way_leads_to(&w, &n, name));
		w.at[w.depth++] = (uint16_t)hamt_index(h, 8, i);
	}
	assert_true(dir_way_leads_to(&w, &n, name));
	assert_false(dir_way_leads_to(&w, &basic, name));
	for (unsigned i = 0; i < DIR_WAY_MAX; i++) {
		w.at[i] ^= 1;
		assert_false(dir_way_leads_to(&w, &n, name));
		w.from = i + 1; /* what is above is not known */
		assert_true(dir_way_leads_to(&w, &n, name));
		w.from = 0;
		w.at[i] ^= 1;
	}
}

/* A directory {a: identity "abc"} with its key and place; Attr follow. */
#define SEALED_A(len)                                               \
 "120e0a070155000361626312016118030a" len "08018a4b20"              \
 "0000000000000000000000000000000000000000000000000000000000000000" \
 "924b020100"

static void a_sealed_directory_needs_one_attr_a_link(void **state)
{
	static const struct {
		const char *hex;
		int err;
	} cases[] = {
		{ SEALED_A("2a"), -EPROTO },
		{ SEALED_A("2d") "a24b00", 0 },
		{ SEALED_A("30") "a24b00a24b00", -EPROTO },
		{ SEALED_A("2d") "a24b01", -EPROTO },
	};
	struct dir_item e;
	struct dir_node n;
	struct buf b;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_init(&b, 4096);
		vectors_hex(cases[i].hex, &b);
		assert_int_equal(dir_node_parse(buf_slice(&b), true, 0, &n),
				 cases[i].err);
		if (!cases[i].err) {
			assert_int_equal(dir_node_find(&n, slice_str("a"), &e), 1);
			assert_int_equal(e.link.kind, LINK_IDENTITY);
			assert_int_equal(e.link.n_inline, 3);
		}
		buf_fini(&b);
	}
}

static void a_symlink_gives_its_target(void **state)
{
	struct slice target;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(unixfs_symlink_encode(slice_str("../x"), &b), 0);
	assert_int_equal(symlink_parse(buf_slice(&b), true, &target), 0);
	assert_true(slice_eq(target, slice_str("../x")));
	assert_int_equal(symlink_parse(slice("\x0a\x02\x08\x01", 4), true, &target),
			 -EPROTO);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_directories_list_and_find_every_name),
		cmocka_unit_test(the_shape_does_not_depend_on_order_or_places),
		cmocka_unit_test(
			names_with_equal_hashes_live_in_one_bucket_when_sealed),
		cmocka_unit_test(too_many_names_with_equal_hashes_get_a_second_round),
		cmocka_unit_test(publish_refuses_names_with_equal_hashes_by_name),
		cmocka_unit_test(names_that_cannot_stand_in_a_directory_are_refused),
		cmocka_unit_test(hostile_directories_are_refused),
		cmocka_unit_test(a_sealed_shard_below_another_is_not_empty),
		cmocka_unit_test(a_shard_stands_where_the_hashes_of_its_names_lead),
		cmocka_unit_test(a_sealed_directory_needs_one_attr_a_link),
		cmocka_unit_test(a_symlink_gives_its_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
