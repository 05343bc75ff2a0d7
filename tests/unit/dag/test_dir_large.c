/* test_dir_large.c - a directory built a part at a time is the same directory */
#include "vectors.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "crypto/shorthash.h"
#include "dag/dir.h"
#include "dag/profile.h"
#include "store.h"

#define SMALL (64u << 10) /* bytes of entries at a time */

/* Entries are numbers; `changed` says which have another link than before. */
struct set {
	unsigned n;
	unsigned gone; /* this one is not there; UINT_MAX: all are */
	unsigned changed;
	unsigned renamed; /* this one has another number for its owner */
};

static const struct set ALL = { .gone = UINT_MAX,
				.changed = UINT_MAX,
				.renamed = UINT_MAX };
static struct shorthash_key key;

struct built {
	struct dag_root root;
	struct dir_memo *memo;
	unsigned rounds;
	uint64_t asked, added;
	size_t blocks;
};

/*
 * Blocks that are known have the place that they had: here all have the same one,
 * so that what was built in parts can be compared with what was built at once.
 */
struct placeless {
	struct sealer sealer;
	struct store store;
};

static int seal(struct sealer *s, enum link_codec codec, enum block_kind kind,
		struct slice body, struct link *ret)
{
	struct placeless *p = container_of(s, struct placeless, sealer);
	int r = sealer_seal(&p->store.sealer, codec, kind, body, ret);

	if (ret->kind == LINK_SEALED)
		ret->place = (struct place){ 3, 36, 1000 };
	return r;
}

static const struct sealer_ops ops = { .seal = seal };

static void placeless_init(struct placeless *p)
{
	p->sealer = (struct sealer){ .ops = &ops };
	store_init(&p->store, true);
}

static void add_one(struct dir_builder *b, const struct set *s, unsigned i)
{
	struct link l = { .kind = LINK_SEALED, .codec = LINK_RAW };
	char name[32];

	(void)snprintf(name, sizeof(name), "name-%u", i);
	put_le64(l.digest, i);
	l.digest[31] = i == s->changed;
	l.place = (struct place){ 3, 100 * (uint64_t)i + 59, 100 };
	assert_int_equal(
		dir_builder_add(b, slice_str(name), &l, i + 7, slice_str(name)), 0);
}

static void ask_one(struct dir_builder *b, const struct set *s, unsigned i,
		    struct built *ret)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "name-%u", i);
	if (i >= s->n || i == s->gone)
		return;
	ret->asked++;
	if (!dir_builder_wants(b, slice_str(name), i == s->renamed ? 1u << 31 : i,
			       i / 2, i == s->changed))
		return;
	add_one(b, s, i);
	ret->added++;
}

/* Two have the same place. */
static void round_of(struct dir_builder *b, const struct set *s, struct built *ret)
{
	const uint64_t *places;
	size_t n = dir_builder_places(b, &places);

	ret->rounds++;
	for (unsigned i = 0; n == 0 && i < s->n; i++)
		ask_one(b, s, i, ret);
	for (size_t k = 0; k < n; k++) {
		assert_true(k == 0 || places[k - 1] < places[k]);
		ask_one(b, s, 2 * (unsigned)places[k], ret);
		ask_one(b, s, 2 * (unsigned)places[k] + 1, ret);
	}
}

static struct built build(const struct set *s, uint64_t max_bytes,
			  const struct dir_memo *old)
{
	struct built ret = { .rounds = 0 };
	struct dir_builder *b;
	struct placeless store;
	struct err e = { 0 };
	int r;

	placeless_init(&store);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &store.sealer, &b), 0);
	assert_int_equal(dir_builder_set_large(b, max_bytes, &key, old), 0);
	do {
		round_of(b, s, &ret);
		r = dir_builder_finish(b, &ret.root, &e);
	} while (r == 1);
	assert_int_equal(r, 0);
	assert_int_equal(dir_builder_memo(b, &ret.memo), 0);
	dir_builder_free(b);
	ret.blocks = store.store.n;
	store_fini(&store.store);
	return ret;
}

static struct dag_root build_at_once(const struct set *s)
{
	struct dir_builder *b;
	struct dag_root root;
	struct placeless store;

	placeless_init(&store);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &store.sealer, &b), 0);
	for (unsigned i = 0; i < s->n; i++)
		if (i != s->gone)
			add_one(b, s, i);
	assert_int_equal(dir_builder_finish(b, &root, NULL), 0);
	dir_builder_free(b);
	store_fini(&store.store);
	return root;
}

static void expect_same(const struct built *got, const struct set *s)
{
	struct dag_root want = build_at_once(s);

	assert_true(link_same(&got->root.link, &want.link));
	assert_true(got->root.tsize == want.tsize);
}

static void the_parts_make_the_same_directory(void **state)
{
	static const unsigned sizes[] = { 0, 1, 2, 90, 200, 500, 3000, 20000 };
	static const uint64_t limits[] = { SMALL, 1u << 20, 1u << 30 };

	(void)state;
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++)
		for (size_t m = 0; m < ARRAY_LEN(limits); m++) {
			struct set s = ALL;
			struct built b;

			s.n = sizes[k];
			b = build(&s, limits[m], NULL);
			expect_same(&b, &s);
			/* each is taken once, but for those of the first try */
			assert_in_range(b.added, s.n, s.n + limits[m] / 64);
			if (limits[m] == SMALL && s.n == 20000)
				assert_in_range(b.rounds, 20, 200);
			if (limits[m] == 1u << 30)
				assert_int_equal(b.rounds, 1);
			dir_memo_free(b.memo);
		}
}

static void expect_little(const struct set *s, const struct dir_memo *old)
{
	struct built b = build(s, 1u << 20, old);

	expect_same(&b, s);
	assert_int_equal(b.rounds, 2);
	assert_in_range(b.added, 1, s->n / 64);
	assert_in_range(b.asked, s->n, s->n + s->n / 32);
	assert_non_null(b.memo);
	dir_memo_free(b.memo);
}

static void a_memo_leaves_only_what_has_changed_to_be_built(void **state)
{
	struct set s = ALL;
	struct built b, again;

	(void)state;
	s.n = 20000;
	b = build(&s, 1u << 20, NULL);
	assert_non_null(b.memo);

	again = build(&s, 1u << 20, b.memo);
	expect_same(&again, &s);
	assert_int_equal(again.rounds, 1);
	assert_int_equal(again.added, 0);
	assert_int_equal(again.blocks, 1); /* the root */
	dir_memo_free(again.memo);

	s.changed = 77;
	expect_little(&s, b.memo);
	s = ALL;
	s.n = 20001;
	expect_little(&s, b.memo);
	s.n = 20000;
	s.gone = 19999;
	expect_little(&s, b.memo);
	s = ALL;
	s.n = 20000;
	s.renamed = 5;
	expect_little(&s, b.memo);
	dir_memo_free(b.memo);
}

static void a_memo_of_memos_holds_as_well(void **state)
{
	struct dir_memo *old = NULL;
	struct set s = ALL;

	(void)state;
	for (unsigned k = 0; k < 6; k++) {
		struct built b;

		s.n = 9000 + k;
		b = build(&s, SMALL, old);
		expect_same(&b, &s);
		dir_memo_free(old);
		old = b.memo;
		assert_non_null(old);
	}
	dir_memo_free(old);
}

static void a_memo_that_was_encoded_and_decoded_is_as_good(void **state)
{
	struct dir_memo *m = NULL;
	struct set s = ALL;
	struct built b;
	struct cursor c;
	struct buf text;

	(void)state;
	s.n = 9000;
	b = build(&s, SMALL, NULL);
	buf_init(&text, DIR_MEMO_MAX);
	assert_int_equal(dir_memo_encode(b.memo, &text), 0);
	dir_memo_free(b.memo);
	for (size_t n = 0; n < text.n; n += 1 + n / 50) {
		c = cursor(slice(text.p, n));
		assert_int_equal(dir_memo_decode(&c, &m), -EPROTO);
	}
	c = cursor(buf_slice(&text));
	assert_int_equal(dir_memo_decode(&c, &m), 0);
	assert_int_equal(cursor_done(&c), 0);
	s.renamed = 5;
	expect_little(&s, m);
	dir_memo_free(m);
	buf_fini(&text);
}

static void a_directory_that_shrinks_becomes_a_basic_one(void **state)
{
	struct set s = ALL;
	struct built b, small;

	(void)state;
	s.n = 9000;
	b = build(&s, 1u << 20, NULL);
	s.n = 20;
	small = build(&s, 1u << 20, b.memo);
	expect_same(&small, &s);
	assert_null(small.memo);
	dir_memo_free(b.memo);
}

static void entries_that_are_not_the_same_each_time_are_refused(void **state)
{
	struct built ret = { .rounds = 0 };
	struct set s = ALL;
	struct dir_builder *b;
	struct placeless store;
	struct err e = { 0 };

	(void)state;
	s.n = 9000;
	placeless_init(&store);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &store.sealer, &b), 0);
	assert_int_equal(dir_builder_set_large(b, SMALL, &key, NULL), 0);
	round_of(b, &s, &ret);
	assert_int_equal(dir_builder_finish(b, &ret.root, &e), 1);
	assert_int_equal(dir_builder_finish(b, &ret.root, &e), -EUCLEAN);
	dir_builder_free(b);
	store_fini(&store.store);
}

static void a_name_that_stands_twice_is_refused(void **state)
{
	struct built ret = { .rounds = 0 };
	struct set s = ALL;
	struct dir_builder *b;
	struct placeless store;
	struct err e = { 0 };
	int r;

	(void)state;
	s.n = 9000;
	placeless_init(&store);
	assert_int_equal(dir_builder_new(&dag_profile_sealed, &store.sealer, &b), 0);
	assert_int_equal(dir_builder_set_large(b, SMALL, &key, NULL), 0);
	do {
		round_of(b, &s, &ret);
		if (dir_builder_wants(b, slice_str("name-8"), 1, 1, false))
			add_one(b, &s, 8);
		r = dir_builder_finish(b, &ret.root, &e);
	} while (r == 1);
	assert_int_equal(r, -EEXIST);
	dir_builder_free(b);
	store_fini(&store.store);
}

static int make_key(void **state)
{
	(void)state;
	shorthash_key_random(&key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_parts_make_the_same_directory),
		cmocka_unit_test(a_memo_leaves_only_what_has_changed_to_be_built),
		cmocka_unit_test(a_memo_of_memos_holds_as_well),
		cmocka_unit_test(a_memo_that_was_encoded_and_decoded_is_as_good),
		cmocka_unit_test(a_directory_that_shrinks_becomes_a_basic_one),
		cmocka_unit_test(entries_that_are_not_the_same_each_time_are_refused),
		cmocka_unit_test(a_name_that_stands_twice_is_refused),
	};

	return cmocka_run_group_tests(tests, make_key, NULL);
}
