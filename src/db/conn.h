/* conn.h - inside of src/db: what a connection is */
#ifndef DB_CONN_H
#define DB_CONN_H

#include <sqlite3.h>

#include "db/db.h"

struct vfs;

/* The room's own statements, prepared once. */
enum {
	OWN_BEGIN,
	OWN_BEGIN_READ,
	OWN_TOUCH, /* takes the snapshot */
	OWN_COMMIT,
	OWN_ROLLBACK,
	OWN_SAVEPOINT,
	OWN_RELEASE,
	OWN_ROLLBACK_TO,
	N_OWN
};

struct db {
	sqlite3 *sqlite;
	struct vfs *vfs;
	struct db_stmt *own[N_OWN];
	bool read_only;
};

/*
 * -errno for SQLite's code.  Logs what is worth a line (not EBUSY, EEXIST), with
 * `what` (SQL or a verb) beside it.
 */
int db_err(struct db *db, int rc, const char *what);

#endif
