/*
 * run.h - the state of one commit run, between its files
 *
 *   run.c      snapshot, phases, commit record, ledger, adoption
 *   plan.c     which inodes and directories are to be built anew
 *   results.c  what they link then
 *   content.c  bytes of files: leaves, reused leaves, holes, file nodes
 *   retained.c the list of commits that may still be mounted
 *   memos.c    what is remembered of large directories
 *   tree.c     attributes, directories bottom-up, inode table
 *   keep.c     files that a commit cannot have as they are
 *   reseal.c   what hung on lost pieces
 *
 * Threading: the packer thread.
 */
#ifndef ONBOARD_RUN_H
#define ONBOARD_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/cache.h"
#include "crypto/link.h"
#include "onboard/internal.h"
#include "onboard/pack.h"

struct buf;
struct keep;
struct ledger_adopt;

#define CHUNK (1u << 20) /* bytes of a leaf */

/* What an inode's content is now; adopted by the cache afterwards. */
struct result {
	uint64_t ino, size;
	size_t link; /* encoded, in run->links */
	uint8_t n_link;
};

/* ino → index + 1; open addressing. */
struct ino_map {
	struct {
		uint64_t ino;
		size_t at;
	} * v;
	size_t n, cap;
};

struct plan_dir {
	uint64_t ino;
	uint32_t depth; /* of the root: 0 */
};

struct inos {
	uint64_t *v;
	size_t n, cap;
};

struct lost {
	uint64_t ino, bytes;
};

struct run {
	struct onboard *o;
	struct cache_snap *snap;
	struct pack *pack;
	struct err *err;

	struct result *results; /* so many as are in memory */
	size_t n_results, cap_results;
	uint8_t *links; /* of results, one behind the other: most are short */
	size_t n_links, cap_links;
	struct ino_map result_of;
	bool staged; /* there are more, in ledger.db */

	struct plan_dir *dirs; /* to be built anew */
	size_t n_dirs, cap_dirs;
	struct ino_map dir_of;

	struct inos dirty;           /* all that is, ascending */
	struct inos files, symlinks; /* dirty content */
	struct list plans; /* files of several leaves: nodes still to come */
	bool table_dirty;  /* a shared inode changed */
	uint64_t dirty_bytes;

	uint64_t losses; /* pieces lost so far: nothing links into them */
	bool mending;    /* a commit has to be made for them, and all of the
			    inode table */
	bool unseen;     /* there are directories that nobody looked into
			    here, or names of inodes that nobody asked for:
			    they may link anywhere */
	bool renew;      /* a commit is due, even if nothing has changed */
	bool idle;       /* nothing could be done: another try may wait */
	struct lost *lost;
	size_t n_lost, cap_lost;
	struct ino_map linked_lost; /* ordinals of lost pieces */
	bool asked;                 /* for this run, by somebody */
	struct keep *keeps;         /* files that stay as they were (keep.h) */
	size_t n_keeps, cap_keeps;
	struct ino_map keep_of;
};

/* plan.c */
must_check int plan_make(struct run *r);
void plan_forget(struct run *r); /* what only building needs; results stay */
void plan_fini(struct run *r);
bool run_is_dirty(const struct run *r, uint64_t ino); /* or to be built anew */
must_check int inos_add(struct inos *v, uint64_t ino);
bool ino_map_get(const struct ino_map *m, uint64_t ino, size_t *ret);
must_check int ino_map_put(struct ino_map *m, uint64_t ino, size_t at);
void ino_map_fini(struct ino_map *m);

/* results.c */
must_check int result_add(struct run *r, uint64_t ino, uint64_t size,
			  const struct link *l);
/* Its link, encoded, is appended.  -ENOENT: it has none of this run */
must_check int result_find(const struct run *r, uint64_t ino, struct buf *link);
/* Those that are not staged, on the heap; their links live till the next
 * result_add(). */
must_check int results_tell(const struct run *r, struct ledger_adopt **ret);
void results_fini(struct run *r);

/* content.c */
must_check int content_leaves(struct run *r);
must_check int content_nodes(struct run *r);
void content_fini(struct run *r);

/* tree.c */
must_check int tree_symlinks(struct run *r);
must_check int tree_dirs(struct run *r);
must_check int tree_inode_table(struct run *r, const struct link *base,
				struct link *ret);
must_check int tree_root_attr(struct run *r, struct buf *ret);

/* retained.c */
must_check int retained_build(struct run *r, uint64_t now, struct link *ret);

/* Content link of an inode: built now, or as it was. */
must_check int link_of(const struct run *r, const struct cache_snap_inode *i,
		       struct link *ret);

#endif
