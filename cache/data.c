/*
 * data.c - bytes: read, write, truncate
 *
 * Writes of many whole blocks are sealed straight into slots by the calling
 * thread, without the lock, and then named by extent rows.  Everything smaller
 * goes to the write buffer.  A read collects what it needs under the lock (buffered
 * blocks are copied at once), pins the slots, and opens them without it.
 *
 * A block at the end of a file is zero behind the end, and a link's bytes count
 * only below link_size; so growing a file exposes zeros without touching it.
 */
#include "cache/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define DIRECT_MIN     16 /* whole blocks from which a write is sealed at once */
#define PROMISE_TRIES  8  /* commits, for a write that has a promise */
#define WRITE_HAS_ROOM (1u << 31) /* of cache_write's flags: has its slots */
#define SMALL_MAX      (DIRECT_MIN + 2)

static int get_file(struct cache *c, uint64_t ino, struct inode **ret)
{
	int r = inode_get(c, ino, ret);

	if (r < 0)
		return r;
	return S_ISREG((*ret)->mode) ? 0 :
	       S_ISDIR((*ret)->mode) ? -EISDIR :
				       -EINVAL;
}

/* Bytes [off, off + n) are in the link only; ask for them. */
static int miss_range(const struct inode *i, struct cache_op *op, uint64_t off,
		      uint64_t n)
{
	return miss(op, CACHE_MISS_RANGE, i->ino, off, MIN(n, i->link_size - off));
}

/* ---- read ---- */

struct reading {
	struct inode *i;
	uint64_t off; /* of dst */
	uint8_t *dst;
	size_t n;
	struct runs todo; /* slots to open, clipped to blocks */
};

/* Put `text`, which is all of `block`, where it belongs in dst. */
static void place(const struct reading *rd, uint64_t block, const uint8_t *text)
{
	uint64_t at = block * CACHE_BLOCK;
	uint64_t from = MAX(at, rd->off);
	uint64_t to = MIN(at + CACHE_BLOCK, rd->off + rd->n);

	if (text)
		memcpy(rd->dst + (from - rd->off), text + (from - at), to - from);
	else
		memset(rd->dst + (from - rd->off), 0, to - from);
}

/* Blocks without a row: buffered, in the link, or zeros. */
static int read_absent(struct cache *c, struct cache_op *op, struct reading *rd,
		       uint64_t block, uint64_t end)
{
	struct inode *i = rd->i;
	uint8_t one[CACHE_BLOCK];

	for (; block < end; block++) {
		uint64_t at = block * CACHE_BLOCK;
		struct bblock *b = i->n_bufs ? buffer_find(c, i->ino, block) : NULL;

		if (b) {
			place(rd, block, b->p);
		} else if (at >= i->link_size) {
			place(rd, block, NULL);
		} else {
			size_t want = MIN(CACHE_BLOCK, i->link_size - at);

			memset(one, 0, sizeof(one));
			if (fetch_transient(c, i->ino, slice(i->link, i->n_link),
					    at, one, want) != want)
				return miss_range(i, op, at, rd->off + rd->n - at);
			place(rd, block, one);
		}
	}
	return 0;
}

static int read_run(struct cache *c, struct reading *rd, const struct run *run)
{
	struct run part = *run;
	int r;

	part.n = 0;
	for (uint64_t k = 0; k <= run->n; k++) {
		uint64_t block = run->block + k;
		struct bblock *b = rd->i->n_bufs && k < run->n ?
					   buffer_find(c, rd->i->ino, block) :
					   NULL;

		if (k < run->n && !b && run->seg == 0)
			place(rd, block, NULL);
		if (k < run->n && !b) {
			part.n++;
			continue;
		}
		if (b)
			place(rd, block, b->p);
		if (part.n && run->seg) {
			r = runs_add(&rd->todo, &part);
			if (r < 0)
				return r;
		}
		part.block = block + 1;
		part.slot = run->slot + (uint32_t)k + 1;
		part.n = 0;
	}
	return 0;
}

/* Fill dst from memory, and list what is to be opened. */
static int read_plan(struct cache *c, struct cache_op *op, struct reading *rd)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t at = rd->off / CACHE_BLOCK;
	uint64_t end = (rd->off + rd->n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	int r;

	r = extent_find(c, rd->i->ino, at, end - at, &runs);
	for (size_t k = 0; k < runs.n && r == 0; k++) {
		r = read_absent(c, op, rd, at, runs.v[k].block);
		if (r == 0)
			r = read_run(c, rd, &runs.v[k]);
		at = runs.v[k].block + runs.v[k].n;
	}
	return r < 0 ? r : read_absent(c, op, rd, at, end);
}

/* Open one run into dst; whole blocks in place, partial ones by a copy. */
static int read_slots(struct cache *c, const struct reading *rd,
		      const struct run *run)
{
	uint64_t k = 0;
	uint8_t one[CACHE_BLOCK];
	int r = 0;

	while (k < run->n && r == 0) {
		uint64_t at = (run->block + k) * CACHE_BLOCK;
		uint64_t whole = 0;

		if (at >= rd->off && at < rd->off + rd->n)
			whole = MIN(run->n - k,
				    (rd->off + rd->n - at) / CACHE_BLOCK);
		if (whole) {
			r = seg_read(c, run, k, whole, rd->dst + (at - rd->off));
			k += whole;
			continue;
		}
		r = seg_read(c, run, k, 1, one);
		if (r == 0)
			place(rd, run->block + k, one);
		k++;
	}
	return r;
}

static int read_once(struct cache *c, struct cache_op *op, uint64_t ino,
		     uint64_t off, uint8_t *dst, size_t n, size_t *ret_n)
{
	struct reading rd = { .off = off, .dst = dst };
	struct pin pin;
	int r;

	lock_take(&c->lock);
	r = get_file(c, ino, &rd.i);
	if (r == 0 && off < rd.i->size) {
		rd.n = MIN(n, rd.i->size - off);
		r = read_plan(c, op, &rd);
		fetch_readahead(c, rd.i, off, rd.n, r == -EINPROGRESS);
	}
	if (rd.todo.n)
		seg_pin(c, &pin);
	inode_trim(c);
	lock_drop(&c->lock);

	for (size_t k = 0; k < rd.todo.n && r == 0; k++)
		r = read_slots(c, &rd, &rd.todo.v[k]);
	if (rd.todo.n)
		seg_unpin(c, &pin);
	runs_fini(&rd.todo);
	if (r == 0)
		*ret_n = rd.n;
	return r == -EBADMSG ? -EIO : r;
}

int cache_read(struct cache *c, struct cache_op *op, uint64_t ino, uint64_t off,
	       uint8_t *dst, size_t n, size_t *ret_n)
{
	uint64_t first = off / CACHE_BLOCK;
	int r = read_once(c, op, ino, off, dst, n, ret_n);

	/* forgotten once, a block is a miss, and comes back whole */
	if (r == -EIO &&
	    heal_range(c, ino, first,
		       (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK - first) > 0)
		r = read_once(c, op, ino, off, dst, n, ret_n);
	return r;
}

/* ---- write ---- */

struct prepared {
	struct bblock *b;
	uint64_t block;
	bool fresh; /* was not in the buffer */
	bool blank; /* and nothing is in it yet */
};

/* The block as it is now, in `text`. */
static int old_block(struct cache *c, struct cache_op *op, struct inode *i,
		     uint64_t block, uint8_t *text, bool *ret_hole)
{
	_cleanup_runs_ struct runs runs = { 0 };
	uint64_t at = block * CACHE_BLOCK;
	int r;

	*ret_hole = true;
	memset(text, 0, CACHE_BLOCK);
	if (at >= i->size)
		return 0;
	r = extent_find(c, i->ino, block, 1, &runs);
	if (r < 0)
		return r;
	if (runs.n == 0 && at < i->link_size) {
		size_t want = MIN(CACHE_BLOCK, i->link_size - at);

		*ret_hole = false;
		if (fetch_transient(c, i->ino, slice(i->link, i->n_link), at,
				    text, want) == want)
			return 0;
		return miss_range(i, op, at, CACHE_BLOCK);
	}
	if (runs.n == 0 || runs.v[0].seg == 0)
		return 0;
	*ret_hole = false;
	r = seg_read(c, &runs.v[0], 0, 1, text);
	if (r != -EBADMSG && r != -EIO)
		return r;
	r = heal_blocks(c, i, block, 1);
	if (r > 0)
		return miss_range(i, op, at, CACHE_BLOCK);
	return r < 0 ? r : -EIO;
}

/*
 * The block in the buffer, with its old bytes if `old`.  Changes nothing that can
 * be seen.
 */
static int prepare(struct cache *c, struct cache_op *op, struct inode *i,
		   uint64_t block, bool old, uint64_t spare, struct prepared *ret)
{
	uint8_t text[CACHE_BLOCK];
	bool is_new, hole;
	int r;

	ret->b = buffer_find(c, i->ino, block);
	ret->block = block;
	ret->blank = ret->fresh = false;
	if (!ret->b && old) {
		r = old_block(c, op, i, block, text, &hole);
		if (r < 0)
			return r;
	}
	r = buffer_get(c, i, block, spare, &ret->b, &is_new);
	if (r < 0)
		return r;
	ret->fresh = is_new;
	if (is_new && old)
		memcpy(ret->b->p, text, CACHE_BLOCK);
	else if (is_new)
		ret->blank = true;
	return 0;
}

static void unprepare(struct cache *c, struct inode *i, struct prepared *v, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		if (v[k].fresh)
			buffer_drop_one(c, i, v[k].b);
	}
}

/* Does writing [off, off + n) replace every byte of the block that counts? */
static bool covers(const struct inode *i, uint64_t block, uint64_t off, uint64_t n)
{
	uint64_t at = block * CACHE_BLOCK;
	uint64_t end = MIN(at + CACHE_BLOCK, MAX(i->size, off + n));

	return off <= at && off + n >= end;
}

/* A block at the edge of a promise may take of what is kept for who may not fail. */
static uint64_t spare_for(bool promised)
{
	return promised ? BUFFER_SPARE / 2 : BUFFER_SPARE;
}

static bool is_one_block(uint64_t off, uint64_t n)
{
	return off / CACHE_BLOCK == (off + n - 1) / CACHE_BLOCK;
}

static int prepare_range(struct cache *c, struct cache_op *op, struct inode *i,
			 uint64_t off, uint64_t n, bool promised,
			 struct prepared *v, size_t *n_v)
{
	uint64_t first = off / CACHE_BLOCK,
		 end = (off + n + CACHE_BLOCK - 1) / CACHE_BLOCK;
	int r = 0;

	for (uint64_t b = first; b < end && r == 0; b++) {
		assert(*n_v < SMALL_MAX);
		r = prepare(c, op, i, b, !covers(i, b, off, n),
			    spare_for(promised), &v[*n_v]);
		*n_v += r == 0;
	}
	return r;
}

static void fill(const struct prepared *p, uint64_t off, struct slice data)
{
	uint64_t at = p->block * CACHE_BLOCK;
	uint64_t from = MAX(at, off), to = MIN(at + CACHE_BLOCK, off + data.n);

	if (p->blank)
		memset(p->b->p, 0, CACHE_BLOCK);
	memcpy(p->b->p + (from - at), data.p + (from - off), to - from);
}

static uint32_t without_suid(uint32_t mode)
{
	mode &= ~(uint32_t)S_ISUID;
	if (mode & S_IXGRP)
		mode &= ~(uint32_t)S_ISGID;
	return mode;
}

static void written(struct cache *c, struct cache_op *op, struct inode *i,
		    uint64_t end, unsigned flags)
{
	uint32_t mode = without_suid(i->mode);

	if (flags & CACHE_WRITE_KILL_SUID && mode != i->mode) {
		i->mode = mode;
		op->mode_changed = true;
	}
	if (flags & CACHE_WRITE_KILL_SUID && mode & S_ISGID)
		op->sgid_kept = true;
	i->size = MAX(i->size, end);
	inode_data_changed(c, i, now_real());
}

/* Keep the buffer within its bound; drops the lock meanwhile. */
static int buffer_bound(struct cache *c) NO_LOCK_CHECK
{
	int r;

	while (c->buf.n + SMALL_MAX + 2 > BUFFER_BLOCKS) {
		if (c->buf.flushing) {
			cond_wait(&c->cond, &c->lock);
			continue;
		}
		r = buffer_flush_unlocked(c);
		if (r < 0)
			return r;
		if (c->failed)
			return -EROFS;
	}
	return 0;
}

/* Room for all blocks of the range, but for those whose room is promised. */
static int ask(struct cache *c, struct cache_op *op, const struct inode *i,
	       uint64_t off, uint64_t n)
{
	uint64_t want = align_up(off + n, CACHE_BLOCK) / CACHE_BLOCK -
			off / CACHE_BLOCK;
	uint64_t promised;
	const struct bblock *b;
	bool beside;
	int r = promise_in(c, i, off, n, &promised);

	if (r < 0)
		return r;
	/* the edges may be shared with what was written before the last commit,
	 * and come out of what is kept for who may not fail */
	if (promised && want - promised <= 2)
		return 0;
	b = i->n_bufs ? buffer_find(c, i->ino, off / CACHE_BLOCK) : NULL;
	if (!promised && want == 1 && b && !b->busy)
		return 0; /* it has its slot, and none is being sealed */
	r = space_ask(c, op, i->ino, (want - promised) * CACHE_BLOCK);
	if (r < 0 && want == 1) {
		int e = promise_beside(c, i, off / CACHE_BLOCK, &beside);

		r = e < 0 ? e : beside ? 0 : r;
	}
	return r;
}

static int write_start(struct cache *c, struct cache_op *op, uint64_t ino,
		       uint64_t n, unsigned flags, struct inode **ret, uint64_t *off)
{
	int r = op_begin(c, 0);

	if (r < 0)
		return r;
	r = buffer_bound(c);
	if (r == 0)
		r = get_file(c, ino, ret);
	if (r == 0 && (flags & CACHE_WRITE_APPEND))
		*off = (*ret)->size;
	if (r == 0 && (*off > CACHE_FILE_MAX || n > CACHE_FILE_MAX - *off))
		r = -EFBIG;
	if (r == 0 && !(flags & WRITE_HAS_ROOM))
		r = ask(c, op, *ret, *off, n);
	if (r == 0 && (flags & CACHE_WRITE_KILL_SUID))
		r = xattr_kill_caps(c, *ret);
	return r < 0 ? op_end(c, r) : 0;
}

static int write_small(struct cache *c, struct cache_op *op, uint64_t ino,
		       uint64_t off, struct slice data, unsigned flags)
{
	struct prepared v[SMALL_MAX];
	struct inode *i = NULL;
	uint64_t promised = 0;
	bool beside;
	size_t n = 0;
	int r = write_start(c, op, ino, data.n, flags, &i, &off);

	if (r < 0)
		return r;
	assert(i);
	r = promise_in(c, i, off, data.n, &promised);
	c->claimed += promised;
	if (r == 0)
		r = prepare_range(c, op, i, off, data.n, promised, v, &n);
	if (r == -ENOSPC && !promised && is_one_block(off, data.n)) {
		r = promise_beside(c, i, off / CACHE_BLOCK, &beside);
		if (r == 0)
			r = prepare_range(c, op, i, off, data.n, beside, v, &n);
	}
	if (r == 0)
		r = promise_use(c, i, off, data.n, NULL);
	c->claimed -= promised;
	if (r < 0) {
		unprepare(c, i, v, n);
		return op_end(c, r);
	}
	for (size_t k = 0; k < n; k++)
		fill(&v[k], off, data);
	written(c, op, i, off + data.n, flags);
	return op_end(c, 0);
}

void slots_discard(struct cache *c, struct runs *runs)
{
	for (size_t k = 0; k < runs->n; k++)
		seg_discard(c, &runs->v[k]);
	runs->n = 0;
}

int slots_take(struct cache *c, uint64_t block, uint64_t n, uint64_t keep,
	       struct runs *runs)
{
	uint64_t done = 0;
	int r = 0;

	while (r == 0 && done < n) {
		struct run run = { .block = block + done };

		r = seg_alloc(c, (uint32_t)MIN(n - done, UINT32_MAX), keep, &run);
		if (r < 0)
			break;
		r = runs_add(runs, &run);
		if (r < 0)
			seg_discard(c, &run);
		done += run.n;
	}
	if (r < 0)
		slots_discard(c, runs);
	return r;
}

int slots_seal(struct cache *c, const uint8_t *p, const struct runs *runs)
{
	const uint8_t **text;
	uint64_t n = 0, done = 0;
	int r = 0;

	for (size_t k = 0; k < runs->n; k++)
		n += runs->v[k].n;
	text = malloc(MAX(n, 1) * sizeof(*text));
	if (!text)
		r = -ENOMEM;
	for (uint64_t k = 0; k < n && r == 0; k++)
		text[k] = p + k * CACHE_BLOCK;
	for (size_t k = 0; k < runs->n && r == 0; k++) {
		r = seg_write(c, &runs->v[k], text + done);
		done += runs->v[k].n;
	}
	free(text);
	return r;
}

struct direct {
	uint64_t off, first, n_blocks; /* whole blocks */
	uint64_t promised, claimed; /* slots for it, those of the whole blocks */
	struct slice data, head, tail;
};

static struct direct cut(uint64_t off, struct slice data)
{
	struct direct d = { .off = off, .data = data };
	uint64_t first = align_up(off, CACHE_BLOCK);
	uint64_t end = align_down(off + data.n, CACHE_BLOCK);

	d.first = first / CACHE_BLOCK;
	d.n_blocks = end > first ? (end - first) / CACHE_BLOCK : 0;
	d.head = slice(data.p, first - off);
	d.tail = slice(data.p + (end - off), off + data.n - end);
	return d;
}

static int prepare_edges(struct cache *c, struct cache_op *op, struct inode *i,
			 const struct direct *d, struct prepared *v, size_t *n)
{
	uint64_t edges = d->promised - d->claimed;
	int r = 0;

	c->claimed += edges;
	if (d->head.n)
		r = prepare_range(c, op, i, d->off, d->head.n, d->promised, v, n);
	if (r == 0 && d->tail.n)
		r = prepare_range(c, op, i, d->off + d->data.n - d->tail.n,
				  d->tail.n, d->promised, v, n);
	c->claimed -= edges;
	return r;
}

/* The second half, with the lock: name what was sealed. */
static int write_named(struct cache *c, struct cache_op *op, uint64_t ino,
		       const struct direct *d, struct runs *runs, unsigned flags)
{
	struct prepared v[SMALL_MAX];
	uint64_t off = d->off;
	struct inode *i = NULL;
	size_t n = 0;
	int r = write_start(c, op, ino, d->data.n, flags, &i, &off);

	if (r < 0)
		return r;
	assert(i);
	if (off != d->off) /* somebody else appended meanwhile */
		return op_end(c, -EAGAIN);
	r = prepare_edges(c, op, i, d, v, &n);
	for (size_t k = 0; k < runs->n; k++)
		runs->v[k].dgen = c->gen;
	if (r == 0)
		r = promise_use(c, i, off, d->data.n, runs);
	if (r < 0) {
		unprepare(c, i, v, n);
		return op_end(c, r);
	}
	c->claimed -= d->claimed;
	buffer_drop(c, i, d->first, d->n_blocks);
	for (size_t k = 0; k < n; k++)
		fill(&v[k], d->off, d->data);
	written(c, op, i, d->off + d->data.n, flags);
	runs->n = 0;
	return op_end(c, 0);
}

/* The first half: what would be missing is asked for before the work, not after. */
static int write_claim(struct cache *c, struct cache_op *op, uint64_t ino,
		       struct slice data, uint64_t off, unsigned flags,
		       struct direct *d, struct runs *runs)
{
	struct prepared v[SMALL_MAX];
	struct inode *i = NULL;
	uint64_t promised = 0, others;
	size_t n = 0;
	int r = write_start(c, op, ino, data.n, flags, &i, &off);

	if (r < 0)
		return r;
	assert(i);
	*d = cut(off, data);
	r = promise_in(c, i, off, data.n, &promised);
	d->promised = promised;
	d->claimed = MIN(promised, d->n_blocks);
	if (r == 0)
		r = prepare_edges(c, op, i, d, v, &n);
	unprepare(c, i, v, n);
	/* somebody else may be writing the same blocks, and have claimed them */
	others = slots_promised(c);
	others -= MIN(others, d->claimed);
	if (r == 0)
		r = slots_take(c, d->first, d->n_blocks,
			       others + spare_for(promised), runs);
	if (r == 0)
		c->claimed += d->claimed;
	return op_end(c, r);
}

static int write_direct(struct cache *c, struct cache_op *op, uint64_t ino,
			uint64_t off, struct slice data, unsigned flags)
{
	_cleanup_runs_ struct runs runs = { 0 };
	struct direct d;
	int r = write_claim(c, op, ino, data, off, flags, &d, &runs);

	if (r < 0)
		return r;
	r = slots_seal(c, data.p + d.head.n, &runs);
	if (r == 0)
		r = write_named(c, op, ino, &d, &runs, flags | WRITE_HAS_ROOM);
	if (r < 0) {
		lock_take(&c->lock);
		slots_discard(c, &runs);
		c->claimed -= d.claimed;
		lock_drop(&c->lock);
	}
	return r;
}

/*
 * Second halves of blocks take slots that are kept aside, and give back others with
 * the next commit.  1: it was made, for a write to a promise that found none left.
 */
static int commit_for_promise(struct cache *c, uint64_t ino, uint64_t off,
			      uint64_t n) NO_LOCK_CHECK
{
	struct inode *i;
	uint64_t promised = 0;
	bool beside = false;
	int r;

	lock_take(&c->lock);
	r = get_file(c, ino, &i);
	if (r == 0)
		r = promise_in(c, i, off, n, &promised);
	if (r == 0 && !promised && is_one_block(off, n))
		r = promise_beside(c, i, off / CACHE_BLOCK, &beside);
	if (r == 0 && (promised || beside)) {
		/* else the committer has just made one */
		r = c->changed ? commit_now(c, false) : 0;
		r = r < 0 ? r : 1;
	}
	lock_drop(&c->lock);
	return r;
}

static int write_once(struct cache *c, struct cache_op *op, uint64_t ino,
		      uint64_t off, struct slice data, unsigned flags)
{
	int r;

	if (data.n >= (DIRECT_MIN + 1ull) * CACHE_BLOCK ||
	    (data.n == DIRECT_MIN * (size_t)CACHE_BLOCK &&
	     off % CACHE_BLOCK == 0 && !(flags & CACHE_WRITE_APPEND))) {
		do
			r = write_direct(c, op, ino, off, data, flags);
		while (r == -EAGAIN);
		return r;
	}
	return write_small(c, op, ino, off, data, flags);
}

int cache_write(struct cache *c, struct cache_op *op, uint64_t ino,
		uint64_t off, struct slice data, unsigned flags)
{
	int r;

	if (data.n == 0)
		return 0;
	r = write_once(c, op, ino, off, data, flags);
	/* others may take what the commit frees */
	for (int k = 0; r == -ENOSPC && k < PROMISE_TRIES; k++) {
		if (commit_for_promise(c, ino, off, data.n) <= 0)
			break;
		r = write_once(c, op, ino, off, data, flags);
	}
	return r;
}

/* ---- truncate ---- */

/*
 * A block of which a part is to become zero, in the buffer; NULL if it has no
 * bytes here.
 */
int data_edit_block(struct cache *c, struct cache_op *op, struct inode *i,
		    uint64_t block, struct bblock **ret)
{
	uint8_t text[CACHE_BLOCK];
	struct prepared p;
	bool hole;
	int r;

	*ret = NULL;
	if (!buffer_find(c, i->ino, block)) {
		r = old_block(c, op, i, block, text, &hole);
		if (r < 0 || hole)
			return r;
	}
	r = prepare(c, op, i, block, true, 0, &p);
	if (r == 0)
		*ret = p.b;
	return r;
}

static uint64_t blocks_of(uint64_t bytes)
{
	return (bytes + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

int data_truncate(struct cache *c, struct cache_op *op, struct inode *i, uint64_t size)
{
	struct bblock *tail = NULL;
	uint64_t from = blocks_of(size), was;
	int r = 0;

	if (size > CACHE_FILE_MAX)
		return -EFBIG;
	if (size < i->size) {
		if (size % CACHE_BLOCK)
			r = data_edit_block(c, op, i, size / CACHE_BLOCK, &tail);
		if (r < 0 && r != -EINPROGRESS) /* link_size cuts it off */
			return r;
		r = extent_set(c, i, from, blocks_of(CACHE_FILE_MAX), NULL, 0);
		if (r < 0)
			return r;
		buffer_drop(c, i, from, UINT64_MAX - from);
		if (tail)
			memset(tail->p + size % CACHE_BLOCK, 0,
			       CACHE_BLOCK - size % CACHE_BLOCK);
		i->min_size = i->min_gen ? MIN(i->min_size, size) : size;
		i->min_gen = c->gen;
		was = blocks_of(i->link_size);
		i->link_size = MIN(i->link_size, size);
		i->blocks -= MIN(i->blocks, was - blocks_of(i->link_size));
	}
	if (size <= i->size) {
		r = promise_drop_behind(c, i, from, blocks_of(CACHE_FILE_MAX));
		if (r < 0)
			return r;
	}
	i->size = size;
	return 0;
}
