/* store.h - blocks in memory, behind a sealer that keeps what it seals */
#ifndef TESTS_DAG_STORE_H
#define TESTS_DAG_STORE_H

#include "dag/sealer.h"

struct store_block {
	struct link link;
	uint8_t *p;
	size_t n;
};

/*
 * sealed: links are LINK_SEALED with a key derived from the body (not secret,
 * not encrypted: it is links that the tests are about), bodies of at most 128
 * bytes identity links.  Else as the plain sealer.
 */
struct store {
	struct sealer sealer;
	bool sealed;
	struct store_block *blocks;
	size_t n, cap;
	uint64_t calls;
	uint64_t off; /* of the next block in the make-believe piece */
};

void store_init(struct store *s, bool sealed);
void store_fini(struct store *s);

/* The body that a link names; it must be there. */
struct slice store_get(struct store *s, const struct link *l);

#endif
