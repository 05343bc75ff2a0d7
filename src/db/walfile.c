#include "db/walfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/log.h"
#include "db/share.h"

#define AHEAD_MAX (256u << 10) /* bytes of zeros behind a commit */
#define AHEAD_MIN (64u << 10)  /* so many are enough */

static const uint8_t zeros[64 * 1024];

static struct walfile *wal_of(sqlite3_file *f)
{
	return container_of(f, struct walfile, base);
}

/* Frames count from 1, as SQLite counts them. */
static uint64_t frame_at(uint64_t frame)
{
	return WAL_HEADER_SPACE + (frame - 1) * FRAME_DISK;
}

/* The scratch frame as SQLite sees it. */
static uint8_t *seen(struct walfile *w)
{
	return w->disk + FRAME_SYNCED;
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/* SQLite's fields: the salts of the log, and whether the frame is a commit. */
static bool is_of_this_log(struct walfile *w)
{
	return memcmp(seen(w) + 8, w->header + 16, 8) == 0;
}

static bool is_commit(struct walfile *w)
{
	return get_be32(seen(w) + 4) != 0;
}

/* 0 and the opened frame in w->disk; -EBADMSG if torn, cut or changed. */
static int load_frame(struct walfile *w, uint64_t frame)
{
	int64_t n;

	if (!w->file)
		return -EBADMSG;
	n = io_pread(w->file, w->disk, FRAME_DISK, frame_at(frame));
	if (n < 0)
		return (int)n;
	if (n < (int64_t)FRAME_DISK)
		return -EBADMSG;
	return pagecrypt_open(&w->vfs->pc, PAGE_WAL_FRAME, frame, FRAME_TEXT,
			      w->disk);
}

/*
 * Behind a commit that ends at `at`, zeros, unless there are enough.  Only behind
 * what was ever written: older frames tell a damaged log from a torn one.
 */
static void write_ahead(struct walfile *w, uint64_t at)
{
	struct share *sh = w->vfs->share;
	uint64_t from, end, n;

	lock_take(&sh->lock);
	from = MAX(sh->wal_written, at);
	end = MIN(at + AHEAD_MAX, sh->wal_allocated);
	lock_drop(&sh->lock);
	if (from - at >= AHEAD_MIN || end <= from)
		return;
	/* nothing is lost without them, and what is wrong shows at the sync */
	for (; from < end; from += n) {
		n = MIN(end - from, sizeof(zeros));
		if (io_pwrite(w->file, zeros, n, from) < 0)
			return;
	}
	lock_take(&sh->lock);
	sh->wal_written = MAX(sh->wal_written, end);
	lock_drop(&sh->lock);
}

/* Seal the scratch frame and write it. */
static int store_frame(struct walfile *w, uint64_t frame)
{
	struct share *sh = w->vfs->share;
	uint64_t at = frame_at(frame);
	bool commit = is_commit(w);
	int r;

	if (!pagecrypt_tail_is_zero(seen(w) + FRAME_HEADER))
		return log_err(-EINVAL, "%s: reserved bytes of a page in use",
			       w->vfs->wal_name);
	lock_take(&sh->lock);
	put_le64(w->disk, sh->wal_synced);
	lock_drop(&sh->lock);
	pagecrypt_seal(&w->vfs->pc, PAGE_WAL_FRAME, frame, w->disk, FRAME_TEXT,
		       w->disk);
	r = io_pwrite(w->file, w->disk, FRAME_DISK, at);
	if (r < 0)
		return r;
	lock_take(&sh->lock);
	sh->wal_used = MAX(sh->wal_used, at + FRAME_DISK);
	if (at <= sh->wal_allocated)
		sh->wal_allocated = MAX(sh->wal_allocated, at + FRAME_DISK);
	sh->wal_written = MAX(sh->wal_written, at + FRAME_DISK);
	if (commit)
		sh->wal_commit = frame;
	lock_drop(&sh->lock);
	if (commit)
		write_ahead(w, at + FRAME_DISK);
	return 0;
}

/* A held-back header whose page did not come belongs to a frame on the disk. */
static int flush_pending(struct walfile *w)
{
	int r;

	if (!w->pending)
		return 0;
	w->pending = false;
	r = load_frame(w, w->pending_frame);
	if (r < 0)
		return r == -EBADMSG ? -EUCLEAN : r;
	memcpy(seen(w), w->pending_header, FRAME_HEADER);
	return store_frame(w, w->pending_frame);
}

/*
 * Does a frame behind this end of the log know that it was durable?  `end` 0
 * asks for the header, which is synced before any frame of its log is written.
 */
static int is_damage(struct walfile *w, uint64_t end, bool *ret)
{
	uint64_t size;
	int r;

	*ret = false;
	if (!w->file)
		return 0;
	r = io_size(w->file, &size);
	for (uint64_t i = end + 1; r == 0 && frame_at(i + 1) <= size; i++) {
		r = load_frame(w, i);
		if (r == 0 && (end == 0 || is_of_this_log(w)) &&
		    get_le64(w->disk) >= end) {
			*ret = true;
			return 0;
		}
		if (r == -EBADMSG)
			r = 0;
	}
	return r;
}

/*
 * A frame for SQLite in w->disk.  While it recovers, the end of the log is a
 * frame of zeros.
 */
static int fetch_frame(struct walfile *w, uint64_t frame)
{
	bool damage = true;
	int r;

	r = load_frame(w, frame);
	if (r == 0 && (!w->vfs->recovering || is_of_this_log(w)))
		return 0;
	if (r < 0 && r != -EBADMSG)
		return r;
	if (w->vfs->recovering) {
		r = is_damage(w, frame, &damage);
		if (r < 0)
			return r;
	}
	memset(w->disk, 0, sizeof(w->disk));
	if (!damage)
		return 0;
	return log_err(-EUCLEAN, "%s: frame %llu", w->vfs->wal_name,
		       (unsigned long long)frame);
}

static int read_header(struct walfile *w, void *p)
{
	uint8_t disk[WAL_HEADER_SIZE + AEAD_MARK_SIZE] = { 0 };
	bool damage = false;
	int64_t n = 0;
	int r = 0;

	if (w->file)
		n = io_pread(w->file, disk, sizeof(disk), 0);
	if (n < 0)
		return vfs_fail(w->vfs, (int)n, SQLITE_IOERR_READ);
	if (memcmp(disk, zeros, sizeof(disk)) == 0)
		r = is_damage(w, 0, &damage);
	else
		damage = pagecrypt_open(&w->vfs->pc, PAGE_WAL_HEADER, 0,
					WAL_HEADER_SIZE, disk) < 0;
	if (r == 0 && damage)
		r = log_err(-EUCLEAN, "%s: header", w->vfs->wal_name);
	if (r < 0)
		return vfs_fail(w->vfs, r, SQLITE_IOERR_READ);
	memcpy(w->header, disk, WAL_HEADER_SIZE);
	memcpy(p, disk, WAL_HEADER_SIZE);
	return n == (int64_t)sizeof(disk) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int wal_read(sqlite3_file *f, void *p, int n, sqlite3_int64 off)
{
	struct walfile *w = wal_of(f);
	uint64_t frame, at;
	int r;

	if (off == 0 && n == (int)WAL_HEADER_SIZE)
		return read_header(w, p);
	if (off < (int)WAL_HEADER_SIZE)
		return vfs_fail(w->vfs, -EINVAL, SQLITE_IOERR_READ);
	frame = ((uint64_t)off - WAL_HEADER_SIZE) / FRAME_SIZE + 1;
	at = ((uint64_t)off - WAL_HEADER_SIZE) % FRAME_SIZE;
	if (at + (uint64_t)n > FRAME_SIZE)
		return vfs_fail(w->vfs, -EINVAL, SQLITE_IOERR_READ);
	r = flush_pending(w);
	if (r == 0)
		r = fetch_frame(w, frame);
	if (r < 0) {
		memset(p, 0, (size_t)n);
		return vfs_fail(w->vfs, r, SQLITE_IOERR_READ);
	}
	memcpy(p, seen(w) + at, (size_t)n);
	return SQLITE_OK;
}

static int write_header(struct walfile *w, const void *p)
{
	uint8_t sector[WAL_HEADER_SPACE] = { 0 };
	struct share *sh = w->vfs->share;
	int r;

	w->pending = false;
	memcpy(w->header, p, WAL_HEADER_SIZE);
	pagecrypt_seal(&w->vfs->pc, PAGE_WAL_HEADER, 0, p, WAL_HEADER_SIZE, sector);
	r = io_pwrite(w->file, sector, sizeof(sector), 0);
	if (r < 0)
		return r;
	lock_take(&sh->lock);
	sh->wal_used = sh->wal_done = WAL_HEADER_SPACE;
	sh->wal_allocated = MAX(sh->wal_allocated, WAL_HEADER_SPACE);
	sh->wal_commit = sh->wal_synced = 0;
	sh->wal_turn++;
	lock_drop(&sh->lock);
	return 0;
}

static int write_frame(struct walfile *w, const uint8_t *p, size_t n,
		       uint64_t frame, uint64_t at)
{
	bool complete = n == FRAME_SIZE;
	int r;

	if (w->pending && w->pending_frame == frame && at == FRAME_HEADER &&
	    n == DB_PAGE_SIZE) {
		w->pending = false;
		memcpy(seen(w), w->pending_header, FRAME_HEADER);
		complete = true;
	}
	r = flush_pending(w);
	if (r < 0)
		return r;
	if (at == 0 && n == FRAME_HEADER) {
		w->pending = true;
		w->pending_frame = frame;
		memcpy(w->pending_header, p, FRAME_HEADER);
		return 0;
	}
	if (!complete) {
		r = load_frame(w, frame);
		if (r < 0)
			return r == -EBADMSG ? -EUCLEAN : r;
	}
	memcpy(seen(w) + at, p, n);
	return store_frame(w, frame);
}

static int wal_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 off)
{
	struct walfile *w = wal_of(f);
	uint64_t frame, at;
	int r;

	if (!w->file || w->vfs->read_only)
		return vfs_fail(w->vfs, -EROFS, SQLITE_IOERR_WRITE);
	if (off == 0 && n == (int)WAL_HEADER_SIZE) {
		r = write_header(w, p);
		return r < 0 ? vfs_fail(w->vfs, r, SQLITE_IOERR_WRITE) : SQLITE_OK;
	}
	if (off < (int)WAL_HEADER_SIZE)
		return vfs_fail(w->vfs, -EINVAL, SQLITE_IOERR_WRITE);
	frame = ((uint64_t)off - WAL_HEADER_SIZE) / FRAME_SIZE + 1;
	at = ((uint64_t)off - WAL_HEADER_SIZE) % FRAME_SIZE;
	if (at + (uint64_t)n > FRAME_SIZE)
		return vfs_fail(w->vfs, -EINVAL, SQLITE_IOERR_WRITE);
	r = write_frame(w, p, (size_t)n, frame, at);
	return r < 0 ? vfs_fail(w->vfs, r, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int wal_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct walfile *w = wal_of(f);
	struct share *sh = w->vfs->share;
	uint64_t disk = 0;
	int r;

	if (!w->file || w->vfs->read_only)
		return vfs_fail(w->vfs, -EROFS, SQLITE_IOERR_TRUNCATE);
	if (size >= (int)WAL_HEADER_SIZE)
		disk = frame_at(((uint64_t)size - WAL_HEADER_SIZE) / FRAME_SIZE + 1);
	w->pending = false;
	r = io_truncate(w->file, disk);
	if (r < 0)
		return vfs_fail(w->vfs, r, SQLITE_IOERR_TRUNCATE);
	lock_take(&sh->lock);
	sh->wal_used = MIN(sh->wal_used, disk);
	sh->wal_done = MIN(sh->wal_done, disk);
	sh->wal_allocated = MIN(sh->wal_allocated, disk);
	sh->wal_written = MIN(sh->wal_written, disk);
	lock_drop(&sh->lock);
	return SQLITE_OK;
}

/*
 * The first sync of each process also makes the names durable: those of a WAL
 * just made, and of a database whose making was cut short behind its rename.
 */
static int wal_sync(sqlite3_file *f, int flags)
{
	struct walfile *w = wal_of(f);
	struct share *sh = w->vfs->share;
	uint64_t commit, turn;
	bool is_new;
	int r;

	(void)flags; /* fdatasync(2) is enough for either kind */
	if (!w->file)
		return SQLITE_OK;
	r = flush_pending(w);
	lock_take(&sh->lock);
	commit = sh->wal_commit;
	turn = sh->wal_turn;
	is_new = sh->wal_is_new;
	lock_drop(&sh->lock);
	if (r == 0)
		r = io_datasync(w->file);
	if (r == 0 && is_new)
		r = io_syncdir(w->vfs->io, w->vfs->dir);
	if (r < 0)
		return vfs_fail(w->vfs, r, SQLITE_IOERR_FSYNC);
	lock_take(&sh->lock);
	if (is_new)
		sh->wal_is_new = false;
	if (turn == sh->wal_turn)
		sh->wal_synced = MAX(sh->wal_synced, commit);
	lock_drop(&sh->lock);
	return SQLITE_OK;
}

static int wal_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	struct walfile *w = wal_of(f);
	uint64_t size = 0;
	int r = 0;

	if (w->file)
		r = io_size(w->file, &size);
	if (r < 0)
		return vfs_fail(w->vfs, r, SQLITE_IOERR_FSTAT);
	*ret = 0;
	if (size >= WAL_HEADER_SPACE)
		*ret = (sqlite3_int64)(WAL_HEADER_SIZE +
				       (size - WAL_HEADER_SPACE) / FRAME_DISK *
					       FRAME_SIZE);
	return SQLITE_OK;
}

static int wal_close(sqlite3_file *f)
{
	struct walfile *w = wal_of(f);

	if (w->vfs->wal == w)
		w->vfs->wal = NULL;
	io_close(w->file);
	w->file = NULL;
	return SQLITE_OK;
}

/* Nobody locks a WAL file by itself. */
static int wal_lock(sqlite3_file *f, int level)
{
	(void)f;
	(void)level;
	return SQLITE_OK;
}

static int wal_reserved(sqlite3_file *f, int *ret)
{
	(void)f;
	*ret = 0;
	return SQLITE_OK;
}

static int wal_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int wal_sector(sqlite3_file *f)
{
	(void)f;
	return DB_PAGE_SIZE;
}

/* See vfs.c: no byte outside of a write is ever harmed. */
static int wal_device(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods wal_methods = {
	.iVersion = 1,
	.xClose = wal_close,
	.xRead = wal_read,
	.xWrite = wal_write,
	.xTruncate = wal_truncate,
	.xSync = wal_sync,
	.xFileSize = wal_size,
	.xLock = wal_lock,
	.xUnlock = wal_lock,
	.xCheckReservedLock = wal_reserved,
	.xFileControl = wal_control,
	.xSectorSize = wal_sector,
	.xDeviceCharacteristics = wal_device,
};

int walfile_open(struct walfile *w, struct vfs *v, int *ret_flags)
{
	struct share *sh = v->share;
	uint64_t size = 0;
	int r;

	*w = (struct walfile){ .vfs = v };
	r = io_open(v->io, v->wal_name,
		    v->read_only ? O_RDONLY : O_RDWR | O_CREAT, &w->file);
	if (r == -ENOENT && v->read_only)
		r = 0;
	else if (r == 0)
		r = io_size(w->file, &size);
	if (r < 0) {
		io_close(w->file);
		return vfs_fail(v, r, SQLITE_CANTOPEN);
	}
	lock_take(&sh->lock);
	if (sh->wal_used == 0)
		sh->wal_used = size;
	sh->wal_written = MAX(sh->wal_written, size);
	if (!v->read_only)
		sh->wal_is_new = true;
	lock_drop(&sh->lock);
	v->wal = w;
	w->base.pMethods = &wal_methods;
	if (v->read_only && ret_flags)
		*ret_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_WAL;
	return SQLITE_OK;
}

/* Where the file system has no fallocate(2): zeros behind the end. */
static int write_zeros(struct io_file *f, uint64_t end)
{
	uint64_t size, n;
	int r;

	r = io_size(f, &size);
	while (r == 0 && size < end) {
		n = MIN(end - size, sizeof(zeros));
		r = io_pwrite(f, zeros, n, size);
		size += n;
	}
	return r;
}

static int allocate(struct walfile *w, uint64_t from, uint64_t end)
{
	int r = io_allocate(w->file, FALLOC_FL_KEEP_SIZE, from, end - from);

	return r == -EOPNOTSUPP ? write_zeros(w->file, end) : r;
}

int walfile_reserve(struct walfile *w, uint64_t bytes)
{
	struct share *sh = w->vfs->share;
	uint64_t from, end, exact;
	int r;

	if (!w->file || w->vfs->read_only)
		return -EROFS;
	lock_take(&sh->lock);
	from = sh->wal_allocated;
	end = MAX(sh->wal_used, WAL_HEADER_SPACE) + bytes;
	lock_drop(&sh->lock);
	if (end <= from)
		return 0;
	exact = end;
	end = align_up(end, w->vfs->wal_step);
	r = allocate(w, from, end);
	if (r == -ENOSPC && exact < end) {
		end = exact;
		r = allocate(w, from, end);
	}
	if (r < 0)
		return r;
	lock_take(&sh->lock);
	sh->wal_allocated = MAX(sh->wal_allocated, end);
	lock_drop(&sh->lock);
	return 0;
}
