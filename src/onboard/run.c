/*
 * run.c - one commit: snapshot, leaves, nodes, record, ledger, adoption
 *
 *   snapshot ─► plan ─► leaves ─► nodes ─► catalogue, retained ─► commit
 *     pins open                                                     │
 *   clean ◄─ adopted, synced ◄─ ledger: head BUILT, adopt rows ◄────┘
 *
 * A crash before the ledger's transaction leaves finished pieces whose blocks
 * the next run finds and links; a crash after it replays the adoption.
 */
#include "onboard/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/log.h"
#include "crypto/keys.h"
#include "crypto/secret.h"
#include "dag/attr.h"
#include "dag/commit.h"
#include "dag/dir.h"
#include "dag/profile.h"
#include "ledger/convergence.h"
#include "ledger/head_info.h"
#include "ledger/ledger.h"
#include "onboard/keep.h"
#include "onboard/memos.h"
#include "onboard/reseal.h"
#include "onboard/retain.h"

#define HEX_NAME_SIZE 17         /* 16 hex digits and NUL */
#define INO_AHEAD     (1u << 20) /* numbers reserved by each commit */
#define HEAD_BODY_MAX 8192
#define ADOPT_BATCH   1024

/* The newest commit that this device knows, on which the next one stands. */
struct parent {
	uint64_t seq;  /* 0: there is none */
	uint64_t seen; /* newest that was claimed anywhere: may be a broken one
			  that recover went back from */
	uint64_t piece;
	uint8_t hash[32];
	struct link inode_table, catalogue;
	struct piece_cid cid; /* of its piece */
};

static int on_parent(void *ctx, const struct ledger_head *h)
{
	struct parent *p = ctx;
	struct head_info info;
	int r;

	r = head_info_decode(h->body, &info);
	if (r < 0)
		return r;
	p->seq = h->seq;
	p->piece = h->piece;
	memcpy(p->hash, h->hash, sizeof(p->hash));
	p->inode_table = info.inode_table;
	p->catalogue = info.catalogue;
	return 0;
}

static int parent_get(struct onboard *o, struct parent *ret)
{
	struct ledger_piece piece;
	uint64_t seq = 0;
	int r;

	*ret = (struct parent){ 0 };
	r = ledger_newest_head(o->p.ledger, &seq);
	if (r < 0 || seq == 0)
		return r;
	r = ledger_get_u64(o->p.ledger, LEDGER_HEAD_SEEN, &ret->seen);
	if (r < 0 && r != -ENOENT)
		return r;
	r = ledger_head_get(o->p.ledger, seq, on_parent, ret);
	if (r == 0)
		r = ledger_piece_get(o->p.ledger, ret->piece, &piece);
	if (r == 0)
		ret->cid = piece.cid;
	return r;
}

/* ---- catalogue: every piece by its ordinal ---- */

struct catalogue {
	struct run *run;
	struct dir_builder *b;
	uint64_t head; /* the piece that is being written: not in it */
	struct commit_piece *fresh; /* to be listed by this commit */
	size_t n, cap;
};

static int fresh_add(struct catalogue *c, const struct ledger_piece *p)
{
	size_t cap = c->cap ? 2 * c->cap : 16;
	struct commit_piece *v = c->fresh;

	if (c->n == c->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		c->fresh = v;
		c->cap = cap;
	}
	v[c->n++] = (struct commit_piece){ .ordinal = p->ordinal,
					   .cid = p->cid,
					   .kind = p->kind };
	return 0;
}

_Static_assert(PIECE_CID_MAX + 1 <= LINK_INLINE_MAX, "a row is its own block");

/* A small file: the piece CID and the kind. */
static int on_piece(void *ctx, const struct ledger_piece *p)
{
	struct catalogue *c = ctx;
	struct link row = { .kind = LINK_IDENTITY,
			    .codec = LINK_RAW,
			    .n_inline = (uint8_t)(p->cid.n + 1) };
	const struct attr a = { .mode = 0100400, .size = row.n_inline };
	_cleanup_buf_ struct buf attr = { 0 };
	char name[HEX_NAME_SIZE];
	int r;

	if (p->ordinal == c->head ||
	    (p->state == LEDGER_PIECE_LOST &&
	     !reseal_is_linked(c->run, p->ordinal, p->live)) ||
	    (p->state != LEDGER_PIECE_LOST && p->state != LEDGER_READY &&
	     p->state != LEDGER_HELD))
		return 0;
	if (p->seq == 0) {
		r = fresh_add(c, p);
		if (r < 0)
			return r;
	}
	memcpy(row.bytes, p->cid.bytes, p->cid.n);
	row.bytes[p->cid.n] = (uint8_t)p->kind;
	(void)snprintf(name, sizeof(name), "%016" PRIx64, p->ordinal); /* fits */
	buf_init(&attr, ATTR_ENCODED_MAX);
	r = attr_encode(&a, &attr);
	return r < 0 ? r :
		       dir_builder_add(c->b, slice_str(name), &row, a.size,
				       buf_slice(&attr));
}

/* The pieces that hold the catalogue itself are listed by every commit. */
static int list_anchors(struct run *r, struct catalogue *c)
{
	struct ledger_piece p;
	const uint64_t *v;
	bool listed;
	size_t n;
	int rc = 0;

	v = pack_tracked(r->pack, &n);
	for (size_t i = 0; i < n && rc == 0; i++) {
		listed = v[i] == c->head;
		for (size_t j = 0; j < c->n && !listed; j++)
			listed = c->fresh[j].ordinal == v[i];
		if (listed)
			continue;
		rc = ledger_piece_get(r->o->p.ledger, v[i], &p);
		if (rc == 0)
			rc = fresh_add(c, &p);
	}
	return rc;
}

static int catalogue_build(struct run *r, struct catalogue *c, struct link *ret)
{
	_cleanup_dir_builder_ struct dir_builder *b = NULL;
	struct dag_root root;
	int rc;

	rc = dir_builder_new(&dag_profile_sealed,
			     pack_sealer(r->pack, XINDEX_CATALOGUE), &b);
	if (rc < 0)
		return rc;
	c->b = b;
	rc = ledger_pieces(r->o->p.ledger, 0, on_piece, c);
	if (rc < 0)
		return rc;
	pack_track(r->pack);
	rc = dir_builder_finish(b, &root, r->err);
	if (rc < 0)
		return rc;
	*ret = root.link;
	return list_anchors(r, c);
}

static int by_ordinal(const void *a, const void *b)
{
	const struct commit_piece *x = a, *y = b;

	return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

/* ---- the record ---- */

struct record {
	struct commit_info info;
	struct catalogue catalogue;
	struct buf root_attr;
	uint64_t head; /* ordinal of the piece that takes the commit */
	uint8_t digest[32];
};

static int record_fill(struct run *r, const struct parent *parent, struct record *rec)
{
	struct onboard *o = r->o;
	struct cache_snap_inode root;
	struct cache_counts counts;
	struct timespec now;
	uint64_t writer;
	int rc;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	rc = keep_count(r, &counts);
	if (rc == 0)
		rc = ledger_get_u64(o->p.ledger, LEDGER_WRITER, &writer);
	if (rc == 0)
		rc = cache_snap_inode(r->snap, CACHE_ROOT_INO, &root);
	if (rc < 0)
		return rc;
	rec->info = (struct commit_info){
		.min_reader = COMMIT_FORMAT,
		.min_writer = COMMIT_FORMAT,
		.sequence = MAX(parent->seq, parent->seen) + 1,
		.time = { now.tv_sec, (uint32_t)now.tv_nsec },
		.writer = (uint32_t)writer,
		.device = slice(o->p.device, MIN(strlen(o->p.device),
						 (size_t)COMMIT_DEVICE_MAX)),
		.ino_next = cache_snap_next_ino(r->snap) + INO_AHEAD,
		.n_inodes = counts.inodes,
		.n_bytes = counts.bytes,
		.compress = o->p.compress_all ? COMMIT_COMPRESS_ALL :
						COMMIT_COMPRESS_NODES,
		.copies = o->p.copies,
	};
	memcpy(rec->info.parent, parent->hash, sizeof(parent->hash));
	rc = link_of(r, &root, &rec->info.root);
	if (rc == 0)
		rc = tree_root_attr(r, &rec->root_attr);
	if (rc == 0)
		rc = attr_decode(buf_slice(&rec->root_attr), &rec->info.root_attr);
	return rc;
}

static uint64_t thin_time(struct onboard *o, uint64_t now)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_BOOTTIME, &t); /* cannot fail */
	return retain_now(&o->clock, now, (uint64_t)t.tv_sec);
}

void run_clock(struct onboard *o)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail */
	(void)thin_time(o, (uint64_t)now.tv_sec);  /* remembers it */
}

static int record_links(struct run *r, const struct parent *parent,
			struct record *rec)
{
	struct commit_info *info = &rec->info;
	uint64_t counter = 0;
	int rc;

	rc = tree_inode_table(r, &parent->inode_table, &info->inode_table);
	if (rc == 0)
		rc = retained_build(r, thin_time(r->o, (uint64_t)info->time.s),
				    &info->retained);
	/* From here on the open piece is the head: the catalogue leaves it out. */
	if (rc == 0)
		rc = pack_head_piece(r->pack, &rec->head);
	if (rc == 0)
		rc = ledger_get_u64(r->o->p.ledger, LEDGER_COUNTER, &counter);
	if (rc < 0)
		return rc;
	info->piece_next = counter + 1;
	rec->catalogue = (struct catalogue){ .run = r, .head = rec->head };
	rc = catalogue_build(r, &rec->catalogue, &info->catalogue);
	if (rc < 0)
		return rc;
	if (rec->catalogue.n)
		qsort(rec->catalogue.fresh, rec->catalogue.n,
		      sizeof(*rec->catalogue.fresh), by_ordinal);
	info->pieces = rec->catalogue.fresh;
	info->n_pieces = rec->catalogue.n;
	return 0;
}

static int record_write(struct run *r, const struct parent *parent,
			struct record *rec)
{
	struct onboard *o = r->o;
	struct trailer_head previous = { .sequence = parent->seq,
					 .piece = parent->piece,
					 .cid = parent->cid };
	_cleanup_secret_ struct secret *convergence = NULL;
	_cleanup_buf_ struct buf sealed = { 0 };
	uint64_t ordinal = 0;
	int rc;

	buf_init(&sealed, COMMIT_RECORD_MAX);
	memcpy(previous.commit, parent->hash, sizeof(previous.commit));
	rc = pack_head_piece(r->pack, &ordinal);
	if (rc < 0)
		return rc;
	if (ordinal != rec->head) /* the catalogue filled the piece: again */
		return err_set(r->err, -EAGAIN,
			       "the commit could not be made: its catalogue does not go into one piece");
	rc = ledger_convergence(o->p.ledger, o->p.keys, &convergence,
				&rec->info.epoch);
	if (rc == 0)
		rc = commit_seal(&rec->info, convergence, o->p.keys, &sealed,
				 rec->digest);
	if (rc < 0)
		return rc;
	return pack_commit(r->pack, buf_slice(&sealed), rec->digest,
			   rec->info.sequence, &previous);
}

/* ---- ledger and cache ---- */

static int ledger_write(struct run *r, const struct record *rec)
{
	const struct commit_info *info = &rec->info;
	struct head_info hi = { .root = info->root,
				.inode_table = info->inode_table,
				.catalogue = info->catalogue,
				.root_attr = buf_slice(&rec->root_attr),
				.device = info->device,
				.n_inodes = info->n_inodes,
				.n_bytes = info->n_bytes };
	struct ledger_head h = { .seq = info->sequence,
				 .state = LEDGER_BUILT,
				 .time = (uint64_t)info->time.s,
				 .piece = rec->head,
				 .losses = r->losses };
	_cleanup_free_ uint64_t *ordinals =
		calloc(info->n_pieces + 1, sizeof(*ordinals));
	_cleanup_free_ struct ledger_adopt *adopt = NULL;
	_cleanup_buf_ struct buf body = { 0 };
	int rc;

	buf_init(&body, HEAD_BODY_MAX);
	if (!ordinals)
		return -ENOMEM;
	memcpy(h.hash, rec->digest, sizeof(h.hash));
	rc = head_info_encode(&hi, &body);
	if (rc < 0)
		return rc;
	h.body = buf_slice(&body);
	for (size_t i = 0; i < info->n_pieces; i++)
		ordinals[i] = info->pieces[i].ordinal;
	rc = results_tell(r, &adopt);
	if (rc < 0)
		return rc;
	rc = ledger_head_add(r->o->p.ledger, &h, ordinals, info->n_pieces,
			     cache_snap_gen(r->snap), adopt, r->n_results);
	return rc == -EAGAIN ?
		       err_set(r->err, rc,
			       "the commit could not be made: pieces are lost meanwhile") :
		       rc;
}

struct replay {
	struct onboard *o;
	struct cache_adopt v[ADOPT_BATCH];
	uint8_t links[ADOPT_BATCH][LINK_ENCODED_MAX];
	size_t n;
	uint64_t gen;
	bool any;
};

static int replay_flush(struct replay *p)
{
	size_t n = p->n;

	p->n = 0;
	return n ? cache_adopt(p->o->p.cache, p->gen, p->v, n) : 0;
}

static int on_adopt(void *ctx, uint64_t gen, const struct ledger_adopt *a)
{
	struct replay *p = ctx;
	int r = 0;

	if (p->n == ADOPT_BATCH || (p->n && gen != p->gen))
		r = replay_flush(p);
	if (r < 0 || a->link.n > LINK_ENCODED_MAX)
		return r < 0 ? r : -EUCLEAN;
	memcpy(p->links[p->n], a->link.p, a->link.n);
	p->v[p->n] = (struct cache_adopt){ .ino = a->ino,
					   .link = slice(p->links[p->n], a->link.n),
					   .size = a->size };
	p->n++;
	p->gen = gen;
	p->any = true;
	return 0;
}

int run_replay(struct onboard *o)
{
	struct replay *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->o = o;
	r = ledger_adopts(o->p.ledger, on_adopt, p);
	if (r == 0)
		r = replay_flush(p);
	if (r == 0 && p->any)
		r = cache_adopt_removed(o->p.cache, p->gen);
	if (r == 0 && p->any)
		r = cache_sync(o->p.cache);
	if (r == 0 && p->any)
		r = ledger_adopted(o->p.ledger, p->gen);
	free(p);
	return r;
}

/* ---- the run ---- */

static void phase(struct onboard *o, enum onboard_phase phase, uint64_t total)
{
	lock_take(&o->lock);
	o->stats.phase = phase;
	o->stats.pack_done = 0;
	o->stats.pack_total = total;
	lock_drop(&o->lock);
}

static int build(struct run *r, const struct parent *parent, struct record *rec)
{
	int rc;

	rc = plan_make(r);
	if (rc == 0 && r->n_dirs == 0 && !r->table_dirty && parent->seq &&
	    !r->renew) {
		rec->info.sequence = parent->seq;
		return 0; /* nothing has changed */
	}
	if (rc == 0)
		rc = content_leaves(r);
	if (rc == 0 && !r->mending && !r->renew && r->n_keeps &&
	    r->n_keeps == r->dirty.n) {
		rec->info.sequence = parent->seq;
		r->idle = true;
		return 0; /* all that is dirty has to stay so */
	}
	if (rc == 0)
		rc = pack_begin_nodes(r->pack);
	if (rc == 0)
		rc = content_nodes(r);
	if (rc == 0)
		rc = tree_symlinks(r);
	if (rc == 0)
		rc = tree_dirs(r);
	if (rc == 0)
		rc = record_fill(r, parent, rec);
	if (rc == 0)
		rc = record_links(r, parent, rec);
	if (rc == 0)
		rc = record_write(r, parent, rec);
	if (rc == 0) {
		plan_forget(r);
		rc = ledger_write(r, rec);
	}
	if (rc == 0 && r->renew)
		rc = ledger_set_u64(r->o->p.ledger, LEDGER_RENEW, 0);
	return rc < 0 ? rc : reseal_end(r);
}

int run_commit(struct onboard *o, bool asked, struct err *reterr)
{
	struct run r = { .o = o, .err = reterr, .asked = asked };
	struct record rec = { 0 };
	struct parent parent = { 0 };
	struct cache_stats cs;
	int rc;

	list_init(&r.plans);
	buf_init(&rec.root_attr, ATTR_ENCODED_MAX);
	cache_stats(o->p.cache, &cs);
	phase(o, ONBOARD_PACKING, cs.dirty_bytes);
	memos_load(o->memos, o->p.ledger);
	rc = reseal_begin(&r);
	r.renew = watch_renews(o);
	if (rc == 0)
		rc = parent_get(o, &parent);
	if (rc == 0)
		rc = cache_snap_open(o->p.cache, &r.snap);
	if (rc == 0)
		rc = pack_new(o, &r.pack);
	if (rc == 0)
		rc = build(&r, &parent, &rec);
	if (rc == -ECANCELED && o->gave_way)
		best_effort(pack_take_back(r.pack)); /* what stays is found again */
	pack_free(r.pack);
	if (rc == 0)
		rc = keep_end(&r);
	/* Adopt while the snapshot still tells what has changed since. */
	if (rc == 0)
		rc = run_replay(o);
	if (rc == 0)
		memos_save(o->memos, o->p.ledger);
	if (rc < 0 && rc != -ECANCELED)
		err_set(reterr, rc, "the commit could not be made: %s", err_str(rc));
	cache_snap_close(r.snap);
	if (rc == 0) {
		lock_take(&o->lock);
		o->packed_seq = rec.info.sequence;
		o->stats.built = rec.info.sequence;
		lock_drop(&o->lock);
	} else if (rc != -ECANCELED && rc != -EAGAIN) {
		log_err(rc, "commit %" PRIu64, parent.seq + 1);
	}
	free(rec.catalogue.fresh);
	buf_fini(&rec.root_attr);
	content_fini(&r);
	plan_fini(&r);
	results_fini(&r);
	reseal_fini(&r);
	keep_fini(&r);
	return rc < 0 ? rc : r.idle;
}
