#include "common.h"

#include <string.h>

#define ROW_MAX 12000u

struct secret *the_key;

int set_up_key(void **state)
{
	static const uint8_t bytes[SECRET_SIZE] = { 7, 7, 7 };

	(void)state;
	log_level_set(LOG_LEVEL_ERROR);
	if (secret_init_library() < 0)
		return -1;
	return secret_new(bytes, &the_key);
}

int tear_down_key(void **state)
{
	(void)state;
	secret_free(the_key);
	return 0;
}

struct recorder *new_disk(void)
{
	struct recorder *rec = NULL;

	assert_int_equal(recorder_new(&rec), 0);
	return rec;
}

struct recorder *cut_at(struct recorder *rec, size_t at,
			enum recorder_lose lose, uint64_t seed)
{
	struct recorder_cut cut = { at, lose, seed };
	struct recorder *disk = NULL;

	assert_int_equal(recorder_replay(rec, &cut, &disk), 0);
	return disk;
}

struct recorder *copy_of(struct recorder *rec)
{
	return cut_at(rec, recorder_length(rec), RECORDER_NOTHING, 0);
}

struct db_params params_of(struct recorder *rec)
{
	return (struct db_params){ .io = recorder_io(rec),
				   .name = DB_FILE,
				   .key = the_key,
				   .drive_id = "drive one",
				   .create = true,
				   .wal_prealloc_bytes = 64ul * 1024,
				   .cache_pages = 64 };
}

int try_open(struct recorder *rec, struct db **ret)
{
	struct db_params p = params_of(rec);

	return db_open(&p, ret, NULL);
}

struct db *open_db(struct recorder *rec)
{
	struct db *db = NULL;

	assert_int_equal(try_open(rec, &db), 0);
	assert_int_equal(db_exec(db, "CREATE TABLE IF NOT EXISTS t "
				     "(k INTEGER PRIMARY KEY, v BLOB NOT NULL)"),
			 0);
	return db;
}

static void make_row(uint8_t *p, uint64_t k, size_t n)
{
	char text[64];
	int len = snprintf(text, sizeof(text), PLAIN " %06u ", (unsigned)k);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)text[i % (size_t)len];
}

int put_row(struct db *db, uint64_t k, size_t n)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t v[ROW_MAX];
	int r;

	r = db_prepare(db, "INSERT INTO t VALUES (?1, ?2)", &s);
	if (r < 0)
		return r;
	assert_true(n <= sizeof(v));
	make_row(v, k, n);
	db_bind_u64(s, 1, k);
	db_bind_blob(s, 2, slice(v, n));
	return db_run(s);
}

int put_in_transaction(struct db *db, uint64_t k, size_t n)
{
	int r = db_begin(db);

	if (r < 0)
		return r;
	r = put_row(db, k, n);
	if (r < 0) {
		db_rollback(db);
		return r;
	}
	return db_commit(db);
}

int64_t count_rows(struct db *db)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t want[ROW_MAX];
	struct slice v;
	int64_t n = 0;
	int r;

	r = db_prepare(db, "SELECT k, v FROM t ORDER BY k", &s);
	if (r == -EINVAL)
		return 0; /* the table was not committed */
	if (r < 0)
		return r;
	while ((r = db_step(s)) > 0) {
		n++;
		v = db_col_blob(s, 1);
		if (db_col_i64(s, 0) != n || v.n > sizeof(want))
			return OTHER_BYTES;
		make_row(want, (uint64_t)n, v.n);
		if (!slice_eq(v, slice(want, v.n)))
			return OTHER_BYTES;
	}
	return r < 0 ? r : n;
}
