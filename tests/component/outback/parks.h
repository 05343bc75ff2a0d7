/*
 * parks.h - folders that behave as storage providers of a chain do
 *
 * What is put is parked, and served only once a COMMIT or a claim has kept it;
 * all stores of one network share a head register; every transaction counts.
 */
#ifndef OUTBACK_PARKS_H
#define OUTBACK_PARKS_H

#include "base/thread.h"
#include "provider/provider.h"

#define PARKS_STORES  4
#define PARKS_MAX     512
#define PARKS_NETWORK 31415926u

struct parks_store {
	struct provider *p;
	const struct provider_ops *real;
	struct loop *loop;
	struct piece_cid parked[PARKS_MAX], kept[PARKS_MAX];
	size_t n_parked, n_kept;
	unsigned n_commits, n_claims; /* transactions that were paid for */
	bool refuse;                  /* COMMIT and claim fail: away */
	bool forget; /* once: what is parked is gone at the next COMMIT */
};

struct parks {
	struct lock lock;
	struct parks_store store[PARKS_STORES]; /* lock: lock; so is the rest */
	struct {
		uint8_t name[KEYS_HEAD_NAME_SIZE];
		struct piece_cid cid;
	} head[PARKS_MAX];
	size_t n_heads;
};

struct parks *parks_new(void);
void parks_free(struct parks *n);

/* Provider `i`, a folder, becomes one of these; before it is asked anything. */
void parks_install(struct parks *n, size_t i, struct provider *p, struct loop *loop);

#endif
