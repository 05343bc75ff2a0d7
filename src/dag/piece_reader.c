#include "dag/piece_reader.h"

#include <errno.h>

#include "base/buf.h"
#include "crypto/seal.h"
#include "dag/commit.h"
#include "dag/file.h"

struct piece_index {
	struct link root;
	struct buf file; /* leaves so far */
	uint64_t file_size;
	uint64_t piece;
	uint64_t piece_size;
	struct link *leaves;
	uint64_t *sizes; /* bytes of each leaf */
	size_t n_leaves;
	size_t i; /* the leaf that is wanted */
	bool has_root;
	int err; /* nothing helps */
};

int piece_tail_range(struct slice tail, uint64_t raw_size, uint64_t off,
		     uint64_t len, struct slice *ret)
{
	uint64_t start;

	if (tail.n > raw_size || off > raw_size || len > raw_size - off)
		return 0;
	start = raw_size - tail.n;
	if (off < start)
		return 0;
	*ret = slice(tail.p + (off - start), (size_t)len);
	return 1;
}

int piece_tail_parse(struct slice tail, uint64_t raw_size,
		     const struct keys *keys, struct trailer *ret)
{
	struct slice section, record;
	int r;

	if (tail.n < TRAILER_SECTION_SIZE || tail.n > raw_size)
		return -EBADMSG;
	section = slice(tail.p + tail.n - TRAILER_SECTION_SIZE,
			TRAILER_SECTION_SIZE);
	r = piece_section_verify(section, NULL, &record);
	if (r < 0)
		return -EBADMSG;
	return trailer_open(record, raw_size, keys, ret);
}

int piece_commit_parse(struct slice section, const struct trailer *t,
		       const struct keys *keys, struct commit **ret)
{
	_cleanup_commit_ struct commit *c = NULL;
	const struct commit_info *info;
	struct slice record;
	int r;

	if (t->sequence == 0)
		return -ENOENT;
	if (section.n != t->commit.len)
		return -EBADMSG;
	r = piece_section_verify(section, t->commit.digest, &record);
	if (r < 0)
		return -EBADMSG;
	r = commit_open(record, keys, &c);
	if (r < 0)
		return r;
	info = commit_info(c);
	if (info->sequence != t->sequence ||
	    (t->previous.sequence && t->previous.sequence == t->sequence - 1 &&
	     memcmp(info->parent, t->previous.commit, sizeof(info->parent)) != 0))
		return -EBADMSG;
	*ret = steal(&c);
	return 0;
}

int piece_block_open(struct slice section, const struct link *link,
		     size_t max_body, struct buf *ret_body)
{
	uint8_t claimed[PIECE_DIGEST_SIZE];
	struct slice block;
	int r;

	if (link->kind != LINK_SEALED)
		return -EINVAL;
	r = piece_section_parse(section, claimed, &block);
	if (r < 0)
		return -EBADMSG;
	return seal_open(block, link->key, link->digest, max_body, ret_body);
}

/* ---- an index */

int piece_index_new(const struct trailer *t, enum piece_index_of of,
		    struct piece_index **ret)
{
	const struct link *root = of == PIECE_LEAVES ? &t->leaves : &t->nodes;
	uint64_t n = of == PIECE_LEAVES ? t->n_leaves : t->n_nodes;
	struct piece_index *x;

	if (root->kind == LINK_NONE || n == 0)
		return -ENOENT;
	if (n > XINDEX_N_MAX)
		return -EPROTO;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->root = *root;
	x->file_size = xindex_file_size(n);
	x->piece = t->piece;
	x->piece_size = t->raw_size;
	buf_init(&x->file, (size_t)x->file_size);
	*ret = x;
	return 0;
}

void piece_index_free(struct piece_index *x)
{
	if (!x)
		return;
	buf_fini(&x->file);
	free(x->leaves);
	free(x->sizes);
	free(x);
}

static const struct link *wanted(const struct piece_index *x)
{
	if (x->err)
		return NULL;
	if (!x->has_root)
		return &x->root;
	return x->i < x->n_leaves ? &x->leaves[x->i] : NULL;
}

bool piece_index_want(const struct piece_index *x, struct place *ret)
{
	const struct link *l = wanted(x);

	if (l)
		*ret = l->place;
	return l != NULL;
}

/* The root node of an index over 1 MiB: its children are leaves. */
static int take_root(struct piece_index *x, struct slice body)
{
	struct file_child child;
	struct file_node node;
	struct file_iter it;
	size_t max = (size_t)(x->file_size / XINDEX_CHUNK_SIZE) + 1;
	int r;

	r = file_node_parse(body, LINK_DAGPB, true, &node);
	if (r < 0)
		return r;
	if (node.size != x->file_size || node.bytes.n)
		return -EPROTO;
	x->leaves = calloc(max, sizeof(*x->leaves));
	x->sizes = calloc(max, sizeof(*x->sizes));
	if (!x->leaves || !x->sizes)
		return -ENOMEM;
	file_iter_init(&it, &node);
	while ((r = file_iter_next(&it, &child)) > 0) {
		if (x->n_leaves == max || child.hole ||
		    child.size > XINDEX_CHUNK_SIZE ||
		    child.link.kind != LINK_SEALED || child.link.codec != LINK_RAW ||
		    child.link.place.piece != x->piece)
			return -EPROTO;
		x->leaves[x->n_leaves] = child.link;
		x->sizes[x->n_leaves++] = child.size;
	}
	return r;
}

static int feed_root(struct piece_index *x, struct slice section)
{
	_cleanup_buf_ struct buf body = { 0 };
	int r;

	buf_init(&body, XINDEX_CHUNK_SIZE);
	r = piece_block_open(section, &x->root, XINDEX_CHUNK_SIZE, &body);
	if (r < 0)
		return r;
	if (x->root.codec == LINK_RAW) {
		if (body.n != x->file_size)
			return -EPROTO;
		r = buf_append(&x->file, buf_slice(&body));
	} else {
		r = take_root(x, buf_slice(&body));
	}
	if (r == 0)
		x->has_root = true;
	return r;
}

static int feed_leaf(struct piece_index *x, struct slice section)
{
	size_t before = x->file.n;
	int r;

	r = piece_block_open(section, &x->leaves[x->i], (size_t)x->sizes[x->i],
			     &x->file);
	if (r < 0)
		return r;
	if (x->file.n - before != x->sizes[x->i])
		return -EPROTO;
	x->i++;
	return 0;
}

int piece_index_feed(struct piece_index *x, struct slice section)
{
	int r;

	if (x->err)
		return x->err;
	if (!wanted(x))
		return -EINVAL;
	r = x->has_root ? feed_leaf(x, section) : feed_root(x, section);
	if (r < 0 && r != -EBADMSG)
		x->err = r;
	return r;
}

int piece_index_view(const struct piece_index *x, struct xindex_view *ret)
{
	if (x->err)
		return x->err;
	if (wanted(x))
		return -EINPROGRESS;
	if (x->file.n != x->file_size)
		return -EPROTO;
	return xindex_open(buf_slice(&x->file), x->piece, x->piece_size, ret);
}
