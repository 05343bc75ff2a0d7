/* test_db_crash.c - power cuts, torn ends and damage */
#include "common.h"

#define N_ACKED 12

struct acked {
	size_t at; /* log entries when row k was acknowledged */
};

/* A history: rows in transactions of their own, a checkpoint, a restart. */
static struct recorder *history(struct acked acked[static N_ACKED + 1])
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec);

	acked[0].at = recorder_length(rec);
	for (uint64_t k = 1; k <= N_ACKED; k++) {
		assert_int_equal(db_begin(db), 0);
		assert_int_equal(db_reserve(db, 8), 0);
		assert_int_equal(put_row(db, k, 500 + k * 600), 0);
		assert_int_equal(db_commit(db), 0);
		acked[k].at = recorder_length(rec);
		if (k == 4)
			assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_RESTART),
					 0);
		if (k == 8)
			assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE),
					 0);
	}
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(put_row(db, N_ACKED + 1, 9000), 0);
	db_close(db); /* rolls back, checkpoints, removes the WAL */
	return rec;
}

/* Opens, counts, writes on, opens again.  Rows found. */
static int64_t rows_after(struct recorder *disk)
{
	struct db *db = NULL;
	int64_t n, again;
	int r;

	r = try_open(disk, &db);
	if (r < 0)
		return r;
	n = count_rows(db);
	if (n >= 0)
		assert_int_equal(db_check(db, NULL), 0);
	db_close(db);
	if (n < 0)
		return n;
	db = open_db(disk);
	assert_int_equal(put_in_transaction(db, (uint64_t)n + 1, 300), 0);
	db_close(db);
	db = open_db(disk);
	again = count_rows(db);
	db_close(db);
	return again < 0 ? again : again - 1;
}

static void transactions_survive_every_cut(void **state)
{
	struct acked acked[N_ACKED + 1];
	struct recorder *rec = history(acked), *disk;
	size_t done = 0;
	int64_t n;

	(void)state;
	for (size_t at = 0; at <= recorder_length(rec); at++) {
		while (done < N_ACKED && acked[done + 1].at <= at)
			done++;
		for (uint64_t seed = 0; seed < 6; seed++) {
			enum recorder_lose lose =
				seed < 2 ? (enum recorder_lose)seed : RECORDER_SOME;

			disk = cut_at(rec, at, lose, seed);
			n = rows_after(disk);
			assert_in_range(n, done, MIN(done + 1, N_ACKED));
			recorder_free(disk);
		}
	}
	assert_int_equal(done, N_ACKED);
	recorder_free(rec);
}

/*
 * Cut, opened, written on without a clean end, and cut again: what an earlier
 * life left behind the end of the log is no damage and no data.
 */
static void a_cut_in_a_second_life_is_survived(void **state)
{
	struct acked acked[N_ACKED + 1];
	struct recorder *rec = history(acked), *one, *two;
	size_t at, ack[4];
	unsigned lives = 0;
	int64_t before, n;
	struct db *db;

	(void)state;
	for (at = acked[0].at; at < acked[N_ACKED].at; at += 9)
		for (uint64_t seed = 1; seed < 4; seed++) {
			one = cut_at(rec, at, RECORDER_SOME, seed);
			db = open_db(one);
			before = count_rows(db);
			assert_true(before >= 0);
			for (uint64_t i = 0; i < 4; i++) {
				uint64_t k = (uint64_t)before + i + 1;

				assert_int_equal(put_in_transaction(db, k, 5000), 0);
				ack[i] = recorder_length(one);
			}
			for (size_t cut = ack[0]; cut <= ack[3]; cut++) {
				int64_t least = before + 1;

				for (size_t i = 1; i < 4; i++)
					least += ack[i] <= cut;
				two = cut_at(one, cut, RECORDER_SOME,
					     seed * 77 + cut);
				n = rows_after(two);
				assert_in_range(n, least,
						MIN(least + 1, before + 4));
				recorder_free(two);
				lives++;
			}
			db_close(db);
			recorder_free(one);
		}
	assert_true(lives > 200);
	recorder_free(rec);
}

/* A dead process with its WAL: five transactions, the last one of many pages. */
static struct recorder *dead_disk(uint64_t *ret_last)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);

	assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_TRUNCATE), 0);
	for (uint64_t k = 1; k <= 5; k++) {
		*ret_last = (uint64_t)recorder_size(rec, WAL_FILE);
		assert_int_equal(put_in_transaction(db, k, k == 5 ? 11000 : 3000),
				 0);
	}
	disk = copy_of(rec);
	db_close(db);
	recorder_free(rec);
	return disk;
}

static void a_cut_wal_tail_costs_only_what_was_cut(void **state)
{
	uint64_t last;
	struct recorder *dead = dead_disk(&last), *disk;
	uint64_t size = (uint64_t)recorder_size(dead, WAL_FILE);
	static const uint8_t zeros[8 * FRAME];
	int64_t n, before = 5;
	struct io_file *f;

	(void)state;
	assert_true(size - last >= 3 * (uint64_t)FRAME && size < sizeof(zeros) * 4);
	for (int zero = 0; zero < 2; zero++)
		for (uint64_t cut = size; cut >= last && cut > 0; cut -= 97) {
			disk = copy_of(dead);
			assert_int_equal(io_open(recorder_io(disk), WAL_FILE,
						 O_RDWR, &f),
					 0);
			if (zero)
				assert_int_equal(
					io_pwrite(f, zeros, size - cut, cut), 0);
			else
				assert_int_equal(io_truncate(f, cut), 0);
			io_close(f);
			n = rows_after(disk);
			assert_int_equal(n, cut == size ? 5 : 4);
			recorder_free(disk);
		}
	/* truncation further down costs transactions from the end, no others */
	for (uint64_t cut = last; cut >= HEADER; cut -= 509) {
		disk = copy_of(dead);
		assert_int_equal(io_open(recorder_io(disk), WAL_FILE, O_RDWR, &f),
				 0);
		assert_int_equal(io_truncate(f, cut), 0);
		io_close(f);
		n = rows_after(disk);
		assert_in_range(n, 0, MIN(before, 4));
		before = n;
		recorder_free(disk);
	}
	assert_int_equal(before, 0);
	recorder_free(dead);
}

static void a_flip_in_the_wal_is_an_error_or_the_end_of_the_log(void **state)
{
	uint64_t last;
	struct recorder *dead = dead_disk(&last), *disk;
	uint64_t size = (uint64_t)recorder_size(dead, WAL_FILE);
	unsigned errors = 0, ends = 0;
	int64_t n;

	(void)state;
	for (uint64_t off = 0; off < size; off += off < 80 ? 1 : 101) {
		disk = copy_of(dead);
		assert_int_equal(recorder_flip(disk, WAL_FILE, off, 0x10), 0);
		n = rows_after(disk);
		if (off < 72 || (off >= HEADER && off < last)) {
			assert_int_equal(n, -EUCLEAN);
			errors++;
		} else if (off < HEADER) {
			assert_int_equal(n, 5); /* the header's padding */
		} else {
			assert_int_equal(n, 4);
			ends++;
		}
		recorder_free(disk);
	}
	assert_true(errors > 100 && ends > 50);
	recorder_free(dead);
}

static void a_zeroed_wal_header_is_damage_and_a_zeroed_wal_is_none(void **state)
{
	static const uint8_t zeros[32 * FRAME];
	uint64_t last;
	struct recorder *dead = dead_disk(&last), *disk;
	size_t size = (size_t)recorder_size(dead, WAL_FILE);
	struct io_file *f = NULL;

	(void)state;
	assert_true(size < sizeof(zeros));
	for (int all = 0; all < 2; all++) {
		disk = copy_of(dead);
		assert_int_equal(io_open(recorder_io(disk), WAL_FILE, O_RDWR, &f),
				 0);
		assert_int_equal(io_pwrite(f, zeros, all ? size : HEADER, 0), 0);
		io_close(f);
		assert_int_equal(rows_after(disk), all ? 0 : -EUCLEAN);
		recorder_free(disk);
	}
	recorder_free(dead);
}

static void a_flip_in_the_wal_of_a_living_database_is_an_error(void **state)
{
	struct recorder *rec = new_disk();
	struct db *db = open_db(rec), *reader = NULL;

	(void)state;
	assert_int_equal(put_in_transaction(db, 1, 11000), 0);
	assert_int_equal(try_open(rec, &reader), 0);
	for (uint64_t off = HEADER + 30;
	     off < (uint64_t)recorder_size(rec, WAL_FILE); off += FRAME)
		assert_int_equal(recorder_flip(rec, WAL_FILE, off, 1), 0);
	assert_int_equal(count_rows(reader), -EUCLEAN);
	assert_int_equal(db_checkpoint(reader, DB_CHECKPOINT_PASSIVE), -EUCLEAN);
	db_close(reader);
	db_close(db);
	recorder_free(rec);
}

static void a_flip_in_any_page_is_an_error(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	uint64_t size;
	int64_t n;

	(void)state;
	for (uint64_t k = 1; k <= 6; k++)
		assert_int_equal(put_in_transaction(db, k, 6000), 0);
	db_close(db);
	size = (uint64_t)recorder_size(rec, DB_FILE);
	assert_true(size > 10ul * 4096);
	for (uint64_t off = 0; off < size; off += 211) {
		disk = copy_of(rec);
		assert_int_equal(recorder_flip(disk, DB_FILE, off, 0x80), 0);
		n = rows_after(disk);
		assert_int_equal(n, -EUCLEAN);
		recorder_free(disk);
	}
	recorder_free(rec);
}

static void swap_bytes(struct recorder *disk, const char *name, uint64_t a,
		       uint64_t b, size_t n)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	uint8_t p[FRAME], q[FRAME];

	assert_int_equal(io_open(recorder_io(disk), name, O_RDWR, &f), 0);
	assert_int_equal(io_pread(f, p, n, a), n);
	assert_int_equal(io_pread(f, q, n, b), n);
	assert_int_equal(io_pwrite(f, q, n, a), 0);
	assert_int_equal(io_pwrite(f, p, n, b), 0);
}

static void a_page_or_frame_moved_within_its_file_is_refused(void **state)
{
	uint64_t last;
	struct recorder *dead = dead_disk(&last), *disk;
	struct db *db = NULL;

	(void)state;
	disk = copy_of(dead);
	swap_bytes(disk, WAL_FILE, HEADER, HEADER + FRAME, FRAME);
	assert_int_equal(rows_after(disk), -EUCLEAN);
	recorder_free(disk);

	assert_int_equal(try_open(dead, &db), 0);
	db_close(db); /* all in the database now */
	swap_bytes(dead, DB_FILE, 2ul * 4096, 3ul * 4096, 4096);
	assert_int_equal(rows_after(dead), -EUCLEAN);
	recorder_free(dead);
}

/* A drive that lost a synced write shows what stood there before. */
static void an_older_frame_in_its_place_is_refused(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	struct io_file *f = NULL;
	uint8_t old[FRAME];

	(void)state;
	for (uint64_t k = 1; k <= 4; k++)
		assert_int_equal(put_in_transaction(db, k, 3000), 0);
	assert_int_equal(io_open(recorder_io(rec), WAL_FILE, O_RDONLY, &f), 0);
	assert_int_equal(io_pread(f, old, FRAME, HEADER + FRAME), FRAME);
	io_close(f);
	assert_int_equal(db_checkpoint(db, DB_CHECKPOINT_RESTART), 0);
	for (uint64_t k = 5; k <= 8; k++)
		assert_int_equal(put_in_transaction(db, k, 3000), 0);
	disk = copy_of(rec);
	db_close(db);
	assert_int_equal(io_open(recorder_io(disk), WAL_FILE, O_RDWR, &f), 0);
	assert_int_equal(io_pwrite(f, old, FRAME, HEADER + FRAME), 0);
	io_close(f);
	assert_int_equal(rows_after(disk), -EUCLEAN);
	recorder_free(disk);
	recorder_free(rec);
}

static void a_shortened_database_is_refused(void **state)
{
	uint64_t last;
	struct recorder *dead = dead_disk(&last);
	struct db *db = NULL;
	struct io_file *f;

	(void)state;
	assert_int_equal(try_open(dead, &db), 0);
	db_close(db);
	assert_int_equal(io_open(recorder_io(dead), DB_FILE, O_RDWR, &f), 0);
	assert_int_equal(
		io_truncate(f, (uint64_t)recorder_size(dead, DB_FILE) - 4096), 0);
	io_close(f);
	assert_int_equal(rows_after(dead), -EUCLEAN);
	recorder_free(dead);
}

/* Power goes while page 1 is rewritten by a checkpoint: the WAL has it. */
static void a_torn_first_page_is_healed_from_the_wal(void **state)
{
	uint64_t last;
	struct recorder *dead = dead_disk(&last);

	(void)state;
	assert_int_equal(recorder_flip(dead, DB_FILE, 100, 1), 0);
	assert_int_equal(rows_after(dead), 5);
	assert_int_equal(recorder_flip(dead, DB_FILE, 100, 1), 0);
	assert_int_equal(rows_after(dead), -EUCLEAN); /* no WAL any more */
	recorder_free(dead);
}

/* Not our setting, but the WAL's rewriting of its own frames must hold. */
static void a_transaction_that_spilled_survives(void **state)
{
	struct recorder *rec = new_disk(), *disk;
	struct db *db = open_db(rec);
	int64_t before;

	(void)state;
	assert_int_equal(
		db_exec(db, "PRAGMA cache_size = 10; PRAGMA cache_spill = 1"), 0);
	assert_int_equal(db_begin(db), 0);
	before = recorder_size(rec, WAL_FILE);
	for (uint64_t k = 1; k <= 60; k++)
		assert_int_equal(put_row(db, k, 3000), 0);
	assert_true(recorder_size(rec, WAL_FILE) > before + 20 * (int64_t)FRAME);
	/* again and again the same pages: their frames are overwritten */
	for (int round = 0; round < 3; round++)
		assert_int_equal(db_exec(db, "UPDATE t SET v = v || x'00';"
					     "UPDATE t SET v = substr(v, 1, 3000)"),
				 0);
	assert_int_equal(count_rows(db), 60);
	disk = cut_at(rec, recorder_length(rec), RECORDER_NOTHING, 0);
	assert_int_equal(rows_after(disk), 0);
	recorder_free(disk);
	assert_int_equal(db_commit(db), 0);
	disk = cut_at(rec, recorder_length(rec), RECORDER_ALL, 0);
	assert_int_equal(rows_after(disk), 60);
	recorder_free(disk);
	db_close(db);
	recorder_free(rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transactions_survive_every_cut),
		cmocka_unit_test(a_cut_in_a_second_life_is_survived),
		cmocka_unit_test(a_cut_wal_tail_costs_only_what_was_cut),
		cmocka_unit_test(a_flip_in_the_wal_is_an_error_or_the_end_of_the_log),
		cmocka_unit_test(
			a_zeroed_wal_header_is_damage_and_a_zeroed_wal_is_none),
		cmocka_unit_test(a_flip_in_the_wal_of_a_living_database_is_an_error),
		cmocka_unit_test(a_flip_in_any_page_is_an_error),
		cmocka_unit_test(a_page_or_frame_moved_within_its_file_is_refused),
		cmocka_unit_test(an_older_frame_in_its_place_is_refused),
		cmocka_unit_test(a_shortened_database_is_refused),
		cmocka_unit_test(a_torn_first_page_is_healed_from_the_wal),
		cmocka_unit_test(a_transaction_that_spilled_survives),
	};

	return cmocka_run_group_tests(tests, set_up_key, tear_down_key);
}
