/*
 * field.h - the records of the drive: protobuf fields, one canonical form
 *
 * Attributes, trailers and commits are sequences of protobuf fields.  Of the
 * encodings that protobuf allows, exactly one is written and accepted, so that
 * equal records are equal bytes (the convergent sealer needs that):
 *
 *   - field numbers ascend; only a field declared so may come more than once
 *   - wire types 0 (varint) and 2 (bytes) only; varints take the shortest form
 *   - a number that is 0 and bytes that are empty are left out
 *
 * Fields that a reader does not know are skipped, if they have this form.
 *
 *   offset  size  of one field
 *   0       v     varint: number << 3 | wire type
 *   v       ..    varint, or varint length and so many bytes
 *
 * Spec: https://protobuf.dev/programming-guides/encoding/
 * Threading: pure functions.  Slices borrow from the input.
 */
#ifndef DAG_FIELD_H
#define DAG_FIELD_H

#include <stdbool.h>

#include "base/cursor.h"

struct buf;

enum field_wire {
	FIELD_VARINT = 0,
	FIELD_BYTES = 2
};

struct field {
	uint32_t num;
	enum field_wire wire;
	uint64_t v;         /* FIELD_VARINT */
	struct slice bytes; /* FIELD_BYTES */
};

struct field_reader {
	struct cursor c;
	uint32_t last;     /* number of the field before */
	uint64_t repeated; /* bit i: field i may come again */
};

#define FIELD_REPEATED(num) (1ull << (num))

static inline struct field_reader field_reader(struct slice s, uint64_t repeated)
{
	return (struct field_reader){ cursor(s), 0, repeated };
}

/* The next field; false at the end, and after an error. */
bool field_next(struct field_reader *r, struct field *ret);

/* The number of a field, 1 to max, else the reader fails and 0 returns. */
uint64_t field_num(struct field_reader *r, const struct field *f, uint64_t max);

/* The same, zigzag-encoded: any but 0. */
int64_t field_sint(struct field_reader *r, const struct field *f);

/* The bytes of a field, min to max of them, else the reader fails. */
struct slice field_bytes(struct field_reader *r, const struct field *f,
			 size_t min, size_t max);

/* The bytes of a field that has exactly n, copied; zeros on failure. */
void field_copy(struct field_reader *r, const struct field *f, void *dst, size_t n);

/* A varint of up to 64 bits outside a field; the cursor fails if it is not
 * minimal. */
uint64_t field_varint(struct cursor *c);

/* Record a failure of the caller's own checks. */
void field_fail(struct field_reader *r);

/* 0, or -EPROTO if anything was not of the canonical form. */
must_check int field_done(const struct field_reader *r);

/* Writers.  Zero and empty are left out; -EMSGSIZE, -ENOMEM from the buffer. */
must_check int field_put_num(struct buf *b, uint32_t num, uint64_t v);
must_check int field_put_sint(struct buf *b, uint32_t num, int64_t v);
must_check int field_put_bytes(struct buf *b, uint32_t num, struct slice s);

/*
 * Append a field whose bytes are those that stand in `b` from `mark` on: encode
 * a nested record behind the rest, then put its head in front of it.
 */
must_check int field_wrap(struct buf *b, uint32_t num, size_t mark);

/* Bytes of v as a varint: 1 to 10. */
size_t field_varint_size(uint64_t v);

#endif
