/*
 * records.h - what the tests of trailers, commits and pieces share
 */
#ifndef TEST_RECORDS_H
#define TEST_RECORDS_H

#include "base/buf.h"
#include "crypto/commp.h"
#include "crypto/keys.h"
#include "crypto/piece_cid.h"
#include "crypto/secret.h"

/* The keys of the drive whose entropy is 32 bytes of `fill`. */
static inline struct keys *test_keys(uint8_t fill)
{
	_cleanup_secret_ struct secret *entropy = NULL;
	uint8_t bytes[SECRET_SIZE];
	struct keys *k = NULL;

	memset(bytes, fill, sizeof(bytes));
	assert_int_equal(secret_new(bytes, &entropy), 0);
	assert_int_equal(keys_from_entropy(entropy, &k), 0);
	return k;
}

static inline struct secret *test_secret(uint8_t fill)
{
	struct secret *s = NULL;
	uint8_t bytes[SECRET_SIZE];

	memset(bytes, fill, sizeof(bytes));
	assert_int_equal(secret_new(bytes, &s), 0);
	return s;
}

/* The CID of a piece of 1,000 bytes with a made-up root. */
static inline struct piece_cid test_piece_cid(uint8_t fill)
{
	struct commp_sum sum = { .raw_size = 1000, .padding = 16, .height = 5 };
	struct piece_cid c;

	memset(sum.root, fill & 0x3f, sizeof(sum.root));
	piece_cid_v2(&sum, &c);
	return c;
}

static inline struct link test_link(uint8_t codec, uint64_t piece, uint64_t off,
				    uint32_t len)
{
	struct link l = { .kind = LINK_SEALED,
			  .codec = codec,
			  .place = { piece, off, len } };

	memset(l.digest, 0xd1, sizeof(l.digest));
	memset(l.key, 0x4e, sizeof(l.key));
	return l;
}

#endif
