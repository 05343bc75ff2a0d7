#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "db/conn.h"
#include "db/share.h"
#include "db/vfs.h"
#include "db/walfile.h"

#define CACHE_PAGES_DEFAULT 4096u

static const char *const own_sql[N_OWN] = {
	[OWN_BEGIN] = "BEGIN IMMEDIATE",
	[OWN_BEGIN_READ] = "BEGIN",
	[OWN_TOUCH] = "SELECT 1 FROM sqlite_schema LIMIT 1",
	[OWN_COMMIT] = "COMMIT",
	[OWN_ROLLBACK] = "ROLLBACK",
	[OWN_SAVEPOINT] = "SAVEPOINT op",
	[OWN_RELEASE] = "RELEASE op",
	[OWN_ROLLBACK_TO] = "ROLLBACK TO op",
};

/* What our VFS heard from the disk is better than SQLite's word for it. */
static int disk_error(struct db *db, int otherwise)
{
	int r = db->vfs->error;

	db->vfs->error = 0;
	return r < 0 ? r : otherwise;
}

static int translate(struct db *db, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return rc == SQLITE_IOERR_NOMEM ? -ENOMEM : disk_error(db, -EIO);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return -EUCLEAN;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_CONSTRAINT: return -EEXIST;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: return -EBUSY;
	case SQLITE_TOOBIG: return -EMSGSIZE;
	case SQLITE_INTERRUPT:
	case SQLITE_ABORT: return -ECANCELED; /* its transaction is gone */
	case SQLITE_ERROR: return -EINVAL;
	default: return -ENOTRECOVERABLE; /* none that we know to happen */
	}
}

int db_err(struct db *db, int rc, const char *what)
{
	int r = translate(db, rc);

	if (r != -EBUSY && r != -EEXIST)
		log_warn("%s: %s: %s (%s, SQLite %d)", db->vfs->name, what,
			 err_str(r), sqlite3_errmsg(db->sqlite), rc);
	return r;
}

int db_exec(struct db *db, const char *sql)
{
	int rc = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_err(db, rc, sql);
}

/* --- open and close --- */

static void conn_fini(struct db *db)
{
	int rc;

	if (!db->vfs)
		return;
	db_stmt_free_all(db->own, N_OWN);
	rc = sqlite3_close(db->sqlite);
	assert(rc == SQLITE_OK); /* else statements of the caller are alive */
	db->sqlite = NULL;
	vfs_free(db->vfs);
	db->vfs = NULL;
}

/*
 * secure_delete (Debian's default is on) would write freed pages full of zeros;
 * what they hold is ciphertext on the disk anyway.
 */
static int set_up(struct db *db, uint32_t cache_pages)
{
	int reserve = AEAD_MARK_SIZE;
	char sql[64];
	int r, rc;

	rc = sqlite3_file_control(db->sqlite, "main",
				  SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	if (rc != SQLITE_OK)
		return db_err(db, rc, "reserve");
	(void)snprintf(sql, sizeof(sql), "PRAGMA cache_size = %u", /* fits */
		       cache_pages ? MIN(cache_pages, 1u << 24) :
				     CACHE_PAGES_DEFAULT);
	r = db_exec(db, "PRAGMA page_size = 4096; PRAGMA temp_store = memory;"
			"PRAGMA synchronous = FULL; PRAGMA foreign_keys = off;"
			"PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0;"
			"PRAGMA trusted_schema = off; PRAGMA cell_size_check = on;"
			"PRAGMA recursive_triggers = off;"
			"PRAGMA auto_vacuum = none; PRAGMA secure_delete = off");
	if (r == 0)
		r = db_exec(db, sql);
	return r == 0 ? db_exec(db, "PRAGMA cache_spill = off") : r;
}

/* With the registry locked on success, as vfs_new() leaves it. */
static int conn_init(struct db *db, const struct db_params *p, const char *file)
{
	int flags = p->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	int r, rc;

	r = vfs_new(p, file, &db->vfs);
	if (r < 0)
		return r;
	db->read_only = p->read_only;
	rc = sqlite3_open_v2(file, &db->sqlite, flags | SQLITE_OPEN_NOMUTEX,
			     db->vfs->id);
	if (rc == SQLITE_OK)
		rc = sqlite3_extended_result_codes(db->sqlite, 1);
	if (rc == SQLITE_OK && p->read_only)
		rc = sqlite3_db_config(db->sqlite,
				       SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	r = rc == SQLITE_OK ? set_up(db, p->cache_pages) : db_err(db, rc, "open");
	if (r < 0)
		conn_fini(db);
	return r;
}

/* Journal in memory: only at the birth of a file that nobody knows yet. */
static int write_first_page(const struct db_params *p, const char *file)
{
	struct db_params params = *p;
	struct db db = { 0 };
	int r;

	params.read_only = false;
	r = conn_init(&db, &params, file);
	if (r < 0)
		return r;
	r = db_exec(&db, "PRAGMA journal_mode = memory;"
			 "PRAGMA journal_mode = wal");
	conn_fini(&db);
	return r;
}

/*
 * The database appears by a rename, whole and in WAL mode.  A WAL that an older
 * database of this name left behind must not be played into the new one.
 */
static int create(const struct db_params *p)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	char file[DB_NAME_MAX + 8], wal[DB_NAME_MAX + 8], dir[DB_NAME_MAX + 8] = ".";
	const char *slash = strrchr(p->name, '/');
	uint64_t size = 0;
	int r;

	(void)snprintf(file, sizeof(file), "%s.new", p->name); /* fits */
	(void)snprintf(wal, sizeof(wal), "%s-wal", p->name);   /* fits */
	if (slash)
		(void)snprintf(dir, sizeof(dir), "%.*s", /* fits */
			       (int)(slash - p->name), p->name);
	r = io_unlink(p->io, wal);
	if (r == 0)
		r = io_syncdir(p->io, dir);
	if (r < 0 && r != -ENOENT)
		return r;
	r = io_open(p->io, file, O_RDWR | O_CREAT | O_TRUNC, &f);
	if (r == 0)
		r = write_first_page(p, file);
	if (r == 0)
		r = io_size(f, &size);
	if (r == 0 && size < DB_PAGE_SIZE)
		r = -EIO;
	if (r == 0)
		r = io_datasync(f);
	if (r == 0)
		r = io_rename(p->io, file, p->name);
	if (r == 0)
		r = io_syncdir(p->io, dir);
	return r;
}

/* Our databases have at least a page; an empty one would be SQLite's to fill. */
static int look(const struct db_params *p)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	uint64_t size = 0;
	int r;

	r = io_open(p->io, p->name, O_RDONLY, &f);
	if (r == 0)
		r = io_size(f, &size);
	return r < 0 ? r : size < DB_PAGE_SIZE ? -EUCLEAN : 0;
}

/* Recovers the WAL, so that damage shows now and not in the first operation. */
static int first_read(struct db *db)
{
	int r;

	r = db_exec(db, "SELECT 1 FROM sqlite_schema LIMIT 1");
	if (r < 0)
		return r;
	if (!db->vfs->wal) /* page 1 says so, and page 1 is ours */
		return log_err(-EUCLEAN, "%s: not in WAL mode", db->vfs->name);
	return db_prepare_all(db, own_sql, N_OWN, db->own);
}

int db_open(const struct db_params *p, struct db **ret, struct err *reterr)
{
	_cleanup_free_ struct db *db = NULL;
	int r;

	assert(p->name[0] && strlen(p->name) <= DB_NAME_MAX);
	r = look(p);
	if (r == -ENOENT && p->create && !p->read_only)
		r = create(p);
	if (r < 0)
		return err_set(reterr, r, "%s: %s", p->name, err_str(r));
	db = calloc(1, sizeof(*db));
	if (!db)
		return -ENOMEM;
	r = conn_init(db, p, p->name);
	if (r < 0)
		return err_set(reterr, r, "%s: %s", p->name, err_str(r));
	r = first_read(db);
	if (r < 0) {
		conn_fini(db);
		return err_set(reterr, r, "%s: %s", p->name, err_str(r));
	}
	share_opened();
	*ret = steal(&db);
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	db_rollback(db);
	share_closing();
	conn_fini(db);
	free(db);
}

/* --- transactions --- */

bool db_in_transaction(const struct db *db)
{
	return !sqlite3_get_autocommit(db->sqlite);
}

int db_begin(struct db *db)
{
	if (db->read_only)
		return -EROFS; /* SQLite would begin to read instead */
	return db_run(db->own[OWN_BEGIN]);
}

int db_begin_read(struct db *db)
{
	int r;

	r = db_run(db->own[OWN_BEGIN_READ]);
	if (r < 0)
		return r;
	r = db_run(db->own[OWN_TOUCH]);
	if (r < 0)
		db_rollback(db);
	return r;
}

int db_commit(struct db *db)
{
	int r = db_run(db->own[OWN_COMMIT]);

	if (r < 0)
		db_rollback(db);
	return r;
}

void db_rollback(struct db *db)
{
	if (db_in_transaction(db))
		best_effort(db_run(db->own[OWN_ROLLBACK])); /* drops memory only */
}

int db_savepoint(struct db *db)
{
	assert(db_in_transaction(db)); /* outside it would be a transaction */
	return db_run(db->own[OWN_SAVEPOINT]);
}

int db_release(struct db *db)
{
	return db_run(db->own[OWN_RELEASE]);
}

void db_rollback_to(struct db *db)
{
	int r;

	if (!db_in_transaction(db))
		return;
	r = db_run(db->own[OWN_ROLLBACK_TO]);
	if (r == 0)
		r = db_run(db->own[OWN_RELEASE]);
	if (r < 0)
		db_rollback(db); /* half an operation must not be committed */
}

/* --- the WAL --- */

int db_checkpoint(struct db *db, enum db_checkpoint mode)
{
	static const int modes[] = { SQLITE_CHECKPOINT_PASSIVE,
				     SQLITE_CHECKPOINT_RESTART,
				     SQLITE_CHECKPOINT_TRUNCATE };
	struct share *sh = db->vfs->share;
	int n_log = -1, n_done = -1, rc;
	uint64_t turn;

	lock_take(&sh->lock);
	turn = sh->wal_turn;
	lock_drop(&sh->lock);
	db->vfs->restarts = mode != DB_CHECKPOINT_PASSIVE;
	rc = sqlite3_wal_checkpoint_v2(db->sqlite, "main", modes[mode], &n_log,
				       &n_done);
	db->vfs->restarts = false;
	lock_take(&sh->lock);
	if (n_done > 0 && turn == sh->wal_turn)
		sh->wal_done = MIN(sh->wal_used,
				   WAL_HEADER_SPACE + (uint64_t)n_done * FRAME_DISK);
	lock_drop(&sh->lock);
	return rc == SQLITE_OK ? 0 : db_err(db, rc, "checkpoint");
}

uint64_t db_wal_size(struct db *db)
{
	struct share *sh = db->vfs->share;
	uint64_t n;

	lock_take(&sh->lock);
	n = sh->wal_used - MIN(sh->wal_used, MAX(sh->wal_done, WAL_HEADER_SPACE));
	lock_drop(&sh->lock);
	return n;
}

uint64_t db_dirty_pages(struct db *db)
{
	int now = 0, high;

	if (!db_in_transaction(db))
		return 0;
	if (sqlite3_db_status(db->sqlite, SQLITE_DBSTATUS_CACHE_USED, &now,
			      &high, 0) != SQLITE_OK ||
	    now < 0)
		return UINT32_MAX; /* unknown: then nothing fits */
	return (uint64_t)now / DB_PAGE_SIZE + 1;
}

int db_reserve(struct db *db, uint64_t n_pages)
{
	uint64_t n = db_dirty_pages(db) + n_pages + 1; /* page 1 */

	if (!db->vfs->wal)
		return -EROFS;
	if (n > UINT32_MAX)
		return -ENOSPC;
	return walfile_reserve(db->vfs->wal, n * FRAME_DISK);
}

/* --- the rest --- */

int db_check(struct db *db, struct err *reterr)
{
	_cleanup_db_stmt_ struct db_stmt *s = NULL;
	struct slice text;
	int r;

	r = db_prepare(db, "PRAGMA integrity_check(1)", &s);
	if (r < 0)
		return r;
	r = db_step(s);
	if (r <= 0)
		return r < 0 ? r : -EUCLEAN;
	text = db_col_blob(s, 0);
	if (slice_eq(text, slice_str("ok")))
		return 0;
	return err_set(reterr, -EUCLEAN, "%s: %.*s", db->vfs->name, (int)text.n,
		       (const char *)text.p);
}

uint64_t db_changes(struct db *db)
{
	return (uint64_t)sqlite3_changes64(db->sqlite);
}

int64_t db_last_rowid(struct db *db)
{
	return sqlite3_last_insert_rowid(db->sqlite);
}
