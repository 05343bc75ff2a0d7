/* test_cache_dag.c - properties of snapshots, adoption, eviction and fetches */
#include "fakedag.h"

#include <sched.h>
#include <stdio.h>

#define SIZE (1200u * 1024)

static uint8_t a[SIZE], b[SIZE];

struct world {
	struct drive d;
	struct fakedag *f;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	drive_new(&w->d);
	w->f = fakedag_new();
	w->d.p.source = fakedag_source(w->f);
	drive_open(&w->d);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	drive_free(&w->d);
	fakedag_free(w->f);
	free(w);
	return 0;
}

static struct cache_stats stats(struct drive *d)
{
	struct cache_stats s;

	cache_stats(d->c, &s);
	return s;
}

static void read_back(struct drive *d, uint64_t ino, size_t n, const uint8_t *want)
{
	struct cache_op op = { 0 };
	size_t got = 0;
	int r;

	while ((r = cache_read(d->c, &op, ino, 0, b, SIZE, &got)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 10000), 0);
	assert_int_equal(r, 0);
	assert_int_equal(got, n);
	assert_memory_equal(b, want, n);
}

/* A file of SIZE bytes, which are in `a`, that is here and in the DAG. */
static uint64_t committed(struct world *w)
{
	uint64_t ino = mk(&w->d, 1, "f", S_IFREG | 0644);

	pattern(a, SIZE, 0, 1);
	put(&w->d, ino, 0, a, SIZE);
	onboard(&w->d, w->f, NULL, NULL);
	return ino;
}

static void adopted_data_is_clean_and_evicted_data_comes_back(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE - 100);
	assert_true(stats(d).dirty_bytes >= SIZE - 100);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(stats(d).dirty_bytes, 0);
	assert_int_equal(stats(d).clean_bytes, align_up(SIZE - 100, 4096));
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(stats(d).dirty_inodes, 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 0);
	assert_int_equal(attr(d, ino).blocks, align_up(SIZE - 100, 4096) / 512);
	forget(d, ino);
	drive_again(d);
	assert_int_equal(stats(d).used_bytes, 0);
	read_back(d, ino, SIZE - 100, a);
	assert_int_equal(stats(d).clean_bytes, align_up(SIZE - 100, 4096));
	assert_int_equal(stats(d).dirty_bytes, 0);
	read_back(d, ino, SIZE - 100, a);
	assert_int_equal(fakedag_starts(w->f), 2);
}

static void dirty_data_is_never_evicted(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);

	pattern(a + 40960, 8192, 40960, 2);
	put(d, ino, 40960, a + 40960, 8192);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).dirty_bytes, 8192);
	assert_int_equal(stats(d).used_bytes, 8192);
	read_back(d, ino, SIZE, a);
}

/* Each slot of the first segment is hit. */
static void damage_all(struct drive *d)
{
	uint64_t size = (uint64_t)recorder_size(d->rec, "data/00000001");

	for (uint64_t k = 1; k <= 127; k++)
		assert_int_equal(recorder_flip(d->rec, "data/00000001",
					       size - k * 4096 + 77, 1),
				 0);
}

static void what_is_damaged_here_and_whole_in_the_dag_comes_back(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);

	drive_again(d);
	damage_all(d);
	read_back(d, ino, SIZE, a);
	assert_true(stats(d).healed_blocks > 100);
	assert_int_equal(stats(d).damaged_blocks, 0);
	read_back(d, ino, SIZE, a); /* from good slots now */
	drive_again(d);
	read_back(d, ino, SIZE, a);
	assert_int_equal(stats(d).healed_blocks, 0);
}

static void a_write_into_a_damaged_block_keeps_what_the_dag_has(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct cache_op op = { 0 };
	int r;

	drive_again(d);
	damage_all(d);
	memset(a + 5000, 'x', 100);
	while ((r = cache_write(d->c, &op, ino, 5000, slice(a + 5000, 100), 0)) ==
	       -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 10000), 0);
	assert_int_equal(r, 0);
	onboard(d, w->f, NULL, NULL); /* reads all of the file */
	assert_int_equal(stats(d).dirty_bytes, 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	read_back(d, ino, SIZE, a);
}

static void damage_of_what_no_dag_has_is_an_error_that_is_told(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	size_t n;

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE);
	drive_again(d);
	damage_all(d);
	assert_int_equal(try_get(d, ino, 0, b, SIZE, &n), -EIO);
	assert_true(stats(d).damaged_blocks > 0);
	assert_int_equal(stats(d).healed_blocks, 0);
	put(d, ino, 0, a, SIZE); /* written anew it is whole */
	read_back(d, ino, SIZE, a);
}

static void what_the_dag_has_lost_is_dirty_again_and_stays(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct cache_attr was;

	was = attr(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_redirty(d->c, ino, 40960, 8193), 0);
	assert_int_equal(stats(d).dirty_bytes, 3 * 4096);
	assert_int_equal(stats(d).dirty_inodes, 1);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 3 * 4096);
	drive_again(d);
	assert_int_equal(stats(d).dirty_bytes, 3 * 4096);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 3 * 4096);
	assert_true(attr(d, ino).mtime.tv_nsec == was.mtime.tv_nsec &&
		    attr(d, ino).ctime.tv_nsec == was.ctime.tv_nsec &&
		    attr(d, ino).blocks == was.blocks);
	read_back(d, ino, SIZE, a);
	/* what is absent stays so, what is gone is fine */
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(cache_redirty(d->c, ino, 0, UINT64_MAX), 0);
	assert_int_equal(stats(d).dirty_bytes, 3 * 4096);
	assert_int_equal(cache_redirty(d->c, 999, 0, 10), 0);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(stats(d).dirty_bytes, 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 0);
	read_back(d, ino, SIZE, a);
}

static int take_ino(void *ctx, uint64_t ino)
{
	*(uint64_t *)ctx += ino;
	return 0;
}

static void a_snapshot_tells_paths_and_what_the_dag_has(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t dir = mk(d, 1, "dir", S_IFDIR | 0755);
	uint64_t ino = mk(d, dir, "name", S_IFREG | 0644), sum = 0;
	struct cache_snap *s = NULL;
	char path[64];

	put(d, ino, 0, "x", 1);
	onboard(d, w->f, NULL, NULL);
	(void)mk(d, 1, "new", S_IFREG | 0644);
	assert_int_equal(cache_snap_open(d->c, &s), 0);
	assert_int_equal(cache_snap_linked(s, take_ino, &sum), 0);
	assert_int_equal(sum, 1 + dir + ino);
	assert_int_equal(cache_snap_path(s, ino, path, sizeof(path)), 0);
	assert_string_equal(path, "/dir/name");
	assert_int_equal(cache_snap_path(s, 1, path, sizeof(path)), 0);
	assert_string_equal(path, "/");
	assert_int_equal(cache_snap_path(s, ino, path, 10), 0);
	assert_int_equal(cache_snap_path(s, ino, path, 9), -ENAMETOOLONG);
	assert_int_equal(cache_snap_path(s, 999, path, sizeof(path)), -ENOENT);
	sum = 0;
	assert_int_equal(cache_snap_xattr_sets(s, 1, take_ino, &sum), 0);
	assert_int_equal(sum, 0);
	cache_snap_close(s);
}

struct change {
	struct drive *d;
	uint64_t ino;
};

static void change(void *ctx)
{
	struct change *x = ctx;

	pattern(a + 8192, 5000, 8192, 7);
	put(x->d, x->ino, 8192, a + 8192, 5000);
	cut_to(x->d, x->ino, 500000);
	memset(a + 500000, 0, SIZE - 500000);
	put(x->d, x->ino, 700000, "z", 1);
	a[700000] = 'z';
	assert_int_equal(cache_sync(x->d->c), 0);
}

static void changes_after_the_snapshot_stay_dirty_when_it_is_adopted(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	struct change x = { d, ino };

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE);
	onboard(d, w->f, change, &x);
	assert_true(stats(d).dirty_bytes > 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	read_back(d, ino, 700001, a);
	assert_int_equal(cache_evict(d->c, 0), 0);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(stats(d).dirty_bytes, 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 0);
	drive_again(d);
	read_back(d, ino, 700001, a);
}

static void a_directory_of_the_dag_is_loaded_when_first_looked_up(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_attr root = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 },
			  at;
	struct cache_op op = { 0 };
	struct err e = { 0 };
	uint8_t link[8];

	pattern(a, 5000, 0, 3);
	fakedag_dir(w->f, 500, 100, a, 5000, link);
	assert_int_equal(recorder_new(&d.rec), 0);
	assert_int_equal(secret_new_random(&d.key), 0);
	d.p = w->d.p;
	d.p.io = recorder_io(d.rec);
	d.p.key = d.key;
	assert_int_equal(cache_format_from(&d.p, &root, slice(link, 8), 50, &e), 0);
	drive_open(&d);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(op.miss.kind, CACHE_MISS_DIR);
	fakedag_fail(w->f, EREMOTEIO);
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	fakedag_fail(w->f, 0);
	/* remembered, and asked again by nobody but time */
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	drive_again(&d);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	assert_int_equal(at.ino, 107);
	assert_int_equal(at.size, 5000);
	read_back(&d, 107, 5000, a);
	assert_int_equal(look(&d, 1, "e500"), 0);
	assert_int_equal(stats(&d).dirty_inodes, 0);
	assert_true(mk(&d, 1, "new", S_IFREG | 0644) >= 600);
	drive_again(&d);
	assert_int_equal(look(&d, 1, "e499"), 599);
	drive_free(&d);
}

static void inodes_of_a_large_directory_do_not_stay_in_memory(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_attr root = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 },
			  at;
	struct cache_op op = { 0 };
	struct err e = { 0 };
	uint8_t link[8];

	fakedag_dir(w->f, 40000, 100, a, 5000, link);
	assert_int_equal(recorder_new(&d.rec), 0);
	assert_int_equal(secret_new_random(&d.key), 0);
	d.p = w->d.p;
	d.p.io = recorder_io(d.rec);
	d.p.key = d.key;
	assert_int_equal(cache_format_from(&d.p, &root, slice(link, 8), 50, &e), 0);
	drive_open(&d);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	assert_in_range(stats(&d).inodes_in_memory, 1, 20000);
	assert_int_equal(cache_sync(d.c), 0);
	assert_int_equal(stats(&d).inodes, 40001);
	drive_free(&d);
}

/* An empty drive whose root is a directory of the DAG. */
static void from_root(struct world *w, struct drive *d, unsigned n, size_t run)
{
	struct cache_attr root = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	struct err e = { 0 };
	uint8_t link[8];

	fakedag_dir(w->f, n, 100, a, 5000, link);
	assert_int_equal(recorder_new(&d->rec), 0);
	assert_int_equal(secret_new_random(&d->key), 0);
	d->p = w->d.p;
	d->p.io = recorder_io(d->rec);
	d->p.key = d->key;
	d->p.fetch_run_bytes = run;
	assert_int_equal(cache_format_from(&d->p, &root, slice(link, 8), 50, &e), 0);
	drive_open(d);
}

static int try_look(struct drive *d, struct cache_op *op, const char *name)
{
	struct cache_attr at;

	return cache_lookup(d->c, op, 1, slice_str(name), &at);
}

static void a_directory_comes_in_parts_and_is_there_when_all_of_it_is(void **state)
{
	struct drive d = { 0 };
	struct cache_op op = { 0 };
	char name[16];

	from_root(*state, &d, 3001, 65536);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	for (unsigned k = 0; k < 3001; k++) {
		(void)snprintf(name, sizeof(name), "e%u", k);
		assert_int_equal(look(&d, 1, name), 100 + k);
	}
	drive_close(&d);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM dentry"), 3001);
	assert_int_equal(drive_number(&d, "SELECT count(DISTINCT pos) FROM dentry"),
			 3001);
	drive_free(&d);
}

static void a_directory_that_broke_off_is_loaded_from_its_beginning(void **state)
{
	struct world *w = *state;
	struct drive d = { 0 };
	struct cache_op op = { 0 };

	from_root(w, &d, 3000, 65536);
	fakedag_break(w->f, 2000);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), -EREMOTEIO);
	/* a part of it is there, and counts for nothing */
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	drive_close(&d);
	assert_in_range(drive_number(&d, "SELECT count(*) FROM dentry"), 1, 2000);
	/* the rest of a try that had another idea of it */
	drive_change(&d,
		     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) "
		     "INSERT INTO dentry SELECT 1, CAST('z' || i AS BLOB), 101, 32768, 90000 + i FROM n");
	drive_open(&d);
	assert_int_equal(try_look(&d, &op, "e7"), -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 0), 0);
	assert_int_equal(look(&d, 1, "e2999"), 3099);
	assert_int_equal(look(&d, 1, "z1"), 0);
	drive_close(&d);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM dentry"), 3000);
	assert_int_equal(drive_number(&d, "SELECT count(*) FROM inode"), 3001);
	drive_free(&d);
}

static void expect_counts(struct drive *d, uint64_t inodes, uint64_t bytes)
{
	struct cache_stats s = stats(d);

	assert_int_equal(s.drive.inodes, inodes);
	assert_int_equal(s.drive.bytes, bytes);
}

/* A drive of 500 files of 5000 bytes in the DAG, of whose commit `counts` are. */
static void from_commit(struct world *w, struct drive *d,
			const struct cache_counts *counts)
{
	const struct cache_attr at = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	struct source_entry root = { .attr = &at };
	struct err e = { 0 };
	uint8_t link[8];

	pattern(a, 5000, 0, 3);
	fakedag_dir(w->f, 500, 100, a, 5000, link);
	root.link = slice(link, 8);
	assert_int_equal(recorder_new(&d->rec), 0);
	assert_int_equal(secret_new_random(&d->key), 0);
	d->p = w->d.p;
	d->p.io = recorder_io(d->rec);
	d->p.key = d->key;
	assert_int_equal(cache_format_entry(&d->p, &root, 50, counts, &e), 0);
	drive_open(d);
}

static void list_root(struct drive *d)
{
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r;

	while ((r = cache_lookup(d->c, &op, 1, slice_str("e7"), &at)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	forget(d, at.ino);
}

static void counting_goes_on_from_what_the_commit_says(void **state)
{
	const struct cache_counts counts = { 501, 500 * 5000 };
	struct world *w = *state;
	struct drive d = { 0 };
	uint64_t ino;
	struct err e;

	from_commit(w, &d, &counts);
	expect_counts(&d, 501, 500 * 5000);
	list_root(&d);
	expect_counts(&d, 501, 500 * 5000);
	ino = mk(&d, 1, "new", S_IFREG | 0644);
	cut_to(&d, ino, 77);
	expect_counts(&d, 502, 500 * 5000 + 77);
	rm(&d, 1, "e8");
	cut_to(&d, 107, 4096);
	expect_counts(&d, 501, 499 * 5000 + 77 - 904);
	drive_again(&d);
	expect_counts(&d, 501, 499 * 5000 + 77 - 904);
	rm(&d, 1, "new");
	rm(&d, 1, "e7");
	expect_counts(&d, 499, 498 * 5000);
	assert_int_equal(cache_check(d.c, false, NULL, NULL, &e), 0);
	drive_again(&d);
	expect_counts(&d, 499, 498 * 5000);
	drive_free(&d);
}

static void note_count(void *ctx, const char *sentence)
{
	*(unsigned *)ctx += strstr(sentence, "count of inodes") != NULL;
}

static void a_wrong_count_is_found_and_mended_when_all_is_here(void **state)
{
	const struct cache_counts counts = { 400, 7000 };
	struct world *w = *state;
	struct drive d = { 0 };
	unsigned n = 0;
	struct err e;

	from_commit(w, &d, &counts);
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 0);
	list_root(&d); /* more is here than the commit says is anywhere */
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 1);
	assert_int_equal(n, 1);
	assert_int_equal(cache_check(d.c, true, note_count, &n, &e), 0);
	assert_int_equal(n, 2);
	expect_counts(&d, 501, 500 * 5000);
	drive_again(&d);
	expect_counts(&d, 501, 500 * 5000);
	assert_int_equal(cache_check(d.c, false, note_count, &n, &e), 0);
	assert_int_equal(n, 2);
	drive_free(&d);
}

static void a_drive_that_was_not_counted_says_so_until_all_is_here(void **state)
{
	const struct cache_counts counts = { 501, 0 }; /* as old commits have it */
	struct world *w = *state;
	struct drive d = { 0 };

	from_commit(w, &d, &counts);
	expect_counts(&d, 0, 0);
	drive_again(&d);
	expect_counts(&d, 0, 0);
	list_root(&d);
	put(&d, mk(&d, 1, "new", S_IFREG | 0644), 0, a, 100);
	expect_counts(&d, 0, 0);
	drive_again(&d);
	expect_counts(&d, 502, 500 * 5000 + 100);
	drive_free(&d);
}

static void a_fetch_has_a_deadline_and_can_be_called_off(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct cache_op op = { 0 };
	size_t n;

	assert_int_equal(cache_evict(d->c, 0), 0);
	fakedag_hold(w->f, true);
	assert_int_equal(try_get(d, ino, 0, b, 10, &n), -EINPROGRESS);
	assert_int_equal(cache_read(d->c, &op, ino, 0, b, 10, &n), -EINPROGRESS);
	assert_int_equal(fetch_wait(d, &op, 20), -ETIMEDOUT);
	fakedag_hold(w->f, false);
	read_back(d, ino, SIZE, a);
}

/* Six times three quarters of a second, and nobody waits longer than two for
 * one entry; then one takes longer than that. */
static void a_directory_that_keeps_coming_is_waited_for(void **state)
{
	const struct cache_counts counts = { 501, 500 * 5000 };
	struct world *w = *state;
	struct cache_op op = { 0 };
	struct drive d = { 0 };
	struct cache_attr at;

	from_commit(w, &d, &counts);
	fakedag_pace(w->f, 750, 6);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 2000), 0);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at), 0);
	forget(&d, at.ino);
	drive_free(&d);
	from_commit(w, &d, &counts);
	fakedag_pace(w->f, 600, 1);
	assert_int_equal(cache_lookup(d.c, &op, 1, slice_str("e7"), &at),
			 -EINPROGRESS);
	assert_int_equal(fetch_wait(&d, &op, 50), -ETIMEDOUT);
	drive_free(&d);
}

static void a_full_cache_slows_writers_then_refuses_and_frees_on_rm(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t ino, n = 0;
	int r = 0;

	drive_close(d);
	d->p.max_bytes = 5u << 20;
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	pattern(a, SIZE, 0, 1);
	while (n < 100) {
		r = cache_write(d->c, &op, ino, n * 65536, slice(a, 65536), 0);
		if (r == -EINPROGRESS) {
			assert_int_equal(op.miss.kind, CACHE_MISS_ROOM);
			r = fetch_wait(d, &op, 0);
		} else if (r == 0) {
			n++;
		}
		if (r < 0)
			break;
	}
	assert_int_equal(r, -ENOSPC);
	/* of 5 MiB: metadata's floor, steps and heads of segments go off */
	assert_true(n >= 50 && n <= 56);
	rm(d, 1, "f");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	ino = mk(d, 1, "g", S_IFREG | 0644);
	put(d, ino, 0, a, 65536);
	read_back(d, ino, 65536, a);
}

static void clean_data_makes_room_for_writers(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t inos[20];
	char name[16];

	drive_close(d);
	d->p.max_bytes = 5u << 20;
	d->p.full_timeout_ms = 5000;
	drive_open(d);
	pattern(a, SIZE, 0, 1);
	for (int k = 0; k < 20; k++) {
		int r;

		(void)snprintf(name, sizeof(name), "f%d", k);
		inos[k] = mk(d, 1, name, S_IFREG | 0644);
		while ((r = cache_write(d->c, &op, inos[k], 0,
					slice(a, 1u << 20), 0)) == -EINPROGRESS)
			assert_int_equal(fetch_wait(d, &op, 0), 0);
		assert_int_equal(r, 0);
		onboard(d, w->f, NULL, NULL);
	}
	assert_true(stats(d).used_bytes <= 4u << 20);
	for (int k = 0; k < 20; k++)
		read_back(d, inos[k], 1u << 20, a);
}

/* 4 KiB of a file of which nothing is here: so many chunks are asked for. */
static void expect_asked(struct world *w, uint64_t ino, uint64_t off,
			 uint64_t other, unsigned n)
{
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	unsigned before;
	size_t got;
	int r;

	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).clean_bytes, 0);
	before = fakedag_starts(w->f);
	while ((r = cache_read(d->c, &op, ino, off, b, 4096, &got)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 10000), 0);
	assert_int_equal(r, 0);
	while (fakedag_starts(w->f) - before < n)
		(void)sched_yield();
	/* and for no more, as far as a later request can tell */
	for (unsigned k = 1; k < 4; k++) {
		assert_int_equal(cache_sync(d->c), 0);
		assert_int_equal(cache_evict(d->c, 0), 0);
		read_back(d, other, 100, a);
		assert_int_equal(fakedag_starts(w->f) - before, n + k);
	}
}

static void who_begins_a_file_is_read_ahead_for_and_who_looks_into_one_is_not(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	uint64_t other = mk(d, 1, "g", S_IFREG | 0644);

	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < 8; k++)
		put(d, ino, k * (1u << 20), a, 1u << 20);
	put(d, other, 0, a, 100);
	onboard(d, w->f, NULL, NULL);
	expect_asked(w, ino, 5u << 20, other, 1);
	expect_asked(w, ino, 0, other, 1 + 4);
}

static int read_fetched(struct drive *d, uint64_t ino, uint64_t off)
{
	struct cache_op op = { 0 };
	size_t got;
	int r;

	while ((r = cache_read(d->c, &op, ino, off, b, 4096, &got)) == -EINPROGRESS) {
		r = fetch_wait(d, &op, 10000);
		if (r < 0)
			break;
	}
	return r;
}

/* What nobody had asked for yet says nothing of who asks for it. */
static void read_ahead_that_fails_is_no_answer_to_a_read(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	unsigned before;

	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < 4; k++)
		put(d, ino, k * (1u << 20), a, 1u << 20);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_evict(d->c, 0), 0);
	before = fakedag_starts(w->f);
	fakedag_fail(w->f, EREMOTEIO);
	assert_int_equal(read_fetched(d, ino, 0), -EREMOTEIO);
	while (fakedag_starts(w->f) - before < 2) /* with what comes behind it */
		(void)sched_yield();
	fakedag_fail(w->f, 0);
	assert_int_equal(read_fetched(d, ino, 1u << 20), 0);
	assert_memory_equal(b, a, 4096);
}

static uint64_t look_fetched(struct drive *d, uint64_t parent, const char *name)
{
	struct cache_op op = { 0 };
	struct cache_attr at;
	int r;

	while ((r = cache_lookup(d->c, &op, parent, slice_str(name), &at)) ==
	       -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 10000), 0);
	assert_int_equal(r, 0);
	return at.ino;
}

/* Data and holes of a file, block by block: true is data. */
static void seek_map(struct drive *d, uint64_t ino, uint64_t size, bool *data)
{
	uint64_t at = 0, to = 0;
	struct cache_op op = { 0 };
	int r;

	memset(data, 0, size / CACHE_BLOCK * sizeof(*data));
	while (at < size) {
		r = cache_lseek(d->c, &op, ino, at, SEEK_DATA, &at);
		if (r == -EINPROGRESS) {
			assert_int_equal(op.miss.kind, CACHE_MISS_HOLES);
			assert_int_equal(fetch_wait(d, &op, 10000), 0);
			continue;
		}
		if (r == -ENXIO)
			return;
		assert_int_equal(r, 0);
		assert_int_equal(cache_lseek(d->c, &op, ino, at, SEEK_HOLE, &to), 0);
		for (; at < to; at += CACHE_BLOCK)
			data[at / CACHE_BLOCK] = true;
	}
}

static void holes_of_a_file_that_is_not_here_are_found_without_its_bytes(void **state)
{
	struct world *w = *state;
	struct cache_attr root = { .ino = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	const uint64_t n = SIZE / CACHE_BLOCK;
	bool data[SIZE / CACHE_BLOCK];
	struct drive d = { 0 };
	struct err e = { 0 };
	uint64_t blocks;
	uint8_t link[8];

	pattern(a, SIZE, 0, 3);
	for (uint64_t k = 0; k < n; k++)
		if (k % 7 < 4)
			memset(a + k * CACHE_BLOCK, 0, CACHE_BLOCK);
	fakedag_dir(w->f, 1, 100, a, SIZE, link);
	assert_int_equal(recorder_new(&d.rec), 0);
	assert_int_equal(secret_new_random(&d.key), 0);
	d.p = w->d.p;
	d.p.io = recorder_io(d.rec);
	d.p.key = d.key;
	assert_int_equal(cache_format_from(&d.p, &root, slice(link, 8), 50, &e), 0);
	drive_open(&d);
	assert_int_equal(look_fetched(&d, 1, "e0"), 100);
	assert_true(attr(&d, 100).blocks == n * 8); /* as if all were data */
	pattern(a, CACHE_BLOCK, 0, 9);
	put(&d, 100, 0, a, CACHE_BLOCK); /* over a hole */
	seek_map(&d, 100, SIZE, data);
	for (uint64_t k = 0; k < n; k++)
		assert_true(data[k] == (k == 0 || k % 7 >= 4));
	assert_int_equal(stats(&d).clean_bytes, 0);
	blocks = attr(&d, 100).blocks;
	assert_true(blocks < n * 8);
	read_back(&d, 100, SIZE, a);
	assert_true(attr(&d, 100).blocks == blocks);
	/* known for good, with no source to ask */
	assert_int_equal(cache_evict(d.c, 0), 0);
	drive_again(&d);
	fakedag_fail(w->f, EREMOTEIO);
	seek_map(&d, 100, SIZE, data);
	assert_true(data[0] && !data[1] && data[4]);
	drive_free(&d);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(adopted_data_is_clean_and_evicted_data_comes_back),
		T(dirty_data_is_never_evicted),
		T(what_is_damaged_here_and_whole_in_the_dag_comes_back),
		T(a_write_into_a_damaged_block_keeps_what_the_dag_has),
		T(damage_of_what_no_dag_has_is_an_error_that_is_told),
		T(what_the_dag_has_lost_is_dirty_again_and_stays),
		T(a_snapshot_tells_paths_and_what_the_dag_has),
		T(changes_after_the_snapshot_stay_dirty_when_it_is_adopted),
		T(a_directory_of_the_dag_is_loaded_when_first_looked_up),
		T(inodes_of_a_large_directory_do_not_stay_in_memory),
		T(a_directory_comes_in_parts_and_is_there_when_all_of_it_is),
		T(a_directory_that_broke_off_is_loaded_from_its_beginning),
		T(counting_goes_on_from_what_the_commit_says),
		T(a_wrong_count_is_found_and_mended_when_all_is_here),
		T(a_drive_that_was_not_counted_says_so_until_all_is_here),
		T(a_fetch_has_a_deadline_and_can_be_called_off),
		T(a_directory_that_keeps_coming_is_waited_for),
		T(a_full_cache_slows_writers_then_refuses_and_frees_on_rm),
		T(clean_data_makes_room_for_writers),
		T(who_begins_a_file_is_read_ahead_for_and_who_looks_into_one_is_not),
		T(read_ahead_that_fails_is_no_answer_to_a_read),
		T(holes_of_a_file_that_is_not_here_are_found_without_its_bytes),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
