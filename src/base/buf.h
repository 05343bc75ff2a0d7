/*
 * buf.h - owned, growable bytes with a mandatory maximum
 *
 * The maximum is given at init and bounds what a peer or a file can make us
 * allocate.  A failed append leaves the buffer as it was.  Not for secrets
 * (crypto/secret.h).  One thread at a time.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"
#include "base/util.h"

struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t max;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b); /* zeroed or finished before: no-op */

/* Forget the content, keep the memory. */
void buf_reset(struct buf *b);

/* -EMSGSIZE past the maximum, -ENOMEM. */
must_check int buf_append(struct buf *b, struct slice s);
must_check int buf_u8(struct buf *b, uint8_t v);
must_check int buf_le32(struct buf *b, uint32_t v);
must_check int buf_le64(struct buf *b, uint64_t v);
must_check int buf_varint(struct buf *b, uint64_t v); /* unsigned LEB128 */
must_check int buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

/*
 * Append `n` bytes that the caller fills: `*ret` points to them until the next
 * call on this buffer.
 */
must_check int buf_grow(struct buf *b, size_t n, uint8_t **ret);

static inline struct slice buf_slice(const struct buf *b)
{
	return slice(b->p, b->n);
}

#define _cleanup_buf_ _cleanup_(buf_fini)

#endif
