/* finder.h - what recover.c and salvage.c share: one look at the stores */
#ifndef RETRIEVE_FINDER_H
#define RETRIEVE_FINDER_H

#include "retrieve/recover.h"
#include "retrieve/remote.h"

#define FINDER_HEAD_BODY_MAX 8192 /* bytes; ledger/head_info.h */

/* `f` is what the caller gets. */
struct finder {
	const struct recover_params *p;
	struct recover_found *f;
	struct remote *r;
	struct piece_cid heads[RECOVER_STORES_MAX]; /* newest, by store */
	bool salvage; /* pieces are known from their trailers: a catalogue or an
			 inode table that cannot be read is no reason to give up */
	struct err *err;
};

/* Newest sequences by store, and of all, into d->f. */
must_check int finder_ask_heads(struct finder *d);

/* The commit of f->head, which has to be f->sequence. */
must_check int finder_commit(struct finder *d);

/* What stands around f->commit: pieces, root, retained commits. */
must_check int finder_complete(struct finder *d);

/* What a ledger keeps of a commit, appended to `body`. */
must_check int finder_head_body(const struct commit_info *info, struct buf *body);

/* Everything from f->head and f->sequence on. */
must_check int finder_open(struct finder *d);

#endif
