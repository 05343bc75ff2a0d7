/*
 * dir_file.h - the files of a folder that is a store
 *
 * Names that are given once, on any file system, and the marker that tells the
 * store from an empty mount point.  `fd` and `to` are open folders.
 *
 * Threading: any thread; everything blocks.  Errors: -errno.
 */
#ifndef PROVIDER_DIR_FILE_H
#define PROVIDER_DIR_FILE_H

#include "base/slice.h"
#include "provider/internal.h"

#define DIR_MARKER    "fildrive-store"
#define DIR_PART      ".part-" /* such a name has what is not finished */
#define DIR_PART_SIZE 32       /* bytes, with NUL */

/* 2 n digits and NUL. */
void dir_hex(const uint8_t *p, size_t n, char *ret);

must_check int dir_write_all(int fd, const void *p, size_t n);

/* The number of bytes; fewer than n at the end of the file. */
must_check int64_t dir_read_at(int fd, void *p, size_t n, uint64_t off);

/*
 * A regular file, to be read: -ENOENT if there is none, -EUCLEAN if something
 * else has its name (opening a pipe would wait for a writer).
 */
must_check int dir_open_regular(int fd, const char *name);

/* A name of ours that nobody else has. */
must_check int dir_part_name(char ret[static DIR_PART_SIZE]);

/*
 * A small file, written in folder `fd` and named in folder `to`, durably, if no
 * file has that name yet.  -EEXIST if one has.
 */
must_check int dir_file_once(int fd, int to, const char *name, struct slice content);

/* The id in the marker of folder `fd`.  -ENOENT; -EUCLEAN if it is no marker. */
must_check int dir_marker_read(int fd, uint8_t ret[static PROVIDER_ID_SIZE]);

/* A marker with a new id, if there is none yet. */
must_check int dir_marker_write(int fd);

#endif
