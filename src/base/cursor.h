/*
 * cursor.h - straight-line parsing of untrusted bytes
 *
 * The error is sticky: after the first failure every call returns zeros, and the
 * parser ends with one check of cursor_done() (all consumed) or cursor_ok().
 * Slices that cursor_take() returns borrow from the input.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/slice.h"
#include "base/util.h"

struct cursor {
	const uint8_t *p;
	size_t n;
	int err; /* 0 or -EPROTO, -EMSGSIZE */
};

static inline struct cursor cursor(struct slice s)
{
	return (struct cursor){ s.p, s.n, 0 };
}

uint8_t cursor_u8(struct cursor *c);
uint32_t cursor_le32(struct cursor *c);
uint64_t cursor_le64(struct cursor *c);

/* Multiformats varint: at most 9 bytes (63 bits), minimal. */
uint64_t cursor_varint(struct cursor *c);

/* Protobuf varint: at most 10 bytes (64 bits); need not be minimal. */
uint64_t cursor_pbvarint(struct cursor *c);

/* The next n bytes; empty after an error. */
struct slice cursor_take(struct cursor *c, uint64_t n);

/* Copy the next n bytes to dst, which is zeroed after an error. */
void cursor_copy(struct cursor *c, void *dst, size_t n);

/* Record a failure of the caller's own checks. */
void cursor_fail(struct cursor *c, int err);

/* 0, or the first error. */
must_check int cursor_ok(const struct cursor *c);

/* 0, the first error, or -EPROTO if bytes are left over. */
must_check int cursor_done(const struct cursor *c);

#endif
