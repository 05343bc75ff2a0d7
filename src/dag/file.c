#include "dag/file.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define LEVELS    8  /* 174^8 chunks of 256 KiB are past 2^63 bytes */
#define FIRST_CAP 16 /* children allocated for a level at first */

struct level {
	struct unixfs_child *c;
	uint32_t n, cap;
};

/* A zero leaf (level 0) or a full node of nothing but zero leaves. */
struct zero {
	bool made;
	struct unixfs_child child;
};

struct file_builder {
	const struct dag_profile *p;
	struct sealer *sealer;
	struct buf body;
	uint8_t *zeros; /* one chunk, made for the first hole */
	uint64_t size;
	bool short_leaf; /* a leaf under chunk_bytes: nothing may follow */
	struct level levels[LEVELS];
	struct zero zero[LEVELS];
};

int file_builder_new(const struct dag_profile *p, struct sealer *sealer,
		     struct file_builder **ret)
{
	struct file_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->p = p;
	b->sealer = sealer;
	buf_init(&b->body, DAG_NODE_MAX);
	*ret = b;
	return 0;
}

void file_builder_free(struct file_builder *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < LEVELS; i++)
		free(b->levels[i].c);
	free(b->zeros);
	buf_fini(&b->body);
	free(b);
}

/* Make the child that names a leaf of `bytes`. */
static int seal_leaf(struct file_builder *b, struct slice bytes,
		     struct unixfs_child *ret)
{
	struct unixfs_child c = { .size = bytes.n, .tsize = bytes.n };
	const struct unixfs fs = { .type = UNIXFS_FILE,
				   .has_data = bytes.n > 0,
				   .data = bytes,
				   .has_filesize = true,
				   .filesize = bytes.n };
	int r;

	if (b->p->raw_leaves) {
		r = sealer_seal(b->sealer, LINK_RAW, BLOCK_LEAF, bytes, &c.link);
	} else {
		buf_reset(&b->body);
		r = unixfs_node_encode(b->p, &fs, NULL, 0, &b->body);
		if (r < 0)
			return r;
		c.tsize = b->body.n;
		r = sealer_seal(b->sealer, LINK_DAGPB, BLOCK_LEAF,
				buf_slice(&b->body), &c.link);
	}
	if (r < 0)
		return r;

	*ret = c;
	return 0;
}

/* Make the child that names a node above `c`. */
static int seal_node(struct file_builder *b, const struct unixfs_child *c,
		     size_t n, struct unixfs_child *ret)
{
	struct unixfs_child t = { .hole = true };
	struct unixfs fs = { .type = UNIXFS_FILE, .has_filesize = true };
	int r;

	for (size_t i = 0; i < n; i++) {
		t.size += c[i].size;
		t.tsize += c[i].tsize;
		t.hole &= c[i].hole;
	}
	fs.filesize = t.size;
	buf_reset(&b->body);
	r = unixfs_node_encode(b->p, &fs, c, n, &b->body);
	if (r < 0)
		return r;
	t.tsize += b->body.n;
	r = sealer_seal(b->sealer, LINK_DAGPB, BLOCK_NODE, buf_slice(&b->body),
			&t.link);
	if (r < 0)
		return r;

	*ret = t;
	return 0;
}

/* Append to a level; a full level becomes one child of the next. */
static int push(struct file_builder *b, unsigned at, const struct unixfs_child *child)
{
	struct unixfs_child up;
	struct level *l;
	uint32_t cap;
	void *p;
	int r;

	for (;; at++) {
		if (at == LEVELS)
			return -EFBIG;
		l = &b->levels[at];
		if (l->n == l->cap) {
			cap = l->cap ? l->cap * 4 : FIRST_CAP;
			cap = MIN(cap, b->p->file_links);
			p = realloc(l->c, cap * sizeof(*l->c));
			if (!p)
				return -ENOMEM;
			l->c = p;
			l->cap = cap;
		}
		l->c[l->n++] = *child;
		if (l->n < b->p->file_links)
			return 0;
		r = seal_node(b, l->c, l->n, &up);
		if (r < 0)
			return r;
		l->n = 0;
		child = &up;
	}
}

/* Account for `n` more content bytes; after a short leaf there are none. */
static int grow_size(struct file_builder *b, uint64_t n)
{
	assert(!b->short_leaf);
	if (n > INT64_MAX - b->size)
		return -EFBIG;
	b->size += n;
	b->short_leaf = n % b->p->chunk_bytes != 0;
	return 0;
}

int file_builder_add(struct file_builder *b, struct slice chunk)
{
	struct unixfs_child c;
	int r;

	assert(chunk.n > 0 && chunk.n <= b->p->chunk_bytes);
	r = grow_size(b, chunk.n);
	if (r < 0)
		return r;
	r = seal_leaf(b, chunk, &c);
	return r < 0 ? r : push(b, 0, &c);
}

int file_builder_add_leaf(struct file_builder *b, const struct link *leaf,
			  uint64_t size)
{
	const struct unixfs_child c = { .link = *leaf, .size = size, .tsize = size };
	int r;

	assert(b->p->raw_leaves && leaf->codec == LINK_RAW && size > 0 &&
	       size <= b->p->chunk_bytes);
	r = grow_size(b, size);
	return r < 0 ? r : push(b, 0, &c);
}

static int seal_zeros(struct file_builder *b, size_t n, struct unixfs_child *ret)
{
	int r;

	if (!b->zeros)
		b->zeros = calloc(1, b->p->chunk_bytes);
	if (!b->zeros)
		return -ENOMEM;
	r = seal_leaf(b, slice(b->zeros, n), ret);
	if (r == 0)
		ret->hole = true;
	return r;
}

/* The full zero subtree of a level, sealed once. */
static int zero_subtree(struct file_builder *b, unsigned level,
			struct unixfs_child *ret)
{
	_cleanup_free_ struct unixfs_child *c = NULL;
	int r = 0;

	for (unsigned i = 0; i <= level; i++) {
		if (b->zero[i].made)
			continue;
		if (i == 0) {
			r = seal_zeros(b, b->p->chunk_bytes, &b->zero[0].child);
		} else {
			if (!c)
				c = calloc(b->p->file_links, sizeof(*c));
			if (!c)
				return -ENOMEM;
			for (uint32_t k = 0; k < b->p->file_links; k++)
				c[k] = b->zero[i - 1].child;
			r = seal_node(b, c, b->p->file_links, &b->zero[i].child);
		}
		if (r < 0)
			return r;
		b->zero[i].made = true;
	}
	*ret = b->zero[level].child;
	return 0;
}

int file_builder_add_hole(struct file_builder *b, uint64_t n)
{
	uint64_t chunks = n / b->p->chunk_bytes, span;
	struct unixfs_child c;
	unsigned level;
	int r;

	if (n == 0)
		return 0;
	r = grow_size(b, n);
	if (r < 0)
		return r;
	while (chunks) {
		/* the largest zero subtree that begins here and fits */
		level = 0;
		span = 1;
		while (level + 1 < LEVELS && b->levels[level].n == 0 &&
		       span * b->p->file_links <= chunks) {
			span *= b->p->file_links;
			level++;
		}
		r = zero_subtree(b, level, &c);
		if (r < 0)
			return r;
		r = push(b, level, &c);
		if (r < 0)
			return r;
		chunks -= span;
	}
	if (n % b->p->chunk_bytes == 0)
		return 0;
	r = seal_zeros(b, n % b->p->chunk_bytes, &c);
	return r < 0 ? r : push(b, 0, &c);
}

/* Is anything above level `at`? */
static bool above(const struct file_builder *b, unsigned at)
{
	for (unsigned i = at + 1; i < LEVELS; i++) {
		if (b->levels[i].n)
			return true;
	}
	return false;
}

int file_builder_finish(struct file_builder *b, struct dag_root *ret)
{
	struct unixfs_child root = { .size = 0 }, up;
	struct level *l;
	bool lone_hole;
	int r;

	if (b->size == 0) {
		r = seal_leaf(b, SLICE_NONE, &root);
		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < LEVELS; i++) {
		l = &b->levels[i];
		if (!l->n)
			continue;
		lone_hole = i == 0 && l->c[0].hole && b->p->sealed;
		if (l->n == 1 && !above(b, i) && !lone_hole) {
			root = l->c[0];
			break;
		}
		r = seal_node(b, l->c, l->n, &up);
		if (r < 0)
			return r;
		l->n = 0;
		r = push(b, i + 1, &up);
		if (r < 0)
			return r;
	}
	*ret = (struct dag_root){ .link = root.link,
				  .size = root.size,
				  .tsize = root.tsize };
	return 0;
}

int file_node_parse(struct slice body, enum link_codec codec, bool sealed,
		    struct file_node *ret)
{
	struct file_node t = { .is_leaf = codec == LINK_RAW };
	struct unixfs_child c;
	struct unixfs_iter it;
	int r;

	if (t.is_leaf) {
		t.bytes = body;
		t.size = body.n;
		*ret = t;
		return 0;
	}
	r = unixfs_node_parse(body, sealed, &t.node);
	if (r < 0)
		return r;
	if (t.node.fs.type != UNIXFS_FILE && t.node.fs.type != UNIXFS_RAW)
		return -EPROTO;
	t.bytes = t.node.fs.data;
	t.size = t.bytes.n;
	unixfs_iter_init(&it, &t.node);
	while ((r = unixfs_next(&it, &c)) > 0) {
		if (c.name.n || c.size > INT64_MAX - t.size)
			return -EPROTO;
		t.size += c.size;
	}
	if (r < 0)
		return r;
	if (t.node.fs.has_filesize && t.node.fs.filesize != t.size)
		return -EPROTO;
	if (!t.node.fs.has_filesize && t.size)
		return -EPROTO;
	*ret = t;
	return 0;
}

void file_iter_init(struct file_iter *it, const struct file_node *n)
{
	*it = (struct file_iter){ .off = n->bytes.n };
	if (!n->is_leaf)
		unixfs_iter_init(&it->it, &n->node);
}

int file_iter_next(struct file_iter *it, struct file_child *ret)
{
	struct unixfs_child c;
	int r;

	if (!it->it.node)
		return 0;
	r = unixfs_next(&it->it, &c);
	if (r <= 0)
		return r;
	*ret = (struct file_child){ .link = c.link,
				    .cid = c.cid,
				    .off = it->off,
				    .size = c.size,
				    .tsize = c.tsize,
				    .hole = c.hole };
	it->off += c.size;
	return 1;
}

int file_node_find(const struct file_node *n, uint64_t off, struct file_child *ret)
{
	struct file_child c;
	struct file_iter it;
	int r;

	if (off < n->bytes.n || off >= n->size)
		return 0;
	file_iter_init(&it, n);
	while ((r = file_iter_next(&it, &c)) > 0) {
		if (off - c.off < c.size) {
			*ret = c;
			return 1;
		}
	}
	return r;
}

int file_child_check(const struct file_child *c, const struct file_node *opened)
{
	return c->size == opened->size ? 0 : -EPROTO;
}
