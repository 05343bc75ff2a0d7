/*
 * cache.h - the local drive: names, inodes, bytes, at local speed
 *
 * The cache is the file system.  It answers everything from the drive directory
 * (drive.db and data/), makes it durable in groups, and knows which parts are
 * dirty, clean, or absent.  It never waits for a network.
 *
 * Absent parts.  An operation that needs something that is not here changes
 * nothing, fills op->miss and returns -EINPROGRESS.  The caller passes
 * the miss to cache_fetch() and calls the same operation again from the
 * callback.  A write that finds the cache full of dirty data returns
 * -EINPROGRESS too, with miss.kind = CACHE_MISS_ROOM; cache_fetch() then calls
 * back when there is room or a pause has passed (back-pressure without blocking
 * a thread); after `full_timeout_ms` in which there was no room, and nothing that
 * makes some came on, the write gets -ENOSPC.
 *
 * Promises kept here: I1 (what was acknowledged by cache_sync survives a power
 * cut; what is found is one instant of completed operations), I2's local half
 * (nothing dirty or pinned is ever evicted), I3 (snapshots), I9 (everything in
 * the drive directory is sealed).
 *
 * Rules of the store (docs/invariants.md):
 *   - a slot named by a durable transaction or a snapshot is never rewritten
 *   - a slot is free only after the transaction that drops it is durable
 *   - extents become durable only after their slots were fdatasynced
 *   - a range that is not known is unknown, never zeros
 *   - a size is never visible before its bytes
 *
 * Threading: every function may be called from any thread unless it says
 * otherwise.  No lock is held over a callback.  Errors: -errno; POSIX ones as
 * the man pages of the corresponding system calls have them.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/list.h"
#include "base/slice.h"
#include "base/util.h"

struct cache;
struct cache_attr;
struct cache_snap;
struct err;
struct io;
struct secret;
struct source;
struct source_entry;

#define CACHE_ROOT_INO     1
#define CACHE_BLOCK        4096    /* bytes: slot and extent unit */
#define CACHE_NAME_MAX     255     /* bytes */
#define CACHE_LINK_MAX     4095    /* bytes of a symlink's target */
#define CACHE_XATTR_MAX    65536   /* bytes of one value */
#define CACHE_XATTRS_MAX   1000000 /* bytes of all of an inode, with 16 each */
#define CACHE_XATTRS_N_MAX 1024    /* of an inode */
#define CACHE_FILE_MAX     (1ull << 53) /* bytes */
#define CACHE_NLINK_MAX    65000

/* ---- life ---- */

struct cache_params {
	struct io *io;            /* rooted at the drive directory */
	const struct secret *key; /* of drive.db; must outlive the cache */
	const struct secret *segment_key; /* of data/; likewise; NULL: key */
	uint8_t drive_id[16];
	uint64_t max_bytes;          /* of the drive directory; 0: no limit */
	uint64_t reserve_free_bytes; /* leave this much of the disk free */
	uint64_t outbox_floor_bytes; /* kept for pieces, or a quarter if less */
	uint64_t meta_floor_bytes; /* for drive.db; 0: CACHE_META_FLOOR (tests) */
	unsigned commit_interval_ms; /* group commit at the latest; 5000 */
	unsigned full_timeout_ms;    /* 30000: slow writers before ENOSPC */
	unsigned segment_slots;      /* of new segments; 0: 16224 (64 MiB) */
	size_t fetch_run_bytes; /* of a directory's entries, in memory; 0: 64 MiB */
	bool read_only;
	bool distrust; /* count the rows, whatever the map of slots says */
	struct source *source;      /* NULL: nothing is ever absent */
	void (*dirtied)(void *ctx); /* first change after all was clean; any
					 thread; may be NULL */
	void (*full)(void *ctx);    /* writers wait or are slowed down, said
					 now and then while they are; a thread
					 of the cache, no lock; may be NULL */
	void *ctx;
};

/*
 * What the accountant (space.c) keeps for drive.db and its WAL.  With a quarter
 * for the outbox, and as much again for data as for both of them, four times as
 * much is the least size of a cache.
 */
#define CACHE_META_FLOOR (64ull << 20) /* bytes */

/*
 * May max_bytes be this?  -EINVAL with a sentence.  cache_open() asks; who sets a
 * size asks earlier.  meta_floor_bytes as in the parameters.
 */
must_check int cache_size_check(uint64_t bytes, uint64_t meta_floor_bytes,
				struct err *reterr);

/* The attributes of the root directory of a new drive. */
struct cache_root {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/* Make an empty drive.  -EEXIST if there is one. */
must_check int cache_format(const struct cache_params *p,
			    const struct cache_root *root, struct err *reterr);

/*
 * Make an empty local drive whose root is that of a commit: nothing is loaded
 * yet.  `attr` and `link` are the root's, `next_ino` the first inode number
 * that this device may give out.
 */
must_check int cache_format_from(const struct cache_params *p,
				 const struct cache_attr *attr, struct slice link,
				 uint64_t next_ino, struct err *reterr);

/* What the whole drive has, be it here or not. */
struct cache_counts {
	uint64_t inodes; /* that have a name, and the root; 0: not known */
	uint64_t bytes;  /* of all files: the sum of their sizes, holes too */
};

/*
 * The same, with the root's extended attributes.  `counts` is what the commit
 * says, and counting goes on from there; NULL, 0 inodes, or 0 bytes of more than
 * one: it does not know.
 */
must_check int cache_format_entry(const struct cache_params *p,
				  const struct source_entry *root, uint64_t next_ino,
				  const struct cache_counts *counts,
				  struct err *reterr);

/*
 * Open: replays the WAL, checks the version, knows which slots are free, reaps
 * orphans.  The caller has the drive's lock: nobody else may have it open.
 * -EUCLEAN with a sentence when the directory is damaged beyond what an open may
 * repair by itself, -EROFS for one of an older format that is opened read only,
 * -EINVAL with a sentence for a max_bytes under the floors.
 */
must_check int cache_open(const struct cache_params *p, struct cache **ret,
			  struct err *reterr);

/* Last group commit, checkpoint, free.  The error of that commit is returned,
 * the cache is gone either way. */
int cache_close(struct cache *c);

/* ---- operations ---- */

enum cache_miss_kind {
	CACHE_MISS_DIR,   /* entries of directory ino */
	CACHE_MISS_RANGE, /* bytes [off, off + n) of ino */
	CACHE_MISS_INODE, /* attributes of the hard-linked inode ino */
	CACHE_MISS_ROOM,  /* room for a write */
	CACHE_MISS_HOLES, /* where the holes of ino are */
};

struct cache_miss {
	enum cache_miss_kind kind;
	uint64_t ino;
	uint64_t off, n;
};

/* Who asks; and what was missing, if the answer is -EINPROGRESS. */
struct cache_op {
	uid_t uid;
	gid_t gid;
	struct cache_miss miss;
	bool mode_changed; /* out: a write took suid or sgid away */
	bool sgid_kept;    /* out: it left sgid, for want of group execution */
};

struct cache_attr {
	uint64_t ino;
	uint32_t mode; /* with S_IFMT */
	uint32_t uid, gid;
	uint32_t nlink;
	uint64_t rdev;
	uint64_t size;   /* bytes */
	uint64_t blocks; /* of 512 bytes, as st_blocks */
	struct timespec atime, mtime, ctime, btime;
};

enum {
	CACHE_SET_MODE = 1 << 0,
	CACHE_SET_UID = 1 << 1,
	CACHE_SET_GID = 1 << 2,
	CACHE_SET_SIZE = 1 << 3,
	CACHE_SET_ATIME = 1 << 4,
	CACHE_SET_MTIME = 1 << 5,
	CACHE_SET_CTIME = 1 << 6, /* else: now */
	CACHE_KILL_SUID = 1 << 7, /* clear suid, sgid (if group-executable) and
				       security.capability */
	CACHE_KILL_SGID = 1 << 8, /* clear sgid in any case */
};

struct cache_setattr {
	unsigned mask;
	uint32_t mode; /* permission bits only */
	uint32_t uid, gid;
	uint64_t size;
	struct timespec atime, mtime, ctime;
};

struct cache_xattr {
	struct slice name, value;
};

/* What a new inode is born with. */
struct cache_new {
	uint32_t mode; /* with S_IFMT; final: umask, setgid and ACLs are done */
	uint32_t uid, gid;
	uint64_t rdev;
	struct slice target; /* symlinks */
	const struct cache_xattr *xattrs;
	size_t n_xattrs;
};

/*
 * Every answer with attributes adds one reference to the inode, as FUSE's
 * lookup count wants it: lookup, mknod, link, tmpfile; cache_ref() and
 * cache_forget() for readdirplus and forget.  An inode without a name lives
 * until its last reference is gone, across crashes in the orphan table.
 */
must_check int cache_lookup(struct cache *c, struct cache_op *op, uint64_t parent,
			    struct slice name, struct cache_attr *ret);

/* By its number, as a file handle has it.  -ESTALE: there is no such inode any
 * more, or it lost its last name, or its folder is not loaded here. */
must_check int cache_lookup_ino(struct cache *c, struct cache_op *op,
				uint64_t ino, struct cache_attr *ret);
must_check int cache_getattr(struct cache *c, struct cache_op *op, uint64_t ino,
			     struct cache_attr *ret);
must_check int cache_setattr(struct cache *c, struct cache_op *op, uint64_t ino,
			     const struct cache_setattr *set,
			     struct cache_attr *ret);

/*
 * Would a read now move the time of access, as relatime has it: is it no later
 * than the other times, or a day old?
 */
bool cache_atime_due(const struct cache_attr *a);

/*
 * ino was read: moves its time of access if that is due, or always.  It becomes
 * durable with the group commit and makes nothing dirty: a commit takes it along
 * when there is another reason for one.
 */
void cache_accessed(struct cache *c, uint64_t ino, bool always);
must_check int cache_mknod(struct cache *c, struct cache_op *op,
			   uint64_t parent, struct slice name,
			   const struct cache_new *n, struct cache_attr *ret);
must_check int cache_tmpfile(struct cache *c, struct cache_op *op,
			     const struct cache_new *n, struct cache_attr *ret);
must_check int cache_link(struct cache *c, struct cache_op *op, uint64_t ino,
			  uint64_t parent, struct slice name,
			  struct cache_attr *ret);
must_check int cache_unlink(struct cache *c, struct cache_op *op,
			    uint64_t parent, struct slice name);
must_check int cache_rmdir(struct cache *c, struct cache_op *op,
			   uint64_t parent, struct slice name);

/* flags: 0, RENAME_NOREPLACE, RENAME_EXCHANGE (linux/fs.h), RENAME_WHITEOUT. */
must_check int cache_rename(struct cache *c, struct cache_op *op, uint64_t parent,
			    struct slice name, uint64_t newparent,
			    struct slice newname, unsigned flags);

/* At most `max` bytes of the target, borrowed from nothing: copied to dst. */
must_check int cache_readlink(struct cache *c, struct cache_op *op, uint64_t ino,
			      uint8_t *dst, size_t max, size_t *ret_n);

/*
 * Names of a directory in the order of their stable positions, after `pos`
 * (0 = from the start; "." and ".." are not here).  Non-zero from the callback
 * stops.  Names and attr are borrowed for the call.  Adds no references.
 */
typedef int (*cache_dir_cb)(void *ctx, struct slice name,
			    const struct cache_attr *attr, uint64_t pos);
must_check int cache_readdir(struct cache *c, struct cache_op *op, uint64_t ino,
			     uint64_t pos, cache_dir_cb cb, void *ctx);
must_check int cache_parent(struct cache *c, struct cache_op *op, uint64_t ino,
			    uint64_t *ret); /* of a directory, for ".." */

void cache_ref(struct cache *c, uint64_t ino, uint64_t n);
void cache_forget(struct cache *c, uint64_t ino, uint64_t n);

/* The numbers of all inodes that have references now; *ret is the caller's to
 * free().  -ENOMEM. */
must_check int cache_referenced(struct cache *c, uint64_t **ret, size_t *ret_n);

/*
 * Bytes.  A read returns what is there up to the end of the file; holes are
 * zeros.  Reads and writes of one inode are atomic to each other.
 */
must_check int cache_read(struct cache *c, struct cache_op *op, uint64_t ino,
			  uint64_t off, uint8_t *dst, size_t n, size_t *ret_n);

enum {
	CACHE_WRITE_APPEND = 1 << 0,
	CACHE_WRITE_KILL_SUID = 1 << 1
};
must_check int cache_write(struct cache *c, struct cache_op *op, uint64_t ino,
			   uint64_t off, struct slice data, unsigned flags);

/*
 * mode: of fallocate(2): 0, KEEP_SIZE, PUNCH_HOLE|KEEP_SIZE, ZERO_RANGE.  But for
 * punching, every block of the range that has no data here is promised room: its
 * first write does not fail for space, today or after a remount, until a hole or
 * a truncate ends the promise.  It shows in st_blocks and statfs.  -ENOSPC
 *
 * A block that has data, here or in the link alone, is promised nothing: writing
 * it again takes a second slot until the next commit.
 */
must_check int cache_fallocate(struct cache *c, struct cache_op *op,
			       uint64_t ino, int mode, uint64_t off, uint64_t n);
must_check int cache_lseek(struct cache *c, struct cache_op *op, uint64_t ino,
			   uint64_t off, int whence, uint64_t *ret);

/* Shares slots where both offsets are block aligned; else copies.  It may be less. */
must_check int cache_copy_range(struct cache *c, struct cache_op *op,
				uint64_t src, uint64_t src_off, uint64_t dst,
				uint64_t dst_off, uint64_t n, uint64_t *ret_n);

enum {
	CACHE_XATTR_CREATE = 1,
	CACHE_XATTR_REPLACE = 2
};
must_check int cache_getxattr(struct cache *c, struct cache_op *op,
			      uint64_t ino, struct slice name, uint8_t *dst,
			      size_t max, size_t *ret_n); /* max 0: the size */
must_check int cache_setxattr(struct cache *c, struct cache_op *op, uint64_t ino,
			      struct slice name, struct slice value, int flags);
must_check int cache_removexattr(struct cache *c, struct cache_op *op,
				 uint64_t ino, struct slice name);
must_check int cache_listxattr(struct cache *c, struct cache_op *op, uint64_t ino,
			       uint8_t *dst, size_t max, size_t *ret_n);

/*
 * Local durability (I1).  Blocks until every operation that completed before
 * the call is on disk.  One group commit serves all that wait.
 */
must_check int cache_sync(struct cache *c);

struct cache_statfs {
	uint64_t blocks, free; /* of CACHE_BLOCK */
	uint64_t files, files_free;
};
must_check int cache_statfs(struct cache *c, struct cache_statfs *ret);

/* ---- absent parts ---- */

/*
 * Caller-owned; valid until its callback.  `done` follows the callback law of
 * source.h; status 0 means: ask again.  -ETIMEDOUT, -EREMOTEIO, -ECANCELED,
 * -ENOSPC otherwise.  A failed fetch of a range is remembered for some seconds
 * and answered at once.
 */
struct cache_fetch {
	struct cache_miss miss;
	void (*done)(struct cache_fetch *f, int status);
	unsigned timeout_ms; /* 0: for ever */

	struct list node; /* private to cache/fetch.c, as all below */
	uint64_t deadline_ms;
	uint64_t room_until_ms;
	int state;
	int status;
	void *job;
};
must_check int cache_fetch(struct cache *c, struct cache_fetch *w);
void cache_fetch_cancel(struct cache *c, struct cache_fetch *w);

/* ---- what onboarding needs ---- */

/*
 * A point in time (I3): a group commit, and a view of exactly that instant
 * which stays while writers go on.  Its slots are pinned until close, so what is
 * dropped since then makes no room before.  One snapshot at a time.  Belongs to
 * one thread.
 */
must_check int cache_snap_open(struct cache *c, struct cache_snap **ret);
void cache_snap_close(struct cache_snap *s);
uint64_t cache_snap_gen(const struct cache_snap *s);
uint64_t cache_snap_next_ino(const struct cache_snap *s);
struct cache_counts cache_snap_counts(const struct cache_snap *s);

/* An inode as the snapshot has it. */
struct cache_snap_inode {
	struct cache_attr attr;
	uint64_t parent; /* a directory that names it; 0: see shared */
	bool shared;     /* has or had several names: in the inode table */
	bool loaded;     /* directories: its entries are here */
	bool xattrs;     /* it may have some */
	bool data_dirty; /* content (entries, target, bytes) differs from link */
	bool attr_dirty;    /* attributes, xattrs or name differ from the DAG */
	struct slice link;  /* last adopted, encoded; borrowed until the next
			       call on this snapshot */
	uint64_t link_size; /* bytes of the file that link stands for and that
			       are still valid */
	bool cut;           /* it was truncated since: link may have more */
	uint64_t gen;       /* of its content: another one once it has changed
			       after this snapshot */
};

/* Every dirty inode, ascending; removed ones do not appear, but the
 * directory that lost them does. */
must_check int cache_snap_dirty(struct cache_snap *s,
				int (*cb)(void *ctx, uint64_t ino), void *ctx);
must_check int cache_snap_inode(struct cache_snap *s, uint64_t ino,
				struct cache_snap_inode *ret);

/* Children in byte order of their names.  What `wants` (NULL: all of them) says no to
 * costs little more than its name.  `pos`: its place in the directory. */
typedef bool (*cache_snap_wants)(void *ctx, struct slice name, uint64_t ino,
				 uint64_t pos);
must_check int cache_snap_children(struct cache_snap *s, uint64_t dir,
				   cache_snap_wants wants,
				   int (*cb)(void *ctx, struct slice name,
					     const struct cache_snap_inode *child),
				   void *ctx);
/* The same, of those (one, or none) that stand at `pos`: about ten times as dear
 * as one that is gone over. */
must_check int cache_snap_children_at(struct cache_snap *s, uint64_t dir,
				      uint64_t pos, cache_snap_wants wants,
				      int (*cb)(void *ctx, struct slice name,
						const struct cache_snap_inode *child),
				      void *ctx);
must_check int cache_snap_xattrs(struct cache_snap *s, uint64_t ino,
				 int (*cb)(void *ctx, struct slice name,
					   struct slice value),
				 void *ctx);
must_check int cache_snap_target(struct cache_snap *s, uint64_t ino,
				 uint8_t *dst, size_t max, size_t *ret_n);

/* Every inode of the inode table that is here (shared), any order; dirty and
 * clean.  Removed ones: cache_snap_removed. */
must_check int cache_snap_shared(struct cache_snap *s,
				 int (*cb)(void *ctx, uint64_t ino), void *ctx);
must_check int cache_snap_removed(struct cache_snap *s,
				  int (*cb)(void *ctx, uint64_t ino), void *ctx);

/* Every inode that the DAG has, by its number. */
must_check int cache_snap_linked(struct cache_snap *s,
				 int (*cb)(void *ctx, uint64_t ino), void *ctx);

/*
 * Has the DAG something that nobody here knows what it links to: a directory that was
 * never opened, or an inode of several names that was never asked for?  1, 0.  Costs a
 * scan of all inodes and names if there is none.
 */
must_check int cache_snap_unseen(struct cache_snap *s);

/* Every directory that names an inode of several names which the DAG has not yet.
 * Costs a scan of all names. */
must_check int cache_snap_unlinked(struct cache_snap *s,
				   int (*cb)(void *ctx, uint64_t ino), void *ctx);

/* Every inode whose extended attributes are `n_bytes` or more, names and values. */
must_check int cache_snap_xattr_sets(struct cache_snap *s, uint64_t n_bytes,
				     int (*cb)(void *ctx, uint64_t ino), void *ctx);

/*
 * A path from the root, "/a/b", NUL at its end.  One of several names costs a scan of
 * all names.  -ENOENT if a name is not known, -ENAMETOOLONG.
 */
must_check int cache_snap_path(struct cache_snap *s, uint64_t ino, char *dst,
			       size_t size);

/* How [off, off + n) of a file stands, run by run, in order. */
enum cache_run_kind {
	CACHE_RUN_DIRTY, /* bytes here, not in link */
	CACHE_RUN_CLEAN, /* as link has it, here or not */
	CACHE_RUN_HOLE,  /* zeros that link does not have */
};
must_check int cache_snap_runs(struct cache_snap *s, uint64_t ino, uint64_t off,
			       uint64_t n,
			       int (*cb)(void *ctx, enum cache_run_kind kind,
					 uint64_t off, uint64_t n),
			       void *ctx);

/*
 * Plaintext of a range whose bytes are here; -EINPROGRESS with *ret_miss if a
 * clean part of it was evicted (fetch it, then ask again).  -EBADMSG: some of it
 * is damaged on the disk, and the link does not have it.
 */
must_check int cache_snap_read(struct cache_snap *s, uint64_t ino, uint64_t off,
			       uint8_t *dst, size_t n, struct cache_miss *ret_miss);

/*
 * The DAG now has these inodes as they were in the snapshot of generation gen:
 * they, and their extents up to gen, become clean; what changed since stays
 * dirty.  Call only when every block below link is durable in the outbox or at
 * the stores (I2).  Idempotent.  Durable with the next group commit; call
 * again at mount for what may have been lost.
 */
struct cache_adopt {
	uint64_t ino;
	struct slice link;
	uint64_t size;
};
must_check int cache_adopt(struct cache *c, uint64_t gen,
			   const struct cache_adopt *v, size_t n);

/* A commit has every change from before that moment of the monotonic clock. */
void cache_committed(struct cache *c, uint64_t taken_ms);

/*
 * The DAG has lost what it had of [off, off + n) of the file, or of the directory or
 * symlink: bytes, times and attributes stay as they are, what is here is dirty
 * and so never evicted, and what is absent stays absent.  n = 0: only the
 * inode.  Fine for an inode that is gone.  Durable with the next group commit.
 */
must_check int cache_redirty(struct cache *c, uint64_t ino, uint64_t off,
			     uint64_t n);

/* The removed rows up to gen are in the DAG's inode table: forget them. */
must_check int cache_adopt_removed(struct cache *c, uint64_t gen);

/* ---- state ---- */

struct cache_stats {
	uint64_t dirty_bytes; /* not yet in the DAG */
	uint64_t dirty_inodes;
	uint64_t dirty_since_ms; /* monotonic clock: the oldest change that no
				    commit has, or the opening; 0: all clean */
	uint64_t changed_ms;  /* likewise, newest change; 0: none since open */
	uint64_t used_bytes;  /* slots in use */
	uint64_t clean_bytes; /* of these, evictable */
	uint64_t reserved_bytes; /* promised by fallocate, not written yet */
	uint64_t room_bytes;     /* that data/ may hold at most now */
	uint64_t free_bytes;     /* of these, that can be written at once */
	uint64_t pinned_bytes;   /* of these, dropped, and kept for a snapshot
				    or until the next group commit */
	uint64_t wanted_ms;      /* monotonic clock: a writer looked for room in
				vain; 0: none yet */
	uint64_t disk_bytes; /* that data/ holds: slots, heads, room set aside */
	uint64_t max_bytes;
	uint64_t inodes; /* that are here */
	uint64_t inodes_in_memory;
	struct cache_counts drive;
	uint64_t commits; /* group commits since open */
	/* Met since open, could not be opened: fetched again; or in no DAG, so
	 * that reading them is an I/O error (counted each time). */
	uint64_t healed_blocks, damaged_blocks;
	bool failed; /* a COMMIT failed: read only for good */
	char why[256];
};
void cache_stats(struct cache *c, struct cache_stats *ret);

/* Room that other parts of the drive directory (outbox) take, so that the one
 * accountant knows. */
void cache_account_outbox(struct cache *c, uint64_t bytes);

/* What will make room (sealing, sending) has come on a bit: who waits for room does
 * not wait in vain, and `full_timeout_ms` begins anew.  Takes no lock. */
void cache_room_comes(struct cache *c);

/*
 * A quarter of what there is for pieces and data: as much the outbox should hold
 * at most, and the accountant keeps for it up to outbox_floor_bytes.  Bytes.
 */
uint64_t cache_outbox_share(struct cache *c);

/* Evict clean data until at most `target` bytes are used, or none is left. */
must_check int cache_evict(struct cache *c, uint64_t target);

/* ino's state for user.fildrive.*; "local" while any of it is dirty. */
struct source_state;
must_check int cache_state(struct cache *c, uint64_t ino, struct source_state *ret);

/*
 * Would what stands at `off` of that inode still be fetched by that link?  No, once it
 * is removed or cut, or a commit has it anew; a directory also once it is loaded.
 */
bool cache_hangs_on(struct cache *c, uint64_t ino, uint64_t off, struct slice link);

/*
 * Read everything here: every page, row and slot.  Calls `found` with a
 * sentence for each fault; repair removes what cannot be read (quarantined:
 * reads give EIO) and mends counters.  Returns the number of faults left.
 */
must_check int cache_check(struct cache *c, bool repair,
			   void (*found)(void *ctx, const char *sentence),
			   void *ctx, struct err *reterr);

#endif
