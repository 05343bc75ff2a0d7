/*
 * http_upload.h - a part of a file, read ahead on the workers (internal)
 *
 * The loop may not wait for a disk, so curl is given what a worker has read
 * already: two chunks, one going out while the other fills.
 *
 * Threading: the loop; reads run on the workers.
 */
#ifndef NET_HTTP_UPLOAD_H
#define NET_HTTP_UPLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"

struct http_upload;
struct io_file;
struct work;

/* `ready` is called on the loop whenever a read has ended.  Nothing starts yet. */
must_check int http_upload_new(struct work *work, struct io_file *f, uint64_t off,
			       uint64_t n, void (*ready)(void *ctx), void *ctx,
			       struct http_upload **ret);

/*
 * Up to n bytes to dst: their number, 0 at the end, -EAGAIN if nothing is read
 * yet (`ready` follows), -EUCLEAN if the file is shorter, or what the read gave.
 */
must_check int64_t http_upload_take(struct http_upload *u, void *dst, size_t n);

/* Is a read under way?  Then it may not be freed before the next `ready`. */
bool http_upload_busy(const struct http_upload *u); /* NULL: no */
void http_upload_free(struct http_upload *u);       /* NULL is fine */

#endif
