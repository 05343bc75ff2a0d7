#include "dag/unixfs.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "dag/cid.h"
#include "dag/profile.h"

/* field number << 3 | wire type */
#define VARINT(n)  ((uint64_t)(n) << 3)
#define BYTES(n)   ((uint64_t)(n) << 3 | 2)
#define FIXED32(n) ((uint64_t)(n) << 3 | 5)

enum {
	F_TYPE = 1,
	F_DATA = 2,
	F_FILESIZE = 3,
	F_BLOCKSIZES = 4,
	F_HASHTYPE = 5,
	F_FANOUT = 6,
	F_MODE = 7,
	F_MTIME = 8,
	F_KEYS = 1201,
	F_PLACES = 1202,
	F_HOLES = 1203,
	F_ATTR = 1204
};

#define NS_MAX 999999999u

/* Skip the value of an unknown field. */
static void skip_value(struct cursor *c, uint64_t tag)
{
	switch (tag & 7) {
	case 0: (void)cursor_pbvarint(c); break;
	case 1: (void)cursor_take(c, 8); break;
	case 2: (void)cursor_take(c, cursor_pbvarint(c)); break;
	case 5: (void)cursor_take(c, 4); break;
	default: cursor_fail(c, -EPROTO);
	}
	if (tag >> 3 == 0)
		cursor_fail(c, -EPROTO);
}

static void parse_mtime(struct slice msg, struct cursor *outer, struct unixfs *ret)
{
	struct cursor c = cursor(msg);
	bool has_s = false;
	uint64_t tag;

	while (c.n && !c.err) {
		tag = cursor_pbvarint(&c);
		if (tag == VARINT(1)) {
			ret->mtime_s = (int64_t)cursor_pbvarint(&c);
			has_s = true;
		} else if (tag == FIXED32(2)) {
			ret->mtime_ns = cursor_le32(&c);
			if (ret->mtime_ns == 0 || ret->mtime_ns > NS_MAX)
				cursor_fail(&c, -EPROTO);
		} else {
			skip_value(&c, tag);
		}
	}
	if (cursor_done(&c) < 0 || !has_s)
		cursor_fail(outer, -EPROTO);
	ret->has_mtime = true;
}

/* A field that may stand once. */
static struct slice take_once(struct cursor *c, const struct slice *had)
{
	struct slice s = cursor_take(c, cursor_pbvarint(c));

	if (had->p)
		cursor_fail(c, -EPROTO);
	return s;
}

/* Count the varints of a packed blocksizes field. */
static void count_packed(struct slice s, struct cursor *outer, uint32_t *n)
{
	struct cursor c = cursor(s);

	while (c.n && !c.err) {
		(void)cursor_pbvarint(&c);
		(*n)++;
	}
	if (cursor_done(&c) < 0)
		cursor_fail(outer, -EPROTO);
}

/* True if the field is one of the extensions. */
static bool parse_extension(struct cursor *c, uint64_t tag, struct unixfs *t)
{
	switch (tag) {
	case BYTES(F_KEYS): t->keys = take_once(c, &t->keys); return true;
	case BYTES(F_PLACES): t->places = take_once(c, &t->places); return true;
	case BYTES(F_HOLES): t->holes = take_once(c, &t->holes); return true;
	case BYTES(F_ATTR):
		(void)cursor_take(c, cursor_pbvarint(c));
		t->n_attrs++;
		return true;
	default: return false;
	}
}

static void parse_field(struct cursor *c, uint64_t tag, struct unixfs *t,
			bool *has_type)
{
	uint64_t v;

	switch (tag) {
	case VARINT(F_TYPE):
		v = cursor_pbvarint(c);
		if (v > UNIXFS_SHARD || v == UNIXFS_METADATA)
			cursor_fail(c, -EPROTO);
		t->type = (enum unixfs_type)v;
		*has_type = true;
		break;
	case BYTES(F_DATA):
		t->data = cursor_take(c, cursor_pbvarint(c));
		if (t->has_data)
			cursor_fail(c, -EPROTO);
		t->has_data = true;
		break;
	case VARINT(F_FILESIZE):
		t->filesize = cursor_pbvarint(c);
		t->has_filesize = true;
		break;
	case VARINT(F_BLOCKSIZES):
		(void)cursor_pbvarint(c);
		t->n_sizes++;
		break;
	case BYTES(F_BLOCKSIZES):
		count_packed(cursor_take(c, cursor_pbvarint(c)), c, &t->n_sizes);
		break;
	case VARINT(F_HASHTYPE): t->hash_type = cursor_pbvarint(c); break;
	case VARINT(F_FANOUT): t->fanout = cursor_pbvarint(c); break;
	case VARINT(F_MODE):
		t->mode = (uint32_t)cursor_pbvarint(c);
		t->has_mode = true;
		break;
	case BYTES(F_MTIME):
		parse_mtime(cursor_take(c, cursor_pbvarint(c)), c, t);
		break;
	default: skip_value(c, tag);
	}
}

/* The Data message alone. */
static int unixfs_parse(struct slice message, bool sealed, struct unixfs *ret)
{
	struct unixfs t = { .message = message };
	struct cursor c = cursor(message);
	bool has_type = false;
	uint64_t tag;
	int r;

	while (c.n && !c.err) {
		tag = cursor_pbvarint(&c);
		if (sealed && parse_extension(&c, tag, &t))
			continue;
		parse_field(&c, tag, &t, &has_type);
	}
	r = cursor_done(&c);
	if (r < 0)
		return r;
	if (!has_type)
		return -EPROTO;

	*ret = t;
	return 0;
}

/* Begin the next run of places; the cursor fails on a wrong form. */
static void next_run(struct cursor *c, uint64_t links_left, uint64_t *ret_n,
		     struct place *ret)
{
	*ret = (struct place){ 0 };
	*ret_n = cursor_pbvarint(c);
	ret->piece = cursor_pbvarint(c);
	if (ret->piece)
		ret->off = cursor_pbvarint(c);
	if (*ret_n == 0 || *ret_n > links_left)
		cursor_fail(c, -EPROTO);
}

/* The length of the next block of a run. */
static uint32_t next_len(struct cursor *c, const struct place *run)
{
	uint64_t len = cursor_pbvarint(c);

	if (len == 0 || len > UINT32_MAX || run->off > INT64_MAX - len)
		cursor_fail(c, -EPROTO);
	return (uint32_t)len;
}

static int check_places(struct slice places, uint64_t n_links)
{
	struct cursor c = cursor(places);
	struct place run;
	uint64_t n;

	while (n_links && !c.err) {
		next_run(&c, n_links, &n, &run);
		if (c.err)
			break;
		for (uint64_t i = 0; run.piece && i < n && !c.err; i++)
			run.off += next_len(&c, &run);
		n_links -= n;
	}
	return cursor_done(&c);
}

static int check_holes(const struct unixfs *fs, uint32_t n_links)
{
	if (!fs->holes.p)
		return 0;
	if (fs->type != UNIXFS_FILE || fs->holes.n != (n_links + 7) / 8)
		return -EPROTO;
	if (n_links % 8 && fs->holes.p[fs->holes.n - 1] >> (n_links % 8))
		return -EPROTO; /* a hole behind the last child */
	return 0;
}

/* Identity links have zeroed keys; sealed links are sha2-256. */
static int check_links(const struct unixfs_node *n)
{
	struct cursor it = cursor(n->pb.links);
	static const uint8_t zeros[LINK_KEY_SIZE];
	struct dagpb_link l;
	struct link link;
	struct cid cid;
	const uint8_t *key = n->fs.keys.p;
	int r;

	assert(key); /* 32 bytes a link, and there are links */
	while (dagpb_next(&it, &l)) {
		r = cid_parse(l.hash, &cid);
		if (r < 0)
			return -EPROTO;
		r = cid_to_link(&cid, true, &link);
		if (r < 0 || cid.version != 1)
			return -EPROTO;
		if (link.kind == LINK_IDENTITY &&
		    memcmp(key, zeros, sizeof(zeros)) != 0)
			return -EPROTO;
		key += LINK_KEY_SIZE;
	}
	return cursor_ok(&it);
}

static int check_sealed(const struct unixfs_node *n)
{
	const struct unixfs *fs = &n->fs;
	uint32_t links = n->pb.n_links;
	bool dir = fs->type == UNIXFS_DIRECTORY || fs->type == UNIXFS_SHARD;
	int r;

	if (fs->keys.n != (uint64_t)links * LINK_KEY_SIZE ||
	    fs->n_attrs != (dir ? links : 0))
		return -EPROTO;
	r = check_places(fs->places, links);
	if (r < 0)
		return r;
	r = check_holes(fs, links);
	if (r < 0)
		return r;
	return links ? check_links(n) : 0;
}

int unixfs_node_parse(struct slice block, bool sealed, struct unixfs_node *ret)
{
	struct unixfs_node t = { .sealed = sealed };
	int r;

	r = dagpb_parse(block, &t.pb);
	if (r < 0)
		return r;
	if (!t.pb.has_data)
		return -EPROTO;
	r = unixfs_parse(t.pb.data, sealed, &t.fs);
	if (r < 0)
		return r;
	if ((t.fs.type == UNIXFS_FILE || t.fs.type == UNIXFS_RAW) &&
	    t.fs.n_sizes != t.pb.n_links)
		return -EPROTO;
	if (t.fs.type == UNIXFS_SYMLINK && t.pb.n_links)
		return -EPROTO;
	if (sealed) {
		r = check_sealed(&t);
		if (r < 0)
			return r;
	}
	*ret = t;
	return 0;
}

void unixfs_iter_init(struct unixfs_iter *it, const struct unixfs_node *node)
{
	*it = (struct unixfs_iter){
		.node = node,
		.links = cursor(node->pb.links),
		.sizes = cursor(node->fs.message),
		.attrs = cursor(node->fs.message),
		.places = cursor(node->fs.places),
	};
}

/* The next value of field 4, packed or not. */
static uint64_t next_size(struct unixfs_iter *it)
{
	struct cursor *c = &it->sizes;
	uint64_t tag;

	for (;;) {
		if (it->packed.n)
			return cursor_pbvarint(&it->packed);
		if (!c->n || c->err)
			return 0;
		tag = cursor_pbvarint(c);
		if (tag == VARINT(F_BLOCKSIZES))
			return cursor_pbvarint(c);
		if (tag == BYTES(F_BLOCKSIZES))
			it->packed = cursor(cursor_take(c, cursor_pbvarint(c)));
		else
			skip_value(c, tag);
	}
}

static struct slice next_attr(struct cursor *c)
{
	uint64_t tag;

	while (c->n && !c->err) {
		tag = cursor_pbvarint(c);
		if (tag == BYTES(F_ATTR))
			return cursor_take(c, cursor_pbvarint(c));
		skip_value(c, tag);
	}
	return SLICE_NONE;
}

static void next_place(struct unixfs_iter *it, struct place *ret)
{
	if (it->run_left == 0)
		next_run(&it->places, UINT64_MAX, &it->run_left, &it->run);
	if (it->places.err)
		return;
	if (it->run.piece) {
		it->run.len = next_len(&it->places, &it->run);
		*ret = it->run;
		it->run.off += it->run.len;
	}
	it->run_left--;
}

int unixfs_next(struct unixfs_iter *it, struct unixfs_child *ret)
{
	const struct unixfs *fs = &it->node->fs;
	struct unixfs_child t = { .link = { .kind = LINK_NONE } };
	bool file = fs->type == UNIXFS_FILE || fs->type == UNIXFS_RAW;
	struct place place = { 0 };
	struct dagpb_link l;
	struct cid cid;
	int r;

	if (!dagpb_next(&it->links, &l))
		return cursor_ok(&it->links);
	t.name = l.name;
	t.cid = l.hash;
	t.tsize = l.tsize;
	r = cid_parse(l.hash, &cid);
	if (r < 0)
		return r;
	r = cid_to_link(&cid, it->node->sealed, &t.link);
	if (r < 0)
		t.link = (struct link){ .kind = LINK_NONE }; /* see cid */
	if (file)
		t.size = next_size(it);
	if (it->node->sealed) {
		next_place(it, &place);
		t.attr = next_attr(&it->attrs);
		if (t.link.kind == LINK_SEALED) {
			memcpy(t.link.key,
			       fs->keys.p + (size_t)it->i * LINK_KEY_SIZE,
			       LINK_KEY_SIZE);
			t.link.place = place;
		}
		t.hole = fs->holes.p && fs->holes.p[it->i / 8] >> (it->i % 8) & 1;
	}
	it->i++;
	if (it->sizes.err || it->packed.err || it->attrs.err || it->places.err)
		return -EPROTO;
	*ret = t;
	return 1;
}
