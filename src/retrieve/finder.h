/* finder.h - what the files of recover and salvage share: one look at the stores */
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
	uint32_t named; /* bit i: the register of store i names f->head */
	bool other; /* f->head is a piece of this drive, and of another commit */
	struct err *err;
};

/* Newest sequences by store, and of all, into d->f. */
must_check int finder_ask_heads(struct finder *d);

/* The piece of head h that most stores name; the first store breaks a tie.
 * -ENOENT: none of them knows it. */
must_check int finder_head_of(struct finder *d, uint64_t h, struct piece_cid *ret);

/*
 * What those stores said of f->head cannot be: an old head stands there under a new
 * number.  They are left out, with the reason in their rows, and f->newest is that of
 * the others.  -EBADMSG: there are none.
 */
must_check int finder_drop_liars(struct finder *d);

/* The commit of f->head, which has to be f->sequence; d->other if it is not. */
must_check int finder_commit(struct finder *d);

/* What stands around f->commit: pieces, root, retained commits. */
must_check int finder_complete(struct finder *d);

/* Its pieces, and where they are. */
must_check int finder_list_pieces(struct finder *d);

/* The commits that it retains, as far as they can be read. */
must_check int finder_list_retained(struct finder *d);

/* What a ledger keeps of a commit, appended to `body`. */
must_check int finder_head_body(const struct commit_info *info, struct buf *body);

/* Everything from f->head and f->sequence on. */
must_check int finder_open(struct finder *d);

#endif
