/*
 * mend.h - a tree some of whose directories are lost
 *
 *   mend_plan   walks the tree; for a lost directory it finds the newest older
 *               version (by inode number, in any node of any piece); notes what
 *               is lost for good, in words
 *   mend_apply  an empty local drive of that tree gets the substitutes, as
 *               changes that the next commit publishes
 *
 * A directory in shards may be lost in part: the shards that can be read stay as
 * they are, and an older version gives only the names that stood in the lost
 * ones.  An older version is left where it disagrees with the tree: an inode that
 * stands elsewhere now was moved there, and is left out of it.
 *
 * Everything that is not as the commit had it is a line of the report.
 *
 * Memory: 16 to 32 bytes an inode of the tree, about 300 a directory that waits
 * to be read, a record for each that is lost; MEND_*_MAX and INO_SET_N_MAX bound them.  Nodes are
 * read one at a time.
 *
 * Threading: one thread, which may wait; mend_apply() starts those of a cache.
 */
#ifndef RETRIEVE_MEND_H
#define RETRIEVE_MEND_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/util.h"
#include "dag/digest_set.h"
#include "dag/dir.h"
#include "retrieve/ino_set.h"
#include "retrieve/survey.h"

struct cache_params;
struct err;

#define MEND_NAME_SIZE   17          /* 16 hex digits and NUL */
#define MEND_LEVELS      16          /* shards from the root of a directory */
#define MEND_DIRS_MAX    (1u << 20)  /* lost ones, and those waiting */
#define MEND_PARTS_MAX   (1u << 16)  /* lost shards of one directory */
#define MEND_ORPHANS_MAX (1u << 16)  /* files without a name that are kept */
#define MEND_BLOCKS_MAX  (1u << 23)  /* past it orphans are not looked for */
#define MEND_HERE_MAX    (1u << 20)  /* nodes that are remembered */
#define MEND_REPORT_MAX  (16u << 20) /* bytes of text */

/* The shard of a directory that cannot be read; depth 0: the directory. */
struct mend_part {
	uint8_t depth;
	uint8_t at[MEND_LEVELS]; /* buckets from the root */
};

/* Inodes of an older version, or of the tree, that stand elsewhere. */
struct mend_inos {
	uint64_t *v;
	size_t n, cap;
};

/* A directory that has to be written anew. */
struct mend_dir {
	uint64_t ino;
	char *path;        /* from the root, which is "" */
	struct link link;  /* as the tree has it */
	struct link older; /* what fills the gaps; LINK_NONE: nothing does */
	struct mend_part *parts;
	size_t n_parts;
	struct mend_inos drop[2]; /* of `link`, of `older`; after mend_finish()
				     ascending */
	unsigned level;           /* of `link`: above 0 it is a shard */
	bool pending; /* an older version is still to be looked for */
};

/* A file or folder whose name is lost: nothing links it. */
struct mend_orphan {
	struct link link;
	uint64_t size, ino;
	bool is_dir;
};

/* A directory of which something is lost, and what fills it. */
struct mend_gap {
	uint64_t ino;
	size_t dir;        /* of mend.dirs */
	struct link older; /* LINK_NONE: there is nothing */
	uint64_t sequence; /* of the piece that names it */
};

struct mend {
	struct remote *r;
	const struct survey *survey;
	struct mend_dir *dirs; /* after mend_finish(): parents first */
	size_t n_dirs, cap_dirs;
	size_t *by_ino; /* places in dirs, ascending by inode number */
	struct mend_orphan *orphans;
	size_t n_orphans, cap_orphans;
	struct ino_set inos;  /* of the tree, as far as it is planned */
	struct ino_set table; /* that the inode table has */
	struct digest_set here; /* nodes of files below which nothing is missing */
	struct mend_todo *todo;
	size_t n_todo;
	uint64_t max_ino;
	uint64_t found_ino; /* of the directory that the orphans get; 0: none */
	char found_name[32];  /* its name in the root */
	unsigned found_tries; /* names that the root has already */

	/* what there was to say */
	struct buf report; /* lines */
	uint64_t n_unsaid; /* lines for which there was no room */
	int failed;        /* a line that could not be said */
	uint64_t n_seen;   /* directories of the tree */
	uint64_t n_lost;   /* of these, cannot be read, or not all of them */
	uint64_t n_faults; /* lines that tell of a loss */
};

void mend_init(struct mend *m, const struct survey *s);
void mend_fini(struct mend *m);

/*
 * The inode table of the tree, row by row, before mend_plan(): a name of an inode
 * that is not in it cannot stay.  A table that cannot be read from end to end is
 * refused, and then none is known.
 */
must_check int mend_table(struct mend *m, const struct link *table);

/* Every directory below `root`; -ENOMEM, -EMSGSIZE: past a maximum. */
must_check int mend_plan(struct mend *m, const struct link *root,
			 struct err *reterr);

/* The same for what mend_adopt() found. */
must_check int mend_plan_on(struct mend *m, struct err *reterr);

/*
 * Content and directories that no readable node links, for mend_apply(); each
 * inode number is from *next_ino on, which is moved.
 */
must_check int mend_orphans(struct mend *m, uint64_t *next_ino, struct err *reterr);

/* A directory (or, `level` above 0, a shard of one) that takes the name `path`.
 * *ret_any: something in it stands nowhere else.  If not, it is forgotten. */
must_check int mend_adopt(struct mend *m, uint64_t ino, const struct link *l,
			  unsigned level, const char *path, bool *ret_any);

/* The last of planning.  -ENOMEM, also of any line of the report. */
must_check int mend_finish(struct mend *m);

/* The drive that recover_format() has just made, and that nobody has open. */
must_check int mend_apply(struct mend *m, const struct cache_params *p,
			  struct err *reterr);

/* A line of the report; `path` is made printable.  `fault`: something is lost.
 * -ENOMEM is kept for mend_finish(). */
void mend_say(struct mend *m, bool fault, const char *what, const char *path,
	      const char *note);

/* What it is called: 16 hex digits of its digest. */
void mend_orphan_name(const struct mend_orphan *o, char ret[static MEND_NAME_SIZE]);

/* For each of `v` the newest older version that can be read from end to end;
 * none: `older` stays as it is. */
must_check int mend_older(struct mend *m, struct mend_gap *v, size_t n);

/* dir_node_parse() of a node whose level is not known: the first that fits. */
must_check int mend_parse_dir(struct slice body, struct dir_node *ret);

/* For mend_apply() */

/* Entries of a directory; shards that cannot be read are told to `lost`. */
struct mend_read {
	int (*entry)(void *ctx, const struct dir_item *item);
	int (*lost)(void *ctx, const struct mend_part *part);
	void *ctx;
};
must_check int mend_dir_read(struct remote *r, const struct link *dir,
			     unsigned level, const struct mend_read *to);
/* Did this name stand in what is lost of the directory? */
bool mend_is_lost(const struct mend_dir *d, struct slice name);
bool mend_drops(const struct mend_inos *v, uint64_t ino);
struct mend_dir *mend_find(const struct mend *m, uint64_t ino);

#endif
