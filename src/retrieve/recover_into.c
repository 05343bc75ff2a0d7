/* recover_into.c - what was found becomes a ledger and the root of a cache */
#include "retrieve/recover.h"

#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "cache/cache.h"
#include "dag/attr.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "retrieve/finder.h"
#include "retrieve/internal.h"

static int learn_piece(const struct recover_found *f, struct ledger *l,
		       const uint64_t *store_ids, const struct recover_piece *p)
{
	const struct ledger_piece lp = {
		.ordinal = p->ordinal,
		.cid = p->cid,
		.size = p->size,
		.kind = p->kind,
		/* The head's own piece: the next commit lists it. */
		.seq = p->ordinal == f->trailer.piece ? 0 : f->sequence,
		.live = p->size,
		.created = (uint64_t)commit_info(f->commit)->time.s,
	};
	int r;

	r = ledger_piece_learn(l, &lp);
	for (size_t i = 0; i < f->n_stores && r >= 0; i++) {
		const struct ledger_placement at = { .piece = p->ordinal,
						     .store = store_ids[i],
						     .state = LEDGER_LISTED };

		if (store_ids[i] && p->stores & 1u << i)
			r = ledger_placement_set(l, &at);
	}
	return r < 0 ? r : 0;
}

static int add_head(struct ledger *l, uint64_t sequence,
		    enum ledger_head_state state, uint64_t time, uint64_t piece,
		    const uint8_t *hash, struct slice body)
{
	struct ledger_head h = { .seq = sequence,
				 .state = state,
				 .time = time,
				 .piece = piece,
				 .body = body };
	int r;

	if (hash)
		memcpy(h.hash, hash, sizeof(h.hash));
	r = ledger_head_add(l, &h, NULL, 0, 0, NULL, 0);
	return r < 0 ? r : 0;
}

/*
 * With more than half of the stores it is published.  With fewer it may be on
 * its way there, by another device that is gone, and be overtaken by a third.
 * One that is contested was chosen by a person.
 */
static enum ledger_head_state state_of(const struct recover_found *f)
{
	bool open = f->n_claims && 2 * f->n_claims <= f->n_stores;

	return open && !f->contested && f->sequence == f->newest ? LEDGER_BUILT :
								   LEDGER_CLAIMED;
}

int finder_head_body(const struct commit_info *info, struct buf *body)
{
	_cleanup_buf_ struct buf attr = { 0 };
	struct head_info hi = { .root = info->root,
				.inode_table = info->inode_table,
				.catalogue = info->catalogue,
				.device = info->device,
				.n_inodes = info->n_inodes,
				.n_bytes = info->n_bytes };
	int r;

	buf_init(&attr, ATTR_ENCODED_MAX);
	r = attr_encode(&info->root_attr, &attr);
	hi.root_attr = buf_slice(&attr);
	return r < 0 ? r : head_info_encode(&hi, body);
}

static int add_newest(const struct recover_found *f, struct ledger *l)
{
	const struct commit_info *info = commit_info(f->commit);
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	buf_init(&body, FINDER_HEAD_BODY_MAX);
	r = finder_head_body(info, &body);
	if (r < 0)
		return r;
	return add_head(l, f->sequence, state_of(f), (uint64_t)info->time.s,
			f->trailer.piece, f->commit_hash, buf_slice(&body));
}

int recover_into(const struct recover_found *f, struct ledger *l,
		 const uint64_t *store_ids, struct err *reterr)
{
	int r = 0;

	for (size_t i = 0; i < f->n_pieces && r == 0; i++)
		r = learn_piece(f, l, store_ids, &f->pieces[i]);
	for (size_t i = 0; i < f->n_retained && r == 0; i++)
		r = add_head(l, f->retained[i].sequence, LEDGER_CLAIMED,
			     f->retained[i].time, 0, NULL,
			     slice(f->retained[i].body, f->retained[i].n_body));
	if (r == 0)
		r = add_newest(f, l);
	if (r == 0)
		r = ledger_set_u64(l, LEDGER_HEAD_SEEN, f->newest);
	if (r >= 0)
		r = ledger_set_u64(l, LEDGER_BASE, f->sequence);
	if (r >= 0)
		r = ledger_set_u64(l, LEDGER_MIN_WRITER,
				   commit_info(f->commit)->min_writer);
	return r < 0 ? err_set(reterr, r, "ledger.db: %s", err_str(r)) : 0;
}

/* Attributes and encoded link of the root, and the first inode number that this
 * device may give out. */
static int recover_root(const struct recover_found *f, struct cache_attr *ret_attr,
			struct buf *ret_link, uint64_t *ret_next_ino)
{
	const struct commit_info *info = commit_info(f->commit);

	attr_to_cache(&info->root_attr, ret_attr);
	*ret_next_ino = info->ino_next;
	return link_encode(&info->root, ret_link);
}

int recover_format(const struct recover_found *f, const struct cache_params *p,
		   struct err *reterr)
{
	_cleanup_free_ struct source_xattr *xattrs = NULL;
	_cleanup_buf_ struct buf link = { 0 };
	const struct commit_info *info = commit_info(f->commit);
	const struct cache_counts counts = { info->n_inodes, info->n_bytes };
	struct source_entry root = { .name = SLICE_NONE };
	struct cache_attr attr;
	uint64_t next_ino;
	int r;

	buf_init(&link, LINK_ENCODED_MAX);
	r = recover_root(f, &attr, &link, &next_ino);
	if (r == 0)
		r = xattrs_of(slice(f->root_xattrs, f->n_root_xattrs), &xattrs,
			      &root.n_xattrs);
	if (r < 0)
		return r;
	root.attr = &attr;
	root.link = buf_slice(&link);
	root.xattrs = xattrs;
	return cache_format_entry(p, &root, next_ino, &counts, reterr);
}
