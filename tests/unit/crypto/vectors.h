/*
 * vectors.h - what the unit tests of crypto/ share: hex, patterns, lines of a
 * vector file
 */
#ifndef TESTS_CRYPTO_VECTORS_H
#define TESTS_CRYPTO_VECTORS_H

#include <stdint.h>
#include <stdio.h>

#include "base/slice.h"
#include "base/util.h"

struct secret;

/* Decodes into `dst`, which has `max` bytes; the number of bytes. */
size_t unhex(const char *hex, uint8_t *dst, size_t max);

/* Heap bytes: i mod 251. */
uint8_t *mod251(size_t n);

/* Opens a file below tests/vectors, or fails the test. */
FILE *vector_open(const char *name);

/* A secret of 32 times the byte `b`. */
struct secret *secret_of(uint8_t b);

#endif
