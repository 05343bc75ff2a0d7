/* The reader half of dir.h. */
#include "dag/dir.h"

#include <errno.h>

#include "dag/hamt.h"

_Static_assert(sizeof(((struct dir_node *)0)->bits) == HAMT_BITS_BYTES,
	       "a node holds the widest bitfield");

bool dir_name_valid(struct slice name)
{
	if (!name.n || slice_eq(name, slice_str(".")) ||
	    slice_eq(name, slice_str("..")))
		return false;
	return !memchr(name.p, '/', name.n) && !memchr(name.p, 0, name.n);
}

void dir_iter_init(struct dir_iter *it, const struct dir_node *dir)
{
	it->dir = dir;
	unixfs_iter_init(&it->it, &dir->node);
}

int dir_next(struct dir_iter *it, struct dir_item *ret)
{
	const struct dir_node *d = it->dir;
	struct unixfs_child c;
	int r, index = 0;

	r = unixfs_next(&it->it, &c);
	if (r <= 0)
		return r;
	if (d->fanout) {
		index = hamt_prefix_parse(c.name, hamt_bits(d->fanout));
		if (index < 0)
			return index;
		c.name = slice(c.name.p + d->n_digits, c.name.n - d->n_digits);
	}
	*ret = (struct dir_item){ .name = c.name,
				  .link = c.link,
				  .cid = c.cid,
				  .tsize = c.tsize,
				  .attr = c.attr,
				  .index = (unsigned)index,
				  .is_subshard = d->fanout && !c.name.n };
	return 1;
}

static int parse_shard(struct dir_node *d, unsigned level)
{
	const struct unixfs *fs = &d->node.fs;
	unsigned rounds = d->node.sealed ? HAMT_ROUNDS : 1;
	unsigned bits = hamt_bits(fs->fanout);

	if (!bits || fs->hash_type != UNIXFS_MURMUR3 ||
	    level >= hamt_levels(bits) * rounds)
		return -EPROTO;
	d->level = level;
	d->fanout = (unsigned)fs->fanout;
	d->n_digits = hamt_digits(bits);
	return hamt_expand(fs->data, d->fanout, d->bits);
}

/* The bucket of a name at the shard's level. */
static unsigned bucket_of(const struct dir_node *d, struct slice name)
{
	unsigned bits = hamt_bits(d->fanout);
	uint64_t h = hamt_hash(name, d->level / hamt_levels(bits));

	return hamt_index(h, bits, d->level);
}

/* May a shard of this level link sub-shards? */
static bool may_descend(const struct dir_node *d)
{
	unsigned levels = hamt_levels(hamt_bits(d->fanout));

	return d->level + 1 < levels * (d->node.sealed ? HAMT_ROUNDS : 1);
}

/*
 * Entries of a shard: buckets ascend and each is one of the bitfield; only a
 * sealed shard of the deepest level has several entries in a bucket.
 */
static int check_shard(const struct dir_node *d)
{
	bool deepest = hamt_deepest(hamt_bits(d->fanout), d->level);
	unsigned used = 0, set = 0;
	struct slice last = SLICE_NONE;
	struct dir_item e;
	struct dir_iter it;
	int r, prev = -1;

	for (unsigned i = 0; i < d->fanout; i++)
		set += hamt_get(d->bits, d->fanout, i);
	dir_iter_init(&it, d);
	while ((r = dir_next(&it, &e)) > 0) {
		bool again = (int)e.index == prev;

		if ((int)e.index < prev || !hamt_get(d->bits, d->fanout, e.index))
			return -EPROTO;
		if (again && !(d->node.sealed && deepest && last.n &&
			       e.name.n && slice_cmp(last, e.name) < 0))
			return -EPROTO;
		if (e.is_subshard && (!may_descend(d) || e.attr.n))
			return -EPROTO;
		if (!e.is_subshard &&
		    (!dir_name_valid(e.name) || bucket_of(d, e.name) != e.index))
			return -EPROTO;
		used += !again;
		prev = (int)e.index;
		last = e.name;
	}
	if (r < 0)
		return r;
	return used == set && (used || !d->level || !d->node.sealed) ? 0 : -EPROTO;
}

bool dir_way_leads_to(const struct dir_way *w, const struct dir_node *d,
		      struct slice name)
{
	unsigned bits = d->fanout ? hamt_bits(d->fanout) : 0, levels;
	uint64_t h = 0;

	if (!bits) /* not a shard: there is nothing above it */
		return w->depth == 0;
	levels = hamt_levels(bits);
	for (unsigned i = w->from; i < w->depth; i++) {
		if (i % levels == 0 || i == w->from)
			h = hamt_hash(name, i / levels);
		if (i / levels >= HAMT_ROUNDS || hamt_index(h, bits, i) != w->at[i])
			return false;
	}
	return true;
}

/* Ours are sorted and unique; foreign ones may stand in any order. */
static int check_basic(const struct dir_node *d)
{
	struct slice last = SLICE_NONE;
	struct dir_item e;
	struct dir_iter it;
	int r;

	dir_iter_init(&it, d);
	while ((r = dir_next(&it, &e)) > 0) {
		if (!dir_name_valid(e.name) ||
		    (d->node.sealed && slice_cmp(last, e.name) >= 0))
			return -EPROTO;
		last = e.name;
	}
	return r;
}

int dir_node_parse(struct slice body, bool sealed, unsigned level,
		   struct dir_node *ret)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	r = unixfs_node_parse(body, sealed, &ret->node);
	if (r < 0)
		return r;
	if (ret->node.fs.type == UNIXFS_SHARD) {
		r = parse_shard(ret, level);
		return r < 0 ? r : check_shard(ret);
	}
	if (ret->node.fs.type != UNIXFS_DIRECTORY)
		return -ENOTDIR;
	return level ? -EPROTO : check_basic(ret);
}

int dir_node_find(const struct dir_node *dir, struct slice name, struct dir_item *ret)
{
	unsigned index = 0;
	struct dir_item e;
	struct dir_iter it;
	int r;

	if (dir->fanout) {
		index = bucket_of(dir, name);
		if (!hamt_get(dir->bits, dir->fanout, index))
			return 0;
	}
	dir_iter_init(&it, dir);
	while ((r = dir_next(&it, &e)) > 0) {
		if (e.index == index && (e.is_subshard || slice_eq(e.name, name))) {
			*ret = e;
			return 1;
		}
	}
	return r;
}

int symlink_parse(struct slice body, bool sealed, struct slice *ret_target)
{
	struct unixfs_node n;
	int r;

	r = unixfs_node_parse(body, sealed, &n);
	if (r < 0)
		return r;
	if (n.fs.type != UNIXFS_SYMLINK || !n.fs.data.n ||
	    memchr(n.fs.data.p, 0, n.fs.data.n))
		return -EPROTO;
	*ret_target = n.fs.data;
	return 0;
}
