/* test_recorder.c - the disk of the other tests keeps its own contract */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"

#include "helper/recorder.h"

static struct recorder *new_disk(void)
{
	struct recorder *rec = NULL;

	assert_int_equal(recorder_new(&rec), 0);
	return rec;
}

static struct io_file *open_file(struct recorder *rec, const char *name, int flags)
{
	struct io_file *f = NULL;

	assert_int_equal(io_open(recorder_io(rec), name, flags, &f), 0);
	return f;
}

static struct recorder *cut_at(struct recorder *rec, size_t at,
			       enum recorder_lose lose, uint64_t seed)
{
	struct recorder_cut cut = { at, lose, seed };
	struct recorder *disk = NULL;

	assert_int_equal(recorder_replay(rec, &cut, &disk), 0);
	return disk;
}

static uint8_t byte_at(struct recorder *rec, const char *name, uint64_t off)
{
	struct io_file *f = open_file(rec, name, O_RDONLY);
	uint8_t b = 0xee;

	assert_int_equal(io_pread(f, &b, 1, off), 1);
	io_close(f);
	return b;
}

static void fill(struct io_file *f, uint8_t byte, size_t n, uint64_t off)
{
	uint8_t p[8192];

	assert_true(n <= sizeof(p));
	memset(p, byte, n);
	assert_int_equal(io_pwrite(f, p, n, off), 0);
}

static void a_synced_write_survives_every_cut_behind_its_sync(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);
	size_t from;

	(void)state;
	fill(f, 'a', 4096, 0);
	assert_int_equal(io_datasync(f), 0);
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	from = recorder_length(rec);
	fill(f, 'b', 4096, 4096);
	fill(f, 'c', 4096, 8192);
	for (size_t at = from; at <= recorder_length(rec); at++)
		for (uint64_t seed = 0; seed < 16; seed++)
			for (int lose = 0; lose <= RECORDER_SOME; lose++) {
				disk = cut_at(rec, at, (enum recorder_lose)lose,
					      seed);
				for (uint64_t off = 0; off < 4096; off++)
					if (off % 500 == 0)
						assert_int_equal(
							byte_at(disk, "f", off),
							'a');
				recorder_free(disk);
			}
	io_close(f);
	recorder_free(rec);
}

static void an_unsynced_write_vanishes_and_may_be_torn(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);
	bool whole = false, none = false, torn = false;

	(void)state;
	fill(f, 'a', 4096, 0);
	assert_int_equal(io_datasync(f), 0);
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	fill(f, 'b', 4096, 0);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(byte_at(disk, "f", 0), 'a');
	recorder_free(disk);
	disk = cut_at(rec, recorder_length(rec), RECORDER_NOTHING, 0);
	assert_int_equal(byte_at(disk, "f", 0), 'b');
	recorder_free(disk);
	for (uint64_t seed = 0; seed < 64; seed++) {
		unsigned n = 0;

		disk = cut_at(rec, recorder_length(rec), RECORDER_SOME, seed);
		for (uint64_t s = 0; s < 8; s++) {
			uint8_t first = byte_at(disk, "f", s * 512);

			assert_true(first == 'a' || first == 'b');
			assert_int_equal(byte_at(disk, "f", s * 512 + 511), first);
			n += first == 'b';
		}
		whole |= n == 8;
		none |= n == 0;
		torn |= n > 0 && n < 8;
		recorder_free(disk);
	}
	assert_true(whole && none && torn);
	io_close(f);
	recorder_free(rec);
}

static void each_combination_of_unsynced_writes_can_be_lost(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);
	size_t n = 0;

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		fill(f, 1, 4096, (uint64_t)k * 4096);
	assert_int_equal(io_datasync(f), 0);
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	for (unsigned k = 0; k < 3; k++)
		fill(f, 2, 4096, (uint64_t)k * 4096);
	io_close(f);
	assert_int_equal(recorder_unsynced(rec, recorder_length(rec), &n), 0);
	assert_int_equal(n, 3);
	for (uint64_t lost = 0; lost < 8; lost++) {
		disk = cut_at(rec, recorder_length(rec), RECORDER_PICK, lost);
		for (unsigned k = 0; k < 3; k++) /* bit 0 is the last one */
			assert_int_equal(byte_at(disk, "f", (uint64_t)k * 4096),
					 lost >> (2 - k) & 1 ? 1 : 2);
		recorder_free(disk);
	}
	recorder_free(rec);
}

static void a_name_is_durable_only_after_syncdir(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct io_file *f = open_file(rec, "new", O_RDWR | O_CREAT);
	size_t before;

	(void)state;
	fill(f, 'a', 10, 0);
	assert_int_equal(io_datasync(f), 0);
	before = recorder_length(rec);
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	assert_int_equal(io_rename(recorder_io(rec), "new", "old"), 0);

	disk = cut_at(rec, before, RECORDER_ALL, 0);
	assert_int_equal(recorder_size(disk, "new"), -ENOENT);
	recorder_free(disk);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(recorder_size(disk, "new"), 10);
	assert_int_equal(recorder_size(disk, "old"), -ENOENT);
	recorder_free(disk);
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(recorder_size(disk, "new"), -ENOENT);
	assert_int_equal(recorder_size(disk, "old"), 10);
	recorder_free(disk);
	io_close(f);
	recorder_free(rec);
}

static void io_replace_leaves_the_old_or_the_new_after_any_cut(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	bool old = false, new = false;
	size_t done;

	(void)state;
	assert_int_equal(io_replace(recorder_io(rec), ".", "k", slice("old", 3)), 0);
	assert_int_equal(recorder_forget(rec), 0);
	assert_int_equal(io_replace(recorder_io(rec), ".", "k", slice("new", 3)), 0);
	done = recorder_length(rec);
	for (size_t at = 0; at <= done; at++)
		for (uint64_t seed = 0; seed < 32; seed++) {
			disk = cut_at(rec, at, RECORDER_SOME, seed);
			assert_int_equal(recorder_size(disk, "k"), 3);
			if (byte_at(disk, "k", 0) == 'n')
				new = true;
			else
				old = true;
			if (at == done)
				assert_int_equal(byte_at(disk, "k", 0), 'n');
			recorder_free(disk);
		}
	assert_true(old && new);
	recorder_free(rec);
}

static void a_failed_sync_makes_nothing_durable(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);

	(void)state;
	assert_int_equal(io_syncdir(recorder_io(rec), "."), 0);
	fill(f, 'a', 100, 0);
	recorder_fail(rec, RECORDER_SYNC, 0, EIO, false);
	assert_int_equal(io_datasync(f), -EIO);
	assert_int_equal(recorder_failed(rec), 1);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(recorder_size(disk, "f"), 0);
	recorder_free(disk);
	assert_int_equal(io_datasync(f), 0);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(recorder_size(disk, "f"), 100);
	recorder_free(disk);
	io_close(f);
	recorder_free(rec);
}

static void the_nth_call_fails_and_a_failing_write_leaves_half(void **state)
{
	struct recorder *rec = new_disk();
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);
	uint8_t p[100] = { 0 };
	uint64_t before = recorder_calls(rec, RECORDER_WRITE);

	(void)state;
	recorder_fail(rec, RECORDER_WRITE, 1, ENOSPC, true);
	assert_int_equal(io_pwrite(f, p, 100, 0), 0);
	assert_int_equal(io_pwrite(f, p, 100, 100), -ENOSPC);
	assert_int_equal(recorder_size(rec, "f"), 150);
	assert_int_equal(io_pwrite(f, p, 100, 150), -ENOSPC);
	recorder_fail(rec, 0, 0, 0, false);
	assert_int_equal(io_pwrite(f, p, 100, 200), 0);
	assert_int_equal(recorder_calls(rec, RECORDER_WRITE) - before, 4);
	io_close(f);
	recorder_free(rec);
}

static void a_full_disk_refuses_blocks_but_not_what_is_allocated(void **state)
{
	struct recorder *rec = new_disk();
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);
	uint64_t free_bytes, total;

	(void)state;
	recorder_limit(rec, 4ul * 4096);
	assert_int_equal(io_allocate(f, FALLOC_FL_KEEP_SIZE, 0, 8192), 0);
	assert_int_equal(recorder_size(rec, "f"), 0);
	fill(f, 'a', 8192, 8192);
	assert_int_equal(io_allocate(f, 0, 16384, 1), -ENOSPC);
	fill(f, 'b', 8192, 0);
	assert_int_equal(io_space(recorder_io(rec), &free_bytes, &total), 0);
	assert_int_equal(free_bytes, 0);
	assert_int_equal(io_allocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     4096, 4096),
			 0);
	assert_int_equal(recorder_used(rec), 3 * 4096);
	assert_int_equal(byte_at(rec, "f", 4096), 0);
	assert_int_equal(byte_at(rec, "f", 4095), 'b');
	assert_int_equal(io_unlink(recorder_io(rec), "f"), 0);
	assert_int_equal(recorder_used(rec), 3 * 4096);
	io_close(f);
	assert_int_equal(recorder_used(rec), 0);
	recorder_free(rec);
}

static int count_name(void *ctx, const char *name)
{
	(void)name;
	++*(int *)ctx;
	return 0;
}

static void folders_list_their_own_names(void **state)
{
	struct recorder *rec = new_disk();
	struct io *io = recorder_io(rec);
	struct io_file *f;
	int n = 0;

	(void)state;
	assert_int_equal(io_open(io, "data/1", O_RDWR | O_CREAT, &f), -ENOENT);
	assert_int_equal(io_mkdir(io, "data"), 0);
	assert_int_equal(io_mkdir(io, "data"), -EEXIST);
	io_close(open_file(rec, "data/1", O_RDWR | O_CREAT | O_EXCL));
	io_close(open_file(rec, "data/2", O_RDWR | O_CREAT | O_EXCL));
	assert_int_equal(io_list(io, "data", count_name, &n), 0);
	assert_int_equal(n, 2);
	n = 0;
	assert_int_equal(io_list(io, ".", count_name, &n), 0);
	assert_int_equal(n, 1);
	recorder_free(rec);
}

static void what_was_ever_written_is_found(void **state)
{
	struct recorder *rec = new_disk();
	struct io_file *f = open_file(rec, "f", O_RDWR | O_CREAT);

	(void)state;
	assert_int_equal(io_pwrite(f, "needle", 6, 0), 0);
	fill(f, 0, 100, 0);
	assert_true(recorder_contains(rec, slice_str("needle")));
	assert_false(recorder_contains(rec, slice_str("thread")));
	assert_int_equal(recorder_flip(rec, "f", 5, 0x80), 0);
	assert_int_equal(byte_at(rec, "f", 5), 0x80);
	assert_int_equal(recorder_flip(rec, "f", 100, 1), -ERANGE);
	io_close(f);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_synced_write_survives_every_cut_behind_its_sync),
		cmocka_unit_test(an_unsynced_write_vanishes_and_may_be_torn),
		cmocka_unit_test(each_combination_of_unsynced_writes_can_be_lost),
		cmocka_unit_test(a_name_is_durable_only_after_syncdir),
		cmocka_unit_test(io_replace_leaves_the_old_or_the_new_after_any_cut),
		cmocka_unit_test(a_failed_sync_makes_nothing_durable),
		cmocka_unit_test(the_nth_call_fails_and_a_failing_write_leaves_half),
		cmocka_unit_test(a_full_disk_refuses_blocks_but_not_what_is_allocated),
		cmocka_unit_test(folders_list_their_own_names),
		cmocka_unit_test(what_was_ever_written_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
