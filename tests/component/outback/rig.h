/*
 * rig.h - a device without a mount: cache, ledger, stores and both directions
 *
 * What the daemon wires, in one process and without FUSE: drive directories and
 * stores are temporary folders below one root.  Every call that misses is
 * fetched and asked again, as fuse/ does.  Failures end the test.
 */
#ifndef OUTBACK_RIG_H
#define OUTBACK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "cache/cache.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "dag/attr.h"
#include "dag/commit.h"
#include "ledger/convergence.h"
#include "ledger/ledger.h"
#include "net/loop.h"
#include "net/work.h"
#include "onboard/onboard.h"
#include "provider/head.h"
#include "provider/provider.h"
#include "retrieve/recover.h"
#include "retrieve/retrieve.h"
#include "retrieve/snapshot.h"

#include "far.h"

#define RIG_STORES_MAX 4
#define RIG_WAIT_MS    120000 /* who needs as long hangs */
#define RIG_PATIENT_MS (2 * RIG_WAIT_MS)
#define RIG_GIVE_UP_MS 1500
#define RIG_SILENT_MS  1500

#define ok(call)                                                       \
 do {                                                                  \
  int ok_ = (call);                                                    \
  if (ok_ < 0)                                                         \
   fail_msg("%s:%d: %s: %s", __FILE__, __LINE__, #call, err_str(ok_)); \
 } while (0)

struct rig {
	char root[64]; /* everything below it */
	struct secret *entropy;
	struct keys *keys;
	unsigned silence_ms; /* of stores to be opened; 0: longer than a test waits, so
				  that none is away since the machine stood still */
	unsigned hung;         /* bit i: store i hangs from its opening on */
	struct parks *parks;   /* the stores are these; NULL: plain folders */
	struct recorder *disk; /* of devices to be opened; who sets it frees it;
				  NULL: folders */
	uint64_t cache_bytes; /* of caches to be opened; 0: as much as there is.  Who
				 writes waits for room for 1 s then, else for 5 */
	struct far_line line; /* to all stores opened from now on; those
				 do not hang; zero: none */
};

struct hang;
struct parks;
struct recorder;

struct device {
	struct rig *rig;
	char name[32];
	struct io *io;
	struct loop *loop;
	struct work *work;
	struct ledger *ledger;
	struct provider *stores[RIG_STORES_MAX];
	uint64_t ids[RIG_STORES_MAX];
	size_t n_stores;
	unsigned copies;
	uint64_t piece_target;
	uint32_t piece_blocks;
	uint64_t outbox_max;
	size_t results_max;
	unsigned watch_ms; /* as onboard.h; so is the next */
	uint64_t watch_away_s;
	struct hang *hangs[RIG_STORES_MAX];
	struct far *far[RIG_STORES_MAX]; /* NULL: near */
	uint64_t closed_ms; /* that it took to have all on the local disk */
	struct retrieve *retrieve;
	struct cache *cache;
	struct onboard *onboard;
};

void rig_new(struct rig *r);
void rig_free(struct rig *r);
/* For cmocka: *state is a new rig on the heap; with parks.h for its stores. */
int rig_set_up(void **state);
int rig_set_up_parks(void **state);
int rig_tear_down(void **state);
void rig_remove(struct rig *r, const char *name); /* rm -rf, below root */
void rig_path(struct rig *r, const char *name, char *ret, size_t size);

/* A new drive on stores "s0" … in the directory `name`; open, but not started. */
void device_init(struct device *d, struct rig *r, const char *name,
		 size_t n_stores, unsigned copies);
/* The same directory again. */
void device_open(struct device *d);
void device_start(struct device *d);
void device_close(struct device *d); /* unmount */

/*
 * A child process, which opens the device, gets SIGKILL after `us` microseconds.
 * True: it had come to its end, which has to be 0.
 */
bool device_lives_through(struct device *d, int (*child)(struct device *d), long us);

/* With the keys only, into the empty directory `name`; `before` as recover.h. */
void device_recover(struct device *d, struct rig *r, const char *name,
		    size_t n_stores, unsigned copies, uint64_t before);
/* Just the look at the stores. */
int device_find(struct device *d, struct rig *r, const char *name, size_t n_stores,
		uint64_t before, struct recover_found **ret, struct err *e);
void device_find_end(struct device *d);

/* Nothing but the stores, opened; then a drive of what was found there (with
 * `s`, if it is not NULL, mended) */
struct salvage;
void device_look(struct device *d, struct rig *r, const char *name, size_t n_stores);
void device_fill(struct device *d, const struct recover_found *f, struct salvage *s);

/* A cache of one snapshot, in the directory "snap", with the source of
 * `of`. */
void device_snapshot(struct device *d, struct device *of, const struct snapshot *s);
void device_snapshot_end(struct device *d, struct device *of);

int device_sync(struct device *d); /* commit, ship, claim; the result */

/* For what tells of its progress (onboard.h): nobody wants to know. */
int no_progress(void *ctx, const char *stage, uint64_t done, uint64_t total);

/*
 * For this device store i answers nothing any more, until it is woken: then it
 * does all that it was asked.  So long it is given up after RIG_SILENT_MS; one that
 * is only slow is not.  Another device sees nothing of it.
 */
void device_hang(struct device *d, size_t i);
void device_wake(struct device *d, size_t i);

/* The same for one verb, with all the time in the world. */
void device_hold(struct device *d, size_t i, enum provider_verb verb);

/* Store i answers, and has no room for a piece. */
void device_full(struct device *d, size_t i, bool full);

/* A byte of what store i keeps waiting moves. */
void device_crawl(struct device *d, size_t i);

/*
 * The next answer of store i to this verb is kept on its way, until it is let go.
 * device_late_cid() waits for it, and says of which piece it is.
 */
void device_late(struct device *d, size_t i, enum provider_verb verb);
void device_late_cid(struct device *d, size_t i, struct piece_cid *ret);
void device_let_go(struct device *d, size_t i);

/* A new drive "a" whose first commit all stores know: the file "first" of 3 MiB.
 * Open, but not started. */
void device_begun(struct device *d, struct rig *r, size_t n_stores, unsigned copies);

/* The newest sequence in the register of store i, 0: none; and wait for one. */
uint64_t device_newest_at(struct device *d, size_t i);
void device_until_newest(struct device *d, size_t i, uint64_t want);

/* ---- care: gc and verify (onboard.h), which do not fail ---- */

struct onboard_gc device_gc_with(struct device *d, struct onboard_gc g);
/* Forget the snapshots of commits before this one, and remove what is dead. */
struct onboard_gc device_gc(struct device *d, uint64_t before);
/* Until so many condemned pieces are left at store i. */
uint64_t device_left_at(struct device *d, size_t i);
void device_until_left(struct device *d, size_t i, uint64_t want);

/* All is read back; what is wrong is printed, and its sentences stand in `faults`
 * (FAULTS_MAX bytes, or NULL), one a line.  The number of faults, or -errno. */
#define FAULTS_MAX 8192
int device_verify(struct device *d, char *faults);

/* ---- files, by path from the root ("a/b") ---- */

uint64_t f_mkdir(struct device *d, const char *path);
uint64_t f_write(struct device *d, const char *path, uint64_t off,
		 const void *p, size_t n); /* makes the file */
/* Bytes that follow from the seed. */
uint64_t f_fill(struct device *d, const char *path, uint64_t off, uint64_t n,
		uint64_t seed);
/* The same, where there may be no room. */
int f_try_fill(struct device *d, const char *path, uint64_t off, uint64_t n,
	       uint64_t seed);
uint64_t f_lookup(struct device *d, const char *path, struct cache_attr *ret);
void f_symlink(struct device *d, const char *path, const char *target);
void f_node(struct device *d, const char *path, mode_t mode, dev_t rdev);
void f_link(struct device *d, const char *from, const char *to);
void f_unlink(struct device *d, const char *path);
void f_rename(struct device *d, const char *from, const char *to);
void f_truncate(struct device *d, const char *path, uint64_t size);
void f_xattr(struct device *d, const char *path, const char *name,
	     const void *p, size_t n);
void f_set(struct device *d, const char *path, const struct cache_setattr *s);
int f_read(struct device *d, const char *path, uint64_t off, uint8_t *dst,
	   size_t n, size_t *ret_n);

/* All of the tree as text: names, attributes, xattrs, holes, bytes (hashed).
 * Heap.  A file that cannot be read says so in its line. */
char *tree_text(struct device *d);
void tree_same(const char *want, const char *got);
void tree_is(struct device *d, const char *want);

/* tree_text() of what a bare machine makes of the words and the stores. */
char *recovered_text(struct rig *r, const char *name, size_t n_stores);
void recovers_as(struct rig *r, const char *name, size_t n_stores, const char *want);
/* Closes the device; the same comes back.  The second: its directory is lost, too. */
void comes_back(struct device *d, struct rig *r, size_t n_stores);
void comes_back_after_loss(struct device *d, struct rig *r, size_t n_stores);

/* ---- stores ---- */

struct piece_file {
	char name[128];
	uint64_t size;
};
size_t store_pieces(struct rig *r, const char *store, struct piece_file *ret,
		    size_t max); /* ascending by time of change */
void rig_copy(struct rig *r, const char *from, const char *to); /* cp -a */
bool rig_same(struct rig *r, const char *a, const char *b); /* names and bytes */
uint64_t store_bytes(struct rig *r, const char *store);

#endif
