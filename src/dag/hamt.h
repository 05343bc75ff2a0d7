/*
 * hamt.h - where a name lives in a sharded directory
 *
 * Pure functions on hashes, buckets and bitfields; dir.h builds and reads the
 * nodes.
 *
 *   h      = murmur3_h1(name)
 *   bucket at level L = (h >> (64 - bits × (L + 1))) & (fanout - 1)
 *            so a fanout of 256 takes the bytes of h from the top; levels that
 *            would need more than 64 bits do not exist
 *   link name = bucket in upper-case hex, as many digits as fanout - 1 has,
 *            then the entry's name; nothing behind it: a sub-shard
 *   bitfield = fanout bits as one big-endian number, bit i set if bucket i is
 *            in use, leading zero bytes dropped
 *
 *
 * Sealed shards only: names whose 64 bits are all equal share a bucket at the
 * deepest level, up to HAMT_BUCKET_MAX of them.  murmur3 is not keyed, so an
 * attacker makes any number of such names; a bucket with more becomes a
 * sub-shard of a second round of levels, in which
 *
 *   h      = the first 8 bytes of SHA-256(name), big-endian
 *   bucket at level L = (h >> (64 - bits × (L - levels + 1))) & (fanout - 1)
 *
 * and whose own deepest level shares buckets without a limit.
 *
 * Threading: stateless.
 */
#ifndef DAG_HAMT_H
#define DAG_HAMT_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/util.h"

#define HAMT_FANOUT_MAX 1024 /* buckets; CVE-2023-23625 is what lies beyond */
#define HAMT_BITS_BYTES (HAMT_FANOUT_MAX / 8)
#define HAMT_DIGITS_MAX 3
#define HAMT_BUCKET_MAX 1024 /* entries of one bucket in the first round */
#define HAMT_ROUNDS     2    /* of a sealed directory; others have one */

/* log2 of a fanout that we read (a power of two, 8 to 1024), or 0. */
unsigned hamt_bits(uint64_t fanout);

/* Levels that 64 hash bits feed: those of one round. */
static inline unsigned hamt_levels(unsigned bits)
{
	return 64 / bits;
}

/* Hex digits before each name. */
static inline unsigned hamt_digits(unsigned bits)
{
	return (bits + 3) / 4;
}

/* The hash of a name in round 0 or 1. */
uint64_t hamt_hash(struct slice name, unsigned round);

/* `h` is the hash of the round of `level`. */
unsigned hamt_index(uint64_t h, unsigned bits, unsigned level);

/* The last level of a round. */
static inline bool hamt_deepest(unsigned bits, unsigned level)
{
	return (level + 1) % hamt_levels(bits) == 0;
}

/* Write the digits of a bucket, without NUL. */
void hamt_prefix(unsigned index, unsigned bits, uint8_t ret[static HAMT_DIGITS_MAX]);

/* The bucket that a link's name begins with; -EPROTO. */
must_check int hamt_prefix_parse(struct slice name, unsigned bits);

/* A whole bitfield: `field` has fanout/8 bytes. */
static inline void hamt_set(uint8_t *field, unsigned fanout, unsigned i)
{
	field[fanout / 8 - 1 - i / 8] |= (uint8_t)(1u << (i % 8));
}

static inline bool hamt_get(const uint8_t *field, unsigned fanout, unsigned i)
{
	return field[fanout / 8 - 1 - i / 8] >> (i % 8) & 1;
}

/* The field without its leading zero bytes. */
struct slice hamt_trim(const uint8_t *field, unsigned fanout);

/* Right-align what a node holds into fanout/8 bytes; -EPROTO if too long. */
must_check int hamt_expand(struct slice trimmed, unsigned fanout,
			   uint8_t *ret_field);

#endif
