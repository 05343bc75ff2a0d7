/*
 * walfile.h - the WAL on disk (layout: pagecrypt.h)
 *
 * SQLite writes a frame in two writes, 24 bytes of header and the page; both are
 * sealed as one text, so the header is held back until its page comes.  Where
 * SQLite rewrites one half of a frame that is already there (only when a cache
 * spills, which ours never does), the other half is read first.
 *
 * Recovery.  SQLite reads the WAL from its start until the first frame that does
 * not fit.  A frame that does not authenticate, or belongs to an older log, is
 * the end.  It may be a torn end only if nobody built upon it: each frame says up
 * to which commit the log was durable when it was written.  Should one behind the
 * end say that it reached beyond the end, then a frame is damaged that had been
 * synced: -EUCLEAN.  So a flipped bit can only cost the very last transaction,
 * which nobody can tell from a torn one.
 * The WAL's header has a sector of its own and is synced before any frame: it is
 * the old one, the new one, or all zeros with no frame behind it (never written);
 * anything else is damage.
 *
 * Where the log grows, zeros are written some commits ahead, over blocks that
 * walfile_reserve() has allocated: a sync of bytes that were written before has no
 * extents to convert and no length to write down.  To a recovery they are frames
 * that do not authenticate.
 *
 * Threading: as the connection.
 */
#ifndef DB_WALFILE_H
#define DB_WALFILE_H

#include "db/vfs.h"

struct walfile {
	sqlite3_file base;
	struct vfs *vfs;
	struct io_file *file; /* NULL: absent, and we are read only */
	bool pending;         /* header of frame pending_frame, held back */
	uint64_t pending_frame;
	uint8_t pending_header[FRAME_HEADER];
	uint8_t header[WAL_HEADER_SIZE]; /* as last read or written */
	uint8_t disk[FRAME_DISK];        /* scratch: a frame as on the disk */
};

/* xOpen for the WAL. */
int walfile_open(struct walfile *w, struct vfs *v, int *ret_flags);

/* Blocks for `bytes` more behind the last frame: 0, -ENOSPC, -errno. */
must_check int walfile_reserve(struct walfile *w, uint64_t bytes);

#endif
