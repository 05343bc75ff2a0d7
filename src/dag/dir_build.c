/*
 * The builder half of dir.h.
 *
 * Entries are records in chunks of memory that never move, and an index of
 * (hash, record) that is sorted once: by name for a basic directory, by hash and
 * name for shards.  Then every shard is a range of the index.
 *
 *   record: u8 n, name[n], link_encode(), varint tsize, varint n, attr[n]
 *           (in memory only)
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "dag/cid.h"
#include "dag/dir.h"
#include "dag/hamt.h"
#include "dag/profile.h"
#include "dag/sealer.h"

#define CHUNK_BYTES (1u << 20)
#define LINK_MIN    40    /* bytes of an encoded link, at least */
#define ATTR_MAX    65536 /* bytes; an Attr holds at most 256 of xattrs */

struct chunk {
	struct chunk *next;
	size_t n, cap;
	uint8_t bytes[];
};

struct entry {
	uint64_t hash;
	const uint8_t *rec;
};

struct dir_builder {
	const struct dag_profile *p;
	struct sealer *sealer;
	struct err *err;
	struct unixfs meta;
	struct buf body;
	struct chunk *chunks;
	struct entry *entries;
	size_t n, cap;
	uint64_t link_bytes; /* of all links, as dir_size counts them */
	uint64_t ext_bytes;  /* of all keys and Attr fields, inside Data */
};

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
	struct chunk *next;

	if (!b)
		return;
	for (struct chunk *c = b->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(b->entries);
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

static int store(struct dir_builder *b, struct slice rec, const uint8_t **ret)
{
	struct chunk *c = b->chunks;
	size_t cap = MAX(CHUNK_BYTES, rec.n);

	if (!c || c->cap - c->n < rec.n) {
		/* small directories are many: begin small */
		if (!c)
			cap = MAX((size_t)4096, rec.n);
		c = malloc(sizeof(*c) + cap);
		if (!c)
			return -ENOMEM;
		*c = (struct chunk){ .next = b->chunks, .cap = cap };
		b->chunks = c;
	}
	memcpy(c->bytes + c->n, rec.p, rec.n);
	*ret = c->bytes + c->n;
	c->n += rec.n;
	return 0;
}

static struct slice rec_name(const uint8_t *rec)
{
	return slice(rec + 1, rec[0]);
}

/* Append the record of an entry, the name first: rec_name() is hot. */
static int encode_rec(struct buf *t, struct slice name, const struct link *link,
		      uint64_t tsize, struct slice attr)
{
	int r;

	r = buf_u8(t, (uint8_t)name.n);
	if (r == 0)
		r = buf_append(t, name);
	if (r == 0)
		r = link_encode(link, t);
	if (r == 0)
		r = buf_varint(t, tsize);
	if (r == 0)
		r = buf_varint(t, attr.n);
	if (r == 0)
		r = buf_append(t, attr);
	return r;
}

/* Our own bytes: they have the form that encode_rec() gave them. */
static void decode_rec(const uint8_t *rec, struct unixfs_child *ret)
{
	struct cursor c = cursor(slice(rec, SIZE_MAX / 2));
	int r;

	*ret = (struct unixfs_child){ .name = rec_name(rec) };
	(void)cursor_take(&c, 1 + ret->name.n);
	r = link_decode(&c, &ret->link);
	assert(r == 0);
	ret->tsize = cursor_pbvarint(&c);
	ret->attr = cursor_take(&c, cursor_pbvarint(&c));
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
	struct entry *e;
	size_t cap;
	int r;

	if (!dir_name_valid(name) || name.n > DIR_NAME_MAX ||
	    attr.n > (b->p->sealed ? ATTR_MAX : 0) || link->kind == LINK_NONE ||
	    link->kind == (b->p->sealed ? LINK_PLAIN : LINK_SEALED))
		return -EINVAL;
	if (b->n == b->cap) {
		cap = b->cap ? b->cap * 2 : 16;
		e = realloc(b->entries, cap * sizeof(*e));
		if (!e)
			return -ENOMEM;
		b->entries = e;
		b->cap = cap;
	}
	buf_reset(&b->body);
	r = encode_rec(&b->body, name, link, tsize, attr);
	if (r < 0)
		return r;
	e = &b->entries[b->n];
	r = store(b, buf_slice(&b->body), &e->rec);
	if (r < 0)
		return r;
	count_bytes(b, &c);
	b->n++;
	return 0;
}

static int cmp_name(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	return slice_cmp(rec_name(a->rec), rec_name(b->rec));
}

static int cmp_hash(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return cmp_name(pa, pb);
}

/* Seal b->body; the root's Tsize is that of its children and its own bytes. */
static int seal_body(struct dir_builder *b, const struct unixfs_child *c,
		     size_t n, struct dag_root *ret)
{
	struct dag_root t = { .tsize = b->body.n };
	int r;

	for (size_t i = 0; i < n; i++)
		t.tsize += c[i].tsize;
	r = sealer_seal(b->sealer, LINK_DAGPB, BLOCK_NODE, buf_slice(&b->body),
			&t.link);
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
	if (b->p->sealed && b->n)
		n += 2 + dagpb_varint_size(b->n * LINK_KEY_SIZE) + b->ext_bytes;
	return dagpb_data_size(n);
}

static bool is_basic(const struct dir_builder *b)
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
	r = alloc_children(b->n, &c);
	if (r < 0)
		return r;
	if (b->n)
		qsort(b->entries, b->n, sizeof(*b->entries), cmp_name);
	for (size_t i = 0; i < b->n; i++) {
		decode_rec(b->entries[i].rec, &c[i]);
		if (i && slice_eq(c[i].name, c[i - 1].name))
			return duplicate(b, c[i].name);
	}
	buf_reset(&b->body);
	r = unixfs_node_encode(b->p, &fs, c, b->n, &b->body);
	return r < 0 ? r : seal_body(b, c, b->n, ret);
}

/* Two names with equal hashes in a plain profile. */
static int collision(struct dir_builder *b, const struct entry *e)
{
	struct slice x = rec_name(e[0].rec), y = rec_name(e[1].rec);

	return err_set(b->err, -ENOTSUP,
		       "the names \"%.*s\" and \"%.*s\" have the same hash: UnixFS cannot hold both in one directory; rename one",
		       (int)MIN(x.n, (size_t)80), (const char *)x.p,
		       (int)MIN(y.n, (size_t)80), (const char *)y.p);
}

/* Nobody but an attacker makes so many names collide. */
static int too_many(struct dir_builder *b, const struct entry *e, size_t n)
{
	struct slice x = rec_name(e->rec);

	return err_set(b->err, -EMSGSIZE,
		       "%zu names with the hash of \"%.*s\" do not fit one block",
		       n, (int)MIN(x.n, (size_t)80), (const char *)x.p);
}

/* A shard's children, and the bytes of their names. */
struct shard {
	struct unixfs_child *c;
	uint8_t *names;
	size_t n, n_names;
	uint8_t field[HAMT_BITS_BYTES];
};

static void shard_fini(struct shard *s)
{
	free(s->c);
	free(s->names);
}

/* Turn name into bucket digits and name, in the shard's own memory. */
static void add_prefix(struct dir_builder *b, struct shard *s, unsigned index,
		       struct unixfs_child *c)
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

/* Entries of one bucket as far as `e`; the index is sorted by hash. */
static size_t bucket_size(const struct dir_builder *b, const struct entry *e,
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

static size_t count_children(const struct dir_builder *b, const struct entry *e,
			     size_t n, unsigned level)
{
	size_t count = 0, step;

	for (size_t i = 0; i < n; i += step) {
		step = bucket_size(b, e + i, n - i, level);
		count += is_split(b, step, level) ? 1 : step;
	}
	return count;
}

static int build_shard(struct dir_builder *b, struct entry *e, size_t n,
		       unsigned level, struct dag_root *ret);

/* Hash a range for a round, and sort it for that. */
static void rehash(struct entry *e, size_t n, unsigned round)
{
	for (size_t i = 0; i < n; i++)
		e[i].hash = hamt_hash(rec_name(e[i].rec), round);
	if (n)
		qsort(e, n, sizeof(*e), cmp_hash);
}

/* One bucket: an entry, a sub-shard, or at the last level several entries. */
static int add_bucket(struct dir_builder *b, struct shard *s, struct entry *e,
		      size_t n, unsigned level)
{
	unsigned index = hamt_index(e[0].hash, b->p->fanout_bits, level);
	struct unixfs_child *c;
	struct dag_root sub;
	int r;

	if (is_split(b, n, level)) {
		if (hamt_deepest(b->p->fanout_bits, level))
			rehash(e, n, 1);
		r = build_shard(b, e, n, level + 1, &sub);
		if (r < 0)
			return r;
		c = &s->c[s->n++];
		*c = (struct unixfs_child){ .link = sub.link, .tsize = sub.tsize };
		add_prefix(b, s, index, c);
		return 0;
	}
	if (n > 1 && !b->p->sealed)
		return collision(b, e);
	for (size_t i = 0; i < n; i++) {
		c = &s->c[s->n++];
		decode_rec(e[i].rec, c);
		add_prefix(b, s, index, c);
	}
	return 0;
}

static int build_shard(struct dir_builder *b, struct entry *e, size_t n,
		       unsigned level, struct dag_root *ret)
{
	_cleanup_(shard_fini) struct shard s = { .n = 0 };
	unsigned fanout = 1u << b->p->fanout_bits;
	struct unixfs fs = { .type = UNIXFS_SHARD };
	size_t count, step;
	int r;

	if (level == 0) {
		fs = b->meta;
		fs.type = UNIXFS_SHARD;
	}
	count = count_children(b, e, n, level);
	if (count > DAG_NODE_MAX / LINK_MIN)
		return too_many(b, e, n);
	r = alloc_children(count, &s.c);
	if (r < 0)
		return r;
	s.names = malloc((count + 1) * (HAMT_DIGITS_MAX + DIR_NAME_MAX));
	if (!s.names)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += step) {
		step = bucket_size(b, e + i, n - i, level);
		r = add_bucket(b, &s, e + i, step, level);
		if (r < 0)
			return r;
	}
	assert(s.n == count);
	fs.has_data = true;
	fs.data = hamt_trim(s.field, fanout);
	fs.hash_type = UNIXFS_MURMUR3;
	fs.fanout = fanout;
	buf_reset(&b->body);
	r = unixfs_node_encode(b->p, &fs, s.c, s.n, &b->body);
	if (r == -EMSGSIZE)
		return too_many(b, e, n);
	return r < 0 ? r : seal_body(b, s.c, s.n, ret);
}

int dir_builder_finish(struct dir_builder *b, struct dag_root *ret, struct err *reterr)
{
	b->err = reterr;
	if (is_basic(b))
		return build_basic(b, ret);
	rehash(b->entries, b->n, 0);
	for (size_t i = 1; i < b->n; i++) {
		if (b->entries[i].hash == b->entries[i - 1].hash &&
		    cmp_name(&b->entries[i], &b->entries[i - 1]) == 0)
			return duplicate(b, rec_name(b->entries[i].rec));
	}
	return build_shard(b, b->entries, b->n, 0, ret);
}
