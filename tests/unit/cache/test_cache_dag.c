/* test_cache_dag.c - properties of snapshots, adoption, eviction and damage */
#include "room.h"

#include <linux/fs.h>
#include <stdio.h>
#include <time.h>

#include "base/thread.h"

#define SIZE (1200u * 1024)

static uint8_t a[SIZE], b[SIZE];

static int setup(void **state)
{
	int r = world_new(state);
	struct world *w = *state;

	drive_open(&w->d);
	return r;
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

static void what_no_commit_has_is_as_old_as_its_oldest_change(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), first, taken;

	put(d, ino, 0, "old", 3);
	first = stats(d).dirty_since_ms;
	assert_true(first && first <= monotonic_ms());
	do
		taken = monotonic_ms();
	while (taken == first);
	put(d, ino, 0, "new", 3); /* while a commit was made of the old */
	assert_true(stats(d).dirty_since_ms == first);
	cache_committed(d->c, taken);
	assert_true(stats(d).dirty_since_ms == taken);
	cache_committed(d->c, first); /* an older one says nothing */
	assert_true(stats(d).dirty_since_ms == taken);
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(stats(d).dirty_since_ms, 0);
	cache_committed(d->c, monotonic_ms());
	assert_int_equal(stats(d).dirty_since_ms, 0);
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

/* Each slot of a segment is hit. */
static void damage(struct drive *d, const char *name)
{
	uint64_t size = (uint64_t)recorder_size(d->rec, name);

	for (uint64_t k = 1; k <= 128; k++)
		assert_int_equal(
			recorder_flip(d->rec, name, size - k * 4096 + 77, 1), 0);
}

/* Each slot of the first segment is hit. */
static void damage_all(struct drive *d)
{
	damage(d, "data/00000001");
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
		assert_int_equal(fetch_wait(d, &op, 0), 0);
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
	struct cache_miss miss;
	struct cache_snap *s;
	size_t n;

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE);
	drive_again(d);
	damage_all(d);
	assert_int_equal(try_get(d, ino, 0, b, SIZE, &n), -EIO);
	assert_int_equal(cache_snap_open(d->c, &s), 0);
	assert_int_equal(cache_snap_read(s, ino, 0, b, SIZE, &miss), -EBADMSG);
	cache_snap_close(s);
	assert_true(stats(d).damaged_blocks > 0);
	assert_int_equal(stats(d).healed_blocks, 0);
	put(d, ino, 0, a, SIZE); /* written anew it is whole */
	read_back(d, ino, SIZE, a);
}

/* Blocks 10 to 39 are newer than what the DAG has, all slots are damaged. */
static uint64_t damaged_and_newer(struct world *w)
{
	struct drive *d = &w->d;
	uint64_t ino = committed(w);

	pattern(b, 30 * 4096, 10 * 4096, 2);
	put(d, ino, 10 * 4096, b, 30 * 4096);
	forget(d, ino);
	assert_int_equal(cache_evict(d->c, 0), 0); /* the rest is in the DAG alone */
	drive_again(d);
	for (unsigned k = 1; k < 20; k++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "data/%08x", k);
		if (recorder_size(d->rec, name) > 0)
			damage(d, name);
	}
	return look(d, 1, "f");
}

static void expect_no_older_bytes(struct drive *d, uint64_t ino)
{
	uint8_t p[4096];
	size_t n;

	for (uint64_t k = 10; k < 40; k++)
		assert_int_equal(try_get(d, ino, k * 4096, p, 4096, &n), -EIO);
}

static void damage_of_what_is_newer_than_the_dag_is_an_error(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = damaged_and_newer(w);

	expect_no_older_bytes(d, ino);
	drive_again(d);
	expect_no_older_bytes(d, look(d, 1, "f"));
}

static void a_repair_brings_nothing_back_that_is_older(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = damaged_and_newer(w);

	assert_int_equal(cache_check(d->c, true, NULL, NULL, NULL), 0);
	expect_no_older_bytes(d, ino);
	drive_again(d);
	expect_no_older_bytes(d, look(d, 1, "f"));
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

/* As many as there can be: a row that is dirty again is no name more. */
static void a_block_of_many_names_is_dirty_again_at_each(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), n = 1, part;
	struct cache_op op = { 0 };

	pattern(a, 4096, 0, 1);
	put(d, ino, 0, a, 4096);
	for (; n < 1 << 15; n *= 2)
		double_file(d, ino, n * 4096);
	/* the last ones one by one, until it is a block of its own */
	for (; stats(d).used_bytes == 4096; n++) {
		assert_true(n < 1 << 16);
		assert_int_equal(cache_copy_range(d->c, &op, ino, (n - 1) * 4096,
						  ino, n * 4096, 4096, &part),
				 0);
		assert_int_equal(part, 4096);
	}
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(stats(d).dirty_bytes, 0);
	assert_int_equal(cache_redirty(d->c, ino, 0, UINT64_MAX), 0);
	assert_int_equal(stats(d).dirty_bytes, n * 4096);
	assert_int_equal(cache_sync(d->c), 0);
	drive_again(d);
	assert_int_equal(stats(d).dirty_bytes, n * 4096);
	assert_int_equal(cache_check(d->c, false, NULL, NULL, NULL), 0);
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

/* Nothing that was committed after it can be moved while it is open. */
static void what_a_snapshot_kept_in_the_wal_is_moved_when_it_is_closed(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_snap *s = NULL;
	char name[64];
	int64_t kept;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	for (int k = 0; k < 40000; k++) {
		(void)snprintf(name, sizeof(name), "%060d", k);
		(void)mk(d, 1, name, S_IFREG | 0644);
	}
	/* the committer has tried */
	for (int k = 0; k < 20; k++) {
		assert_int_equal(cache_sync(d->c), 0);
		(void)snprintf(name, sizeof(name), "%d", k);
		(void)mk(d, 1, name, S_IFREG | 0644);
		nap();
	}
	assert_int_equal(cache_sync(d->c), 0);
	kept = recorder_size(d->rec, "drive.db");
	assert_true(recorder_size(d->rec, "drive.db-wal") > 8 * (int64_t)MIB);
	assert_true(kept < MIB);
	cache_snap_close(s);
	for (int k = 0;
	     k < NAPS_MAX && recorder_size(d->rec, "drive.db") == kept; k++)
		nap();
	assert_true(recorder_size(d->rec, "drive.db") > kept);
}

/* Its link as the last commit has it. */
static struct slice link_of(struct drive *d, uint64_t ino, uint8_t *dst, size_t size)
{
	struct cache_snap *s = NULL;
	struct cache_snap_inode i;
	size_t n;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	assert_int_equal(cache_snap_inode(s, ino, &i), 0);
	n = i.link.n;
	assert_in_range(n, 1, size);
	memcpy(dst, i.link.p, n);
	cache_snap_close(s);
	return slice(dst, n);
}

static void what_was_removed_cut_or_made_anew_hangs_on_its_old_link_no_more(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t dir = mk(d, 1, "dir", S_IFDIR | 0755);
	uint64_t ino = committed(w);
	uint8_t of_file[256], of_dir[256];
	struct slice l = link_of(d, ino, of_file, sizeof(of_file));
	struct slice m = link_of(d, dir, of_dir, sizeof(of_dir));

	assert_true(cache_hangs_on(d->c, ino, 0, l));
	assert_true(cache_hangs_on(d->c, ino, SIZE - 1, l));
	assert_false(cache_hangs_on(d->c, ino, SIZE, l));
	assert_false(cache_hangs_on(d->c, ino, 0, m));
	assert_false(cache_hangs_on(d->c, dir, 0, m)); /* it is here */
	cut_to(d, ino, 5000);
	assert_true(cache_hangs_on(d->c, ino, 4999, l));
	assert_false(cache_hangs_on(d->c, ino, 5000, l));
	put(d, ino, 0, "y", 1);
	onboard(d, w->f, NULL, NULL);
	assert_false(cache_hangs_on(d->c, ino, 0, l));
	l = link_of(d, ino, of_file, sizeof(of_file));
	assert_true(cache_hangs_on(d->c, ino, 0, l));
	rm(d, 1, "f");
	assert_false(cache_hangs_on(d->c, ino, 0, l));
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

static void cut(void *ctx)
{
	struct change *x = ctx;

	cut_to(x->d, x->ino, 500000); /* within a block that is not here */
}

static void a_snapshot_has_what_the_live_file_has_been_cut_of(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct change x = { d, ino };
	struct cache_op op = { 0 };
	int r;

	assert_int_equal(cache_evict(d->c, 0), 0);
	while ((r = cache_write(d->c, &op, ino, 0, slice(a + 1, 1), 0)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	a[0] = a[1];
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	onboard(d, w->f, cut, &x); /* reads all of the file as it was */
	read_back(d, ino, 500000, a);
}

static void what_a_snapshot_fetched_does_not_come_back_into_a_cut_file(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct change x = { d, ino };

	put(d, ino, SIZE, "x", 1);
	cut_to(d, ino, SIZE);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_evict(d->c, 0), 0);
	onboard(d, w->f, cut, &x); /* fetches all of the file as it was */
	cut_to(d, ino, SIZE);
	memset(a + 500000, 0, SIZE - 500000);
	read_back(d, ino, SIZE, a);
}

static void expect_changed(struct drive *d, uint64_t ino, bool shared)
{
	struct cache_snap_inode i;
	struct cache_snap *s;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	assert_int_equal(cache_snap_inode(s, ino, &i), 0);
	assert_true(i.data_dirty);
	assert_int_equal(i.shared, shared);
	cache_snap_close(s);
}

static void move(struct drive *d, uint64_t from, const char *name, uint64_t to,
		 const char *newname, unsigned flags)
{
	struct cache_op op = { 0 };

	assert_int_equal(cache_rename(d->c, &op, from, slice_str(name), to,
				      slice_str(newname), flags),
			 0);
}

static int is_ino(void *ctx, uint64_t ino)
{
	return ino == *(uint64_t *)ctx ? 1 : 0;
}

static void a_name_that_changes_is_a_change_of_all_folders_that_have_it(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t p = mk(d, 1, "p", S_IFDIR | 0755),
		 q = mk(d, 1, "q", S_IFDIR | 0755);
	uint64_t f = mk(d, p, "f", S_IFREG | 0644);
	struct cache_op op = { 0 };
	struct cache_attr at;

	forget(d, mk(d, p, "g", S_IFREG | 0644));
	onboard(d, w->f, NULL, NULL);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(stats(d).dirty_inodes, 0);
	move(d, p, "f", q, "f", 0);
	expect_changed(d, p, false);
	expect_changed(d, q, false);
	onboard(d, w->f, NULL, NULL);
	move(d, q, "f", p, "g", RENAME_EXCHANGE);
	expect_changed(d, p, false);
	expect_changed(d, q, false);
	onboard(d, w->f, NULL, NULL);
	/* a file of two names stands in the table of inodes */
	assert_int_equal(cache_link(d->c, &op, f, q, slice_str("l"), &at), 0);
	expect_changed(d, p, false);
	expect_changed(d, q, false);
	expect_changed(d, f, true);
	onboard(d, w->f, NULL, NULL);
}

static int told_as_removed(struct drive *d, uint64_t ino)
{
	struct cache_snap *s;
	int r;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	r = cache_snap_removed(s, is_ino, &ino);
	cache_snap_close(s);
	return r;
}

static uint64_t gen_of_a_commit(struct drive *d)
{
	struct cache_snap *s;
	uint64_t gen;

	assert_int_equal(cache_snap_open(d->c, &s), 0);
	gen = cache_snap_gen(s);
	cache_snap_close(s);
	return gen;
}

static void a_removed_file_of_two_names_is_told_until_a_commit_knows(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t f = mk(d, 1, "f", S_IFREG | 0644), before;
	struct cache_op op = { 0 };
	struct cache_attr at;

	assert_int_equal(cache_link(d->c, &op, f, 1, slice_str("l"), &at), 0);
	before = gen_of_a_commit(d);
	rm(d, 1, "f");
	rm(d, 1, "l");
	cache_forget(d->c, f, 2);
	assert_int_equal(told_as_removed(d, f), 1);
	assert_int_equal(cache_adopt_removed(d->c, before), 0);
	assert_int_equal(told_as_removed(d, f), 1);
	assert_int_equal(cache_adopt_removed(d->c, gen_of_a_commit(d)), 0);
	assert_int_equal(told_as_removed(d, f), 0);
}

/* The commit with this generation has the file so. */
static void adopt(struct world *w, uint64_t ino, uint64_t gen, const uint8_t *p)
{
	uint8_t link[8];
	struct cache_adopt v = { .ino = ino, .link = slice(link, 8), .size = SIZE };

	fakedag_add(w->f, p, SIZE, link);
	assert_int_equal(cache_adopt(w->d.c, gen, &v, 1), 0);
}

static void what_was_cut_since_stays_away_however_often_it_is_adopted(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w), gen;

	assert_int_equal(cache_evict(d->c, 0), 0);
	gen = gen_of_a_commit(d);
	cut_to(d, ino, 5000); /* within a block that is not here */
	cut_to(d, ino, SIZE);
	cut_to(d, ino, 700000);
	cut_to(d, ino, SIZE);
	memcpy(b, a, 5000);
	memset(b + 5000, 0, SIZE - 5000);
	for (int k = 0; k < 3; k++) { /* as after a crash */
		adopt(w, ino, gen, a);
		assert_int_equal(cache_evict(d->c, 0), 0);
		read_back(d, ino, SIZE, b);
		forget(d, ino);
		drive_again(d);
		ino = look(d, 1, "f");
	}
}

static void expect_in_snapshot(struct drive *d, struct cache_snap *s,
			       uint64_t ino, uint64_t off)
{
	static uint8_t p[20 * 4096];
	struct cache_op op;
	int r;

	while ((r = cache_snap_read(s, ino, off, p, sizeof(p), &op.miss)) ==
	       -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
	assert_memory_equal(p, a + off, sizeof(p));
}

static void a_snapshot_takes_nothing_newer_for_what_is_not_here(void **state)
{
	const uint64_t off = 100 * 4096, off2 = 265 * 4096, n = 20ul * 4096;
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = committed(w);
	struct cache_snap *s;

	memcpy(b, a, SIZE);
	pattern(b + off, n, off, 2);
	pattern(b + off2, n, off2, 2);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(cache_snap_open(d->c, &s), 0);
	put(d, ino, off, b + off, n);
	expect_in_snapshot(d, s, ino, off);
	put(d, ino, off2, b + off2, n);          /* of another chunk */
	adopt(w, ino, cache_snap_gen(s) + 1, b); /* another link, and clean */
	expect_in_snapshot(d, s, ino, off2);
	cache_snap_close(s);
	read_back(d, ino, SIZE, b);
}

static void an_older_commit_that_is_adopted_late_takes_nothing_back(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), old, new;

	pattern(a, SIZE, 0, 1);
	put(d, ino, 0, a, SIZE);
	old = gen_of_a_commit(d);
	pattern(b, SIZE, 0, 2);
	put(d, ino, 0, b, SIZE);
	new = gen_of_a_commit(d);
	adopt(w, ino, new, b);
	adopt(w, ino, old, a);
	assert_int_equal(cache_evict(d->c, 0), 0);
	assert_int_equal(stats(d).used_bytes, 0);
	read_back(d, ino, SIZE, b);
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

/* What is on its way back to the disk is no room yet, and who fills is slowed down. */
static void put_in_time(struct drive *d, uint64_t ino, uint64_t off, size_t n)
{
	struct cache_op op = { 0 };
	int r;

	while ((r = cache_write(d->c, &op, ino, off, slice(a, n), 0)) == -EINPROGRESS)
		assert_int_equal(fetch_wait(d, &op, 0), 0);
	assert_int_equal(r, 0);
}

/* By `n` bytes at a time, waiting as it has to, until it is refused; how many times. */
static uint64_t fill(struct drive *d, uint64_t ino, size_t n)
{
	struct cache_op op = { 0 };
	uint64_t done = 0;
	int r = 0;

	while (r == 0) {
		r = cache_write(d->c, &op, ino, done * n, slice(a, n), 0);
		if (r == -EINPROGRESS)
			r = fetch_wait(d, &op, 0);
		else
			done += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	return done;
}

/* 5 MiB; who finds no room is refused after so long. */
static void open_small(struct drive *d, unsigned timeout_ms)
{
	drive_close(d);
	d->p.max_bytes = 5u << 20;
	d->p.full_timeout_ms = timeout_ms;
	drive_open(d);
}

/* As a program does that goes on after ENOSPC, or eight of them. */
static void who_was_refused_is_not_kept_waiting_again_for_a_little_room(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t big, little, n;

	open_small(d, 300);
	big = mk(d, 1, "big", S_IFREG | 0644);
	little = mk(d, 1, "little", S_IFREG | 0644);
	pattern(a, SIZE, 0, 1);
	n = fill(d, big, 65536);
	assert_int_equal(cache_write(d->c, &op, big, n * 65536, slice(a, 65536), 0),
			 -ENOSPC);
	/* some blocks are left */
	put_in_time(d, little, 0, 4096);
	assert_int_equal(cache_write(d->c, &op, big, n * 65536, slice(a, 65536), 0),
			 -ENOSPC);
	rm(d, 1, "big");
	forget(d, big);
	assert_int_equal(cache_sync(d->c), 0);
	for (unsigned k = 0; k < 8; k++)
		put_in_time(d, little, k * 65536, 65536);
}

static void slow_disk(void *ctx, size_t at)
{
	const struct timespec t = { .tv_nsec = 20000000 };

	(void)ctx;
	(void)at;
	(void)nanosleep(&t, NULL);
}

static void who_was_refused_waits_for_what_the_disk_is_taking_back(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	uint64_t ino, little;

	open_small(d, 20);
	little = mk(d, 1, "little", S_IFREG | 0644);
	ino = mk(d, 1, "big", S_IFREG | 0644);
	pattern(a, SIZE, 0, 1);
	(void)fill(d, ino, 65536);
	rm(d, 1, "big");
	forget(d, ino);
	recorder_watch(d->rec, 1, slow_disk, NULL);
	assert_int_equal(cache_sync(d->c), 0);
	for (unsigned k = 0; k < 8; k++)
		put_in_time(d, little, k * 65536, 65536);
	recorder_watch(d->rec, 1, NULL, NULL);
}

static void who_waits_for_room_that_others_take_is_refused_in_time(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t ino, large;
	int r;

	open_small(d, 20);
	large = mk(d, 1, "large", S_IFREG | 0644);
	ino = mk(d, 1, "old", S_IFREG | 0644);
	pattern(a, SIZE, 0, 1);
	for (unsigned k = 0; k < 44; k++)
		put(d, ino, k * 65536, a, 65536);
	assert_int_equal(cache_sync(d->c), 0);
	rm(d, 1, "old");
	forget(d, ino);
	recorder_watch(d->rec, 1, slow_disk, NULL);
	assert_int_equal(cache_sync(d->c), 0);
	r = cache_write(d->c, &op, large, 0, slice(a, SIZE), 0);
	cache_account_outbox(d->c, 3u << 20);
	while (r == -EINPROGRESS) {
		r = fetch_wait(d, &op, 0);
		if (r == 0)
			r = cache_write(d->c, &op, large, 0, slice(a, SIZE), 0);
	}
	/* or there was room before the outbox had it */
	assert_true(r == -ENOSPC || r == 0);
	recorder_watch(d->rec, 1, NULL, NULL);
}

static void room_that_is_promised_to_files_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	struct cache_statfs st;
	uint64_t ino, n;

	open_small(d, 86400000);
	assert_int_equal(cache_statfs(d->c, &st), 0);
	ino = mk(d, 1, "promised", S_IFREG | 0644);
	assert_int_equal(
		cache_fallocate(d->c, &op, ino, 0, 0, st.free * 4096 - 40960), 0);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	pattern(a, SIZE, 0, 1);
	n = fill(d, ino, 8192);
	assert_true(n < 6);
}

static void clean_data_makes_room_for_writers(void **state)
{
	struct world *w = *state;
	struct drive *d = &w->d;
	struct cache_op op = { 0 };
	uint64_t inos[20];
	char name[16];

	open_small(d, 60000);
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

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_free)
	const struct CMUnitTest tests[] = {
		T(adopted_data_is_clean_and_evicted_data_comes_back),
		T(dirty_data_is_never_evicted),
		T(what_is_damaged_here_and_whole_in_the_dag_comes_back),
		T(a_write_into_a_damaged_block_keeps_what_the_dag_has),
		T(damage_of_what_no_dag_has_is_an_error_that_is_told),
		T(damage_of_what_is_newer_than_the_dag_is_an_error),
		T(a_repair_brings_nothing_back_that_is_older),
		T(what_the_dag_has_lost_is_dirty_again_and_stays),
		T(a_block_of_many_names_is_dirty_again_at_each),
		T(what_no_commit_has_is_as_old_as_its_oldest_change),
		T(a_snapshot_tells_paths_and_what_the_dag_has),
		T(what_a_snapshot_kept_in_the_wal_is_moved_when_it_is_closed),
		T(what_was_removed_cut_or_made_anew_hangs_on_its_old_link_no_more),
		T(changes_after_the_snapshot_stay_dirty_when_it_is_adopted),
		T(a_snapshot_has_what_the_live_file_has_been_cut_of),
		T(what_a_snapshot_fetched_does_not_come_back_into_a_cut_file),
		T(a_name_that_changes_is_a_change_of_all_folders_that_have_it),
		T(a_removed_file_of_two_names_is_told_until_a_commit_knows),
		T(what_was_cut_since_stays_away_however_often_it_is_adopted),
		T(an_older_commit_that_is_adopted_late_takes_nothing_back),
		T(a_snapshot_takes_nothing_newer_for_what_is_not_here),
		T(a_full_cache_slows_writers_then_refuses_and_frees_on_rm),
		T(who_was_refused_is_not_kept_waiting_again_for_a_little_room),
		T(who_was_refused_waits_for_what_the_disk_is_taking_back),
		T(who_waits_for_room_that_others_take_is_refused_in_time),
		T(room_that_is_promised_to_files_is_not_waited_for),
		T(clean_data_makes_room_for_writers),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
