/* walk.c - directories and files, node by node */
#include "retrieve/retrieve.h"

#include <errno.h>

#include "dag/digest_set.h"
#include "dag/dir.h"
#include "dag/file.h"
#include "retrieve/internal.h"

#define DIR_BATCH  32    /* shards asked for at once */
#define SOLID_MAX  65536 /* nodes that are remembered, 4 MiB */
#define FILE_BATCH 4     /* leaves of 1 MiB: what one request holds in memory */
#define DIR_LEVELS \
 DIR_WAY_MAX /* shards below the root; the hash has 8 levels */

/* ---- directories ---- */

struct dir_walk {
	struct retrieve *r;
	struct stop *stop;
	walk_dir_cb cb;
	void *ctx;
	struct err *reterr;
	struct dir_way way; /* to the shard that is being read */
};

static int dir_level(struct dir_walk *d, struct want *w, const uint16_t *at,
		     size_t n, unsigned level);

/* Sub-shards of one node, in batches of neighbours. */
static int dir_shards(struct dir_walk *d, const struct dir_node *node, unsigned level)
{
	struct want w[DIR_BATCH];
	uint16_t at[DIR_BATCH]; /* buckets */
	struct dir_item item;
	struct dir_iter it;
	size_t n = 0;
	int r, more;

	dir_iter_init(&it, node);
	do {
		more = dir_next(&it, &item);
		if (more < 0)
			return more;
		if (more && item.is_subshard) {
			at[n] = (uint16_t)item.index;
			want_init(&w[n++], &item.link);
		}
		if (n == DIR_BATCH || (!more && n)) {
			r = dir_level(d, w, at, n, level + 1);
			while (n)
				want_fini(&w[--n]);
			if (r)
				return r;
		}
	} while (more);
	return 0;
}

static int dir_one(struct dir_walk *d, struct slice body, unsigned level)
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
		if (item.is_subshard)
			continue;
		if (!dir_way_leads_to(&d->way, &node, item.name))
			return -EPROTO;
		r = d->cb(d->ctx, &item);
		if (r)
			return r;
	}
	return r < 0 ? r : dir_shards(d, &node, level);
}

/* Neighbours; `at`: their buckets, below the root. */
static int dir_level(struct dir_walk *d, struct want *w, const uint16_t *at,
		     size_t n, unsigned level)
{
	int r;

	if (level > DIR_LEVELS)
		return -EPROTO;
	r = wants_fetch(d->r, w, n, d->stop, d->reterr);
	for (size_t i = 0; i < n && r == 0; i++) {
		d->way.depth = level;
		if (level)
			d->way.at[level - 1] = at[i];
		r = dir_one(d, buf_slice(&w[i].body), level);
	}
	return r;
}

int walk_dir(struct retrieve *r, const struct link *dir, struct stop *stop,
	     walk_dir_cb cb, void *ctx, struct err *reterr)
{
	struct dir_walk d = { r, stop, cb, ctx, reterr, { 0 } };
	struct want w;
	int rc;

	want_init(&w, dir);
	rc = dir_level(&d, &w, NULL, 1, 0);
	want_fini(&w);
	return rc;
}

int retrieve_list(struct retrieve *r, const struct link *dir,
		  int (*cb)(void *ctx, const struct dir_item *item), void *ctx,
		  struct err *reterr)
{
	return walk_dir(r, dir, NULL, cb, ctx, reterr);
}

int walk_find(struct retrieve *r, const struct link *dir, const char *name,
	      struct stop *stop, struct buf *body, struct dir_item *ret,
	      struct err *reterr)
{
	struct link l = *dir;
	struct dir_node node;
	int rc;

	for (unsigned level = 0; level <= DIR_LEVELS; level++) {
		buf_reset(body);
		rc = body_fetch(r, &l, stop, body, reterr);
		if (rc < 0)
			return rc;
		rc = dir_node_parse(buf_slice(body), true, level, &node);
		if (rc < 0)
			return rc;
		rc = dir_node_find(&node, slice_str(name), ret);
		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		if (!ret->is_subshard)
			return 0;
		l = ret->link;
	}
	return -EPROTO;
}

int retrieve_find(struct retrieve *r, const struct link *dir, const char *name,
		  struct buf *body, struct dir_item *ret, struct err *reterr)
{
	return walk_find(r, dir, name, NULL, body, ret, reterr);
}

/* ---- files ---- */

struct file_walk {
	struct retrieve *r;
	struct stop *stop;
	walk_file_cb cb;
	void *ctx;
	struct err *reterr;
	uint64_t from, to; /* the range that is wanted */
	bool holes;        /* and of it only the holes */
	uint64_t n_holes;  /* so far */
	/* Nodes that have none: one that is linked again and again, as equal parts
	 * of a file are, is looked through once. */
	struct digest_set solid;
};

/* A block on the way down: what its parent said of it, and where it lies. */
struct file_want {
	struct file_child child;
	uint64_t base; /* of its first byte in the file */
};

static int file_bytes(struct file_walk *f, uint64_t base, struct slice bytes)
{
	uint64_t from = MAX(base, f->from);
	uint64_t to = MIN(base + bytes.n, f->to);

	if (from >= to || f->holes)
		return 0;
	return f->cb(f->ctx, from, slice(bytes.p + (from - base), to - from), 0);
}

static int file_hole(struct file_walk *f, uint64_t base, uint64_t n)
{
	uint64_t from = MAX(base, f->from);
	uint64_t to = MIN(base + n, f->to);

	f->n_holes++;
	return from < to ? f->cb(f->ctx, from, SLICE_NONE, to - from) : 0;
}

static int file_level(struct file_walk *f, const struct file_want *fw,
		      struct want *w, size_t n, unsigned depth);

static int file_batch(struct file_walk *f, struct file_want *fw, struct want *w,
		      size_t *n, unsigned depth)
{
	int r = *n ? file_level(f, fw, w, *n, depth) : 0;

	while (*n)
		want_fini(&w[--*n]);
	return r;
}

static int file_one(struct file_walk *f, uint64_t base,
		    const struct file_node *node, unsigned depth)
{
	struct file_want fw[FILE_BATCH];
	struct want w[FILE_BATCH];
	struct file_child c;
	struct file_iter it;
	size_t n = 0;
	int r;

	r = file_bytes(f, base, node->bytes);
	if (r || node->is_leaf)
		return r;
	file_iter_init(&it, node);
	while ((r = file_iter_next(&it, &c)) == 1) {
		if (!c.size || base + c.off + c.size <= f->from ||
		    base + c.off >= f->to)
			continue; /* below one without bytes may be any number */
		if (f->holes && !c.hole && c.link.codec == LINK_RAW)
			continue;
		if (c.hole || n == FILE_BATCH) {
			r = file_batch(f, fw, w, &n, depth + 1);
			if (r)
				break;
		}
		if (c.hole) {
			r = file_hole(f, base + c.off, c.size);
			if (r)
				break;
			continue;
		}
		fw[n] = (struct file_want){ c, base + c.off };
		want_init(&w[n++], &c.link);
	}
	if (r == 0)
		return file_batch(f, fw, w, &n, depth + 1);
	while (n)
		want_fini(&w[--n]);
	return r;
}

/* A node, all of it, unless it is known to have no hole. */
static int file_holes(struct file_walk *f, const struct want *w, uint64_t base,
		      const struct file_node *node, unsigned depth)
{
	uint64_t before = f->n_holes;
	int r;

	if (digest_set_has(&f->solid, w->link.digest))
		return 0;
	r = file_one(f, base, node, depth);
	if (r == 0 && f->n_holes == before && base >= f->from &&
	    base + node->size <= f->to && f->solid.n < SOLID_MAX)
		r = MIN(digest_set_add(&f->solid, w->link.digest), 0);
	return r;
}

static int file_level(struct file_walk *f, const struct file_want *fw,
		      struct want *w, size_t n, unsigned depth)
{
	struct file_node node;
	int r;

	if (depth > FILE_DEPTH_MAX)
		return -EPROTO;
	if (f->stop && w[0].link.codec == LINK_RAW)
		f->stop->leaves = true;
	r = wants_fetch(f->r, w, n, f->stop, f->reterr);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = file_node_parse(buf_slice(&w[i].body), w[i].link.codec,
				    true, &node);
		if (r == 0 && depth > 0)
			r = file_child_check(&fw[i].child, &node);
		if (r == 0 && f->holes && w[i].link.kind == LINK_SEALED)
			r = file_holes(f, &w[i], fw[i].base, &node, depth);
		else if (r == 0)
			r = file_one(f, fw[i].base, &node, depth);
	}
	return r;
}

static int walk(struct file_walk *f, const struct link *file)
{
	struct file_want fw = { .base = 0 };
	struct want w;
	int rc;

	want_init(&w, file);
	rc = file_level(f, &fw, &w, 1, 0);
	digest_set_fini(&f->solid);
	want_fini(&w);
	return rc;
}

int walk_file(struct retrieve *r, const struct link *file, uint64_t off, uint64_t n,
	      struct stop *stop, walk_file_cb cb, void *ctx, struct err *reterr)
{
	struct file_walk f = { .r = r,
			       .stop = stop,
			       .cb = cb,
			       .ctx = ctx,
			       .reterr = reterr,
			       .from = off,
			       .to = off + n };

	return walk(&f, file);
}

int walk_holes(struct retrieve *r, const struct link *file, uint64_t off,
	       uint64_t n, struct stop *stop, walk_file_cb cb, void *ctx,
	       struct err *reterr)
{
	struct file_walk f = { .r = r,
			       .stop = stop,
			       .cb = cb,
			       .ctx = ctx,
			       .reterr = reterr,
			       .from = off,
			       .to = off + n,
			       .holes = true };

	return file->codec == LINK_RAW ? 0 : walk(&f, file);
}
