/*
 * vfs.h - the SQLite VFS of one connection
 *
 * Each connection registers a VFS of its own, so that errors of the disk find
 * their way back to it and no state is global.  It opens exactly two files:
 * the database and its WAL (walfile.h).  Everything else that SQLite might want
 * to open (journals, super-journals, temporary files, attached databases) is
 * refused, since it would lie in the clear.
 *
 * Before it opens the WAL SQLite peeks at the first 100 bytes of the database
 * for the page size.  A power cut during a checkpoint may have torn page 1 while
 * the WAL still has it whole; then the peek is answered with the constants that
 * hold for all our databases, and the page itself is read from the WAL.  A torn
 * page 1 that is not in the WAL is damage and is found when it is read whole.
 *
 * Threading: as the connection.
 */
#ifndef DB_VFS_H
#define DB_VFS_H

#include <sqlite3.h>

#include "db/pagecrypt.h"

struct io;
struct io_file;
struct share;
struct walfile;

struct vfs {
	sqlite3_vfs base;
	char id[40]; /* our name in SQLite's list */
	struct io *io;
	struct share *share;
	char name[DB_NAME_MAX + 8]; /* the database file */
	char wal_name[DB_NAME_MAX + 16];
	char dir[DB_NAME_MAX + 8]; /* where they stand */
	bool read_only;
	bool restarts;     /* a checkpoint in the writer's place */
	bool recovering;   /* holds the slot of WAL recovery */
	int error;         /* -errno of the disk, or 0 */
	uint64_t wal_step; /* bytes */
	struct walfile *wal;
	struct pagecrypt pc;
	uint8_t scratch[DB_PAGE_SIZE];
};

/*
 * `name` is the file; p->name is what its pages are bound to.  On success the
 * registry of shares is locked (share.h) until share_opened().
 */
must_check int vfs_new(const struct db_params *p, const char *name,
		       struct vfs **ret);

/* The registry is locked (share_closing() or vfs_new()); unlocks it. */
void vfs_free(struct vfs *v);

/*
 * Note what the disk said and give SQLite a code for it.  `ioerr` is the
 * SQLITE_IOERR_… that fits the call.
 */
int vfs_fail(struct vfs *v, int r, int ioerr);

#endif
