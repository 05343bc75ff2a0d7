/* vectors.h - JSON vectors for the tests of src/chain; failures end the test */
#ifndef TESTS_CHAIN_VECTORS_H
#define TESTS_CHAIN_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/slice.h"
#include "chain/address.h"
#include "chain/u256.h"

struct secret;

/* tests/vectors/filecoin/<name>; the caller gives it back with json_decref(). */
json_t *vectors_load(const char *name);

/* The member `key`, which must be there. */
const json_t *vectors_get(const json_t *o, const char *key);
const char *vectors_str(const json_t *o, const char *key);

/* The bytes of "0x…", or of a member that holds them: the caller's buf_fini(). */
struct buf vectors_unhex(const char *hex);
struct buf vectors_hex(const json_t *o, const char *key);

/* A number in decimal text, or a JSON integer. */
struct u256 vectors_u256(const json_t *o, const char *key);
struct address vectors_address(const json_t *o, const char *key);

/* An address whose word is the number i. */
struct address party(uint8_t i);

void assert_slice_hex(struct slice got, const char *hex);
void assert_u256_text(struct u256 got, const char *decimal);

/* 32 times 0x01, which signed the vectors. */
struct secret *vectors_key(void);

#endif
