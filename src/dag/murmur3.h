/*
 * murmur3.h - MurmurHash3 x64 128, seed 0, the first 64-bit word
 *
 * What UnixFS hashes names with (code 0x22).  Not keyed: whoever chooses names
 * can make them collide.  Vectors: tests/vectors/ipfs/murmur3.json.
 */
#ifndef DAG_MURMUR3_H
#define DAG_MURMUR3_H

#include "base/slice.h"

/* h1 as a number: "a" is 0x85555565f6597889. */
uint64_t murmur3_h1(struct slice s);

#endif
