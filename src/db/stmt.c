/* stmt.c - prepared statements */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "db/conn.h"

struct db_stmt {
	sqlite3_stmt *st;
	struct db *db;
	int bind_rc; /* of the first bind that failed, since the last step */
};

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret)
{
	_cleanup_db_stmt_ struct db_stmt *s = calloc(1, sizeof(*s));
	const char *tail = NULL;
	int rc;

	if (!s)
		return -ENOMEM;
	s->db = db;
	rc = sqlite3_prepare_v3(db->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT,
				&s->st, &tail);
	if (rc != SQLITE_OK)
		return db_err(db, rc, sql);
	if (!s->st || tail[strspn(tail, " \t\n;")])
		return -EINVAL;
	*ret = steal(&s);
	return 0;
}

int db_prepare_all(struct db *db, const char *const *sql, size_t n,
		   struct db_stmt **ret)
{
	int r;

	for (size_t i = 0; i < n; i++) {
		r = db_prepare(db, sql[i], &ret[i]);
		if (r < 0) {
			db_stmt_free_all(ret, i);
			return r;
		}
	}
	return 0;
}

void db_stmt_free(struct db_stmt *s)
{
	if (!s)
		return;
	(void)sqlite3_finalize(s->st); /* repeats the last step's error */
	free(s);
}

void db_stmt_free_all(struct db_stmt **s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		db_stmt_free(s[i]);
		s[i] = NULL;
	}
}

static void note_bind(struct db_stmt *s, int rc)
{
	/* A wrong index or a running statement is our own bug. */
	assert(rc != SQLITE_RANGE && rc != SQLITE_MISUSE);
	if (rc != SQLITE_OK && s->bind_rc == SQLITE_OK)
		s->bind_rc = rc;
}

void db_bind_i64(struct db_stmt *s, int index, int64_t v)
{
	note_bind(s, sqlite3_bind_int64(s->st, index, v));
}

void db_bind_u64(struct db_stmt *s, int index, uint64_t v)
{
	db_bind_i64(s, index, (int64_t)v);
}

void db_bind_blob(struct db_stmt *s, int index, struct slice v)
{
	note_bind(s, sqlite3_bind_blob64(s->st, index,
					 v.n ? v.p : (const uint8_t *)"", v.n,
					 SQLITE_STATIC));
}

int db_step(struct db_stmt *s)
{
	int rc = s->bind_rc;

	s->bind_rc = SQLITE_OK;
	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->st);
	if (rc == SQLITE_ROW)
		return 1;
	(void)sqlite3_reset(s->st); /* repeats the step's error */
	if (rc == SQLITE_DONE)
		return 0;
	return db_err(s->db, rc, sqlite3_sql(s->st));
}

int64_t db_col_i64(struct db_stmt *s, int i)
{
	return sqlite3_column_int64(s->st, i);
}

uint64_t db_col_u64(struct db_stmt *s, int i)
{
	return (uint64_t)sqlite3_column_int64(s->st, i);
}

struct slice db_col_blob(struct db_stmt *s, int i)
{
	const void *p = sqlite3_column_blob(s->st, i);
	int n = sqlite3_column_bytes(s->st, i);

	return p && n > 0 ? slice(p, (size_t)n) : SLICE_NONE;
}

void db_reset(struct db_stmt *s)
{
	(void)sqlite3_reset(s->st); /* repeats the step's error */
}

int db_run(struct db_stmt *s)
{
	int r;

	do
		r = db_step(s);
	while (r > 0);
	return r;
}
