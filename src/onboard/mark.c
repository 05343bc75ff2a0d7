#include "onboard/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/io.h"
#include "cache/cache.h"
#include "crypto/link.h"
#include "dag/attr.h"
#include "dag/commit.h"
#include "dag/digest_set.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "dag/piece_reader.h"
#include "ledger/head_info.h"
#include "net/fan.h"
#include "onboard/internal.h"
#include "onboard/reseal.h"
#include "provider/head.h"
#include "provider/provider.h"

#define NODE_MAX 2097152u /* bytes of an opened node */
#define BATCH    32       /* nodes asked for at once */
#define LEVELS   16       /* shards from the root of a directory */

enum kind {
	KIND_LEAF, /* nothing below it */
	KIND_FILE,
	KIND_DIR,
	KIND_RETAINED, /* a list of commits: of those that are kept */
};

/* A node that is still to be read. */
struct todo {
	uint8_t digest[LINK_DIGEST_SIZE], key[LINK_KEY_SIZE];
	struct place place;
	uint8_t kind, level;
};

/* A commit that can still be mounted. */
struct commit_row {
	uint64_t seq, piece;
	struct link root, inode_table, catalogue, xattrs;
	bool done;
};

struct mark {
	struct onboard *o;
	uint64_t forget_before;
	uint64_t newest; /* claimed, when the run began: there may be a newer one */
	mark_progress progress;
	void *ctx;
	struct err *err;
	struct mark_piece *pieces;
	size_t n_pieces, cap_pieces;
	struct commit_row *commits; /* ascending */
	size_t n_commits, cap_commits;
	struct todo *todo;
	size_t n_todo, cap_todo;
	struct digest_set seen;
	struct mark_stats stats;
	bool counting; /* the newest commit is being read */
	bool began;
};

/* ---- pieces ---- */

static uint64_t cid_end(const struct piece_cid *cid)
{
	return cid->n < 8 ? 0 : get_le64(cid->bytes + cid->n - 8);
}

static int on_piece(void *ctx, const struct ledger_piece *p)
{
	size_t cap;
	struct mark *m = ctx;
	struct mark_piece *v = m->pieces;

	if (m->n_pieces == m->cap_pieces) {
		cap = m->cap_pieces ? 2 * m->cap_pieces : 256;
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		m->pieces = v;
		m->cap_pieces = cap;
	}
	v[m->n_pieces++] = (struct mark_piece){ .ordinal = p->ordinal,
						.size = p->size,
						.cid_end = cid_end(&p->cid),
						.seq = p->seq,
						.state = p->state,
						.outbox = p->outbox,
						.indexed = p->indexed,
						.live = p->state == LEDGER_PIECE_LOST &&
							p->live };
	return 0;
}

static int by_ordinal(const void *a, const void *b)
{
	const struct mark_piece *x = a, *y = b;

	return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

static struct mark_piece *piece_find(struct mark *m, uint64_t ordinal)
{
	const struct mark_piece key = { .ordinal = ordinal };

	return m->n_pieces ? bsearch(&key, m->pieces, m->n_pieces,
				     sizeof(*m->pieces), by_ordinal) :
			     NULL;
}

static bool is_whole(enum ledger_piece_state s)
{
	return s == LEDGER_READY || s == LEDGER_HELD;
}

/* The piece of that ordinal, if it is whole: 1, and marked; else 0. */
static int touch(struct mark *m, uint64_t ordinal, uint64_t n)
{
	struct mark_piece *p = piece_find(m, ordinal);
	struct ledger_piece row;
	int r;

	if (!p) { /* newer than the marks: nobody calls it dead */
		r = ledger_piece_get(m->o->p.ledger, ordinal, &row);
		return r == -ENOENT ? 0 : r < 0 ? r : is_whole(row.state);
	}
	p->live |= p->state == LEDGER_PIECE_LOST; /* what is sound of it */
	if (!is_whole(p->state))
		return 0;
	p->live = true;
	if (m->counting)
		p->used = MIN(p->used + n, p->size);
	return 1;
}

/* Its piece was to be removed: somebody was wrong, and the drive keeps it. */
static int spare(struct mark *m, uint64_t ordinal)
{
	int r = ledger_spare(m->o->p.ledger, ordinal);

	if (r < 0 && r != -ENOENT)
		return r;
	return err_set(m->err, -EUCLEAN,
		       "piece %016" PRIx64
		       " was to be removed, and is needed: nothing is removed",
		       ordinal);
}

static int touch_link(struct mark *m, const struct link *l, uint64_t n)
{
	struct ledger *ledger = m->o->p.ledger;
	const struct mark_piece *p;
	struct ledger_block b;
	uint64_t ordinal;
	int r;

	r = touch(m, l->place.piece, n);
	if (r)
		return MIN(r, 0);
	r = ledger_block_find(ledger, l->digest, &b, &ordinal);
	if (r == 0)
		r = touch(m, ordinal, n);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 1)
		return 0;
	p = piece_find(m, l->place.piece);
	if (p && p->state == LEDGER_CONDEMNED)
		return spare(m, p->ordinal);
	r = ledger_block_lost(ledger, l->digest, l->place.piece);
	if (r == 0)
		m->stats.unresolved++;
	/* in which of the lost ones it was is not known */
	else if (r == 1 && (!p || p->state != LEDGER_PIECE_LOST))
		m->stats.astray++;
	return MIN(r, 0);
}

/* ---- nodes ---- */

static int parse(struct mark *m, struct slice body, enum kind kind, unsigned level);

static int todo_add(struct mark *m, const struct link *l, enum kind kind,
		    unsigned level)
{
	size_t cap = m->cap_todo ? 2 * m->cap_todo : 256;
	struct todo *v = m->todo;

	if (m->n_todo == m->cap_todo) {
		if (cap > MARK_TODO_MAX)
			return err_set(m->err, -EMSGSIZE,
				       "more directories than this program holds in memory");
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		m->todo = v;
		m->cap_todo = cap;
	}
	v += m->n_todo++;
	*v = (struct todo){ .place = l->place,
			    .kind = (uint8_t)kind,
			    .level = (uint8_t)level };
	memcpy(v->digest, l->digest, sizeof(v->digest));
	memcpy(v->key, l->key, sizeof(v->key));
	return 0;
}

/* Needed: its piece, and whatever is below it. */
static int take(struct mark *m, const struct link *l, enum kind kind, unsigned level)
{
	bool node = kind != KIND_LEAF && l->codec == LINK_DAGPB;
	int r;

	if (l->kind == LINK_NONE)
		return 0;
	if (l->kind == LINK_IDENTITY)
		return node ? parse(m, slice(l->bytes, l->n_inline), kind, level) :
			      0;
	if (l->kind != LINK_SEALED || level > LEVELS)
		return -EPROTO;
	if (node && digest_set_has(&m->seen, l->digest))
		return touch_link(m, l, 0);
	r = touch_link(m, l, l->place.len);
	if (r < 0 || !node)
		return r;
	if (m->seen.n < MARK_SEEN_MAX) {
		r = digest_set_add(&m->seen, l->digest);
		if (r < 0)
			return r;
	}
	return todo_add(m, l, kind, level);
}

/* Of a list of commits: is that one still kept?  Who goes back to the commit that
 * has the list leaves out what cannot be read. */
static bool is_kept(const struct mark *m, struct slice name)
{
	char text[17];

	for (size_t i = 0; i < m->n_commits; i++) {
		(void)snprintf(text, sizeof(text), "%016" PRIx64,
			       m->commits[i].seq); /* fits */
		if (slice_eq(name, slice_str(text)))
			return true;
	}
	return false;
}

static int take_item(struct mark *m, const struct dir_item *item, enum kind of,
		     unsigned level)
{
	enum kind kind = KIND_LEAF;
	struct attr a;
	int r;

	if (item->is_subshard)
		return take(m, &item->link, of, level + 1);
	if (of == KIND_RETAINED && !is_kept(m, item->name))
		return 0;
	r = attr_decode(item->attr, &a);
	if (r < 0)
		return r;
	if (S_ISDIR(a.mode))
		kind = KIND_DIR;
	else if (S_ISREG(a.mode))
		kind = KIND_FILE;
	r = take(m, &a.xattr_link, KIND_LEAF, 0);
	return r < 0 ? r : take(m, &item->link, kind, 0);
}

static int parse_dir(struct mark *m, struct slice body, enum kind of, unsigned level)
{
	struct dir_node node;
	struct dir_item item;
	struct dir_iter it;
	int r;

	r = dir_node_parse(body, true, level, &node);
	if (r < 0)
		return r;
	dir_iter_init(&it, &node);
	while ((r = dir_next(&it, &item)) == 1) {
		r = take_item(m, &item, of, level);
		if (r < 0)
			return r;
	}
	return r;
}

static int parse_file(struct mark *m, struct slice body)
{
	struct file_child child;
	struct file_node node;
	struct file_iter it;
	int r;

	r = file_node_parse(body, LINK_DAGPB, true, &node);
	if (r < 0)
		return r;
	file_iter_init(&it, &node);
	while ((r = file_iter_next(&it, &child)) == 1) {
		/* A hole has a block, too: of zeros. */
		r = take(m, &child.link, KIND_FILE, 0);
		if (r < 0)
			return r;
	}
	return r;
}

static int parse(struct mark *m, struct slice body, enum kind kind, unsigned level)
{
	return kind == KIND_FILE ? parse_file(m, body) :
				   parse_dir(m, body, kind, level);
}

/* Some nodes at a time: each may cost the latency of a store. */
struct batch {
	struct mark *m;
	struct todo todo[BATCH];
	struct buf body[BATCH];
	struct err err[BATCH];
	bool have[BATCH];
	size_t n;
};

static int fetch(void *ctx, size_t i)
{
	struct batch *b = ctx;
	const struct todo *t = &b->todo[i];
	struct onboard *o = b->m->o;
	struct link l = { .kind = LINK_SEALED, .codec = LINK_DAGPB, .place = t->place };

	if (b->have[i])
		return 0;
	if (atomic_load(&o->stop))
		return -ECANCELED;
	memcpy(l.digest, t->digest, sizeof(l.digest));
	memcpy(l.key, t->key, sizeof(l.key));
	return o->p.nodes.body(o->p.nodes.ctx, &l, &b->body[i], &b->err[i]);
}

static int batch_run(struct mark *m, struct batch *b)
{
	bool all = true;
	int r = 0;

	for (size_t i = 0; i < b->n; i++) {
		b->have[i] = ledger_node_get(m->o->p.ledger, b->todo[i].digest,
					     &b->body[i]) == 0;
		all &= b->have[i];
	}
	if (!all)
		r = fan_out(b->n, ONBOARD_STORES_MAX, fetch, b);
	for (size_t i = 0; i < b->n && r < 0 && !m->err->text[0]; i++)
		if (b->err[i].text[0])
			*m->err = b->err[i];
	for (size_t i = 0; i < b->n && r == 0; i++)
		r = parse(m, buf_slice(&b->body[i]), (enum kind)b->todo[i].kind,
			  b->todo[i].level);
	m->stats.nodes += b->n;
	return r;
}

/* Everything below what was taken. */
static int drain(struct mark *m)
{
	struct batch *b;
	int r = 0;

	if (!m->n_todo)
		return 0;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->m = m;
	for (size_t i = 0; i < BATCH; i++)
		buf_init(&b->body[i], NODE_MAX);
	while (m->n_todo && r == 0) {
		for (b->n = 0; b->n < BATCH && m->n_todo; b->n++) {
			b->todo[b->n] = m->todo[--m->n_todo];
			buf_reset(&b->body[b->n]);
			b->err[b->n].text[0] = '\0';
		}
		r = batch_run(m, b);
		if (r == 0 && (atomic_load(&m->o->stop) ||
			       m->progress(m->ctx, m->stats.nodes)))
			r = -ECANCELED;
	}
	for (size_t i = 0; i < BATCH; i++)
		buf_fini(&b->body[i]);
	free(b);
	return r;
}

/* ---- commits ---- */

static int on_head(void *ctx, const struct ledger_head *h)
{
	struct mark *m = ctx;
	struct commit_row *v = m->commits;
	struct head_info info;
	struct attr root;
	size_t cap;
	int r;

	if (h->state == LEDGER_SUPERSEDED)
		return 0; /* of a device that publishes no more */
	if (h->state == LEDGER_CLAIMED && h->seq < MIN(m->forget_before, m->newest))
		return 0;
	for (size_t i = 0; i < m->n_commits; i++)
		if (v[i].seq == h->seq && v[i].piece == h->piece)
			return 0;
	if (m->n_commits == m->cap_commits) {
		cap = m->cap_commits ? 2 * m->cap_commits : 64;
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		m->commits = v;
		m->cap_commits = cap;
	}
	r = head_info_decode(h->body, &info);
	if (r == 0)
		r = attr_decode(info.root_attr, &root);
	if (r < 0)
		return r == -EPROTO ? -EUCLEAN : r;
	v[m->n_commits++] = (struct commit_row){ .seq = h->seq,
						 .piece = h->piece,
						 .root = info.root,
						 .inode_table = info.inode_table,
						 .catalogue = info.catalogue,
						 .xattrs = root.xattr_link };
	return 0;
}

/* [off, off + n) of a piece, from wherever it is. */
static int piece_read(struct mark *m, const struct ledger_piece *p,
		      uint64_t off, size_t n, uint8_t *dst)
{
	_cleanup_io_file_ struct io_file *f = NULL;
	struct onboard *o = m->o;
	struct spread sp = { .o = o };
	char name[LEDGER_OUTBOX_NAME_MAX];
	struct err why = { "" };
	int r;

	ledger_outbox_name(p->ordinal, name);
	if (p->outbox && io_open(o->p.io, name, O_RDONLY, &f) == 0 &&
	    io_pread(f, dst, n, off) == (int64_t)n)
		return 0;
	r = ledger_placements(o->p.ledger, p->ordinal, spread_add, &sp);
	if (r < 0)
		return r;
	r = -ENODATA;
	for (size_t i = 0; i < o->p.n_stores && r < 0; i++) {
		struct provider_req req = { .verb = PROVIDER_GET,
					    .cid = p->cid,
					    .off = off,
					    .n = n,
					    .dst = dst };

		if (!spread_counts(sp.state[i]))
			continue;
		r = provider_call(o->shippers[i].store.provider, &req);
		if (r == 0 && req.ret_n != n)
			r = -EBADMSG;
		if (r == -ECANCELED)
			break;
		if (r < 0)
			why = req.err;
	}
	if (r < 0 && why.text[0])
		err_set(m->err, r, "%s", why.text);
	return r;
}

/* The record of a commit: its own list of retained commits stands only there. */
static int commit_read(struct mark *m, const struct ledger_piece *p,
		       uint8_t *bytes, struct commit **ret)
{
	size_t n = (size_t)MIN(p->size, (uint64_t)PIECE_TAIL_SIZE);
	struct slice section;
	struct trailer t;
	int r;

	r = piece_read(m, p, p->size - n, n, bytes);
	if (r == 0)
		r = piece_tail_parse(slice(bytes, n), p->size, m->o->p.keys, &t);
	if (r)
		return r;
	r = piece_tail_range(slice(bytes, n), p->size, t.commit.off,
			     t.commit.len, &section);
	if (r == 0 && t.commit.len > COMMIT_RECORD_MAX + PIECE_HEAD_MAX)
		return -EPROTO;
	if (r == 0) {
		r = piece_read(m, p, t.commit.off, t.commit.len, bytes);
		section = slice(bytes, t.commit.len);
	}
	return r < 0 ? r : piece_commit_parse(section, &t, m->o->p.keys, ret);
}

/* Which piece a commit's record is in, where recover did not learn that: the
 * registers say it.  *ret 0: nobody knows any more. */
static int head_piece(struct mark *m, uint64_t seq, uint64_t *ret)
{
	struct onboard *o = m->o;
	struct ledger_piece p;
	struct piece_cid cid;
	struct err why = { "" };
	int r = -ENOENT, away = 0;

	*ret = 0;
	for (size_t i = 0; i < o->p.n_stores && r < 0; i++) {
		why.text[0] = '\0';
		r = head_read(o->shippers[i].store.provider, o->p.keys, seq,
			      &cid, &why);
		if (r == -ECANCELED || r == -ENOMEM)
			return r;
		if (r < 0 && r != -ENOENT && r != -ENODATA)
			away = err_set(m->err, r, "%s", why.text);
	}
	if (r < 0)
		return away;
	for (size_t i = 0; i < m->n_pieces; i++) {
		if (m->pieces[i].cid_end != cid_end(&cid))
			continue;
		r = ledger_piece_get(o->p.ledger, m->pieces[i].ordinal, &p);
		if (r < 0)
			return r;
		if (piece_cid_eq(&p.cid, &cid))
			*ret = p.ordinal;
	}
	return 0;
}

static int take_record(struct mark *m, const struct commit_row *c)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct commit *commit = NULL;
	const struct commit_info *info;
	uint64_t piece = c->piece;
	struct ledger_piece p;
	int r = 0;

	if (!piece)
		r = head_piece(m, c->seq, &piece);
	if (r < 0 || !piece)
		return r;
	r = ledger_piece_get(m->o->p.ledger, piece, &p);
	if (r == 0)
		r = touch(m, p.ordinal, 0);
	if (r < 0 || !is_whole(p.state)) /* nobody can go back to it */
		return r == -ENOENT ? 0 : MIN(r, 0);
	bytes = malloc(MAX(PIECE_TAIL_SIZE, COMMIT_RECORD_MAX + PIECE_HEAD_MAX));
	if (!bytes)
		return -ENOMEM;
	r = commit_read(m, &p, bytes, &commit);
	if (r < 0)
		return r;
	info = commit_info(commit);
	r = take(m, &info->retained, KIND_RETAINED, 0);
	if (r == 0)
		r = take(m, &info->inode_table, KIND_DIR, 0);
	if (r == 0)
		r = take(m, &info->catalogue, KIND_DIR, 0);
	if (r == 0)
		r = take(m, &info->root_attr.xattr_link, KIND_LEAF, 0);
	if (r == 0)
		r = take(m, &info->root, KIND_DIR, 0);
	commit_free(commit);
	return r;
}

static int commit_one(struct mark *m, struct commit_row *c)
{
	int r;

	r = take(m, &c->root, KIND_DIR, 0);
	if (r == 0)
		r = take(m, &c->inode_table, KIND_DIR, 0);
	if (r == 0)
		r = take(m, &c->catalogue, KIND_DIR, 0);
	if (r == 0)
		r = take(m, &c->xattrs, KIND_LEAF, 0);
	if (r == 0)
		r = take_record(m, c);
	if (r == 0)
		r = drain(m);
	c->done = r == 0;
	m->stats.commits += c->done;
	return r;
}

static int commits_all(struct mark *m)
{
	struct err why = { "" };
	char hint[64];
	int r;

	r = ledger_newest_claimed(m->o->p.ledger, &m->newest);
	if (r == 0)
		r = ledger_heads(m->o->p.ledger, on_head, m);
	for (size_t i = m->n_commits; i-- > 0 && r == 0;) {
		struct commit_row *c = &m->commits[i];

		if (c->done)
			continue;
		m->counting = !m->began;
		r = commit_one(m, c);
		m->counting = false;
		m->began = true;
		if (r == 0 || r == -ECANCELED || r == -EUCLEAN)
			continue;
		why = *m->err;
		m->err->text[0] = '\0';
		hint[0] = '\0';
		if (reseal_is_gone(r) && c->seq < m->newest)
			(void)snprintf(hint, sizeof(hint),
				       " (gc --forget-before %" PRIu64
				       " gives it up)",
				       c->seq + 1); /* fits */
		err_set(m->err, r,
			"commit %" PRIu64
			" cannot be read, and what it needs is not known%s: %s",
			c->seq, hint, why.text[0] ? why.text : err_str(r));
	}
	return r;
}

/* ---- inodes ---- */

struct inodes {
	struct mark *m;
	struct cache_snap *snap;
};

static int on_inode(void *ctx, uint64_t ino)
{
	struct inodes *v = ctx;
	struct cache_snap_inode i;
	enum kind kind = KIND_LEAF;
	struct cursor c;
	struct link l;
	int r;

	if (atomic_load(&v->m->o->stop))
		return -ECANCELED;
	r = cache_snap_inode(v->snap, ino, &i);
	if (r < 0)
		return r;
	c = cursor(i.link);
	r = link_decode(&c, &l);
	if (r < 0)
		return r;
	if (S_ISDIR(i.attr.mode))
		kind = KIND_DIR;
	else if (S_ISREG(i.attr.mode))
		kind = KIND_FILE;
	r = take(v->m, &l, kind, 0);
	return r < 0 ? r : drain(v->m);
}

static int inodes_all(struct mark *m)
{
	struct inodes v = { .m = m };
	int r;

	r = cache_snap_open(m->o->p.cache, &v.snap);
	if (r == 0)
		r = cache_snap_linked(v.snap, on_inode, &v);
	cache_snap_close(v.snap);
	return r;
}

/* ---- life ---- */

int mark_new(struct onboard *o, uint64_t forget_before, mark_progress progress,
	     void *ctx, struct mark **ret)
{
	struct mark *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->o = o;
	m->forget_before = forget_before;
	m->progress = progress;
	m->ctx = ctx;
	r = ledger_pieces(o->p.ledger, 0, on_piece, m);
	if (r < 0) {
		mark_free(m);
		return r;
	}
	if (m->n_pieces)
		qsort(m->pieces, m->n_pieces, sizeof(*m->pieces), by_ordinal);
	*ret = m;
	return 0;
}

void mark_free(struct mark *m)
{
	if (!m)
		return;
	digest_set_fini(&m->seen);
	free(m->pieces);
	free(m->commits);
	free(m->todo);
	free(m);
}

int mark_run(struct mark *m, bool inodes, struct err *reterr)
{
	struct err e = { "" };
	int r;

	m->err = &e;
	r = commits_all(m);
	if (r == 0 && inodes)
		r = inodes_all(m);
	m->err = NULL;
	return r < 0 ? err_set(reterr, r, "%s", e.text[0] ? e.text : err_str(r)) : 0;
}

const struct mark_piece *mark_pieces(const struct mark *m, size_t *ret_n)
{
	*ret_n = m->n_pieces;
	return m->pieces;
}

struct mark_stats mark_stats(const struct mark *m)
{
	return m->stats;
}
