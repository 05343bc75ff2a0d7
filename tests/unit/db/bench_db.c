/*
 * bench_db.c - what the encryption costs: our VFS beside SQLite's own
 *
 * usage: bench_db [directory]     (meson test --benchmark db)
 *
 * Rows like a dentry's and an inode's into a transaction that is held open, each
 * operation in a savepoint and behind a reservation; then COMMIT, checkpoint, and
 * look-ups with a cache too small to hold the pages.  Prints microseconds each.
 */
#include <errno.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/thread.h"
#include "crypto/secret.h"
#include "db/conn.h"
#include "db/db.h"

#define ROWS    200000u
#define LOOKUPS 100000u

enum {
	PUT_INODE,
	PUT_NAME,
	GET,
	N_STMT
};

static const char *const sql[N_STMT] = {
	"INSERT INTO inode VALUES (?1, 33188, 1000, 1000, 0, ?2, ?2)",
	"INSERT INTO name VALUES (1, ?1, ?2)",
	"SELECT mtime FROM inode WHERE ino = ?1",
};

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int fill(struct db *db, struct db_stmt **st, bool reserve)
{
	char name[40];
	int r = db_begin(db);

	for (uint64_t k = 1; r == 0 && k <= ROWS; k++) {
		int n = snprintf(name, sizeof(name), "file-%08llu.txt",
				 (unsigned long long)(k * 2654435761u % ROWS));

		if (reserve)
			r = db_reserve(db, 20);
		if (r == 0)
			r = db_savepoint(db);
		db_bind_u64(st[PUT_INODE], 1, k);
		db_bind_u64(st[PUT_INODE], 2, k << 30);
		if (r == 0)
			r = db_run(st[PUT_INODE]);
		db_bind_blob(st[PUT_NAME], 1, slice(name, (size_t)n));
		db_bind_u64(st[PUT_NAME], 2, k);
		if (r == 0)
			r = db_run(st[PUT_NAME]);
		if (r == 0)
			r = db_release(db);
	}
	return r;
}

static int look_up(struct db_stmt *st)
{
	uint64_t k = 1;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < LOOKUPS; i++) {
		k = (k * 48271 + 11) % ROWS;
		db_bind_u64(st, 1, k + 1);
		r = db_step(st) == 1 ? 0 : -ENOENT;
		db_reset(st);
	}
	return r;
}

static int measure(struct db *db, const char *what, bool reserve)
{
	struct db_stmt *st[N_STMT] = { NULL };
	double t[5];
	int r;

	r = db_exec(db, "CREATE TABLE inode (ino INTEGER PRIMARY KEY, mode, uid, gid,"
			" size, mtime, ctime);"
			"CREATE TABLE name (parent, name, ino,"
			" PRIMARY KEY (parent, name)) WITHOUT ROWID");
	if (r == 0)
		r = db_prepare_all(db, sql, N_STMT, st);
	if (r < 0)
		return r;
	t[0] = seconds();
	r = fill(db, st, reserve);
	t[1] = seconds();
	if (r == 0)
		r = db_commit(db);
	t[2] = seconds();
	if (r == 0)
		r = db_checkpoint(db, DB_CHECKPOINT_TRUNCATE);
	t[3] = seconds();
	if (r == 0)
		r = db_exec(db, "PRAGMA shrink_memory; PRAGMA cache_size = 200");
	if (r == 0)
		r = look_up(st[GET]);
	t[4] = seconds();
	db_stmt_free_all(st, N_STMT);
	printf("# %-9s create %.2f us  commit %.2f us a row  checkpoint %.2f us a "
	       "row  cold look-up %.2f us\n",
	       what, (t[1] - t[0]) * 1e6 / ROWS, (t[2] - t[1]) * 1e6 / ROWS,
	       (t[3] - t[2]) * 1e6 / ROWS, (t[4] - t[3]) * 1e6 / LOOKUPS);
	return r;
}

static int sealed(struct io *io, const struct secret *key)
{
	struct db_params p = {
		.io = io, .name = "sealed.db", .key = key, .create = true
	};
	struct db *db = NULL;
	int r = db_open(&p, &db, NULL);

	if (r == 0)
		r = measure(db, "sealed", true);
	db_close(db);
	return r;
}

/* The same connection but for the VFS: SQLite's own. */
static int plain(struct io *io, const struct secret *key, const char *file)
{
	struct db_params p = { .io = io, .name = "other.db", .key = key, .create = true };
	struct db *db = NULL;
	sqlite3 *ours;
	int r = db_open(&p, &db, NULL);

	if (r < 0)
		return r;
	ours = db->sqlite;
	r = -EIO;
	if (sqlite3_open_v2(file, &db->sqlite,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX,
			    "unix") == SQLITE_OK)
		r = db_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				"PRAGMA cache_spill = off; PRAGMA cache_size = 4096;"
				"PRAGMA wal_autocheckpoint = 0");
	if (r == 0) {
		struct db_stmt *own[N_OWN];

		memcpy(own, db->own, sizeof(own));
		r = db_prepare(db, "BEGIN IMMEDIATE", &db->own[OWN_BEGIN]);
		if (r == 0)
			r = db_prepare(db, "COMMIT", &db->own[OWN_COMMIT]);
		if (r == 0)
			r = db_prepare(db, "SAVEPOINT op", &db->own[OWN_SAVEPOINT]);
		if (r == 0)
			r = db_prepare(db, "RELEASE op", &db->own[OWN_RELEASE]);
		if (r == 0)
			r = measure(db, "plain", false);
		for (int i = 0; i < N_OWN; i++)
			if (db->own[i] != own[i])
				db_stmt_free(db->own[i]);
		memcpy(db->own, own, sizeof(own));
	}
	(void)sqlite3_close(db->sqlite);
	db->sqlite = ours;
	db_close(db);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const files[] = { "sealed.db", "other.db", "plain.db" };
	_cleanup_secret_ struct secret *key = NULL;
	char dir[200], file[256];
	struct io *io = NULL;
	int r;

	(void)snprintf(dir, sizeof(dir), "%s/fildrive-bench-XXXXXX",
		       argc > 1 ? argv[1] : "/tmp");
	if (!mkdtemp(dir) || secret_init_library() < 0 ||
	    secret_new_random(&key) < 0)
		return 1;
	r = io_dir_new(dir, &io);
	if (r < 0)
		return 1;
	(void)snprintf(file, sizeof(file), "%s/plain.db", dir);
	r = sealed(io, key);
	if (r == 0)
		r = plain(io, key, file);
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		best_effort(io_unlink(io, files[i])); /* a rest in /tmp */
	io_free(io);
	(void)rmdir(dir); /* likewise */
	return r == 0 ? 0 : 1;
}
