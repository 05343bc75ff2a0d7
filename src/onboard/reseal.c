#include "onboard/reseal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/io.h"
#include "base/log.h"
#include "crypto/commp.h"
#include "dag/dir.h"
#include "ledger/ledger.h"
#include "onboard/lost.h"
#include "onboard/run.h"

#define READ_BYTES 1048576u
#define NODE_MAX   2097152u /* bytes of an opened node */
#define XATTRS_MIN 200      /* bytes of a set that may be a block of its own */
#define NAMED_MAX  1000     /* lost files that are remembered */

/* ---- a piece is lost ---- */

static void told(struct onboard *o, uint64_t ordinal)
{
	uint64_t newest = 0;

	log_err(-EUCLEAN,
		"piece %016" PRIx64
		" is whole nowhere: what is still here of it is sealed anew",
		ordinal);
	if (ledger_newest_head(o->p.ledger, &newest) == 0) {
		lock_take(&o->lock);
		o->stats.built = newest;
		/* Who waits for one that was dropped, waits for the next one. */
		o->packed = 0;
		for (size_t i = 0; i < PACK_RUNS; i++)
			if (o->runs[i].seq > newest)
				o->runs[i].ticket = 0;
		lock_drop(&o->lock);
	}
	(void)onboard_request(o); /* nobody waits for it */
}

int reseal_lose(struct onboard *o, uint64_t ordinal)
{
	int r;

	lock_take(&o->outbox);
	r = ledger_piece_lose(o->p.ledger, ordinal, false);
	lock_drop(&o->outbox);
	if (r == 1)
		told(o, ordinal);
	return r;
}

/* Is the file the piece that its CID names?  -EBADMSG if it is not. */
static int outbox_check(struct onboard *o, const struct ledger_piece *p)
{
	_cleanup_free_ uint8_t *bytes = malloc(READ_BYTES);
	_cleanup_io_file_ struct io_file *f = NULL;
	_cleanup_commp_ struct commp *c = NULL;
	char name[LEDGER_OUTBOX_NAME_MAX];
	struct commp_sum sum;
	struct piece_cid cid;
	uint64_t off = 0;
	int64_t n = 1;
	int r;

	if (!bytes)
		return -ENOMEM;
	ledger_outbox_name(p->ordinal, name);
	r = io_open(o->p.io, name, O_RDONLY, &f);
	if (r == 0)
		r = commp_new(&c);
	if (r < 0)
		return r;
	for (; n > 0 && off <= p->size; off += (uint64_t)n) {
		if (atomic_load(&o->stop))
			return -ECANCELED;
		n = io_pread(f, bytes, READ_BYTES, off);
		if (n > 0)
			commp_update(c, slice(bytes, (size_t)n));
	}
	if (n < 0 || off != p->size)
		return -EBADMSG;
	commp_final(c, &sum);
	piece_cid_v2(&sum, &cid);
	return piece_cid_eq(&cid, &p->cid) ? 0 : -EBADMSG;
}

static void outbox_unlink(struct onboard *o, uint64_t ordinal)
{
	char name[LEDGER_OUTBOX_NAME_MAX];

	ledger_outbox_name(ordinal, name);
	best_effort(io_unlink(o->p.io, name)); /* else at the next start */
	outbox_account(o);
}

static int outbox_lose(struct onboard *o, const struct ledger_piece *p, int status)
{
	int r;

	/* Sound blocks of a damaged file are still good to read. */
	r = ledger_piece_lose(o->p.ledger, p->ordinal, status == -EBADMSG);
	if (r == 1 && status == -EBADMSG)
		return 1;
	if (r == 0)
		r = ledger_piece_set(o->p.ledger, p->ordinal, p->state, false);
	if (r == 0 && status == -ENOENT)
		r = ledger_piece_lose(o->p.ledger, p->ordinal, false);
	outbox_unlink(o, p->ordinal);
	return r;
}

int reseal_outbox(struct onboard *o, uint64_t ordinal)
{
	struct ledger_piece p;
	int r;

	r = ledger_piece_get(o->p.ledger, ordinal, &p);
	if (r < 0 || (p.state != LEDGER_READY && p.state != LEDGER_HELD))
		return r;
	if (!p.outbox)
		return reseal_lose(o, ordinal);
	r = outbox_check(o, &p);
	if (r != -ENOENT && r != -EBADMSG)
		return r;
	log_err(r, "the outbox file of piece %016" PRIx64 " is %s", ordinal,
		r == -ENOENT ? "missing" : "damaged");
	lock_take(&o->outbox);
	r = outbox_lose(o, &p, r);
	lock_drop(&o->outbox);
	if (r == 1)
		told(o, ordinal);
	return r;
}

bool reseal_is_due(struct onboard *o)
{
	uint64_t losses = 0, mended = 0;

	return ledger_losses(o->p.ledger, &losses, &mended) == 0 && losses != mended;
}

struct telling {
	void (*found)(void *ctx, const char *sentence);
	void *ctx;
	int n;
};

static int on_tell(void *ctx, const struct ledger_lost_file *f)
{
	char sentence[LEDGER_PATH_MAX + 128], who[64];
	struct telling *t = ctx;

	(void)snprintf(who, sizeof(who), "inode %" PRIu64, f->ino); /* fits */
	if (f->bytes)
		(void)snprintf(sentence, sizeof(sentence),
			       "%s: %" PRIu64 " bytes are lost for good",
			       f->path[0] ? f->path : who, f->bytes); /* fits */
	else
		(void)snprintf(sentence, sizeof(sentence), "%s: " LOST_FOLDER,
			       f->path[0] ? f->path : who); /* fits */
	t->found(t->ctx, sentence);
	t->n++;
	return 0;
}

int reseal_tell(struct onboard *o,
		void (*found)(void *ctx, const char *sentence), void *ctx)
{
	struct telling t = { found, ctx, 0 };
	int r = ledger_lost_files(o->p.ledger, on_tell, &t);

	return r < 0 ? r : t.n;
}

/* ---- questions of a run ---- */

bool reseal_is_gone(int status)
{
	return status < 0 && status != -EREMOTEIO && status != -ETIMEDOUT &&
	       status != -ECANCELED && status != -ENOMEM && status != -ENOSPC;
}

int reseal_is_lost(const struct run *r, const struct link *l)
{
	if (!r->losses || l->kind != LINK_SEALED)
		return 0;
	return ledger_block_lost(r->o->p.ledger, l->digest, l->place.piece);
}

static int on_holder(void *ctx, const struct ledger_placement *p)
{
	(void)ctx;
	return p->state == LEDGER_LOST; /* damaged is not absent */
}

int reseal_may_read(const struct run *r, const struct link *l)
{
	struct ledger_piece p;
	int rc;

	rc = ledger_piece_get(r->o->p.ledger, l->place.piece, &p);
	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	return p.outbox ||
	       ledger_placements(r->o->p.ledger, p.ordinal, on_holder, NULL) == 1;
}

int reseal_note(struct run *r, uint64_t ino, uint64_t n, const struct link *l)
{
	size_t at, cap = r->cap_lost ? 2 * r->cap_lost : 16;
	struct lost *v = r->lost;
	int rc = 0;

	if (l && l->place.piece &&
	    !ino_map_get(&r->linked_lost, l->place.piece, &at))
		rc = ino_map_put(&r->linked_lost, l->place.piece, 0);
	if (rc < 0)
		return rc;
	if (r->n_lost && v[r->n_lost - 1].ino == ino) {
		v[r->n_lost - 1].bytes += n;
		return 0;
	}
	if (r->n_lost == r->cap_lost) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		r->lost = v;
		r->cap_lost = cap;
	}
	v[r->n_lost++] = (struct lost){ ino, n };
	return 0;
}

bool reseal_is_linked(const struct run *r, uint64_t ordinal, uint64_t live)
{
	size_t at;

	return ino_map_get(&r->linked_lost, ordinal, &at) ||
	       (r->mending ? r->unseen : live > 0);
}

/* ---- the walk ---- */

struct walk {
	struct run *run;
	struct cache_snap *snap;
	uint64_t ino;
	bool dirty; /* something of it is to be built anew */
};

static int on_range(void *ctx, uint64_t off, uint64_t n)
{
	struct walk *w = ctx;

	w->dirty = true;
	return cache_redirty(w->run->o->p.cache, w->ino, off, n);
}

static int walk_file(struct walk *w, const struct link *l, uint64_t size)
{
	struct lost_file f = { .o = w->run->o, .range = on_range, .ctx = w };
	int r = lost_file(&f, l, size);

	w->dirty |= f.node;
	return r;
}

/*
 * A directory that is here is built anew if its node is lost, or is a shard (whose
 * parts we do not look at), or is not at hand: that costs no network, and what
 * comes out the same is linked.
 */
static int walk_dir(struct walk *w, const struct cache_snap_inode *i,
		    const struct link *l)
{
	_cleanup_buf_ struct buf body = { 0 };
	struct dir_node node = { .fanout = 0 };
	int r;

	r = reseal_is_lost(w->run, l);
	if (r < 0 || l->kind != LINK_SEALED)
		return r;
	if (!i->loaded)
		return r ? reseal_note(w->run, w->ino, 0, l) : 0;
	w->dirty = r;
	buf_init(&body, NODE_MAX);
	r = ledger_node_get(w->run->o->p.ledger, l->digest, &body);
	if (r == 0)
		r = dir_node_parse(buf_slice(&body), true, 0, &node);
	w->dirty |= r < 0 || node.fanout;
	return r == -ENOMEM ? r : 0;
}

static int on_linked(void *ctx, uint64_t ino)
{
	struct walk *w = ctx;
	struct onboard *o = w->run->o;
	struct cache_snap_inode i;
	struct cursor c;
	struct link l;
	int r;

	if (atomic_load(&o->stop))
		return -ECANCELED;
	r = cache_snap_inode(w->snap, ino, &i);
	if (r < 0)
		return r;
	c = cursor(i.link);
	r = link_decode(&c, &l);
	if (r < 0)
		return r;
	w->ino = ino;
	w->dirty = false;
	if (S_ISDIR(i.attr.mode)) {
		r = walk_dir(w, &i, &l);
	} else if (S_ISREG(i.attr.mode)) {
		r = walk_file(w, &l, i.attr.size);
	} else {
		r = reseal_is_lost(w->run, &l);
		w->dirty = r > 0;
	}
	if (r < 0)
		return r;
	return w->dirty ? cache_redirty(o->p.cache, ino, 0, 0) : 0;
}

/* The block of a larger set stands in the directory, not in the inode's link. */
static int on_xattrs(void *ctx, uint64_t ino)
{
	struct walk *w = ctx;

	return cache_redirty(w->run->o->p.cache, ino, 0, 0);
}

/* Is there something below which nobody here knows what it links into? */
static int look_for_unseen(struct run *r, struct cache_snap *snap)
{
	int rc = cache_snap_unseen(snap);

	r->unseen |= rc == 1;
	return MIN(rc, 0);
}

int reseal_begin(struct run *r)
{
	struct walk w = { .run = r };
	uint64_t mended;
	int rc;

	rc = ledger_losses(r->o->p.ledger, &r->losses, &mended);
	r->mending = r->losses != mended;
	if (rc < 0 || !r->mending)
		return rc;
	rc = cache_snap_open(r->o->p.cache, &w.snap);
	if (rc == 0)
		rc = cache_snap_linked(w.snap, on_linked, &w);
	if (rc == 0)
		rc = cache_snap_xattr_sets(w.snap, XATTRS_MIN, on_xattrs, &w);
	if (rc == 0)
		rc = look_for_unseen(r, w.snap);
	cache_snap_close(w.snap);
	return rc;
}

/* ---- what is lost, for people ---- */

struct record {
	struct run *run;
	struct ledger_lost_file *v;
	size_t n;
	struct inos pieces;
	struct inos files; /* damaged ones in the outbox */
};

static int record_add(struct record *rec, uint64_t ino, uint64_t bytes)
{
	struct ledger_lost_file *f;
	int r;

	if (rec->n == NAMED_MAX)
		return 0;
	f = &rec->v[rec->n++];
	*f = (struct ledger_lost_file){ .ino = ino, .bytes = bytes };
	r = cache_snap_path(rec->run->snap, ino, f->path, sizeof(f->path));
	if (r < 0)
		f->path[0] = '\0';
	return r == -ENOMEM ? r : 0;
}

/* One of an earlier commit: still so, unless it is gone or built anew. */
static int on_earlier(void *ctx, const struct ledger_lost_file *f)
{
	struct record *rec = ctx;
	struct run *run = rec->run;
	_cleanup_buf_ struct buf link = { 0 };
	struct cache_snap_inode i;
	int r;

	for (size_t k = 0; k < run->n_lost; k++)
		if (run->lost[k].ino == f->ino)
			return 0;
	r = cache_snap_inode(run->snap, f->ino, &i);
	if (r == -ENOENT)
		return 0;
	buf_init(&link, LINK_ENCODED_MAX);
	if (r == 0)
		r = result_find(run, f->ino, &link);
	return r == -ENOENT ? record_add(rec, f->ino, f->bytes) : r;
}

static int on_lost_piece(void *ctx, const struct ledger_piece *p)
{
	struct record *rec = ctx;
	int r = 0;

	if (reseal_is_linked(rec->run, p->ordinal, p->live))
		r = inos_add(&rec->pieces, p->ordinal);
	if (r == 0 && p->outbox && rec->run->mending)
		r = inos_add(&rec->files, p->ordinal);
	return r;
}

static int record_make(struct record *rec)
{
	struct run *run = rec->run;
	struct ledger *l = run->o->p.ledger;
	int r = 0;

	if (!run->mending)
		r = ledger_lost_files(l, on_earlier, rec);
	for (size_t k = 0; k < run->n_lost && r == 0; k++)
		r = record_add(rec, run->lost[k].ino, run->lost[k].bytes);
	/* That nothing is known to be lost any more does not say that nothing is. */
	if (r == 0 && !run->mending && !rec->n)
		r = look_for_unseen(run, run->snap);
	if (r == 0 && (run->mending || rec->n || run->unseen))
		r = ledger_pieces(l, LEDGER_PIECE_LOST, on_lost_piece, rec);
	if (r == 0)
		r = ledger_mended(l, run->losses, rec->v, rec->n, rec->pieces.v,
				  rec->pieces.n);
	/* What could be read of a damaged file has been. */
	for (size_t k = 0; k < rec->files.n && r == 0; k++) {
		r = ledger_piece_set(l, rec->files.v[k], LEDGER_PIECE_LOST, false);
		outbox_unlink(run->o, rec->files.v[k]);
	}
	return r;
}

int reseal_end(struct run *r)
{
	struct record rec = { .run = r };
	uint64_t files = 0, bytes = 0;
	int rc;

	if (!r->losses)
		return 0;
	rc = ledger_lost_count(r->o->p.ledger, &files, &bytes);
	if (rc < 0 || (!r->mending && !files && !r->n_lost))
		return rc;
	rec.v = calloc(NAMED_MAX, sizeof(*rec.v));
	if (!rec.v)
		return -ENOMEM;
	rc = record_make(&rec);
	if (rc == 0 && rec.n && r->mending)
		log_err(-EUCLEAN, "%zu files have lost bytes for good, %s is one",
			rec.n, rec.v[0].path[0] ? rec.v[0].path : "(unnamed)");
	free(rec.v);
	free(rec.pieces.v);
	free(rec.files.v);
	return rc;
}

void reseal_fini(struct run *r)
{
	free(r->lost);
	ino_map_fini(&r->linked_lost);
}
