/*
 * The builder half of dir.h: basic directories and shards.
 *
 * An index of all entries (dir_rec.h) is sorted once: by name for a basic
 * directory, by hash and name for shards.  Then every shard is a range of the
 * index.  dir_large.c builds what is too large for that.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/err.h"
#include "dag/cid.h"
#include "dag/dir.h"
#include "dag/dir_impl.h"
#include "dag/hamt.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define LINK_MIN 40    /* bytes of an encoded link, at least */
#define ATTR_MAX 65536 /* bytes; an Attr holds at most 256 of xattrs */

int dir_builder_new(const struct dag_profile *p, struct sealer *sealer,
		    struct dir_builder **ret)
{
	struct dir_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->p = p;
	b->sealer = sealer;
	buf_init(&b->body, DAG_NODE_MAX);
	*ret = b;
	return 0;
}

void dir_builder_free(struct dir_builder *b)
{
	if (!b)
		return;
	dir_recs_fini(&b->recs);
	dir_large_free(b->large);
	buf_fini(&b->body);
	free(b);
}

void dir_builder_set_meta(struct dir_builder *b, const struct unixfs *meta)
{
	b->meta = (struct unixfs){ .has_mode = meta->has_mode,
				   .mode = meta->mode,
				   .has_mtime = meta->has_mtime,
				   .mtime_s = meta->mtime_s,
				   .mtime_ns = meta->mtime_ns };
}

static void count_bytes(struct dir_builder *b, const struct unixfs_child *c)
{
	struct cid cid;
	size_t n;

	dag_link_cid(b->p, &c->link, &cid);
	n = cid_size(&cid);
	if (b->p->dir_size == DAG_DIR_LINK_BYTES)
		b->link_bytes += c->name.n + n;
	else
		b->link_bytes += dagpb_link_size(n, c->name.n, c->tsize);
	b->ext_bytes += LINK_KEY_SIZE + 2 + dagpb_varint_size(c->attr.n) +
			c->attr.n;
}

int dir_builder_add(struct dir_builder *b, struct slice name,
		    const struct link *link, uint64_t tsize, struct slice attr)
{
	const struct unixfs_child c = {
		.name = name, .link = *link, .tsize = tsize, .attr = attr
	};
	int r;

	if (!dir_name_valid(name) || name.n > DIR_NAME_MAX ||
	    attr.n > (b->p->sealed ? ATTR_MAX : 0) || link->kind == LINK_NONE ||
	    link->kind == (b->p->sealed ? LINK_PLAIN : LINK_SEALED))
		return -EINVAL;
	r = dir_recs_add(&b->recs, &b->body, &c);
	if (r < 0)
		return r;
	count_bytes(b, &c);
	if (b->large)
		dir_large_added(b);
	return 0;
}

/* Seal b->body; the root's Tsize is that of its children and its own bytes. */
static int seal_body(struct dir_builder *b, enum block_kind kind,
		     const struct unixfs_child *c, size_t n, struct dag_root *ret)
{
	struct dag_root t = { .tsize = b->body.n };
	int r;

	for (size_t i = 0; i < n; i++)
		t.tsize += c[i].tsize;
	r = sealer_seal(b->sealer, LINK_DAGPB, kind, buf_slice(&b->body), &t.link);
	if (r < 0)
		return r;

	*ret = t;
	return 0;
}

/* Room for `n` children; a shard's names follow the children's own. */
static int alloc_children(size_t n, struct unixfs_child **ret)
{
	*ret = calloc(n ? n : 1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

/* Bytes of the Data field of a basic node, without its place hints. */
static uint64_t data_field_bytes(const struct dir_builder *b)
{
	uint64_t n = 2; /* Type */

	if (b->meta.has_mode)
		n += 1 + dagpb_varint_size(b->meta.mode);
	if (b->meta.has_mtime)
		n += 2 + 1 + dagpb_varint_size((uint64_t)b->meta.mtime_s) +
		     (b->meta.mtime_ns ? 5 : 0);
	if (b->p->sealed && b->recs.n)
		n += 2 + dagpb_varint_size(b->recs.n * LINK_KEY_SIZE) + b->ext_bytes;
	return dagpb_data_size(n);
}

bool dir_is_basic(const struct dir_builder *b)
{
	uint64_t n = b->link_bytes;

	if (b->p->dir_size == DAG_DIR_BLOCK_BYTES)
		n += data_field_bytes(b);
	return n <= b->p->dir_basic_max;
}

static int duplicate(struct dir_builder *b, struct slice name)
{
	return err_set(b->err, -EEXIST,
		       "the name \"%.*s\" stands twice in a directory",
		       (int)MIN(name.n, (size_t)80), (const char *)name.p);
}

static int build_basic(struct dir_builder *b, struct dag_root *ret)
{
	_cleanup_free_ struct unixfs_child *c = NULL;
	struct unixfs fs = b->meta;
	int r;

	fs.type = UNIXFS_DIRECTORY;
	r = alloc_children(b->recs.n, &c);
	if (r < 0)
		return r;
	if (b->recs.n)
		qsort(b->recs.v, b->recs.n, sizeof(*b->recs.v), dir_entry_cmp_name);
	for (size_t i = 0; i < b->recs.n; i++) {
		dir_rec_decode(b->recs.v[i].rec, &c[i]);
		if (i && slice_eq(c[i].name, c[i - 1].name))
			return duplicate(b, c[i].name);
	}
	buf_reset(&b->body);
	r = unixfs_node_encode(b->p, &fs, c, b->recs.n, &b->body);
	return r < 0 ? r : seal_body(b, BLOCK_NODE, c, b->recs.n, ret);
}

/* Two names with equal hashes in a plain profile. */
static int collision(struct dir_builder *b, const struct dir_entry *e)
{
	struct slice x = dir_rec_name(e[0].rec), y = dir_rec_name(e[1].rec);

	return err_set(b->err, -ENOTSUP,
		       "the names \"%.*s\" and \"%.*s\" have the same hash: UnixFS cannot hold both in one directory; rename one",
		       (int)MIN(x.n, (size_t)80), (const char *)x.p,
		       (int)MIN(y.n, (size_t)80), (const char *)y.p);
}

/* Nobody but an attacker makes so many names collide. */
static int too_many(struct dir_builder *b, const struct dir_entry *e, size_t n)
{
	struct slice x = dir_rec_name(e->rec);

	return err_set(b->err, -EMSGSIZE,
		       "%zu names with the hash of \"%.*s\" do not fit one block",
		       n, (int)MIN(x.n, (size_t)80), (const char *)x.p);
}

void dir_shard_fini(struct dir_shard *s)
{
	free(s->c);
	free(s->names);
}

int dir_shard_init(struct dir_shard *s, size_t max_children)
{
	int r = alloc_children(max_children, &s->c);

	if (r < 0)
		return r;
	s->names = malloc((max_children + 1) * (HAMT_DIGITS_MAX + DIR_NAME_MAX));
	return s->names ? 0 : -ENOMEM;
}

/* Turn name into bucket digits and name, in the shard's own memory. */
static void add_prefix(const struct dir_builder *b, struct dir_shard *s,
		       unsigned index, struct unixfs_child *c)
{
	unsigned bits = b->p->fanout_bits;
	uint8_t digits[HAMT_DIGITS_MAX];
	uint8_t *p = s->names + s->n_names;

	hamt_prefix(index, bits, digits);
	memcpy(p, digits, hamt_digits(bits));
	if (c->name.n)
		memcpy(p + hamt_digits(bits), c->name.p, c->name.n);
	c->name = slice(p, hamt_digits(bits) + c->name.n);
	s->n_names += c->name.n;
	hamt_set(s->field, 1u << bits, index);
}

void dir_shard_add_sub(const struct dir_builder *b, struct dir_shard *s,
		       unsigned index, const struct dag_root *sub)
{
	struct unixfs_child *c = &s->c[s->n++];

	*c = (struct unixfs_child){ .link = sub->link, .tsize = sub->tsize };
	add_prefix(b, s, index, c);
}

void dir_shard_add_entry(const struct dir_builder *b, struct dir_shard *s,
			 unsigned index, const uint8_t *rec)
{
	struct unixfs_child *c = &s->c[s->n++];

	dir_rec_decode(rec, c);
	add_prefix(b, s, index, c);
}

int dir_shard_seal(struct dir_builder *b, const struct dir_shard *s, bool root,
		   struct dag_root *ret)
{
	unsigned fanout = 1u << b->p->fanout_bits;
	struct unixfs fs = { .type = UNIXFS_SHARD };
	int r;

	if (root)
		fs = b->meta;
	fs.type = UNIXFS_SHARD;
	fs.has_data = true;
	fs.data = hamt_trim(s->field, fanout);
	fs.hash_type = UNIXFS_MURMUR3;
	fs.fanout = fanout;
	buf_reset(&b->body);
	r = unixfs_node_encode(b->p, &fs, s->c, s->n, &b->body);
	return r < 0 ? r :
		       seal_body(b, root ? BLOCK_NODE : BLOCK_SHARD, s->c, s->n,
				 ret);
}

/* Entries of one bucket as far as `e`; the index is sorted by hash. */
size_t dir_bucket_size(const struct dir_builder *b, const struct dir_entry *e,
		       size_t n, unsigned level)
{
	unsigned index = hamt_index(e[0].hash, b->p->fanout_bits, level);
	size_t i = 1;

	while (i < n && hamt_index(e[i].hash, b->p->fanout_bits, level) == index)
		i++;
	return i;
}

/*
 * Does a bucket become a sub-shard?  Its names differ in a later level, or they
 * are too many with one hash.
 */
static bool is_split(const struct dir_builder *b, size_t n, unsigned level)
{
	unsigned bits = b->p->fanout_bits;

	if (!hamt_deepest(bits, level))
		return n > 1;
	return b->p->sealed && n > HAMT_BUCKET_MAX && level < hamt_levels(bits);
}

static size_t count_children(const struct dir_builder *b,
			     const struct dir_entry *e, size_t n, unsigned level)
{
	size_t count = 0, step;

	for (size_t i = 0; i < n; i += step) {
		step = dir_bucket_size(b, e + i, n - i, level);
		count += is_split(b, step, level) ? 1 : step;
	}
	return count;
}

/* Hash a range for a round, and sort it for that. */
static void rehash(struct dir_entry *e, size_t n, unsigned round)
{
	for (size_t i = 0; i < n; i++)
		e[i].hash = hamt_hash(dir_rec_name(e[i].rec), round);
	if (n)
		qsort(e, n, sizeof(*e), dir_entry_cmp_hash);
}

/* One bucket: an entry, a sub-shard, or at the last level several entries. */
static int add_bucket(struct dir_builder *b, struct dir_shard *s,
		      struct dir_entry *e, size_t n, unsigned level)
{
	unsigned index = hamt_index(e[0].hash, b->p->fanout_bits, level);
	struct dag_root sub;
	int r;

	if (is_split(b, n, level)) {
		if (hamt_deepest(b->p->fanout_bits, level))
			rehash(e, n, 1);
		r = dir_build_shard(b, e, n, level + 1, &sub);
		if (r == 0)
			dir_shard_add_sub(b, s, index, &sub);
		return r;
	}
	if (n > 1 && !b->p->sealed)
		return collision(b, e);
	for (size_t i = 0; i < n; i++)
		dir_shard_add_entry(b, s, index, e[i].rec);
	return 0;
}

int dir_build_shard(struct dir_builder *b, struct dir_entry *e, size_t n,
		    unsigned level, struct dag_root *ret)
{
	_cleanup_(dir_shard_fini) struct dir_shard s = { .n = 0 };
	size_t count = count_children(b, e, n, level), step;
	int r;

	if (count > DAG_NODE_MAX / LINK_MIN)
		return too_many(b, e, n);
	r = dir_shard_init(&s, count);
	for (size_t i = 0; i < n && r == 0; i += step) {
		step = dir_bucket_size(b, e + i, n - i, level);
		r = add_bucket(b, &s, e + i, step, level);
	}
	if (r < 0)
		return r;
	assert(s.n == count);
	r = dir_shard_seal(b, &s, level == 0, ret);
	return r == -EMSGSIZE ? too_many(b, e, n) : r;
}

int dir_sort(struct dir_builder *b)
{
	rehash(b->recs.v, b->recs.n, 0);
	for (size_t i = 1; i < b->recs.n; i++) {
		if (b->recs.v[i].hash == b->recs.v[i - 1].hash &&
		    dir_entry_cmp_name(&b->recs.v[i], &b->recs.v[i - 1]) == 0)
			return duplicate(b, dir_rec_name(b->recs.v[i].rec));
	}
	return 0;
}

int dir_build_all(struct dir_builder *b, struct dag_root *ret)
{
	int r;

	if (dir_is_basic(b))
		return build_basic(b, ret);
	r = dir_sort(b);
	return r < 0 ? r : dir_build_shard(b, b->recs.v, b->recs.n, 0, ret);
}

int dir_builder_finish(struct dir_builder *b, struct dag_root *ret, struct err *reterr)
{
	b->err = reterr;
	return b->large ? dir_large_finish(b, ret) : dir_build_all(b, ret);
}
