/* vectors.h - JSON vectors for the tests of src/dag; failures end the test */
#ifndef TESTS_DAG_VECTORS_H
#define TESTS_DAG_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/slice.h"
#include "dag/cid.h"

struct buf;

/* tests/vectors/ipfs/<name>; the caller gives it back with json_decref(). */
json_t *vectors_load(const char *name);

/* The member `key`, which must be there. */
const char *vectors_str(const json_t *o, const char *key);
uint64_t vectors_u64(const json_t *o, const char *key);

/* Append the bytes of a hex string. */
void vectors_hex(const char *hex, struct buf *b);

/* Text of a CID equals `want`. */
void vectors_assert_cid(const struct cid *got, const char *want, const char *what);

#endif
