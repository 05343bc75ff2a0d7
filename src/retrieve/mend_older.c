/*
 * mend_older.c - older versions of a directory, wherever a node names it
 *
 * A directory's own node does not say which inode it is: the entry that names it
 * does, and every version of every directory above it is such an entry.  So all
 * nodes of all pieces are looked through, the newest first.
 */
#include "retrieve/mend.h"

#include <errno.h>
#include <sys/stat.h>

#include "cache/cache.h"
#include "crypto/seal.h"
#include "dag/attr.h"

#define VERSIONS_MAX 8 /* of a directory, that are tried */

struct version {
	struct link link;
	uint64_t sequence;
};

struct wanted {
	uint64_t ino;
	struct mend_gap *gap;
	struct version v[VERSIONS_MAX]; /* newest first */
	size_t n;
};

struct versions {
	struct mend *m;
	struct wanted *v; /* ascending by ino */
	size_t n;
	const struct survey_piece *piece;
};

int mend_parse_dir(struct slice body, struct dir_node *ret)
{
	int r = -EPROTO;

	for (unsigned i = 0; i < MEND_LEVELS && r == -EPROTO; i++)
		r = dir_node_parse(body, true, i, ret);
	return r;
}

static int by_wanted_ino(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

/* Pieces come by with the newest first, so what is full is full. */
static void version_add(struct versions *vs, uint64_t ino, const struct link *l)
{
	struct wanted key = { .ino = ino }, *w;

	w = bsearch(&key, vs->v, vs->n, sizeof(*w), by_wanted_ino);
	if (!w || w->n == VERSIONS_MAX || l->kind == LINK_NONE ||
	    link_same(l, &vs->m->dirs[w->gap->dir].link))
		return;
	for (size_t i = 0; i < w->n; i++)
		if (link_same(l, &w->v[i].link))
			return;
	w->v[w->n++] = (struct version){ *l, vs->piece->sequence };
}

static bool is_dir_kind(enum xindex_kind k)
{
	return k == XINDEX_DIR || k == XINDEX_SHARD || k == XINDEX_ROOT;
}

static int on_dir_block(void *ctx, const struct survey_piece *p,
			const struct link *l, const struct xindex_entry *e)
{
	struct versions *vs = ctx;
	_cleanup_buf_ struct buf body = { 0 };
	struct dir_node node = { .level = 0 };
	struct dir_item item;
	struct dir_iter it;
	struct attr a;
	int r;

	if (!is_dir_kind(e->kind))
		return 0;
	vs->piece = p;
	buf_init(&body, SEAL_BODY_MAX);
	r = remote_body(vs->m->r, l, &body, NULL);
	if (r == 0)
		r = mend_parse_dir(buf_slice(&body), &node);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (e->kind == XINDEX_ROOT && node.level == 0)
		version_add(vs, CACHE_ROOT_INO, l);
	dir_iter_init(&it, &node);
	while (dir_next(&it, &item) == 1)
		if (!item.is_subshard && attr_decode(item.attr, &a) == 0 &&
		    S_ISDIR(a.mode))
			version_add(vs, a.ino, &item.link);
	return 0;
}

static int no_entry(void *ctx, const struct dir_item *item)
{
	(void)ctx;
	(void)item;
	return 0;
}

static int is_lost(void *ctx, const struct mend_part *part)
{
	(void)ctx;
	(void)part;
	return -ENODATA;
}

/* The newest that can be read from end to end. */
static int choose(struct mend *m, struct wanted *w)
{
	const struct mend_read to = { no_entry, is_lost, NULL };
	int r = -ENODATA;

	for (size_t i = 0; i < w->n && r < 0; i++) {
		r = mend_dir_read(m->r, &w->v[i].link, 0, &to);
		if (r == -ENOMEM)
			return r;
		if (r == 0) {
			w->gap->older = w->v[i].link;
			w->gap->sequence = w->v[i].sequence;
		}
	}
	return 0;
}

int mend_older(struct mend *m, struct mend_gap *v, size_t n)
{
	struct versions vs = { .m = m, .n = n };
	int r;

	vs.v = calloc(n, sizeof(*vs.v));
	if (!vs.v)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		vs.v[i] = (struct wanted){ .ino = v[i].ino, .gap = &v[i] };
	qsort(vs.v, n, sizeof(*vs.v), by_wanted_ino);
	r = survey_all(m->survey, PIECE_NODES, on_dir_block, &vs);
	for (size_t i = 0; i < n && r == 0; i++)
		r = choose(m, &vs.v[i]);
	free(vs.v);
	return r;
}
