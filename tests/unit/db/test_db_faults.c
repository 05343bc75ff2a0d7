/* test_db_faults.c - full disks, failing calls, no memory */
#include "common.h"

#include <sqlite3.h>

static void a_full_disk_at_commit_is_said_and_nothing_remains(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	int64_t n = 0;
	int r = 0;

	(void)state;
	recorder_limit(rec, recorder_used(rec) + 40ul * 4096);
	for (uint64_t k = 1; r == 0 && k < 100; k++) {
		r = put_in_transaction(db, k, 9000);
		if (r == 0)
			n++;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 3);
	assert_false(db_in_transaction(db));
	assert_int_equal(count_rows(db), n);
	disk = copy_of(rec);
	db_close(db);
	db = open_db(disk);
	assert_int_equal(count_rows(db), n);
	db_close(db);
	recorder_free(disk);

	/* with room again it goes on where it was */
	recorder_limit(rec, 0);
	db = open_db(rec);
	assert_int_equal(count_rows(db), n);
	assert_int_equal(put_in_transaction(db, (uint64_t)n + 1, 9000), 0);
	assert_int_equal(count_rows(db), n + 1);
	db_close(db);
	recorder_free(rec);
}

/* Thousands of inserts acknowledged, the disk fills up, all of them stay. */
static void a_reserved_commit_never_meets_a_full_disk(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	uint64_t k = 0, commits = 0, room = 0;
	int r;

	(void)state;
	for (unsigned blocks = 100; blocks < 140; blocks++) {
		recorder_limit(rec, recorder_used(rec) + blocks * 4096ul);
		assert_int_equal(db_begin(db), 0);
		while ((r = db_reserve(db, 8)) == 0) {
			assert_int_equal(db_savepoint(db), 0);
			k++;
			assert_int_equal(put_row(db, k, k % 50 ? 200 : 9000), 0);
			assert_int_equal(db_release(db), 0);
			room++;
		}
		assert_int_equal(r, -ENOSPC);
		assert_int_equal(db_commit(db), 0);
		commits++;
		disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
		recorder_limit(rec, 0);
		assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE), 0);
		assert_int_equal(recorder_forget(rec), 0);
		db_close(db);
		db = open_db(disk);
		assert_int_equal(count_rows(db), (int64_t)k);
		db_close(db);
		recorder_free(disk);
		db = open_db(rec);
	}
	assert_true(commits == 40 && room > 400);
	db_close(db);
	recorder_free(rec);
}

static void the_bound_of_dirty_pages_holds(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	uint64_t bound, frames, before;

	(void)state;
	assert_int_equal(db_dirty_pages(db), 0);
	for (uint64_t k = 1; k < 3000;) {
		assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE), 0);
		assert_int_equal(db_begin(db), 0);
		for (uint64_t end = k + 1 + k / 3; k < end; k++)
			assert_int_equal(put_row(db, k, 400), 0);
		bound = db_dirty_pages(db);
		before = db_wal_size(db);
		assert_int_equal(db_commit(db), 0);
		frames = (db_wal_size(db) - before) / FRAME;
		assert_in_range(bound, frames, frames + 64 + 16);
	}
	db_close(db);
	recorder_free(rec);
}

/* Everything a life of a database does; the rows that were acknowledged. */
static int live(struct recorder *rec, int64_t *ret_acked)
{
	struct db *db = NULL, *second = NULL;
	int r;

	*ret_acked = 0;
	r = try_open(rec, &db);
	if (r < 0)
		return r;
	r = db_exec(db, "CREATE TABLE IF NOT EXISTS t "
			"(k INTEGER PRIMARY KEY, v BLOB NOT NULL)");
	for (uint64_t k = 1; r == 0 && k <= 6; k++) {
		r = db_begin(db);
		if (r == 0)
			r = db_reserve(db, 8);
		if (r == 0)
			r = put_row(db, k, 1000 + k * 1500);
		if (r == 0)
			r = db_commit(db);
		else
			db_rollback(db);
		if (r == 0)
			++*ret_acked;
		if (r == 0 && k == 3)
			r = db_checkpoint(db, DB_CHECKPOINT_RESTART);
		if (r == 0 && k == 4)
			r = try_open(rec, &second);
	}
	if (r == 0) {
		int64_t n = count_rows(second);

		r = n < 0 ? (int)n : 0;
		assert_true(n < 0 || n == 6);
	}
	if (r == 0)
		r = db_checkpoint(second, DB_CHECKPOINT_TRUNCATE);
	db_close(second);
	db_close(db);
	return r;
}

/* The rows that were acknowledged, or with the one that was under way. */
static void check_after(struct recorder *rec, int64_t acked)
{
	struct recorder *disk = copy_of(rec);
	struct db *db = open_db(disk);

	assert_in_range(count_rows(db), acked, acked + 1);
	assert_int_equal(db_check(db, NULL), 0);
	assert_int_equal(put_in_transaction(db, 1000, 100), 0);
	db_close(db);
	recorder_free(disk);
}

static void sweep(unsigned kinds, int err, bool sticky)
{
	struct recorder *rec;
	int64_t acked;
	unsigned hits = 0;
	bool hit = true;
	int r;

	for (uint64_t n = 0; hit; n++) {
		rec = new_disk();
		recorder_fail(rec, kinds, n, err, sticky);
		r = live(rec, &acked);
		hit = recorder_failed(rec) > 0;
		recorder_fail(rec, 0, 0, 0, false);
		if (r < 0) {
			assert_true(hit);
			assert_true(r == -err || r == -EIO);
			hits++;
		}
		if (!hit)
			assert_int_equal(r, 0);
		check_after(rec, acked);
		recorder_free(rec);
	}
	assert_true(hits > 2);
}

static void every_failing_call_is_an_errno_and_old_or_new(void **state)
{
	(void)state;
	sweep(RECORDER_ANY, EIO, false);
	sweep(RECORDER_ANY, EIO, true);
	sweep(RECORDER_WRITE | RECORDER_ALLOCATE, ENOSPC, false);
	sweep(RECORDER_WRITE | RECORDER_ALLOCATE, ENOSPC, true);
	sweep(RECORDER_SYNC, EIO, false);
}

static void a_file_system_without_fallocate_is_reserved_with_zeros(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	int64_t before, after;

	(void)state;
	recorder_fail(rec, RECORDER_ALLOCATE, 0, EOPNOTSUPP, true);
	before = recorder_size(rec, WAL_FILE);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_reserve(db, 8), 0);
	after = recorder_size(rec, WAL_FILE);
	assert_true(after - before > 8l * 4096);
	recorder_limit(rec, recorder_used(rec));
	assert_int_equal(put_row(db, 1, 9000), 0);
	assert_int_equal(db_commit(db), 0);
	recorder_limit(rec, 0);
	check_after(rec, 1);
	db_close(db);
	recorder_free(rec);
}

/* --- no memory: SQLite's allocations and those of src/db and src/base --- */

static uint64_t fail_in = UINT64_MAX;
static bool failed;
static sqlite3_mem_methods real_mem;

static bool fails_now(void)
{
	if (fail_in == UINT64_MAX)
		return false;
	if (fail_in-- > 0)
		return false;
	fail_in = UINT64_MAX;
	failed = true;
	return true;
}

static void *poor_malloc(int n)
{
	return fails_now() ? NULL : real_mem.xMalloc(n);
}

static void *poor_realloc(void *p, int n)
{
	return fails_now() ? NULL : real_mem.xRealloc(p, n);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails_now() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *s)
{
	return fails_now() ? NULL : __real_strdup(s);
}

static void without_memory_it_is_enomem_and_old_or_new(void **state)
{
	struct recorder *rec;
	int64_t acked;
	unsigned hits = 0;
	uint64_t n = 0;
	int r;

	(void)state;
	do {
		rec = new_disk();
		failed = false;
		fail_in = n;
		r = live(rec, &acked);
		fail_in = UINT64_MAX;
		if (r < 0) {
			assert_true(failed);
			assert_int_equal(r, -ENOMEM);
			hits++;
		}
		check_after(rec, acked);
		recorder_free(rec);
		n += n < 100 ? 1 : 17; /* sampled: there are some thousands */
	} while (failed);
	assert_true(hits > 50);
}

/*
 * Who has committed, and goes on, cannot be stopped by it: between COMMIT and the next
 * BEGIN there is nothing that may fail, whoever reads and moves the WAL meanwhile.
 */
static void a_begin_behind_a_commit_needs_no_memory_and_no_disk(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec), *mover = open_db(rec), *reader = open_db(rec);
	uint64_t row = 0;
	bool reads = false;

	(void)state;
	assert_int_equal(db_begin(db), 0);
	for (uint64_t k = 1; k <= 60; k++) {
		for (unsigned n = 0; n < (k % 7 ? 1 : 500); n++)
			assert_int_equal(put_row(db, ++row, 9000), 0);
		assert_int_equal(db_commit(db), 0);
		if (k % 3 == 0)
			assert_int_equal(db_checkpoint(k % 2 ? db : mover,
						       DB_CHECKPOINT_PASSIVE),
					 0);
		recorder_fail(rec, RECORDER_ANY, 0, EIO, true);
		failed = false;
		fail_in = 0;
		assert_int_equal(db_begin(db), 0);
		fail_in = UINT64_MAX;
		assert_false(failed);
		assert_true(recorder_failed(rec) == 0);
		recorder_fail(rec, 0, 0, 0, false);
		if (k % 5)
			continue;
		if (reads)
			db_rollback(reader);
		else
			assert_int_equal(db_begin_read(reader), 0);
		reads = !reads;
	}
	db_rollback(db);
	db_close(reader);
	db_close(mover);
	assert_int_equal(count_rows(db), row);
	assert_int_equal(db_check(db, NULL), 0);
	db_close(db);
	recorder_free(rec);
}

static int set_up(void **state)
{
	sqlite3_mem_methods poor;

	if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem) != SQLITE_OK)
		return -1;
	poor = real_mem;
	poor.xMalloc = poor_malloc;
	poor.xRealloc = poor_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &poor) != SQLITE_OK)
		return -1;
	return set_up_key(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_disk_at_commit_is_said_and_nothing_remains),
		cmocka_unit_test(a_reserved_commit_never_meets_a_full_disk),
		cmocka_unit_test(the_bound_of_dirty_pages_holds),
		cmocka_unit_test(every_failing_call_is_an_errno_and_old_or_new),
		cmocka_unit_test(
			a_file_system_without_fallocate_is_reserved_with_zeros),
		cmocka_unit_test(without_memory_it_is_enomem_and_old_or_new),
		cmocka_unit_test(a_begin_behind_a_commit_needs_no_memory_and_no_disk),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down_key);
}
