/* test_db.c - connections, transactions, statements */
#include "common.h"

#include <sys/stat.h>

static void rows_come_back_in_all_their_types(void **state)
{
	static const char *const sql[] = {
		"INSERT INTO x VALUES (?1, ?2, ?3)",
		"SELECT a, b, c FROM x",
	};
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	struct db_stmt *st[2];

	(void)state;
	assert_int_equal(db_exec(db, "CREATE TABLE x (a, b, c)"), 0);
	assert_int_equal(db_prepare_all(db, sql, 2, st), 0);
	db_bind_u64(st[0], 1, UINT64_MAX - 1);
	db_bind_i64(st[0], 2, -5);
	db_bind_blob(st[0], 3, SLICE_NONE);
	assert_int_equal(db_run(st[0]), 0);
	assert_int_equal(db_changes(db), 1);
	assert_int_equal(db_last_rowid(db), 1);
	assert_int_equal(db_step(st[1]), 1);
	assert_true(db_col_u64(st[1], 0) == UINT64_MAX - 1);
	assert_int_equal(db_col_i64(st[1], 1), -5);
	assert_int_equal(db_col_blob(st[1], 2).n, 0);
	assert_int_equal(db_step(st[1]), 0);
	assert_int_equal(db_step(st[1]), 1);
	db_reset(st[1]);
	db_stmt_free_all(st, 2);
	db_close(db);
	recorder_free(rec);
}

static void errors_speak_errno(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	struct db_stmt *s;

	(void)state;
	assert_int_equal(put_row(db, 1, 30), 0);
	assert_int_equal(put_row(db, 1, 30), -EEXIST);
	assert_int_equal(db_exec(db, "SELEKT"), -EINVAL);
	assert_int_equal(db_prepare(db, "SELECT 1; SELECT 2", &s), -EINVAL);
	assert_int_equal(db_prepare(db, "", &s), -EINVAL);
	db_close(db);
	recorder_free(rec);
}

static void a_database_is_found_again_and_its_wal_is_gone(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	struct err err = { "" };

	(void)state;
	for (uint64_t k = 1; k <= 20; k++)
		assert_int_equal(put_in_transaction(db, k, 3000), 0);
	assert_true(recorder_size(rec, WAL_FILE) > 0);
	db_close(db);
	assert_int_equal(recorder_size(rec, WAL_FILE), -ENOENT);
	assert_int_equal(recorder_size(rec, DB_FILE) % 4096, 0);
	db = open_db(rec);
	assert_int_equal(count_rows(db), 20);
	assert_int_equal(db_check(db, &err), 0);
	db_close(db);
	recorder_free(rec);
}

static void a_database_that_is_not_there_is_not_made_unasked(void **state)
{
	struct recorder *rec = new_disk();
	struct db_params p = params_of(rec);
	struct err err = { "" };
	struct io_file *f;
	struct db *db = NULL;

	(void)state;
	p.create = false;
	assert_int_equal(db_open(&p, &db, &err), -ENOENT);
	assert_true(err.text[0] != 0);
	assert_int_equal(io_open(p.io, DB_FILE, O_RDWR | O_CREAT, &f), 0);
	io_close(f);
	p.create = true;
	assert_int_equal(db_open(&p, &db, NULL), -EUCLEAN);
	recorder_free(rec);
}

static void a_new_database_does_not_swallow_an_old_wal(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);

	(void)state;
	assert_int_equal(put_in_transaction(db, 1, 3000), 0);
	disk = copy_of(rec);
	db_close(db);
	assert_true(recorder_size(disk, WAL_FILE) > 0);
	assert_int_equal(io_unlink(recorder_io(disk), DB_FILE), 0);
	db = open_db(disk);
	assert_int_equal(count_rows(db), 0);
	db_close(db);
	recorder_free(disk);
	recorder_free(rec);
}

static void an_old_wal_does_not_outlive_a_cut_while_a_new_database_is_made(void **state)
{
	struct recorder *rec = new_disk(), *disk, *one;
	struct db *db = open_db(rec);

	(void)state;
	assert_int_equal(put_in_transaction(db, 1, 3000), 0);
	disk = copy_of(rec);
	db_close(db);
	assert_int_equal(io_unlink(recorder_io(disk), DB_FILE), 0);
	assert_int_equal(recorder_forget(disk), 0);
	db_close(open_db(disk));
	for (size_t at = 0; at <= recorder_length(disk); at++)
		for (uint64_t seed = 0; seed < 16; seed++) {
			one = cut_at(disk, at, RECORDER_PICK, seed);
			db = open_db(one);
			assert_int_equal(count_rows(db), 0);
			db_close(db);
			recorder_free(one);
		}
	recorder_free(disk);
	recorder_free(rec);
}

static void rollback_and_savepoints_undo_what_they_span(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);

	(void)state;
	db_rollback(db);
	assert_false(db_in_transaction(db));
	assert_int_equal(db_begin(db), 0);
	assert_true(db_in_transaction(db));
	assert_int_equal(put_row(db, 1, 30), 0);
	assert_int_equal(db_savepoint(db), 0);
	assert_int_equal(put_row(db, 2, 9000), 0);
	assert_int_equal(db_savepoint(db), 0);
	assert_int_equal(put_row(db, 3, 30), 0);
	assert_int_equal(db_release(db), 0);
	assert_int_equal(count_rows(db), 3);
	db_rollback_to(db);
	assert_true(db_in_transaction(db));
	assert_int_equal(count_rows(db), 1);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(put_row(db, 2, 30), 0);
	db_rollback(db);
	assert_int_equal(count_rows(db), 1);
	db_close(db);
	recorder_free(rec);
}

static void a_reader_keeps_its_snapshot_while_the_writer_goes_on(void **state)
{
	struct recorder *rec = new_disk();
	struct db *writer = open_db(rec), *reader = NULL;

	(void)state;
	assert_int_equal(try_open(rec, &reader), 0);
	assert_int_equal(put_in_transaction(writer, 1, 3000), 0);
	assert_int_equal(db_begin_read(reader), 0);
	for (uint64_t k = 2; k <= 40; k++)
		assert_int_equal(put_in_transaction(writer, k, 3000), 0);
	assert_int_equal(db_checkpoint(writer, DB_CHECKPOINT_PASSIVE), 0);
	assert_int_equal(db_checkpoint(writer, DB_CHECKPOINT_TRUNCATE), -EBUSY);
	assert_int_equal(count_rows(reader), 1);
	assert_int_equal(db_commit(reader), 0);
	assert_int_equal(count_rows(reader), 40);
	assert_true(db_wal_size(reader) > 0);
	assert_int_equal(db_checkpoint(reader, DB_CHECKPOINT_TRUNCATE), 0);
	assert_int_equal(db_wal_size(reader), 0);
	assert_int_equal(recorder_size(rec, WAL_FILE), 0);
	assert_int_equal(count_rows(writer), 40);
	db_close(writer);
	assert_int_equal(count_rows(reader), 40);
	db_close(reader);
	recorder_free(rec);
}

static void a_second_writer_is_busy_at_once(void **state)
{
	struct recorder *rec = new_disk();
	struct db *a = open_db(rec), *b = open_db(rec);

	(void)state;
	assert_int_equal(db_begin(a), 0);
	assert_int_equal(db_begin(b), -EBUSY);
	assert_int_equal(put_row(a, 1, 30), 0);
	assert_int_equal(count_rows(b), 0);
	assert_int_equal(db_commit(a), 0);
	assert_int_equal(db_begin(b), 0);
	assert_int_equal(count_rows(b), 1);
	assert_int_equal(put_row(b, 2, 30), 0);
	assert_int_equal(db_commit(b), 0);
	assert_int_equal(count_rows(a), 2);
	db_close(a);
	db_close(b);
	recorder_free(rec);
}

static void read_only_reads_the_wal_and_writes_nothing(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	struct db_params p;

	(void)state;
	for (uint64_t k = 1; k <= 5; k++)
		assert_int_equal(put_in_transaction(db, k, 3000), 0);
	disk = copy_of(rec);
	db_close(db);
	for (int round = 0; round < 2; round++) {
		size_t before = recorder_length(round ? rec : disk);

		p = params_of(round ? rec : disk);
		p.read_only = true;
		assert_int_equal(db_open(&p, &db, NULL), 0);
		assert_int_equal(count_rows(db), 5);
		assert_int_equal(put_row(db, 6, 30), -EROFS);
		assert_int_equal(db_begin(db), -EROFS);
		db_close(db);
		assert_int_equal(recorder_length(round ? rec : disk), before);
	}
	recorder_free(disk);
	recorder_free(rec);
}

static void nothing_of_the_plaintext_is_ever_written(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec), *other;

	(void)state;
	assert_int_equal(db_exec(db, "CREATE TABLE secret_table (x)"), 0);
	assert_int_equal(db_begin(db), 0);
	for (uint64_t k = 1; k <= 300; k++) {
		assert_int_equal(db_savepoint(db), 0);
		assert_int_equal(put_row(db, k, k % 40 ? 200 : 9000), 0);
		assert_int_equal(db_release(db), 0);
	}
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_exec(db, "CREATE INDEX i ON t (v)"), 0);
	assert_int_equal(db_exec(db, "CREATE TEMP TABLE y AS SELECT v FROM t"), 0);
	assert_int_equal(db_exec(db, "DELETE FROM t WHERE k > 290"), 0);
	assert_int_equal(db_exec(db, "VACUUM"), 0);
	assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_PASSIVE), 0);
	assert_int_equal(put_in_transaction(db, 291, 30), 0);
	other = open_db(rec);
	assert_int_equal(count_rows(other), 291);
	db_close(db);
	db_close(other);
	assert_true(recorder_length(rec) > 100);
	assert_false(recorder_contains(rec, slice_str("well known")));
	assert_false(recorder_contains(rec, slice_str("secret_table")));
	assert_false(recorder_contains(rec, slice_str("CREATE")));
	assert_false(recorder_contains(rec, slice_str("SQLite format")));
	assert_int_equal(recorder_size(rec, DB_FILE "-journal"), -ENOENT);
	recorder_free(rec);
}

static void other_files_are_not_opened(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	size_t before = recorder_length(rec);

	(void)state;
	assert_true(db_exec(db, "ATTACH 'other.db' AS o") < 0);
	assert_true(db_exec(db, "ATTACH '/tmp/other.db' AS o") < 0);
	assert_int_equal(recorder_length(rec), before);
	db_close(db);
	recorder_free(rec);
}

static int copy_file(struct recorder *from, const char *a, struct recorder *to,
		     const char *b)
{
	_cleanup_io_file_ struct io_file *f = NULL, *g = NULL;
	static uint8_t p[64 * 1024];
	int64_t n;

	assert_int_equal(io_open(recorder_io(from), a, O_RDONLY, &f), 0);
	assert_int_equal(io_open(recorder_io(to), b, O_RDWR | O_CREAT, &g), 0);
	n = io_pread(f, p, sizeof(p), 0);
	assert_true(n > 0 && n < (int64_t)sizeof(p));
	return io_pwrite(g, p, (size_t)n, 0);
}

static void another_name_drive_or_key_does_not_open_it(void **state)
{
	static const uint8_t bytes[SECRET_SIZE] = { 8 };
	struct recorder *rec = new_disk();
	struct secret *key = NULL;
	struct db_params p = params_of(rec);
	struct db *db = open_db(rec);

	(void)state;
	assert_int_equal(put_in_transaction(db, 1, 3000), 0);
	db_close(db);
	assert_int_equal(copy_file(rec, DB_FILE, rec, "ledger.db"), 0);
	p.name = "ledger.db";
	assert_int_equal(db_open(&p, &db, NULL), -EUCLEAN);
	/* nor one that is as long */
	assert_int_equal(copy_file(rec, DB_FILE, rec, "Drive.db"), 0);
	p.name = "Drive.db";
	assert_int_equal(db_open(&p, &db, NULL), -EUCLEAN);
	p = params_of(rec);
	p.drive_id[15] = 1;
	assert_int_equal(db_open(&p, &db, NULL), -EUCLEAN);
	p = params_of(rec);
	assert_int_equal(secret_new(bytes, &key), 0);
	p.key = key;
	assert_int_equal(db_open(&p, &db, NULL), -EUCLEAN);
	secret_free(key);
	assert_int_equal(try_open(rec, &db), 0);
	assert_int_equal(count_rows(db), 1);
	db_close(db);
	recorder_free(rec);
}

static void it_works_in_a_real_directory(void **state)
{
	char path[] = "/tmp/fildrive-db-XXXXXX";
	struct io *io = NULL;
	struct db *db = NULL;
	struct db_params p = { .name = "sub/drive.db", .key = the_key, .create = true };
	struct stat st;
	char file[64];

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(io_dir_new(path, &io), 0);
	assert_int_equal(io_mkdir(io, "sub"), 0);
	p.io = io;
	for (uint64_t k = 1; k <= 2; k++) {
		assert_int_equal(db_open(&p, &db, NULL), 0);
		if (k == 1)
			assert_int_equal(db_exec(db, "CREATE TABLE t (k INTEGER "
						     "PRIMARY KEY, v BLOB)"),
					 0);
		assert_int_equal(db_begin(db), 0);
		assert_int_equal(db_reserve(db, 10), 0);
		assert_int_equal(put_row(db, k, 3000), 0);
		assert_int_equal(db_commit(db), 0);
		assert_int_equal(count_rows(db), (int64_t)k);
		db_close(db);
	}
	(void)snprintf(file, sizeof(file), "%s/sub/drive.db", path);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	assert_int_equal(io_unlink(io, "sub/drive.db"), 0);
	io_free(io);
	(void)snprintf(file, sizeof(file), "%s/sub", path);
	assert_int_equal(rmdir(file), 0);
	assert_int_equal(rmdir(path), 0);
}

/* A sync of what was written before has no length and no extents to write. */
static void small_commits_write_over_what_is_there(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);
	int64_t size = 0, grown = 0;
	uint64_t k;

	(void)state;
	for (k = 1; k <= 40; k++) {
		int64_t before = recorder_size(rec, WAL_FILE);

		assert_int_equal(db_begin(db), 0);
		assert_int_equal(db_reserve(db, 8), 0);
		assert_int_equal(put_row(db, k, 300), 0);
		assert_int_equal(db_commit(db), 0);
		size = recorder_size(rec, WAL_FILE);
		grown += size != before;
	}
	assert_in_range(grown, 1, 4);
	assert_true((uint64_t)size < HEADER + 40 * 4 * FRAME + (512u << 10));
	assert_int_equal(count_rows(db), 40);
	db_close(db);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_come_back_in_all_their_types),
		cmocka_unit_test(errors_speak_errno),
		cmocka_unit_test(a_database_is_found_again_and_its_wal_is_gone),
		cmocka_unit_test(a_database_that_is_not_there_is_not_made_unasked),
		cmocka_unit_test(a_new_database_does_not_swallow_an_old_wal),
		cmocka_unit_test(
			an_old_wal_does_not_outlive_a_cut_while_a_new_database_is_made),
		cmocka_unit_test(rollback_and_savepoints_undo_what_they_span),
		cmocka_unit_test(a_reader_keeps_its_snapshot_while_the_writer_goes_on),
		cmocka_unit_test(a_second_writer_is_busy_at_once),
		cmocka_unit_test(read_only_reads_the_wal_and_writes_nothing),
		cmocka_unit_test(nothing_of_the_plaintext_is_ever_written),
		cmocka_unit_test(other_files_are_not_opened),
		cmocka_unit_test(another_name_drive_or_key_does_not_open_it),
		cmocka_unit_test(it_works_in_a_real_directory),
		cmocka_unit_test(small_commits_write_over_what_is_there),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
