/*
 * json.h - JSON from peers, in bounded depth and memory
 *
 * jansson parses well but recurses, and makes some dozen bytes of a byte: a text of
 * "[{},{},…" grows a hundredfold.  json_read() counts nesting and values before it
 * lets jansson see the text.  The value that it gives is jansson's own, for jansson's
 * own functions; only those that parse text are not for peers' bytes.
 *
 * The hex forms are those of Ethereum's JSON-RPC: a quantity is "0x" and digits,
 * bytes are "0x" and an even number of digits.  Leading zeros of a quantity are
 * forgiven, as nodes write them.
 *
 * Spec: RFC 8259; https://ethereum.org/en/developers/docs/apis/json-rpc/
 * Threading: values.  Errors: -errno.
 */
#ifndef NET_JSON_H
#define NET_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"

struct buf;

#define JSON_DEPTH_MAX  32    /* nested arrays and objects */
#define JSON_VALUES_MAX 65536 /* a good maximum for one answer */

/*
 * Parse a whole text whose outermost value may be of any type.  `n_values` bounds
 * members and elements of all arrays and objects together (20 MB at most for
 * JSON_VALUES_MAX, besides the text's own size).
 *
 * -EPROTO    not JSON, a member named twice, a NUL, a number that is none
 * -EMSGSIZE  nested too deep, or too many values
 * -ENOMEM
 */
must_check int json_read(struct slice text, size_t n_values, json_t **ret);

/* -EPROTO: not a hex quantity; -ERANGE: does not fit. */
must_check int json_hex_u64(const json_t *v, uint64_t *ret);

/* A quantity into `n` bytes, big-endian. */
must_check int json_hex_number(const json_t *v, uint8_t *dst, size_t n);

/* Bytes of exactly this size.  -EPROTO. */
must_check int json_hex_fixed(const json_t *v, uint8_t *dst, size_t n);

/* Bytes of any size, appended.  -EPROTO, and what buf_append() returns. */
must_check int json_hex_bytes(const json_t *v, struct buf *to);

/* The same for text that is no JSON value; all of it. */
must_check int json_hex_text(struct slice text, struct buf *to);

/* Bytes as "0x…", appended, without quotes.  What buf_append() returns. */
must_check int json_put_hex(struct buf *to, struct slice bytes);

/*
 * json_string() of bytes that should be text, as names of files and folders are:
 * where they are no UTF-8, which JSON has to be, a byte is shown as \xNN (and a
 * backslash that stands there as itself).  NULL without memory.
 */
json_t *json_text(const char *s);

#define _cleanup_json_ _cleanup_(json_decrefp)

#endif
