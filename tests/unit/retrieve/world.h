/*
 * world.h - one piece, two stores that lie on demand, and a retriever over them
 *
 * The piece holds loose leaves that lie back to back, a file of two and a half
 * leaves, a directory that names it, and an inode table.  A store is a vtable
 * over the bytes of the piece; each call counts.
 */
#ifndef TEST_RETRIEVE_WORLD_H
#define TEST_RETRIEVE_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "dag/file.h"
#include "helper/recorder.h"
#include "ledger/ledger.h"
#include "retrieve/internal.h"

#define N_STORES    2
#define N_LOOSE     64
#define LOOSE_SIZE  900u
#define FILE_SIZE   2500000u
#define FILE_INO    77u
#define HANGING_MAX 16
#define GIVE_UP_MS  3000u
#define SILENCE_MS  600000u /* longer than a machine stands still */

enum store_mood {
	STORE_GOOD,
	STORE_AWAY,      /* -EREMOTEIO */
	STORE_WITHOUT,   /* -ENOENT */
	STORE_WRONG,     /* every byte that it gives is flipped */
	STORE_SHORT,     /* half of what was asked for */
	STORE_BOASTS,    /* says that it gave more than was asked for */
	STORE_CUT,       /* its copy ends at `cut` */
	STORE_CUT_ERROR, /* likewise, and a range beyond is -EIO */
	STORE_HANGS,     /* until it is cancelled */
};

struct store {
	struct provider provider;
	struct lock lock;
	struct cond cond;
	enum store_mood mood; /* lock: lock; so are all below */
	uint64_t cut;         /* bytes */
	unsigned n_calls;     /* GETs so far */
	struct provider_req *hanging[HANGING_MAX];
	const struct world *world;
};

struct world {
	struct recorder *rec;
	struct keys *keys;
	struct secret *convergence;
	struct ledger *ledger;
	uint64_t ids[N_STORES];
	struct store stores[N_STORES];
	struct buf piece;
	uint64_t ordinal;
	struct link loose[N_LOOSE];
	struct dag_root file, dir, table;
	struct ledger_block blocks[N_LOOSE + 16];
	size_t n_blocks;
	struct provider *gateway; /* of the next world_threads() */
	struct retrieve *r;
};

int world_new(void **state);
int world_free(void **state);

/* Another retriever over the same, with so many threads. */
void world_threads(struct world *w, unsigned n);

void mood(struct world *w, size_t store, enum store_mood m);
unsigned calls(struct world *w, size_t store);
void wait_until_hanging(struct world *w, size_t store);
/* For a range that begins at `off`. */
void wait_until_hanging_at(struct world *w, size_t store, uint64_t off);

/* The bytes of loose block i, and of the file. */
void loose_text(unsigned i, uint8_t ret[static LOOSE_SIZE]);
void file_text(uint64_t off, uint8_t *p, size_t n);

/* A request of the cache, what came of it, and how to wait for it. */
struct ask {
	struct source_req req;
	struct buf link;
	struct buf data;
	struct cache_attr attr; /* of the last entry */
	char name[256];
	unsigned n_entries;
	unsigned n_done;
	int status;
	struct lock lock;
	struct cond cond;
};

void ask_start(struct ask *a, struct world *w, enum source_kind kind,
	       const struct link *l, uint64_t off, uint64_t n, bool readahead);
int ask_wait(struct ask *a);
void ask_end(struct ask *a);

#endif
