/*
 * content.c - the bytes of dirty files
 *
 * A chunk of 1 MiB is read and sealed if any of it is dirty, linked again if
 * all of it is as the last commit has it, and a hole if all of it is one.  So a
 * change in a large file that is not even here costs the nodes on the way to
 * the chunk and nothing else.
 */
#include "onboard/run.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "crypto/seal.h"
#include "dag/file.h"
#include "dag/profile.h"
#include "onboard/keep.h"
#include "onboard/reseal.h"

#define NODE_MAX     (2u << 20) /* bytes of an opened node */
#define FETCH_MS     120000
#define STOP_LOOK_MS 100

struct piece_of_file {
	struct link link; /* LINK_NONE until its leaf is sealed */
	uint64_t n;       /* bytes */
	bool hole;
};

struct file_plan {
	struct list node; /* run->plans */
	struct run *run;
	uint64_t ino, size;
	struct piece_of_file *v;
	size_t n, cap;
	size_t pending; /* leaves on their way; they come back in order */
	size_t next;    /* no row before it waits for its leaf */
	bool planned;   /* every chunk has its row in v */
	bool kept;      /* stays as the last commit had it (keep.h) */
	bool damaged;   /* of what is only here something does not open */
};

struct span {
	enum cache_run_kind kind;
	uint64_t off, end;
};

struct spans {
	struct span *v;
	size_t n, cap;
};

/* The DAG of the last commit, read where it is needed. */
struct base {
	struct run *run;
	struct link root; /* LINK_NONE: there is none */
	uint64_t valid;   /* bytes that still count */
	struct buf body;  /* of the lowest inner node read last */
	struct file_node node;
	uint64_t node_off; /* of its first byte in the file */
	bool have;
	bool broken;      /* a node of it is lost */
	struct link last; /* that was asked for */
};

/* What the last commit has where a chunk is now. */
struct old_leaf {
	struct file_child child;
	bool found; /* exactly this chunk */
	bool lost;  /* its block, or a node above it */
};

/* ---- older leaves ---- */

static int base_load(struct base *b, const struct link *l)
{
	struct onboard *o = b->run->o;
	int r;

	b->last = *l;
	buf_reset(&b->body);
	r = o->p.nodes.body(o->p.nodes.ctx, l, &b->body, b->run->err);
	return r < 0 ? r :
		       file_node_parse(buf_slice(&b->body), l->codec, true,
				       &b->node);
}

/* 1 and the leaf that begins at `off`; 0 if the old file has none there. */
static int base_leaf(struct base *b, uint64_t off, struct file_child *ret)
{
	struct link l = b->root;
	uint64_t at = 0;
	int r;

	if (b->have && off >= b->node_off && off < b->node_off + b->node.size) {
		at = b->node_off;
	} else {
		b->have = false;
		r = base_load(b, &l);
		if (r < 0)
			return r;
	}
	for (unsigned depth = 0; depth < FILE_DEPTH_MAX; depth++) {
		if (b->node.is_leaf) {
			*ret = (struct file_child){ .link = l,
						    .off = at,
						    .size = b->node.size };
			return at == off && at == 0;
		}
		b->have = true;
		b->node_off = at;
		r = file_node_find(&b->node, off - at, ret);
		if (r <= 0)
			return r;
		at += ret->off;
		l = ret->link;
		if (l.codec == LINK_RAW)
			return at == off;
		r = base_load(b, &l);
		b->have = false;
		if (r < 0)
			return r;
	}
	return -EPROTO;
}

/* ---- rows of a file ---- */

static int row_add(struct file_plan *f, const struct link *l, uint64_t n, bool hole)
{
	size_t cap = f->cap ? 2 * f->cap : 4;
	struct piece_of_file *v = f->v;

	if (hole && f->n && v[f->n - 1].hole) {
		v[f->n - 1].n += n;
		return 0;
	}
	if (f->n == f->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		f->v = v;
		f->cap = cap;
	}
	v[f->n++] = (struct piece_of_file){ .n = n, .hole = hole };
	if (l)
		v[f->n - 1].link = *l;
	return 0;
}

static void file_free(struct file_plan *f)
{
	list_del(&f->node);
	free(f->v);
	free(f);
}

/* All leaves are known: one alone is the file, more want nodes above. */
static int file_settle(struct file_plan *f)
{
	struct run *r = f->run;
	int rc;

	if (!f->planned || f->pending)
		return 0;
	if (f->n != 1 || f->v[0].hole)
		return 0;
	rc = result_add(r, f->ino, f->size, &f->v[0].link);
	file_free(f);
	return rc;
}

static int on_leaf(void *ctx, const struct link *leaf, uint32_t size)
{
	struct file_plan *f = ctx;
	struct onboard *o = f->run->o;

	while (f->v[f->next].hole || f->v[f->next].link.kind != LINK_NONE)
		f->next++;
	f->v[f->next++].link = *leaf;
	f->pending--;
	lock_take(&o->lock);
	o->stats.pack_done += size;
	lock_drop(&o->lock);
	return file_settle(f);
}

/* ---- reading ---- */

struct wait {
	struct cache_fetch fetch;
	struct lock lock;
	struct cond cond;
	bool over;
	int status;
};

static void fetched(struct cache_fetch *f, int status)
{
	struct wait *w = container_of(f, struct wait, fetch);

	lock_take(&w->lock);
	w->over = true;
	w->status = status;
	cond_wake_all(&w->cond);
	lock_drop(&w->lock);
}

/* Until it is here, or the drive is unmounted: then it is called off. */
static int fetch_and_wait(struct onboard *o, const struct cache_miss *miss)
{
	struct cache *c = o->p.cache;
	bool cancelled = false;
	struct wait w = {
		.fetch = { .miss = *miss, .done = fetched, .timeout_ms = FETCH_MS }
	};
	int r;

	lock_init(&w.lock);
	cond_init(&w.cond);
	r = cache_fetch(c, &w.fetch);
	if (r == 0) {
		lock_take(&w.lock);
		while (!w.over) {
			(void)cond_wait_until_ms(&w.cond, &w.lock,
						 monotonic_ms() + STOP_LOOK_MS);
			if (w.over || cancelled || !atomic_load(&o->stop))
				continue;
			cancelled = true;
			lock_drop(&w.lock);
			cache_fetch_cancel(c, &w.fetch);
			lock_take(&w.lock);
		}
		lock_drop(&w.lock);
		r = w.status;
	}
	cond_fini(&w.cond);
	lock_fini(&w.lock);
	return r;
}

/* `fetch`: what is absent may be somewhere.  -ENODATA if it is not. */
static int chunk_read(struct file_plan *f, uint64_t off, uint32_t n, bool fetch)
{
	struct run *r = f->run;
	uint8_t *room = pack_leaf_room(r->pack, n);
	struct cache_miss miss;
	int rc = room ? 0 : -ENOMEM;

	while (rc == 0) {
		rc = cache_snap_read(r->snap, f->ino, off,
				     room + SEAL_HEAD_SIZE, n, &miss);
		if (rc == -EBADMSG)
			f->damaged = true;
		if (rc != -EINPROGRESS)
			break;
		rc = fetch ? fetch_and_wait(r->o, &miss) : -ENODATA;
	}
	if (rc == 0)
		rc = row_add(f, NULL, n, false);
	if (rc < 0) {
		free(room);
		return rc;
	}
	f->pending++;
	return pack_leaf(r->pack, room, n, on_leaf, f);
}

/* ---- chunks ---- */

static int on_run(void *ctx, enum cache_run_kind kind, uint64_t off, uint64_t n)
{
	struct spans *s = ctx;
	size_t cap = s->cap ? 2 * s->cap : 16;
	struct span *v = s->v;

	if (s->n && v[s->n - 1].kind == kind && v[s->n - 1].end == off) {
		v[s->n - 1].end += n;
		return 0;
	}
	if (s->n == s->cap) {
		v = realloc(v, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		s->v = v;
		s->cap = cap;
	}
	v[s->n++] = (struct span){ kind, off, off + n };
	return 0;
}

/* Bit k is set if some of [off, off + n) is of kind k. */
static unsigned kinds_of(const struct spans *s, size_t *from, uint64_t off,
			 uint64_t n)
{
	unsigned kinds = 0;

	while (*from < s->n && s->v[*from].end <= off)
		++*from;
	for (size_t i = *from; i < s->n && s->v[i].off < off + n; i++)
		kinds |= 1u << s->v[i].kind;
	return kinds;
}

/* Bytes of [off, off + n) that only the old leaf has. */
static uint64_t clean_bytes(const struct spans *s, uint64_t off, uint64_t n)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].kind == CACHE_RUN_CLEAN && s->v[i].off < off + n &&
		    s->v[i].end > off)
			sum += MIN(s->v[i].end, off + n) - MAX(s->v[i].off, off);
	return sum;
}

static int chunk_old(struct file_plan *f, struct base *b, uint64_t off,
		     uint32_t n, struct old_leaf *ret)
{
	int r;

	*ret = (struct old_leaf){ .lost = b->broken };
	if (b->broken || b->root.kind == LINK_NONE || off + n > b->valid)
		return 0;
	/* A leaf that is the whole file: it is not read to learn that. */
	if (b->root.codec == LINK_RAW && reseal_is_lost(f->run, &b->root) == 1) {
		ret->child = (struct file_child){ .link = b->root, .size = b->valid };
		ret->found = off == 0 && n == b->valid;
		ret->lost = true;
		return 0;
	}
	r = base_leaf(b, off, &ret->child);
	if (r < 0 && f->run->losses &&
	    (reseal_is_gone(r) || reseal_is_lost(f->run, &b->last) == 1)) {
		b->broken = ret->lost = true;
		return 0;
	}
	if (r <= 0)
		return r;
	ret->found = ret->child.size == n;
	r = ret->found && !ret->child.hole ?
		    reseal_is_lost(f->run, &ret->child.link) :
		    0;
	ret->lost = r > 0;
	return r < 0 ? r : 0;
}

/*
 * Some of the chunk is nowhere.  A leaf of which nothing else is known stays
 * linked, for it may be found again; else the file stays as it was: 1.
 */
static int chunk_gone(struct file_plan *f, const struct base *b,
		      const struct spans *s, const struct old_leaf *old,
		      uint64_t off, uint32_t n)
{
	uint64_t clean = clean_bytes(s, off, b->broken ? f->size - off : n);
	int rc;

	rc = reseal_note(f->run, f->ino, clean,
			 old->found ? &old->child.link : &b->root);
	if (rc < 0)
		return rc;
	if (old->found && clean == n)
		return row_add(f, &old->child.link, n, false);
	return 1;
}

/* As the last commit has it: linked again.  Changed, or lost there: sealed. */
static int chunk_take(struct file_plan *f, struct base *b, const struct spans *s,
		      uint64_t off, uint32_t n, bool clean)
{
	struct run *r = f->run;
	struct old_leaf old = { .found = false };
	bool fetch = true;
	int rc = 0;

	if (clean || r->losses)
		rc = chunk_old(f, b, off, n, &old);
	if (rc == 0 && clean && old.found && !old.lost)
		return row_add(f, &old.child.link, n, old.child.hole);
	if (rc == 0 && old.lost) {
		rc = old.found ? reseal_may_read(r, &old.child.link) : 0;
		fetch = rc > 0;
	}
	if (rc < 0)
		return rc;
	rc = chunk_read(f, off, n, fetch);
	if (old.lost && !f->damaged && reseal_is_gone(rc))
		return chunk_gone(f, b, s, &old, off, n);
	return rc;
}

/* How far the hole at `off` reaches, in whole chunks or to the end. */
static uint64_t hole_length(const struct spans *s, size_t at, uint64_t off,
			    uint64_t size)
{
	uint64_t end;

	assert(s->v); /* one of kind hole was found */
	end = s->v[at].end;

	return end >= size ? size - off : (end - off) / CHUNK * CHUNK;
}

/* 1: the file stays as the last commit had it. */
static int file_chunks(struct file_plan *f, struct base *b, const struct spans *s)
{
	size_t at = 0;
	uint64_t n;
	int r;

	for (uint64_t off = 0; off < f->size; off += n) {
		unsigned kinds;

		if (atomic_load(&f->run->o->stop))
			return -ECANCELED;
		n = MIN(CHUNK, f->size - off);
		kinds = kinds_of(s, &at, off, n);
		if (kinds == 1u << CACHE_RUN_HOLE) {
			n = hole_length(s, at, off, f->size);
			r = row_add(f, NULL, n, true);
			if (r < 0)
				return r;
			continue;
		}
		r = chunk_take(f, b, s, off, (uint32_t)n,
			       kinds == 1u << CACHE_RUN_CLEAN);
		if (r)
			return r;
	}
	return 0;
}

/*
 * Nothing of it is here, and all that the link stands for is lost: the link is
 * all that there is.  Else what is here has to stay.
 */
static int file_keep(struct file_plan *f, const struct base *b,
		     const struct spans *s)
{
	bool here = false;

	f->kept = true;
	for (size_t i = 0; i < s->n; i++)
		here |= s->v[i].kind != CACHE_RUN_CLEAN;
	return here || f->pending || f->size > b->valid ?
		       keep_lost(f->run, f->ino, MIN(f->size, b->valid)) :
		       result_add(f->run, f->ino, f->size, &b->root);
}

/* Bytes of the file that the last commit has. */
static int base_size(struct base *b, const struct cache_snap_inode *i, uint64_t *ret)
{
	int r;

	*ret = b->valid;
	if (!i->cut)
		return 0;
	if (b->root.kind == LINK_IDENTITY && b->root.codec == LINK_RAW) {
		*ret = b->root.n_inline;
		return 0;
	}
	r = base_load(b, &b->root);
	if (r == 0)
		*ret = b->node.size;
	if (!reseal_is_gone(r))
		return r;
	b->run->err->text[0] = '\0'; /* then no more of it can be told */
	return 0;
}

/*
 * What is damaged was never at a store.  The file is in the commit as the last
 * one had it, whole: what came to the drive since and can be read would be a
 * mixture.
 */
static int file_damaged(struct file_plan *f, struct base *b,
			const struct cache_snap_inode *i)
{
	uint64_t size = 0;
	int r;

	f->kept = true;
	if (b->root.kind == LINK_NONE)
		return keep_out(f->run, f->ino, i->gen);
	f->run->unseen |= f->run->losses > 0; /* it may link into lost pieces */
	r = base_size(b, i, &size);
	return r < 0 ? r : keep_damaged(f->run, f->ino, i->gen, size);
}

static int file_leaves(struct run *r, uint64_t ino)
{
	const struct link empty = { .kind = LINK_IDENTITY, .codec = LINK_RAW };
	struct file_plan *f = calloc(1, sizeof(*f));
	struct base b = { .run = r };
	struct cache_snap_inode i;
	struct spans s = { 0 };
	struct cursor c;
	int rc;

	if (!f)
		return -ENOMEM;
	buf_init(&b.body, NODE_MAX);
	f->run = r;
	f->ino = ino;
	list_push(&r->plans, &f->node);
	rc = cache_snap_inode(r->snap, ino, &i);
	if (rc == 0 && i.link.n) {
		c = cursor(i.link);
		rc = link_decode(&c, &b.root);
		b.valid = i.link_size;
	}
	if (rc == 0) {
		f->size = i.attr.size;
		f->damaged = keep_is_known(r, ino, i.gen);
		rc = f->damaged ? -EBADMSG :
		     f->size ? cache_snap_runs(r->snap, ino, 0, f->size, on_run,
					       &s) :
			       row_add(f, &empty, 0, false);
	}
	if (rc == 0)
		rc = file_chunks(f, &b, &s);
	if (rc == -EBADMSG && f->damaged)
		rc = file_damaged(f, &b, &i);
	else if (rc > 0)
		rc = file_keep(f, &b, &s);
	free(s.v);
	buf_fini(&b.body);
	if (rc < 0 || f->kept)
		return rc; /* leaves on their way still point to it */
	f->planned = true;
	return file_settle(f);
}

int content_leaves(struct run *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->files.n && rc == 0; i++)
		rc = file_leaves(r, r->files.v[i]);
	return rc < 0 ? rc : pack_drain(r->pack);
}

static int file_nodes(struct run *r, struct file_plan *f)
{
	_cleanup_file_builder_ struct file_builder *b = NULL;
	struct dag_root root;
	int rc;

	rc = file_builder_new(&dag_profile_sealed,
			      pack_sealer(r->pack, XINDEX_FILE), &b);
	for (size_t i = 0; i < f->n && rc == 0; i++)
		rc = f->v[i].hole ?
			     file_builder_add_hole(b, f->v[i].n) :
			     file_builder_add_leaf(b, &f->v[i].link, f->v[i].n);
	if (rc == 0)
		rc = file_builder_finish(b, &root);
	return rc < 0 ? rc : result_add(r, f->ino, f->size, &root.link);
}

int content_nodes(struct run *r)
{
	struct file_plan *f;
	int rc = 0;

	while (!list_empty(&r->plans) && rc == 0) {
		f = list_first(&r->plans, struct file_plan, node);
		rc = f->kept ? 0 : file_nodes(r, f);
		file_free(f);
	}
	return rc;
}

void content_fini(struct run *r)
{
	while (!list_empty(&r->plans))
		file_free(list_first(&r->plans, struct file_plan, node));
}
