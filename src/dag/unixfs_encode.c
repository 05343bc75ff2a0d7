/* The encoder half of unixfs.h. */
#include "dag/unixfs.h"

#include <assert.h>
#include <errno.h>

#include "base/buf.h"
#include "dag/cid.h"
#include "dag/profile.h"

/* field number << 3 | wire type */
enum {
	T_TYPE = 1 << 3,
	T_DATA = 2 << 3 | 2,
	T_FILESIZE = 3 << 3,
	T_BLOCKSIZES = 4 << 3,
	T_HASHTYPE = 5 << 3,
	T_FANOUT = 6 << 3,
	T_MODE = 7 << 3,
	T_MTIME = 8 << 3 | 2,
	T_KEYS = 1201 << 3 | 2,
	T_PLACES = 1202 << 3 | 2,
	T_HOLES = 1203 << 3 | 2,
	T_ATTR = 1204 << 3 | 2
};

static int put_varint(struct buf *b, uint64_t tag, uint64_t v)
{
	int r = buf_varint(b, tag);

	return r < 0 ? r : buf_varint(b, v);
}

static int put_bytes(struct buf *b, uint64_t tag, struct slice s)
{
	int r = put_varint(b, tag, s.n);

	return r < 0 ? r : buf_append(b, s);
}

static int put_mtime(struct buf *b, const struct unixfs *fs)
{
	size_t n = 1 + dagpb_varint_size((uint64_t)fs->mtime_s) +
		   (fs->mtime_ns ? 5 : 0);
	int r;

	r = put_varint(b, T_MTIME, n);
	if (r < 0)
		return r;
	r = put_varint(b, 1 << 3, (uint64_t)fs->mtime_s);
	if (r < 0 || !fs->mtime_ns)
		return r;
	r = buf_u8(b, 2 << 3 | 5);
	return r < 0 ? r : buf_le32(b, fs->mtime_ns);
}

/* A hint of no length is none. */
static struct place place_of(const struct unixfs_child *c)
{
	return c->link.kind == LINK_SEALED && c->link.place.len ?
		       c->link.place :
		       (struct place){ 0 };
}

/* How many links from `c` on lie back to back, or have no place. */
static size_t run_length(const struct unixfs_child *c, size_t n)
{
	const struct place first = place_of(c);
	uint64_t off = first.off;
	struct place p;
	size_t i;

	for (i = 0; i < n; i++) {
		p = place_of(&c[i]);
		if (p.piece != first.piece || (p.piece && p.off != off))
			break;
		off += p.len;
	}
	return i;
}

static int put_runs(struct buf *b, const struct unixfs_child *c, size_t n)
{
	size_t run;
	int r;

	for (size_t i = 0; i < n; i += run) {
		const struct place p = place_of(&c[i]);

		run = run_length(c + i, n - i);
		r = put_varint(b, run, p.piece);
		if (r < 0)
			return r;
		if (!p.piece)
			continue;
		r = buf_varint(b, p.off);
		for (size_t k = 0; k < run && r == 0; k++)
			r = buf_varint(b, c[i + k].link.place.len);
		if (r < 0)
			return r;
	}
	return 0;
}

int unixfs_places_size(const struct unixfs_child *children, size_t n, size_t *ret)
{
	_cleanup_buf_ struct buf b = { .max = DAG_NODE_MAX };
	int r;

	r = put_runs(&b, children, n);
	if (r < 0)
		return r;

	*ret = n ? dagpb_varint_size(T_PLACES) + dagpb_varint_size(b.n) + b.n : 0;
	return 0;
}

static int put_holes(struct buf *b, const struct unixfs_child *c, size_t n)
{
	uint8_t *bits;
	bool any = false;
	int r;

	for (size_t i = 0; i < n; i++)
		any |= c[i].hole;
	if (!any)
		return 0;
	r = put_varint(b, T_HOLES, (n + 7) / 8);
	if (r < 0)
		return r;
	r = buf_grow(b, (n + 7) / 8, &bits);
	if (r < 0)
		return r;
	memset(bits, 0, (n + 7) / 8);
	for (size_t i = 0; i < n; i++)
		bits[i / 8] |= (uint8_t)(c[i].hole << (i % 8));
	return 0;
}

static int put_extensions(struct buf *b, const struct unixfs *fs,
			  const struct unixfs_child *c, size_t n)
{
	_cleanup_buf_ struct buf runs = { .max = DAG_NODE_MAX };
	uint8_t *key;
	int r;

	if (!n)
		return 0;
	r = put_varint(b, T_KEYS, n * LINK_KEY_SIZE);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = buf_grow(b, LINK_KEY_SIZE, &key);
		if (r < 0)
			break;
		if (c[i].link.kind == LINK_SEALED)
			memcpy(key, c[i].link.key, LINK_KEY_SIZE);
		else
			memset(key, 0, LINK_KEY_SIZE);
	}
	if (r < 0)
		return r;
	r = put_runs(&runs, c, n);
	if (r < 0)
		return r;
	r = put_bytes(b, T_PLACES, buf_slice(&runs));
	if (r < 0)
		return r;
	if (fs->type == UNIXFS_FILE)
		return put_holes(b, c, n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = put_bytes(b, T_ATTR, c[i].attr);
	return r;
}

/* The Data message. */
static int put_message(const struct dag_profile *p, const struct unixfs *fs,
		       const struct unixfs_child *c, size_t n, struct buf *b)
{
	int r;

	r = put_varint(b, T_TYPE, fs->type);
	if (r == 0 && fs->has_data)
		r = put_bytes(b, T_DATA, fs->data);
	if (r == 0 && fs->has_filesize)
		r = put_varint(b, T_FILESIZE, fs->filesize);
	if (fs->type == UNIXFS_FILE) {
		for (size_t i = 0; i < n && r == 0; i++)
			r = put_varint(b, T_BLOCKSIZES, c[i].size);
	}
	if (r == 0 && fs->hash_type)
		r = put_varint(b, T_HASHTYPE, fs->hash_type);
	if (r == 0 && fs->fanout)
		r = put_varint(b, T_FANOUT, fs->fanout);
	if (r == 0 && fs->has_mode)
		r = put_varint(b, T_MODE, fs->mode);
	if (r == 0 && fs->has_mtime)
		r = put_mtime(b, fs);
	if (r == 0 && p->sealed)
		r = put_extensions(b, fs, c, n);
	return r;
}

int unixfs_node_encode(const struct dag_profile *p, const struct unixfs *fs,
		       const struct unixfs_child *children, size_t n, struct buf *b)
{
	_cleanup_buf_ struct buf msg = { .max = DAG_NODE_MAX };
	uint8_t t[CID_BYTES_MAX];
	struct dagpb_link l;
	struct cid cid;
	int r;

	for (size_t i = 0; i < n; i++) {
		const struct unixfs_child *c = &children[i];

		assert(c->link.kind != LINK_NONE);
		dag_link_cid(p, &c->link, &cid);
		l = (struct dagpb_link){ slice(t, cid_bytes(&cid, t)), c->name,
					 c->tsize };
		r = dagpb_put_link(b, &l);
		if (r < 0)
			return r;
	}
	r = put_message(p, fs, children, n, &msg);
	if (r < 0)
		return r;
	return dagpb_put_data(b, buf_slice(&msg));
}

int unixfs_symlink_encode(struct slice target, struct buf *b)
{
	const struct unixfs fs = { .type = UNIXFS_SYMLINK,
				   .has_data = true,
				   .data = target };

	return unixfs_node_encode(&dag_profile_v1_2025, &fs, NULL, 0, b);
}
