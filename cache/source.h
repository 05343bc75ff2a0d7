/*
 * source.h - what the cache needs from above, and nothing else
 *
 * The cache holds what is local.  What a recovered drive has not loaded yet, or
 * what was evicted, comes from the DAG: the daemon plugs src/retrieve in here.
 * Two verbs fetch, one describes.
 *
 * A fetch is a caller-owned struct source_req that stays valid until its
 * callback.  Law of callbacks: if start returns an error the callback is never
 * called; otherwise exactly once, never from inside start, from any thread; a
 * cancelled request still gets its one callback, with -ECANCELED.
 *
 * Links are opaque here: encoded struct link (crypto/link.h).
 */
#ifndef CACHE_SOURCE_H
#define CACHE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct cache_attr;
struct source_req;
struct source_xattr;

/* One name of a directory, borrowed for the call of the sink. */
struct source_entry {
	struct slice name;
	const struct cache_attr *attr; /* .ino as the DAG has it */
	struct slice link;             /* content; empty for special files */
	bool shared; /* hard link: attr holds ino and type only; the truth is
			in the inode table: source.inode() */
	const struct source_xattr *xattrs;
	size_t n_xattrs;
};

struct source_xattr {
	struct slice name;
	struct slice value;
};

/*
 * Called by the source for what it found, any number of times before the
 * request's callback, from one thread at a time.  Non-zero ends the fetch with
 * that error.
 *
 * data: plaintext of [off, off + data.n) of the file; n_hole > 0 instead says
 * that [off, off + n_hole) is a hole.
 */
struct source_sink {
	int (*entry)(struct source_req *req, const struct source_entry *e);
	int (*data)(struct source_req *req, uint64_t off, struct slice data,
		    uint64_t n_hole);
};

enum source_kind {
	SOURCE_DIR,   /* every entry of directory `link` */
	SOURCE_READ,  /* bytes [off, off + n) of file `link` */
	SOURCE_INODE, /* the inode table's row of `ino`, as one entry */
	SOURCE_HOLES, /* holes of [off, off + n) of file `link`, in order; what is
			 not told is data.  Costs nodes, no bytes of the file */
};

struct source_req {
	enum source_kind kind;
	uint64_t ino;
	struct slice link; /* borrowed until the callback */
	uint64_t off, n;
	bool readahead; /* nobody waits for it: may be dropped */
	const struct source_sink *sink;
	void (*done)(struct source_req *req, int status);

	void *impl; /* private to the source */
};

/* What user.fildrive.{state,cid,copies} say of a clean inode. */
struct source_state {
	char state[16]; /* "queued", "uploading", "stored", … */
	char cid[96];   /* of the root block, text; empty if it has none */
	unsigned copies;
};

struct source {
	int (*start)(struct source *s, struct source_req *req);
	void (*cancel)(struct source *s, struct source_req *req);
	int (*state)(struct source *s, uint64_t ino, struct slice link,
		     struct source_state *ret);
};

#endif
