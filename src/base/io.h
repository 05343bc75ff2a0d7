/*
 * io.h - the seam for every byte of the drive directory
 *
 * All file I/O below the drive directory (databases and their WAL, segments,
 * key slots, outbox) goes through this vtable, so that tests can record it,
 * replay every prefix of it, drop what was not synced, and fail any call.
 * The seam stands in base/ because src/db, below cache/, writes through it too.
 *
 * Names are relative to the directory that the io was opened on; they never
 * follow a symlink and never contain "..".
 *
 * Durability contract, which the recording backend of the tests enforces:
 *   - bytes and sizes are durable after io_datasync() on the file
 *   - names (create, rename, unlink) are durable after io_syncdir() on their
 *     directory
 *   - before that any subset of the writes may survive, torn at 512 bytes
 *
 * Threading: an io and its files may be used from any thread at once; a file
 * is closed by one thread when no call on it is under way.
 * Errors: -errno of the operating system.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

struct io;
struct io_file;
struct slice;
struct buf;

/* What io_list() calls for every name but "." and ".."; non-zero stops it. */
typedef int (*io_list_cb)(void *ctx, const char *name);

struct io_ops {
	int (*open)(struct io *io, const char *name, int flags,
		    struct io_file **ret);
	int (*unlink)(struct io *io, const char *name);
	int (*rename)(struct io *io, const char *from, const char *to);
	int (*mkdir)(struct io *io, const char *name);
	int (*syncdir)(struct io *io, const char *name);
	int (*list)(struct io *io, const char *name, io_list_cb cb, void *ctx);
	int (*space)(struct io *io, uint64_t *ret_free, uint64_t *ret_total);
	void (*free)(struct io *io);
};

struct io_file_ops {
	void (*close)(struct io_file *f);
	int64_t (*pread)(struct io_file *f, void *p, size_t n, uint64_t off);
	int (*pwrite)(struct io_file *f, const void *p, size_t n, uint64_t off);
	int (*datasync)(struct io_file *f);
	void (*begin_sync)(struct io_file *f, uint64_t off, uint64_t n); /* or NULL */
	/* or NULL */
	int (*write_out)(struct io_file *f, uint64_t off, uint64_t n);
	void (*begin_read)(struct io_file *f, uint64_t off, uint64_t n); /* or NULL */
	void (*no_ahead)(struct io_file *f); /* or NULL */
	int (*truncate)(struct io_file *f, uint64_t size);
	int (*allocate)(struct io_file *f, int mode, uint64_t off, uint64_t n);
	int (*size)(struct io_file *f, uint64_t *ret);
	int (*allocated)(struct io_file *f, uint64_t *ret);
};

struct io {
	const struct io_ops *ops;
};

struct io_file {
	const struct io_file_ops *ops;
};

/*
 * The real thing: the directory at `path`, which must exist, be ours and be
 * closed to others (mode 0700 is set if it is not).
 */
must_check int io_dir_new(const char *path, struct io **ret);
void io_free(struct io *io);

/* flags: O_RDONLY or O_RDWR, with O_CREAT, O_EXCL, O_TRUNC.  Mode is 0600. */
must_check int io_open(struct io *io, const char *name, int flags,
		       struct io_file **ret);
void io_close(struct io_file *f); /* NULL is fine; does not sync */

/* Bytes read: fewer than n only at the end of the file. */
must_check int64_t io_pread(struct io_file *f, void *p, size_t n, uint64_t off);

/* All of it or an error; after an error any part may have been written. */
must_check int io_pwrite(struct io_file *f, const void *p, size_t n, uint64_t off);
must_check int io_datasync(struct io_file *f);

/*
 * Let the disk begin with these bytes: io_datasync() will have less to wait for.
 * Nothing is durable by it, and no error is told or taken away from
 * io_datasync().  May block while the disk has more to do than it can queue.
 */
void io_begin_sync(struct io_file *f, uint64_t off, uint64_t n);

/*
 * io_begin_sync() for the background, which makes way: while thread_foreground_busy()
 * IO_CALM at a time and each awaited, so that an fsync there waits behind one such
 * request and not behind all.  -errno: what the disk could not write, now or before;
 * io_datasync() may not say it again, so whoever gets it has to.
 */
#define IO_CALM (256u << 10) /* bytes */
must_check int io_write_out(struct io_file *f, uint64_t off, uint64_t n);
/* The same for a descriptor; 0 as well where the file system cannot. */
must_check int io_write_out_fd(int fd, uint64_t off, uint64_t n);

/*
 * sync_file_range(2), `how` its flags; -errno, and 0 where the file system cannot.
 * With a flag that waits, an error told here is one io_datasync() may not say again.
 */
must_check int io_sync_range(int fd, uint64_t off, uint64_t n, unsigned how);

/*
 * Let the disk begin to read these bytes into memory, for an io_pread() to come.
 * Returns before they are there, and says nothing of errors: the io_pread() does.
 */
void io_begin_read(struct io_file *f, uint64_t off, uint64_t n);

/* From now on the disk is asked for what this handle reads, and for no more. */
void io_no_ahead(struct io_file *f);
must_check int io_truncate(struct io_file *f, uint64_t size);

/*
 * fallocate(2).  mode 0 makes room; FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE
 * gives it back.  -EOPNOTSUPP where the file system cannot.
 */
must_check int io_allocate(struct io_file *f, int mode, uint64_t off, uint64_t n);
must_check int io_size(struct io_file *f, uint64_t *ret);

/* Bytes of the disk that the file holds: without its holes, with its room. */
must_check int io_allocated(struct io_file *f, uint64_t *ret);

/* A large file that nobody else has open is given back to the disk bit by bit. */
must_check int io_unlink(struct io *io, const char *name);
must_check int io_unlink_at(int dir, const char *name); /* by its fd, likewise */
must_check int io_rename(struct io *io, const char *from, const char *to);
must_check int io_mkdir(struct io *io, const char *name);   /* 0700; -EEXIST */
must_check int io_syncdir(struct io *io, const char *name); /* "." is the root */
must_check int io_list(struct io *io, const char *name, io_list_cb cb, void *ctx);

/* Bytes that we may still write, and bytes in all. */
must_check int io_space(struct io *io, uint64_t *ret_free, uint64_t *ret_total);

/*
 * Replace `name` by `content` so that a crash leaves the old or the new one:
 * write name.tmp, sync, rename, sync the directory `dir` ("." or the folder
 * that name stands in).
 */
must_check int io_replace(struct io *io, const char *dir, const char *name,
			  struct slice content);

/* Append a whole file to `b`; -EMSGSIZE past b's maximum. */
must_check int io_slurp(struct io *io, const char *name, struct buf *b);

static inline void io_closep(struct io_file **f)
{
	io_close(*f);
}

#define _cleanup_io_file_ _cleanup_(io_closep)

#endif
