/*
 * db.h - encrypted SQLite databases: connections, transactions, statements
 *
 * A database is a file of the drive directory, opened through base/io.h.  Our
 * SQLite VFS (vfs.h) encrypts and authenticates every page and every WAL frame;
 * nothing that SQLite writes reaches the disk in the clear, and it never writes
 * anything but `name` and `name`-wal: journals and temporary tables stay in
 * memory.  Only src/db includes sqlite3.h.
 *
 * Settings: WAL, synchronous=FULL (an acknowledged COMMIT is durable), pages of
 * 4096 bytes with 40 reserved, cache_spill off (a transaction is written by its
 * COMMIT only), foreign keys off, temp_store memory, no automatic checkpoint, no
 * mmap.  Crash-safe creation: a database exists whole or not at all.
 *
 * Threading: a connection and its statements belong to one thread at a time
 * (the caller's mutex).  Several connections to the same (io, name) may live in
 * one process, each on its own thread: they share locks and wal-index in memory.
 * There is no lock between processes: the daemon holds the drive's only lock.
 * One writes at a time (-EBUSY for the second, at once, and for nobody else); readers
 * never wait.
 *
 * Errors: -errno, translated once from SQLite's:
 *
 *   EUCLEAN  a page or frame does not authenticate (damage, another drive's or
 *            database's file, wrong key), or SQLite finds the tree damaged
 *   ENOSPC   disk full: nothing of the transaction is left
 *   EIO      or the very errno that the disk gave
 *   EEXIST   a constraint (UNIQUE, CHECK, NOT NULL) refused the row
 *   EBUSY    another connection is writing, or holds what this needs
 *   ENOMEM, EROFS, EMSGSIZE, ECANCELED; EINVAL for SQL that does not compile
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

struct db;
struct db_stmt;
struct err;
struct io;
struct secret;

#define DB_DRIVE_ID_SIZE 16
#define DB_PAGE_SIZE     4096u
#define DB_NAME_MAX      64 /* bytes of params.name */

struct db_params {
	struct io *io;            /* borrowed; outlives the connection */
	const char *name;         /* "drive.db"; copied */
	const struct secret *key; /* borrowed; outlives the connection */
	uint8_t drive_id[DB_DRIVE_ID_SIZE];
	bool create;    /* make it if it is absent */
	bool read_only; /* -EROFS for every write; never checkpoints */
	uint64_t wal_prealloc_bytes; /* step of db_reserve(); 0: a default */
	uint32_t cache_pages;        /* clean pages kept; 0: a default */
};

/*
 * Open, recover the WAL, and read the schema.  A torn end of the WAL is dropped
 * (it was never acknowledged); any other damage found is -EUCLEAN.
 *
 * -ENOENT  absent, and not `create`
 */
must_check int db_open(const struct db_params *p, struct db **ret,
		       struct err *reterr);

/*
 * NULL is fine.  All statements are freed before.  An open transaction is rolled
 * back.  The last connection moves the WAL into the database and removes it;
 * where that fails the WAL stays and nothing is lost.
 */
void db_close(struct db *db);

/* Any SQL without parameters and rows (schema, pragma). */
must_check int db_exec(struct db *db, const char *sql);

/*
 * begin takes the writer's place at once (-EBUSY).  begin_read pins a snapshot
 * that ends with commit or rollback.  Rollback without a transaction is fine.
 * A begin right behind a commit of its own needs neither memory nor the disk.
 *
 * If commit fails the transaction is rolled back.  -ENOSPC: nothing of it is on
 * the disk.  -EIO, from the sync: it is not there for this process, but if that
 * ends before the next commit, the next one may find it whole (never a part).
 */
must_check int db_begin(struct db *db);
must_check int db_begin_read(struct db *db);
must_check int db_commit(struct db *db);
void db_rollback(struct db *db);
bool db_in_transaction(const struct db *db);

/*
 * One operation of several statements.  Savepoints nest; release keeps what was
 * done since, rollback_to undoes it; both end the innermost savepoint.
 * After an error that ended the whole transaction (db_in_transaction() is false
 * then) rollback_to does nothing.
 */
must_check int db_savepoint(struct db *db);
must_check int db_release(struct db *db);
void db_rollback_to(struct db *db);

enum db_checkpoint {
	DB_CHECKPOINT_PASSIVE,  /* as much as readers allow; never waits */
	DB_CHECKPOINT_RESTART,  /* all, and the next writer starts in front */
	DB_CHECKPOINT_TRUNCATE, /* all, and give the WAL's space back */
};

/*
 * Move committed frames from the WAL into the database.  -EBUSY if a reader or
 * writer is in the way (RESTART, TRUNCATE); -ENOSPC if the database cannot grow:
 * the WAL keeps everything, try later.
 */
must_check int db_checkpoint(struct db *db, enum db_checkpoint mode);

/* Bytes of the WAL in use: what the next checkpoint moves, at most. */
uint64_t db_wal_size(struct db *db);

/*
 * Upper bound of the pages that COMMIT of the open transaction would write: all
 * pages in this connection's cache.  At most params.cache_pages (and a few) more
 * than are really dirty, since clean pages beyond that are recycled first.
 * 0 without a transaction.  Costs some 50 ns.
 */
uint64_t db_dirty_pages(struct db *db);

/*
 * From now on a COMMIT of the open transaction and `n_pages` more changed pages
 * finds its room in the WAL: no -ENOSPC.  Space is allocated ahead of the write
 * position in steps of wal_prealloc_bytes (fallocate; zeros are written where the
 * file system cannot), so most calls are arithmetic only.  -ENOSPC: nothing has
 * changed, commit or refuse the operation.  To be called before the statements
 * of an operation with a bound of what they change: in a b-tree of depth d a row
 * that is put or changed touches at most 5d + 4 pages, one that is deleted twice
 * that, and either one more for each 4052 bytes of row.
 */
must_check int db_reserve(struct db *db, uint64_t n_pages);

/*
 * All trees and every page in use, like fsck: -EUCLEAN with a reason, or 0.
 */
must_check int db_check(struct db *db, struct err *reterr);

/* --- statements ------------------------------------------------------------
 *
 * The convention for a room's statements (stmts.h of that room):
 *
 *   #define STMTS(STMT)                                             \
 *           STMT(inode_get, "SELECT mode FROM inode WHERE ino = ?1") \
 *           STMT(inode_del, "DELETE FROM inode WHERE ino = ?1")
 *
 *   enum { STMTS(DB_STMT_ENUM) N_STMTS };
 *   static const char *const sql[] = { STMTS(DB_STMT_SQL) };
 *   struct db_stmt *st[N_STMTS];
 *   r = db_prepare_all(db, sql, N_STMTS, st);
 *   db_bind_u64(st[STMT_inode_get], 1, ino);
 */
#define DB_STMT_ENUM(name, sql) STMT_##name,
#define DB_STMT_SQL(name, sql)  sql,

/* One statement; text behind it is refused (-EINVAL). */
must_check int db_prepare(struct db *db, const char *sql, struct db_stmt **ret);

/* All or none. */
must_check int db_prepare_all(struct db *db, const char *const *sql, size_t n,
			      struct db_stmt **ret);
void db_stmt_free(struct db_stmt *s); /* NULL is fine */
void db_stmt_free_all(struct db_stmt **s, size_t n);

/*
 * Parameters count from 1.  The statement is reset (new, or after db_reset,
 * db_run, or a db_step that returned 0 or an error).  u64 is kept as the i64 of
 * the same bits (so it sorts as signed).  Blobs are borrowed until the statement
 * has been reset; an empty blob is a blob, not NULL.  Bindings are kept over a
 * reset.  A failure is remembered and returned by the next db_step().
 */
void db_bind_u64(struct db_stmt *s, int index, uint64_t v);
void db_bind_i64(struct db_stmt *s, int index, int64_t v);
void db_bind_blob(struct db_stmt *s, int index, struct slice v);

/* 1: a row; 0: done, and the statement is reset; -errno: likewise reset. */
must_check int db_step(struct db_stmt *s);

/* Columns count from 0, of the row of the last db_step(). NULL reads as 0. */
uint64_t db_col_u64(struct db_stmt *s, int i);
int64_t db_col_i64(struct db_stmt *s, int i);
struct slice db_col_blob(struct db_stmt *s, int i); /* until step or reset */

void db_reset(struct db_stmt *s);

/* Step to the end and reset: for what returns no rows. */
must_check int db_run(struct db_stmt *s);

uint64_t db_changes(struct db *db); /* rows changed by the last statement */
int64_t db_last_rowid(struct db *db);

static inline void db_closep(struct db **db)
{
	db_close(*db);
}

static inline void db_stmt_freep(struct db_stmt **s)
{
	db_stmt_free(*s);
}

#define _cleanup_db_      _cleanup_(db_closep)
#define _cleanup_db_stmt_ _cleanup_(db_stmt_freep)

#endif
