/* test_cache.c - properties of files and names on one local drive */
#include "common.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define BIG (3u << 20)

static uint8_t big[BIG], back[BIG];

static void what_was_written_is_read_before_and_after_a_remount(void **state)
{
	static const size_t sizes[] = { 1,     4095,  4096,   4097, 65535,
					65536, 70000, 131072, BIG };
	struct drive *d = *state;
	char name[16];

	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		uint64_t ino;

		(void)snprintf(name, sizeof(name), "f%zu", k);
		ino = mk(d, 1, name, S_IFREG | 0644);
		pattern(big, sizes[k], 0, (unsigned)k);
		put(d, ino, 0, big, sizes[k]);
		expect_pattern(d, ino, 0, sizes[k], (unsigned)k);
		assert_int_equal(attr(d, ino).size, sizes[k]);
		forget(d, ino);
	}
	drive_again(d);
	for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
		(void)snprintf(name, sizeof(name), "f%zu", k);
		expect_pattern(d, look(d, 1, name), 0, sizes[k], (unsigned)k);
		assert_int_equal(get(d, look(d, 1, name), sizes[k], back, 10), 0);
	}
}

static void a_write_into_the_middle_keeps_its_neighbours(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	static const struct {
		uint64_t off, n;
	} v[] = { { 5000, 10 },     { 4096, 4096 },   { 100000, 200000 },
		  { 1, 1 },         { 65536, 65536 }, { BIG - 3, 3 },
		  { 12345, 100000 } };

	pattern(big, BIG, 0, 1);
	put(d, ino, 0, big, BIG);
	for (size_t k = 0; k < ARRAY_LEN(v); k++) {
		pattern(big + v[k].off, v[k].n, v[k].off, (unsigned)(k + 2));
		put(d, ino, v[k].off, big + v[k].off, v[k].n);
		assert_int_equal(get(d, ino, 0, back, BIG), BIG);
		assert_memory_equal(big, back, BIG);
		if (k == 3)
			assert_int_equal(cache_sync(d->c), 0);
	}
	forget(d, ino);
	drive_again(d);
	assert_int_equal(get(d, look(d, 1, "f"), 0, back, BIG), BIG);
	assert_memory_equal(big, back, BIG);
}

static void a_file_grown_after_a_truncate_shows_zeros(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);

	for (int synced = 0; synced < 2; synced++) {
		pattern(big, 100000, 0, 1);
		put(d, ino, 0, big, 100000);
		if (synced)
			assert_int_equal(cache_sync(d->c), 0);
		cut_to(d, ino, 5001);
		cut_to(d, ino, 100000);
		memset(big + 5001, 0, 100000 - 5001);
		assert_int_equal(get(d, ino, 0, back, 100000), 100000);
		assert_memory_equal(big, back, 100000);
		cut_to(d, ino, 0);
	}
}

static void holes_are_zeros_and_take_no_room(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), at;
	struct cache_op op = { 0 };
	struct cache_stats s;

	put(d, ino, 1ull << 40, "x", 1);
	assert_true(attr(d, ino).size == (1ull << 40) + 1);
	assert_int_equal(attr(d, ino).blocks, 8);
	assert_int_equal(cache_sync(d->c), 0);
	cache_stats(d->c, &s);
	assert_int_equal(s.used_bytes, CACHE_BLOCK);
	assert_int_equal(get(d, ino, 1 << 30, back, 100), 100);
	for (int k = 0; k < 100; k++)
		assert_int_equal(back[k], 0);
	assert_int_equal(cache_lseek(d->c, &op, ino, 0, SEEK_DATA, &at), 0);
	assert_true(at == 1ull << 40);
	assert_int_equal(cache_lseek(d->c, &op, ino, at, SEEK_HOLE, &at), 0);
	assert_true(at == (1ull << 40) + 1);
	assert_int_equal(cache_lseek(d->c, &op, ino, 5, SEEK_HOLE, &at), 0);
	assert_int_equal(at, 5);
	assert_int_equal(cache_lseek(d->c, &op, ino, (1ull << 40) + 1,
				     SEEK_DATA, &at),
			 -ENXIO);
}

/* From block to block it would take hours, and the cache would be locked. */
static void seeking_through_8_pib_goes_from_row_to_row(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644), size = CACHE_FILE_MAX - 1, at;
	struct cache_op op = { 0 };
	const uint64_t far = 1ull << 52;

	put(d, ino, 0, "x", 1);
	cut_to(d, ino, size);
	for (int i = 0; i < 2; i++) {
		/* what was written is in the buffer first, then in a row */
		assert_int_equal(cache_lseek(d->c, &op, ino, CACHE_BLOCK,
					     SEEK_DATA, &at),
				 -ENXIO);
		assert_int_equal(cache_lseek(d->c, &op, ino, 0, SEEK_HOLE, &at), 0);
		assert_int_equal(at, CACHE_BLOCK);
		assert_int_equal(cache_sync(d->c), 0);
	}
	for (unsigned k = 0; k < 1000; k++) /* more rows than one query gives */
		put(d, ino, far + 2ull * k * CACHE_BLOCK, "y", 1);
	assert_int_equal(cache_fallocate(d->c, &op, ino,
					 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 CACHE_BLOCK, far / 2),
			 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(cache_lseek(d->c, &op, ino, CACHE_BLOCK,
					     SEEK_DATA, &at),
				 0);
		assert_true(at == far);
		assert_int_equal(cache_lseek(d->c, &op, ino, far, SEEK_HOLE, &at),
				 0);
		assert_true(at == far + CACHE_BLOCK);
		at = far + 1998ull * CACHE_BLOCK;
		assert_int_equal(
			cache_lseek(d->c, &op, ino, at - 1, SEEK_DATA, &at), 0);
		assert_true(at == far + 1998ull * CACHE_BLOCK);
		assert_int_equal(cache_lseek(d->c, &op, ino, at + CACHE_BLOCK,
					     SEEK_DATA, &at),
				 -ENXIO);
		assert_int_equal(cache_sync(d->c), 0);
	}
}

static void a_punched_range_is_zero_and_its_edges_stay(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	struct cache_op op = { 0 };

	pattern(big, 300000, 0, 1);
	put(d, ino, 0, big, 300000);
	assert_int_equal(cache_sync(d->c), 0);
	assert_int_equal(cache_fallocate(d->c, &op, ino,
					 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 5000, 100000),
			 0);
	memset(big + 5000, 0, 100000);
	assert_int_equal(cache_fallocate(d->c, &op, ino, FALLOC_FL_ZERO_RANGE,
					 200001, 7),
			 0);
	memset(big + 200001, 0, 7);
	assert_int_equal(cache_fallocate(d->c, &op, ino, FALLOC_FL_ZERO_RANGE,
					 290000, 20000),
			 0);
	memset(big + 290000, 0, 20000);
	assert_int_equal(attr(d, ino).size, 310000);
	forget(d, ino);
	drive_again(d);
	assert_int_equal(get(d, look(d, 1, "f"), 0, back, 310000), 310000);
	assert_memory_equal(big, back, 310000);
}

static void a_copied_range_shares_slots_and_parts_on_write(void **state)
{
	struct drive *d = *state;
	uint64_t a = mk(d, 1, "a", S_IFREG | 0644),
		 b = mk(d, 1, "b", S_IFREG | 0644);
	struct cache_op op = { 0 };
	struct cache_stats s;
	uint64_t n;

	pattern(big, 1u << 20, 0, 1);
	put(d, a, 0, big, 1u << 20);
	assert_int_equal(cache_copy_range(d->c, &op, a, 0, b, 0, 1u << 20, &n), 0);
	assert_int_equal(n, 1u << 20);
	assert_int_equal(cache_sync(d->c), 0);
	cache_stats(d->c, &s);
	assert_int_equal(s.used_bytes, 1u << 20);
	expect_pattern(d, b, 0, 1u << 20, 1);
	pattern(big, 4096, 8192, 2);
	put(d, a, 8192, big, 4096);
	expect_pattern(d, b, 0, 1u << 20, 1);
	rm(d, 1, "a");
	forget(d, a);
	forget(d, b);
	drive_again(d);
	expect_pattern(d, look(d, 1, "b"), 0, 1u << 20, 1);
	cache_stats(d->c, &s);
	assert_int_equal(s.used_bytes, 1u << 20);
}

static void a_block_copied_over_and_over_takes_as_many_names_as_fit(void **state)
{
	const uint64_t n_blocks = 1 << 16; /* more than a slot has names */
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	uint8_t want[4096];
	struct cache_stats s;

	pattern(want, sizeof(want), 0, 1);
	put(d, ino, 0, want, sizeof(want));
	for (uint64_t n = 1; n < n_blocks; n *= 2)
		double_file(d, ino, n * 4096);
	assert_int_equal(attr(d, ino).size, n_blocks * 4096);
	forget(d, ino);
	drive_again(d);
	assert_int_equal(cache_check(d->c, false, NULL, NULL, NULL), 0);
	cache_stats(d->c, &s);
	assert_in_range(s.used_bytes, 2 * 4096, 1 << 22);
	ino = look(d, 1, "f");
	for (uint64_t k = 0; k < n_blocks; k++) {
		assert_int_equal(get(d, ino, k * 4096, back, 4096), 4096);
		assert_memory_equal(back, want, sizeof(want));
	}
	rm(d, 1, "f");
	forget(d, ino);
	drive_again(d);
	cache_stats(d->c, &s);
	assert_int_equal(s.used_bytes, 0);
}

static void a_removed_file_gives_its_room_back(void **state)
{
	struct drive *d = *state;
	struct cache_stats s;
	uint64_t ino;

	pattern(big, BIG, 0, 1);
	for (int k = 0; k < 5; k++) {
		ino = mk(d, 1, "f", S_IFREG | 0644);
		put(d, ino, 0, big, BIG);
		assert_int_equal(cache_sync(d->c), 0);
		rm(d, 1, "f");
		expect_pattern(d, ino, 0, BIG, 1); /* still open */
		forget(d, ino);
		assert_int_equal(cache_sync(d->c), 0);
		cache_stats(d->c, &s);
		assert_int_equal(s.used_bytes, 0);
		assert_int_equal(s.dirty_bytes, 0);
	}
	assert_true(recorder_used(d->rec) < 4 * BIG); /* with the WAL's room */
}

/* The disk has something to do before somebody waits for it. */
static void the_disk_begins_with_much_that_is_written(void **state)
{
	struct drive *d = *state;
	uint64_t ino;

	drive_close(d);
	d->p.segment_slots = 0; /* 64 MiB */
	drive_open(d);
	ino = mk(d, 1, "f", S_IFREG | 0644);
	pattern(big, BIG, 0, 1);
	for (uint64_t at = 0; at < 9u << 20; at += BIG) {
		assert_int_equal(recorder_begun(d->rec), 0);
		put(d, ino, at, big, BIG);
	}
	while (recorder_begun(d->rec) == 0)
		(void)sched_yield();
	assert_in_range(recorder_begun(d->rec), 8u << 20, (9u << 20) + BIG);
}

/* Of a segment of 128 slots: one of them as it stands on the disk. */
struct sealed {
	uint8_t mark[40], text[4096];
};

static void sealed_at(struct drive *d, const char *name, uint32_t slot,
		      struct sealed *v, bool put_back)
{
	const uint64_t mark = 4096 + slot * 40ull, text = (3ull + slot) * 4096;
	struct io_file *f;

	assert_int_equal(io_open(recorder_io(d->rec), name, O_RDWR, &f), 0);
	if (put_back) {
		assert_int_equal(io_pwrite(f, v->mark, 40, mark), 0);
		assert_int_equal(io_pwrite(f, v->text, 4096, text), 0);
	} else {
		assert_int_equal(io_pread(f, v->mark, 40, mark), 40);
		assert_int_equal(io_pread(f, v->text, 4096, text), 4096);
	}
	io_close(f);
}

static void exchange(struct drive *d, const char *name, uint32_t slot,
		     const char *name2, uint32_t slot2)
{
	struct sealed x, y;

	sealed_at(d, name, slot, &x, false);
	sealed_at(d, name2, slot2, &y, false);
	sealed_at(d, name, slot, &y, true);
	sealed_at(d, name2, slot2, &x, true);
}

/* Blocks of the file that do not read; all others are of this version. */
static unsigned unreadable(struct drive *d, uint64_t ino, unsigned n_blocks,
			   unsigned version)
{
	uint8_t want[4096];
	unsigned n_bad = 0;
	size_t n;

	for (unsigned k = 0; k < n_blocks; k++) {
		int r = try_get(d, ino, k * 4096ull, back, 4096, &n);

		pattern(want, 4096, k * 4096ull, version);
		n_bad += r == -EIO;
		if (r == 0)
			assert_memory_equal(back, want, 4096);
		else
			assert_int_equal(r, -EIO);
	}
	return n_bad;
}

static void slots_that_change_places_are_damage(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);

	pattern(big, 256 * 4096, 0, 1);
	put(d, ino, 0, big, 256 * 4096);
	drive_close(d);
	exchange(d, "data/00000001", 3, "data/00000001", 5);
	exchange(d, "data/00000001", 7, "data/00000002", 7);
	drive_open(d);
	assert_int_equal(unreadable(d, look(d, 1, "f"), 256, 1), 4);
}

static uint64_t write_64(struct drive *d, const char *name, unsigned version)
{
	uint64_t ino = mk(d, 1, name, S_IFREG | 0644);

	pattern(big, 64 * 4096, 0, version);
	put(d, ino, 0, big, 64 * 4096);
	assert_int_equal(cache_sync(d->c), 0);
	return ino;
}

/* Slots that are used a second time, and hold what they had the first time. */
static void older_slots(struct drive *d, bool remounted)
{
	struct sealed *old = malloc(64 * sizeof(*old));
	uint64_t ino = write_64(d, "old", 1);

	assert_non_null(old);
	forget(d, write_64(d, "stays", 3));
	for (uint32_t k = 0; k < 64; k++)
		sealed_at(d, "data/00000001", k, &old[k], false);
	rm(d, 1, "old");
	forget(d, ino);
	assert_int_equal(cache_sync(d->c), 0);
	if (remounted)
		drive_again(d);
	(void)write_64(d, "new", 2);
	drive_close(d);
	for (uint32_t k = 0; k < 64; k++)
		sealed_at(d, "data/00000001", k, &old[k], true);
	drive_open(d);
	assert_int_equal(unreadable(d, look(d, 1, "new"), 64, 2), 64);
	assert_int_equal(unreadable(d, look(d, 1, "stays"), 64, 3), 0);
	free(old);
}

static void what_a_slot_had_before_is_damage(void **state)
{
	older_slots(*state, false);
}

static void what_a_slot_had_before_a_remount_is_damage(void **state)
{
	older_slots(*state, true);
}

static void names_follow_posix(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	struct cache_attr at;
	uint64_t a = mk(d, 1, "a", S_IFDIR | 0755),
		 b = mk(d, a, "b", S_IFDIR | 0755);
	uint64_t f = mk(d, b, "f", S_IFREG | 0644), x;
	char longname[300];

	memset(longname, 'n', sizeof(longname));
	longname[256] = 0;
	assert_int_equal(try_mk(d, 1, longname, S_IFREG, &x), -ENAMETOOLONG);
	assert_int_equal(try_mk(d, 1, "a", S_IFREG, &x), -EEXIST);
	assert_int_equal(try_mk(d, f, "a", S_IFREG, &x), -ENOTDIR);
	assert_int_equal(attr(d, 1).nlink, 3);
	assert_int_equal(cache_rmdir(d->c, &op, a, slice_str("b")), -ENOTEMPTY);
	assert_int_equal(cache_unlink(d->c, &op, a, slice_str("b")), -EISDIR);
	assert_int_equal(cache_rmdir(d->c, &op, b, slice_str("f")), -ENOTDIR);
	assert_int_equal(cache_rename(d->c, &op, 1, slice_str("a"), b,
				      slice_str("c"), 0),
			 -EINVAL);
	assert_int_equal(cache_rename(d->c, &op, b, slice_str("f"), 1,
				      slice_str("a"), RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(cache_rename(d->c, &op, b, slice_str("f"), 1,
				      slice_str("a"), 0),
			 -EISDIR);
	assert_int_equal(cache_link(d->c, &op, f, 1, slice_str("g"), &at), 0);
	assert_int_equal(at.nlink, 2);
	assert_int_equal(cache_link(d->c, &op, a, 1, slice_str("h"), &at), -EPERM);
	assert_int_equal(cache_rename(d->c, &op, 1, slice_str("g"), b,
				      slice_str("f"), 0),
			 0); /* two names of one file */
	assert_int_equal(look(d, 1, "g"), f);
	assert_int_equal(cache_rename(d->c, &op, 1, slice_str("g"), a,
				      slice_str("b"), RENAME_EXCHANGE),
			 0);
	assert_int_equal(look(d, a, "b"), f);
	assert_int_equal(look(d, 1, "g"), b);
	assert_int_equal(attr(d, 1).nlink, 4);
	assert_int_equal(attr(d, a).nlink, 2);
	assert_int_equal(cache_parent(d->c, &op, b, &x), 0);
	assert_int_equal(x, 1);
	drive_again(d);
	assert_int_equal(look(d, a, "b"), f);
	assert_int_equal(look(d, b, "f"), f);
	assert_int_equal(attr(d, f).nlink, 2);
}

static void a_file_takes_65000_names_and_one_that_goes_makes_room(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	struct cache_attr at;
	uint64_t f = mk(d, 1, "f", S_IFREG | 0644);
	char name[16];

	for (int i = 2; i <= CACHE_NLINK_MAX; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		assert_int_equal(cache_link(d->c, &op, f, 1, slice_str(name), &at),
				 0);
	}
	assert_int_equal(at.nlink, 65000);
	assert_int_equal(cache_link(d->c, &op, f, 1, slice_str("g"), &at), -EMLINK);
	assert_int_equal(cache_unlink(d->c, &op, 1, slice_str("2")), 0);
	assert_int_equal(cache_link(d->c, &op, f, 1, slice_str("g"), &at), 0);
	assert_int_equal(cache_link(d->c, &op, f, 1, slice_str("2"), &at), -EMLINK);
	assert_int_equal(attr(d, f).nlink, 65000);
}

struct seen {
	char names[2000][16];
	uint64_t pos[2000];
	size_t n, stop;
};

static int on_name(void *ctx, struct slice name, const struct cache_attr *a,
		   uint64_t pos)
{
	struct seen *s = ctx;

	(void)a;
	if (s->n == s->stop)
		return 1;
	memcpy(s->names[s->n], name.p, name.n);
	s->names[s->n][name.n] = 0;
	s->pos[s->n++] = pos;
	return 0;
}

static void readdir_goes_on_where_it_stopped_in_spite_of_changes(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	struct seen *s = calloc(1, sizeof(*s));
	char name[16];
	int n_odd = 0;

	assert_non_null(s);
	for (int k = 0; k < 1000; k++) {
		(void)snprintf(name, sizeof(name), "n%d", k);
		forget(d, mk(d, 1, name, S_IFREG | 0644));
	}
	s->stop = 100;
	assert_int_equal(cache_readdir(d->c, &op, 1, 0, on_name, s), 0);
	assert_int_equal(s->n, 100);
	for (int k = 0; k < 1000; k += 2) {
		(void)snprintf(name, sizeof(name), "n%d", k);
		rm(d, 1, name);
	}
	s->stop = 2000;
	assert_int_equal(cache_readdir(d->c, &op, 1, s->pos[99], on_name, s), 0);
	for (size_t k = 0; k < s->n; k++)
		n_odd += (s->names[k][strlen(s->names[k]) - 1] - '0') % 2;
	assert_int_equal(n_odd, 500);
	assert_int_equal(s->n, 550);
	free(s);
}

static void xattrs_are_kept_and_bounded(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	uint64_t f = mk(d, 1, "f", S_IFREG | 0644);
	uint8_t v[100];
	size_t n;

#define N(s) slice_str(s)
	assert_int_equal(cache_getxattr(d->c, &op, f, N("user.a"), v, 100, &n),
			 -ENODATA);
	assert_int_equal(cache_setxattr(d->c, &op, f, N("user.a"), N("one"),
					CACHE_XATTR_REPLACE),
			 -ENODATA);
	assert_int_equal(cache_setxattr(d->c, &op, f, N("user.a"), N("one"), 0), 0);
	assert_int_equal(cache_setxattr(d->c, &op, f, N("user.a"), N("two"),
					CACHE_XATTR_CREATE),
			 -EEXIST);
	assert_int_equal(cache_setxattr(d->c, &op, f, N("user.bb"), SLICE_NONE, 0),
			 0);
	drive_again(d);
	assert_int_equal(cache_getxattr(d->c, &op, f, N("user.a"), v, 2, &n),
			 -ERANGE);
	assert_int_equal(cache_getxattr(d->c, &op, f, N("user.a"), v, 0, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(cache_listxattr(d->c, &op, f, v, sizeof(v), &n), 0);
	assert_int_equal(n, 15);
	assert_memory_equal(v, "user.a\0user.bb\0", 15);
	assert_int_equal(cache_removexattr(d->c, &op, f, N("user.a")), 0);
	assert_int_equal(cache_removexattr(d->c, &op, f, N("user.a")), -ENODATA);
#undef N
}

static void an_open_file_without_a_name_goes_with_its_last_reference(void **state)
{
	struct drive *d = *state, e;
	struct cache_new n = { .mode = S_IFREG | 0600 };
	struct cache_op op = { 0 };
	struct cache_attr a, b;
	struct recorder_cut cut;
	struct cache_stats s;

	assert_int_equal(cache_tmpfile(d->c, &op, &n, &a), 0);
	pattern(big, 100000, 0, 1);
	put(d, a.ino, 0, big, 100000);
	assert_int_equal(cache_sync(d->c), 0);
	cut = (struct recorder_cut){ recorder_length(d->rec), RECORDER_NOTHING, 0 };
	drive_cut(d, &cut, &e);
	assert_int_equal(cache_getattr(e.c, &op, a.ino, &b), -ENOENT);
	assert_int_equal(cache_sync(e.c), 0);
	cache_stats(e.c, &s);
	assert_int_equal(s.used_bytes, 0);
	assert_int_equal(s.inodes, 1);
	drive_free(&e);

	assert_int_equal(cache_link(d->c, &op, a.ino, 1, slice_str("now"), &b), 0);
	cache_forget(d->c, a.ino, 2);
	drive_again(d);
	expect_pattern(d, look(d, 1, "now"), 0, 100000, 1);
}

static int count_name(void *ctx, struct slice name, const struct cache_attr *at,
		      uint64_t pos)
{
	unsigned *n = ctx;

	(void)name;
	(void)at;
	(void)pos;
	++*n;
	return 0;
}

static void one_sync_takes_all_of_many_files(void **state)
{
	struct drive *d = *state, e;
	struct cache_op op = { 0 };
	struct recorder_cut cut;
	char name[16], text[16];
	unsigned n = 0;

	for (unsigned k = 0; k < 300; k++) {
		(void)snprintf(name, sizeof(name), "%u", k);
		put(d, mk(d, 1, name, S_IFREG | 0644), 0, name, strlen(name));
	}
	assert_int_equal(cache_sync(d->c), 0);
	cut = (struct recorder_cut){ recorder_length(d->rec), RECORDER_ALL, 0 };
	drive_cut(d, &cut, &e);
	for (unsigned k = 0; k < 300; k++) {
		(void)snprintf(name, sizeof(name), "%u", k);
		assert_int_equal(get(&e, look(&e, 1, name), 0, text, sizeof(text)),
				 strlen(name));
		assert_memory_equal(text, name, strlen(name));
	}
	rm(&e, 1, "0");
	for (unsigned k = 300; k < 500; k++) { /* none takes another's place */
		(void)snprintf(name, sizeof(name), "%u", k);
		(void)mk(&e, 1, name, S_IFREG | 0644);
	}
	assert_int_equal(cache_readdir(e.c, &op, 1, 0, count_name, &n), 0);
	assert_int_equal(n, 499);
	drive_free(&e);
}

#define N_OPEN 700u /* their references collide in the table */

static void of_many_open_files_without_a_name_each_lives_as_long_as_its_own(void **state)
{
	struct drive *d = *state;
	struct cache_stats s;
	uint64_t v[N_OPEN], is;
	char name[16];

	for (uint64_t k = 0; k < N_OPEN; k++) {
		(void)snprintf(name, sizeof(name), "%u", (unsigned)k);
		v[k] = mk(d, 1, name, S_IFREG | 0644);
		put(d, v[k], 0, &k, sizeof(k));
		cache_ref(d->c, v[k], 1);
		rm(d, 1, name);
	}
	for (uint64_t k = 0; k < N_OPEN; k++)
		for (int times = k % 2 ? 1 : 2; times > 0; times--)
			forget(d, v[k]);
	for (uint64_t k = 1; k < N_OPEN; k += 2) {
		assert_int_equal(get(d, v[k], 0, &is, sizeof(is)), sizeof(is));
		assert_int_equal(is, k);
	}
	for (uint64_t k = 1; k < N_OPEN; k += 2)
		forget(d, v[k]);
	drive_again(d);
	cache_stats(d->c, &s);
	assert_int_equal(s.inodes, 1);
}

static void no_file_ends_behind_the_largest_offset(void **state)
{
	struct drive *d = *state;
	uint64_t ino = mk(d, 1, "f", S_IFREG | 0644);
	struct cache_op op = { 0 };

	assert_int_equal(try_put(d, ino, CACHE_FILE_MAX - 1, "ab", 2), -EFBIG);
	put(d, ino, CACHE_FILE_MAX - 1, "a", 1);
	assert_int_equal(cache_write(d->c, &op, ino, 0, slice("b", 1),
				     CACHE_WRITE_APPEND),
			 -EFBIG);
	assert_true(attr(d, ino).size == CACHE_FILE_MAX);
}

/* What a power cut leaves of a segment that was just made. */
static void a_segment_without_a_head_is_in_nobodys_way(void **state)
{
	struct drive *d = *state;
	struct io_file *f;

	drive_close(d);
	assert_int_equal(io_open(recorder_io(d->rec), "data/00000001",
				 O_RDWR | O_CREAT, &f),
			 0);
	assert_int_equal(io_truncate(f, 131 * 4096), 0);
	io_close(f);
	drive_open(d);
	pattern(big, BIG, 0, 1);
	put(d, mk(d, 1, "f", S_IFREG | 0644), 0, big, BIG);
	drive_again(d);
	expect_pattern(d, look(d, 1, "f"), 0, BIG, 1);
}

static int try_mv(struct drive *d, uint64_t from, const char *name, uint64_t to,
		  const char *newname, unsigned flags)
{
	struct cache_op op = { 0 };

	return cache_rename(d->c, &op, from, slice_str(name), to,
			    slice_str(newname), flags);
}

static void a_rename_makes_no_circle_and_loses_no_folder(void **state)
{
	struct drive *d = *state;
	struct cache_op op = { 0 };
	uint64_t a = mk(d, 1, "a", S_IFDIR | 0755),
		 b = mk(d, a, "b", S_IFDIR | 0755);
	uint64_t gone = mk(d, 1, "gone", S_IFDIR | 0755);

	(void)mk(d, b, "f", S_IFREG | 0644);
	(void)mk(d, 1, "e", S_IFDIR | 0755);
	assert_int_equal(try_mv(d, 1, "a", b, "a", 0), -EINVAL);
	assert_int_equal(try_mv(d, 1, "a", a, "b", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(try_mv(d, a, "b", 1, "a", RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(try_mv(d, 1, "e", a, "b", 0), -ENOTEMPTY);
	assert_int_equal(cache_rmdir(d->c, &op, 1, slice_str("gone")), 0);
	assert_int_equal(try_mv(d, 1, "a", gone, "a", 0), -ENOENT);
	assert_true(look(d, 1, "a") == a && look(d, a, "b") == b);
}

static void formatting_over_what_is_no_database_fails_and_says_so(void **state)
{
	static const struct cache_root root = { .mode = 0755 };
	struct drive *d = *state;
	struct cache_params p = d->p;
	struct recorder *rec;
	struct err e = { 0 };

	assert_int_equal(recorder_new(&rec), 0);
	p.io = recorder_io(rec);
	assert_int_equal(
		io_replace(p.io, ".", "drive.db", slice_str("no database")), 0);
	assert_int_equal(cache_format(&p, &root, &e), -EUCLEAN);
	assert_true(e.text[0]);
	recorder_free(rec);
}

int main(void)
{
#define T(name) \
 cmocka_unit_test_setup_teardown(name, drive_setup, drive_teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_written_is_read_before_and_after_a_remount),
		T(a_write_into_the_middle_keeps_its_neighbours),
		T(a_file_grown_after_a_truncate_shows_zeros),
		T(holes_are_zeros_and_take_no_room),
		T(seeking_through_8_pib_goes_from_row_to_row),
		T(a_punched_range_is_zero_and_its_edges_stay),
		T(a_copied_range_shares_slots_and_parts_on_write),
		T(a_block_copied_over_and_over_takes_as_many_names_as_fit),
		T(a_removed_file_gives_its_room_back),
		T(the_disk_begins_with_much_that_is_written),
		T(slots_that_change_places_are_damage),
		T(what_a_slot_had_before_is_damage),
		T(what_a_slot_had_before_a_remount_is_damage),
		T(names_follow_posix),
		T(a_file_takes_65000_names_and_one_that_goes_makes_room),
		T(readdir_goes_on_where_it_stopped_in_spite_of_changes),
		T(xattrs_are_kept_and_bounded),
		T(an_open_file_without_a_name_goes_with_its_last_reference),
		T(one_sync_takes_all_of_many_files),
		T(of_many_open_files_without_a_name_each_lives_as_long_as_its_own),
		T(no_file_ends_behind_the_largest_offset),
		T(a_segment_without_a_head_is_in_nobodys_way),
		T(a_rename_makes_no_circle_and_loses_no_folder),
		T(formatting_over_what_is_no_database_fails_and_says_so),
	};
#undef T

	return cmocka_run_group_tests(tests, NULL, NULL);
}
