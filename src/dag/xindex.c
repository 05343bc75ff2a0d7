#include "dag/xindex.h"

#include <assert.h>
#include <errno.h>

#include "base/cursor.h"
#include "dag/piece.h"

#define VERSION 1

static const uint8_t magic[8] = { 'f', 'd', 'x', 'i', 'n', 'd', 'e', 'x' };

_Static_assert(XINDEX_N_MAX == PIECE_SIZE_MAX / (256 + 24 + 2 + PIECE_CID_SIZE + 1),
	       "the count is bounded by the smallest sections");

/* ---- writing */

void xindex_init(struct xindex *x, uint64_t piece)
{
	buf_init(&x->rows, (size_t)XINDEX_N_MAX * XINDEX_ENTRY_SIZE);
	x->piece = piece;
	x->sorted = false;
}

void xindex_fini(struct xindex *x)
{
	buf_fini(&x->rows);
}

static void entry_write(const struct xindex_entry *e, uint8_t *p)
{
	memcpy(p, e->digest, LINK_DIGEST_SIZE);
	memcpy(p + 32, e->key, LINK_KEY_SIZE);
	put_le64(p + 64, e->off);
	put_le32(p + 72, e->len);
	p[76] = (uint8_t)e->kind;
	p[77] = (uint8_t)e->codec;
	p[78] = p[79] = 0;
}

int xindex_add(struct xindex *x, const struct xindex_entry *e)
{
	uint8_t *p;
	int r;

	assert(!x->sorted);
	r = buf_grow(&x->rows, XINDEX_ENTRY_SIZE, &p);
	if (r < 0)
		return r;
	entry_write(e, p);
	return 0;
}

size_t xindex_n(const struct xindex *x)
{
	return x->rows.n / XINDEX_ENTRY_SIZE;
}

static int by_digest(const void *a, const void *b)
{
	const uint8_t *pa = a, *pb = b;
	int r = memcmp(pa, pb, LINK_DIGEST_SIZE);
	uint64_t oa, ob;

	if (r)
		return r;
	oa = get_le64(pa + 64);
	ob = get_le64(pb + 64);
	return oa < ob ? -1 : oa > ob;
}

void xindex_sort(struct xindex *x)
{
	if (x->rows.n)
		qsort(x->rows.p, xindex_n(x), XINDEX_ENTRY_SIZE, by_digest);
	x->sorted = true;
}

uint64_t xindex_file_size(uint64_t n)
{
	return n ? XINDEX_HEAD_SIZE + n * XINDEX_ENTRY_SIZE : 0;
}

int xindex_read(const struct xindex *x, uint64_t off, size_t n, struct buf *b)
{
	uint64_t size = xindex_file_size(xindex_n(x));
	uint8_t head[XINDEX_HEAD_SIZE];
	size_t start = b->n, k;
	int r;

	assert(x->sorted);
	if (off >= size)
		return 0;
	n = (size_t)MIN(n, size - off);
	if (off < XINDEX_HEAD_SIZE) {
		memcpy(head, magic, sizeof(magic));
		put_le32(head + 8, VERSION);
		put_le32(head + 12, XINDEX_ENTRY_SIZE);
		put_le64(head + 16, x->piece);
		put_le64(head + 24, xindex_n(x));
		k = (size_t)MIN(n, XINDEX_HEAD_SIZE - off);
		r = buf_append(b, slice(head + off, k));
		if (r < 0)
			return r;
		off += k;
		n -= k;
	}
	if (n == 0)
		return 0;
	r = buf_append(b, slice(x->rows.p + (off - XINDEX_HEAD_SIZE), n));
	if (r < 0)
		b->n = start;
	return r;
}

/* ---- reading */

int xindex_head_parse(struct slice head, uint64_t file_size, uint64_t piece,
		      uint32_t *ret_n)
{
	struct cursor c = cursor(head);
	struct slice m = cursor_take(&c, sizeof(magic));
	uint32_t version = cursor_le32(&c);
	uint32_t entry = cursor_le32(&c);
	uint64_t ordinal = cursor_le64(&c);
	uint64_t n = cursor_le64(&c);

	if (cursor_done(&c) < 0 || !slice_eq(m, slice(magic, sizeof(magic))))
		return -EPROTO;
	if (version > VERSION)
		return -EOPNOTSUPP;
	if (version != VERSION || entry != XINDEX_ENTRY_SIZE || ordinal != piece ||
	    n == 0 || n > XINDEX_N_MAX || file_size != xindex_file_size(n))
		return -EPROTO;
	*ret_n = (uint32_t)n;
	return 0;
}

static void entry_read(const uint8_t *p, struct xindex_entry *ret)
{
	memcpy(ret->digest, p, LINK_DIGEST_SIZE);
	memcpy(ret->key, p + 32, LINK_KEY_SIZE);
	ret->off = get_le64(p + 64);
	ret->len = get_le32(p + 72);
	ret->kind = p[76];
	ret->codec = p[77];
}

/*
 * XINDEX_ENTRY_SIZE bytes.  -EPROTO: an unknown codec, zeros that are not, or a
 * section that does not lie in a piece of `piece_size` bytes.  A kind that we
 * do not know is let through: a newer writer's.
 */
static int xindex_entry_parse(struct slice entry, uint64_t piece_size,
			      struct xindex_entry *ret)
{
	struct xindex_entry e;

	if (entry.n != XINDEX_ENTRY_SIZE)
		return -EPROTO;
	entry_read(entry.p, &e);
	if (e.kind == 0 || (e.codec != LINK_RAW && e.codec != LINK_DAGPB) ||
	    entry.p[78] || entry.p[79])
		return -EPROTO;
	if (e.off < PIECE_HEADER_SIZE || e.off > piece_size ||
	    e.len <= PIECE_CID_SIZE || e.len > piece_size - e.off ||
	    e.len > piece_section_size(PIECE_BLOCK_MAX))
		return -EPROTO;
	*ret = e;
	return 0;
}

uint32_t xindex_guess(uint32_t n, const uint8_t digest[static LINK_DIGEST_SIZE])
{
	uint64_t top = 0;

	assert(n > 0);
	for (int i = 0; i < 4; i++)
		top = top << 8 | digest[i];
	return (uint32_t)(top * n >> 32);
}

static struct slice row(const struct xindex_view *v, uint32_t i)
{
	return slice(v->rows.p + (size_t)i * XINDEX_ENTRY_SIZE, XINDEX_ENTRY_SIZE);
}

int xindex_open(struct slice file, uint64_t piece, uint64_t piece_size,
		struct xindex_view *ret)
{
	struct xindex_view v = { .piece = piece, .piece_size = piece_size };
	struct cursor c = cursor(file);
	struct xindex_entry e;
	int r;

	r = xindex_head_parse(cursor_take(&c, XINDEX_HEAD_SIZE), file.n, piece,
			      &v.n);
	if (r < 0)
		return r;
	v.rows = slice(c.p, c.n);
	for (uint32_t i = 0; i < v.n; i++) {
		r = xindex_entry_parse(row(&v, i), piece_size, &e);
		if (r < 0)
			return r;
		if (i && by_digest(row(&v, i - 1).p, row(&v, i).p) >= 0)
			return -EPROTO;
	}
	*ret = v;
	return 0;
}

void xindex_get(const struct xindex_view *v, uint32_t i, struct xindex_entry *ret)
{
	assert(i < v->n);
	entry_read(row(v, i).p, ret);
}

int xindex_find(const struct xindex_view *v,
		const uint8_t digest[static LINK_DIGEST_SIZE],
		struct xindex_entry *ret)
{
	uint32_t lo = 0, hi = v->n, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (memcmp(row(v, mid).p, digest, LINK_DIGEST_SIZE) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == v->n || memcmp(row(v, lo).p, digest, LINK_DIGEST_SIZE) != 0)
		return -ENOENT;
	xindex_get(v, lo, ret);
	return 0;
}

void xindex_link(const struct xindex_entry *e, uint64_t piece, struct link *ret)
{
	*ret = (struct link){
		.kind = LINK_SEALED,
		.codec = e->codec,
		.place = { piece, e->off, e->len },
	};
	memcpy(ret->digest, e->digest, LINK_DIGEST_SIZE);
	memcpy(ret->key, e->key, LINK_KEY_SIZE);
}
