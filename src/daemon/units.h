/*
 * units.h - sizes and times as people write them
 *
 *   size  digits, then nothing or B (bytes), K, M, G, T, P, each also as KiB …:
 *         1024-based; KB, MB, … are 1000-based; one decimal point is fine: 1.5G
 *   time  digits, then ms, s, m, h, d; without a unit seconds
 *
 * Threading: stateless.
 */
#ifndef DAEMON_UNITS_H
#define DAEMON_UNITS_H

#include "base/util.h"

#define UNITS_TEXT_MAX 32 /* bytes of any formatted value, with NUL */

/* -EINVAL: not a size; -ERANGE: over 2^63 - 1. */
must_check int units_parse_size(const char *text, uint64_t *ret_bytes);
must_check int units_parse_time(const char *text, uint64_t *ret_ms);

/* A plain number: digits and nothing else.  -EINVAL, -ERANGE. */
must_check int units_number(const char *text, uint64_t *ret);

/* Exact, in the form that units_parse_*() reads back: "20G", "1500ms", "0". */
void units_write_size(uint64_t bytes, char ret[static UNITS_TEXT_MAX]);
void units_write_time(uint64_t ms, char ret[static UNITS_TEXT_MAX]);

/* Rounded, for people: "1.5 GiB", "3 min 20 s". */
void units_say_size(uint64_t bytes, char ret[static UNITS_TEXT_MAX]);
void units_say_time(uint64_t ms, char ret[static UNITS_TEXT_MAX]);

/* `one` if there is just one, else `many`: "1 piece", "2 pieces". */
const char *units_noun(uint64_t n, const char *one, const char *many);

/* Local time: "2026-11-21 15:04:05". */
void units_say_date(int64_t seconds, char ret[static UNITS_TEXT_MAX]);

#endif
