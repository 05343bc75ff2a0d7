/*
 * memos.h - what is remembered of the largest directories from commit to commit
 *
 * A directory whose node is the root of 256 shards is built from those that have
 * changed and the links of the others (dag/dir.h).  That holds as long as the DAG
 * that the cache has adopted is the one that was built then, and no piece was lost
 * since.  It stands in ledger.db as well, as of the last commit, for the first
 * commit of the next mount; where it is missing all of the directory is built.
 *
 * Threading: the packer thread.
 */
#ifndef ONBOARD_MEMOS_H
#define ONBOARD_MEMOS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/util.h"
#include "crypto/link.h"
#include "crypto/shorthash.h"

struct dir_builder;
struct dir_memo;
struct ledger;
struct run;

#define MEMOS_MAX 16 /* directories, at about 70 KiB */

struct memos {
	struct shorthash_key key;
	uint64_t clock;
	bool loaded;
	struct memo {
		uint64_t ino; /* 0: free */
		uint64_t used, losses;
		struct link root;
		struct dir_memo *dir;
		bool changed; /* differs from what ledger.db has */
	} v[MEMOS_MAX];
};

must_check int memos_new(struct memos **ret);
void memos_free(struct memos *m); /* NULL is fine */

/* What ledger.db has; before a run.  What cannot be read is built again. */
void memos_load(struct memos *m, struct ledger *l);
/* What changed since then, behind a commit.  What cannot be written is built again,
 * by the first commit of the next mount. */
void memos_save(struct memos *m, struct ledger *l);

/* Of the directory whose adopted link is `link`, encoded; or NULL.  It lives until
 * memos_keep(). */
const struct dir_memo *memos_find(const struct run *r, uint64_t ino,
				  struct slice link);

/* What was built is remembered, if it is large, in place of what was before. */
must_check int memos_keep(struct run *r, uint64_t ino, struct dir_builder *b,
			  const struct link *root);

#endif
