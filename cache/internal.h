/*
 * internal.h - what the files of cache/ share
 *
 * One operation lock, c->lock, guards everything here but the slot map, which has
 * c->segs.lock below it (lock order: base/thread.h).  drive.db's main connection
 * holds one transaction open; what it does not hold yet stands in memory: changed
 * inodes (struct inode, dirty list) and small writes (struct bblock).  A group
 * commit (commit.c) moves both into the transaction and commits it, under the
 * lock, so that what a crash leaves is one instant between two operations.
 *
 * An operation does whatever can fail first (look-ups, memory, SQL in one
 * statement or a savepoint) and then changes what is in memory, which cannot
 * fail.  So a failed operation has changed nothing.
 *
 * clang checks the locks inside of one function.  It cannot see through op_begin()
 * and op_end(), which take and drop c->lock for others, so what drops the lock in
 * between says NO_LOCK_CHECK.
 *
 * Who reads slots without the lock holds a struct pin: slots that a commit frees
 * are reused only when that commit is durable and no pin is as old as it.
 */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/err.h"
#include "base/list.h"
#include "base/thread.h"
#include "cache/around.h"
#include "cache/cache.h"
#include "cache/source.h"
#include "cache/stmts.h"

struct db;
struct db_stmt;
struct io_file;

#define CACHE_FORMAT_VERSION 2 /* 1 had no table logged: upgraded at open */
#define NO_SLOT              UINT32_MAX

/* Rows of table state.  The values are on disk. */
enum state_key {
	STATE_VERSION = 1,
	STATE_GEN = 2,
	STATE_NEXT_INO = 3,
	STATE_NEXT_POS = 4,
	STATE_OPENS = 5,  /* times that the drive was opened for writing */
	STATE_INODES = 6, /* of the whole drive; 0: not counted */
	STATE_BYTES = 7,  /* of all its files */
	/* Rows of table inode, and what STATE_OPENS was when that was written: a
	 * program that does not know of it leaves an older one behind. */
	STATE_ROWS = 8,
	STATE_ROWS_OPENS = 9,
	/* Of the map of slots (slotmap.c): what STATE_OPENS was when it was written,
	 * and sums of the rows then. */
	STATE_MAP_OPENS = 10,
	STATE_MAP_BLOCKS = 11,
	STATE_MAP_RESERVED = 12,
	N_STATE
};

/* Column flags of table inode.  The values are on disk. */
enum inode_flag {
	INODE_SHARED = 1, /* has or had several names; must stay 1 (stmts.h) */
	INODE_LOADED = 2, /* directory: its entries are here; must stay 2 */
	INODE_XATTR = 4,  /* may have rows in xattr */
	INODE_HOLES = 8,  /* its link may have holes where no row is */
	INODE_ROOM = 16,  /* may have rows of promised room (promise.c) */
};

/* ---- inodes (inode.c) ---- */

struct inode {
	struct inode *chain; /* hash */
	struct list node;    /* c->inodes.lru or .dirty */
	struct list bufs;    /* struct bblock by_ino */
	uint64_t ino;
	uint32_t mode, uid, gid, nlink;
	uint64_t rdev, size;
	uint64_t blocks; /* that hold data, here or remote, without n_bufs */
	uint64_t n_bufs; /* blocks in the write buffer */
	struct timespec atime, mtime, ctime, btime;
	uint64_t parent; /* a directory that names it; 0 if shared */
	uint64_t mgen, dgen, clean_gen;
	uint64_t min_gen, min_size;
	uint64_t link_size;
	uint8_t *link, *target; /* heap; NULL if empty */
	uint32_t n_link, n_target;
	uint64_t used_ms;            /* monotonic; for eviction */
	struct cache_counts counted; /* of it, in c->counts */
	uint32_t flags;
	bool in_db;   /* has a row */
	bool changed; /* differs from its row: on the dirty list */
	bool queued;  /* has a row in table dirty */
	bool orphan;  /* has a row in table orphan */
};

/* -ENOENT if there is no such inode here. */
must_check int inode_get(struct cache *c, uint64_t ino, struct inode **ret);

/* Only if it is in memory; does not count as use. */
struct inode *inode_peek(struct cache *c, uint64_t ino);

/* Counted, on the dirty list, not in the database yet. */
must_check int inode_new(struct cache *c, uint64_t ino, struct inode **ret);

/* Its memory differs from its row now. */
void inode_change(struct cache *c, struct inode *i);
void inode_attr_changed(struct cache *c, struct inode *i, struct timespec now);
void inode_data_changed(struct cache *c, struct inode *i, struct timespec now);

/* Write up to `max` changed inodes to the database. */
must_check int inode_flush(struct cache *c, size_t max);

/* Forget clean ones over the limit. */
void inode_trim(struct cache *c);
void inode_free_all(struct cache *c);
void inode_fill_attr(const struct inode *i, struct cache_attr *ret);
void inode_from_attr(struct inode *i, const struct cache_attr *a);
must_check int inode_set_link(struct inode *i, struct slice link);
must_check int inode_set_target(struct inode *i, struct slice target);

/* Without names and references: remove all of it.  Can be repeated. */
must_check int inode_delete(struct cache *c, struct inode *i);
bool inode_is_dirty(const struct inode *i);
void inode_read_row(struct db_stmt *s, int col, struct inode *i);
struct timespec now_real(void);

/* ---- what the whole drive has (counts.c) ---- */

/* It came from its row or from the DAG: it is counted already. */
void counts_have(struct inode *i);
/* Its row is written as it is now, or deleted (nlink 0). */
void counts_note(struct cache *c, struct inode *i);
/* With what is in memory alone.  inodes 0: not known. */
struct cache_counts counts_now(struct cache *c);
/* Begin to count, where nobody has and all of the drive is here. */
must_check int counts_open(struct cache *c);
/* Compare with all rows; repair counts anew. */
must_check int counts_check(struct cache *c, bool repair, bool *ret_wrong);

/* ---- segments (segment.c) ---- */

struct segment {
	uint32_t number;
	uint32_t n_slots;
	uint32_t n_head; /* what head and marks take, in slots */
	uint32_t n_bare; /* refs == SLOT_BARE */
	uint32_t n_room; /* refs == SLOT_ROOM */
	uint32_t n_old;  /* bare ones that the disk has room for nevertheless */
	uint32_t cursor; /* where allocation goes on */
	uint32_t filled; /* before it no slot is bare */
	uint32_t swept;  /* before it no bare slot has room */
	bool open;       /* allocation takes its slots */
	bool unsynced;   /* written since its last fdatasync */
	unsigned in_use; /* threads between seg_get and seg_put */
	uint32_t n_behind, behind_from, behind_to; /* behind.c */
	struct around_seg around;
	struct io_file *file;
	uint16_t *refs; /* names of each slot, or one of SLOT_... */
};

#define SLOT_BARE 0      /* free: a hole in the file */
#define SLOT_MANY 0xfff0 /* as many names as a slot may have */
#define SLOT_ROOM 0xfffe /* free, and the disk has room for it */
#define SLOT_HELD 0xffff /* allocated, waiting to be free, or being punched */
#define SEG_MAX   (1u << 20) /* segments: 64 TiB */

/* A run of slots, as an extent row has it; seg 0: a hole. */
struct run {
	uint64_t block;
	uint64_t n;
	uint32_t seg;
	uint32_t slot;
	uint64_t sgen;
	uint64_t dgen;
};

#define RUN_BAD_SEG 0xffffffffu /* quarantined: reads give EIO */
#define HOLE_ROOM   1 /* slot of a hole that fallocate has promised room */

struct pin {
	struct list node;
	uint64_t epoch;
};

struct freed {
	struct freed *next;
	uint64_t epoch;
	size_t n, cap;
	struct freed_run {
		uint32_t seg, slot, n;
	} v[];
};

#define BRING_MAX 16 /* places told ahead */

struct segs {
	struct lock lock;
	struct segment **v; /* by number, sparse; lock: lock */
	uint32_t n_v;
	uint32_t next_number;
	struct segment *cur;
	uint64_t sgen;    /* of slots allocated now; lock: lock, as all below */
	uint64_t used;    /* slots not free */
	uint64_t waiting; /* of these, dropped; free after a commit */
	/* what else the disk holds, in slots */
	uint64_t room;      /* free slots with room, of all segments */
	uint64_t open_room; /* of these, of open ones */
	uint64_t old;       /* sum of n_old */
	uint64_t punching;  /* had room, and are on their way to be bare */
	uint64_t head;      /* sum of n_head */
	uint64_t limit;     /* what the disk is to hold at most */
	uint32_t step;      /* given room at once; free ones are kept so many */
	bool trimming;
	bool no_punch;              /* the file system cannot */
	bool no_map;                /* rows name slots that are not there */
	struct freed *open;         /* freed by the open transaction; c->lock */
	struct freed *first, *last; /* waiting for pins; c->lock */
	struct list pins;           /* struct pin, oldest first; lock: lock */
	bool need_syncdir;          /* lock: lock */
	struct around around;       /* lock: lock */
	struct cond behind;         /* behind.c; lock: lock, as all below */
	uint32_t behind_seg;        /* one that has much; 0: none */
	bool behind_stop, behind_runs;
	pthread_t behind_thread;
	struct cond bring; /* bring.c; lock: lock, as all below */
	struct brought {
		struct segment *s;
		uint32_t slot, n;
	} brings[BRING_MAX];
	uint32_t n_brings;
	bool bring_stop, bring_runs;
	pthread_t bring_thread;
};

must_check int seg_init(struct cache *c, struct err *reterr);
void seg_fini(struct cache *c);

/* The files, for slots.c.  All under c->segs.lock but seg_file_punch(). */
struct segment *seg_by_number(struct cache *c, uint32_t number); /* or NULL */
must_check int seg_file_create(struct cache *c, struct segment **ret);
/* Slots' worth of disk that head and marks of the next one will take. */
uint32_t seg_file_head(const struct cache *c);
void seg_file_remove(struct cache *c, struct segment *s);
/* Room on the disk for n slots (what is there stays), or no more. */
must_check int seg_file_fill(struct segment *s, uint32_t slot, uint32_t n);
must_check int seg_file_punch(struct segment *s, uint32_t slot, uint32_t n);
/* Slots' worth of disk that it holds, head and marks among them. */
must_check int seg_file_held(struct segment *s, uint64_t *ret);

/* Seal r->n blocks of text (4 KiB each, at text[i]) into the run. */
must_check int seg_write(struct cache *c, const struct run *r,
			 const uint8_t *const *text);
/* Open `n` slots from r->slot + skip on.  -EBADMSG, -EIO */
must_check int seg_read(struct cache *c, const struct run *r, uint64_t skip,
			uint64_t n, uint8_t *dst);
/*
 * The same for the background: large runs are asked for in requests of 256 KiB, two
 * at a time, where the kernel's read-ahead makes some of 4 MiB.  The disk serves one
 * after the other, and an fsync of somebody else waits behind them.
 */
must_check int seg_read_calm(struct cache *c, const struct run *r,
			     uint64_t skip, uint64_t n, uint8_t *dst);
must_check int seg_sync(struct cache *c);
bool seg_is_unsynced(struct cache *c); /* seg_sync() has something to do */

/* ---- what the disk has begun with (behind.c) ---- */

must_check int behind_start(struct cache *c);
void behind_stop(struct cache *c);
/* These slots of it were written.  Under c->segs.lock. */
void behind_wrote(struct cache *c, struct segment *s, uint32_t slot, uint32_t n);

/* ---- what the disk begins to read (bring.c) ---- */

must_check int bring_start(struct cache *c);
void bring_stop(struct cache *c);
/*
 * These n slots were read now: bring what is worth it.  Under c->segs.lock; the
 * caller has the segment in use.
 */
void bring_around(struct cache *c, struct segment *s, uint32_t slot, uint32_t n);

/* Where slots lie in the file. */
uint64_t seg_slots_off(const struct segment *s, uint32_t slot);

/* ---- who names them (slots.c) ---- */

/* False: damage, or quarantined. */
bool seg_fits(const struct segment *s, const struct run *r);

/* No slot of it is named, or has room. */
void seg_bare(struct segment *s);

/* While opening: a row names these.  -EUCLEAN if there are no such slots. */
must_check int seg_name(struct cache *c, const struct run *r);
must_check int seg_scanned(struct cache *c); /* all rows are named */

/*
 * Up to `n` slots in one run (*ret_n of them), keeping `keep` with room on the
 * disk for others.  -ENOSPC
 */
must_check int seg_alloc(struct cache *c, uint32_t n, uint64_t keep,
			 struct run *ret);
/* Have at least n free slots that the disk has room for. */
must_check int seg_make_room(struct cache *c, uint64_t n);
void seg_discard(struct cache *c, const struct run *r); /* never named */

/* May so many more rows name each of its slots? */
bool seg_can_share(struct cache *c, const struct run *r, size_t n_more);
/* A row names the run now (another one if it is named already), or no more. */
void seg_ref(struct cache *c, const struct run *r);
must_check int seg_reserve_unref(struct cache *c, size_t n_runs);
void seg_unref(struct cache *c, const struct run *r);

/* After COMMIT: what it freed may go when no pin is left.  Under c->lock. */
void seg_committed(struct cache *c);
void seg_release(struct cache *c);
void seg_pin(struct cache *c, struct pin *p);
void seg_unpin(struct cache *c, struct pin *p);

/*
 * Give the disk back what is free and more than is kept for the next writes: one
 * batch, some milliseconds, for which it drops c->lock.  False: there is nothing
 * to give.  `all` (the cache is being closed): keep what is promised alone, and
 * leave what lies scattered to the next open.
 */
bool seg_trim(struct cache *c, bool all);
bool seg_wants_trim(struct cache *c); /* it may have something to give */
/* Slots' worth of disk that data/ holds.  Under c->segs.lock. */
uint64_t seg_held(const struct cache *c);

/* ---- what is named, at open (slotmap.c) ---- */

/* The table of references and the accounts, from the map or from the rows. */
must_check int slotmap_open(struct cache *c);

/*
 * The map as it is now, in the open transaction, which it commits.  Nothing is
 * changed behind it.  On error there is none, and the transaction is to be rolled
 * back.
 */
must_check int slotmap_save(struct cache *c);

/* Compare table and accounts with all rows.  Under c->lock. */
must_check int slotmap_check(struct cache *c, bool *ret_wrong);

/* ---- extents (extent.c) ---- */

struct runs {
	struct run *v;
	size_t n, cap;
	struct run few[32];
};
/* Zeroed: empty. */
void runs_fini(struct runs *r);
must_check int runs_add(struct runs *r, const struct run *one);
#define _cleanup_runs_ _cleanup_(runs_fini)

/*
 * The next rows from this block on, up to EXTENT_FROM_MAX, wherever they end; the
 * first is clipped to begin there.  `*ret_all`: there are no others.
 */
#define EXTENT_FROM_MAX 256
must_check int extent_from(struct cache *c, uint64_t ino, uint64_t block,
			   struct runs *ret, bool *ret_all);

/* Rows that overlap [block, block + n), clipped to it, in order. */
must_check int extent_find(struct cache *c, uint64_t ino, uint64_t block,
			   uint64_t n, struct runs *ret);
must_check int extent_find_on(struct db_stmt *s, uint64_t ino, uint64_t block,
			      uint64_t n, struct runs *ret);

/* The range has these rows now, and no others.  Counts slots, dirty, blocks. */
must_check int extent_set(struct cache *c, struct inode *i, uint64_t block,
			  uint64_t n, const struct run *v, size_t n_v);

/* As the link has it: in its range, and not changed since. */
bool run_is_clean(const struct inode *i, const struct run *r);
/* Blocks of it that hold data which the link does not have. */
uint64_t extent_dirty_part(const struct inode *i, const struct run *r);

/* ---- damage (heal.c) ---- */

/*
 * Forget those of these blocks that cannot be opened and that the link has.
 * Within an operation.  So many were forgotten, or -errno.
 */
must_check int heal_blocks(struct cache *c, struct inode *i, uint64_t block,
			   uint64_t n_blocks);
/* The same, as an operation of its own. */
must_check int heal_range(struct cache *c, uint64_t ino, uint64_t block,
			  uint64_t n_blocks);

/* ---- promised room (promise.c) ---- */

bool run_is_promise(const struct run *r);
/* Blocks of the range that have a promise. */
must_check int promise_in(struct cache *c, const struct inode *i, uint64_t off,
			  uint64_t n, uint64_t *ret);
/*
 * Has the block data, and is it beside a promise or where a file with promises ends?
 * Writes that meet inside of it may be no more than the promise's own.
 */
must_check int promise_beside(struct cache *c, const struct inode *i,
			      uint64_t block, bool *ret);
/*
 * The range is written now: what was promised there are holes, until data comes, and
 * its whole blocks have these rows (NULL: none yet).  On error all promises are as before.
 */
must_check int promise_use(struct cache *c, struct inode *i, uint64_t off,
			   uint64_t n, const struct runs *rows);
/* Behind the end of the file there is nothing else: forget it. */
must_check int promise_drop_behind(struct cache *c, struct inode *i,
				   uint64_t block, uint64_t end);
/*
 * Promise room to every block of the range that has no data here.  What the link
 * has is left alone; over_link: it is asked for as well, for it is zeroed next.
 * -ENOSPC, -EINPROGRESS
 */
must_check int promise_make(struct cache *c, struct cache_op *op, struct inode *i,
			    uint64_t off, uint64_t n, bool over_link);

/* ---- write buffer (buffer.c) ---- */

struct bblock {
	struct bblock *chain;
	struct list by_ino;
	struct list todo; /* c->buf.todo, unless its row is as it is */
	uint64_t ino, block;
	uint64_t log_id; /* of its row in table logged; 0: none */
	bool busy;       /* being sealed without the lock: do not write to it */
	bool detached;   /* gone from the table; who seals it frees it */
	uint8_t p[CACHE_BLOCK];
};

#define BUFFER_BLOCKS  8192 /* 32 MiB */
#define BUFFER_BUCKETS 16384

struct bblock *buffer_find(struct cache *c, uint64_t ino, uint64_t block);

/*
 * For writing; *ret_new: it was not there, and its bytes are the caller's.
 * `spare` more slots must have room: BUFFER_SPARE but for what may not fail for
 * space.
 */
#define BUFFER_SPARE 64
must_check int buffer_get(struct cache *c, struct inode *i, uint64_t block,
			  uint64_t spare, struct bblock **ret, bool *ret_new);
void buffer_drop(struct cache *c, struct inode *i, uint64_t block, uint64_t n);
void buffer_drop_one(struct cache *c, struct inode *i, struct bblock *b);

/* A block whose row `log_id` was found at open.  -EUCLEAN if it is there already. */
must_check int buffer_load(struct cache *c, struct inode *i, uint64_t block,
			   struct slice text, uint64_t log_id);

/* Seal everything in the buffer into the open transaction. */
must_check int buffer_flush(struct cache *c);
/* The same in batches, dropping the lock while sealing. */
must_check int buffer_flush_unlocked(struct cache *c);
void buffer_free_all(struct cache *c);

/* ---- durable without slots (logged.c) ---- */

#define LOGGED_BLOCKS 256 /* 1 MiB: with more a second fdatasync is cheaper */

/* Is logging what is in the buffer the fastest way to make it durable? */
bool logged_wanted(struct cache *c);
/* Rows of all blocks in the buffer that differ from theirs. */
must_check int logged_put(struct cache *c);
/* Delete the rows of blocks that are not in the buffer any more. */
must_check int logged_drop(struct cache *c);
/* While opening: back into the buffer. */
must_check int logged_load(struct cache *c);

/* ---- references (orphan.c) ---- */

struct refs {
	struct ref {
		uint64_t ino; /* 0: free */
		uint64_t n;
	} * v;
	size_t n, cap;
};
must_check int refs_reserve(struct refs *r); /* the next refs_add is free */
void refs_add(struct refs *r, uint64_t ino, uint64_t n);
uint64_t refs_get(const struct refs *r, uint64_t ino);

/* An inode has lost its last name, or its last reference. */
void orphan_maybe_delete(struct cache *c, struct inode *i);
must_check int orphan_reap(struct cache *c);

/* ---- the whole ---- */

struct fetch_state;
struct cache {
	struct lock lock;
	struct cond cond; /* a commit or a flush ended */
	struct cond work; /* for the committer alone */
	struct cache_params p;
	struct db *db;
	struct db *db2; /* checkpoints; used while c->committing */
	struct db_stmt *st[N_STMTS];

	/* state rows; lock: lock */
	uint64_t gen, next_ino, next_pos, opens;
	struct cache_counts counts; /* of all rows, and of what is not here */
	bool counted;
	bool state_changed;
	struct {
		uint64_t opens, row_blocks, reserved; /* as found at open */
		bool wrong; /* it did not say what the rows do */
	} map;

	struct {
		struct inode **v;
		size_t n_buckets, n, n_dirty;
		struct list lru, dirty;
		uint64_t in_db; /* rows */
		uint64_t noted; /* STATE_ROWS as it is in the database */
	} inodes;
	struct segs segs;
	struct {
		struct bblock **v;
		size_t n;
		bool flushing;
		struct list todo;    /* blocks without a row, or another one */
		struct bblock *gone; /* not in use; their rows are to go */
		uint64_t next_log_id;
	} buf;
	struct refs refs;
	uint64_t n_nameless; /* inodes in use without a name, at most */
	bool reap_again;     /* there may be orphans without references */

	/* accountant, blocks; lock: lock */
	uint64_t row_blocks;   /* named by rows of data */
	uint64_t dirty_blocks; /* of these, not in the DAG */
	uint64_t dirty_inodes; /* rows in dirty */
	uint64_t dirty_since_ms;
	uint64_t changed_ms; /* the newest change of what is dirty; 0: none yet */
	uint64_t reserved;   /* promised by fallocate: rows of HOLE_ROOM */
	uint64_t claimed; /* slots kept for promises and the buffer: taken, not
			      * named yet */
	uint64_t outbox_bytes;
	uint64_t full_ms, full_looked_ms; /* space_waited_in_vain(); 0: room */
	atomic_bool room_comes;           /* since the last look */
	uint64_t full_n;       /* bytes, the most that found no room then */
	uint64_t wanted_ms;    /* a writer looked in vain; 0: none yet */
	uint64_t credit_bytes; /* writers may write so much at once */
	uint64_t disk_bytes;   /* of the disk for data/ and outbox/; then */
	uint64_t meta_bytes;   /* of drive.db and its WAL, then */
	uint64_t looked_ms;
	bool short_of_room; /* the last one who asked had to be made room for */
	uint64_t evict_ino, evict_block; /* where the next eviction goes on */
	uint64_t all_used_ms; /* it last found all inodes in use; 0: not so */

	/* commit; lock: lock */
	uint64_t epoch; /* of the open transaction */
	uint64_t durable_epoch;
	bool changed; /* the open transaction or memory holds something */
	bool tell_dirtied;
	bool checkpoint_half; /* all but the newest frames are moved */
	bool committing;
	bool demand;
	bool awaited; /* a sync waits for the next commit */
	bool checkpoint_due;
	bool will_look; /* the committer, by itself, before anything is due */
	bool will_trim; /* it will trim by itself, when it may */
	bool trimmed; /* nothing is left to trim until a commit or a snapshot ends */
	uint64_t put_off_ms; /* since when a trim is put off; 0: none is */
	bool stop;
	uint64_t first_change_ms;
	int commit_result; /* of the last attempt */
	uint64_t attempts;
	uint64_t commits;
	uint64_t n_healed, n_damaged; /* blocks met that could not be opened */
	bool failed;
	char why[256];
	pthread_t committer;
	bool committer_runs;

	struct cache_snap *snap;
	struct {
		uint64_t ino, link_size;
		uint8_t link[256];
		size_t n_link; /* 0: nothing */
	} snap_want;           /* what the snapshot missed last */
	struct fetch_state *fetch;
	struct reader {
		uint64_t ino, off, next, asked; /* bytes */
		unsigned run;                   /* chunks ahead */
		bool waits;                     /* the last one missed */
	} readers[64];                          /* sequential reads, by ino */
};

/* Slots that buffered blocks and fallocate's promises will take. */
static inline uint64_t slots_promised(const struct cache *c)
{
	uint64_t all = c->buf.n + c->reserved;

	return all - MIN(all, c->claimed);
}

/* What an allocation leaves. */
static inline uint64_t slots_kept(const struct cache *c)
{
	return slots_promised(c) + BUFFER_SPARE;
}

static inline struct db_stmt *st(struct cache *c, int which)
{
	return c->st[which];
}

enum op_flag {
	OP_FREES = 1, /* never refused for space */
};

/*
 * Take the lock for an operation that changes something: -EROFS once failed or
 * read only, -ENOSPC when the metadata's room is used up.  On error the lock is
 * not held.  op_end drops it, whatever the result.
 */
must_check int op_begin(struct cache *c, unsigned flags);
int op_end(struct cache *c, int r);
void op_changed(struct cache *c); /* there is something to commit */

/* After an SQL error: did it take the transaction with it? */
int c_sql(struct cache *c, int r);

must_check int commit_start(struct cache *c); /* the thread */
void commit_stop(struct cache *c);
/* One group commit by this thread, with the lock held before and after. */
must_check int commit_now(struct cache *c, bool new_gen);
/* A snapshot was closed: the committer moves what only it still read in the WAL, and
 * gives back the disk that it held. */
void commit_unpinned(struct cache *c);
void commit_demand(struct cache *c);

/* Room for n more bytes of a write: 0, -EINPROGRESS (op->miss), -ENOSPC. */
must_check int space_ask(struct cache *c, struct cache_op *op, uint64_t ino,
			 uint64_t n);
/* The same for what will be written later: -ENOSPC at once if it cannot be had. */
must_check int space_reserve(struct cache *c, struct cache_op *op, uint64_t ino,
			     uint64_t n);
enum space_class {
	SPACE_WRITE,
	SPACE_FETCH /* leaves some for who writes */
};
bool space_has_room(struct cache *c, enum space_class who, uint64_t n_bytes);
/*
 * Called at each look that finds no room for n bytes: have those who write waited
 * for full_timeout_ms (a second where all is promised) without a cache_room_comes(),
 * or with no hope of as much?
 * While somebody waits fetch.c looks many times a second, so what lies between two
 * looks far apart was not waited: the process was stopped.
 */
bool space_waited_in_vain(struct cache *c, uint64_t n);
/* Tell the slots how much the disk may hold. */
void space_look(struct cache *c);

must_check int miss(struct cache_op *op, enum cache_miss_kind kind,
		    uint64_t ino, uint64_t off, uint64_t n);
must_check int data_truncate(struct cache *c, struct cache_op *op,
			     struct inode *i, uint64_t size);
/*
 * Slots for blocks [block, block + n) (dgen 0), keeping `keep` for others; with the
 * lock, for what others are promised changes.  On error there are none.
 */
must_check int slots_take(struct cache *c, uint64_t block, uint64_t n,
			  uint64_t keep, struct runs *runs);
/* Seal them; without the lock. */
must_check int slots_seal(struct cache *c, const uint8_t *p,
			  const struct runs *runs);
void slots_discard(struct cache *c, struct runs *runs); /* none of it is named */
must_check int data_edit_block(struct cache *c, struct cache_op *op,
			       struct inode *i, uint64_t block,
			       struct bblock **ret);
must_check int name_check(struct slice name);
must_check int xattr_kill_caps(struct cache *c, struct inode *i);

must_check int fetch_init(struct cache *c);
void fetch_fini(struct cache *c);
/* A copy of fetched bytes that found no room: the number of bytes, or 0. */
size_t fetch_transient(struct cache *c, uint64_t ino, struct slice link,
		       uint64_t off, uint8_t *dst, size_t n);
/* A read has come by; `missed`: it waits for bytes that are not here. */
void fetch_readahead(struct cache *c, struct inode *i, uint64_t off, uint64_t n,
		     bool missed);

#endif
