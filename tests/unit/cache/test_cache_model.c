/* test_cache_model.c - the cache equals the simplest file system, at length */
#include "model.h"

#define STEPS 3000

static void some_steps(void *ctx)
{
	struct model *m = ctx;

	for (uint64_t n = model_rand(m, 6); n > 0; n--)
		model_step(m);
}

static void counts_are_right(const struct model *m)
{
	struct cache_counts want = model_counts(m);
	struct cache_stats s;

	cache_stats(m->d->c, &s);
	assert_int_equal(s.drive.inodes, want.inodes);
	assert_int_equal(s.drive.bytes, want.bytes);
}

/* A row's blocks that the link does not have, looked for in every inode. */
#define DIRTY_PART                       \
 "CASE WHEN dgen_of > clean_gen THEN n " \
 "ELSE max(0, block + n - max(block, (link_size + 4095) / 4096)) END"

/* What opening has added up is what the rows say one by one. */
static void opened_accounts_are_right(struct drive *d)
{
	uint64_t rows, data, dirty;
	struct cache_stats s;

	drive_close(d);
	rows = drive_number(d, "SELECT count(*) FROM inode");
	data = drive_number(d, "SELECT ifnull(sum(n), 0) FROM extent WHERE seg > 0");
	dirty = drive_number(d, "SELECT ifnull(sum(" DIRTY_PART "), 0) FROM "
				"(SELECT ino, block, n, dgen AS dgen_of FROM extent WHERE seg > 0) "
				"LEFT JOIN inode USING (ino)");
	assert_int_equal(recorder_forget(d->rec), 0);
	drive_open(d);
	cache_stats(d->c, &s);
	assert_int_equal(s.inodes, rows);
	assert_int_equal(s.dirty_bytes, dirty * CACHE_BLOCK);
	assert_int_equal(s.clean_bytes, (data - dirty) * CACHE_BLOCK);
}

static void now_and_then(struct model *m)
{
	switch (model_rand(m, 60)) {
	case 0:
	case 1: assert_int_equal(cache_sync(m->d->c), 0); break;
	case 2: onboard(m->d, m->f, some_steps, m); break;
	case 3: assert_int_equal(cache_evict(m->d->c, 0), 0); break;
	case 4:
		opened_accounts_are_right(m->d);
		counts_are_right(m);
		break;
	case 5:
		assert_true(drive_hash(m->d) == model_hash(m));
		counts_are_right(m);
		break;
	default: break;
	}
}

static void run(uint64_t seed, uint64_t max_bytes)
{
	struct fakedag *f = fakedag_new();
	struct cache_stats s;
	uint64_t promised;
	struct err e = { 0 };
	struct drive d;
	struct model m;

	drive_new(&d);
	d.p.source = fakedag_source(f);
	d.p.max_bytes = max_bytes;
	d.p.full_timeout_ms = 60000;
	drive_open(&d);
	model_new(&m, &d, f, seed);
	for (int k = 0; k < STEPS; k++) {
		model_step(&m);
		now_and_then(&m);
	}
	assert_true(drive_hash(&d) == model_hash(&m));
	assert_int_equal(cache_check(d.c, false, NULL, NULL, &e), 0);
	cache_stats(d.c, &s);
	promised = s.reserved_bytes;
	drive_again(&d);
	cache_stats(d.c, &s);
	assert_int_equal(s.reserved_bytes, promised); /* the rows have it */
	counts_are_right(&m);
	assert_true(drive_hash(&d) == model_hash(&m));
	onboard(&d, f, NULL, NULL);
	assert_int_equal(cache_evict(d.c, 0), 0);
	cache_stats(d.c, &s);
	assert_int_equal(s.dirty_bytes, 0);
	assert_int_equal(s.used_bytes, 0);
	assert_true(drive_hash(&d) == model_hash(&m));
	model_free(&m);
	drive_free(&d);
	fakedag_free(f);
}

static void random_operations_equal_the_model(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++)
		run(seed, 0);
}

static void random_operations_in_a_small_cache_equal_the_model(void **state)
{
	(void)state;
	run(99, 16u << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_equal_the_model),
		cmocka_unit_test(random_operations_in_a_small_cache_equal_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
