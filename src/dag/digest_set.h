/*
 * digest_set.h - which 32-byte digests were seen; open addressing
 *
 * For content digests of data that we hashed ourselves: their first bytes are
 * taken as the hash.  Memory: 32 bytes a slot, at most three quarters full.
 * One thread.
 */
#ifndef DAG_DIGEST_SET_H
#define DAG_DIGEST_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/util.h"

#define DIGEST_SIZE 32

struct digest_set {
	uint8_t (*slots)[DIGEST_SIZE]; /* all zeros: empty */
	size_t n, cap;
};

void digest_set_fini(struct digest_set *s); /* zeroed is a valid empty set */

/* 1 if it is new, 0 if it was there, -ENOMEM. */
must_check int digest_set_add(struct digest_set *s,
			      const uint8_t digest[static DIGEST_SIZE]);

bool digest_set_has(const struct digest_set *s,
		    const uint8_t digest[static DIGEST_SIZE]);

#endif
