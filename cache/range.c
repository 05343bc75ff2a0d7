/*
 * range.c - fallocate, SEEK_DATA and SEEK_HOLE, copy_file_range
 */
#include "cache/internal.h"

#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t blocks_of(uint64_t bytes)
{
	return (bytes + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

static int get_file(struct cache *c, uint64_t ino, struct inode **ret)
{
	int r = inode_get(c, ino, ret);

	if (r < 0)
		return r;
	return S_ISREG((*ret)->mode) ? 0 :
	       S_ISDIR((*ret)->mode) ? -EISDIR :
				       -ENODEV;
}

/* ---- fallocate ---- */

/* A part of one block that is to be zero: in the buffer, NULL if it is. */
struct edge {
	struct bblock *b;
	uint64_t from, to; /* in the block */
};

static int prepare_edge(struct cache *c, struct cache_op *op, struct inode *i,
			uint64_t off, uint64_t end, struct edge *ret)
{
	ret->b = NULL;
	if (off >= end)
		return 0;
	ret->from = off % CACHE_BLOCK;
	ret->to = ret->from + (end - off);
	return data_edit_block(c, op, i, off / CACHE_BLOCK, &ret->b);
}

static void zero_edge(const struct edge *e)
{
	if (e->b)
		memset(e->b->p + e->from, 0, e->to - e->from);
}

/*
 * [off, end) reads as zeros: explicit holes, whose room is promised or not, and
 * zeros in the edge blocks.
 */
static int zero(struct cache *c, struct cache_op *op, struct inode *i,
		uint64_t off, uint64_t end, bool room)
{
	uint64_t first = align_up(off, CACHE_BLOCK) / CACHE_BLOCK;
	uint64_t last = end >= i->size ? blocks_of(i->size) : end / CACHE_BLOCK;
	struct run hole = { .block = first,
			    .slot = room ? HOLE_ROOM : 0,
			    .dgen = c->gen };
	struct edge head, tail = { 0 };
	int r;

	end = MIN(end, i->size);
	if (off >= end)
		return 0;
	r = prepare_edge(c, op, i, off, MIN(first * CACHE_BLOCK, end), &head);
	if (r == 0 && last >= first)
		r = prepare_edge(c, op, i, MAX(last * CACHE_BLOCK, off), end, &tail);
	if (r < 0)
		return r;
	if (last > first) {
		hole.n = last - first;
		r = extent_set(c, i, first, hole.n, &hole, 1);
		if (r < 0)
			return r;
		buffer_drop(c, i, first, hole.n);
	}
	zero_edge(&head);
	zero_edge(&tail);
	return 0;
}

/* The buffer goes first, so that its blocks are not promised twice. */
static int reserve(struct cache *c, struct cache_op *op, struct inode **i,
		   uint64_t ino, uint64_t off, uint64_t n, bool clear) NO_LOCK_CHECK
{
	int r = 0;

	if ((*i)->n_bufs) {
		while (c->buf.flushing)
			cond_wait(&c->cond, &c->lock);
		r = buffer_flush(c);
		if (r == 0)
			r = get_file(c, ino, i);
	}
	return r < 0 ? r : promise_make(c, op, *i, off, n, clear);
}

int cache_fallocate(struct cache *c, struct cache_op *op, uint64_t ino,
		    int mode, uint64_t off, uint64_t n)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	bool punch = mode & FALLOC_FL_PUNCH_HOLE,
	     clear = mode & FALLOC_FL_ZERO_RANGE;
	struct inode *i;
	int r;

	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
		      FALLOC_FL_ZERO_RANGE)) ||
	    (punch && (clear || !keep)))
		return -EOPNOTSUPP;
	if (n == 0)
		return -EINVAL;
	if (off > CACHE_FILE_MAX || n > CACHE_FILE_MAX - off)
		return -EFBIG;
	r = op_begin(c, punch ? OP_FREES : 0);
	if (r < 0)
		return r;
	r = get_file(c, ino, &i);
	if (r == 0 && !punch)
		r = reserve(c, op, &i, ino, off, n, clear);
	if (r == 0 && (punch || clear))
		r = zero(c, op, i, off, off + n, clear);
	if (r == 0 && punch) /* what was promised behind the end, too */
		r = promise_drop_behind(c, i,
					MAX(blocks_of(i->size), blocks_of(off)),
					(off + n) / CACHE_BLOCK);
	if (r < 0)
		return op_end(c, r);
	if (!keep)
		i->size = MAX(i->size, off + n);
	inode_data_changed(c, i, now_real());
	return op_end(c, 0);
}

/* ---- lseek ---- */

/*
 * A file of 8 PiB has 2^41 blocks, and whoever may make one may seek in it: nothing
 * here goes from block to block, but from row to row, and from one buffered block to
 * the next.
 */

/* The first buffered block in [from, to); to: there is none. */
static uint64_t next_buffered(const struct inode *i, uint64_t from, uint64_t to)
{
	if (!i->n_bufs)
		return to;
	list_foreach(p, &i->bufs) {
		const struct bblock *b = container_of(p, struct bblock, by_ino);

		if (b->block >= from && b->block < to)
			to = b->block;
	}
	return to;
}

/* The first that is not: at most i->n_bufs behind `from`. */
static uint64_t next_unbuffered(struct cache *c, const struct inode *i,
				uint64_t from, uint64_t to)
{
	while (i->n_bufs && from < to && buffer_find(c, i->ino, from))
		from++;
	return from;
}

/* The first block in [from, to) without a row that is data, or is not. */
static uint64_t seek_absent(struct cache *c, const struct inode *i,
			    uint64_t from, uint64_t to, bool data)
{
	uint64_t link = MAX(from, MIN(to, blocks_of(i->link_size)));

	if (data)
		return link > from ? from : next_buffered(i, from, to);
	return next_unbuffered(c, i, link, to);
}

static uint64_t seek_row(struct cache *c, const struct inode *i,
			 const struct run *r, bool data)
{
	uint64_t k = r->block, end = r->block + r->n;

	if (r->seg != 0)
		return data ? k : end;
	/* a buffered block over a hole row is data */
	return data ? next_buffered(i, k, end) : next_unbuffered(c, i, k, end);
}

/* Is [at, row) without rows, in the link, and its holes not known yet? */
static bool is_unknown(const struct inode *i, uint64_t at, uint64_t row)
{
	return (i->flags & INODE_HOLES) && at < row &&
	       at * CACHE_BLOCK < i->link_size;
}

static int seek(struct cache *c, struct cache_op *op, const struct inode *i,
		uint64_t from, bool data, uint64_t *ret)
{
	uint64_t end = blocks_of(i->size), at = from, hit;
	bool all = false;
	int r = 0;

	while (at < end && r == 0) {
		_cleanup_runs_ struct runs runs = { 0 };

		r = extent_from(c, i->ino, at, &runs, &all);
		for (size_t k = 0; k <= runs.n && r == 0 && at < end; k++) {
			uint64_t row = k < runs.n ? runs.v[k].block : end;

			if (k == runs.n && !all)
				break;
			row = MIN(row, end);
			if (is_unknown(i, at, row))
				return miss(op, CACHE_MISS_HOLES, i->ino, 0, 0);
			hit = seek_absent(c, i, at, row, data);
			if (hit < row) {
				*ret = hit;
				return 0;
			}
			at = row;
			if (k == runs.n || row == end)
				break;
			row = runs.v[k].block + runs.v[k].n;
			hit = seek_row(c, i, &runs.v[k], data);
			if (hit < row) {
				*ret = hit;
				return 0;
			}
			at = row;
		}
	}
	*ret = end;
	return r;
}

int cache_lseek(struct cache *c, struct cache_op *op, uint64_t ino,
		uint64_t off, int whence, uint64_t *ret)
{
	struct inode *i;
	uint64_t block = 0;
	int r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	lock_take(&c->lock);
	r = get_file(c, ino, &i);
	if (r == 0 && off >= i->size)
		r = -ENXIO;
	if (r == 0)
		r = seek(c, op, i, off / CACHE_BLOCK, whence == SEEK_DATA, &block);
	if (r == 0) {
		*ret = MAX(off, MIN(block * CACHE_BLOCK, i->size));
		if (whence == SEEK_DATA && *ret >= i->size)
			r = -ENXIO;
	}
	lock_drop(&c->lock);
	return r;
}

/* ---- copy_file_range ---- */

/*
 * Rows for dst that share src's slots: for *n blocks, or for less, so that nobody
 * waits for long.
 */
static int plan_share(struct cache *c, struct cache_op *op, const struct inode *s,
		      uint64_t from, uint64_t *n, uint64_t to, struct runs *ret)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t at = from, end = from + *n;
	bool all;
	int r;

	r = extent_from(c, s->ino, from, &runs, &all);
	for (size_t k = 0; k <= runs.n && r == 0 && at < end; k++) {
		uint64_t row = k < runs.n ? MIN(runs.v[k].block, end) : end;
		struct run one = { .block = to + (at - from),
				   .n = row - at,
				   .dgen = c->gen };

		if (k == runs.n && !all)
			break;
		if (row > at && at * CACHE_BLOCK < s->link_size)
			return miss(op, CACHE_MISS_RANGE, s->ino, at * CACHE_BLOCK,
				    MIN(row * CACHE_BLOCK, s->link_size) -
					    at * CACHE_BLOCK);
		if (row > at)
			r = runs_add(ret, &one);
		at = row;
		if (row == end || r < 0)
			break;
		one = runs.v[k];
		one.n = MIN(one.n, end - row);
		/* all of them may have the same slots */
		if (one.seg && !seg_can_share(c, &one, runs.n))
			return -EMLINK;
		if (one.seg == 0)
			one.slot = 0; /* a promise is not copied */
		one.block = to + (one.block - from);
		one.dgen = c->gen;
		r = runs_add(ret, &one);
		at = row + one.n;
	}
	*n = at - from;
	return r;
}

static int share(struct cache *c, struct cache_op *op, uint64_t src,
		 uint64_t src_off, uint64_t dst, uint64_t dst_off, uint64_t n,
		 uint64_t *ret_n) NO_LOCK_CHECK
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t to = dst_off / CACHE_BLOCK, n_blocks;
	struct inode *s, *d;
	int r = op_begin(c, 0);

	if (r < 0)
		return r;
	r = get_file(c, src, &s);
	if (r == 0)
		r = get_file(c, dst, &d);
	if (r == 0 && s->n_bufs) {
		while (c->buf.flushing)
			cond_wait(&c->cond, &c->lock);
		r = buffer_flush(c);
	}
	if (r == 0 && (src_off >= s->size || n > s->size - src_off))
		r = -EAGAIN; /* truncated meanwhile */
	/* a last block that is not full may only come where dst ends */
	if (r == 0 && n % CACHE_BLOCK && dst_off + n < d->size)
		n = align_down(n, CACHE_BLOCK);
	if (r == 0 && n % CACHE_BLOCK && src_off + n != s->size)
		n = align_down(n, CACHE_BLOCK);
	if (r == 0 && n == 0)
		r = -EAGAIN;
	if (r < 0)
		return op_end(c, r);
	n_blocks = blocks_of(n);
	r = plan_share(c, op, s, src_off / CACHE_BLOCK, &n_blocks, to, &runs);
	n = MIN(n, n_blocks * CACHE_BLOCK);
	if (r == 0)
		r = extent_set(c, d, to, n_blocks, runs.v, runs.n);
	if (r < 0)
		return op_end(c, r);
	buffer_drop(c, d, to, n_blocks);
	d->size = MAX(d->size, dst_off + n);
	inode_data_changed(c, d, now_real());
	*ret_n = n;
	return op_end(c, 0);
}

#define COPY_MAX (1u << 20) /* bytes copied by one call */

static int copy(struct cache *c, struct cache_op *op, uint64_t src, uint64_t src_off,
		uint64_t dst, uint64_t dst_off, uint64_t n, uint64_t *ret_n)
{
	_cleanup_free_ uint8_t *p = malloc(MIN(n, COPY_MAX));
	size_t got = 0;
	int r;

	if (!p)
		return -ENOMEM;
	r = cache_read(c, op, src, src_off, p, MIN(n, COPY_MAX), &got);
	if (r == 0 && got)
		r = cache_write(c, op, dst, dst_off, slice(p, got), 0);
	if (r == 0)
		*ret_n = got;
	return r;
}

int cache_copy_range(struct cache *c, struct cache_op *op, uint64_t src,
		     uint64_t src_off, uint64_t dst, uint64_t dst_off,
		     uint64_t n, uint64_t *ret_n)
{
	struct inode *s, *d;
	int r;

	if (dst_off > CACHE_FILE_MAX || n > CACHE_FILE_MAX - dst_off)
		return -EFBIG;
	lock_take(&c->lock);
	r = get_file(c, src, &s);
	if (r == 0) {
		n = src_off >= s->size ? 0 : MIN(n, s->size - src_off);
		r = get_file(c, dst, &d);
	}
	lock_drop(&c->lock);
	if (r < 0)
		return r;
	*ret_n = 0;
	if (n == 0)
		return 0;
	if (src == dst && src_off < dst_off + n && dst_off < src_off + n)
		return -EINVAL;
	if (src_off % CACHE_BLOCK == 0 && dst_off % CACHE_BLOCK == 0) {
		r = share(c, op, src, src_off, dst, dst_off, n, ret_n);
		if (r != -EAGAIN && r != -EMLINK)
			return r;
	}
	return copy(c, op, src, src_off, dst, dst_off, n, ret_n);
}
