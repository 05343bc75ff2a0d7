#include "db/vfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "db/share.h"
#include "db/walfile.h"

#define SLOT_RECOVER     2    /* of SQLite's wal-index locks */
#define SLOTS_READ       0xf8 /* bits: 3 to 7, of snapshots */
#define WAL_STEP_DEFAULT (4u << 20)

struct main_file {
	sqlite3_file base;
	struct vfs *vfs;
	struct io_file *file;
	enum share_level level;
	uint8_t mine_shared, mine_exclusive; /* slots of the wal-index */
};

static struct main_file *main_of(sqlite3_file *f)
{
	return container_of(f, struct main_file, base);
}

int vfs_fail(struct vfs *v, int r, int ioerr)
{
	if (r == -EDQUOT)
		r = -ENOSPC;
	v->error = r;
	if (r == -ENOSPC)
		return SQLITE_FULL;
	if (r == -EROFS)
		return SQLITE_READONLY;
	return r == -ENOMEM ? SQLITE_IOERR_NOMEM : ioerr;
}

/* What the first 100 bytes of every database of ours tell about its pages. */
static void constant_header(uint8_t page[static DB_PAGE_SIZE])
{
	memset(page, 0, DB_PAGE_SIZE);
	memcpy(page, "SQLite format 3", 16);
	page[16] = DB_PAGE_SIZE >> 8; /* big endian */
	page[18] = page[19] = 2;      /* WAL, to write and to read */
	page[20] = AEAD_MARK_SIZE;
	page[21] = 64; /* fractions, fixed by SQLite */
	page[22] = page[23] = 32;
}

static int read_page(struct main_file *m, uint64_t pgno, uint8_t *page, bool peek)
{
	struct vfs *v = m->vfs;
	int64_t n;
	int r = -EBADMSG;

	n = io_pread(m->file, page, DB_PAGE_SIZE, (pgno - 1) * DB_PAGE_SIZE);
	if (n < 0)
		return vfs_fail(v, (int)n, SQLITE_IOERR_READ);
	if (n == 0) {
		memset(page, 0, DB_PAGE_SIZE);
		return SQLITE_IOERR_SHORT_READ;
	}
	if (n == DB_PAGE_SIZE)
		r = pagecrypt_open(&v->pc, PAGE_MAIN, pgno, PAGE_TEXT, page);
	if (r == 0)
		return SQLITE_OK;
	if (peek && pgno == 1) {
		constant_header(page);
		return SQLITE_OK;
	}
	memset(page, 0, DB_PAGE_SIZE);
	r = log_err(-EUCLEAN, "%s: page %llu", v->name, (unsigned long long)pgno);
	return vfs_fail(v, r, SQLITE_IOERR_READ);
}

static int main_read(sqlite3_file *f, void *p, int n, sqlite3_int64 off)
{
	struct main_file *m = main_of(f);
	uint64_t at = (uint64_t)off, end = at + (uint64_t)n, len;
	uint8_t *dst = p;
	int rc;

	if (n == DB_PAGE_SIZE && at % DB_PAGE_SIZE == 0)
		return read_page(m, at / DB_PAGE_SIZE + 1, p, false);
	while (at < end) {
		rc = read_page(m, at / DB_PAGE_SIZE + 1, m->vfs->scratch,
			       end <= 100);
		if (rc != SQLITE_OK) {
			memset(dst, 0, end - at);
			return rc;
		}
		len = MIN(end - at, DB_PAGE_SIZE - at % DB_PAGE_SIZE);
		memcpy(dst, m->vfs->scratch + at % DB_PAGE_SIZE, len);
		dst += len;
		at += len;
	}
	return SQLITE_OK;
}

static int main_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 off)
{
	struct main_file *m = main_of(f);
	struct vfs *v = m->vfs;
	int r;

	if (v->read_only)
		return vfs_fail(v, -EROFS, SQLITE_IOERR_WRITE);
	if (n != DB_PAGE_SIZE || off % DB_PAGE_SIZE)
		return vfs_fail(v, -EINVAL, SQLITE_IOERR_WRITE);
	if (!pagecrypt_tail_is_zero(p)) {
		r = log_err(-EINVAL, "%s: reserved bytes of a page in use", v->name);
		return vfs_fail(v, r, SQLITE_IOERR_WRITE);
	}
	pagecrypt_seal(&v->pc, PAGE_MAIN, (uint64_t)off / DB_PAGE_SIZE + 1, p,
		       PAGE_TEXT, v->scratch);
	r = io_pwrite(m->file, v->scratch, DB_PAGE_SIZE, (uint64_t)off);
	return r < 0 ? vfs_fail(v, r, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int main_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct main_file *m = main_of(f);
	int r = m->vfs->read_only ? -EROFS : io_truncate(m->file, (uint64_t)size);

	return r < 0 ? vfs_fail(m->vfs, r, SQLITE_IOERR_TRUNCATE) : SQLITE_OK;
}

static int main_sync(sqlite3_file *f, int flags)
{
	struct main_file *m = main_of(f);
	int r = io_datasync(m->file);

	(void)flags; /* fdatasync(2) is enough for either kind */
	return r < 0 ? vfs_fail(m->vfs, r, SQLITE_IOERR_FSYNC) : SQLITE_OK;
}

static int main_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	struct main_file *m = main_of(f);
	uint64_t size = 0;
	int r = io_size(m->file, &size);

	*ret = (sqlite3_int64)size;
	return r < 0 ? vfs_fail(m->vfs, r, SQLITE_IOERR_FSTAT) : SQLITE_OK;
}

static enum share_level level_of(int sqlite_lock)
{
	switch (sqlite_lock) {
	case SQLITE_LOCK_NONE: return SHARE_NONE;
	case SQLITE_LOCK_SHARED: return SHARE_SHARED;
	case SQLITE_LOCK_RESERVED: return SHARE_RESERVED;
	default: return SHARE_EXCLUSIVE;
	}
}

static int main_lock(sqlite3_file *f, int lock)
{
	struct main_file *m = main_of(f);
	enum share_level to = level_of(lock);

	if (to <= m->level)
		return SQLITE_OK;
	if (share_lock(m->vfs->share, m->level, to) < 0)
		return SQLITE_BUSY;
	m->level = to;
	return SQLITE_OK;
}

static int main_unlock(sqlite3_file *f, int lock)
{
	struct main_file *m = main_of(f);
	enum share_level to = level_of(lock);

	if (to < m->level) {
		share_unlock(m->vfs->share, m->level, to);
		m->level = to;
	}
	return SQLITE_OK;
}

static int main_reserved(sqlite3_file *f, int *ret)
{
	*ret = share_is_reserved(main_of(f)->vfs->share);
	return SQLITE_OK;
}

static int main_control(sqlite3_file *f, int op, void *arg)
{
	(void)f;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int main_sector(sqlite3_file *f)
{
	(void)f;
	return DB_PAGE_SIZE;
}

/*
 * Drives tear at sectors; a sector keeps its old bytes or takes the new ones, of
 * which those outside of the write are the old ones.  So SQLite need not pad
 * each commit to a sector.
 */
static int main_device(sqlite3_file *f)
{
	(void)f;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int shm_map(sqlite3_file *f, int i, int size, int extend, void volatile **ret)
{
	struct main_file *m = main_of(f);
	void *p = NULL;
	int r = share_region(m->vfs->share, (unsigned)i, (size_t)size, extend, &p);

	*ret = p;
	return r < 0 ? vfs_fail(m->vfs, r, SQLITE_IOERR_SHMMAP) : SQLITE_OK;
}

/* Who writes has a snapshot; who only looks at the head has none yet. */
static bool may_write(const struct main_file *m)
{
	return m->mine_shared & SLOTS_READ || m->vfs->restarts;
}

static int shm_lock(sqlite3_file *f, int first, int n, int flags)
{
	struct main_file *m = main_of(f);
	bool exclusive = flags & SQLITE_SHM_EXCLUSIVE;
	uint8_t *mine = exclusive ? &m->mine_exclusive : &m->mine_shared;
	uint8_t mask = (uint8_t)(((1u << n) - 1) << first);

	if (flags & SQLITE_SHM_UNLOCK) {
		if ((*mine & mask) != mask)
			return SQLITE_OK; /* SQLite unlocks what it may hold */
		share_slots_drop(m->vfs->share, (unsigned)first, (unsigned)n,
				 exclusive);
		*mine &= (uint8_t)~mask;
	} else {
		if ((*mine & mask) == mask)
			return SQLITE_OK;
		if (share_slots_take(m->vfs->share, (unsigned)first,
				     (unsigned)n, exclusive, may_write(m)) < 0)
			return SQLITE_BUSY;
		*mine |= mask;
	}
	m->vfs->recovering = m->mine_exclusive & 1u << SLOT_RECOVER;
	return SQLITE_OK;
}

/* A lock taken and dropped orders our writes for whoever does the same. */
static void shm_barrier(sqlite3_file *f)
{
	struct share *sh = main_of(f)->vfs->share;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	lock_take(&sh->lock);
	lock_drop(&sh->lock);
}

/* The regions live as long as the share. */
static int shm_unmap(sqlite3_file *f, int unlink)
{
	struct main_file *m = main_of(f);

	(void)unlink;
	for (unsigned i = 0; i < SHARE_SLOTS; i++) {
		if (m->mine_exclusive & 1u << i)
			share_slots_drop(m->vfs->share, i, 1, true);
		if (m->mine_shared & 1u << i)
			share_slots_drop(m->vfs->share, i, 1, false);
	}
	m->mine_exclusive = m->mine_shared = 0;
	m->vfs->recovering = false;
	return SQLITE_OK;
}

static int main_close(sqlite3_file *f)
{
	struct main_file *m = main_of(f);
	int rc = shm_unmap(f, 0);

	if (rc == SQLITE_OK)
		rc = main_unlock(f, SQLITE_LOCK_NONE);
	io_close(m->file);
	m->file = NULL;
	return rc;
}

static const sqlite3_io_methods main_methods = {
	.iVersion = 2,
	.xClose = main_close,
	.xRead = main_read,
	.xWrite = main_write,
	.xTruncate = main_truncate,
	.xSync = main_sync,
	.xFileSize = main_size,
	.xLock = main_lock,
	.xUnlock = main_unlock,
	.xCheckReservedLock = main_reserved,
	.xFileControl = main_control,
	.xSectorSize = main_sector,
	.xDeviceCharacteristics = main_device,
	.xShmMap = shm_map,
	.xShmLock = shm_lock,
	.xShmBarrier = shm_barrier,
	.xShmUnmap = shm_unmap,
};

/* --- the file system --- */

static struct vfs *vfs_of(sqlite3_vfs *base)
{
	return container_of(base, struct vfs, base);
}

static int open_main(struct vfs *v, struct main_file *m, int *ret_flags)
{
	int r;

	*m = (struct main_file){ .vfs = v };
	r = io_open(v->io, v->name, v->read_only ? O_RDONLY : O_RDWR, &m->file);
	if (r < 0)
		return vfs_fail(v, r, SQLITE_CANTOPEN);
	m->base.pMethods = &main_methods;
	if (v->read_only && ret_flags)
		*ret_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
	return SQLITE_OK;
}

static int x_open(sqlite3_vfs *base, const char *name, sqlite3_file *f,
		  int flags, int *ret_flags)
{
	struct vfs *v = vfs_of(base);

	f->pMethods = NULL;
	if (ret_flags)
		*ret_flags = flags;
	if (name && (flags & SQLITE_OPEN_MAIN_DB) && strcmp(name, v->name) == 0)
		return open_main(v, container_of(f, struct main_file, base),
				 ret_flags);
	if (name && (flags & SQLITE_OPEN_WAL) && strcmp(name, v->wal_name) == 0)
		return walfile_open(container_of(f, struct walfile, base), v,
				    ret_flags);
	return vfs_fail(v,
			log_err(-EPERM, "%s: kept from opening %s", v->name,
				name ? name : "a temporary file"),
			SQLITE_CANTOPEN);
}

static int x_delete(sqlite3_vfs *base, const char *name, int sync)
{
	struct vfs *v = vfs_of(base);
	int r;

	r = v->read_only ? -EROFS : io_unlink(v->io, name);
	if (r == -ENOENT)
		return SQLITE_IOERR_DELETE_NOENT;
	if (r == 0 && sync)
		r = io_syncdir(v->io, v->dir);
	return r < 0 ? vfs_fail(v, r, SQLITE_IOERR_DELETE) : SQLITE_OK;
}

/* Journals do not exist, whatever may lie there. */
static int x_access(sqlite3_vfs *base, const char *name, int flags, int *ret)
{
	struct vfs *v = vfs_of(base);
	struct io_file *f = NULL;
	int r;

	(void)flags; /* what is there is ours to read and write */
	*ret = 0;
	if (strcmp(name, v->name) != 0 && strcmp(name, v->wal_name) != 0)
		return SQLITE_OK;
	r = io_open(v->io, name, O_RDONLY, &f);
	if (r == -ENOENT)
		return SQLITE_OK;
	if (r < 0)
		return vfs_fail(v, r, SQLITE_IOERR_ACCESS);
	io_close(f);
	*ret = 1;
	return SQLITE_OK;
}

static int x_full_path(sqlite3_vfs *base, const char *name, int n, char *ret)
{
	size_t len = strlen(name);

	(void)base;
	if (len >= (size_t)n)
		return SQLITE_CANTOPEN;
	memcpy(ret, name, len + 1);
	return SQLITE_OK;
}

static int x_randomness(sqlite3_vfs *base, int n, char *p)
{
	ssize_t r = getrandom(p, (size_t)n, 0);

	(void)base;
	return r < 0 ? 0 : (int)r;
}

static int x_pause(sqlite3_vfs *base, int us)
{
	(void)base;
	(void)poll(NULL, 0, (us + 999) / 1000); /* a shorter pause is fine */
	return us;
}

static int x_time64(sqlite3_vfs *base, sqlite3_int64 *ret)
{
	static const int64_t julian_1970 = 24405875ll * 8640000;
	struct timespec t;

	(void)base;
	(void)clock_gettime(CLOCK_REALTIME, &t); /* cannot fail */
	*ret = julian_1970 + (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	return SQLITE_OK;
}

static int x_time(sqlite3_vfs *base, double *ret)
{
	sqlite3_int64 ms;
	int rc = x_time64(base, &ms);

	*ret = (double)ms / 86400000.0;
	return rc;
}

static int x_last_error(sqlite3_vfs *base, int n, char *text)
{
	int r = vfs_of(base)->error;

	(void)snprintf(text, (size_t)n, "%s", err_str(r)); /* cut is fine */
	return -r;
}

static int set_names(struct vfs *v, const char *name)
{
	const char *slash = strrchr(name, '/');
	int r;

	if (strlen(name) >= sizeof(v->name))
		return -ENAMETOOLONG;
	memcpy(v->name, name, strlen(name) + 1);
	memcpy(v->dir, slash ? name : ".", slash ? (size_t)(slash - name) : 1);
	r = snprintf(v->wal_name, sizeof(v->wal_name), "%s-wal", name);
	return r < 0 ? -ENAMETOOLONG : 0;
}

int vfs_new(const struct db_params *p, const char *name, struct vfs **ret)
{
	_cleanup_free_ struct vfs *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return -ENOMEM;
	v->io = p->io;
	v->read_only = p->read_only;
	v->wal_step = p->wal_prealloc_bytes ? p->wal_prealloc_bytes :
					      WAL_STEP_DEFAULT;
	pagecrypt_init(&v->pc, p);
	r = set_names(v, name);
	if (r < 0)
		return r;
	(void)snprintf(v->id, sizeof(v->id), "fildrive-%p", (void *)v); /* fits */
	v->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = MAX((int)sizeof(struct main_file),
				(int)sizeof(struct walfile)),
		.mxPathname = sizeof(v->wal_name),
		.zName = v->id,
		.xOpen = x_open,
		.xDelete = x_delete,
		.xAccess = x_access,
		.xFullPathname = x_full_path,
		.xRandomness = x_randomness,
		.xSleep = x_pause,
		.xCurrentTime = x_time,
		.xGetLastError = x_last_error,
		.xCurrentTimeInt64 = x_time64,
	};
	r = share_get(p->io, name, &v->share);
	if (r < 0)
		return r;
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
		share_put(v->share);
		return -ENOMEM;
	}
	*ret = steal(&v);
	return 0;
}

void vfs_free(struct vfs *v)
{
	(void)sqlite3_vfs_unregister(&v->base); /* cannot fail: it is there */
	share_put(v->share);
	free(v);
}
