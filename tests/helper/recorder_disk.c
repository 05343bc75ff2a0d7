/*
 * recorder_disk.c - the disk that a recorder plays: every change is logged first
 */
#include "helper/recorder_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct rec_file {
	struct io_file file;
	struct recorder *rec;
	struct memnode *node;
	bool writable;
};

static const struct io_file_ops rec_file_ops;

static struct recorder *rec_of(struct io *io)
{
	return container_of(io, struct recorder, io);
}

static struct rec_file *file_of(struct io_file *f)
{
	return container_of(f, struct rec_file, file);
}

/* Count the call; -errno if it is the one that is to fail. */
static int enter(struct recorder *rec, unsigned kind) REQUIRES(&rec->lock)
{
	rec->calls[__builtin_ctz(kind)]++;
	if (!(rec->fail_kinds & kind))
		return 0;
	if (rec->fail_in) {
		rec->fail_in--;
		return 0;
	}
	rec->failed++;
	if (!rec->fail_sticky)
		rec->fail_kinds = 0;
	return -rec->fail_err;
}

/* The change that next_change() gave counts. */
static void logged(struct recorder *rec)
{
	rec->n_log++;
	if (rec->watch && rec->n_log % rec->watch_every == 0)
		rec->watch(rec->watch_ctx, rec->n_log);
}

/* Room for one more change, zeroed; it counts once n_log is raised. */
static struct change *next_change(struct recorder *rec, enum change_kind kind)
{
	size_t cap = rec->cap_log ? rec->cap_log * 2 : 64;
	struct change *c;

	if (rec->n_log == rec->cap_log) {
		c = disk_realloc(rec->log, cap * sizeof(*c));
		if (!c)
			return NULL;
		rec->log = c;
		rec->cap_log = cap;
	}
	c = &rec->log[rec->n_log];
	*c = (struct change){ .kind = kind };
	return c;
}

static bool has_room(const struct recorder *rec, const struct memnode *node,
		     uint64_t off, uint64_t n)
{
	return !rec->limit ||
	       rec->used + memnode_missing(node, off, n) <= rec->limit;
}

/* The directory that a path stands in. */
static struct memnode *parent(struct recorder *rec, const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[256];

	if (!slash)
		return memfs_find(&rec->now, ".");
	if ((size_t)(slash - path) >= sizeof(dir))
		return NULL;
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = 0;
	return memfs_find(&rec->now, dir);
}

/* Log a change of names.  `to` may be NULL. */
static int log_name(struct recorder *rec, enum change_kind kind,
		    const char *path, const char *to, struct memnode *file)
{
	struct memnode *dir = parent(rec, to ? to : path);
	struct change *c;

	if (!dir || !dir->dir)
		return -ENOENT;
	c = next_change(rec, kind);
	if (!c)
		return -ENOMEM;
	c->node = dir->id;
	c->file = file->id;
	c->flag = file->dir;
	c->path = disk_strdup(path);
	c->to = to ? disk_strdup(to) : NULL;
	if (!c->path || (to && !c->to)) {
		change_fini(c);
		return -ENOMEM;
	}
	logged(rec);
	return 0;
}

static int create(struct recorder *rec, const char *name, bool dir,
		  struct memnode **ret)
{
	struct memnode *node = NULL;
	int r;

	r = memnode_new(rec->next_id++, dir, &rec->used, &node);
	if (r < 0)
		return r;
	r = memfs_link(&rec->now, name, node);
	if (r == 0) {
		r = log_name(rec, CHANGE_CREATE, name, NULL, node);
		if (r < 0)
			memfs_unlink(&rec->now, name);
	}
	if (r == 0 && ret)
		*ret = node; /* borrowed from the name */
	memnode_unref(node);
	return r;
}

static int write_logged(struct recorder *rec, struct memnode *node,
			const void *p, size_t n, uint64_t off)
{
	struct change *c = next_change(rec, CHANGE_WRITE);
	int r;

	if (!c)
		return -ENOMEM;
	c->node = node->id;
	c->off = off;
	c->n = n;
	c->data = disk_malloc(n ? n : 1);
	if (!c->data)
		return -ENOMEM;
	if (n)
		memcpy(c->data, p, n);
	r = memnode_write(node, p, n, off);
	if (r < 0)
		change_fini(c);
	else
		logged(rec);
	return r;
}

static int truncate_logged(struct recorder *rec, struct memnode *node, uint64_t size)
{
	struct change *c = next_change(rec, CHANGE_TRUNCATE);
	int r;

	if (!c)
		return -ENOMEM;
	c->node = node->id;
	c->n = size;
	r = memnode_truncate(node, size);
	if (r == 0)
		logged(rec);
	return r;
}

static int open_locked(struct recorder *rec, const char *name, int flags,
		       struct memnode **ret) REQUIRES(&rec->lock)
{
	struct memnode *node = memfs_find(&rec->now, name);
	int r = enter(rec, RECORDER_OPEN);

	if (r < 0)
		return r;
	if (node && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (!node && !(flags & O_CREAT))
		return -ENOENT;
	if (!node)
		r = create(rec, name, false, &node);
	else if (node->dir)
		return -EISDIR;
	else if ((flags & O_TRUNC) && node->size)
		r = truncate_logged(rec, node, 0);
	if (r == 0)
		*ret = memnode_ref(node);
	return r;
}

static int rec_open(struct io *io, const char *name, int flags, struct io_file **ret)
{
	struct recorder *rec = rec_of(io);
	struct rec_file *f = disk_calloc(1, sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	f->file.ops = &rec_file_ops;
	f->rec = rec;
	f->writable = (flags & O_ACCMODE) != O_RDONLY;
	lock_take(&rec->lock);
	r = open_locked(rec, name, flags, &f->node);
	lock_drop(&rec->lock);
	if (r < 0)
		free(f);
	else
		*ret = &f->file;
	return r;
}

static int unlink_locked(struct recorder *rec, const char *name) REQUIRES(&rec->lock)
{
	struct memnode *node = memfs_find(&rec->now, name);
	int r = enter(rec, RECORDER_NAME);

	if (r < 0)
		return r;
	if (!node)
		return -ENOENT;
	if (node->dir)
		return -EISDIR;
	r = log_name(rec, CHANGE_UNLINK, name, NULL, node);
	if (r == 0)
		memfs_unlink(&rec->now, name);
	return r;
}

static int rec_unlink(struct io *io, const char *name)
{
	struct recorder *rec = rec_of(io);
	int r;

	lock_take(&rec->lock);
	r = unlink_locked(rec, name);
	lock_drop(&rec->lock);
	return r;
}

static int rename_locked(struct recorder *rec, const char *from, const char *to)
	REQUIRES(&rec->lock)
{
	struct memnode *node = memfs_find(&rec->now, from);
	struct memnode *over = memfs_find(&rec->now, to);
	int r = enter(rec, RECORDER_NAME);

	if (r < 0)
		return r;
	if (!node)
		return -ENOENT;
	if (node->dir || (over && over->dir))
		return -EISDIR; /* nobody renames directories here */
	r = log_name(rec, CHANGE_RENAME, from, to, node);
	if (r < 0)
		return r;
	r = memfs_link(&rec->now, to, node);
	if (r < 0)
		change_fini(&rec->log[--rec->n_log]);
	else if (strcmp(from, to) != 0)
		memfs_unlink(&rec->now, from);
	return r;
}

static int rec_rename(struct io *io, const char *from, const char *to)
{
	struct recorder *rec = rec_of(io);
	int r;

	lock_take(&rec->lock);
	r = rename_locked(rec, from, to);
	lock_drop(&rec->lock);
	return r;
}

static int rec_mkdir(struct io *io, const char *name)
{
	struct recorder *rec = rec_of(io);
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_NAME);
	if (r == 0 && memfs_find(&rec->now, name))
		r = -EEXIST;
	if (r == 0)
		r = create(rec, name, true, NULL);
	lock_drop(&rec->lock);
	return r;
}

static int log_sync(struct recorder *rec, enum change_kind kind, size_t node)
{
	struct change *c = next_change(rec, kind);

	if (!c)
		return -ENOMEM;
	c->node = node;
	logged(rec);
	return 0;
}

static int rec_syncdir(struct io *io, const char *name)
{
	struct recorder *rec = rec_of(io);
	struct memnode *node;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_SYNCDIR);
	node = memfs_find(&rec->now, name);
	if (r == 0 && !node)
		r = -ENOENT;
	if (r == 0 && !node->dir)
		r = -ENOTDIR;
	if (r == 0)
		r = log_sync(rec, CHANGE_SYNCDIR, node->id);
	lock_drop(&rec->lock);
	return r;
}

/* The last part of a path that stands in `dir`, or NULL. */
static const char *name_in(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (strcmp(path, ".") == 0)
		return NULL;
	if (strcmp(dir, ".") != 0) {
		if (strncmp(path, dir, n) != 0 || path[n] != '/')
			return NULL;
		path += n + 1;
	}
	return strchr(path, '/') ? NULL : path;
}

/* Names are copied first: the callback may unlink what it is told. */
static int rec_list(struct io *io, const char *name, io_list_cb cb, void *ctx)
{
	struct recorder *rec = rec_of(io);
	char **names = NULL;
	const char *last;
	size_t n = 0;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_LOOK);
	if (r == 0 && !memfs_find(&rec->now, name))
		r = -ENOENT;
	if (r == 0) {
		names = disk_calloc(rec->now.n, sizeof(*names));
		if (!names)
			r = -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < rec->now.n; i++) {
		last = name_in(rec->now.e[i].path, name);
		if (!last)
			continue;
		names[n] = disk_strdup(last);
		if (!names[n++])
			r = -ENOMEM;
	}
	lock_drop(&rec->lock);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = cb(ctx, names[i]);
		free(names[i]);
	}
	free(names);
	return r;
}

static int rec_space(struct io *io, uint64_t *ret_free, uint64_t *ret_total)
{
	struct recorder *rec = rec_of(io);
	uint64_t total;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_LOOK);
	if (r == 0) {
		total = rec->limit ? rec->limit : 1ull << 40;
		*ret_free = (total - MIN(total, rec->used)) * MEMFS_BLOCK;
		*ret_total = total * MEMFS_BLOCK;
	}
	lock_drop(&rec->lock);
	return r;
}

static void rec_io_free(struct io *io)
{
	recorder_free(rec_of(io));
}

static void rec_file_close(struct io_file *f)
{
	struct rec_file *rf = file_of(f);
	struct recorder *rec = rf->rec;

	lock_take(&rec->lock);
	memnode_unref(rf->node);
	lock_drop(&rec->lock);
	free(rf);
}

static int64_t rec_pread(struct io_file *f, void *p, size_t n, uint64_t off)
{
	struct recorder *rec = file_of(f)->rec;
	int64_t r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_READ);
	if (r == 0)
		r = (int64_t)memnode_read(file_of(f)->node, p, n, off);
	lock_drop(&rec->lock);
	return r;
}

static int pwrite_locked(struct recorder *rec, struct rec_file *f, const void *p,
			 size_t n, uint64_t off) REQUIRES(&rec->lock)
{
	int r = enter(rec, RECORDER_WRITE);
	int r2;

	if (!f->writable)
		return -EBADF;
	if (r == 0 && !has_room(rec, f->node, off, n))
		r = -ENOSPC;
	if (r == 0)
		return write_logged(rec, f->node, p, n, off);
	n /= 2;
	if (has_room(rec, f->node, off, n)) {
		r2 = write_logged(rec, f->node, p, n, off);
		if (r2 < 0)
			r = r2;
	}
	return r;
}

static int rec_pwrite(struct io_file *f, const void *p, size_t n, uint64_t off)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	lock_take(&rec->lock);
	r = pwrite_locked(rec, file_of(f), p, n, off);
	lock_drop(&rec->lock);
	return r;
}

static int rec_datasync(struct io_file *f)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_SYNC);
	if (r == 0)
		r = log_sync(rec, CHANGE_SYNC, file_of(f)->node->id);
	lock_drop(&rec->lock);
	return r;
}

static void rec_begin_sync(struct io_file *f, uint64_t off, uint64_t n)
{
	struct recorder *rec = file_of(f)->rec;

	(void)off;
	lock_take(&rec->lock);
	rec->begun += n;
	lock_drop(&rec->lock);
}

/* One of its kind that fails takes the error away from the datasync, as Linux does. */
static int rec_write_out(struct io_file *f, uint64_t off, uint64_t n)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	(void)off;
	(void)n;
	lock_take(&rec->lock);
	r = enter(rec, RECORDER_WRITE_OUT);
	lock_drop(&rec->lock);
	return r;
}

static void rec_begin_read(struct io_file *f, uint64_t off, uint64_t n)
{
	struct recorder *rec = file_of(f)->rec;

	(void)off;
	lock_take(&rec->lock);
	rec->wanted += n;
	lock_drop(&rec->lock);
}

static int rec_truncate(struct io_file *f, uint64_t size)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_TRUNCATE);
	if (r == 0 && !file_of(f)->writable)
		r = -EBADF;
	if (r == 0)
		r = truncate_logged(rec, file_of(f)->node, size);
	lock_drop(&rec->lock);
	return r;
}

static int allocate_locked(struct recorder *rec, struct rec_file *f, int mode,
			   uint64_t off, uint64_t n) REQUIRES(&rec->lock)
{
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;
	struct change *c;
	int r = enter(rec, RECORDER_ALLOCATE);

	if (r < 0)
		return r;
	if (!f->writable)
		return -EBADF;
	if (mode & ~(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!punch && !has_room(rec, f->node, off, n))
		return -ENOSPC;
	c = next_change(rec, punch ? CHANGE_PUNCH : CHANGE_ALLOCATE);
	if (!c)
		return -ENOMEM;
	c->node = f->node->id;
	c->off = off;
	c->n = n;
	c->flag = mode & FALLOC_FL_KEEP_SIZE;
	if (punch)
		memnode_punch(f->node, off, n);
	else
		r = memnode_allocate(f->node, off, n, c->flag);
	if (r == 0)
		logged(rec);
	return r;
}

static int rec_allocate(struct io_file *f, int mode, uint64_t off, uint64_t n)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	lock_take(&rec->lock);
	r = allocate_locked(rec, file_of(f), mode, off, n);
	lock_drop(&rec->lock);
	return r;
}

static int rec_size(struct io_file *f, uint64_t *ret)
{
	struct recorder *rec = file_of(f)->rec;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_LOOK);
	if (r == 0)
		*ret = file_of(f)->node->size;
	lock_drop(&rec->lock);
	return r;
}

static int rec_allocated(struct io_file *f, uint64_t *ret)
{
	struct recorder *rec = file_of(f)->rec;
	struct memnode *node = file_of(f)->node;
	uint64_t n;
	int r;

	lock_take(&rec->lock);
	r = enter(rec, RECORDER_LOOK);
	if (r == 0) {
		n = align_up(node->size, MEMFS_BLOCK) / MEMFS_BLOCK;
		*ret = (n - memnode_missing(node, 0, node->size)) * MEMFS_BLOCK;
	}
	lock_drop(&rec->lock);
	return r;
}

const struct io_ops recorder_disk = {
	.open = rec_open,
	.unlink = rec_unlink,
	.rename = rec_rename,
	.mkdir = rec_mkdir,
	.syncdir = rec_syncdir,
	.list = rec_list,
	.space = rec_space,
	.free = rec_io_free,
};

static const struct io_file_ops rec_file_ops = {
	.close = rec_file_close,
	.pread = rec_pread,
	.pwrite = rec_pwrite,
	.datasync = rec_datasync,
	.begin_sync = rec_begin_sync,
	.write_out = rec_write_out,
	.begin_read = rec_begin_read,
	.truncate = rec_truncate,
	.allocate = rec_allocate,
	.size = rec_size,
	.allocated = rec_allocated,
};
