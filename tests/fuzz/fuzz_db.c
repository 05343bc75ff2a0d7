/*
 * fuzz_db.c - a database and its WAL as a damaged disk, or whoever has the key,
 * may give them back
 *
 * The input is a list of changes of 8 bytes to a small database whose last rows
 * stand in the WAL only:
 *
 *   offset  size  field
 *   0       1     what: see enum change
 *   1       1     XORed onto one byte; 0 changes nothing
 *   2       2     page or frame, LE
 *   4       4     byte in it, or in the file, LE
 *
 * Changes of the disk may cost an error, or rows at the end of the log; what is
 * read is what was written.  Changes below the seal may make SQLite read
 * anything: it must not crash, and neither may the VFS.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "db/db.h"
#include "db/pagecrypt.h"
#include "helper/recorder.h"
#include "tests/fuzz/zerokeys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DB      "t.db"
#define WAL     "t.db-wal"
#define CHANGES 16
#define ROWS    9

enum change {
	FLIP_DB,
	FLIP_WAL,
	CUT_DB,
	CUT_WAL,
	PAGE, /* and all below: sealed again */
	FRAME,
	WAL_HEADER,
	CHANGE_NX
};

static struct recorder *whole;

static struct db_params params(struct recorder *rec)
{
	return (struct db_params){ .io = recorder_io(rec),
				   .name = DB,
				   .key = keys_secret(zero_keys(), KEYS_DB),
				   .create = true,
				   .wal_prealloc_bytes = 4096 };
}

static void row(uint64_t k, uint8_t v[static 3000])
{
	memset(v, (int)(k * 37), 3000);
}

static int put(struct db *db, uint64_t k)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t v[3000];
	int r = db_prepare(db, "INSERT OR REPLACE INTO t VALUES (?1, ?2)", &s);

	if (r < 0)
		return r;
	row(k, v);
	db_bind_u64(s, 1, k);
	db_bind_blob(s, 2, slice(v, sizeof(v)));
	return db_run(s);
}

static struct recorder *copy_of(struct recorder *rec)
{
	struct recorder_cut cut = { recorder_length(rec), RECORDER_NOTHING, 0 };
	struct recorder *ret = NULL;
	int r = recorder_replay(rec, &cut, &ret);

	assert(r == 0);
	return ret;
}

/* Rows 1 to 5 in the database and a stale log, 6 to ROWS in the new log. */
static void prepare(void)
{
	struct recorder *rec = NULL;
	struct db_params p;
	struct db *db = NULL;
	int r;

	log_level_set(LOG_LEVEL_ERROR - 1);
	r = recorder_new(&rec);
	assert(r == 0);
	p = params(rec);
	r = db_open(&p, &db, NULL);
	assert(r == 0);
	r = db_exec(db, "CREATE TABLE t (k INTEGER PRIMARY KEY, v BLOB NOT NULL)");
	for (uint64_t k = 1; k <= ROWS && r == 0; k++) {
		r = put(db, k);
		if (r == 0 && k == 5)
			r = db_checkpoint(db, DB_CHECKPOINT_RESTART);
	}
	assert(r == 0);
	whole = copy_of(rec);
	db_close(db);
	recorder_free(rec);
}

/* Change a byte of what is sealed at `at`. */
static void below(struct io_file *f, enum page_kind kind, uint64_t pos, uint64_t at,
		  size_t n, uint32_t byte, uint8_t mask, struct recorder *rec)
{
	uint8_t text[FRAME_DISK];
	struct db_params p = params(rec);
	struct pagecrypt pc;
	int r;

	pagecrypt_init(&pc, &p);
	if (io_pread(f, text, n + AEAD_MARK_SIZE, at) !=
		    (int64_t)(n + AEAD_MARK_SIZE) ||
	    pagecrypt_open(&pc, kind, pos, n, text) < 0)
		return;
	text[byte % n] ^= mask;
	pagecrypt_seal(&pc, kind, pos, text, n, text);
	r = io_pwrite(f, text, n + AEAD_MARK_SIZE, at);
	assert(r == 0);
}

static void change(struct recorder *rec, const uint8_t *p)
{
	enum change what = p[0] % CHANGE_NX;
	bool wal = what == FLIP_WAL || what == CUT_WAL || what >= FRAME;
	uint32_t pos = p[2] | (uint32_t)p[3] << 8, byte = get_le32(p + 4);
	_cleanup_io_file_ struct io_file *f = NULL;
	uint64_t n = 0;
	int r;

	r = io_open(recorder_io(rec), wal ? WAL : DB, O_RDWR, &f);
	if (r == 0)
		r = io_size(f, &n);
	assert(r == 0);
	if (n == 0)
		return;
	switch (what) {
	case FLIP_DB:
	case FLIP_WAL:
		r = recorder_flip(rec, wal ? WAL : DB, byte % n, p[1]);
		break;
	case CUT_DB:
	case CUT_WAL: r = io_truncate(f, byte % n); break;
	case PAGE:
		pos = pos % 16 + 1;
		below(f, PAGE_MAIN, pos, (pos - 1) * (uint64_t)DB_PAGE_SIZE,
		      PAGE_TEXT, byte, p[1], rec);
		break;
	case FRAME:
		pos = pos % 32 + 1;
		below(f, PAGE_WAL_FRAME, pos,
		      WAL_HEADER_SPACE + (pos - 1) * (uint64_t)FRAME_DISK,
		      FRAME_TEXT, byte, p[1], rec);
		break;
	case WAL_HEADER:
		below(f, PAGE_WAL_HEADER, 0, 0, WAL_HEADER_SIZE, byte, p[1], rec);
		break;
	case CHANGE_NX: break;
	}
	assert(r == 0);
}

static int read_rows(struct db *db, bool honest)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	uint8_t want[3000];
	uint64_t n = 0;
	int r = db_prepare(db, "SELECT k, v FROM t ORDER BY k", &s);

	if (r < 0)
		return r;
	while ((r = db_step(s)) > 0) {
		n++;
		if (!honest)
			continue;
		row(n, want);
		assert(db_col_u64(s, 0) == n);
		assert(slice_eq(db_col_blob(s, 1), slice(want, sizeof(want))));
	}
	return r;
}

static void use(struct recorder *rec, bool honest)
{
	struct db_params p = params(rec);
	struct db *db = NULL;
	int r;

	r = db_open(&p, &db, NULL);
	if (r < 0)
		return;
	r = read_rows(db, honest);
	if (r == 0)
		r = db_check(db, NULL);
	if (r == 0)
		r = put(db, 1);
	if (r == 0)
		r = db_checkpoint(db, DB_CHECKPOINT_PASSIVE);
	db_close(db);
	db = NULL;
	if (r == 0 && db_open(&p, &db, NULL) == 0) {
		r = read_rows(db, honest);
		assert(r == 0 || !honest);
	}
	db_close(db);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct recorder *rec;
	bool honest = true;

	if (size > (size_t)CHANGES * 8)
		return 0;
	if (!whole)
		prepare();
	rec = copy_of(whole);
	for (size_t i = 0; i + 8 <= size; i += 8) {
		honest &= data[i] % CHANGE_NX < PAGE;
		change(rec, data + i);
	}
	use(rec, honest);
	recorder_free(rec);
	return 0;
}
